"""Following carried out: decide in :mod:`trimtab.planning.following`, record the step, write it, confirm it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from trimtab.adapters.fence import Purpose
from trimtab.adapters.kube import KubeError
from trimtab.adapters.resources import RESUMED_ANNOTATION
from trimtab.domain.choices import Mode
from trimtab.domain.fitting import fitted
from trimtab.domain.objects import Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import Phase
from trimtab.domain.status import PolicyStatus, Scaling, ScalingStep, ScalingToday
from trimtab.domain.status_types import parse_time
from trimtab.forecasting.forecast import Forecast
from trimtab.planning.conflicts import rival, scaler_of_replicas, told
from trimtab.planning.evidence import STILL_SEEN
from trimtab.planning.following import Follow, FollowInputs, follow
from trimtab.planning.holding import (
    accepting,
    came_with_deploy,
    held_text,
    newer_value,
    released,
    with_template,
)
from trimtab.planning.lifecycle import overdue
from trimtab.planning.rescue import Breach
from trimtab.planning.rightsizing import cpu_size
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.services import Services
from trimtab.reconcile.situation import Situation

_MOST_REPLICAS: Final = 10_000
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Followed:
    """What following came to; ``wanted`` is None where it does not apply."""

    text: str
    wanted: int | None = None
    not_capacity: bool = False


async def follow_demand(services: Services, situation: Situation, remembered: Remembered) -> Followed:
    """Set replicas for the demand, if the policy follows and nothing holds it. Raises KubeError."""
    horizontal, workload = situation.spec.horizontal, situation.workload
    if horizontal is None or not horizontal.follow:
        remembered.status = remembered.status.model_copy(update={"hold": None})  # of what is done no more
        return Followed("")
    if workload is None:
        return Followed("")
    remembered.status = confirm_step(remembered.status, workload, situation.now)
    remembered.status = await _with_hold(services, situation, remembered, workload)
    remembered.status = _with_bounds(with_template(remembered.status, workload), situation, workload.replicas)
    claim = situation.with_status(remembered.status).claimants(workload).on_replicas()
    decision = follow(_inputs(situation, remembered, workload))
    if not isinstance(decision, Follow):
        remembered.following = decision.memory
        return Followed(decision.reason, workload.replicas, decision.not_capacity)
    remembered.following = decision.memory
    others = told([*rival(situation.rivals.older, situation.rivals.trial), *([claim] if claim is not None else [])])
    fewer = decision.replicas < workload.replicas and not decision.bounds_set
    applying = _why_not_beside(situation, workload, fewer=decision.replicas < workload.replicas)
    why_not = others or services.turns.switch.state.paused or _why_not(situation, remembered.status) or applying
    if not why_not and fewer and situation.assessment.unknown:
        why_not = f"nothing is removed without a fresh value of {', '.join(situation.assessment.unknown)}"
    if why_not:
        return Followed(f"{decision.reason}; not done: {why_not}", decision.replicas, decision.not_capacity)
    done = await _step(services, situation, remembered, decision)
    if done:
        remembered.following = decision.written
        remembered.status = _with_bounds(remembered.status, situation, decision.replicas)
    return Followed(decision.reason, decision.replicas, decision.not_capacity)


def confirm_step(status: PolicyStatus, workload: Workload, now: float) -> PolicyStatus:
    """Settle a step that was recorded and not confirmed, as after a kill between record and write.

    Replicas still where the step began: it was never written. Anything else: it was, and a person may have
    written since.
    """
    pending = status.scaling.pending
    if pending is None:
        return status
    if workload.replicas == pending.from_:
        return status.model_copy(update={"scaling": status.scaling.model_copy(update={"pending": None})})
    return _with_step_written(status, now)


def written(scaling: Scaling, now: float) -> Scaling:
    """The record with its pending step as written, and counted."""
    step = scaling.pending
    assert step is not None, "only a recorded step is written"
    date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    today = scaling.today if scaling.today.date == date else ScalingToday(date=date)
    up = step.to > step.from_
    today = today.model_copy(update={"ups": today.ups + up, "downs": today.downs + (not up)})
    return scaling.model_copy(update={"pending": None, "last": step, "today": today})


def _with_step_written(status: PolicyStatus, now: float) -> PolicyStatus:
    """The status once its pending step is written: a value that was accepted is gone, and comes back only anew."""
    return status.model_copy(update={"scaling": written(status.scaling, now), "accepted": None})


def _bounds(situation: Situation) -> tuple[int, int]:
    """(min, max) of replicas under policy and strategy."""
    horizontal, strategy = situation.spec.horizontal, situation.strategy
    assert horizontal is not None, "asked before"
    low = max(horizontal.min_replicas, min(strategy.min_replicas, horizontal.max_replicas))
    return low, min(horizontal.max_replicas, _MOST_REPLICAS)


def _with_bounds(status: PolicyStatus, situation: Situation, replicas: int) -> PolicyStatus:
    """The status once so many replicas are seen within the bounds of the policy as it is now."""
    low, high = _bounds(situation)
    generation = situation.policy.generation
    if not low <= replicas <= high or status.scaling.enforced_generation == generation:
        return status
    scaling = status.scaling.model_copy(update={"enforced_generation": generation})
    return status.model_copy(update={"scaling": scaling})


async def _with_hold(
    services: Services, situation: Situation, remembered: Remembered, workload: Workload
) -> PolicyStatus:
    """The status with a hold begun or ended, as people's values and words ask for."""
    status, policy, hold_for = remembered.status, situation.policy, situation.spec.guardrails.hold_for
    if came_with_deploy(status, workload):
        owner = workload.replicas_owner
        who = owner.manager if owner else "somebody"
        _log.info("deployed", policy=policy.name, namespace=policy.namespace, replicas=workload.replicas, manager=who)
        return accepting(status, workload)
    newer = newer_value(policy, status, workload, situation.now, hold_for)
    if status.hold is not None and (newer is None or newer.value == status.hold.value):
        resumed = policy.annotations.get(RESUMED_ANNOTATION)
        try:
            resumed_at = parse_time(resumed) if resumed else None
        except ValueError:
            resumed_at = None
        if not (why := released(status.hold, policy, resumed_at, situation.now, hold_for)):
            return status
        message = f"follows again from {workload.replicas} replicas: {why}"
        await services.events.post(policy, "Normal", "Resumed", message, services.clock())
        return accepting(status, workload)
    if newer is None:
        return status
    message = f"{held_text(newer)}: following waits for that or trimtab resume {policy.name}"
    await services.events.post(policy, "Warning", "HeldByPerson", message, services.clock())
    return status.model_copy(update={"hold": newer})


