"""What a workload's history says: data quality, objectives, demand foreseen, capacity a replica, usage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from trimtab.analytics.quality import DataProblem, Quality, plausible
from trimtab.analytics.quality import assess as assess_quality
from trimtab.analytics.seasonality import SeasonFound, seasons
from trimtab.analytics.trend import Trend, trend
from trimtab.domain.choices import ForecastModel, OnNoTraffic
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objectives import Objective
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.status import ObjectiveState
from trimtab.domain.units import format_number
from trimtab.forecasting.forecast import Forecast, NoForecast, forecast
from trimtab.forecasting.state import FittedState
from trimtab.planning.learning import Learned, learn, on_grid
from trimtab.planning.performance_model import PerformanceCurve
from trimtab.planning.rightsizing import Usage

_PROFILE_POINTS: Final = 40
_NO_TRAFFIC_SHARE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Known:
    """What one round leaves to the next, so that not all is learned anew; picklable."""

    fitted: FittedState | None
    learned: Learned


@dataclass(frozen=True, slots=True)
class AssessInputs:
    """One workload's evidence; picklable, so that it can be assessed in a worker process."""

    spec: PolicySpec
    history: WorkloadHistory
    failures: Mapping[str, str]
    """Why a signal could not be read, by signal."""
    now: float
    lead_seconds: float = 0.0
    """How far ahead following looks; the forecast reaches at least as far."""
    partial: bool = False
    """An answer was partial: nothing may be begun on the rest."""
    previous: Known | None = None
    """What the round before learned."""
    baseline_until: float | None = None
    """Curves are learned only from samples before this time: the start of the change on trial."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the evidence says."""

    quality: Quality
    objectives: tuple[ObjectiveState, ...]
    breached: tuple[str, ...]
    unknown: tuple[str, ...]
    """Objectives without a fresh value while there is traffic."""
    trend: Trend | None
    seasons: tuple[SeasonFound, ...]
    forecast: Forecast | NoForecast
    curves: dict[str, PerformanceCurve]
    not_learned: dict[str, str]
    cpu_per_load: float
    """CPU in cores that one unit of load uses; NaN when unknown."""
    usage: dict[str, Usage]
    profile: tuple[float, ...]
    peak_seen: float
    demand: float
    """Demand seen now; NaN when unknown."""
    known: Known = field(repr=False)
    """To be handed to the next round."""


def assess(inputs: AssessInputs) -> Assessment:
    """Everything that decisions rest on, from one workload's history; never raises on odd numbers."""
    quality = _quality(inputs)
    inputs = replace(inputs, history=_plausible(inputs.history))
    spec, history, now = inputs.spec, inputs.history, inputs.now
    states = tuple(_objective_state(objective, history, quality, now, spec) for objective in spec.objectives)
    objectives, before = tuple(spec.objectives), inputs.previous
    learned = before.learned if before is not None else None
    if learned is None or learned.outdated(history, objectives, inputs.baseline_until, now):
        learned = learn(history, objectives, inputs.failures, inputs.baseline_until, now)
    expected, fitted = _forecast(inputs)
    last = history.load.last()
    finite = history.load.values[np.isfinite(history.load.values)]
    enough = finite.size >= 8
    known_seasons = expected.periods if isinstance(expected, Forecast) else seasons(history.load) if enough else ()
    return Assessment(
        quality=quality,
        objectives=states,
        breached=tuple(state.name for state in states if state.state == "Violated"),
        unknown=tuple(state.name for state in states if state.state == "Unknown"),
        trend=found
        if enough and isinstance(found := trend(history.load, [one.period_seconds for one in known_seasons]), Trend)
        else None,
        seasons=known_seasons,
        forecast=expected,
        known=Known(fitted, learned),
        curves=learned.curves,
        not_learned=learned.not_learned,
        cpu_per_load=_cpu_per_load(history),
        usage=_usage(inputs),
        profile=_profile(finite),
        peak_seen=float(finite.max()) if finite.size else math.nan,
        demand=last[1] if last else math.nan,
    )


def _plausible(history: WorkloadHistory) -> WorkloadHistory:
    """The history without values that cannot be, which would spoil all that is learned for as long as it reaches."""
    return replace(
        history,
        load=plausible(history.load),
        cpu_cores={name: plausible(series) for name, series in history.cpu_cores.items()},
        memory_bytes={name: plausible(series) for name, series in history.memory_bytes.items()},
        objectives={name: plausible(series, None) for name, series in history.objectives.items()},
    )


