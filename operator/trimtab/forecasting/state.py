"""State: what a full selection finds, and what is handed from round to round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.analytics.seasonality import SeasonFound, seasons
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.units import format_duration
from trimtab.forecasting.intervals import Calibration, calibrate
from trimtab.forecasting.linear import SeasonalLinear
from trimtab.forecasting.models import LastValue, Model, ModelName, SeasonalNaive, held
from trimtab.forecasting.selection import NoChoice, choose
from trimtab.forecasting.thinning import Thinned

AUTO = "Auto"
FEWEST_FOR_A_LEVEL = 30
HORIZON_FACTOR = 1.25
"""A horizon that moves by less, as start-up times are learned, is the same question."""
PARTS = 8
WANDERING = 0.7
"""Share of the variance between eighths of the history above which it moves as slowly as it is long."""


@dataclass(frozen=True, slots=True)
class FittedState:
    """The outcome of a full selection, to be handed back in the next rounds; picklable, below 20 kB."""

    asked: str
    """The model that was asked for."""
    step_seconds: float
    """Of the series that was given, before thinning."""
    horizon_seconds: float
    chosen_at: float
    stride: int
    seasons: tuple[SeasonFound, ...]
    model: Model
    calibration: Calibration
    error_percent_of_naive: int | None
    reason: str
    reliable: bool

    @property
    def lasts_seconds(self) -> float:
        """Age up to which the state is used: a quarter of the shortest season, at most an hour; without a season 60
        steps, or 10 while the forecast is not reliable.
        """
        shortest = min((one.period_seconds for one in self.seasons), default=math.inf)
        unseasonal = self.step_seconds * (60 if self.reliable else 10)
        return min(shortest / 4.0, 3600.0 if self.seasons else unseasonal)

    def outdated(
        self, now: float, step_seconds: float, horizon_seconds: float, asked: str, reselect_seconds: float | None
    ) -> bool:
        """Whether another selection is due: older than ``reselect_seconds`` (without it, than :attr:`lasts_seconds`),
        from the future, or made for another question.
        """
        lasts_seconds = self.lasts_seconds if reselect_seconds is None else reselect_seconds
        near = 1.0 / HORIZON_FACTOR <= horizon_seconds / self.horizon_seconds <= HORIZON_FACTOR
        same = near and (self.asked, self.step_seconds) == (asked, step_seconds)
        return not same or not 0.0 <= now - self.chosen_at < lasts_seconds


def select(thinned: Thinned, step_seconds: float, now: float, horizon_seconds: float, asked: str) -> FittedState:
    """Find the seasons, choose a model by backtest and calibrate its intervals."""
    found = seasons(thinned.series)
    recent = thinned.newest(longest_period(found))
    series = recent.series
    steps = max(1, math.ceil(horizon_seconds / series.step_seconds - 1e-9))
    choice = choose(series, steps, candidates(asked, found), longest_period(found), recent.samples)
    if isinstance(choice, NoChoice):
        model: Model = LastValue()
        percent = None
        calibration = calibrate(*_errors_of_holding(series.values, steps))
        reason, reliable = f"reactive until a backtest is possible: {choice.reason}", False
    else:
        model, percent = choice.model, choice.error_percent_of_naive
        calibration = calibrate(choice.errors, choice.forecasts)
        unreliable = None if found else _too_little(series)
        reason, reliable = unreliable or _why(model.name, asked, percent, found), unreliable is None
    return FittedState(
        asked=asked,
        step_seconds=step_seconds,
        horizon_seconds=horizon_seconds,
        chosen_at=now,
        stride=thinned.stride,
        seasons=found,
        model=model,
        calibration=calibration,
        error_percent_of_naive=percent,
        reason=reason,
        reliable=reliable,
    )


def longest_period(found: Sequence[SeasonFound]) -> float:
    """Seconds of the longest season, 0 when there is none."""
    return max((one.period_seconds for one in found), default=0.0)


def candidates(asked: str, found: Sequence[SeasonFound]) -> list[Model]:
    """Models that are tried, the simplest first."""
    periods = tuple(sorted(one.period_seconds for one in found))
    naive: list[Model] = [SeasonalNaive(periods[-1], 1, corrected=False)] if periods else []
    naive += [SeasonalNaive(period) for period in periods]
    linear: list[Model] = [SeasonalLinear(periods, levelled=True)] if periods else []
    linear.append(SeasonalLinear(periods))
    if asked == ModelName.SEASONAL_NAIVE:
        return naive or [LastValue()]
    return linear if asked == ModelName.SEASONAL_LINEAR else [LastValue(), *naive, *linear]


def _why(name: ModelName, asked: str, percent: int | None, found: Sequence[SeasonFound]) -> str:
    """One sentence on why this model."""
    yardstick = "seasonal naive" if found else "the last value"
    error = f"more than {yardstick}, which made none" if percent is None else f"{percent} % of that of {yardstick}"
    if found:
        span = " and ".join(_span(one.period_seconds) for one in found)
        pattern = f"the demand repeats every {span}"
    else:
        pattern = "no season shows"
    if asked == AUTO and percent == 100:
        return f"{pattern}; no model erred clearly less than {yardstick} in the backtest"
    if asked == AUTO:
        return f"{pattern}; {name} erred least in the backtest, with an error of {error}"
    stand_in = f"{name} stands in for {asked}" if name != asked else f"{name} as asked"
    return f"{pattern}; {stand_in}, with a backtest error of {error}"


def _too_little(series: Series) -> str | None:
    """Why a series without a season is not to be relied on; None when it keeps a level."""
    values = series.values[np.isfinite(series.values)]
    if values.size < FEWEST_FOR_A_LEVEL:
        return f"reactive until {FEWEST_FOR_A_LEVEL} samples are seen: {values.size} so far"
    total = float(values.var())
    parts = np.array([part.mean() for part in np.array_split(values, PARTS)])
    if total > 0 and float(parts.var()) > WANDERING * total:
        span = _span(len(series) * series.step_seconds)
        return f"reactive until a pattern was seen twice: the demand moves as slowly as its {span} of history are long"
    return None


def _span(seconds: float) -> str:
    return format_duration(round(seconds)) if seconds >= 600 else f"{seconds:.4g} s"


def _errors_of_holding(values: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
    """(errors, forecasts) of the last value from every origin of a history too short for a backtest."""
    origins = np.arange(max(values.size - 1, 1))
    forecasts = np.repeat(held(values, origins)[:, None], steps, axis=1)
    targets = origins[:, None] + np.arange(1, steps + 1)
    outcome = np.where(targets < values.size, values[np.minimum(targets, values.size - 1)], np.nan)
    return outcome - forecasts, forecasts
