"""Trend: where a series is heading once its seasons are taken out, with an interval that holds for autocorrelated
data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np

from trimtab.analytics.algebra import ROUNDING, levels_of
from trimtab.analytics.blocks import row_medians
from trimtab.analytics.folding import bins_of, fold, median_profile
from trimtab.analytics.gaps import bridge, usable
from trimtab.analytics.seasonality import levelled
from trimtab.domain.series import FloatArray, Series

MOST_BLOCKS = 100
MOST_MEDIAN_BINS = 100
FEWEST_SAMPLES = 8


class Direction(StrEnum):
    """Where a series is heading."""

    RISING = "Rising"
    FALLING = "Falling"
    STEADY = "Steady"


@dataclass(frozen=True, slots=True)
class Trend:
    """Slope of a series in its unit per hour, with its confidence interval."""

    direction: Direction
    """Steady unless the whole interval is on one side of 0 and the change over the series is worth naming."""
    slope_per_hour: float
    lower: float
    upper: float
    percent_per_hour: float
    """Slope relative to the median level; 0 when that is 0."""


@dataclass(frozen=True, slots=True)
class NoTrend:
    """Why there is no trend."""

    reason: str


def trend(
    series: Series,
    periods_seconds: Sequence[float] = (),
    *,
    confidence: float = 0.95,
    least_percent: float = 1.0,
    since: float | None = None,
) -> Trend | NoTrend:
    """Theil-Sen slope of ``series`` without the seasons ``periods_seconds``, and its rank interval.

    With ``since``, such as the last change point, only samples from that time on have a slope, while the seasons are
    still those of the whole series. What counts is cut into at most 100 blocks, each its median, so that 10,000
    samples cost about a millisecond. The interval takes Kendall's variance, widened for autocorrelation of the
    residuals. A change over all that counts of less than ``least_percent`` of the level is Steady. Sources: Sen 1968;
    Yue and Wang 2004.

    >>> result = trend(Series(0.0, 60.0, 100.0 + np.arange(120.0)))
    >>> result.direction.value, round(result.slope_per_hour, 6), round(result.percent_per_hour, 1)
    ('Rising', 60.0, 37.6)
    """
    recent = series if since is None or not math.isfinite(since) else series.between(since, series.end)
    present = int(np.isfinite(usable(recent.values)).sum())
    if present < FEWEST_SAMPLES:
        return NoTrend(f"{present} samples; at least {FEWEST_SAMPLES} are needed")
    place, heights = _blocks(without_seasons(series, periods_seconds)[len(series) - len(recent) :])
    if heights.size < FEWEST_SAMPLES:
        return NoTrend(f"samples in {heights.size} parts of the time; at least {FEWEST_SAMPLES} are needed")
    first, second = np.triu_indices(heights.size, 1)
    slopes = np.sort((heights[second] - heights[first]) / (place[second] - place[first]))
    slope = float(np.median(slopes))
    tolerance = ROUNDING * float(np.nanmax(np.abs(recent.values[np.isfinite(recent.values)])))
    reach = _interval_ranks(heights - slope * place, tolerance, confidence) / 2.0
    low, high = np.clip(
        [math.floor(slopes.size / 2.0 - reach), math.ceil(slopes.size / 2.0 + reach)], 0, slopes.size - 1
    )
    per_hour = 3600.0 / series.step_seconds
    lower, upper = float(slopes[low]) * per_hour, float(slopes[high]) * per_hour
    standing = abs(float(np.median(heights)))
    standing = standing if standing > tolerance else 0.0
    change = abs(slope) * float(place[-1] - place[0])
    direction = Direction.STEADY
    if change > tolerance and change >= least_percent / 100.0 * standing and (lower > 0 or upper < 0):
        direction = Direction.RISING if lower > 0 else Direction.FALLING
    percent = 100.0 * slope * per_hour / standing if standing > 0 else 0.0
    return Trend(direction, slope * per_hour, lower, upper, percent if math.isfinite(percent) else 0.0)


def without_seasons(series: Series, periods_seconds: Sequence[float], *, robust: bool = False) -> FloatArray:
    """Values (n,) without the profile of each period that was seen twice; NaN where missing.

    Profiles are means, or medians where ``robust``: then a level shift within one season leaves the others alone.
    """
    values = usable(series.values)
    filled = bridge(series)
    if not filled.known.any():
        return values
    rest = levelled(filled.values, filled.known)
    for period_seconds in periods_seconds:
        period = period_seconds / series.step_seconds
        if 2.0 <= period <= len(series) / 1.9:
            folded = fold(rest, filled.known, period)
            seasonal = folded.seasonal
            if robust:
                bins, count = bins_of(len(series), period, MOST_MEDIAN_BINS)
                seasonal = median_profile(rest - folded.trend, filled.known, bins, count)[bins]
            values, rest = values - seasonal, np.where(filled.known, rest - seasonal, 0.0)
    return values


def _blocks(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(places in steps, medians) of at most 100 equal blocks, without those of which less than half is present."""
    width = math.ceil(values.size / MOST_BLOCKS)
    count = values.size // width
    cut = values[values.size - count * width :].reshape(count, width)
    medians = row_medians(cut)
    kept = np.isfinite(medians)
    return (np.flatnonzero(kept) * width).astype(np.float64), medians[kept]


def _interval_ranks(residuals: FloatArray, tolerance: float, confidence: float) -> float:
    """Width of the interval in ranks of the pairwise slopes: quantile times the deviation of Kendall's S.

    Residuals within ``tolerance`` of each other share a rank.
    """
    count = residuals.size
    variance = count * (count - 1) * (2 * count + 5) / 18.0
    levels = levels_of(residuals, tolerance)
    alike = np.bincount(levels)
    ranks = (np.cumsum(alike) - (alike + 1) / 2.0)[levels] - (count - 1) / 2.0
    power = float((ranks**2).sum())
    correlation = float((ranks[1:] * ranks[:-1]).sum()) / power if power > 0 else 0.0
    if correlation > 1.645 / math.sqrt(count):
        correlation = min(correlation + (1.0 + 4.0 * correlation) / count, 0.98)  # estimates run low by that much
        lag = np.arange(1, count)
        variance *= 1.0 + 2.0 * float(((1.0 - lag / count) * correlation**lag).sum())
    return NormalDist().inv_cdf(0.5 + confidence / 2.0) * math.sqrt(variance)
