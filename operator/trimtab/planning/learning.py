"""Learning the performance curves of a workload, and keeping them between rounds until enough is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

    def outdated(
        self, history: WorkloadHistory, objectives: tuple[Objective, ...], baseline_until: float | None, now: float
    ) -> bool:
        """Whether to learn again: what is asked has changed, or a tenth of the history or ten steps are new."""
        if (self.objectives, self.baseline_until) != (objectives, baseline_until):
            return True
        if baseline_until is not None:
            return False
        new = (now - self.at) / history.load.step_seconds
        return new >= min(_RELEARN_STEPS, max(1.0, _RELEARN_SHARE * self.samples))


def learn(
    history: WorkloadHistory,
    objectives: tuple[Objective, ...],
    failures: Mapping[str, str],
    baseline_until: float | None,
    now: float,
) -> Learned:
    """Fit the curve of every objective on samples before ``baseline_until`` (None: all)."""
    curves: dict[str, PerformanceCurve] = {}
    not_learned: dict[str, str] = {}
    for objective in objectives:
        series = history.objectives.get(objective.name)
        if series is not None and baseline_until is not None:
            series = series.between(series.start, baseline_until)
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
    return Learned(curves, not_learned, now, history.load.present, objectives, baseline_until)


def on_grid(grid: Series, other: Series) -> FloatArray:
    """Values of a series on the grid of another; NaN where it has none."""
    values = np.full(len(grid), np.nan)
    if len(other) == 0:
        return values
    index = np.rint((grid.times - other.start) / other.step_seconds).astype(np.int64)
    inside = (index >= 0) & (index < len(other))
    values[inside] = other.values[index[inside]]
    return values
