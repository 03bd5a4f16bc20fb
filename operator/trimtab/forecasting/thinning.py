"""Thinning: long histories and far horizons at a coarser step, so that the cost of a forecast stays bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trimtab.domain.series import FloatArray, Series

MOST_SAMPLES = 3000
MOST_HORIZON_STEPS = 360
MOST_SEASONS = 12
FEWEST_BLOCKS = 500


@dataclass(frozen=True, slots=True, eq=False)
class Thinned:
    """A series of means over blocks of ``stride`` samples, each at the middle of its block."""

    series: Series
    samples: FloatArray
    """The samples of each block, shape (n, stride)."""
    stride: int

    def newest(self, longest_period_seconds: float) -> Thinned:
        """The newest 12 of the longest seasons, at least 500 blocks; all when there is no season."""
        kept = max(FEWEST_BLOCKS, math.ceil(MOST_SEASONS * longest_period_seconds / self.series.step_seconds))
        cut = len(self.series) - kept
        if cut <= 0 or longest_period_seconds <= 0:
            return self
        start = self.series.start + cut * self.series.step_seconds
        series = Series(start, self.series.step_seconds, self.series.values[cut:], self.series.unit)
        return Thinned(series, self.samples[cut:], self.stride)


def stride_for(length: int, step_seconds: float, horizon_seconds: float) -> int:
    """The least stride that leaves at most 3,000 samples and 360 steps of horizon.

    >>> stride_for(10_080, 60.0, 3600.0), stride_for(1000, 1.0, 720.0)
    (4, 2)
    """
    horizon = math.ceil(horizon_seconds / step_seconds / MOST_HORIZON_STEPS - 1e-9)
    return max(1, math.ceil(length / MOST_SAMPLES), horizon)


def thin(series: Series, stride: int) -> Thinned:
    """Blocks of ``stride`` samples, the last of which ends with the series; the oldest incomplete block is left out.

    A block of which less than half is known is unknown.

    >>> thin(Series(0.0, 60.0, np.array([9.0, 1.0, 3.0, 5.0, 7.0])), 2).series.values.tolist()
    [2.0, 6.0]
    """
    if stride == 1:
        return Thinned(series, series.values[:, None], 1)
    cut = len(series) % stride
    samples = series.values[cut:].reshape(-1, stride)
    known = np.isfinite(samples)
    seen = known.sum(axis=1)
    means = np.where(known, samples, 0.0).sum(axis=1) / np.maximum(seen, 1)
    middle = series.start + (cut + (stride - 1) / 2.0) * series.step_seconds
    values = np.where(2 * seen >= stride, means, np.nan)
    return Thinned(Series(middle, stride * series.step_seconds, values, series.unit), samples, stride)
