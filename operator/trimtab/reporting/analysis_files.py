"""What `trimtab detect` says of one file: JSON, and a page for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from rich.text import Text

from trimtab.analytics.anomaly import Anomaly
from trimtab.domain.series import FloatArray, Series
from trimtab.reporting import analysis_text as words
from trimtab.reporting.analysis_formats import anomaly, number
from trimtab.reporting.analysis_plot import Line, below, plot, short
from trimtab.reporting.styles import SEVERITY_STYLE

HEIGHT: Final = 12
"""Lines of a plot."""
_MOST_ANOMALIES: Final = 40
"""Anomalies in a table for people; JSON has all."""


@dataclass(frozen=True, slots=True, eq=False)
class FileDetection:
    """The anomalies of a file."""

    series: Series
    anomalies: tuple[Anomaly, ...]
    """In order of time."""
    scores: FloatArray = field(repr=False)
    """One a row of the file, 0 to 1, shape (rows,)."""


def detection_record(found: FileDetection) -> dict[str, Any]:
    """Anomalies, and a score for each row of the file; times are ISO 8601 in UTC."""
    return {
        "anomalies": [anomaly(one) for one in found.anomalies],
        "scores": [number(score) or 0.0 for score in found.scores.tolist()],
    }


def detection_page(found: FileDetection, name: str, width: int) -> Iterator[Text]:
    """What was found, a plot with the anomalies in red, and a table of them."""
    series = found.series
    yield about(series, name)
    yield from plot([Line(series.values, "cyan", _within(series, found.anomalies))], width, HEIGHT)
    yield below(moment(series.start), moment(series.end), width)
    yield Text()
    if not found.anomalies:
        yield Text("no anomaly was found", style="green")
        return
    shown = sorted(found.anomalies, key=lambda one: -one.score)[:_MOST_ANOMALIES]
    yield Text(
        f"{'START':<19} {'LASTS':>6}  {'KIND':<14} {'SEVERITY':<8} {'SCORE':>5} {'VALUE':>8} {'EXPECTED':>8}", "bold"
    )
    for one in sorted(shown, key=lambda one: one.start):
        lasts = "goes on" if one.end is None else words.span(one.end - one.start) if one.end > one.start else "once"
        line = Text(f"{moment(one.start):<19} {lasts:>6}  {one.kind.value:<14} ")
        line.append(f"{one.severity.value:<8}", style=SEVERITY_STYLE[one.severity])
        line.append(f" {one.score:>5.3f} {short(one.value):>8} {short(one.expected):>8}")
        yield line
        yield Text(f"  {one.evidence}", style="dim")
    hidden = len(found.anomalies) - len(shown)
    yield Text(
        f"{len(found.anomalies)} anomalies" + (f"; {hidden} of lower score are only in --json" if hidden else "")
    )


def about(series: Series, name: str) -> Text:
    """What was read."""
    missing = len(series) - series.present
    gaps = f", {missing} missing" if missing else ""
    step = words.span(series.step_seconds)
    return Text(f"{name}: {series.present} samples every {step} over {words.span(series.end - series.start)}{gaps}")


def _within(series: Series, anomalies: Sequence[Anomaly]) -> FloatArray:
    """1 at the samples of an anomaly, shape (n,)."""
    marks = np.zeros(len(series))
    for one in anomalies:
        first = max(round((one.start - series.start) / series.step_seconds), 0)
        last = len(series) - 1 if one.end is None else round((one.end - series.start) / series.step_seconds)
        marks[first : last + 1] = 1.0
    return marks


def moment(seconds: float) -> str:
    """A time in UTC, with seconds where it is not a whole minute."""
    found = datetime.fromtimestamp(round(seconds), UTC)
    return found.strftime("%Y-%m-%d %H:%M:%S" if found.second else "%Y-%m-%d %H:%M")
