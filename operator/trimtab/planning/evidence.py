"""Evidence: what a workload's history says by itself, before anything is foreseen or planned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from trimtab.analytics.quality import BELIEVABLE_FACTOR, DataProblem, Quality, plausible
from trimtab.analytics.quality import assess as assess_quality
from trimtab.domain.choices import OnNoTraffic
from trimtab.domain.history import LISTED_PODS, Coverage, WorkloadHistory
from trimtab.domain.objectives import Objective
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.status import ObjectiveState
from trimtab.domain.units import format_number
from trimtab.planning.learning import of_version, on_grid
from trimtab.planning.rightsizing import Usage

STILL_SEEN: Final = (None, DataProblem.PODS_MISSING, DataProblem.SHORT_HISTORY, DataProblem.GAPS)
"""Problems that keep runs from starting and leave a demand that is seen now, for following to go by."""
_BY_CONTAINER: Final[Mapping[str, Callable[[WorkloadHistory], Mapping[str, Series]]]] = {
    "cpu": lambda history: history.cpu_cores,
    "memory": lambda history: history.memory_bytes,
}
COUNTED_BEFORE: Final = 12
"""Windows up to a time within which pods must have been counted once for it to matter that they are not again: what is
said of a time must not depend on how much is known from before or after it."""
NOT_LISTED: Final = "ready pods are not told of by kube-state-metrics"
_PROFILE_POINTS: Final = 40
_NO_TRAFFIC_SHARE: Final = 1e-3


def plausible_history(history: WorkloadHistory, objectives: Sequence[Objective] = ()) -> WorkloadHistory:
    """The history without values that cannot be, which would spoil all that is learned for as long as it reaches."""
    known = {objective.name: objective for objective in objectives}
    return replace(
        history,
        load=plausible(history.load),
        cpu_cores={name: plausible(series) for name, series in history.cpu_cores.items()},
        memory_bytes={name: plausible(series) for name, series in history.memory_bytes.items()},
        objectives={
            name: believable(known[name], series) if name in known else plausible(series, None)
            for name, series in history.objectives.items()
        },
    )


def believable(objective: Objective, series: Series) -> Series:
    """An objective's values without those that cannot be.

    These are the infinite ones, and those whose size is more than a million times the threshold: a latency of 250 ms at
    most is never 70 hours, however often that is read. Where large is good (``min``) or the threshold is 0, the median
    of what was seen counts too.
    """
    series = plausible(series, None)
    sizes = np.abs(series.values[np.isfinite(series.values)])
    scale = abs(objective.threshold)
    if objective.max is None or scale == 0.0:
        scale = max(scale, float(np.median(sizes)) if sizes.size else 0.0)
    largest = BELIEVABLE_FACTOR * scale
    if not largest > 0.0 or not (sizes > largest).any():
        return series
    return replace(series, values=np.where(np.abs(series.values) > largest, np.nan, series.values))


def quality_of(
    spec: PolicySpec,
    history: WorkloadHistory,
    failures: Mapping[str, str],
    now: float,
    *,
    partial: bool,
    clusters: str = "",
) -> Quality:
    """Quality of the demand, and of the signals that every decision needs beside it.

    ``failures`` says why a signal could not be read, ``partial`` that an answer was, ``clusters`` that several clusters
    are in it.
    """
    guard = spec.guardrails
    quality = assess_quality(
        history.load,
        now,
        max_age_seconds=guard.max_data_age,
        min_history_seconds=guard.min_history,
    )
    if quality.problem is DataProblem.STALE:
        quality = replace(quality, message=f"{quality.message.rstrip('.')} (spec.guardrails.maxDataAge).")
    if clusters:
        return replace(quality, problem=DataProblem.SEVERAL_CLUSTERS, message=clusters)
    load = "load" if spec.metrics.load is not None else "cpu"
    failed = [f"{name}: {failures[name]}" for name in (load, "replicas") if name in failures]
    if partial:
        failed.append("Prometheus gave a partial answer")
    if failed and quality.problem is DataProblem.STALE:
        return replace(quality, message=f"{quality.message} {failed[0]}")
    if failed:
        return replace(quality, problem=DataProblem.NO_DATA, message=failed[0])
    if quality.problem in STILL_SEEN and (missing := pods_missing(history, failures, now)):
        return replace(quality, problem=DataProblem.PODS_MISSING, message=f"{missing}: nothing is removed.")
    return quality


def pods_missing(history: WorkloadHistory, failures: Mapping[str, str], now: float) -> str:
    """Which signals speak for a part of the pods only, or may do so; empty where none does.

    What is missing counts as nothing, so that more may be asked for by what is seen, as with the HPA, and never less.
    """
    told = []
    for name, coverage in history.coverage.items():
        if name in _BY_CONTAINER and not any(one.present for one in _BY_CONTAINER[name](history).values()):
            continue  # nothing was ever read of it: no exporter shows it
        if (missing := coverage.missing(now)) is not None:
            what = NOT_LISTED if name == LISTED_PODS else f"pods have no samples of {name}"
            told.append(f"{missing[0]} of {missing[1]} {what}")
        elif name != LISTED_PODS and _not_counted_again(coverage, history.replicas, now):
            told.append(f"after a gap in the metrics, it is not known yet how many pods have samples of {name}")
    unread = next((why for name, why in failures.items() if name.split("/")[0] == "pods"), "")
    if unread and not told:
        told.append(f"how many pods have samples could not be read: {unread}")
    return ", ".join(told)


def _not_counted_again(coverage: Coverage, replicas: Series, time: float) -> bool:
    """Whether pods were counted before a gap in all that is known of them, and are not yet: that takes two windows.

    Without a gap no pod has been ready for long enough, as after a deploy, and there is nothing to compare with.
    """
    window, half = coverage.window_seconds, coverage.ready.step_seconds / 2
    counted = coverage.ready.between(time - window + half, time).present
    before = coverage.ready.between(time - COUNTED_BEFORE * window + half, time).present
    lately = replicas.between(time - 3 * window + half, time).values
    came_back = bool(np.isfinite(lately[-1:]).any() and np.isnan(lately).any())
    return before > 0 and not counted and came_back


def uncounted(spec: PolicySpec, history: WorkloadHistory) -> tuple[str, ...]:
    """Signals of which it is not known how many pods they speak for; empty where pods are not counted at all."""
    names = ["load" if spec.metrics.load is not None else "cpu", *(f"objective/{one.name}" for one in spec.objectives)]
    return tuple(name.removeprefix("objective/") for name in names if name not in history.coverage)


def objective_state(
    objective: Objective, history: WorkloadHistory, quality: Quality, now: float, spec: PolicySpec
) -> ObjectiveState:
    """An objective as last seen, judged only on fresh data; Unknown, with its value, where it cannot be.

    ``history`` is that which was read.
    """
    series = history.objectives.get(objective.name)
    threshold = threshold_text(objective)
    last = series.last() if series is not None else None
    fresh = last is not None and now - last[0] <= spec.guardrails.max_data_age
    if series is not None and last is not None and fresh:
        value = last[1]
        if believable(objective, series).last() != last:
            return ObjectiveState(name=objective.name, value=format_number(value), threshold=threshold, state="Unknown")
        state = "Violated" if objective.violated(value) else "Met"
        return ObjectiveState(name=objective.name, value=format_number(value), threshold=threshold, state=state)
    idle = quality.ok and (seen := history.load.last()) is not None and seen[1] <= idle_below(history.load)
    if idle and objective.on_no_traffic is OnNoTraffic.MET:
        return ObjectiveState(name=objective.name, threshold=threshold, state="NoTraffic")
    return ObjectiveState(name=objective.name, threshold=threshold, state="Unknown")


def threshold_text(objective: Objective) -> str:
    """The threshold with its side."""
    return f"{'≤' if objective.max is not None else '≥'} {format_number(objective.threshold)}"


def idle_below(load: Series) -> float:
    """Load at or below which a workload counts as idle: a thousandth of the largest seen."""
    finite = load.values[np.isfinite(load.values)]
    return float(finite.max()) * _NO_TRAFFIC_SHARE if finite.size else 0.0


def cpu_per_load(history: WorkloadHistory, since: float | None = None) -> float:
    """Median of CPU usage over load where there is load, from ``since`` on (None: all)."""
    of_load = history.load if since is None or len(history.load) == 0 else of_version(history.load, since)
    if len(of_load) == 0 or not history.cpu_cores:
        return math.nan
    used = np.sum([on_grid(of_load, series) for series in history.cpu_cores.values()], axis=0)
    load = of_load.values
    busy = np.isfinite(used) & np.isfinite(load) & (load > max(idle_below(history.load), 0.0)) & (used > 0)
    return float(np.median(used[busy] / load[busy])) if busy.sum() >= 3 else math.nan


def usage_of(spec: PolicySpec, history: WorkloadHistory, now: float) -> dict[str, Usage]:
    """Usage by container; unknown where the newest samples are old or cannot be true."""

    def sound(series: Series | None) -> Series | None:
        if series is None or not len(series):
            return None
        age = spec.guardrails.max_data_age
        return series if assess_quality(series, now, max_age_seconds=age, min_history_seconds=0.0).ok else None

    found: dict[str, Usage] = {}
    for name in sorted({*history.cpu_cores, *history.memory_bytes}):
        cpu, memory = sound(history.cpu_cores.get(name)), sound(history.memory_bytes.get(name))
        cpu_p95 = cpu_now = math.nan
        if cpu is not None:
            a_pod = cpu.values / np.maximum(on_grid(cpu, history.replicas), 1.0)
            a_pod = a_pod[np.isfinite(a_pod)]
            cpu_p95 = float(np.quantile(a_pod, 0.95)) if a_pod.size else math.nan
            last = cpu.last()
            cpu_now = last[1] if last is not None else math.nan
        peak, known = math.nan, 0.0
        if memory is not None:
            peak = float(np.nanmax(memory.values))
            known = now - float(memory.times[np.isfinite(memory.values)][0]) + memory.step_seconds
        found[name] = Usage(cpu_p95, peak, known, cpu_now)
    return found


def profile_of(finite: FloatArray) -> tuple[float, ...]:
    """Forty quantiles of the demand, in ascending order; empty without any."""
    if finite.size == 0:
        return ()
    points = (np.arange(_PROFILE_POINTS) + 0.5) / _PROFILE_POINTS
    return tuple(float(value) for value in np.quantile(finite, points))
