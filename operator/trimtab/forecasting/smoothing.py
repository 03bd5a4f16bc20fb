"""Exponential smoothing: a level that fades at the pace that suits each lead, Holt's damped trend, and Theta."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.algebra import first_smallest
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.correction import IndexArray, spaced
from trimtab.forecasting.models import Fitted, Model, ModelName, clean, held, nothing

PACES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
TREND_PACES = (0.1, 0.3, 0.6, 0.9)
TREND_SHARES = (0.05, 0.2)
DAMPINGS = (0.9, 0.98)
MOST_FITTED = 1000
"""Newest samples that the constants of the trend are fitted to."""
LEADS_FITTED = 7
SETTLED = 20
"""Samples that a level settles in before its errors count."""


@dataclass(frozen=True, slots=True)
class Smoothing(Model):
    """Simple exponential smoothing, with a pace of its own for each lead.

    The level is the exponentially weighted mean of the known samples, so gaps need no filling. For each lead the pace
    with the least mean absolute error in the history is taken: near leads follow, far ones keep to what is usual.
    Source: Brown 1956; direct estimation by lead as in Marcellino, Stock and Watson 2006.

    >>> noise = np.random.default_rng(1).normal(0.0, 1.0, 400)
    >>> path = Smoothing().fit(Series(0.0, 60.0, 50.0 + noise)).predict(10)
    >>> bool(abs(path - 50.0).max() < 0.5)
    True
    """

    name: ModelName = field(default=ModelName.SMOOTHING, init=False)

    def fit(self, series: Series) -> Fitted:
        """Learn the pace of each lead."""
        values = clean(series)
        leads = knots(values.size)
        misses = _misses(values, _levels(values, PACES), leads)
        paces = np.array([PACES[first_smallest(column, nothing(values))] for column in misses.T])
        return _FittedSmoothing(values, leads, paces)


@dataclass(frozen=True, slots=True)
class _FittedSmoothing(Fitted):
    values: FloatArray
    leads: NDArray[np.int_]
    paces: FloatArray
    """Of each of ``leads``."""

    def paths(self, values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
        used, place = np.unique(self.paces, return_inverse=True)
        levels = _levels(values, tuple(used.tolist()))[:, origins]
        near = nearest(self.leads, steps)
        return np.asarray(levels[place[near]].T, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class DampedTrend(Model):
    """Holt's level and trend, the trend fading with the lead.

    The three constants are those with the least mean absolute error over leads from one step to a twelfth of the
    history. Source: Gardner and McKenzie 1985.

    >>> line = Series(0.0, 60.0, np.arange(100.0))
    >>> bool(abs(DampedTrend().fit(line).predict(1)[0] - 100.0) < 0.5)
    True
    """

    name: ModelName = field(default=ModelName.DAMPED_TREND, init=False)

    def fit(self, series: Series) -> Fitted:
        """Learn the three constants."""
        values = clean(series)
        seen = values[-MOST_FITTED:] if np.isfinite(values[-MOST_FITTED:]).any() else values
        leads = knots(max(seen.size // 4, 4))
        tried = [
            _FittedTrend(values, pace, share, damping)
            for pace in TREND_PACES
            for share in TREND_SHARES
            for damping in DAMPINGS
        ]
        errors = []
        for one in tried:
            level, trend = one.states(seen)
            errors.append(sum(_miss(seen, level + one.reach(np.array([lead]))[0] * trend, int(lead)) for lead in leads))
        return tried[first_smallest(np.array(errors), nothing(values))]


@dataclass(frozen=True, slots=True)
class _FittedTrend(Fitted):
    values: FloatArray
    pace: float
    share: float
    damping: float

    def states(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(level, trend) after each sample, both (n,); in a gap the samples are held.

        The recursion as linear filters: errors of the one-step forecast first, then what they add up to.
        """
        from scipy.signal import lfilter

        full = held(values, np.arange(values.size))
        gain = self.pace * self.share
        ahead = [1.0, self.pace + gain * self.damping - 1.0 - self.damping, (1.0 - self.pace) * self.damping]
        errors = lfilter([1.0, -1.0 - self.damping, self.damping], ahead, full - full[0])
        trend = lfilter([gain], [1.0, -self.damping], errors)
        before = np.concatenate([[0.0], trend[:-1]])
        level = full[0] + np.cumsum(self.damping * before + self.pace * errors)
        return level, trend

    def reach(self, leads: NDArray[np.int_]) -> FloatArray:
        """What a trend of 1 adds up to over ``leads``."""
        faded = np.power(self.damping, leads.astype(np.float64))
        reach: FloatArray = self.damping * (1.0 - faded) / (1.0 - self.damping)
        return reach

    def paths(self, values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
        level, trend = self.states(values)
        reach = self.reach(np.arange(1, steps + 1))
        paths: FloatArray = np.maximum(level[origins][:, None] + trend[origins][:, None] * reach, 0.0)
        return paths


@dataclass(frozen=True, slots=True)
class Theta(Model):
    """Simple exponential smoothing with half the slope of the history as drift.

    Source: Assimakopoulos and Nikolopoulos 2000, in the form of Hyndman and Billah 2003.

    >>> path = Theta().fit(Series(0.0, 60.0, np.arange(100.0))).predict(10)
    >>> float(round(path[9] - path[0], 6))
    4.5
    """

    name: ModelName = field(default=ModelName.THETA, init=False)

    def fit(self, series: Series) -> Fitted:
        """Learn the pace of the smoothing, by its error one step ahead."""
        values = clean(series)
        misses = _misses(values, _levels(values, PACES), np.array([1]))
        return _FittedTheta(values, PACES[first_smallest(misses[:, 0], nothing(values))])


@dataclass(frozen=True, slots=True)
class _FittedTheta(Fitted):
    values: FloatArray
    pace: float

    def paths(self, values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
        level = _levels(values, (self.pace,))[0][origins]
        age = 1.0 / self.pace - 1.0
        ahead = np.arange(1, steps + 1) + age * (1.0 - (1.0 - self.pace) ** origins[:, None])
        paths: FloatArray = np.maximum(level[:, None] + _slopes(values)[origins][:, None] / 2.0 * ahead, 0.0)
        return paths


def knots(length: int) -> NDArray[np.int_]:
    """Leads at which parameters are fitted, from 1 to a third of ``length``, evenly in their logarithm."""
    return spaced(max(2.0, length / 3.0), LEADS_FITTED)


def nearest(leads: NDArray[np.int_], steps: int) -> IndexArray:
    """Index of the one of ``leads`` that is nearest, in the logarithm, to each of 1 to ``steps``, shape (steps,)."""
    middles = np.sqrt(leads[1:] * leads[:-1].astype(np.float64))
    return np.searchsorted(middles, np.arange(1, steps + 1))


def _levels(values: FloatArray, paces: tuple[float, ...]) -> FloatArray:
    """Exponentially weighted mean of the known values up to each step, by pace, shape (len(paces), n).

    Before the first known value it is that value.
    """
    from scipy.signal import lfilter

    known = np.isfinite(values)
    both = np.stack([np.where(known, values, 0.0), known.astype(np.float64)])
    levels = np.empty((len(paces), values.size))
    first = values[known][0]
    for row, pace in enumerate(paces):
        sums, weights = lfilter([1.0], [1.0, pace - 1.0], both, axis=1)
        levels[row] = np.where(weights > 1e-200, sums / np.maximum(weights, 1e-200), first)
    return levels


def _misses(values: FloatArray, levels: FloatArray, leads: NDArray[np.int_]) -> FloatArray:
    """Mean absolute errors of ``levels`` (a, n) at each lead, shape (a, l)."""
    return np.array([[_miss(values, level, int(lead)) for lead in leads] for level in levels])


def _miss(values: FloatArray, path: FloatArray, lead: int) -> float:
    first = min(SETTLED, values.size // 4)
    errors = np.abs(values[first + lead :] - path[first : values.size - lead])
    errors = errors[np.isfinite(errors)]
    return float(errors.mean()) if errors.size else 0.0


def _slopes(values: FloatArray) -> FloatArray:
    """Slope of the least-squares line through the known values up to each step, shape (n,)."""
    known = np.isfinite(values)
    place = np.arange(float(values.size))
    count = np.maximum(np.cumsum(known), 1.0)
    height = np.where(known, values - values[known][0], 0.0)
    across, up = np.cumsum(known * place) / count, np.cumsum(height) / count
    spread = np.cumsum(known * place**2) / count - across**2
    both = np.cumsum(height * place) / count - across * up
    slopes: FloatArray = np.where(spread > 1e-9, both / np.maximum(spread, 1e-9), 0.0)
    return slopes
