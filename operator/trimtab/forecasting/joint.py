"""Joint distribution: how the errors of one forecast hang together over its leads, and paths drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trimtab.analytics.algebra import ROUNDING, first_smallest
from trimtab.domain.series import FloatArray
from trimtab.forecasting.intervals import Calibration, scale_of

STEADY = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PERSISTENCE = (0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.96, 0.98, 0.99)
KNOTS = np.linspace(-3.5, 3.5, 29)
"""Normal scores at which marginal quantiles are computed; lines between."""


@dataclass(frozen=True, slots=True)
class Dependence:
    """Correlation of a forecast's errors, ``steady + (1 - steady) * persistence ** d`` at ``d`` steps apart."""

    steady: float
    """Share of an error that is the same at all leads: the level was wrong."""
    persistence: float
    """Correlation of the rest from one step of the model to the next."""


def dependence(errors: FloatArray, forecasts: FloatArray, calibration: Calibration) -> Dependence:
    """Measure it on the errors of a backtest, both (origins, steps), NaN where unknown.

    The correlation of errors 1, 2, 4, ... steps apart, each error over its typical size, is met by least squares on a
    grid.

    >>> shared = np.random.default_rng(1).normal(0.0, 1.0, (60, 1)) * np.ones((1, 30))
    >>> dependence(shared, np.full((60, 30), 9.0), Calibration((), 0.0, 9.0))
    Dependence(steady=0.9, persistence=0.99)
    """
    sizes = scale_of(forecasts, calibration.mean, calibration.power)
    scores = errors / sizes
    known = np.isfinite(scores)
    squares = np.where(known, scores, 0.0) ** 2
    spread = np.sqrt(squares.sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    scores = np.where(known & (spread > 0), scores / np.where(spread > 0, spread, 1.0), 0.0)
    apart = [2**power for power in range(12) if 2**power <= max(scores.shape[1] // 2, 1)]
    found, weights = [], []
    for lag in apart:
        pairs = known[:, lag:] & known[:, :-lag]
        if pairs.sum() >= 3:
            found.append(float((scores[:, lag:] * scores[:, :-lag]).sum() / pairs.sum()))
            weights.append(float(np.sqrt(pairs.any(axis=1).sum())))
    if not found:
        return Dependence(0.0, 0.0)
    lags = np.array(apart[: len(found)], dtype=np.float64)
    grid = [(steady, persistence) for steady in STEADY for persistence in PERSISTENCE]
    shapes = [steady + (1.0 - steady) * persistence**lags for steady, persistence in grid]
    off = [float((np.array(weights) * (shape - found) ** 2).sum()) for shape in shapes]
    return Dependence(*grid[first_smallest(np.array(off), ROUNDING)])


def sample(
    calibration: Calibration, law: Dependence, forecast: FloatArray, leads: FloatArray, count: int, seed: int
) -> FloatArray:
    """``count`` paths (count, h) around ``forecast`` (h,) at ``leads`` (h,) in steps of the model, never below 0.

    At each lead they are spread as the intervals say, over the leads they hang together as the law says (a Gaussian
    copula). The same seed gives the same paths. Source: Pinson et al. 2009.
    """
    rng = np.random.default_rng(seed)
    level = rng.standard_normal((count, 1))
    rest = rng.standard_normal((count, forecast.size))
    keep = law.persistence ** np.diff(leads)
    for step, kept in enumerate(keep.tolist()):
        rest[:, step + 1] = kept * rest[:, step] + np.sqrt(1.0 - kept**2) * rest[:, step + 1]
    normal = np.sqrt(law.steady) * level + np.sqrt(1.0 - law.steady) * rest
    table = calibration.quantiles(forecast, leads, [NormalDist().cdf(knot) for knot in KNOTS.tolist()])
    place = np.clip((normal - KNOTS[0]) / (KNOTS[1] - KNOTS[0]), 0.0, KNOTS.size - 1.000001)
    left = place.astype(np.intp)
    column = np.arange(forecast.size)
    share = place - left
    drawn: FloatArray = table[left, column] * (1.0 - share) + table[left + 1, column] * share
    return drawn
