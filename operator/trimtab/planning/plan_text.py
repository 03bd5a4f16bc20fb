"""Why a plan is made, or not made, in sentences that a person understands."""

from __future__ import annotations

import math

from trimtab.domain.run import Trigger
from trimtab.domain.status_types import format_time
from trimtab.domain.units import format_cpu, format_duration, format_memory, format_number
from trimtab.planning import changes as fields
from trimtab.planning.options import Option, PlanInputs, changes_to


def evidence(inputs: PlanInputs, present: Option, chosen: Option) -> dict[str, str]:
    unit = f" {inputs.demand.unit}" if inputs.demand.unit else ""
    evidence = {
        "demandNow": f"{format_number(inputs.demand.now)}{unit}",
        "demandPeak": f"{format_number(inputs.demand.peak)}{unit} at {format_time(inputs.demand.peak_at)}",
        "demandSource": inputs.demand.source,
        "capacityPerReplica": f"{format_number(present.capacity)} → {format_number(chosen.capacity)}{unit}",
        "capacitySource": inputs.capacity_source,
        "headroomPercent": format_number(inputs.strategy.headroom * 100),
    }
    if chosen.restarts:
        pods = f"{inputs.workload.replicas} pods that start in {format_duration(inputs.startup_seconds, to=1)}"
        evidence["restarts"] = f"{format_number(chosen.restarts)} {inputs.spec.cost.currency} once: {pods}"
    for name, used in inputs.usage.items():
        if math.isfinite(used.cpu_p95_cores):
            evidence[f"cpuP95/{name}"] = format_cpu(used.cpu_p95_cores)
        if math.isfinite(used.memory_peak_bytes):
            evidence[f"memoryPeak/{name}"] = format_memory(used.memory_peak_bytes)
    if inputs.scaling is not None and hpa_effect(inputs, chosen):
        evidence["hpaReplicas"] = inputs.scaling.evidence(inputs.workload.containers, chosen.size.containers)
    return evidence


def hpa_effect(inputs: PlanInputs, chosen: Option) -> str:
    """What the plan does to the replicas of an HPA on CPU; empty where there is none or it does nothing to them."""
    if inputs.scaling is None:
        return ""
    return inputs.scaling.effect(inputs.workload.containers, chosen.size.containers)


def reason_for(inputs: PlanInputs, present: Option, chosen: Option, trigger: Trigger) -> str:
    """One sentence that a person understands."""
    unit = f" {inputs.demand.unit}" if inputs.demand.unit else ""
    peak = f"demand of {format_number(max(inputs.demand.peak, inputs.demand.now))}{unit} ({inputs.demand.source})"
    carries = f"{present.replicas} × {format_number(present.capacity)}{unit}"
    what = fields.describe(changes_to(inputs, chosen))
    match trigger:
        case Trigger.COST:
            saved = present.monthly - chosen.monthly
            money = f"{saved:.2f} {inputs.spec.cost.currency} a month"
            return f"{what} still carries {peak} with {inputs.strategy.headroom:.0%} headroom and saves {money}"
        case Trigger.OBJECTIVE:
            return f"{', '.join(inputs.breached)} beyond its threshold: {what}, as {carries} do not carry {peak}"
        case _:
            return f"{peak} needs more than {carries} carry with {inputs.strategy.headroom:.0%} headroom: {what}"


def well_reason(inputs: PlanInputs, need: float, present: Option, best: Option) -> str:
    """Why the present stays; ``best`` is what would cost least if restarts cost nothing."""
    unit = f" {inputs.demand.unit}" if inputs.demand.unit else ""
    carries = f"{present.replicas} × {format_number(present.capacity)}{unit}"
    least = f"{inputs.strategy.min_saving:.0%}"
    well = f"well as it is: {carries} carry the {format_number(need)}{unit} needed"
    if present.monthly and 1 - best.monthly / present.monthly >= inputs.strategy.min_saving:
        what, currency = fields.describe(changes_to(inputs, best)), inputs.spec.cost.currency
        saved, spent = present.monthly - best.monthly, best.restarts_monthly
        often = f"{inputs.spec.guardrails.max_rollouts_per_day} rollouts a day (guardrails.maxRolloutsPerDay)"
        return f"{well}; {what} saves {saved:.2f} {currency} a month, and restarts cost {spent:.2f} at {often}"
    return f"{well}, and nothing saves {least} or more"


def full_reason(inputs: PlanInputs, need: float, present: Option) -> str:
    unit = f" {inputs.demand.unit}" if inputs.demand.unit else ""
    carried = f"{present.replicas} × {format_number(present.capacity)}{unit}"
    return f"{format_number(need)}{unit} are needed, {carried} carried, and the policy's bounds allow no more"
