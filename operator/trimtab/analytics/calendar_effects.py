"""Calendar effects: what the hour, the weekday, the weekend and the first of the month do to a series.

Each is tested by turning whole days, weeks or months at random (a permutation test that keeps what noise does within
them), on values without the slower movement around them. Source: Good 2005 (permutation tests); Box 1954 (why an F-test
is too easy on correlated cells).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, timedelta, tzinfo
from enum import StrEnum

import numpy as np

from trimtab.analytics.algebra import ROUNDING
from trimtab.analytics.gaps import usable
from trimtab.analytics.local_time import (
    HOUR_SECONDS,
    WEEKDAYS,
    IntArray,
    clock,
    hours_and_days,
    weekday_of,
)
from trimtab.domain.series import FloatArray, Series

CHANCE = 0.02
"""An effect counts when chance does as much with at most this probability."""
WEEKEND_CHANCE = 0.03
"""Two weeks can be turned in 49 ways, so no less than 0.02 can be shown by them."""
LEAST_PERCENT = 3.0
_SHUFFLES = 499
_FEWEST_DAYS, _FEWEST_WEEKS, _FEWEST_WEEKENDS, _FEWEST_MONTHS = 4, 3, 2, 3
_EPOCH = date(1970, 1, 1)


class CalendarKind(StrEnum):
    """What of the calendar matters."""

    HOUR_OF_DAY = "HourOfDay"
    DAY_OF_WEEK = "DayOfWeek"
    WEEKEND = "Weekend"
    MONTH_START = "MonthStart"


@dataclass(frozen=True, slots=True)
class CalendarEffect:
    """One effect of the calendar that chance does not explain."""

    kind: CalendarKind
    effect_percent: float
    """Highest cell against the mean of all; for the weekend and the first of the month against all other days."""
    highest: str
    """Cell that is highest, such as ``10:00`` or ``Mon``."""
    lowest: str
    table: tuple[float, ...]
    """Deviation of each cell from the mean in percent: 24 hours, 7 weekdays, or the one figure."""
    support: int
    """Days, weeks, weekends or months behind it."""
    p_value: float
    message: str


def calendar_effects(series: Series, zone: tzinfo = UTC) -> tuple[CalendarEffect, ...]:
    """The calendar's effects on ``series`` in the zone's local time, those of the hour first; empty when none holds.

    At least 4 whole days are needed for hours, 3 weeks for weekdays, 2 for a weekend and 3 months for their first day.
    An effect must be 3 % of the mean, and be as large by chance in at most 2 % of 499 seeded shuffles (3 % for a
    weekend).

    >>> hour = np.arange(21 * 24)
    >>> office = 100.0 + 50.0 * ((hour % 24 >= 9) & (hour % 24 < 17)) + np.random.default_rng(0).normal(0, 5, hour.size)
    >>> [(one.kind.value, one.highest[:2] in {"09", "10", "11", "12", "13", "14", "15", "16"})
    ...     for one in calendar_effects(Series(0.0, 3600.0, office))]
    [('HourOfDay', True)]
    """
    grid, days = _hours(series, zone)
    if grid.shape[0] < _FEWEST_WEEKENDS or not np.isfinite(grid).any():
        return ()
    mean = float(np.nanmean(grid))
    if not abs(mean) > 0.0:
        return ()
    rng = np.random.default_rng(0)
    filled = np.isfinite(grid).sum(axis=1)
    whole = filled >= 20
    found = [_hour_of_day(grid[whole], mean, rng)]
    level = np.where(whole, np.where(np.isfinite(grid), grid, 0.0).sum(axis=1) / np.maximum(filled, 1), np.nan)
    found += _by_week(level, days, mean, rng)
    found.append(_month_start(level, days, mean, rng))
    return tuple(one for one in found if one is not None)


def _hours(series: Series, zone: tzinfo) -> tuple[FloatArray, IntArray]:
    """(mean of each local hour, shape (days, 24), NaN where none was seen; days since the epoch)."""
    values = usable(series.values)
    present = np.isfinite(values)
    if not present.any():
        return np.empty((0, 24)), np.empty(0, dtype=np.intp)
    hour, days = hours_and_days(series.times, zone)
    seen = np.bincount(hour[present], minlength=24 * days.size)
    sums = np.bincount(hour[present], values[present], 24 * days.size)
    return np.where(seen > 0, sums / np.maximum(seen, 1), np.nan).reshape(-1, 24), days


def _hour_of_day(grid: FloatArray, mean: float, rng: np.random.Generator) -> CalendarEffect | None:
    if grid.shape[0] < _FEWEST_DAYS:
        return None
    around = grid - np.nanmean(grid, axis=1, keepdims=True)
    cells = _profile(around)
    p_value = _chance(np.nan_to_num(around), float((cells**2).sum()), rng)
    percent = 100.0 * cells / mean
    top, low = int(np.argmax(cells)), int(np.argmin(cells))
    if p_value > CHANCE or float(np.abs(percent).max()) < LEAST_PERCENT:
        return None
    names = clock(top * HOUR_SECONDS), clock(low * HOUR_SECONDS)
    message = (
        f"The hour matters: {percent[top]:+.0f} % at {names[0]} and {percent[low]:+.0f} % at {names[1]} against the"
        f" mean, over {grid.shape[0]} days."
    )
    return CalendarEffect(
        CalendarKind.HOUR_OF_DAY, float(percent[top]), *names, _tuple(percent), grid.shape[0], p_value, message
    )


def _by_week(level: FloatArray, days: IntArray, mean: float, rng: np.random.Generator) -> list[CalendarEffect | None]:
    """Effects of the weekday and, where it is what the weekday amounts to, of the weekend."""
    weeks = _weeks(level, days)
    if weeks.shape[0] < _FEWEST_WEEKENDS:
        return [None]
    around = weeks - _moving_level(weeks)
    around -= around.mean(axis=1, keepdims=True)
    cells = around.mean(axis=0)
    found: list[CalendarEffect | None] = []
    contrast = float(cells[5:].mean() - cells[:5].mean())
    p_weekend = _chance(around, contrast**2, rng, weekend=True)
    percent = 100.0 * contrast / (mean - contrast * 2 / 7)
    if p_weekend <= WEEKEND_CHANCE and abs(percent) >= LEAST_PERCENT:
        message = f"Weekends are {percent:+.0f} % against weekdays, over {weeks.shape[0]} weeks."
        names = ("weekend", "weekdays") if contrast > 0 else ("weekdays", "weekend")
        found.append(
            CalendarEffect(CalendarKind.WEEKEND, percent, *names, (percent,), weeks.shape[0], p_weekend, message)
        )
        around = around - np.where(np.arange(7) >= 5, cells[5:].mean(), cells[:5].mean())
    rest = around.mean(axis=0)
    share = 100.0 * rest / mean
    if weeks.shape[0] >= _FEWEST_WEEKS and float(np.abs(share).max()) >= LEAST_PERCENT:
        p_value = _chance(around, float((rest**2).sum()), rng, kinds=bool(found))
        if p_value <= CHANCE:
            whole = 100.0 * cells / mean
            top, low = int(np.argmax(whole)), int(np.argmin(whole))
            message = (
                f"The weekday matters: {whole[top]:+.0f} % on {WEEKDAYS[top]} and {whole[low]:+.0f} % on"
                f" {WEEKDAYS[low]} against the mean, over {weeks.shape[0]} weeks."
            )
            found.append(
                CalendarEffect(
                    CalendarKind.DAY_OF_WEEK, float(whole[top]), WEEKDAYS[top], WEEKDAYS[low], _tuple(whole),
                    weeks.shape[0], p_value, message,
                )
            )  # fmt: skip
    return found


def _weeks(level: FloatArray, days: IntArray) -> FloatArray:
    """Whole weeks from Monday, shape (weeks, 7); those with a missing day are left out."""
    start = int(np.flatnonzero(weekday_of(days) == 0)[0]) if (weekday_of(days) == 0).any() else days.size
    count = (days.size - start) // 7
    weeks = level[start : start + 7 * count].reshape(-1, 7)
    whole: FloatArray = weeks[np.isfinite(weeks).all(axis=1)]
    return whole


def _moving_level(weeks: FloatArray) -> FloatArray:
    """A line through the means of the weeks, at each day, so that a rising series has no weekday effect."""
    count = weeks.shape[0]
    if count < 3:
        return np.repeat(weeks.mean(axis=1, keepdims=True), 7, axis=1)
    place = (np.arange(count) + 0.5) * 7.0
    line: FloatArray = np.interp(np.arange(7 * count) + 0.5, place, weeks.mean(axis=1)).reshape(-1, 7)
    return line


def _chance(
    around: FloatArray, seen: float, rng: np.random.Generator, *, weekend: bool = False, kinds: bool = False
) -> float:
    """Share of shuffles, in which every row is turned by a random number of cells, that do as much as was seen.

    With ``weekend`` what counts is the contrast of the last two of seven cells; with ``kinds`` weekdays and weekends
    are turned each in themselves.
    """
    rows, cells = around.shape
    index = np.arange(cells)[None, None, :]
    shifts = rng.integers(0, cells, (_SHUFFLES, rows, 1))
    turned = (index + shifts) % cells
    if kinds:
        turned = np.where(index < 5, (index + shifts) % 5, 5 + (index + shifts) % 2)
    means = around[np.arange(rows)[None, :, None], turned].mean(axis=1)
    power = (means[:, 5:].mean(axis=1) - means[:, :5].mean(axis=1)) ** 2 if weekend else (means**2).sum(axis=1)
    return float((1 + (power >= seen * (1.0 - ROUNDING)).sum()) / (_SHUFFLES + 1))


def _month_start(level: FloatArray, days: IntArray, mean: float, rng: np.random.Generator) -> CalendarEffect | None:
    """Whether the first day of the month stands out from the other days of its month, weekdays taken out."""
    known = np.isfinite(level)
    if known.sum() < 28 * _FEWEST_MONTHS:
        return None
    weekday = weekday_of(days)
    rest = level.copy()
    for one in range(7):
        mine = known & (weekday == one)
        rest[mine] -= np.median(level[mine]) if mine.any() else 0.0
    starts = [
        index for index, day in enumerate(days.tolist()) if (_EPOCH + timedelta(days=day)).day == 1 and known[index]
    ]
    off, drawn = [], []
    for index in starts:
        near = np.arange(max(0, index - 14), min(days.size, index + 15))
        near = near[known[near]]
        if near.size < 20:
            continue
        centre = float(np.median(rest[near]))
        off.append(float(rest[index]) - centre)
        drawn.append(rest[rng.choice(near, _SHUFFLES)] - centre)
    if len(off) < _FEWEST_MONTHS:
        return None
    effect = float(np.mean(off))
    percent = 100.0 * effect / mean
    p_value = float((1 + (np.abs(np.mean(drawn, axis=0)) >= abs(effect) * (1.0 - ROUNDING)).sum()) / (_SHUFFLES + 1))
    if p_value > CHANCE or abs(percent) < LEAST_PERCENT:
        return None
    message = f"The first of the month is {percent:+.0f} % against the days around it, over {len(off)} months."
    names = ("first of the month", "other days") if percent > 0 else ("other days", "first of the month")
    return CalendarEffect(CalendarKind.MONTH_START, percent, *names, (percent,), len(off), p_value, message)


def _profile(around: FloatArray) -> FloatArray:
    """Mean of each column (24,), 0 where nothing was seen."""
    seen = np.isfinite(around).sum(axis=0)
    cells: FloatArray = np.where(np.isfinite(around), around, 0.0).sum(axis=0) / np.maximum(seen, 1)
    return cells


def _tuple(values: FloatArray) -> tuple[float, ...]:
    return tuple(round(float(value), 2) for value in values)
