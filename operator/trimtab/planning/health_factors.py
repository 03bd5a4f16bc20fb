"""Factors of the health score: each finding on its scale, with its weight, its ceiling and a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.analytics.quality import LARGEST_MAGNITUDE
from trimtab.analytics.trend import Direction, Trend
from trimtab.domain.choices import Severity
from trimtab.domain.objectives import Objective
from trimtab.domain.series import Series
from trimtab.domain.status import ObjectiveState
from trimtab.domain.units import format_cpu, format_duration, format_memory, format_number, parse_quantity
from trimtab.planning import health_scales as scales
from trimtab.planning.changes import amount
from trimtab.planning.rightsizing import Usage

if TYPE_CHECKING:
    from trimtab.planning.health import HealthInputs

OBJECTIVES: Final = 40.0
"""Weight of all objectives together; each has its share by its own weight, critical ones twice."""
WEIGHTS: Final = {
    "error-budget": 10.0,
    "cpu": 8.0,
    "memory": 12.0,
    "headroom": 10.0,
    "anomalies": 6.0,
    "trend": 5.0,
    "data": 5.0,
    "forecast": 3.0,
    "stability": 3.0,
    "cost": 3.0,
}
FLOORS: Final = {
    "error-budget": 50.0,
    "cpu": 60.0,
    "memory": 40.0,
    "headroom": 50.0,
    "anomalies": 70.0,
    "trend": 70.0,
    "data": 60.0,
}
"""Highest score of the workload while the factor is 0; the ceiling rises with the factor to 100."""
_BROKEN_FLOOR, _CRITICAL_FLOOR = 30.0, 0.0
_BROKEN_CEILING, _CRITICAL_CEILING = 60.0, 30.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A factor that is known."""

    name: str
    score: float
    weight: float
    reason: str
    ceiling: float = 100.0
    """Highest score of the workload with this factor."""
    substantial: bool = False
    """Whether it alone says something of how well the workload is."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A factor that is not known."""

    text: str
    """What, and why."""
    weight: float


def judge(inputs: HealthInputs) -> list[Judged | Missing]:
    """All factors, in a fixed order."""
    return [
        *_objectives(inputs),
        *_budget(inputs),
        *_resources(inputs),
        _headroom(inputs),
        _trend(inputs),
        _anomalies(inputs),
        _data(inputs),
        _forecast(inputs),
        _stability(inputs),
        _cost(inputs),
    ]


def _judged(name: str, score: float, reason: str, *, substantial: bool = False) -> Judged:
    floor = FLOORS.get(name, 100.0)
    ceiling = floor + (100.0 - floor) * score / 100.0
    return Judged(name, score, WEIGHTS[name], reason, ceiling, substantial)


def _missing(name: str, why: str) -> Missing:
    return Missing(f"{name}: {why}", WEIGHTS[name])


def _objectives(inputs: HealthInputs) -> Iterator[Judged | Missing]:
    if not inputs.objectives:
        yield Missing("objectives: none are set, so nothing says what good is", OBJECTIVES)
        return
    states = {state.name: state for state in inputs.states}
    whole = sum(_importance(one) for one in inputs.objectives)
    for objective in inputs.objectives:
        weight = OBJECTIVES * _importance(objective) / whole
        yield _objective(inputs, objective, states.get(objective.name), weight)


def _importance(objective: Objective) -> float:
    return objective.weight * (2.0 if objective.critical else 1.0)