def _inputs(situation: Situation, remembered: Remembered, workload: Workload) -> FollowInputs:
    """What the pure decision rests on."""
    horizontal, assessment, history = situation.spec.horizontal, situation.assessment, situation.history
    low, high = _bounds(situation)
    assert horizontal is not None, "asked before"
    found, strategy = situation.capacity(), situation.strategy
    last = history.load.last()
    startup = history.startup_seconds or 0.0
    peak = peak_at = None
    forecast = assessment.forecast
    if isinstance(forecast, Forecast) and forecast.reliable:
        peak, peak_at = forecast.peak(situation.now + situation.lead_seconds, strategy.demand_quantile)
    return FollowInputs(
        now=situation.now,
        replicas=workload.replicas,
        ready_replicas=workload.ready_replicas,
        min_replicas=low,
        max_replicas=high,
        demand=assessment.demand if assessment.quality.problem in STILL_SEEN else None,
        demand_age_seconds=situation.now - last[0] if last else math.inf,
        max_data_age_seconds=situation.spec.guardrails.max_data_age,
        capacity_per_replica=found.load_per_replica if math.isfinite(found.load_per_replica) else None,
        capacity_learned=found.learned,
        headroom_percent=strategy.headroom * 100,
        floor=situation.point.min_replicas,
        forecast_peak=peak,
        forecast_peak_at=peak_at,
        breach=_breach(situation, workload),
        foreseen=situation.foreseen,
        no_fewer=assessment.pods_missing,
        behavior=horizontal.behavior,
        unit=history.load.unit,
        settle_seconds=startup + situation.window_seconds + situation.spec.analysis.interval,
        bounds_enforced=remembered.status.scaling.enforced_generation == situation.policy.generation,
        memory=remembered.following,
    )


def _breach(situation: Situation, workload: Workload) -> Breach | None:
    """The broken objective that needs most, with the replicas at which its curve expects it to hold."""
    worst: Breach | None = None
    for name in situation.assessment.breached:
        objective = next(objective for objective in situation.spec.objectives if objective.name == name)
        last = situation.history.objectives[name].last()
        if last is None:
            continue
        needed = None
        curve = situation.assessment.curves.get(name)
        if curve is not None:
            size = cpu_size(workload.containers)
            carried = curve.capacity(objective.threshold, size, situation.strategy.capacity_probability)
            if carried > 0 and math.isfinite(situation.assessment.demand):
                needed = min(math.ceil(situation.assessment.demand / carried), _MOST_REPLICAS)
        breach = Breach(name, last[1], objective.threshold, needed)
        if worst is None or (breach.needed_replicas or 0) > (worst.needed_replicas or 0):
            worst = breach
    return worst


