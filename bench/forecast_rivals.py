"""Rivals: what the forecasts are measured against; naive with empirical intervals, and models of statsforecast."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from trimtab.domain.series import FloatArray, Series

DAY_SECONDS = 86_400.0
LEADS_MEASURED = 10


def day_steps(series: Series) -> int:
    """Steps of a day where the history has two of them, 1 otherwise."""
    day = round(DAY_SECONDS / series.step_seconds)
    return day if len(series) >= 2 * day else 1


def filled(series: Series) -> FloatArray:
    """Values with gaps held from the sample before; the rivals know no gaps."""
    values = series.values
    newest = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(values.size), 0))
    return np.nan_to_num(values[newest])


def naive(series: Series, steps: int, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(forecast (h,), quantiles (q, h)) of seasonal naive with a season of a day, of the last value below two days.

    The quantiles are those of its own errors in the history, lead by lead.
    """
    values, period = filled(series), day_steps(series)
    leads = np.arange(1, steps + 1)
    path = values[values.size - period + (leads - 1) % period]
    lags = period * np.ceil(leads / period).astype(int) if period > 1 else leads
    measured = np.unique(np.round(np.geomspace(lags[0], lags[-1], LEADS_MEASURED)).astype(int))
    spread = np.stack([np.quantile(values[lag:] - values[:-lag], levels) for lag in measured])
    quantiles = np.stack([path + np.interp(lags, measured, column) for column in spread.T])
    return path, np.maximum(quantiles, 0.0)


def smoothing(series: Series, steps: int) -> dict[str, FloatArray]:
    """Simple and Holt's exponential smoothing of statsforecast, paths (h,); Holt sees the newest 2,000 samples."""
    from statsforecast.models import Holt, SimpleExponentialSmoothingOptimized

    values = filled(series)
    return {
        "SES": _forecast(SimpleExponentialSmoothingOptimized(), values, steps),
        "Holt": _forecast(Holt(), values[-2000:], steps),
    }


def automatic(series: Series, steps: int, stride: int, season: int) -> dict[str, FloatArray]:
    """SeasonalNaive, AutoTheta and AutoETS of statsforecast, paths (h,).

    The last two see means of ``stride`` samples, with a season of ``season`` of these; what they say is laid out over
    the steps by lines.
    """
    from statsforecast.models import AutoETS, AutoTheta, SeasonalNaive

    values = filled(series)
    cut = values.size % stride
    means = values[cut:].reshape(-1, stride).mean(axis=1)
    ahead = math.ceil(steps / stride)
    place = np.concatenate([[0.0], np.arange(ahead) * stride + (stride + 1) / 2.0])
    found = {"SeasonalNaive": _forecast(SeasonalNaive(season_length=day_steps(series)), values, steps)}
    for name, model in (("AutoTheta", AutoTheta(season_length=season)), ("AutoETS", AutoETS(season_length=season))):
        path = _forecast(model, means, ahead)
        if stride > 1:
            path = np.interp(np.arange(1.0, steps + 1), place, np.concatenate([[values[-1]], path]))
        found[name] = path
    return found


def _forecast(model: Any, values: FloatArray, steps: int) -> FloatArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            path = np.asarray(model.forecast(y=values, h=steps)["mean"], dtype=np.float64)
        except (ValueError, ZeroDivisionError, FloatingPointError):
            return np.full(steps, values[-1])
    return np.maximum(np.where(np.isfinite(path), path, values[-1]), 0.0)
