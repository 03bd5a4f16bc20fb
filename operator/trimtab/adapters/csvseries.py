"""A ``time,value`` file as a series on a regular grid, and where each of its rows lies on it."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray, Series

MOST_POINTS: Final = 5_000_000
"""Points that the grid of a file may have."""
_TIME_NAMES: Final = ("time", "timestamp", "date", "datetime", "ts", "unix", "epoch", "t")
_VALUE_NAMES: Final = ("value", "values", "val", "y", "v")
_MISSING: Final = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "inf", "+inf", "-inf", "infinity"})
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MILLISECONDS_FROM: Final = 1e11
"""Unix times of at least this much are in milliseconds: as seconds they would lie after the year 5138."""
_SHOWN: Final = 40


class CsvError(ValueError):
    """A file that cannot be read as a series; the message names line, column and value, and what would be right."""


@dataclass(frozen=True, slots=True, eq=False)
class CsvSeries:
    """A file's rows in the order of the file, and the same on a grid."""

    series: Series
    """Unix seconds; grid points without a row are NaN. Of several rows nearest to one point the first in time counts,
    so that a later row never changes an earlier point."""
    times: FloatArray = field(repr=False)
    """Unix seconds of each row, shape (rows,)."""
    values: FloatArray = field(repr=False)
    """Value of each row, NaN where it has none, shape (rows,)."""
    places: NDArray[np.intp] = field(repr=False)
    """Index of each row's point on the grid, shape (rows,)."""
    name: str = "value"
    """Header of the values' column."""


def parse_csv(lines: Iterable[str], step_seconds: float | None = None) -> CsvSeries:
    """The series in ``lines``: a time (unix seconds or milliseconds, or ISO 8601, in UTC without a zone) and a value.

    The separator is a comma, a semicolon or a tab; a header is optional and names the columns where there are more than
    two. Empty, NaN and infinite values are missing. The step is the median distance of the rows unless it is given.
    Raises CsvError.

    >>> read = parse_csv(["timestamp,value", "0,5", "60,6", "240,7"])
    >>> read.series.step_seconds, read.series.values.tolist(), read.places.tolist()
    (60.0, [5.0, 6.0, nan, nan, 7.0], [0, 1, 4])
    """
    times, values, name = _rows(lines)
    if times.size < 2:
        raise CsvError(f"{times.size} rows with a time; at least 2 are needed")
    order = np.argsort(times, kind="stable")
    step = step_seconds if step_seconds is not None else _median_step(times[order])
    start = float(times[order[0]])
    places = np.rint((times - start) / step).astype(np.intp)
    points = int(places.max()) + 1
    if points > MOST_POINTS:
        raise CsvError(
            f"the rows span {times.max() - start:.0f} s, which is {points} steps of {step:g} s; at most {MOST_POINTS}"
            " are read: is a time wrong, or the step too small?"
        )
    grid = np.full(points, np.nan)
    for row in order[::-1].tolist():
        grid[places[row]] = values[row]  # the first in time is written last, and stays
    return CsvSeries(Series(start, step, grid), times, values, places, name)


def read_time(text: str) -> float | None:
    """Unix seconds of a time, as a number (milliseconds too) or ISO 8601, in UTC without a zone; None for others.

    >>> read_time("1700000000000"), read_time("2023-11-14T22:13:20"), read_time("soon")
    (1700000000.0, 1700000000.0, None)
    """
    if _NUMBER.fullmatch(text):
        seconds = float(text)
        seconds = seconds / 1000.0 if abs(seconds) >= _MILLISECONDS_FROM else seconds
        return seconds if abs(seconds) < _MILLISECONDS_FROM else None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _rows(lines: Iterable[str]) -> tuple[FloatArray, FloatArray, str]:
    """Times and values of all rows, and the name of the values' column."""
    times: list[float] = []
    values: list[float] = []
    columns, name, separator = (0, 1), "value", ""
    headed = False
    for number, raw in enumerate(lines, start=1):
        line = raw.removeprefix("\ufeff").strip()
        if not line or line.startswith("#"):
            continue
        separator = separator or _separator(line)
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
        if not headed and not times:
            headed = True
            if read_time(cells[0]) is None and not _is_data(cells):
                columns, name = _header(cells)
                continue
        times.append(_checked_time(cells, columns[0], number))
        values.append(_checked_value(cells, columns[1], number, name))
    return np.array(times, dtype=np.float64), np.array(values, dtype=np.float64), name


def _separator(line: str) -> str:
    return next((mark for mark in (",", ";", "\t") if mark in line), ",")


def _is_data(cells: Sequence[str]) -> bool:
    """Whether a first line is a row with a time that cannot be read, and not a header."""
    return len(cells) > 1 and _NUMBER.fullmatch(cells[1]) is not None


def _header(cells: Sequence[str]) -> tuple[tuple[int, int], str]:
    """Columns of time and value by their names, else the first two; the time may come second."""
    names = [cell.lower() for cell in cells]
    time = next((names.index(known) for known in _TIME_NAMES if known in names), 0)
    others = [index for index in range(len(names)) if index != time]
    value = next((names.index(known) for known in _VALUE_NAMES if known in names), others[0] if others else 1)
    return (time, value), cells[value] if value < len(cells) else "value"


def _cell(cells: Sequence[str], column: int, number: int, name: str) -> str:
    if column >= len(cells):
        raise CsvError(f"line {number}: there is no column {column + 1} ({name}); a row is time,value")
    return cells[column]


def _checked_time(cells: Sequence[str], column: int, number: int) -> float:
    text = _cell(cells, column, number, "time")
    seconds = read_time(text)
    if seconds is None:
        raise CsvError(
            f"line {number}, column {column + 1} (time): {text[:_SHOWN]!r} is not a time;"
            " write unix seconds or ISO 8601 such as 2026-05-04T10:00:00Z"
        )
    return seconds


def _checked_value(cells: Sequence[str], column: int, number: int, name: str) -> float:
    text = _cell(cells, column, number, name)
    if text.lower() in _MISSING:
        return math.nan
    if _NUMBER.fullmatch(text) is None:
        raise CsvError(
            f"line {number}, column {column + 1} ({name}): {text[:_SHOWN]!r} is not a number;"
            " write it with a decimal point, or leave it empty where it is missing"
        )
    value = float(text)
    return value if math.isfinite(value) else math.nan


def _median_step(ordered: FloatArray) -> float:
    """Median distance of rows at different times; between two of them it is the smaller one."""
    distances = np.diff(ordered)
    distances = np.sort(distances[distances > 0])
    if distances.size == 0:
        raise CsvError("all rows have the same time")
    return float(distances[(distances.size - 1) // 2])
