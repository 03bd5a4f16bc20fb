"""Plans: the cheapest count and size that hold the objectives for the demand foreseen, or why nothing is planned."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trimtab.domain.choices import Mode, WithoutObjectives
from trimtab.domain.objects import Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import RequestedChange, Trigger
from trimtab.domain.run_status import (
    FieldChange,
    GuardResult,
    Plan,
    PlannedObjective,
    Predicted,
    PredictedCost,
    PredictedObjective,
)
from trimtab.domain.status import OperatingPoint
from trimtab.domain.units import format_cpu, format_memory, format_number
from trimtab.planning import changes as fields
from trimtab.planning.bounds import beyond
from trimtab.planning.options import Option, PlanInputs, changes_to, cheapest, follows, grows_only, option, options
from trimtab.planning.plan_text import evidence, full_reason, hpa_effect, reason_for, well_reason
from trimtab.planning.rightsizing import memory_short
from trimtab.planning.shrinking import history_to_shrink, too_young
from trimtab.planning.steps import NoPlan
from trimtab.planning.terms import terms_of

_Z90: Final = 1.645


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan and what called for it."""

    plan: Plan
    trigger: Trigger
    monthly_from: float
    monthly_to: float


def propose(inputs: PlanInputs) -> Proposal | NoPlan:
    """The operator's own plan, or why the workload is well as it is."""
    spec, workload = inputs.spec, inputs.workload
    if spec.horizontal is None and spec.vertical is None:
        return NoPlan("the policy names neither horizontal nor vertical: nothing may be changed", final=False)
    if workload.replicas == 0:
        return NoPlan("the workload is scaled to zero, which is a person's decision", final=False)
    need = max(inputs.demand.peak, inputs.demand.now) * (1 + inputs.strategy.headroom)
    step = spec.guardrails.max_step_percent / 100
    bounded = options(inputs, need, step)
    following = follows(spec.horizontal)
    present = bounded[1] if following else bounded[0]
    if not math.isfinite(present.capacity):
        return NoPlan(f"no capacity is known yet: {inputs.capacity_source}", final=False)
    tight = memory_short(workload.containers, spec.vertical, inputs.usage)
    if tight:
        bounded = [one for one in bounded if one.size.memory_bytes > present.size.memory_bytes] or bounded
    short = bool(tight) or not present.carries(need)
    if short and spec.mode is Mode.AUTO and too_young(inputs.load_seconds, history_to_shrink(spec)):
        bounded = [one for one in bounded if grows_only(inputs, one)] or bounded  # help must not wait for history
    chosen = cheapest(bounded, need)
    if chosen is None:
        chosen = max(bounded, key=lambda choice: (float(f"{choice.replicas * choice.capacity:.9g}"), -choice.monthly))
        if not short or chosen.replicas * chosen.capacity <= present.replicas * present.capacity * 1.01:
            return NoPlan(full_reason(inputs, need, present), final=False)
    saving = 1 - chosen.weighed / present.monthly if present.monthly else 0.0
    if not short and saving < inputs.strategy.min_saving:
        best = min(bounded, key=lambda one: (not one.carries(need), one.monthly))
        return NoPlan(well_reason(inputs, need, present, best), final=False)
    trigger = Trigger.COST if not short else Trigger.OBJECTIVE if inputs.breached or tight else Trigger.FORECAST
    wanted = cheapest(options(inputs, need, math.inf), need)
    guard = _step_guard(spec, chosen, wanted)
    changes = changes_to(inputs, chosen)
    if not changes:
        return NoPlan(well_reason(inputs, need, present, chosen), final=False)
    reason = f"{tight}: {fields.describe(changes)}" if tight else reason_for(inputs, present, chosen, trigger)
    return _proposal(inputs, changes, chosen, present, trigger, reason, guard)


def no_objectives(spec: PolicySpec, trigger: Trigger) -> NoPlan | None:
    """Why the operator tries nothing by itself: nothing says what a change would have to hold."""
    alone = spec.mode is Mode.AUTO and trigger is not Trigger.MANUAL
    if spec.objectives or not alone or spec.validation.without_objectives is WithoutObjectives.GUARDS_ONLY:
        return None
    remedy = "name some, or set validation.withoutObjectives to GuardsOnly"
    return NoPlan(f"no run is planned without objectives, which a change must hold; {remedy}", condition="NoObjectives")


def requested(
    inputs: PlanInputs, wanted: Iterable[RequestedChange], *, beyond_bounds: bool = False
) -> Proposal | NoPlan:
    """A plan of a person's own changes; steps of the policy are the person's to leave, bounds if they say so."""
    workload = inputs.workload
    changes: list[FieldChange] = []
    for change in wanted:
        if change.path == fields.REPLICAS and follows(inputs.spec.horizontal):
            remedy = "change operatingPoint.minReplicas or operatingPoint.loadPerReplica instead"
            return NoPlan(f"spec.changes: {change.path}: replicas follow the demand under this policy; {remedy}")
        if change.path.startswith("resources.") and change.container not in workload.container_order:
            known = ", ".join(workload.container_order)
            return NoPlan(f"spec.changes: container {change.container!r} is not in the workload; it has {known}")
        before = _point_value(inputs.point, change.path) or fields.value(workload, change.path, change.container)
        after = _written(change)
        if not fields.same(before, after):
            changes.append(FieldChange(path=change.path, container=change.container, from_=before, to=after))
    if not changes:
        return NoPlan("spec.changes: every value is already as asked for")
    if not beyond_bounds and (outside := beyond(inputs.spec, changes)):
        remedy = "ask for a value within it, change the policy, or set allowBeyondBounds on another run"
        return NoPlan(f"spec.changes: {outside}; {remedy}")
    resized = {size.name: size for size in fields.sizes_of(workload, changes)}
    containers = tuple(resized.get(size.name, size) for size in workload.containers)
    chosen = option(inputs, fields.replicas_of(changes) or workload.replicas, containers)
    present = option(inputs, workload.replicas, workload.containers)
    reason = f"asked for by a person: {fields.describe(changes)}"
    return _proposal(inputs, tuple(changes), chosen, present, Trigger.MANUAL, reason, ())


