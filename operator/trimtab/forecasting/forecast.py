"""Forecast: from a series to the demand ahead, with a model chosen by backtest and calibrated intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from trimtab.analytics.gaps import longest_bridge
from trimtab.analytics.seasonality import SeasonFound
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.backtest import Backtest
from trimtab.forecasting.joint import sample
from trimtab.forecasting.models import demand
from trimtab.forecasting.pool import ASKED, AUTO
from trimtab.forecasting.state import FittedState, longest_period, select
from trimtab.forecasting.thinning import Thinned, stride_for, thin

FEWEST_SAMPLES = 3
PEAK_PATHS = 500
TOLERANCE = 1e-3
"""Of a step, when times are compared: unix seconds as floats carry some 1e-7 s of rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """The demand ahead, at the series' step, in its unit; arrays of shape (h,), finite and never below 0."""

    model: str
    """A :class:`ModelName`: Combination where several are weighed together."""
    times: FloatArray
    """Unix seconds on the grid of the series, after ``now`` and up to ``now`` + horizon; at least one."""
    mean: FloatArray
    lower: FloatArray
    """Lower end of the interval that holds the demand with the confidence asked for, at each time on its own."""
    upper: FloatArray
    error_percent_of_naive: int | None
    """Backtest error over that of the textbook's seasonal naive (last value without a season); 100 is as good."""
    reason: str
    """Why this model, or why the forecast is not reliable."""
    reliable: bool
    """False at cold start, and when the demand moves as slowly as the history is long."""
    periods: tuple[SeasonFound, ...]
    """Seasons that were found, strongest first."""
    state: FittedState = field(repr=False)
    """To be handed to the next round."""
    leads: FloatArray = field(repr=False)
    """Steps of the model from the newest sample to each time."""

    def quantile(self, q: float) -> FloatArray:
        """The ``q``-quantile of the demand at each time, shape (h,). Raises ValueError unless 0 < q < 1."""
        return self.state.calibration.quantile(self.mean, self.leads, q)

    @property
    def backtest(self) -> Backtest:
        """How each model that was tried did."""
        return self.state.backtest

    def paths(self, count: int, seed: int = 0) -> FloatArray:
        """``count`` ways in which the demand may go on, shape (count, h), never below 0; the same for the same seed.

        At each time they are spread as the intervals; from one time to the next their errors hang together as those of
        the backtest did. Raises ValueError when ``count`` is not above 0.
        """
        return self._paths(self.times.size, count, seed)

    def peak(self, until: float, q: float) -> tuple[float, float]:
        """(``q``-quantile of the largest value up to ``until``, time at which it is likeliest); at least the first
        step counts.

        The largest of many values is above what each of them exceeds as rarely, so this is more than the largest
        ``q``-quantile, and the more so the less the errors hang together. From 500 paths of a fixed seed.
        """
        seen = max(int(np.searchsorted(self.times, until + 1e-6, side="right")), 1)
        path = self.quantile(q)[:seen]
        top = int(np.argmax(path))
        value = float(path[top])
        if seen > 1:
            value = max(value, float(np.quantile(self._paths(seen, PEAK_PATHS, 0).max(axis=1), q)))
        return value, float(self.times[top])

    def least(self, until: float) -> float:
        """The lowest lower end of the interval up to ``until``; at least the first step counts."""
        seen = max(int(np.searchsorted(self.times, until + 1e-6, side="right")), 1)
        return float(self.lower[:seen].min())

    def _paths(self, seen: int, count: int, seed: int) -> FloatArray:
        """Paths of the first ``seen`` times."""
        if count <= 0:
            raise ValueError(f"count of paths must be above 0, got {count}")
        state = self.state
        return sample(state.calibration, state.dependence, self.mean[:seen], self.leads[:seen], count, seed)


@dataclass(frozen=True, slots=True)
class NoForecast:
    """Why there is no forecast."""

    reason: str


