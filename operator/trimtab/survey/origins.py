"""Backtest of forecasts on one series: made again from earlier points of it, and compared with what came. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trimtab.domain.series import FloatArray, Series
from trimtab.domain.status_types import format_time
from trimtab.forecasting.forecast import Forecast, NoForecast, forecast
from trimtab.reporting.analysis_forecast import Backtest
from trimtab.survey.proofs import Proof

MOST_ORIGINS: Final = 12
_LATER_SHARE: Final = 0.5
"""Origins lie in this last part of the series."""
_LONGEST_SHARE: Final = 0.25
"""Of the series, that a backtest's horizon may take."""
_FEWEST_BEFORE: Final = 8
_DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A forecast as it is asked for."""

    horizon_seconds: float
    model: str
    confidence: float

    def of(self, series: Series, now: float, horizon_seconds: float | None = None) -> Forecast | NoForecast:
        """The forecast of ``series`` from ``now``."""
        horizon = self.horizon_seconds if horizon_seconds is None else horizon_seconds
        return forecast(series, now=now, horizon_seconds=horizon, model=self.model, confidence=self.confidence)


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """One forecast from the past."""

    time: float
    ahead: Forecast | NoForecast = field(repr=False)


def origins(series: Series, asked: Asked, tell: Callable[[int, int], None] = lambda _done, _all: None) -> list[Origin]:
    """Forecasts from up to 12 points of the later half of ``series``, each made from the samples before it alone.

    Empty where the series is too short for one. ``tell`` is called with how many are done, of how many.
    """
    steps = backtest_steps(series, asked)
    first = max(math.ceil(len(series) * _LATER_SHARE) - steps, _FEWEST_BEFORE)
    last = len(series) - 1 - steps
    if steps < 1 or last < first:
        return []
    places = np.unique(np.linspace(first, last, min(MOST_ORIGINS, last - first + 1)).round().astype(int))
    found: list[Origin] = []
    for place in places.tolist():
        before = Series(series.start, series.step_seconds, series.values[: place + 1], series.unit)
        found.append(Origin(before.end, asked.of(before, before.end, steps * series.step_seconds)))
        tell(len(found), places.size)
    return found


def backtest_steps(series: Series, asked: Asked) -> int:
    """Steps of a backtest's horizon: those asked for, or a quarter of the series where that is shorter."""
    wanted = math.floor(asked.horizon_seconds / series.step_seconds + 1e-6)
    return max(min(wanted, math.floor(len(series) * _LONGEST_SHARE)), 1)


def backtest(series: Series, asked: Asked, made: list[Origin]) -> Backtest:
    """How the forecasts ``made`` did; those that there were none of count for nothing."""
    horizon = backtest_steps(series, asked) * series.step_seconds
    scaled: list[float] = []
    errors, naive_errors, inside = [], [], []
    season = _season(series)
    for origin in made:
        if isinstance(origin.ahead, NoForecast):
            continue
        place = round((origin.time - series.start) / series.step_seconds)
        actual = series.values[place + 1 : place + 1 + origin.ahead.times.size]
        mean, lower, upper = (
            path[: actual.size] for path in (origin.ahead.mean, origin.ahead.lower, origin.ahead.upper)
        )
        before = series.values[: place + 1]
        naive = _naive(before, season, actual.size)
        seen = np.isfinite(actual) & np.isfinite(naive)
        if not seen.any():
            continue
        error = np.abs(mean - actual)[seen]
        errors.append(error)
        naive_errors.append(np.abs(naive - actual)[seen])
        inside.append(((lower <= actual) & (actual <= upper))[seen])
        scale = _mean_step(before, season)
        if scale > 0:
            scaled.append(float(error.mean()) / scale)
    if not errors:
        why = f"no earlier forecast to judge: {len(series)} samples are too few, or too many are missing"
        return Backtest(0, horizon, math.nan, math.nan, math.nan, why)
    naive_total = float(np.concatenate(naive_errors).sum())
    total = float(np.concatenate(errors).sum())
    return Backtest(
        origins=len(errors),
        horizon_seconds=horizon,
        mase=float(np.mean(scaled)) if scaled else math.nan,
        relative_to_naive=total / naive_total if naive_total > 0 else math.nan,
        coverage_percent=100.0 * float(np.concatenate(inside).mean()),
    )


def prove_forecasts(series: Series, asked: Asked, made: list[Origin]) -> Proof:
    """Whether forecasts from the past are the same when later samples are there, which must not be looked at."""
    for origin in made:
        steps = 1 if isinstance(origin.ahead, NoForecast) else origin.ahead.times.size
        again = asked.of(series, origin.time, steps * series.step_seconds)
        if not _same(origin.ahead, again):
            message = f"the forecast from {format_time(origin.time)} is another one when later samples are there"
            return Proof(False, len(made), message)
    return Proof(
        True, len(made), f"{len(made)} forecasts made from the samples before them alone are those of the file"
    )


def _season(series: Series) -> int:
    """Steps of a day where ``series`` holds two of them, else 1."""
    day = round(_DAY_SECONDS / series.step_seconds)
    return day if day > 1 and len(series) >= 2 * day else 1


def _naive(before: FloatArray, season: int, steps: int) -> FloatArray:
    """The last season again where there is one, else the last value that is there; shape (steps,)."""
    if 1 < season <= before.size:
        return np.resize(before[-season:], steps)
    finite = before[np.isfinite(before)]
    return np.full(steps, finite[-1] if finite.size else np.nan)


def _mean_step(before: FloatArray, season: int) -> float:
    """Mean absolute difference between values one season apart; 0 where there are none."""
    steps = np.abs(before[season:] - before[:-season])
    steps = steps[np.isfinite(steps)]
    return float(steps.mean()) if steps.size else 0.0


def _same(one: Forecast | NoForecast, other: Forecast | NoForecast) -> bool:
    if isinstance(one, NoForecast) or isinstance(other, NoForecast):
        return one == other
    pairs = ((one.times, other.times), (one.mean, other.mean), (one.lower, other.lower), (one.upper, other.upper))
    return one.model == other.model and all(np.array_equal(left, right) for left, right in pairs)
