"""Daily peaks of a demand: kept for longer than samples are, and followed by a robust line.

The line is Theil-Sen's, its interval by ranks (Sen 1968), with the busiest day of the week on top once two weeks were
seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

import numpy as np
from scipy.special import stdtrit

from trimtab.analytics.gaps import usable
from trimtab.analytics.level import MAD_TO_SIGMA
from trimtab.analytics.trend import NoTrend, Trend, trend
from trimtab.domain.series import FloatArray, Series

DAY: Final = 86_400.0
LEAST_DAYS = 2.0
CONFIDENCE = 0.9
MOST_DAYS = 400
PEAK_QUANTILE = 0.995
"""Of a day's samples, that is its peak: seven minutes a day may be higher."""
FULL_DAY = 0.5
"""Share of a day that must be known for it to have a peak."""
_WEEK = 7


@dataclass(frozen=True, slots=True, eq=False)
class DailyPeaks:
    """Peak of each past day in UTC, at most 400: 3.2 kB. Kept for longer than the samples are."""

    first_day: int = 0
    """Days since 1970."""
    peaks: FloatArray = field(default_factory=lambda: np.empty(0))
    """Shape (d,); NaN for a day that is not known."""

    def add(self, load: Series, now: float) -> DailyPeaks:
        """With the days of ``load`` that are over by ``now`` and not known yet."""
        today = math.floor(now / DAY)
        next_day = self.first_day + self.peaks.size
        first = max(next_day if self.peaks.size else 0, math.floor(load.start / DAY), today - MOST_DAYS)
        if len(load) == 0 or first >= today:
            return self
        new = [_peak(load, day * DAY, (day + 1) * DAY) for day in range(first, today)]
        gap = np.full(first - next_day if self.peaks.size else 0, np.nan)
        peaks = np.concatenate([self.peaks, gap, new])[-MOST_DAYS:]
        known = np.flatnonzero(np.isfinite(peaks))
        if known.size == 0:
            return DailyPeaks()
        return DailyPeaks(today - peaks.size + int(known[0]), peaks[known[0] :])


@dataclass(frozen=True, slots=True)
class PeakTrend:
    """Where daily peaks stand and head, in the unit of the demand."""

    at: float
    level: float
    """Peak of a typical day, now."""
    busy: float
    """By how much the busiest day of the week exceeds it."""
    slope_per_day: float
    slope_error: float
    """Standard error of the slope."""
    spread: float
    """Standard deviation of a day's peak."""
    days: float
    """Length of the history."""
    note: str

    def peak(self, days: float) -> float:
        """Expected highest peak around so many days from :attr:`at`; never below 0."""
        return max(self.level + self.busy + self.slope_per_day * days, 0.0)

    def interval(self, days: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """(lower, upper) end of the interval of that peak; by Student's t, as few days know their spread badly."""
        t = float(stdtrit(max(self.days - 2.0, 1.0), 0.5 + confidence / 2.0))
        reach = t * math.sqrt(self.spread**2 * (1.0 + 1.0 / max(self.days, 1.0)) + (self.slope_error * days) ** 2)
        middle = self.level + self.busy + self.slope_per_day * days
        return max(middle - reach, 0.0), max(middle + reach, 0.0)


@dataclass(frozen=True, slots=True)
class NoPeakTrend:
    """Why daily peaks have no trend."""

    reason: str


def peak_trend(load: Series, daily: DailyPeaks, periods: Sequence[float], now: float) -> PeakTrend | NoPeakTrend:
    """Fit the daily peaks; those of ``load`` by blocks of 24 hours that end now, or the longer record of past days."""
    history_days = _length_days(load, now)
    days = max(history_days, float(daily.peaks.size))
    if days < LEAST_DAYS:
        return NoPeakTrend(f"{days:.1f} days of demand were seen; a plan needs {LEAST_DAYS:g}")
    if daily.peaks.size > history_days:
        at = (daily.first_day + np.arange(daily.peaks.size) + 1.0) * DAY
        peaks = daily.peaks
    else:
        count = int(history_days)
        at = now - DAY * np.arange(count - 1, -1, -1, dtype=np.float64)
        peaks = np.array([_peak(load, end - DAY, end) for end in at])
    known = np.isfinite(peaks)
    if int(known.sum()) < LEAST_DAYS:
        return NoPeakTrend(f"only {int(known.sum())} days have enough samples; a plan needs {LEAST_DAYS:g}")
    x, y = (at[known] - now) / DAY, peaks[known]
    weeks = days >= 2 * _WEEK
    slope, error = _slope(np.asarray(at), peaks, weeks, load, periods, float(np.median(y)))
    rest = y - slope * x
    level = float(np.median(rest))
    rest = rest - level
    busy = 0.0
    if weeks:
        weekday = np.floor(at[known] / DAY - 1e-9).astype(np.int64) % _WEEK
        profile = np.array([_shrunken(rest[weekday == day]) for day in range(_WEEK)])
        busy = max(float(profile.max()), 0.0)
        rest = rest - profile[weekday]
    spread = max(MAD_TO_SIGMA * float(np.median(np.abs(rest))), 0.5 * float(np.std(rest)))
    if not weeks:
        # The busiest day of a week that was seen once may be a rule or a chance.
        error = max(error, spread * math.sqrt(12.0 / max(days, 2.0)) / max(days, 2.0))
        busy = 0.5 * max(float(rest.max()), 0.0)
    note = "" if weeks else "a weekly rhythm cannot be told from growth before two weeks were seen"
    return PeakTrend(now, level, busy, slope, error, spread, days, note)


def _peak(load: Series, start: float, end: float) -> float:
    """Peak of the samples in (start, end]; NaN when fewer than half are there."""
    values = usable(load.between(start + 0.5 * load.step_seconds, end).values)
    values = values[np.isfinite(values)]
    if values.size < max(FULL_DAY * (end - start) / load.step_seconds, 1.0):
        return math.nan
    return float(np.quantile(values, PEAK_QUANTILE))


def _length_days(load: Series, now: float) -> float:
    """Days from the first sample to now."""
    finite = np.flatnonzero(np.isfinite(load.values))
    if finite.size == 0:
        return 0.0
    return max(now - load.start - (int(finite[0]) - 1) * load.step_seconds, 0.0) / DAY + 1e-6


def _slope(
    at: FloatArray, peaks: FloatArray, weeks: bool, load: Series, periods: Sequence[float], level: float
) -> tuple[float, float]:
    """(slope of the daily peaks a day, its standard error); of the demand itself while days are few."""
    z = NormalDist().inv_cdf(0.975)
    if weeks:
        found = trend(Series(float(at[0]), DAY, peaks), [_WEEK * DAY] if peaks.size >= 2 * _WEEK else [])
        if isinstance(found, Trend):
            return 24.0 * found.slope_per_hour, 24.0 * (found.upper - found.lower) / (2.0 * z)
    whole = trend(load, periods)
    if isinstance(whole, NoTrend):
        return 0.0, 0.0
    middle = float(np.nanmedian(usable(load.values)))
    scale = level / middle if middle > 0 else 1.0
    return 24.0 * scale * whole.slope_per_hour, 24.0 * scale * (whole.upper - whole.lower) / (2.0 * z)


def _shrunken(values: FloatArray) -> float:
    """Median, drawn to 0 while there are few."""
    return float(np.median(values)) * values.size / (values.size + 1.0) if values.size else 0.0
