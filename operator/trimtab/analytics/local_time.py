"""Local time: hours and weekdays of samples in the zone in which people work."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray

HOUR_SECONDS, DAY_SECONDS = 3600.0, 86400.0
WEEK_HOURS = 168
IntArray = NDArray[np.intp]
DAY_TYPES = (tuple(range(7)), (0, 1, 2, 3, 4), (5, 6), *((day,) for day in range(7)))
"""Days that people treat alike, the widest first: all, weekdays, the weekend, each by itself; Monday is 0."""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FIRST_MONDAY = 4
"""Days from the epoch, a Thursday, to a Monday."""


def local_seconds(times: FloatArray, zone: tzinfo) -> FloatArray:
    """Seconds since the epoch on the clocks of ``zone``, shape of ``times`` (n,), ascending unix seconds.

    The offset is looked up once an hour where it changes within a day, else once a day.

    >>> from trimtab.domain.time_zones import zone_of
    >>> berlin = local_seconds(np.array([0.0, 1.5e9]), zone_of("Europe/Berlin"))
    >>> (berlin - np.array([0.0, 1.5e9])).tolist()
    [3600.0, 7200.0]
    """
    if zone is UTC or times.size == 0:
        return times
    first, last = int(times[0] // DAY_SECONDS), int(times[-1] // DAY_SECONDS) + 1
    edges = [_offset(day * DAY_SECONDS, zone) for day in range(first, last + 1)]
    hourly = np.repeat(np.array(edges[:-1]), 24)
    for day in range(last - first):
        if edges[day] != edges[day + 1]:
            hours = [_offset((first + day) * DAY_SECONDS + hour * HOUR_SECONDS, zone) for hour in range(24)]
            hourly[24 * day : 24 * day + 24] = hours
    index = ((times - first * DAY_SECONDS) // HOUR_SECONDS).astype(np.intp)
    local: FloatArray = times + hourly[index]
    return local


def hours_and_days(times: FloatArray, zone: tzinfo) -> tuple[IntArray, IntArray]:
    """(hours since the first local midnight, of ascending ``times`` (n,); local days that they span, since the epoch).

    >>> hours, days = hours_and_days(np.array([82800.0, 90000.0]), UTC)
    >>> hours.tolist(), days.tolist()
    ([23, 25], [0, 1])
    """
    hours = (local_seconds(times, zone) // HOUR_SECONDS).astype(np.intp)
    first = int(hours[0]) // 24
    return hours - 24 * first, np.arange(first, int(hours[-1]) // 24 + 1)


def weekday_of(days: IntArray) -> IntArray:
    """Weekday of each day since the epoch, Monday 0."""
    weekday: IntArray = (days - _FIRST_MONDAY) % 7
    return weekday


def clock(seconds: float) -> str:
    """Time of day.

    >>> clock(34200.0), clock(86400.0)
    ('09:30', '00:00')
    """
    minutes = round(seconds / 60.0) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def weekdays_text(days: tuple[int, ...]) -> str:
    """Weekdays in words, runs joined.

    >>> weekdays_text((0, 1, 2, 3, 4)), weekdays_text((5, 6)), weekdays_text(tuple(range(7))), weekdays_text((0, 2))
    ('Mon–Fri', 'Sat and Sun', 'every day', 'Mon and Wed')
    """
    if len(days) == 7:
        return "every day"
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    words: list[str] = []
    for run in runs:
        names = [WEEKDAYS[day] for day in run]
        words += [f"{names[0]}–{names[-1]}"] if len(run) > 2 else names
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" and {words[-1]}"


def _offset(seconds: float, zone: tzinfo) -> float:
    offset = datetime.fromtimestamp(seconds, zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0
