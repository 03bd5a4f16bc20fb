"""Plots: lines over time as SVG text, without a library. Pure.

Colours are those of Okabe and Ito, which people with any colour vision tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np

from trimtab.domain.series import FloatArray

BLUE, ORANGE, GREEN, GREY, RED = "#0072b2", "#d55e00", "#009e73", "#777777", "#cc3311"

_WIDTH, _LEFT, _RIGHT, _TOP, _GAP, _FOOT = 860.0, 64.0, 20.0, 46.0, 34.0, 34.0
_PANEL_HEIGHT: Final = 150.0
_MOST_POINTS: Final = 900


@dataclass(frozen=True, slots=True)
class Line:
    """One line; both arrays of shape (n,). NaN leaves a gap; ``stairs`` holds each value until the next."""

    name: str
    times: FloatArray
    values: FloatArray
    colour: str
    stairs: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines over one vertical axis, from zero to ``top`` (values beyond are cut off there)."""

    title: str
    lines: Sequence[Line]
    top: float | None = None
    level: float | None = None
    """A threshold, drawn across."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time that is shaded."""

    name: str
    start: float
    end: float
    colour: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, drawn as a vertical line through all panels."""

    name: str
    at: float
    colour: str = GREY


def plot(
    title: str,
    panels: Sequence[Panel],
    start: float,
    end: float,
    spans: Sequence[Span] = (),
    marks: Sequence[Mark] = (),
) -> str:
    """An SVG of panels below each other that share the time from ``start`` to ``end``, seconds.

    >>> line = Line("load", np.array([0.0, 1.0]), np.array([1.0, 2.0]), BLUE)
    >>> plot("A day", [Panel("requests/s", [line])], 0.0, 1.0).startswith("<svg")
    True
    """
    height = _TOP + len(panels) * (_PANEL_HEIGHT + _GAP) + _FOOT
    axis = _Axis(start, end)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" font-size="12"'
        ' font-family="system-ui, sans-serif" fill="#222222">',
        f'<rect width="{_WIDTH:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    bottom = _TOP + len(panels) * (_PANEL_HEIGHT + _GAP) - _GAP
    parts += [_span(axis, span, bottom) for span in spans]
    for index, panel in enumerate(panels):
        parts += _panel(axis, panel, _TOP + index * (_PANEL_HEIGHT + _GAP))
    parts += [_mark(axis, mark, bottom, row) for row, mark in enumerate(marks)]
    parts += _time_axis(axis, bottom)
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class _Axis:
    start: float
    end: float

    def x(self, time: float) -> float:
        share = (time - self.start) / (self.end - self.start)
        return _LEFT + min(max(share, 0.0), 1.0) * (_WIDTH - _LEFT - _RIGHT)


def _panel(axis: _Axis, panel: Panel, y: float) -> list[str]:
    known = [line.values[np.isfinite(line.values)] for line in panel.lines]
    largest = max([panel.level or 0.0, *(float(values.max()) for values in known if values.size)])
    step = nice_step((panel.top or largest * 1.05 or 1.0) / 4)
    top = panel.top or step * math.ceil(largest * 1.02 / step) or step
    right = _WIDTH - _RIGHT

    def height(value: float) -> float:
        return y + _PANEL_HEIGHT * (1 - min(max(value / top, 0.0), 1.0))

    parts = [f'<text x="{_LEFT}" y="{y - 7:.0f}" font-weight="600">{escape(panel.title)}</text>']
    across = f'x1="{_LEFT}" x2="{right}"'
    for tick in np.arange(0.0, top + step / 2, step).tolist():
        parts.append(f'<line {across} y1="{height(tick):.1f}" y2="{height(tick):.1f}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{height(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    if panel.level is not None:
        at = height(panel.level)
        parts.append(f'<line {across} y1="{at:.1f}" y2="{at:.1f}" stroke="{RED}" stroke-dasharray="2 3"/>')
    for line in panel.lines:
        dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
        style = f'fill="none" stroke="{line.colour}" stroke-width="1.6" stroke-linejoin="round"{dashes}'
        parts += [f'<polyline points="{points}" {style}/>' for points in _points(axis, line, height)]
    x = right
    for line in reversed([line for line in panel.lines if line.name]):
        x -= 7.0 * len(line.name) + 30
        parts.append(
            f'<line x1="{x:.0f}" x2="{x + 18:.0f}" y1="{y - 11:.0f}" y2="{y - 11:.0f}" stroke="{line.colour}"'
            ' stroke-width="2.5"/>'
        )
        parts.append(f'<text x="{x + 22:.0f}" y="{y - 7:.0f}">{escape(line.name)}</text>')
    return parts


def _points(axis: _Axis, line: Line, height: Callable[[float], float]) -> list[str]:
    """The line's points in runs without a gap."""
    inside = (line.times >= axis.start) & (line.times <= axis.end)
    times, values = line.times[inside], line.values[inside]
    every = max(1, math.ceil(times.size / _MOST_POINTS))
    runs: list[list[str]] = [[]]
    last = ""
    for time, value in zip(times[::every].tolist(), values[::every].tolist(), strict=True):
        if not math.isfinite(value):
            runs.append([])
            last = ""
            continue
        x, y = f"{axis.x(time):.1f}", f"{height(value):.1f}"
        if line.stairs and last:
            runs[-1].append(f"{x},{last}")
        runs[-1].append(f"{x},{y}")
        last = y
    return [" ".join(run) for run in runs if len(run) > 1]


def _span(axis: _Axis, span: Span, bottom: float) -> str:
    x, width = axis.x(span.start), axis.x(span.end) - axis.x(span.start)
    label = f'<text x="{x + 4:.1f}" y="{_TOP + 14:.0f}" fill="{span.colour}">{escape(span.name)}</text>'
    return (
        f'<rect x="{x:.1f}" y="{_TOP}" width="{width:.1f}" height="{bottom - _TOP:.1f}" fill="{span.colour}"'
        f' fill-opacity="0.12"/>{label}'
    )


def _mark(axis: _Axis, mark: Mark, bottom: float, row: int) -> str:
    x = axis.x(mark.at)
    y = _TOP + 28 + 14 * (row % 6)
    label = f'<text x="{x + 4:.1f}" y="{y:.0f}" fill="{mark.colour}">{escape(mark.name)}</text>' if mark.name else ""
    style = f'stroke="{mark.colour}" stroke-dasharray="4 3"'
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom:.1f}" {style}/>{label}'


def _time_axis(axis: _Axis, bottom: float) -> list[str]:
    step = nice_step((axis.end - axis.start) / 8)
    parts = []
    for tick in np.arange(math.ceil(axis.start / step) * step, axis.end + 1e-9, step).tolist():
        x = axis.x(tick)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:.1f}" y2="{bottom + 5:.1f}" stroke="#888888"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{tick:g} s</text>')
    return parts


def nice_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least ``least``.

    >>> [nice_step(value) for value in (0.7, 3.0, 23.0)]
    [1.0, 5.0, 50.0]
    """
    power = 10.0 ** math.floor(math.log10(max(least, 1e-12)))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * (1 - 1e-9))
