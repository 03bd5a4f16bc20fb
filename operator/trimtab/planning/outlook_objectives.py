"""Each objective ahead as many possible courses: the demand through its learned curve, or its own course alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.early_warning import BoolArray, Source, in_breach
from trimtab.forecasting.reliability import ObjectiveMargin
from trimtab.planning.badness import Badness
from trimtab.planning.learning import on_grid
from trimtab.planning.outlook_load import Grid
from trimtab.planning.outlook_residuals import Background, learn_background, normals, residual_courses
from trimtab.planning.performance_curve import PerformanceCurve

LONGEST_WINDOW, SHORTEST_WINDOW = 180, 30
"""Newest samples that level and slope are taken from: twice the horizon, within these."""
MOST_CORES = 1e6
"""A pod of more is a mistake of the metrics."""
_WORST = 10.0
"""Badness over that of the threshold beyond which worse makes no difference to a mean."""


@dataclass(frozen=True, slots=True, eq=False)
class DemandAhead:
    """Courses of demand and replicas, shape (p, h) each."""

    load: FloatArray
    replicas: FloatArray
    cpu_size: float
    load_now: float
    """Load a replica now."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectiveAhead:
    """One objective over the horizon."""

    objective: Objective
    source: Source
    beyond: BoolArray
    """Which courses are beyond the threshold when, shape (p, h)."""
    margin: ObjectiveMargin
    breached: bool
    """Whether it is in breach already."""
    background: Background
    horizon_seconds: float


def objective_ahead(
    objective: Objective,
    history: WorkloadHistory,
    curve: PerformanceCurve | None,
    demand: DemandAhead | None,
    points: Grid,
    count: int,
    period_seconds: float,
    previous: Background | None,
    now: float,
    seed: int,
) -> ObjectiveAhead | str:
    """Courses of one objective, or why there are none, in one sentence."""
    series = history.objectives.get(objective.name)
    newest = series.last() if series is not None else None
    if series is None or newest is None:
        return f"{objective.name}: no sample was seen"
    horizon = points.ahead_seconds[-1]
    if now - newest[0] > max(horizon, 10 * series.step_seconds):
        return f"{objective.name}: the newest sample is {now - newest[0]:.0f} s old, more than the horizon"
    if demand is None or demand.load_now <= 0:
        curve = None
    badness = curve.badness if curve else Badness.of(objective.max is not None, objective.threshold, series.values)
    bound = float(badness.log(np.array([objective.threshold]))[0])
    if not math.isfinite(bound):
        return f"{objective.name}: a threshold of {objective.threshold:g} gives no scale to foresee it on"
    origin = f"{badness.kind}/{badness.full:g}/{objective.threshold:g}/{curve.shape.value if curve else ''}"
    if previous is None or previous.outdated(origin, now):
        block = max(1, round(horizon / series.step_seconds))
        rest = _residuals(series, history, curve, badness)
        previous = learn_background(series.times, rest, period_seconds, block, origin, now)
    if previous is None:
        return f"{objective.name}: too few samples to foresee it"
    window = int(min(max(2 * horizon / series.step_seconds, SHORTEST_WINDOW), LONGEST_WINDOW))
    recent = series.between(series.end - (window - 1) * series.step_seconds, series.end)
    draws = normals(count, points.ahead_seconds.size, seed)
    rest = _residuals(recent, history, curve, badness)
    logs = residual_courses(previous, recent.times, rest, now, points, series.step_seconds, draws)
    if curve is not None and demand is not None:
        logs = logs + _explained(curve, demand, seed)
    values = recent.values[np.isfinite(recent.values)]
    return ObjectiveAhead(
        objective=objective,
        source=Source.FORECAST if curve else Source.OBJECTIVE,
        beyond=logs > bound + 1e-12,
        margin=_margin(objective, badness, logs - bound),
        breached=in_breach(objective.beyond(values)),
        background=previous,
        horizon_seconds=float(horizon),
    )


def _residuals(
    series: Series, history: WorkloadHistory, curve: PerformanceCurve | None, badness: Badness
) -> FloatArray:
    """Log badness of the samples without what the curve explains, shape (n,); NaN where unknown."""
    logs = badness.log(series.values)
    if curve is None:
        return logs
    replicas = on_grid(series, history.replicas)
    with np.errstate(divide="ignore", invalid="ignore"):
        load = np.where(replicas > 0, on_grid(series, history.load) / replicas, np.nan)
    size = on_grid(series, history.cpu_size)
    expected, _ = curve.log_expected(load, np.where((size > 0) & (size < MOST_CORES), size, 1.0))
    rest: FloatArray = logs - expected
    return rest


def _explained(curve: PerformanceCurve, demand: DemandAhead, seed: int) -> FloatArray:
    """What the curve expects on each course, shape (p, h), each with a curve of its own as far as it is in doubt.

    The residuals tell how far the curve is off at the present load; in doubt is only how it goes on from there.
    """
    size = demand.cpu_size if demand.cpu_size > 0 else 1.0
    a_replica = demand.load / demand.replicas
    level, gradient = curve.log_expected(a_replica.ravel(), size)
    _, here = curve.log_expected(demand.load_now, size)
    values, vectors = np.linalg.eigh(curve.doubt)
    # The symmetric root is the only one: eigenvectors alone may point to either side, as the processor has it.
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    drawn = np.random.default_rng(seed + 1).standard_normal((len(a_replica), root.shape[0])) @ root.T
    moved = (gradient - here).reshape(*a_replica.shape, -1)
    off = np.einsum("phk,pk->ph", moved, drawn)
    return np.asarray(level.reshape(a_replica.shape) + np.clip(off, -3.0, 3.0))


def _margin(objective: Objective, badness: Badness, over: FloatArray) -> ObjectiveMargin:
    """Expected distance to the threshold from log badness relative to it, shape (p, h)."""
    ratio = np.minimum(np.exp(np.minimum(over, math.log(_WORST))), _WORST)
    if badness.kind == "inverse":
        margins = np.minimum(1.0 / ratio - 1.0, 1.0)
    elif badness.floor > 0:
        allowed = math.exp(float(badness.log(np.array([objective.threshold]))[0]))
        margins = (1.0 - ratio) * allowed / (allowed - badness.floor)
    else:
        margins = 1.0 - ratio
    by_time = margins.mean(axis=0)
    return ObjectiveMargin(
        objective=objective.name,
        margin_percent=100.0 * float(by_time.mean()),
        least_percent=100.0 * float(by_time.min()),
        weight=objective.weight,
    )