def adopt(inputs: PlanInputs, load_per_replica: float) -> Proposal | NoPlan:
    """A plan that changes nothing but asks a person to let replicas follow under the present operating point."""
    after = format_number(load_per_replica)
    change = FieldChange(path="operatingPoint.loadPerReplica", from_=inputs.point.load_per_replica, to=after)
    present = option(inputs, inputs.workload.replicas, inputs.workload.containers)
    reason = f"replicas would follow the demand at {after} {inputs.demand.unit} a replica ({inputs.capacity_source})"
    return _proposal(inputs, (change,), present, present, Trigger.FORECAST, reason, ())


def _proposal(
    inputs: PlanInputs,
    changes: tuple[FieldChange, ...],
    chosen: Option,
    present: Option,
    trigger: Trigger,
    reason: str,
    guards: tuple[GuardResult, ...],
) -> Proposal:
    if follows(inputs.spec.horizontal) and trigger is not Trigger.MANUAL:
        changes = tuple(change for change in changes if change.path != fields.REPLICAS)
    terms = terms_of(inputs.spec.objectives)
    effect = hpa_effect(inputs, chosen)
    reason = f"{reason}; {effect}" if effect else reason
    peak_load = max(inputs.demand.peak, inputs.demand.now) / max(chosen.replicas, 1)
    predicted = Predicted(
        peak_load_per_replica=format_number(peak_load, 6),
        cpu_size=format_number(chosen.size.cpu_size, 6),
        least_load=format_number(max(inputs.demand.least, 0.0), 6) if math.isfinite(inputs.demand.least) else "",
        objectives=_predicted(inputs, chosen),
        cost=PredictedCost(
            from_=f"{present.monthly:.2f}",
            to=f"{chosen.monthly:.2f}",
            currency=inputs.spec.cost.currency,
            restarts=format_number(chosen.restarts, 3) if chosen.restarts else "",
        ),
    )
    plan = Plan(
        hash=_hash(inputs.workload, changes, terms),
        reason=reason,
        changes=list(changes),
        former_point=inputs.point,
        trial_point=_trial_point(inputs.point, changes, chosen),
        predicted=predicted,
        evidence=evidence(inputs, present, chosen),
        guardrails=list(guards),
        curves=[curve.to_state() for curve in inputs.curves.values()],
        objectives=terms,
        version=inputs.workload.version,
    )
    return Proposal(plan, trigger, present.monthly, chosen.monthly)


def _predicted(inputs: PlanInputs, chosen: Option) -> list[PredictedObjective]:
    found = []
    load = max(inputs.demand.peak, inputs.demand.now) / max(chosen.replicas, 1)
    for objective in inputs.spec.objectives:
        curve = inputs.curves.get(objective.name)
        if curve is None:
            continue
        value = float(curve.expected(load, chosen.size.cpu_size))
        spread = math.exp(_Z90 * curve.residual_std)
        found.append(
            PredictedObjective(
                name=objective.name,
                value=format_number(value),
                lower=format_number(value / spread),
                upper=format_number(value * spread),
            )
        )
    return found


def _trial_point(point: OperatingPoint, changes: Iterable[FieldChange], chosen: Option) -> OperatingPoint:
    update: dict[str, object] = {"containers": list(chosen.size.containers)}
    for change in changes:
        match change.path:
            case "operatingPoint.loadPerReplica":
                update["load_per_replica"] = change.to
            case "operatingPoint.headroomPercent":
                update["headroom_percent"] = int(float(change.to))
            case "operatingPoint.minReplicas":
                update["min_replicas"] = int(float(change.to))
            case _:
                pass
    return point.model_copy(update=update)


def _point_value(point: OperatingPoint, path: str) -> str:
    match path:
        case "operatingPoint.loadPerReplica":
            return point.load_per_replica
        case "operatingPoint.headroomPercent":
            return str(point.headroom_percent)
        case "operatingPoint.minReplicas":
            return str(point.min_replicas)
        case _:
            return ""


def _written(change: RequestedChange) -> str:
    if change.path.endswith(".cpu"):
        return format_cpu(change.to)
    if change.path.endswith(".memory"):
        return format_memory(change.to)
    return format_number(change.to, 6)


def _hash(workload: Workload, changes: Iterable[FieldChange], terms: Iterable[PlannedObjective]) -> str:
    """Of what a person says yes to: the changes, of which version, and the objectives that they are judged by."""
    parts = [workload.uid, workload.version, *(f"{c.path}/{c.container}:{c.from_}>{c.to}" for c in changes)]
    text = "|".join([*parts, *(term.model_dump_json() for term in terms)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _step_guard(spec: PolicySpec, chosen: Option, wanted: Option | None) -> tuple[GuardResult, ...]:
    if wanted is None or (wanted.replicas == chosen.replicas and wanted.size.containers == chosen.size.containers):
        return (GuardResult(name="maxStepPercent", result="Passed"),)
    limit = f"{spec.guardrails.max_step_percent} %"
    message = f"one run changes a value by at most {limit}; more would follow in later runs"
    return (GuardResult(name="maxStepPercent", result="Capped", message=message),)
