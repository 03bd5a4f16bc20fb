"""Selection: which model, or which of them together, forecasts a series best, by a backtest from rolling origins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.backtest import Backtest, ModelScore
from trimtab.forecasting.combination import Combination, weights_of
from trimtab.forecasting.correction import IndexArray
from trimtab.forecasting.models import LastValue, Model, SeasonalNaive, demand, nothing, outcomes

FITS = 2
ORIGINS = 60
FEWEST_TO_LEARN = 8
MARGIN = 0.05
"""How much better a later candidate must be than an earlier, simpler one."""
MARGIN_TOGETHER = 0.03
"""How much better a combination must be than the one model that would be taken, where the backtest is long."""
LONG_BACKTEST = 20.0
"""Horizons; over fewer the order of the models is mostly chance, and several are safer than one."""
TRUST_IN_NAIVE = 2.0
"""Prior weight of the textbook's seasonal naive, the floor that most models fall below when patterns change."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The chosen model and the errors that it made in the backtest."""

    model: Model
    error_percent_of_naive: int | None
    """Mean absolute error over that of the textbook's seasonal naive (or of the last value); None when that made
    none.
    """
    errors: FloatArray
    """Actual minus forecast, shape (origins, steps), NaN where the actual is unknown."""
    forecasts: FloatArray
    """Shape (origins, steps)."""
    backtest: Backtest
    """How each candidate did."""


@dataclass(frozen=True, slots=True)
class NoChoice:
    """Why no backtest was possible."""

    reason: str


def choose(
    series: Series,
    horizon_steps: int,
    candidates: Sequence[Model],
    longest_period_seconds: float = 0.0,
    samples: FloatArray | None = None,
    *,
    combine: bool = False,
    warm_up_seconds: float = 0.0,
) -> Choice | NoChoice:
    """The candidate with the least mean absolute error over the horizon, or an earlier one within 5 % of it.

    The newest part of the series, at least 1.25 periods after its start, is forecast from about 60 origins. Models are
    fitted twice along it, and see the values, not more, up to each origin in between. ``samples`` (n, k) are what is to
    be foreseen when ``series`` holds means of k samples each: one of each row is taken, in turn.
    ``longest_period_seconds`` 0 stands for no season; candidates may know longer periods, of up to
    ``warm_up_seconds``. With ``combine`` the candidates together, weighed by their errors, are taken where they err
    less by 3 %, or where the backtest spans less than 20 horizons and they err at most 5 % more.

    >>> wave = Series(0.0, 60.0, np.tile([10.0, 20.0, 40.0, 20.0], 20))
    >>> choice = choose(wave, 4, [LastValue(), SeasonalNaive(240.0)], 240.0)
    >>> choice.model.name.value, choice.error_percent_of_naive
    ('SeasonalNaive', 100)
    """
    period = longest_period_seconds / series.step_seconds
    warm_up = max(period, warm_up_seconds / series.step_seconds)
    count = len(series)
    known = np.flatnonzero(np.isfinite(demand(series.values)))
    first = (int(known[0]) if known.size else count) + max(FEWEST_TO_LEARN, math.ceil(1.25 * warm_up))
    tested = min(count - first, max(math.ceil(3.0 * period), 4 * horizon_steps, 3 * ORIGINS))
    if tested < 2:
        return NoChoice(f"{count} samples; a backtest needs {first + 2}")
    start = count - tested
    benchmark = SeasonalNaive(longest_period_seconds, 1, False) if period else LastValue()
    picked = series.values[:, None] if samples is None else samples
    row, width = np.arange(count), picked.shape[1]
    actual = demand(picked[row, (row + row // width) % width])
    models = [*candidates, *([] if benchmark in candidates else [benchmark])]
    paths = [_backtest(model, series, start, horizon_steps) for model in models]
    origins = _origins(start, count)
    outcome = outcomes(actual, origins, horizon_steps)
    if not np.isfinite(outcome).any():
        return NoChoice("no sample in the part of the history that a backtest would forecast")
    errors = [_errors(outcome, path, nothing(actual)) for path in paths]
    means = np.array([_mean_error(each) for each in errors])
    naive, tried = float(means[models.index(benchmark)]), means[: len(candidates)]
    index = int(np.flatnonzero(means <= tried.min() * (1.0 + MARGIN))[0])
    model, path, error, mean = models[index], paths[index], errors[index], float(means[index])
    shares = np.zeros(len(candidates))
    shares[index] = 1.0
    if combine and mean > 0:
        horizons = tested / horizon_steps
        weights = weights_of(tried, horizons, np.array([_prior(one) for one in candidates]))
        members = np.flatnonzero(weights)
        together = np.zeros_like(path)
        for place in members:
            together += weights[place] * paths[place]
        left = _errors(outcome, together, nothing(actual))
        margin = MARGIN_TOGETHER if horizons >= LONG_BACKTEST else -MARGIN
        if members.size > 1 and _mean_error(left) < (1.0 - margin) * mean:
            model = Combination(tuple(models[place] for place in members), tuple(weights[members].tolist()))
            path, error, mean, shares = together, left, _mean_error(left), weights
    scores = tuple(
        ModelScore(one.label, _percent(float(each), naive), float(share))
        for one, each, share in zip(candidates, tried, shares, strict=True)
    )
    return Choice(model, _percent(mean, naive), error, path, Backtest(scores, origins.size, horizon_steps, None))


def _prior(model: Model) -> float:
    textbook = isinstance(model, SeasonalNaive) and not model.corrected
    return TRUST_IN_NAIVE if textbook else 1.0


def _percent(error: float, naive: float) -> int | None:
    """``error`` over that of naive; None where only naive made none."""
    return round(100.0 * error / naive) if naive > 0 else (100 if error == 0 else None)


def _origins(start: int, count: int) -> IndexArray:
    """Last known sample of each forecast, from just before ``start`` to the last but one."""
    return np.arange(start - 1, count - 1, max(1, (count - start) // ORIGINS))


def _backtest(model: Model, series: Series, start: int, steps: int) -> FloatArray:
    """Forecasts (origins, steps) of ``model``, fitted anew for each half of the origins."""
    origins = _origins(start, len(series))
    parts = []
    for part in np.array_split(origins, FITS):
        if part.size:
            known = Series(series.start, series.step_seconds, series.values[: part[0] + 1], series.unit)
            parts.append(model.fit(known).paths(demand(series.values[: part[-1] + 1]), part, steps))
    return np.concatenate(parts)


def _errors(outcome: FloatArray, path: FloatArray, nothing: float) -> FloatArray:
    """Actual minus forecast, 0 where that is no more than rounding: whose rounding is the least is no merit."""
    errors = outcome - path
    return np.where(np.abs(errors) <= nothing, 0.0, errors)


def _mean_error(errors: FloatArray) -> float:
    """Mean over the leads of the mean absolute error, so that leads count alike."""
    known = np.isfinite(errors)
    seen = known.sum(axis=0)
    sums = np.where(known, np.abs(errors), 0.0).sum(axis=0)
    return float((sums[seen > 0] / seen[seen > 0]).mean())