def _objective(
    inputs: HealthInputs, objective: Objective, state: ObjectiveState | None, weight: float
) -> Judged | Missing:
    name, series = objective.name, inputs.values.get(objective.name)
    if state is None or state.state == "Unknown":
        why = inputs.failures.get(f"objective/{name}") or f"no fresh value of {objective.query}"
        return Missing(f"{name}: {why}", weight)
    broken = scales.broken_share(objective, series, inputs.now)
    allowed = 1.0 - objective.slo.target_percent / 100.0 if objective.slo is not None else 0.05
    lately = scales.on(scales.BROKEN_TIME, broken / allowed) if math.isfinite(broken) else math.nan
    beyond = f"; beyond it {100 * broken:.1f} % of the last 24 hours" if math.isfinite(broken) else ""
    if state.state == "NoTraffic":
        score = 0.7 * 100.0 + 0.3 * lately if math.isfinite(lately) else 100.0
        return Judged(name, score, weight, f"{name} has no traffic to judge it by{beyond}.", substantial=True)
    value = _value(state, series)
    room = scales.margin(objective, value) if math.isfinite(value) else math.nan
    violated = state.state == "Violated"
    if not math.isfinite(room):
        room = -0.25 if violated else 0.2
    room = min(room, -1e-9) if violated else max(room, 0.0)
    score = scales.on(scales.MARGIN, room)
    score = 0.7 * score + 0.3 * lately if math.isfinite(lately) else score
    floor, ceiling = (_CRITICAL_FLOOR, _CRITICAL_CEILING) if objective.critical else (_BROKEN_FLOOR, _BROKEN_CEILING)
    ceiling = floor + (ceiling - floor) * scales.on(scales.MARGIN, room) / 40.0 if violated else 100.0
    said = f"{name} is {format_number(value) or state.value}, threshold {state.threshold.strip() or 'unknown'}"
    side = "beyond it by" if violated else "within it by"
    reason = f"{said}: {side} {abs(100 * room):.0f} %{beyond}."
    return Judged(name, score, weight, reason, ceiling, substantial=True)


def _value(state: ObjectiveState, series: Series | None) -> float:
    """The value that was judged: the newest of the series, which has all its digits, else the one that is told."""
    if series is not None and (last := series.last()) is not None:
        return last[1]
    try:
        return parse_quantity(state.value)
    except ValueError:
        return math.nan


def _budget(inputs: HealthInputs) -> Iterator[Judged | Missing]:
    wanted = [one.name for one in inputs.objectives if one.slo is not None]
    known = [one for one in inputs.budgets if math.isfinite(one.remaining_percent)]
    if known:
        worst = min(known, key=lambda one: (one.remaining_percent, one.objective))
        score = scales.on(scales.BUDGET, worst.remaining_percent)
        yield _judged(
            "error-budget", score, f"{worst.objective} has {worst.remaining_percent:.0f} % of its error budget left."
        )
    elif wanted:
        yield _missing("error-budget", f"nothing is known yet of the budget of {', '.join(wanted)}")


def _resources(inputs: HealthInputs) -> Iterator[Judged | Missing]:
    for name in ("cpu", "memory"):
        found = list(_use(inputs, name))
        if found:
            score, reason = min(found)
            yield _judged(name, score, reason, substantial=True)
        else:
            why = inputs.failures.get(name) or _why_unused(inputs, name)
            yield _missing(name, why)


def _why_unused(inputs: HealthInputs, resource: str) -> str:
    if not inputs.containers:
        return "the containers' sizes are not known"
    measured = [name for name, usage in inputs.usage.items() if math.isfinite(_used(usage, resource))]
    return "neither requests nor limits are set" if measured else "no usage was seen"


def _used(usage: Usage | None, resource: str) -> float:
    if usage is None:
        return math.nan
    return usage.cpu_p95_cores if resource == "cpu" else usage.memory_peak_bytes


def _use(inputs: HealthInputs, resource: str) -> Iterator[tuple[float, str]]:
    """(score, reason) of each container whose usage and size are known."""
    write = format_cpu if resource == "cpu" else format_memory
    by_limit, by_request = (
        (scales.CPU_OF_LIMIT, scales.CPU_OF_REQUEST)
        if resource == "cpu"
        else (scales.MEMORY_OF_LIMIT, scales.MEMORY_OF_REQUEST)
    )
    what = "CPU (95th percentile)" if resource == "cpu" else "memory (peak)"
    for size in inputs.containers:
        used = _used(inputs.usage.get(size.name), resource)
        limit, request = (amount(getattr(part, resource)) for part in (size.limits, size.requests))
        if not 0.0 <= used <= LARGEST_MAGNITUDE:
            continue
        for bound, word, points in ((limit, "limit", by_limit), (request, "request", by_request)):
            if bound > 0.0:
                share = used / bound
                yield (
                    scales.on(points, share),
                    f"{what} of {size.name} is {write(used)}, {100 * share:.0f} % of its {word} of {write(bound)}.",
                )


