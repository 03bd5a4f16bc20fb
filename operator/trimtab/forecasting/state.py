"""State: what a full selection finds, and what is handed from round to round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trimtab.analytics.seasonality import SeasonFound, seasons
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.backtest import NO_BACKTEST, Backtest, held_out
from trimtab.forecasting.combination import Combination
from trimtab.forecasting.intervals import Calibration, calibrate
from trimtab.forecasting.joint import Dependence, dependence
from trimtab.forecasting.models import LastValue, Model, held, nothing, outcomes, span
from trimtab.forecasting.pool import AUTO, candidates, clock_periods
from trimtab.forecasting.selection import NoChoice, choose
from trimtab.forecasting.thinning import Thinned

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
    dependence: Dependence
    backtest: Backtest
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
    clock = clock_periods(series, found)
    choice = choose(
        series,
        steps,
        candidates(asked, found, clock),
        longest_period(found),
        recent.samples,
        combine=asked == AUTO,
        warm_up_seconds=max(clock, default=0.0),
    )
    if isinstance(choice, NoChoice):
        model: Model = LastValue()
        percent, backtest, widening = None, NO_BACKTEST, 1.0
        errors, forecasts = _errors_of_holding(series.values, steps)
        reason, reliable = f"reactive until a backtest is possible: {choice.reason}", False
    else:
        model, percent, errors, forecasts = choice.model, choice.error_percent_of_naive, choice.errors, choice.forecasts
        coverage, widening = held_out(errors, forecasts)
        backtest = replace(choice.backtest, coverage_percent=coverage)
        unreliable = None if found else _too_little(series)
        reason, reliable = unreliable or _why(model, asked, percent, found), unreliable is None
    calibration = replace(calibrate(errors, forecasts), widening=widening)
    return FittedState(
        asked=asked,
        step_seconds=step_seconds,
        horizon_seconds=horizon_seconds,
        chosen_at=now,
        stride=thinned.stride,
        seasons=found,
        model=model,
        calibration=calibration,
        dependence=dependence(errors, forecasts, calibration),
        backtest=backtest,
        error_percent_of_naive=percent,
        reason=reason,
        reliable=reliable,
    )


def longest_period(found: Sequence[SeasonFound]) -> float:
    """Seconds of the longest season, 0 when there is none."""
    return max((one.period_seconds for one in found), default=0.0)


def _why(model: Model, asked: str, percent: int | None, found: Sequence[SeasonFound]) -> str:
    """One sentence on why this model."""
    yardstick = "seasonal naive" if found else "the last value"
    error = f"more than {yardstick}, which made none" if percent is None else f"{percent} % of that of {yardstick}"
    if found:
        every = " and ".join(span(one.period_seconds) for one in found)
        pattern = f"the demand repeats every {every}"
    else:
        pattern = "no season shows"
    names = _names(model)
    if asked == AUTO and percent == 100:
        return f"{pattern}; no model erred clearly less than {yardstick} in the backtest"
    if asked == AUTO:
        return f"{pattern}; {names} erred least in the backtest, with an error of {error}"
    stand_in = f"{names} as asked" if asked in names else f"{names} stands in for {asked}"
    return f"{pattern}; {stand_in}, with a backtest error of {error}"


def _names(model: Model) -> str:
    """Name of the model, or of the members of a combination, the weightiest first."""
    if not isinstance(model, Combination):
        return model.name.value
    order = sorted(range(len(model.members)), key=lambda place: -model.weights[place])
    names = list(dict.fromkeys(model.members[place].name.value for place in order))
    return f"{', '.join(names[:-1])} and {names[-1]} together" if len(names) > 1 else names[0]


def _too_little(series: Series) -> str | None:
    """Why a series without a season is not to be relied on; None when it keeps a level."""
    values = series.values[np.isfinite(series.values)]
    if values.size < FEWEST_FOR_A_LEVEL:
        return f"reactive until {FEWEST_FOR_A_LEVEL} samples are seen: {values.size} so far"
    total = float(values.var())
    parts = np.array([part.mean() for part in np.array_split(values, PARTS)])
    if total > nothing(values) ** 2 and float(parts.var()) > WANDERING * total:
        seen = span(len(series) * series.step_seconds)
        return f"reactive until a pattern was seen twice: the demand moves as slowly as its {seen} of history are long"
    return None


def _errors_of_holding(values: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
    """(errors, forecasts) of the last value from every origin of a history too short for a backtest."""
    origins = np.arange(max(values.size - 1, 1))
    forecasts = np.repeat(held(values, origins)[:, None], steps, axis=1)
    return outcomes(values, origins, steps) - forecasts, forecasts
