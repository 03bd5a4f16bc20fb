"""Idle times: stretches near zero, their share of the time, and the hours of the week at which they are regular."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo

import numpy as np

from trimtab.analytics.gaps import BoolArray, usable
from trimtab.analytics.local_time import (
    DAY_TYPES,
    HOUR_SECONDS,
    WEEK_HOURS,
    WEEKDAYS,
    IntArray,
    clock,
    hours_and_days,
    weekday_of,
    weekdays_text,
)
from trimtab.analytics.no_pattern import NoPattern
from trimtab.analytics.runs import runs
from trimtab.domain.series import Series
from trimtab.domain.units import format_duration

_FEWEST_SAMPLES = 60
_IDLE_SHARE = 0.05
_LEAST_SECONDS, _LEAST_STEPS = 900.0, 3
_REGULAR, _FEWEST_DAYS, _FEWEST_WEEKEND_DAYS = 0.9, 3, 2
_LEAST_HOURS = 2


@dataclass(frozen=True, slots=True)
class IdleWindow:
    """Hours of the week, on the clocks of the zone asked for, that are idle regularly."""

    weekdays: tuple[int, ...]
    """Days on which it begins, Monday 0."""
    start_hour: int
    """Hour of the day at which it begins."""
    hours: int
    """How long it lasts, 2 to 168."""

    @property
    def text(self) -> str:
        """When, in words: ``Mon–Thu 20:00–06:00``."""
        if self.hours >= WEEK_HOURS:
            return "all week"
        end = clock((self.start_hour + self.hours) % 24 * HOUR_SECONDS)
        if self.hours > 24:
            last = WEEKDAYS[(self.weekdays[0] + (self.start_hour + self.hours) // 24) % 7]
            return f"{WEEKDAYS[self.weekdays[0]]} {clock(self.start_hour * HOUR_SECONDS)} to {last} {end}"
        return f"{weekdays_text(self.weekdays)} {clock(self.start_hour * HOUR_SECONDS)}–{end}"


@dataclass(frozen=True, slots=True)
class IdleTimes:
    """The idle times of a series."""

    share_percent: float
    """Share of the time."""
    longest_seconds: float
    spans: tuple[tuple[float, float], ...]
    """(first, last) unix seconds of the newest idle stretches, at most 50."""
    schedule: tuple[IdleWindow, ...]
    """Regular idle hours of the week; empty when there are none or too few days were seen."""
    hours_per_week: int
    """Length of the schedule."""
    days_seen: int
    """Whole days behind the schedule."""
    message: str


def idle_times(series: Series, zone: tzinfo = UTC) -> IdleTimes | NoPattern:
    """Stretches of at least 15 minutes (3 samples where that is longer) at or below 5 % of the usual busy value.

    An hour of the week is regularly idle when it was on 90 % of the days of its kind: of each weekday by itself where
    three weeks were seen, else of weekdays (three at least) and of weekends (two days at least).

    >>> hour = np.arange(14 * 24)
    >>> office = np.where((hour % 24 >= 8) & (hour % 24 < 18), 50.0, 0.0)
    >>> found = idle_times(Series(4 * 86400.0, 3600.0, office))
    >>> [window.text for window in found.schedule], round(found.share_percent), found.hours_per_week
    (['every day 18:00–08:00'], 58, 98)
    """
    values = usable(series.values)
    present = np.isfinite(values)
    if present.sum() < _FEWEST_SAMPLES:
        return NoPattern(f"{int(present.sum())} samples; at least {_FEWEST_SAMPLES} are needed to tell idle times")
    top = float(values[present].max())
    if not top > 0.0:
        return NoPattern("the series never rises above zero: it is idle all the time, or it is not measured")
    busy = values[present & (values > 1e-3 * top)]
    below = _IDLE_SHARE * float(np.quantile(busy, 0.75))
    idle = present & (values <= below)
    least = max(_LEAST_STEPS, round(_LEAST_SECONDS / series.step_seconds))
    lasting = [(low, high) for low, high in runs(idle) if high - low >= least]
    if not lasting:
        return NoPattern("the series is never near zero for a quarter of an hour")
    idle = np.zeros(len(series), dtype=bool)
    for low, high in lasting:
        idle[low:high] = True
    step = series.step_seconds
    share = 100.0 * float(idle.sum()) / float(present.sum())
    longest = max(high - low for low, high in lasting) * step
    hours, days = _regular_hours(series, idle, present, zone)
    schedule = _windows(hours)
    total = sum(len(window.weekdays) * window.hours for window in schedule)
    spans = tuple((series.start + low * step, series.start + (high - 1) * step) for low, high in lasting[-50:])
    when = f"regularly {', '.join(window.text for window in schedule)}" if schedule else "at no regular hours"
    message = f"Idle {share:.0f} % of the time, at most {format_duration(longest, to=1)} in a row, {when}."
    return IdleTimes(share, longest, spans, schedule, min(total, WEEK_HOURS), days, message)


def _regular_hours(series: Series, idle: BoolArray, present: BoolArray, zone: tzinfo) -> tuple[BoolArray, int]:
    """(which of the 168 hours of the week, from Monday midnight, are idle regularly; whole days seen)."""
    hour, days = hours_and_days(series.times, zone)
    count = 24 * days.size
    seen = np.bincount(hour[present], minlength=count).astype(np.float64)
    quiet = np.bincount(hour[idle], minlength=count).astype(np.float64)
    enough = seen >= max(1.0, 0.5 * min(HOUR_SECONDS / series.step_seconds, float(seen.max())))
    is_idle = np.where(enough, quiet >= 0.9 * seen, False).reshape(-1, 24)
    known = enough.reshape(-1, 24)
    grid = np.zeros((7, 24), dtype=bool)
    for kind, fewest in _kinds(days, known):
        mine = np.isin(weekday_of(days), kind)
        asked, answered = known[mine].sum(axis=0), (is_idle & known)[mine].sum(axis=0)
        grid[list(kind)] = (asked >= fewest) & (answered >= _REGULAR * asked)
    return grid.reshape(-1), int((known.sum(axis=1) >= 20).sum())


def _kinds(days: IntArray, known: BoolArray) -> list[tuple[tuple[int, ...], int]]:
    """(days that are taken together, days of them that must have been seen)."""
    whole = weekday_of(days[known.sum(axis=1) >= 12])
    if np.bincount(whole, minlength=7).min() >= _FEWEST_DAYS:
        return [(one, _FEWEST_DAYS) for one in DAY_TYPES[3:]]
    return [(DAY_TYPES[1], _FEWEST_DAYS), (DAY_TYPES[2], _FEWEST_WEEKEND_DAYS)]


def _windows(hours: BoolArray) -> tuple[IdleWindow, ...]:
    """Runs of regular hours around the week, those of equal start and length on several days in one."""
    if hours.all():
        return (IdleWindow((0,), 0, WEEK_HOURS),)
    start = int(np.flatnonzero(~hours)[0])
    turned = np.roll(hours, -start)
    found: dict[tuple[int, int], list[int]] = {}
    for low, high in runs(turned):
        if high - low >= _LEAST_HOURS:
            begin = (low + start) % WEEK_HOURS
            found.setdefault((begin % 24, high - low), []).append(begin // 24)
    return tuple(
        sorted(
            (IdleWindow(tuple(sorted(days)), hour, length) for (hour, length), days in found.items()),
            key=lambda window: (window.weekdays, window.start_hour),
        )
    )
