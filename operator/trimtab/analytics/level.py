"""Level and spread of a series by its median and its quantiles: a few wild samples move neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.analytics.gaps import usable
from trimtab.domain.series import FloatArray, Series

MAD_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""
MEAN_TO_SIGMA = 1.2533
"""The same over its mean absolute deviation."""


@dataclass(frozen=True, slots=True)
class Level:
    """Where a signal stands and how much it moves, in its own unit."""

    median: float
    spread: float
    """Median absolute deviation, scaled to the standard deviation of a normal distribution."""
    samples: int


@dataclass(frozen=True, slots=True)
class NoLevel:
    """Why there is no level."""

    reason: str


def level(series: Series, window_seconds: float | None = None) -> Level | NoLevel:
    """Robust level of the finite samples in the last ``window_seconds`` of the grid, or of all.

    >>> level(Series(0.0, 60.0, np.array([9.0, 10.0, np.nan, 11.0, 500.0])))
    Level(median=10.5, spread=1.4826, samples=4)
    """
    recent = series if window_seconds is None else series.between(series.end - window_seconds, series.end)
    values = usable(recent.values)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return NoLevel(f"none of {len(recent)} samples is a number")
    median = float(np.median(values))
    return Level(median, MAD_TO_SIGMA * float(np.median(np.abs(values - median))), int(values.size))


def quantiles(values: FloatArray, probabilities: Sequence[float]) -> FloatArray:
    """Quantiles of the finite ``values`` (any shape) at ``probabilities``, shape (len(probabilities),).

    Linear between order statistics. Raises ValueError when no value is finite or a probability is outside [0, 1].

    >>> quantiles(np.array([1.0, np.nan, 3.0, 2.0]), [0.5, 1.0]).tolist()
    [2.0, 3.0]
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        raise ValueError(f"no quantile of {values.size} values, none of which is finite")
    result: FloatArray = np.quantile(finite, np.asarray(probabilities, dtype=np.float64))
    return result