def _headroom(inputs: HealthInputs) -> Judged | Missing:
    if not (math.isfinite(inputs.capacity) and inputs.capacity > 0.0):
        return _missing("headroom", "what the replicas carry is not known")
    needs = [value for value in (inputs.demand, inputs.peak_ahead) if math.isfinite(value)]
    if not needs:
        return _missing("headroom", inputs.failures.get("load") or "no demand was seen")
    need = max(needs)
    share = need / inputs.capacity
    what = "demand" if need == inputs.demand else "the peak ahead"
    unit = f" {inputs.unit}" if inputs.unit else ""
    reason = (
        f"{what[0].upper()}{what[1:]} of {format_number(need)}{unit} is {100 * share:.0f} % of what the replicas carry"
        f" ({format_number(inputs.capacity)}{unit})."
    )
    return _judged("headroom", scales.on(scales.HEADROOM, share), reason, substantial=True)


def _trend(inputs: HealthInputs) -> Judged | Missing:
    """How long until a limit is met, by the trend of the demand or by an early warning."""
    hours: list[tuple[float, str]] = []
    known = bool(inputs.warnings)
    if isinstance(inputs.trend, Trend) and math.isfinite(inputs.capacity) and math.isfinite(inputs.demand):
        known = True
        slope = inputs.trend.slope_per_hour
        if inputs.trend.direction is Direction.RISING and slope > 0.0:
            left = max(inputs.capacity - inputs.demand, 0.0) / slope
            hours.append((left, f"Demand rises and meets what the replicas carry in {_hours(left)}."))
    for warning in inputs.warnings:
        left = max(warning.seconds_to_breach, 0.0) / 3600.0
        sure = max(warning.confidence_percent, 1) / 100.0
        hours.append((left / sure, f"{warning.objective} is likely to break in {_hours(left)}."))
    if not known:
        return _missing("trend", "no trend and no limit that it could meet are known")
    if not hours:
        return _judged("trend", 100.0, "Nothing moves towards a limit.")
    left, reason = min(hours)
    return _judged("trend", scales.on(scales.LOG_HOURS_LEFT, math.log(max(left, 1.0))), reason)


def _hours(hours: float) -> str:
    if hours > 24 * 365:
        return "more than a year"
    return format_duration(max(round(hours * 60.0), 1) * 60.0) if hours < 48 else f"{hours / 24:.0f} days"


def _anomalies(inputs: HealthInputs) -> Judged | Missing:
    if inputs.anomalies is None:
        return _missing("anomalies", "nobody looked for any")
    score = scales.anomalies_score(inputs.anomalies)
    if not inputs.anomalies:
        return _judged("anomalies", score, "Nothing unusual is going on.")
    order = list(Severity)
    worst = max(inputs.anomalies, key=lambda one: (order.index(one.severity), one.score, one.signal))
    count = len(inputs.anomalies)
    others = f", and {count - 1} more" if count > 1 else ""
    return _judged(
        "anomalies", score, f"{worst.signal} shows a {worst.kind.value} ({worst.severity.value.lower()}){others}."
    )


def _data(inputs: HealthInputs) -> Judged | Missing:
    if inputs.quality is None:
        return _missing("data", "the quality of the data was not judged")
    return _judged("data", scales.quality_score(inputs.quality), inputs.quality.message)


def _forecast(inputs: HealthInputs) -> Judged | Missing:
    if inputs.forecast_reliable is None and not inputs.drift:
        return _missing("forecast", "there is none")
    score, reason = 100.0, "The forecast is reliable."
    if inputs.forecast_reliable is False:
        score, reason = 60.0, "The forecast is not reliable; capacity follows what is seen."
    drifting = {"Warning": 80.0, "Recovering": 80.0, "Drifted": 40.0}.get(inputs.drift, 100.0)
    if drifting < score:
        score, reason = drifting, f"The demand no longer behaves as it was learned ({inputs.drift})."
    return _judged("forecast", score, reason)


def _stability(inputs: HealthInputs) -> Judged | Missing:
    steps = inputs.scale_steps_a_day
    if not (math.isfinite(steps) and steps >= 0.0):
        return _missing("stability", "scale steps were not counted")
    score = scales.on(scales.LOG_STEPS, math.log(max(steps, 1.0)))
    return _judged("stability", score, f"Replicas changed {steps:.0f} times a day.")


def _cost(inputs: HealthInputs) -> Judged | Missing:
    now, needed = inputs.monthly_cost, inputs.needed_monthly_cost
    if not (math.isfinite(now) and math.isfinite(needed) and now > 0.0 and needed >= 0.0):
        return _missing("cost", "what is needed, or its price, is not known")
    share = needed / now
    return _judged("cost", scales.on(scales.EFFICIENCY, share), f"{100 * min(share, 1.0):.0f} % of the cost is needed.")
