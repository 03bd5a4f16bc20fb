"""Lag regression: a linear forecast of each lead from recent means and from the same phase of the seasons before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.algebra import first_smallest, inner
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.correction import IndexArray, by_lead, spaced, window_means
from trimtab.forecasting.models import Fitted, Model, ModelName, clean, interpolated, span
from trimtab.forecasting.smoothing import knots

MOST_ROWS = 400
MOST_WINDOWS = 6
SEASONS_AVERAGED = 4
LEVEL_FLOOR = 0.05
LEVEL_SHARE = 0.5
"""Of a season that must be known for its level to be learned from."""
RIDGE = 0.05
ROUNDS = 3
LEAST_SIZE = 0.05
"""Of the mean error, below which an error weighs as if it were that large."""


@dataclass(frozen=True, slots=True)
class LagRegression(Model):
    """Each lead is a linear function of means over a few windows that end now, and of the seasons before.

    All are deviations from the running level, in the unit or (``relative``) as a share of it. Weights minimise the
    absolute error (iteratively reweighted least squares) with a ridge towards seasonal naive. ``period_seconds`` 0
    stands for no season. Sources: heterogeneous autoregression, Corsi 2009; direct forecasts by lead, Marcellino,
    Stock and Watson 2006; least absolute deviations by reweighting, Schlossmacher 1973.

    >>> t = np.arange(240.0)
    >>> wave = Series(0.0, 60.0, 10.0 + 4.0 * np.sin(2 * np.pi * t / 48))
    >>> round(float(LagRegression(2880.0).fit(wave).predict(13)[12]), 1)
    14.0
    """

    period_seconds: float = 0.0
    relative: bool = False
    name: ModelName = field(default=ModelName.LAG_REGRESSION, init=False)

    @property
    def label(self) -> str:
        """Name, period if any, and whether it is relative to the running level."""
        period = f" {span(self.period_seconds)}" if self.period_seconds > 0 else ""
        return f"{self.name}{period}{', relative' if self.relative else ''}"

    def fit(self, series: Series) -> Fitted:
        """Learn the weights at some leads."""
        values = clean(series)
        period = self.period_seconds / series.step_seconds
        floor = LEVEL_FLOOR * float(np.nanmean(values))
        inputs = _Inputs(period, windows_of(values.size, period), self.relative and floor > 0, floor)
        return _fit(values, inputs)


def windows_of(length: int, period: float) -> tuple[int, ...]:
    """Windows of the means in steps, evenly in their logarithm; the last is that of the level: a season if any."""
    longest = max(2, min(round(period), length) if period > 0 else length // 4)
    return tuple(spaced(longest, MOST_WINDOWS).tolist())


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What the regression sees."""

    period: float
    windows: tuple[int, ...]
    relative: bool
    floor: float

    @property
    def seasonal(self) -> int:
        """How many inputs are of the phase to be forecast: last season and the mean of the last ones."""
        return 2 if self.period > 0 else 0

    def recent(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(deviations (w - 1, n), level (n,)) at each step."""
        means = window_means(values, self.windows)
        level = np.maximum(means[-1], self.floor)
        now = means[:-1] - level
        if self.period > 0:
            before = interpolated_rows(now, np.arange(float(values.size)) - self.period)
            now = np.concatenate([now, np.nan_to_num(before)])
        return (now / level if self.relative else now), level

    def phase(self, values: FloatArray, level: FloatArray, origins: IndexArray, leads: IndexArray) -> FloatArray:
        """Deviations of the seasons before from their level, at the phase of each lead, shape (2, o, l).

        First that of the last season, then the mean of the last four; 0 where none is known.
        """
        phase = np.zeros((2, origins.size, leads.size))
        backs = np.ceil(leads / self.period - 1e-9).astype(int)
        place = np.arange(float(values.size + int(leads.max())))
        for back in np.unique(backs):
            columns = np.flatnonzero(backs == back)
            targets = origins[:, None] + leads[columns]
            total, count = np.zeros(targets.shape), np.zeros(targets.shape)
            for season in range(back, back + SEASONS_AVERAGED):
                around = interpolated(level, origins.astype(np.float64) - self.period * season)[:, None]
                row = interpolated(values, place - self.period * season)[targets] - around
                if self.relative:
                    row = row / around
                known = np.isfinite(row)
                row = np.where(known, row, 0.0)
                total, count = total + row, count + known
                if season == back:
                    phase[0][:, columns], missing = row, ~known
            mean = total / np.maximum(count, 1.0)
            phase[1][:, columns] = mean
            phase[0][:, columns] = np.where(missing, mean, phase[0][:, columns])
        return phase


@dataclass(frozen=True, slots=True)
class _FittedLags(Fitted):
    values: FloatArray
    inputs: _Inputs
    leads: NDArray[np.int_]
    weights: FloatArray
    """Shape (l, p): those of the phase first, then of the windows."""

    def paths(self, values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
        recent, level = self.inputs.recent(values)
        weights = by_lead(self.weights, self.leads, steps)
        first = self.inputs.seasonal
        change = recent[:, origins].T @ weights[first:]
        if first:
            phase = self.inputs.phase(values, level, origins, np.arange(1, steps + 1))
            change += (weights[:first, None, :] * phase).sum(axis=0)
        now = level[origins][:, None]
        paths: FloatArray = np.maximum(now * (1.0 + change) if self.inputs.relative else now + change, 0.0)
        return paths


def interpolated_rows(rows: FloatArray, place: FloatArray) -> FloatArray:
    """Each of ``rows`` (r, n) at ``place`` (m,), shape (r, m)."""
    return np.stack([interpolated(row, place) for row in rows])


def _fit(values: FloatArray, inputs: _Inputs) -> Fitted:
    recent, level = inputs.recent(values)
    leads = knots(values.size)
    priors = _priors(len(inputs.windows) - 1, inputs.period > 0)
    count = priors.shape[1]
    weights = np.tile(priors[0], (leads.size, 1))
    known = np.isfinite(values)
    first = int(np.argmax(known))
    for row, lead in enumerate(leads.tolist()):
        start = first + inputs.windows[-1] // 2
        if inputs.seasonal:
            start = first + math.ceil(inputs.period * (math.ceil(lead / inputs.period - 1e-9) + LEVEL_SHARE))
        usable = start + np.flatnonzero(known[start + lead :])
        if usable.size < 3 * count:
            weights[row] = weights[row - 1] if row else priors[0]
            continue
        origins = usable[:: -max(1, math.ceil(usable.size / MOST_ROWS))]
        terms = recent[:, origins]
        if inputs.seasonal:
            terms = np.concatenate([inputs.phase(values, level, origins, np.array([lead]))[:, :, 0], terms])
        target = values[origins + lead] - level[origins]
        weights[row] = _least_absolute(terms, target / level[origins] if inputs.relative else target, priors)
    return _FittedLags(values, inputs, leads, weights)


def _priors(windows: int, seasonal: bool) -> FloatArray:
    """Simple forecasts as weights (f, p): the mean of one window, with a season also the phase corrected by one."""
    one = np.concatenate([np.zeros((1, windows)), np.eye(windows)])
    if not seasonal:
        return one
    none = np.zeros_like(one)
    corrected = [
        np.concatenate([np.tile(phase, (len(one), 1)), one, -one], axis=1)
        for phase in ((0.5, 0.5), (1.0, 0.0), (0.0, 1.0))
    ]
    return np.concatenate([*corrected, np.concatenate([none[:, :2], one, none], axis=1)])


def _least_absolute(terms: FloatArray, target: FloatArray, priors: FloatArray) -> FloatArray:
    """Weights (p,) of ``terms`` (p, n) with the least absolute errors from ``target`` (n,), held near the best of
    ``priors`` (f, p).
    """
    prior: FloatArray = priors[first_smallest(np.abs(target - priors @ terms).mean(axis=1))]
    rest = target - prior @ terms
    power = float((terms**2).sum()) / len(terms)
    if not power > 0:
        return prior
    result: FloatArray = prior
    weight = np.ones(target.size)
    for _ in range(ROUNDS):
        weighted = terms * weight
        gram, right = inner(weighted, terms), inner(weighted, rest[None, :])[:, 0]
        ridge = RIDGE * float(np.trace(gram)) / len(terms) * np.eye(len(terms))
        result = prior + np.linalg.solve(gram + ridge, right)
        errors = np.abs(target - result @ terms)
        size = float(errors.mean())
        if not size > 0:
            break
        weight = 1.0 / np.maximum(errors, LEAST_SIZE * size)
        weight /= weight.mean()
    return result
