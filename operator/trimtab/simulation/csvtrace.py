"""Recorded arrivals: a CSV file read into rates over time, and played at any speed."""

import csv
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from trimtab.domain.series import FloatArray

_TIME_COLUMNS = ("time", "timestamp", "date")
_PER_MINUTE_COLUMN = "requests"


class TraceError(ValueError):
    """A trace that cannot be read. The message names the file, the line and the value."""


@dataclass(frozen=True)
class Playback:
    """Arrival rates, each held until the next one; past the end it starts again.

    `starts_seconds` and `rates_per_second` have shape (n,); starts rise from 0, and `duration_seconds` lies
    past the last.
    """

    starts_seconds: FloatArray
    rates_per_second: FloatArray
    duration_seconds: float

    def rate(self, seconds: FloatArray, speed: float = 1.0) -> FloatArray:
        """Requests/s at `seconds` after the trace's first row, played `speed` times as fast.

        Speed shortens time and leaves the rates as they are: 60 plays an hour in a minute.

        >>> Playback(np.array([0.0, 60.0]), np.array([1.0, 2.0]), 120.0).rate(np.array([0.0, 1.0, 2.0]), speed=60)
        array([1., 2., 1.])
        """
        moments = np.mod(np.asarray(seconds) * speed, self.duration_seconds)
        return self.rates_per_second[np.searchsorted(self.starts_seconds, moments, side="right") - 1]

    def window(self, offset_seconds: float = 0.0, duration_seconds: float | None = None) -> "Playback":
        """The part that starts at `offset_seconds`, as a trace of its own. Raises TraceError when nothing is left."""
        if not 0 <= offset_seconds < self.duration_seconds:
            raise TraceError(f"offset {offset_seconds} s lies outside a trace of {self.duration_seconds} s")
        left = self.duration_seconds - offset_seconds
        duration = left if duration_seconds is None else min(left, duration_seconds)
        first = int(np.searchsorted(self.starts_seconds, offset_seconds, side="right")) - 1
        last = int(np.searchsorted(self.starts_seconds, offset_seconds + duration, side="left"))
        starts = np.maximum(self.starts_seconds[first:last] - offset_seconds, 0.0)
        return Playback(starts, self.rates_per_second[first:last], duration)

    def normalised(self, peak: float) -> "Playback":
        """The same shape with `peak` requests/s as its largest rate. Raises TraceError if it has no traffic."""
        top = float(self.rates_per_second.max())
        if top <= 0:
            raise TraceError("a trace without any traffic cannot be scaled to a peak")
        return Playback(self.starts_seconds, self.rates_per_second * (peak / top), self.duration_seconds)


def read_trace(path: Path, value_column: str | None = None, interval_seconds: float | None = None) -> Playback:
    """Read a trace.

    Three forms are understood:
    - one value a line, with or without a header: requests/s, one line a second;
    - columns `time,value` (also `timestamp`, `date`): requests/s, each held until the next row;
    - columns `time,requests`: requests counted in each minute; a minute without a row had none.

    `value_column` names another column. `interval_seconds` says that values are counts over so many seconds
    (and, where there is no time column, how far apart lines are). Times are seconds or ISO 8601, UTC when they
    name no zone.

    Raises TraceError with file, line and value for what is not a number or not a time, for negative or infinite
    values, for times that do not rise, and for a file without rows; OSError when the file cannot be opened.
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = [(number, row) for number, row in enumerate(csv.reader(stream), start=1) if any(row)]
    if not rows:
        raise TraceError(f"{path}: no rows")
    header = [name.strip().lower() for name in rows[0][1]]
    has_header = not _is_number(header[-1])
    body = rows[1:] if has_header else rows
    if not body:
        raise TraceError(f"{path}: no rows after the header")
    time_index, value_index = _columns(path, header, has_header, value_column)
    values = np.array([_value(path, number, row, value_index) for number, row in body])
    if time_index is None:
        return _grid(values, 1.0) if interval_seconds is None else _grid(values / interval_seconds, interval_seconds)
    times = np.array([_time(path, number, row, time_index) for number, row in body])
    _check_rising(path, times, body, time_index)
    if interval_seconds is None and has_header and header[value_index] == _PER_MINUTE_COLUMN:
        interval_seconds = 60.0
    if interval_seconds is not None:
        return _counts(times, values, interval_seconds)
    return _held(times, values)


def _columns(path: Path, header: list[str], has_header: bool, wanted: str | None) -> tuple[int | None, int]:
    if not has_header:
        return (0, 1) if len(header) > 1 else (None, 0)
    time_index = next((header.index(name) for name in _TIME_COLUMNS if name in header), None)
    if wanted is None:
        return time_index, next(index for index in (1, 0) if index < len(header) and index != time_index)
    if wanted.lower() not in header:
        raise TraceError(f"{path}:1: no column {wanted!r}; there are {', '.join(header)}")
    return time_index, header.index(wanted.lower())


def _grid(rates: FloatArray, step_seconds: float) -> Playback:
    return Playback(np.arange(len(rates), dtype=np.float64) * step_seconds, rates, len(rates) * step_seconds)


def _counts(times: FloatArray, counts: FloatArray, interval_seconds: float) -> Playback:
    index = np.round((times - times[0]) / interval_seconds).astype(np.int64)
    totals = np.bincount(index, weights=counts).astype(np.float64)
    return _grid(totals / interval_seconds, interval_seconds)


def _held(times: FloatArray, rates: FloatArray) -> Playback:
    starts = times - times[0]
    last_gap = float(starts[-1] - starts[-2]) if len(starts) > 1 else 1.0
    return Playback(starts, rates, float(starts[-1]) + last_gap)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cell(path: Path, number: int, row: list[str], index: int) -> str:
    if index >= len(row):
        raise TraceError(f"{path}:{number}: {','.join(row)!r} has no column {index + 1}")
    return row[index].strip()


def _value(path: Path, number: int, row: list[str], index: int) -> float:
    text = _cell(path, number, row, index)
    if not _is_number(text) or not 0 <= float(text) < math.inf:
        raise TraceError(f"{path}:{number}: {text!r} is not a finite number >= 0")
    return float(text)


def _time(path: Path, number: int, row: list[str], index: int) -> float:
    text = _cell(path, number, row, index)
    if _is_number(text) and math.isfinite(float(text)):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TraceError(f"{path}:{number}: {text!r} is neither seconds nor an ISO 8601 time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _check_rising(path: Path, times: FloatArray, body: list[tuple[int, list[str]]], time_index: int) -> None:
    falls = np.flatnonzero(~(np.diff(times) > 0))
    if falls.size:
        number, row = body[int(falls[0]) + 1]
        raise TraceError(f"{path}:{number}: time {row[time_index].strip()!r} does not come after the row before")
