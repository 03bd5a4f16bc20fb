"""What a workload's history says: data quality, objectives, demand foreseen, capacity a replica, usage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from trimtab.analytics.quality import Quality
from trimtab.analytics.seasonality import SeasonFound, seasons
from trimtab.analytics.trend import Trend, trend
from trimtab.domain.choices import ForecastModel
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.status import ObjectiveState
from trimtab.forecasting.forecast import Forecast, NoForecast, forecast
from trimtab.forecasting.state import FittedState
from trimtab.planning.evidence import cpu_per_load, objective_state, plausible_history, profile_of, quality_of, usage_of
from trimtab.planning.learning import Learned, learn
from trimtab.planning.performance_model import PerformanceCurve
from trimtab.planning.rightsizing import Usage


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
    quality = quality_of(inputs.spec, inputs.history, inputs.failures, inputs.now, partial=inputs.partial)
    inputs = replace(inputs, history=plausible_history(inputs.history))
    spec, history, now = inputs.spec, inputs.history, inputs.now
    states = tuple(objective_state(objective, history, quality, now, spec) for objective in spec.objectives)
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
        cpu_per_load=cpu_per_load(history),
        usage=usage_of(spec, history, now),
        profile=profile_of(finite),
        peak_seen=float(finite.max()) if finite.size else math.nan,
        demand=last[1] if last else math.nan,
    )


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