def _quality(inputs: AssessInputs) -> Quality:
    """Quality of the demand, and of the signals that every decision needs beside it."""
    guard = inputs.spec.guardrails
    quality = assess_quality(
        inputs.history.load,
        inputs.now,
        max_age_seconds=guard.max_data_age,
        min_history_seconds=guard.min_history,
    )
    load = "load" if inputs.spec.metrics.load is not None else "cpu"
    failed = [f"{name}: {inputs.failures[name]}" for name in (load, "replicas") if name in inputs.failures]
    if inputs.partial:
        failed.append("Prometheus gave a partial answer")
    if failed and quality.problem is DataProblem.STALE:
        return replace(quality, message=f"{quality.message} {failed[0]}")
    if failed:
        return replace(quality, problem=DataProblem.NO_DATA, message=failed[0])
    return quality


def _objective_state(
    objective: Objective, history: WorkloadHistory, quality: Quality, now: float, spec: PolicySpec
) -> ObjectiveState:
    """An objective as last seen, judged only on fresh data."""
    series = history.objectives.get(objective.name)
    threshold = ("≤ " if objective.max is not None else "≥ ") + format_number(objective.threshold)
    last = series.last() if series is not None else None
    fresh = last is not None and now - last[0] <= spec.guardrails.max_data_age
    if last is not None and fresh:
        value = last[1]
        state = "Violated" if objective.violated(value) else "Met"
        return ObjectiveState(name=objective.name, value=format_number(value), threshold=threshold, state=state)
    idle = quality.ok and (seen := history.load.last()) is not None and seen[1] <= _idle_below(history.load)
    if idle and objective.on_no_traffic is OnNoTraffic.MET:
        return ObjectiveState(name=objective.name, threshold=threshold, state="NoTraffic")
    return ObjectiveState(name=objective.name, threshold=threshold, state="Unknown")


def _idle_below(load: Series) -> float:
    finite = load.values[np.isfinite(load.values)]
    return float(finite.max()) * _NO_TRAFFIC_SHARE if finite.size else 0.0


def _forecast(inputs: AssessInputs) -> tuple[Forecast | NoForecast, FittedState | None]:
    spec = inputs.spec.forecast
    if spec.model is ForecastModel.NONE:
        return NoForecast("spec.forecast.model is None: reactive only"), None
    if inputs.history.load.present == 0:
        return NoForecast("no demand was seen"), None
    found = forecast(
        inputs.history.load,
        now=inputs.now,
        horizon_seconds=max(spec.horizon, inputs.lead_seconds),
        model=spec.model.value,
        confidence=spec.confidence_percent / 100,
        previous=inputs.previous.fitted if inputs.previous is not None else None,
    )
    return found, found.state if isinstance(found, Forecast) else None


def _cpu_per_load(history: WorkloadHistory) -> float:
    """Median of CPU usage over load where there is load."""
    if len(history.load) == 0 or not history.cpu_cores:
        return math.nan
    used = np.sum([on_grid(history.load, series) for series in history.cpu_cores.values()], axis=0)
    load = history.load.values
    busy = np.isfinite(used) & np.isfinite(load) & (load > max(_idle_below(history.load), 0.0)) & (used > 0)
    return float(np.median(used[busy] / load[busy])) if busy.sum() >= 3 else math.nan


def _usage(inputs: AssessInputs) -> dict[str, Usage]:
    """Usage by container; unknown where the newest samples are old or cannot be true."""
    history = inputs.history

    def sound(series: Series | None) -> Series | None:
        if series is None or not len(series):
            return None
        age = inputs.spec.guardrails.max_data_age
        return series if assess_quality(series, inputs.now, max_age_seconds=age, min_history_seconds=0.0).ok else None

    found: dict[str, Usage] = {}
    for name in sorted({*history.cpu_cores, *history.memory_bytes}):
        cpu, memory = sound(history.cpu_cores.get(name)), sound(history.memory_bytes.get(name))
        cpu_p95 = math.nan
        if cpu is not None:
            a_pod = cpu.values / np.maximum(on_grid(cpu, history.replicas), 1.0)
            a_pod = a_pod[np.isfinite(a_pod)]
            cpu_p95 = float(np.quantile(a_pod, 0.95)) if a_pod.size else math.nan
        peak = math.nan
        if memory is not None:
            peak = float(np.nanmax(memory.values))
        found[name] = Usage(cpu_p95, peak)
    return found


def _profile(finite: FloatArray) -> tuple[float, ...]:
    if finite.size == 0:
        return ()
    points = (np.arange(_PROFILE_POINTS) + 0.5) / _PROFILE_POINTS
    return tuple(float(value) for value in np.quantile(finite, points))
