"""What `trimtab detect` and `trimtab forecast` say of one file: JSON, and a page for the terminal. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from rich.text import Text

from trimtab.analytics.anomaly import Anomaly
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.status_types import format_time
from trimtab.domain.units import format_number
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.reporting import analysis_text as words
from trimtab.reporting.analysis_formats import anomaly, number
from trimtab.reporting.analysis_plot import Line, below, plot, short
from trimtab.reporting.analysis_table import SEVERITY_STYLE

_HEIGHT: Final = 12
_MOST_ANOMALIES: Final = 40
"""Anomalies in a table for people; JSON has all."""
_MOST_STEPS: Final = 24
"""Rows of a forecast in a table for people; JSON has all."""
_HISTORY_SHARE: Final = 2.0
"""History drawn before a forecast, in horizons."""


@dataclass(frozen=True, slots=True, eq=False)
class FileDetection:
    """The anomalies of a file."""

    series: Series
    anomalies: tuple[Anomaly, ...]
    """In order of time."""
    scores: FloatArray = field(repr=False)
    """One a row of the file, 0 to 1, shape (rows,)."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """How forecasts made from earlier parts of the same file did; NaN where there is nothing to measure."""

    origins: int
    """Forecasts that were made."""
    horizon_seconds: float
    """How far each of them reached."""
    mase: float
    """Mean absolute error over the mean difference between values a season apart before the forecast, a season being a
    day where there are two, else one step (Hyndman and Koehler 2006)."""
    relative_to_naive: float
    """Error over that of the naive forecast for the same times: the last day again where there are two, else the last
    value; below 1 is better than naive."""
    coverage_percent: float
    """Samples within the interval; it should be about the confidence."""
    reason: str = ""
    """Why there is no figure."""


def detection_record(found: FileDetection) -> dict[str, Any]:
    """Anomalies, and a score for each row of the file; times are ISO 8601 in UTC."""
    return {
        "anomalies": [anomaly(one) for one in found.anomalies],
        "scores": [number(score) or 0.0 for score in found.scores.tolist()],
    }


def forecast_record(ahead: Forecast | NoForecast, backtest: Backtest, confidence_percent: float) -> dict[str, Any]:
    """The forecast; without one, ``model`` is null and ``reason`` says why."""
    if isinstance(ahead, NoForecast):
        return {"model": None, "reason": ahead.reason}
    return {
        "model": ahead.model,
        "times": [format_time(time) for time in ahead.times.tolist()],
        "mean": [number(value) for value in ahead.mean.tolist()],
        "lower": [number(value) for value in ahead.lower.tolist()],
        "upper": [number(value) for value in ahead.upper.tolist()],
        "confidence_percent": confidence_percent,
        "reason": ahead.reason,
        "reliable": ahead.reliable,
        "seasons": [
            {"period_seconds": number(one.period_seconds), "strength_percent": number(one.strength_percent)}
            for one in ahead.periods
        ],
        "backtest": {
            "origins": backtest.origins,
            "horizon_seconds": number(backtest.horizon_seconds),
            "mase": number(backtest.mase, 4),
            "relative_to_naive": number(backtest.relative_to_naive, 4),
            "coverage_percent": number(backtest.coverage_percent, 1),
            "reason": backtest.reason,
        },
    }


def detection_page(found: FileDetection, name: str, width: int) -> Iterator[Text]:
    """What was found, a plot with the anomalies in red, and a table of them."""
    series = found.series
    yield _about(series, name)
    yield from plot([Line(series.values, "cyan", _within(series, found.anomalies))], width, _HEIGHT)
    yield below(_moment(series.start), _moment(series.end), width)
    yield Text()
    if not found.anomalies:
        yield Text("no anomaly was found", style="green")
        return
    shown = sorted(found.anomalies, key=lambda one: -one.score)[:_MOST_ANOMALIES]
    yield Text(
        f"{'START':<17} {'LASTS':>6}  {'KIND':<14} {'SEVERITY':<8} {'SCORE':>5} {'VALUE':>8} {'EXPECTED':>8}", "bold"
    )
    for one in sorted(shown, key=lambda one: one.start):
        lasts = "goes on" if one.end is None else words.span(one.end - one.start) if one.end > one.start else "once"
        line = Text(f"{_moment(one.start):<17} {lasts:>6}  {one.kind.value:<14} ")
        line.append(f"{one.severity.value:<8}", style=SEVERITY_STYLE[one.severity])
        line.append(f" {one.score:>5.3f} {short(one.value):>8} {short(one.expected):>8}")
        yield line
        yield Text(f"  {one.evidence}", style="dim")
    hidden = len(found.anomalies) - len(shown)
    yield Text(
        f"{len(found.anomalies)} anomalies" + (f"; {hidden} of lower score are only in --json" if hidden else "")
    )


def forecast_page(
    series: Series, ahead: Forecast, backtest: Backtest, confidence_percent: float, name: str, width: int
) -> Iterator[Text]:
    """The forecast: how it was made and did before, a plot with its interval, and a table."""
    yield _about(series, name)
    yield Text(f"model {ahead.model}: {ahead.reason}", style="" if ahead.reliable else "yellow")
    yield Text(f"seasons: {words.seasons(ahead.periods)}")
    yield Text(f"backtest: {_judged(backtest, confidence_percent)}")
    steps = ahead.times.size
    past = series.values[-max(int(_HISTORY_SHARE * steps), 2) :]
    gap = np.full(steps, np.nan)
    before = np.full(past.size, np.nan)
    lines = [
        Line(np.concatenate([past, gap]), "cyan"),
        Line(np.concatenate([before, ahead.lower]), "bright_black"),
        Line(np.concatenate([before, ahead.upper]), "bright_black"),
        Line(np.concatenate([before, ahead.mean]), "bold magenta"),
    ]
    yield from plot(lines, width, _HEIGHT)
    first = series.end - (past.size - 1) * series.step_seconds
    yield below(_moment(first), _moment(float(ahead.times[-1])), width)
    yield Text()
    low, high = f"LOWER {confidence_percent:g} %", f"UPPER {confidence_percent:g} %"
    yield Text(f"{'TIME':<17} {'MEAN':>12} {low:>12} {high:>12}", "bold")
    stride = -(-steps // _MOST_STEPS)
    for index in range(stride - 1, steps, stride):
        figures = (ahead.mean[index], ahead.lower[index], ahead.upper[index])
        cells = " ".join(f"{format_number(float(value), 4):>12}" for value in figures)
        yield Text(f"{_moment(float(ahead.times[index])):<17} {cells}")
    if stride > 1:
        yield Text(f"every {words.span(stride * series.step_seconds)}; --json has all {steps} steps", style="dim")


def _about(series: Series, name: str) -> Text:
    missing = len(series) - series.present
    gaps = f", {missing} missing" if missing else ""
    step = words.span(series.step_seconds)
    return Text(f"{name}: {series.present} samples every {step} over {words.span(series.end - series.start)}{gaps}")


def _judged(backtest: Backtest, confidence_percent: float) -> str:
    if backtest.reason:
        return backtest.reason
    naive = backtest.relative_to_naive
    against = f"{format_number(naive)} of the naive forecast's error" if math.isfinite(naive) else "naive was exact"
    return (
        f"{against}, MASE {format_number(backtest.mase) or '?'}, {backtest.coverage_percent:.0f} % within the"
        f" {confidence_percent:g} % interval ({backtest.origins} forecasts over {words.span(backtest.horizon_seconds)})"
    )


def _within(series: Series, anomalies: Sequence[Anomaly]) -> FloatArray:
    """1 at the samples of an anomaly, shape (n,)."""
    marks = np.zeros(len(series))
    for one in anomalies:
        first = max(round((one.start - series.start) / series.step_seconds), 0)
        last = len(series) - 1 if one.end is None else round((one.end - series.start) / series.step_seconds)
        marks[first : last + 1] = 1.0
    return marks


def _moment(seconds: float) -> str:
    """A time in UTC, to the minute, or the second where it is not a whole one."""
    moment = datetime.fromtimestamp(round(seconds), UTC)
    return moment.strftime("%Y-%m-%d %H:%M" if moment.second == 0 else "%m-%d %H:%M:%S")