def _why_not(situation: Situation, status: PolicyStatus) -> str:
    """Why following must not write now, whatever it would set."""
    mode = situation.spec.mode
    if status.hold is not None:
        return f"held: {held_text(status.hold)}"
    if situation.spec.paused:
        return "spec.paused is true"
    if mode in (Mode.OBSERVE, Mode.RECOMMEND):
        return f"mode is {mode.value}"
    if mode is Mode.APPROVE and not situation.approved:
        return "mode is Approve and no operating point was approved yet"
    return ""


def _why_not_beside(situation: Situation, workload: Workload, *, fewer: bool) -> str:
    """Why following waits for a run that is being applied: one that is overdue keeps it only from removing."""
    run = situation.active_run
    if run is None or run.phase is not Phase.APPLYING:
        return ""
    if not fewer and overdue(run.status, situation.spec, workload, situation.now):
        return ""
    return f"run {run.name} is being applied"


async def _step(services: Services, situation: Situation, remembered: Remembered, decision: Follow) -> bool:
    """Record the step, read and guard again, write it, confirm it; whether it was written. Raises KubeError."""
    policy, workload = situation.policy, situation.workload
    assert workload is not None, "asked before"
    step = ScalingStep(from_=workload.replicas, to=decision.replicas, at=services.clock(), reason=decision.reason)
    before = remembered.status
    scaling = before.scaling.model_copy(update={"pending": step, "template": workload.template})
    recorded = fitted(before.model_copy(update={"scaling": scaling}))
    await _count_rescue(services, situation, decision, workload)
    await services.resources.write_policy_status(policy, recorded)
    remembered.status = recorded
    try:
        if why_not := await _guard_again(services, situation, workload):
            remembered.status = before
            _log.info("step not made", policy=policy.name, namespace=policy.namespace, why=why_not)
            return False
        await services.workloads.scale(workload, decision.replicas, Purpose.CHANGE)
    except KubeError as error:
        if not (error.conflict or error.status in (403, 404, 422)):
            raise
        remembered.status = before
        message = f"{workload.replicas}→{decision.replicas} was refused by the API server: {error.message}"
        await services.events.post(policy, "Warning", "ScaleRefused", message, services.clock())
        return False
    remembered.status = _with_step_written(recorded, services.clock())
    services.telemetry.wrote(policy.namespace, "follow")
    change = f"{workload.replicas}→{decision.replicas}"
    _log.info("scaled", policy=policy.name, namespace=policy.namespace, change=change, reason=decision.reason)
    if decision.blind:
        reason = "ScaledUpBlind"
    else:
        reason = "Rescued" if decision.rescue else "ScaledUp" if decision.replicas > workload.replicas else "ScaledDown"
    await services.events.post(policy, "Normal", reason, f"{change}: {decision.reason}", services.clock())
    return True


async def _guard_again(services: Services, situation: Situation, workload: Workload) -> str:
    """Ask what matters once more, right before the write; anything that cannot be answered raises and so says no."""
    if paused := (await services.turns.look()).paused:
        return paused
    policy = await services.resources.policy(situation.policy.namespace, situation.policy.name)
    if policy.uid != situation.policy.uid or policy.generation != situation.policy.generation:
        return "the policy was changed meanwhile"
    if not isinstance(policy.spec, PolicySpec) or policy.spec.paused:
        return "the policy is paused"
    if trial := services.turns.world.trial_beside(policy):
        return f"run {trial} of another policy is on the same workload"
    autoscalers = await services.workloads.autoscalers_on(workload.kind, workload.namespace, workload.name)
    if (scaler := scaler_of_replicas(autoscalers)) is not None:
        return f"{scaler.title} scales the same workload"
    waited = services.clock() - situation.now
    if waited > situation.spec.guardrails.max_data_age:
        return f"the decision is {waited:.0f} s old"
    live = await services.workloads.read(workload.kind, workload.namespace, workload.name)
    if live is None or live.uid != workload.uid:
        return "the workload is gone"
    if live.replicas != workload.replicas:
        return f"replicas are {live.replicas} now"
    return ""


async def _count_rescue(services: Services, situation: Situation, decision: Follow, workload: Workload) -> None:
    """Replicas that rescue an objective during a trial count against it, and are on record before they are written."""
    trial = situation.trial_run
    if trial is None or not decision.rescue or trial.phase is Phase.APPLYING:
        return
    run = await services.resources.run(trial.namespace, trial.name)
    if run.phase.unproven:
        added = decision.replicas - workload.replicas
        await services.resources.write_run_status(
            run, run.status.model_copy(update={"rescues": run.status.rescues + added})
        )
