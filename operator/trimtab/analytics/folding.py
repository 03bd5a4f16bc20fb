"""Folding: a series cut into seasons and laid on top of each other; trend, profile and remainder of one period."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.algebra import ROUNDING
from trimtab.analytics.gaps import BoolArray
from trimtab.domain.series import FloatArray

MOST_BINS = 48
MOST_BINS_SHIFTED = 24
MOST_FOLDS = 20


class Folded(NamedTuple):
    """An additive decomposition by one period; arrays of shape (n,), unit of the series."""

    trend: FloatArray
    """Moving average over one season, taken after the profile was removed."""
    seasonal: FloatArray
    remainder: FloatArray
    strength: float
    """Share of the variance around the trend that the profile explains, corrected for the degrees of freedom that the
    profile takes: about 0 for noise (may be below), 1 for a clean wave."""


def bins_of(length: int, period_steps: float, most: int = MOST_BINS) -> tuple[NDArray[np.intp], int]:
    """(phase bin of each of ``length`` steps, number of bins): one bin a step, at most ``most`` a season."""
    counted, count = _bins_passed(length, period_steps, most)
    return counted % count, count


def _bins_passed(length: int, period_steps: float, most: int) -> tuple[NDArray[np.intp], int]:
    """(bins passed since the start, bins a season).

    Edges lie half a step from the samples: a period that is a hair off moves none to another bin, and each bin of a
    period of a whole number of steps holds as many as the next.
    """
    count = int(min(max(round(period_steps), 4), most))
    ratio = count / period_steps
    return np.floor((np.arange(length) + 0.5) * ratio).astype(np.intp), count


def profile(values: FloatArray, known: BoolArray, bins: NDArray[np.intp], count: int) -> FloatArray:
    """Mean of each phase bin around 0, shape (count,); a bin that was never seen is 0."""
    seen = np.bincount(bins[known], minlength=count)
    means = np.bincount(bins[known], values[known], count) / np.maximum(seen, 1)
    return np.where(seen > 0, means - means[seen > 0].mean(), 0.0) if seen.any() else means


def median_profile(values: FloatArray, known: BoolArray, bins: NDArray[np.intp], count: int) -> FloatArray:
    """:func:`profile` by medians, which one odd season among several does not move."""
    order = np.lexsort((values[known], bins[known]))
    ordered = values[known][order]
    seen = np.bincount(bins[known], minlength=count)
    first = np.cumsum(seen) - seen
    most = max(ordered.size - 1, 0)
    low = np.minimum(first + np.maximum(seen - 1, 0) // 2, most)
    high = np.minimum(first + seen // 2, most)
    medians = np.where(seen > 0, (ordered[low] + ordered[high]) / 2.0, 0.0) if ordered.size else np.zeros(count)
    return np.where(seen > 0, medians - medians[seen > 0].mean(), 0.0) if seen.any() else medians


def moving_average(values: FloatArray, known: BoolArray, width: int) -> FloatArray:
    """Centred mean of the known values in ``width`` steps, shape (n,); the window shrinks at the ends."""
    index = np.arange(values.size)
    half = width // 2
    low, high = np.maximum(index - half, 0), np.minimum(index + width - half, values.size)
    sums = np.concatenate([[0.0], np.cumsum(values * known)])
    counts = np.concatenate([[0], np.cumsum(known)])
    average: FloatArray = (sums[high] - sums[low]) / np.maximum(counts[high] - counts[low], 1)
    return average


def fold(values: FloatArray, known: BoolArray, period_steps: float, trend_steps: float | None = None) -> Folded:
    """Decompose ``values`` (n,) by one period, as the first rounds of STL do with means for loess.

    ``trend_steps`` is the width of the trend's moving average, one period by default. Source: Cleveland et al. 1990
    (STL); strength of Wang, Smith and Hyndman 2006, corrected for degrees of freedom.

    >>> t = np.arange(120)
    >>> folded = fold(5.0 + np.sin(2 * np.pi * t / 24), np.ones(120, dtype=bool), 24.0)
    >>> round(folded.strength, 2)
    1.0
    """
    width = max(3, round(trend_steps or period_steps))
    bins, count = bins_of(values.size, period_steps)
    first = profile(values, known, bins, count)
    trend = moving_average(values - first[bins], known, width)
    around = values - trend
    seasonal = profile(around, known, bins, count)[bins]
    remainder = np.where(known, around - seasonal, 0.0)
    samples, trend_freedom = int(known.sum()), values.size / width
    left = float((remainder**2).sum()) / max(samples - count - trend_freedom, 1.0)
    total = float((around[known] ** 2).sum()) / max(samples - trend_freedom, 1.0)
    return Folded(trend, seasonal, remainder, 1.0 - left / total if total > 0 else 0.0)


class Locking(NamedTuple):
    """How far the seasons agree in phase."""

    ratio: float
    """Power of the mean season over its median when each season is shifted at random; about 1 for noise."""
    p_value: float


def locking(around: FloatArray, known: BoolArray, period_steps: float, shuffles: int = 99) -> Locking:
    """Test whether the seasons of ``around`` (n,), the values around their trend, repeat in the same phase.

    Every season is rotated by a random number of bins: that keeps what noise does inside a season and breaks only the
    common phase, so that slow noise is not taken for a season. At most the 20 newest seasons count; seeded.
    """
    counted, count = _bins_passed(around.size, period_steps, MOST_BINS_SHIFTED)
    bins, season = counted % count, counted // count
    folds = int(around.size / period_steps + 0.06)
    if folds < 2:
        return Locking(1.0, 1.0)
    kept = known & (season < folds)
    cell = season[kept] * count + bins[kept]
    seen = np.bincount(cell, minlength=folds * count)
    matrix = (np.bincount(cell, around[kept], folds * count) / np.maximum(seen, 1)).reshape(folds, count)[-MOST_FOLDS:]
    power = float((matrix.mean(axis=0) ** 2).sum())
    shifts = np.random.default_rng(0).integers(0, count, (shuffles, len(matrix), 1))
    rotated = matrix[np.arange(len(matrix))[None, :, None], (np.arange(count) + shifts) % count]
    shuffled = (rotated.mean(axis=1) ** 2).sum(axis=1)
    if power <= (ROUNDING * float(np.abs(matrix).max())) ** 2:
        return Locking(1.0, 1.0)
    median = max(float(np.median(shuffled)), ROUNDING * power)
    # A rotation that changes nothing gives the same power but for rounding.
    return Locking(power / median, float((1 + (shuffled >= power * (1.0 - ROUNDING)).sum()) / (shuffles + 1)))
