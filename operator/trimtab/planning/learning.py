"""Learning the performance curves of a workload, and keeping them between rounds until enough is new."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray, Series
from trimtab.planning.performance_model import NotLearned, PerformanceCurve, fit

_RELEARN_STEPS: Final = 10
_RELEARN_SHARE: Final = 0.1
"""Curves are fitted anew after so many steps, or sooner where the history was so much shorter."""


@dataclass(frozen=True, slots=True)
class Learned:
    """The curve of each objective that one could be learned for; picklable."""

    curves: dict[str, PerformanceCurve]
    not_learned: dict[str, str]
    """Why there is none, by objective."""
    at: float
    samples: int
    objectives: tuple[Objective, ...]
    baseline_until: float | None
    since: float | None = None
    """Time of the first sample of the version that this was learned of; None: all are."""

    def outdated(
        self,
        history: WorkloadHistory,
        objectives: tuple[Objective, ...],
        baseline_until: float | None,
        now: float,
        since: float | None = None,
    ) -> bool:
        """Whether to learn again: what is asked has changed, or a tenth of the history or ten steps are new."""
        if (self.objectives, self.baseline_until, self.since) != (objectives, baseline_until, since):
            return True
        if baseline_until is not None:
            return False
        new = (now - self.at) / history.load.step_seconds
        return new >= min(_RELEARN_STEPS, max(1.0, _RELEARN_SHARE * self.samples))


@dataclass(frozen=True, slots=True)
class Carried:
    """What was last known of the capacity of some version of the workload; picklable.

    Following goes on by it while a later version is learned.
    """

    curves: dict[str, PerformanceCurve]
    cpu_per_load: float
    """CPU in cores that one unit of load uses; NaN when unknown."""
    objectives: tuple[Objective, ...]
    since: float | None

    def replaced_by(self, newer: Carried) -> bool:
        """Whether all that was known of the version before is known of a later one, or is of use no more."""
        if self.since == newer.since or self.objectives != newer.objectives:
            return True
        known = math.isfinite(newer.cpu_per_load) or not math.isfinite(self.cpu_per_load)
        return known and self.curves.keys() <= newer.curves.keys()


def learn(
    history: WorkloadHistory,
    objectives: tuple[Objective, ...],
    failures: Mapping[str, str],
    baseline_until: float | None,
    now: float,
    since: float | None = None,
) -> Learned:
    """Fit the curve of every objective on samples from ``since`` on and before ``baseline_until`` (None: all)."""
    curves: dict[str, PerformanceCurve] = {}
    not_learned: dict[str, str] = {}
    for objective in objectives:
        series = history.objectives.get(objective.name)
        if series is not None and baseline_until is not None:
            series = series.between(series.start, baseline_until)
        if series is not None and since is not None:
            series = of_version(series, since)
            if len(series) == 0:
                not_learned[objective.name] = f"{objective.name} has no samples of the present version yet"
                continue
        if series is None or len(series) == 0 or len(history.load) == 0:
            why = failures.get(f"objective/{objective.name}", f"{objective.name} has no samples to learn from")
            not_learned[objective.name] = why
            continue
        curve = fit(
            objective.name,
            objective.max is not None,
            on_grid(series, history.load),
            on_grid(series, history.replicas),
            on_grid(series, history.cpu_size),
            series.values,
            threshold=objective.threshold,
        )
        if isinstance(curve, NotLearned):
            not_learned[objective.name] = curve.reason
        else:
            curves[objective.name] = curve
    return Learned(curves, not_learned, now, history.load.present, objectives, baseline_until, since)


def of_version(series: Series, since: float) -> Series:
    """The samples from ``since`` on; none where that is infinite."""
    return (
        series.between(max(since, series.start), series.end)
        if math.isfinite(since)
        else replace(series, values=series.values[:0])
    )


def on_grid(grid: Series, other: Series) -> FloatArray:
    """Values of a series on the grid of another; NaN where it has none."""
    values = np.full(len(grid), np.nan)
    if len(other) == 0:
        return values
    index = np.rint((grid.times - other.start) / other.step_seconds).astype(np.int64)
    inside = (index >= 0) & (index < len(other))
    values[inside] = other.values[index[inside]]
    return values