def forecast(
    series: Series,
    *,
    now: float,
    horizon_seconds: float,
    model: str = AUTO,
    confidence: float = 0.9,
    previous: FittedState | None = None,
    reselect_seconds: float | None = None,
) -> Forecast | NoForecast:
    """Forecast ``series`` from ``now`` over ``horizon_seconds``; samples after ``now`` are not looked at.

    ``model`` is Auto (all models, and several together where that errs less), SeasonalNaive, SeasonalLinear,
    ExponentialSmoothing, Theta or LagRegression. With ``previous``, the state of an earlier forecast, seasons,
    choice and intervals are taken from it and the model is only fitted anew, until the state is outdated (see
    :meth:`FittedState.outdated` for ``reselect_seconds``). More than 3,000 samples or 360 steps of horizon are thinned
    first. Raises ValueError for another model, a horizon that is not above 0 or a confidence outside (0, 1).

    >>> t = np.arange(300.0)
    >>> wave = Series(0.0, 2.0, 100.0 + 50.0 * np.sin(2 * np.pi * t / 60))
    >>> ahead = forecast(wave, now=wave.end, horizon_seconds=40.0)
    >>> ahead.mean.shape, bool(abs(ahead.mean[15] - 150.0) < 1.0), ahead.reliable
    ((20,), True, True)
    """
    if model not in ASKED:
        raise ValueError(f"model must be one of {', '.join(ASKED)}, got {model!r}")
    if not (0.0 < horizon_seconds < math.inf and 0.0 < confidence < 1.0 and math.isfinite(now)):
        raise ValueError(f"no forecast from {now} over {horizon_seconds} s with confidence {confidence}")
    known = _known(series, now)
    newest = known.last()
    if newest is None or known.present < FEWEST_SAMPLES:
        return NoForecast(f"reactive until {FEWEST_SAMPLES} samples are seen: {known.present} so far")
    bridge_seconds = longest_bridge(known.step_seconds) * known.step_seconds
    if now - newest[0] > bridge_seconds:
        return NoForecast(f"the newest sample is {now - newest[0]:.0f} s old; the limit is {bridge_seconds:.0f} s")
    if previous is None or previous.outdated(now, known.step_seconds, horizon_seconds, model, reselect_seconds):
        thinned = thin(known, stride_for(len(known), known.step_seconds, horizon_seconds))
        state = select(thinned, known.step_seconds, now, horizon_seconds, model)
    else:
        state, thinned = previous, thin(known, previous.stride)
    thinned = thinned.newest(longest_period(state.seasons))
    times = _times(known, now, horizon_seconds)
    mean, leads = _path(thinned, state, times), _leads(thinned, newest[0], times)
    lower, upper = state.calibration.quantiles(mean, leads, ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0))
    return Forecast(
        model=state.model.name.value,
        times=times,
        mean=mean,
        lower=lower,
        upper=upper,
        error_percent_of_naive=state.error_percent_of_naive,
        reason=state.reason,
        reliable=state.reliable,
        periods=state.seasons,
        state=state,
        leads=leads,
    )


def _known(series: Series, now: float) -> Series:
    """The samples up to ``now`` that can be a demand, from the first one on."""
    past = series.between(series.start, now + TOLERANCE * series.step_seconds)
    values = demand(past.values)
    finite = np.flatnonzero(np.isfinite(values))
    first = int(finite[0]) if finite.size else 0
    return Series(past.start + first * past.step_seconds, past.step_seconds, values[first:], past.unit)


def _times(series: Series, now: float, horizon_seconds: float) -> FloatArray:
    """Points of the series' grid after ``now``, up to the horizon."""
    first = math.floor((now - series.start) / series.step_seconds + TOLERANCE) + 1
    last = math.floor((now + horizon_seconds - series.start) / series.step_seconds + TOLERANCE)
    times: FloatArray = series.start + np.arange(first, max(first, last) + 1, dtype=np.float64) * series.step_seconds
    return times


def _path(thinned: Thinned, state: FittedState, times: FloatArray) -> FloatArray:
    """The model's forecast at ``times`` (h,), by lines between the steps of the model."""
    series = thinned.series
    steps = max(1, math.ceil((times[-1] - series.end) / series.step_seconds - 1e-6))
    path = state.model.fit(series).predict(steps)
    ahead = series.end + np.arange(steps + 1) * series.step_seconds
    now = series.values[-1] if np.isfinite(series.values[-1]) else path[0]
    mean: FloatArray = np.interp(times, ahead, np.concatenate([[now], path]))
    return mean


def _leads(thinned: Thinned, newest: float, times: FloatArray) -> FloatArray:
    """Steps of the model from the block that ends with the newest sample to ``times`` (h,), at least 1."""
    step_seconds = thinned.series.step_seconds
    middle = newest - (thinned.stride - 1) / 2.0 / thinned.stride * step_seconds
    return np.maximum((times - middle) / step_seconds, 1.0)
