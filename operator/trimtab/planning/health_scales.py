"""Scales of the health score: how good each kind of finding is, 0 to 100. All are monotone: worse is never higher."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.gaps import usable
from trimtab.analytics.quality import DataProblem, Quality
from trimtab.domain.choices import Severity
from trimtab.domain.objectives import Objective
from trimtab.domain.series import Series
from trimtab.planning.badness import Badness

Points = Sequence[tuple[float, float]]

MARGIN: Final[Points] = ((-0.5, 0.0), (0.0, 40.0), (0.0, 70.0), (0.2, 100.0))
"""Room to the threshold, as a share of it. Just within it is worth 70, just beyond it 40."""
BROKEN_TIME: Final[Points] = ((0.0, 100.0), (1.0, 75.0), (4.0, 0.0))
"""Time beyond the threshold over 24 hours, in multiples of what the SLO allows (5 % without one)."""
BUDGET: Final[Points] = ((0.0, 0.0), (50.0, 100.0))
"""Error budget left, in percent."""
CPU_OF_LIMIT: Final[Points] = ((0.7, 100.0), (1.0, 30.0), (1.3, 0.0))
CPU_OF_REQUEST: Final[Points] = ((1.0, 100.0), (2.0, 40.0))
MEMORY_OF_LIMIT: Final[Points] = ((0.8, 100.0), (0.95, 40.0), (1.0, 0.0))
MEMORY_OF_REQUEST: Final[Points] = ((1.0, 100.0), (1.5, 40.0))
HEADROOM: Final[Points] = ((0.8, 100.0), (1.0, 60.0), (1.3, 0.0))
"""Demand, or the peak ahead, over what the replicas carry."""
LOG_HOURS_LEFT: Final[Points] = ((0.0, 10.0), (math.log(24.0), 80.0), (math.log(72.0), 100.0))
"""Logarithm of the hours until a rising demand or an objective meets its limit, an hour at least."""
LOG_STEPS: Final[Points] = ((math.log(48.0), 100.0), (math.log(288.0), 0.0))
"""Logarithm of scale steps a day."""
EFFICIENCY: Final[Points] = ((0.3, 40.0), (0.9, 100.0))
"""Cost of what is needed over cost as it is."""
ANOMALY: Final = {Severity.INFO: 5.0, Severity.WARNING: 25.0, Severity.CRITICAL: 60.0}
"""What an active anomaly takes away."""
DATA: Final = {
    DataProblem.NO_DATA: 10.0,
    DataProblem.STALE: 10.0,
    DataProblem.NOT_FINITE: 20.0,
    DataProblem.ABSURD: 20.0,
    DataProblem.SEVERAL_CLUSTERS: 10.0,
    DataProblem.PODS_MISSING: 40.0,
    DataProblem.GAPS: 50.0,
    DataProblem.SHORT_HISTORY: 70.0,
}
DAY_SECONDS: Final = 86400.0
_MOST: Final = 1e6


def on(points: Points, value: float) -> float:
    """The score at ``value`` on lines between ``points`` of ascending value; flat beyond them.

    Where two points share a value, the first counts below it and the second from it on.

    >>> on(CPU_OF_LIMIT, 0.5), on(CPU_OF_LIMIT, 0.85), on(MARGIN, -1e-9) < 41, on(MARGIN, 0.0)
    (100.0, 65.0, True, 70.0)
    """
    if value < points[0][0]:
        return points[0][1]
    for (low, left), (high, right) in pairwise(points):
        if low <= value < high:
            return left + (right - left) * (value - low) / (high - low)
    return points[-1][1]


def margin(objective: Objective, value: float) -> float:
    """Room to the threshold as a share of it, negative beyond it; of the loss where the objective is a share of 1.

    >>> p99 = Objective.model_validate({"name": "p99", "query": "up", "max": "0.25"})
    >>> round(margin(p99, 0.2), 2), round(margin(p99, 0.3), 2)
    (0.2, -0.2)
    >>> served = Objective.model_validate({"name": "served", "query": "up", "min": "0.999"})
    >>> round(margin(served, 0.9995), 2)
    0.4
    """
    threshold = objective.threshold
    if threshold == 0.0:
        return -_MOST if objective.violated(value) else 1.0
    scale = Badness.of(objective.max is not None, threshold, np.array([threshold]))
    bad = scale.log(np.array([value, threshold]))
    if np.isfinite(bad).all():
        return max(1.0 - math.exp(min(float(bad[0] - bad[1]), 700.0)), -_MOST)
    sign = 1.0 if objective.max is not None else -1.0
    return min(max(sign * (threshold - value) / abs(threshold), -_MOST), 1.0)


def broken_share(objective: Objective, series: Series | None, now: float) -> float:
    """Share of the samples of the last 24 hours that are beyond the threshold; NaN when there are fewer than 10."""
    if series is None:
        return math.nan
    values = usable(series.between(now - DAY_SECONDS, now).values)
    values = values[np.isfinite(values)]
    if values.size < 10:
        return math.nan
    return float(objective.beyond(values).mean())


def anomalies_score(active: Sequence[Anomaly]) -> float:
    """100 less what each active anomaly takes away, at least 0."""
    return max(0.0, 100.0 - sum(ANOMALY[one.severity] for one in active))


def quality_score(quality: Quality) -> float:
    """What the data are worth; gaps count even where they are still allowed."""
    whole = 100.0 if quality.problem is None else DATA[quality.problem]
    return min(whole, max(0.0, 100.0 - quality.missing_percent))
