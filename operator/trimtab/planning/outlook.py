"""Outlook: what lies ahead of one workload, from the next minutes to the next months. Pure, about 4 ms a round.

The demand is drawn as many courses, each meets the replicas that following will have set by then, and each objective is
what its learned curve makes of that, with what the curve does not explain on top (see the ``outlook_*`` modules).
Counting courses gives the probability that objectives hold, the time to a breach, and the expected margin. Error
budgets look back over the SLO's window, the capacity plan months ahead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.forecasting.burn_rates import BudgetLedger, ErrorBudget
from trimtab.forecasting.capacity_plan import CapacityPlan, NoCapacityPlan, Operating, PodSize, Room, plan
from trimtab.forecasting.daily_peaks import DailyPeaks, NoPeakTrend, PeakTrend, peak_trend
from trimtab.forecasting.early_warning import Alertness, EarlyWarning
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.forecasting.reliability import (
    Diagram,
    Issued,
    NoPerformance,
    NoReliability,
    Performance,
    Reliability,
    performance,
    reliability,
)
from trimtab.planning.learning import on_grid
from trimtab.planning.options import follows_by_itself
from trimtab.planning.outlook_departure import Promises, departed
from trimtab.planning.outlook_load import COURSES, Following, Grid, grid, load_courses, replica_courses
from trimtab.planning.outlook_objectives import MOST_CORES, DemandAhead, ObjectiveAhead, objective_ahead
from trimtab.planning.outlook_residuals import Background
from trimtab.planning.outlook_warnings import early_warnings, error_budgets, holding, track_record
from trimtab.planning.performance_curve import PerformanceCurve
from trimtab.planning.strategies import STRATEGIES

_Kept = TypeVar("_Kept")

PLAN_SECONDS = 3600.0
"""Daily peaks are fitted anew so often."""


@dataclass(frozen=True, slots=True, eq=False)
class OutlookRecords:
    """What took weeks to gather; it is stored by itself, so that a change of the other state does not cost it.

    At most 20 kB an objective and 5 kB beside.
    """

    budgets: dict[str, BudgetLedger] = field(default_factory=dict)
    diagram: Diagram = field(default_factory=Diagram)
    peaks: DailyPeaks = field(default_factory=DailyPeaks)


@dataclass(frozen=True, slots=True, eq=False)
class OutlookState:
    """What else one outlook leaves to the next; at most 5 kB an objective and 2 kB beside."""

    backgrounds: dict[str, Background] = field(default_factory=dict)
    alertness: dict[str, Alertness] = field(default_factory=dict)
    issued: dict[str, Issued] = field(default_factory=dict)
    trend: PeakTrend | None = None
    promises: Promises = field(default_factory=Promises)


@dataclass(frozen=True, slots=True)
class OutlookInputs:
    """One workload's evidence; picklable."""

    spec: PolicySpec
    history: WorkloadHistory
    forecast: Forecast | NoForecast
    """Of the load."""
    curves: Mapping[str, PerformanceCurve]
    replicas: int
    """Ready now."""
    pod: PodSize
    startup_seconds: float
    now: float
    room: Room = field(default_factory=Room)
    capacity_per_replica: float = math.nan
    """Load that a replica is given at the operating point. NaN: the largest load a replica that was common (95th
    percentile)."""
    previous: OutlookState | None = None
    records: OutlookRecords | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What lies ahead."""

    warnings: tuple[EarlyWarning, ...]
    """The soonest first."""
    budgets: tuple[ErrorBudget, ...]
    """Of the objectives with an SLO, in the order of the policy."""
    reliability: Reliability | NoReliability
    performance: Performance | NoPerformance
    capacity: CapacityPlan | NoCapacityPlan
    unknown: dict[str, str]
    """Why an objective is not foreseen, or has no error budget, by its name."""
    state: OutlookState = field(repr=False)
    """To be handed to the next round, as are the records."""
    records: OutlookRecords = field(repr=False)


def look_ahead(inputs: OutlookInputs) -> Outlook:
    """Everything ahead of one workload; never raises on odd numbers."""
    spec, history, now = inputs.spec, inputs.history, inputs.now
    before, gathered = inputs.previous or OutlookState(), inputs.records or OutlookRecords()
    unknown: dict[str, str] = {}
    ledgers, budgets = error_budgets(spec.objectives, history, gathered.budgets, now, unknown)
    operating = _operating(inputs)
    points = grid(inputs.forecast, now, history.load.step_seconds, spec.forecast.horizon)
    ahead = _objectives(inputs, before, operating, points, unknown)
    diagram, issued = track_record(gathered.diagram, before.issued, history, ahead, points, now)
    warnings, alertness = early_warnings(ahead, budgets, before.alertness, diagram, points, now)
    peaks = gathered.peaks.add(history.load, now)
    fitted = _trend(inputs, before, peaks)
    held = {one.objective.name: holding(one, points) for one in ahead}
    lost = {objective.name for objective in spec.objectives} - held.keys()
    reason = next(iter(unknown.values()), "the policy has no objectives")
    return Outlook(
        warnings=warnings,
        budgets=budgets,
        reliability=reliability(held, diagram, float(points.ahead_seconds[-1]), reason),
        performance=performance([one.margin for one in ahead], reason),
        capacity=plan(fitted, operating, inputs.room, history.load.unit, now),
        unknown=unknown,
        records=OutlookRecords(budgets=ledgers, diagram=diagram, peaks=peaks),
        state=OutlookState(
            backgrounds=_kept(before.backgrounds, lost) | {one.objective.name: one.background for one in ahead},
            alertness=_kept(before.alertness, lost) | alertness,
            issued=_kept(before.issued, lost) | issued,
            trend=fitted if isinstance(fitted, PeakTrend) else None,
            promises=_promises(inputs, before),
        ),
    )


def _kept(before: Mapping[str, _Kept], names: set[str]) -> dict[str, _Kept]:
    """What is remembered of objectives that could not be foreseen in this round."""
    return {name: before[name] for name in names if name in before}


def _operating(inputs: OutlookInputs) -> Operating:
    """The operating point that needs are computed at."""
    strategy, horizontal = STRATEGIES[inputs.spec.strategy], inputs.spec.horizontal
    floor = max(horizontal.min_replicas, strategy.min_replicas) if horizontal else 1
    capacity = inputs.capacity_per_replica
    return Operating(
        replicas=inputs.replicas,
        capacity=capacity if math.isfinite(capacity) and capacity > 0 else _common(inputs),
        headroom=strategy.headroom,
        pod=inputs.pod,
        min_replicas=min(floor, horizontal.max_replicas) if horizontal else 1,
        max_replicas=horizontal.max_replicas if horizontal else None,
    )


def _common(inputs: OutlookInputs) -> float:
    """Largest load a replica that was common; NaN when none was seen."""
    load = inputs.history.load
    replicas = on_grid(load, inputs.history.replicas)
    with np.errstate(divide="ignore", invalid="ignore"):
        a_replica = load.values / replicas
    a_replica = a_replica[np.isfinite(a_replica) & (replicas > 0)]
    return float(np.quantile(a_replica, 0.95)) if a_replica.size else math.nan


def _cpu_size(inputs: OutlookInputs) -> float:
    """CPU in cores that a pod may use; 1 where it has neither request nor limit, as the curves take it."""
    seen = inputs.history.cpu_size.last()
    return seen[1] if seen is not None and 0 < seen[1] < MOST_CORES else 1.0


def _objectives(
    inputs: OutlookInputs, before: OutlookState, operating: Operating, points: Grid, unknown: dict[str, str]
) -> list[ObjectiveAhead]:
    """Courses of every objective that has any."""
    if not inputs.spec.objectives:
        return []
    demand = _demand(inputs, before.promises, operating, points)
    period = (
        max((one.period_seconds for one in inputs.forecast.periods), default=0.0)
        if isinstance(inputs.forecast, Forecast)
        else 0.0
    )
    found = []
    for place, objective in enumerate(inputs.spec.objectives):
        one = objective_ahead(
            objective,
            inputs.history,
            inputs.curves.get(objective.name),
            demand,
            points,
            len(demand.load) if demand is not None else COURSES,
            period,
            before.backgrounds.get(objective.name),
            inputs.now,
            points.seed + 10 * (place + 1),
        )
        if isinstance(one, ObjectiveAhead):
            found.append(one)
        else:
            unknown[objective.name] = one
    return found


def _promises(inputs: OutlookInputs, before: OutlookState) -> Promises:
    """What was forecast of late, with the forecast of now."""
    if not isinstance(inputs.forecast, Forecast):
        return before.promises
    return before.promises.with_forecast(inputs.forecast, inputs.spec.forecast.horizon, inputs.now)


def _demand(inputs: OutlookInputs, promises: Promises, operating: Operating, points: Grid) -> DemandAhead | None:
    """Courses of demand and replicas; None without a forecast."""
    last = inputs.history.load.last()
    if not isinstance(inputs.forecast, Forecast) or last is None or inputs.replicas < 1 or not inputs.curves:
        return None
    horizon = inputs.spec.forecast.horizon
    load = load_courses(inputs.forecast, points)
    load = departed(load, inputs.forecast, inputs.history.load, promises, points, horizon, inputs.now)
    following = Following(
        replicas=inputs.replicas,
        floor=operating.min_replicas,
        ceiling=operating.max_replicas or inputs.replicas,
        capacity=operating.capacity,
        headroom=operating.headroom,
        quantile=STRATEGIES[inputs.spec.strategy].demand_quantile,
        startup_seconds=max(inputs.startup_seconds, 0.0) if math.isfinite(inputs.startup_seconds) else 0.0,
        follows=follows_by_itself(inputs.spec),
    )
    replicas = replica_courses(load, last[1], inputs.forecast, following, points)
    return DemandAhead(load, replicas, _cpu_size(inputs), last[1] / inputs.replicas)


def _trend(inputs: OutlookInputs, before: OutlookState, peaks: DailyPeaks) -> PeakTrend | NoPeakTrend:
    """The trend of daily peaks, of the last hour or fitted anew."""
    if before.trend is not None and 0.0 <= inputs.now - before.trend.at < PLAN_SECONDS:
        return before.trend
    periods = [one.period_seconds for one in inputs.forecast.periods] if isinstance(inputs.forecast, Forecast) else []
    return peak_trend(inputs.history.load, peaks, periods, inputs.now)
