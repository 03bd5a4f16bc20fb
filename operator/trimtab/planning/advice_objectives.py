"""Advice on objectives: broken ones, ones without data, thresholds that say nothing, and SLOs that are not set."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from trimtab.analytics.cold_starts import ColdStart
from trimtab.analytics.gaps import usable
from trimtab.domain.choices import Severity
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.units import format_duration, format_number
from trimtab.planning.advice import Advice, AdviceKind, RecommendInputs, confidence, span_text
from trimtab.planning.changes import amount
from trimtab.planning.evidence import threshold_text
from trimtab.planning.health_scales import margin
from trimtab.planning.learning import on_grid

_DAY: Final = 86400.0
_JUDGED_SECONDS, _JUDGED_SAMPLES = 3 * _DAY, 200
_LOOSE, _LOOSE_STILL = 0.6, 0.5
"""Room that is left at the worst of 1,000 samples, as a share of the threshold."""
_TIGHT, _TIGHT_STILL = 0.5, 0.4
"""Share of the time beyond the threshold, also at low load."""
_SPARE_CPU, _SPARE_LOAD = 0.6, 0.7
_TARGETS: Final = (99.99, 99.95, 99.9, 99.5, 99.0, 98.0, 95.0, 90.0)
_SLOW_START_SECONDS: Final = 60.0


def objective_advice(inputs: RecommendInputs) -> Iterator[Advice]:
    """Advice on each objective, and on having none."""
    if not inputs.spec.objectives:
        yield _none_set(inputs)
    states = {state.name: state.state for state in inputs.states}
    for objective in inputs.spec.objectives:
        series = inputs.history.objectives.get(objective.name)
        state = states.get(objective.name, "")
        if state == "Unknown":
            yield _without_data(inputs, objective, series)
        elif state == "Violated":
            yield _broken(inputs, objective, series)
        if series is not None:
            yield from _threshold(inputs, objective, series)
    yield from _cold_starts(inputs)


def _none_set(inputs: RecommendInputs) -> Advice:
    return Advice(
        AdviceKind.SET_OBJECTIVE,
        "",
        Severity.INFO,
        "Set an objective",
        "No objective is set: nothing says what good is, so no capacity can be learned and no change proved.",
        "0 objectives.",
        "Changes are proved against it, and undone when it breaks. The cost stays as it is.",
        0.0,
        90,
        f"spec.objectives of a PerformancePolicy for {inputs.name}, such as"
        " - {name: latency-p99, query: 'histogram_quantile(0.99, …)', max: 250m}",
    )


def _without_data(inputs: RecommendInputs, objective: Objective, series: Series | None) -> Advice:
    failure = inputs.failures.get(f"objective/{objective.name}", "")
    last = series.last() if series is not None else None
    seen = (
        f"the newest value is {format_duration(max(inputs.now - last[0], 0.0), to=1)} old"
        if last is not None
        else "no value was ever seen"
    )
    return Advice(
        AdviceKind.OBJECTIVE_WITHOUT_DATA,
        objective.name,
        Severity.WARNING,
        f"Mend the query of {objective.name}",
        f"{objective.name} has no fresh value while there is traffic, so nothing can be judged by it.",
        f"{failure or 'The query found nothing'}; {seen}. Query: {objective.query}",
        "Until then replicas are not taken away, and trials end without a verdict.",
        0.0,
        90,
        f"run it in Prometheus with the names filled in, and compare its labels with the workload's: {objective.query}",
    )


def _broken(inputs: RecommendInputs, objective: Objective, series: Series | None) -> Advice:
    last = series.last() if series is not None else None
    value = format_number(last[1]) if last is not None else "unknown"
    bound = threshold_text(objective)
    load, cpu = _load_share(inputs), _cpu_share(inputs)
    shares = [
        text
        for share, text in (
            (load, f"demand is {100 * load:.0f} % of what the replicas carry"),
            (cpu, f"CPU is {100 * cpu:.0f} % of what the pods may use"),
        )
        if math.isfinite(share)
    ]
    spare = load <= _SPARE_LOAD if math.isfinite(load) and inputs.capacity_learned else cpu <= _SPARE_CPU
    if math.isfinite(load) and load > 1.0:
        spare = False
    evidence = "; ".join([f"{objective.name} is {value}, threshold {bound}", *shares]) + "."
    severity = Severity.CRITICAL if objective.critical else Severity.WARNING
    if inputs.not_capacity or spare:
        return Advice(
            AdviceKind.NOT_CAPACITY,
            objective.name,
            severity,
            f"Look beyond capacity for what breaks {objective.name}",
            f"{objective.name} is broken, and not for lack of capacity"
            + (": replicas that were added did not mend it." if inputs.not_capacity else ": there is room to spare."),
            evidence,
            "More replicas would cost and not help. Usual causes are a dependency, a deploy, or a lock.",
            0.0,
            confidence(series, _DAY, 0.9 if inputs.not_capacity else 0.7),
            f"compare with the last rollout (kubectl rollout history {inputs.target}) and with the latencies of what"
            " it calls; trimtab undo takes back the last change that was kept",
        )
    return Advice(
        AdviceKind.OBJECTIVE_BREACHED,
        objective.name,
        severity,
        f"{objective.name} is broken",
        f"{objective.name} is {value} against a threshold of {bound}.",
        evidence,
        "More capacity helps where load is what breaks it; following adds replicas by itself in mode Auto.",
        0.0,
        confidence(series, _DAY, 0.6),
        "see the advice on replicas and sizes; in mode Auto Trimtab adds replicas and says NotCapacity if that fails",
    )


def _load_share(inputs: RecommendInputs) -> float:
    last, carried = inputs.history.load.last(), inputs.capacity_per_replica * inputs.replicas
    return last[1] / carried if last is not None and math.isfinite(carried) and carried > 0 else math.nan


def _cpu_share(inputs: RecommendInputs) -> float:
    """Largest use of what a container may use, of those whose size and usage are known."""
    shares = []
    for size in inputs.containers:
        used, may_use = inputs.usage.get(size.name), amount(size.limits.cpu) or amount(size.requests.cpu)
        if used is not None and math.isfinite(used.cpu_p95_cores) and may_use > 0:
            shares.append(used.cpu_p95_cores / may_use)
    return max(shares, default=math.nan)


def _threshold(inputs: RecommendInputs, objective: Objective, series: Series) -> Iterator[Advice]:
    """Whether the threshold says anything: never near, always broken, or without a share of time to hold it for."""
    values = usable(series.values)
    present = values[np.isfinite(values)]
    if present.size < _JUDGED_SAMPLES or present.size * series.step_seconds < _JUDGED_SECONDS:
        return
    upper = objective.max is not None
    share = float(objective.beyond(present).mean())
    worst = float(np.quantile(present, 0.999 if upper else 0.001))
    room = margin(objective, worst)
    loose, tight = AdviceKind.OBJECTIVE_TOO_LOOSE, AdviceKind.OBJECTIVE_TOO_TIGHT
    evidence = (
        f"Of {present.size} samples over {span_text(series)} {100 * share:.1f} % were beyond"
        f" {format_number(objective.threshold)}; the worst in 1,000 was {format_number(worst)}."
    )
    sure = confidence(series, 7 * _DAY)
    field = f"spec.objectives[{objective.name}].{'max' if upper else 'min'}"
    if room > (_LOOSE_STILL if inputs.kept(loose, objective.name) else _LOOSE):
        closer = _with_room(objective, worst, 0.25)
        yield Advice(
            loose,
            objective.name,
            Severity.INFO,
            f"Tighten {objective.name} to {closer}",
            f"{objective.name} was never near its threshold: at its worst {100 * room:.0f} % of the way is left, so it"
            " lets almost anything pass.",
            evidence,
            "Trials and following notice a regression before users do. The cost may rise with what is asked.",
            0.0,
            sure,
            f'{field}: "{closer}"',
        )
    elif share > (_TIGHT_STILL if inputs.kept(tight, objective.name) else _TIGHT) and _also_idle(
        inputs, objective, series
    ):
        reached = _with_room(objective, float(np.quantile(present, 0.95 if upper else 0.05)), 0.1)
        yield Advice(
            tight,
            objective.name,
            Severity.INFO,
            f"{objective.name} cannot be held: set it to {reached}, or mend the service",
            f"{objective.name} is beyond its threshold {100 * share:.0f} % of the time, at low load as well: capacity"
            " cannot mend it.",
            evidence,
            "Alerts speak of what changed instead of what always is. The cost stays as it is.",
            0.0,
            sure,
            f'{field}: "{reached}"',
        )
    elif objective.slo is None and share <= 0.1:
        target = next((one for one in _TARGETS if 100.0 * (1.0 - share) >= one + 0.3 * (100.0 - one)), 90.0)
        yield Advice(
            AdviceKind.SET_SLO,
            objective.name,
            Severity.INFO,
            f"Set an SLO of {target:g} % for {objective.name}",
            f"{objective.name} held {100 * (1 - share):.2f} % of the time, and no SLO says how much is enough.",
            evidence,
            "It gives an error budget, burn rates and early warnings. The cost stays as it is.",
            0.0,
            sure,
            f'spec.objectives[{objective.name}].slo: {{targetPercent: "{target:g}", window: 720h}}',
        )


def _with_room(objective: Objective, value: float, share: float) -> str:
    """A threshold that leaves ``share`` of itself between it and ``value``; of the loss for a share of 1 or 100."""
    if objective.max is not None:
        return format_number(value * (1.0 + share)) if value > 0 else format_number(objective.max / 10.0)
    for full in (1.0, 100.0):
        if 0.5 * full < objective.threshold < full:
            return format_number(full - max((full - value) * (1.0 + share), 1e-4 * full), 6)
    return format_number(value / (1.0 + share)) if value > 0 else format_number(value)


def _also_idle(inputs: RecommendInputs, objective: Objective, series: Series) -> bool:
    """Whether it is broken at low load as well: in the quarter of the samples with the least load."""
    load: FloatArray = on_grid(series, inputs.history.load)
    both = np.isfinite(load) & np.isfinite(usable(series.values))
    if both.sum() < _JUDGED_SAMPLES:
        return True
    calm = series.values[both & (load <= np.quantile(load[both], 0.25))]
    return bool(objective.beyond(calm).mean() >= _TIGHT_STILL)


def _cold_starts(inputs: RecommendInputs) -> Iterator[Advice]:
    found = inputs.patterns.cold_starts if inputs.patterns is not None else ()
    for one in found if isinstance(found, tuple) else ():
        if one.violations * 2 > one.wakes or one.duration_seconds >= _SLOW_START_SECONDS:
            yield _cold_start(inputs, one)


def _cold_start(inputs: RecommendInputs, one: ColdStart) -> Advice:
    lead = format_duration(math.ceil(one.duration_seconds / 60.0) * 60.0)
    return Advice(
        AdviceKind.COLD_START,
        one.objective,
        Severity.WARNING if one.violations else Severity.INFO,
        f"Warm {inputs.target} up before load comes",
        f"{one.objective} takes {format_duration(one.duration_seconds, to=1)} to settle after idleness.",
        one.message,
        f"{one.objective} holds from the first request on, where it was {format_number(one.worst)}. The cost of idle"
        f" hours grows by {lead} a day.",
        0.0,
        confidence(inputs.history.objectives.get(one.objective), 7 * _DAY, min(1.0, 0.4 + one.cold / 10.0)),
        f"scale up {lead} before the first load of the day, or send synthetic requests from a readiness probe",
    )
