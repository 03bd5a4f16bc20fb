"""What `trimtab forecast` says of one file: JSON, and a page for the terminal. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from rich.text import Text

from trimtab.domain.series import Series
from trimtab.domain.status_types import format_time
from trimtab.domain.units import format_number
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.reporting import analysis_text as words
from trimtab.reporting.analysis_files import HEIGHT, about, moment
from trimtab.reporting.analysis_formats import number
from trimtab.reporting.analysis_plot import Line, below, plot

_MOST_STEPS: Final = 24
"""Rows of a forecast in a table for people; JSON has all."""
_HISTORY_SHARE: Final = 2.0
"""History drawn before a forecast, in horizons."""


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
            "models": [
                {"model": one.model, "error_percent_of_naive": one.error_percent_of_naive, "share": number(one.share)}
                for one in ahead.backtest.scores
            ],
        },
    }


def forecast_page(
    series: Series, ahead: Forecast, backtest: Backtest, confidence_percent: float, name: str, width: int
) -> Iterator[Text]:
    """The forecast: how it was made and did before, a plot with its interval, and a table."""
    yield about(series, name)
    yield Text(f"model {ahead.model}: {ahead.reason}", style="" if ahead.reliable else "yellow")
    yield Text(f"seasons: {words.seasons(ahead.periods)}")
    if ahead.backtest.scores:
        yield Text(f"error against naive: {_tried(ahead)}")
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
    yield from plot(lines, width, HEIGHT)
    first = series.end - (past.size - 1) * series.step_seconds
    yield below(moment(first), moment(float(ahead.times[-1])), width)
    yield Text()
    low, high = f"LOWER {confidence_percent:g} %", f"UPPER {confidence_percent:g} %"
    yield Text(f"{'TIME':<19} {'MEAN':>12} {low:>12} {high:>12}", "bold")
    stride = -(-steps // _MOST_STEPS)
    for index in range(stride - 1, steps, stride):
        figures = (ahead.mean[index], ahead.lower[index], ahead.upper[index])
        cells = " ".join(f"{format_number(float(value), 4):>12}" for value in figures)
        yield Text(f"{moment(float(ahead.times[index])):<19} {cells}")
    if stride > 1:
        yield Text(f"every {words.span(stride * series.step_seconds)}; --json has all {steps} steps", style="dim")


def _tried(ahead: Forecast) -> str:
    """How each model did when one was chosen."""
    return "; ".join(f"{one.model} {_percent(one.error_percent_of_naive)}" for one in ahead.backtest.scores)


def _percent(value: int | None) -> str:
    return f"{value} %" if value is not None else words.UNKNOWN


def _judged(backtest: Backtest, confidence_percent: float) -> str:
    if backtest.reason:
        return backtest.reason
    naive = backtest.relative_to_naive
    against = f"{format_number(naive)} of the naive forecast's error" if math.isfinite(naive) else "naive was exact"
    return (
        f"{against}, MASE {format_number(backtest.mase) or '?'}, {backtest.coverage_percent:.0f} % within the"
        f" {confidence_percent:g} % interval ({backtest.origins} forecasts over {words.span(backtest.horizon_seconds)})"
    )
