"""A plot for the terminal, of braille dots: two columns and four rows of them a character. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from rich.text import Text

from trimtab.domain.series import FloatArray
from trimtab.domain.units import format_number

_ACROSS, _DOWN = 2, 4
_EMPTY: Final = 0x2800
_DOTS: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_LABEL: Final = 8
"""Width of the labels of the axis, with the space behind them."""
_MARKED_STYLE: Final = "bold red"


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line of a plot; where two meet, the later one gives the colour."""

    values: FloatArray = field(repr=False)
    """Shape (n,), the same for all lines of a plot, NaN where there is nothing."""
    style: str = ""
    marked: FloatArray | None = field(default=None, repr=False)
    """Above 0 where the line is drawn in red; shape (n,)."""


def plot(lines: Sequence[Line], width: int, height: int) -> list[Text]:
    """``height`` lines of text with an axis at the left, ``width`` wide in all; nothing where no value is finite.

    Where more samples than dots are to be drawn, a dot column reaches from the smallest to the largest of its samples.

    >>> [text.plain.rstrip() for text in plot([Line(np.array([0.0, 1.0, 2.0, 3.0]))], 10, 1)]
    ['      3 ⣠⠞']
    """
    finite = np.concatenate([line.values[np.isfinite(line.values)] for line in lines])
    if finite.size == 0:
        return []
    bottom, top = float(finite.min()), float(finite.max())
    columns, rows = max(width - _LABEL, 1) * _ACROSS, height * _DOWN
    codes = np.full((height, columns // _ACROSS), _EMPTY)
    styles: list[list[str]] = [[""] * (columns // _ACROSS) for _ in range(height)]
    for line in lines:
        lows, highs = _reach(line.values, columns)
        marks = _marks(line, columns)
        for column in np.flatnonzero(np.isfinite(highs)).tolist():
            first, last = (_row(value, bottom, top, rows) for value in (highs[column], lows[column]))
            style = _MARKED_STYLE if marks[column] else line.style
            for row in range(first, last + 1):
                codes[row // _DOWN, column // _ACROSS] |= _DOTS[row % _DOWN, column % _ACROSS]
                if styles[row // _DOWN][column // _ACROSS] != _MARKED_STYLE:
                    styles[row // _DOWN][column // _ACROSS] = style
    return [_text(codes[row], styles[row], _label(row, height, bottom, top)) for row in range(height)]


def below(left: str, right: str, width: int) -> Text:
    """The ends of the time axis."""
    return Text(" " * _LABEL + left + right.rjust(width - _LABEL - len(left)), style="dim")


def _reach(values: FloatArray, columns: int) -> tuple[FloatArray, FloatArray]:
    """The smallest and the largest value of each dot column, joined with the column before; both (columns,)."""
    n = values.size
    if n < columns:
        places = np.linspace(0.0, n - 1.0, columns)
        below_, above = np.floor(places).astype(int), np.ceil(places).astype(int)
        share = places - below_
        drawn = np.where(share > 0, (1 - share) * values[below_] + share * values[above], values[below_])
        lows, highs = drawn.copy(), drawn.copy()
    else:
        edges = np.linspace(0, n, columns + 1).round().astype(int)[:-1]
        lows = np.minimum.reduceat(np.where(np.isfinite(values), values, np.inf), edges)
        highs = np.maximum.reduceat(np.where(np.isfinite(values), values, -np.inf), edges)
        lows[~np.isfinite(lows)] = np.nan
        highs[~np.isfinite(highs)] = np.nan
    joined_low, joined_high = lows.copy(), highs.copy()
    both = np.isfinite(highs[1:]) & np.isfinite(highs[:-1])
    joined_low[1:][both] = np.minimum(lows[1:], highs[:-1])[both]
    joined_high[1:][both] = np.maximum(highs[1:], lows[:-1])[both]
    return joined_low, joined_high


def _marks(line: Line, columns: int) -> list[bool]:
    """Which dot columns hold a marked sample."""
    marks = [False] * columns
    if line.marked is not None:
        n = line.values.size
        for index in np.flatnonzero(line.marked > 0).tolist():
            first = int(index * columns / n)
            for column in range(first, max(first + 1, math.ceil((index + 1) * columns / n))):
                marks[min(column, columns - 1)] = True
    return marks


def _row(value: float, bottom: float, top: float, rows: int) -> int:
    share = (value - bottom) / (top - bottom) if top > bottom else 0.5
    return min(rows - 1, max(0, round((1.0 - share) * (rows - 1))))


def _label(row: int, height: int, bottom: float, top: float) -> str:
    if row not in {0, height // 2, height - 1}:
        return " " * _LABEL
    value = top - (top - bottom) * row / max(height - 1, 1)
    return f"{short(value):>{_LABEL - 1}} "


def short(value: float) -> str:
    """A number of at most seven characters.

    >>> short(0.1234), short(123456789.0), short(-5e-9)
    ('0.123', '1.2e+08', '-5e-09')
    """
    text = format_number(value) or "?"
    return text if len(text) < _LABEL else f"{value:.1e}" if value >= 0 else f"{value:.0e}"


def _text(codes: np.ndarray[tuple[int], np.dtype[np.int64]], styles: Sequence[str], label: str) -> Text:
    line = Text(label, style="dim", no_wrap=True)
    for code, style in zip(codes.tolist(), styles, strict=True):
        line.append(chr(code) if code != _EMPTY else " ", style=style or "not dim")
    return line
