"""Relations: what each signal of a workload should be, given its load and its circumstances at the same time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.algebra import ROUNDING, inner
from trimtab.analytics.level import MAD_TO_SIGMA
from trimtab.domain.series import FloatArray

LEAST_ROWS: Final = 400
"""Samples that relations rest on at least."""
_ROOM: Final = 0.5
"""How far beyond what was seen, in standard deviations, relations are still believed."""
_SEEN: Final = 0.002
"""Share of the samples at either end that do not count as seen: a few wild ones say nothing of what lies between."""
_FLATTENED: Final = 0.1
"""Share of its usual size below which a value counts in proportion, and above which by its logarithm."""
_OUTLYING: Final = 4.0
"""Residuals beyond so many standard deviations have no say in the second fit."""
_FARTHEST: Final = 10.0
"""Standard deviations beyond which values make no more difference to a fit."""
_RIDGE: Final = 1e-3
_LEAST_SIZE: Final = 0.1
_MOST_NOISE: Final = math.log(10.0)
"""What stays unexplained is at most ten times as large, or as small, as usual."""
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Relations:
    """Each of d signals as a sum of c circumstances and their squares; least squares without outliers.

    Sizes count by their logarithm, so that twice the requests are twice the CPU. What stays unexplained may grow or
    shrink with the circumstances, as shares do that are made of few requests (Harvey's multiplicative
    heteroscedasticity, 1976). Rows are the signals, then the circumstances.
    """

    scales: FloatArray
    """What counts as large, shape (d + c,)."""
    middles: FloatArray
    """Median of each column after that, shape (d + c,)."""
    spreads: FloatArray
    """Robust standard deviation, shape (d + c,)."""
    lows: FloatArray
    """Range of the circumstances that was seen more than once in a while, shape (c,)."""
    highs: FloatArray
    weights: FloatArray
    """Shape (d, 2 c + 1)."""
    noise: FloatArray
    """Shape (d, c + 1): the logarithm of the standard deviation of what stays unexplained, in spreads, is so much of
    each circumstance, and the last."""

    @property
    def signals(self) -> int:
        """How many signals are explained."""
        return int(self.weights.shape[0])

    def known(self, rows: FloatArray) -> NDArray[np.bool_]:
        """Which of ``rows`` (n, d + c) are complete, in circumstances that were seen; shape (n,)."""
        around = self._placed(rows)[:, self.signals :]
        with np.errstate(invalid="ignore"):
            seen = (around >= self.lows - _ROOM) & (around <= self.highs + _ROOM)
        there = np.hstack([seen, np.isfinite(rows)])
        known: NDArray[np.bool_] = np.all(there, axis=1)
        return known

    def residuals(self, rows: FloatArray) -> FloatArray:
        """How far each signal is from what its circumstances say, in standard deviations; (n, d) for (n, d + c)."""
        placed = self._placed(rows)
        around = placed[:, self.signals :]
        told, error = _summed(_features(around), self.weights), self._error(around)
        found: FloatArray = (placed[:, : self.signals] - told) / error
        return found

    def expected(self, row: FloatArray, signal: int, offset: float) -> tuple[float, float]:
        """(what goes with the circumstances of ``row`` (d + c,), its standard deviation), in the unit of the signal.

        ``offset`` is what is normal of the signal's residual.
        """
        around = self._placed(row[np.newaxis])[:, self.signals :]
        told = float(_summed(_features(around), self.weights)[0, signal])
        error = float(self._error(around)[0, signal])
        places = self.middles[signal] + self.spreads[signal] * (told + error * (offset + np.array([-1.0, 0.0, 1.0])))
        low, value, high = (np.sinh(places) * self.scales[signal]).tolist()
        return value, (high - low) / 2.0

    def _error(self, around: FloatArray) -> FloatArray:
        """Standard deviation of what stays unexplained in circumstances (n, c), shape (n, d)."""
        slopes = _summed(_linear(around)[:, :-1], self.noise[:, :-1])
        error: FloatArray = np.exp(np.clip(slopes, -_MOST_NOISE, _MOST_NOISE) + self.noise[:, -1])
        return error

    def _placed(self, rows: FloatArray) -> FloatArray:
        placed: FloatArray = (np.arcsinh(rows / self.scales) - self.middles) / self.spreads
        return placed


def relate(rows: FloatArray, signals: int) -> Relations:
    """Relations of the first ``signals`` columns of complete ``rows`` (n, d + c) to the others; all columns move."""
    sizes = np.abs(rows)
    usual = np.median(sizes, axis=0)
    seldom = [float(np.median(column[column > 0.0])) for column in sizes.T]  # some are 0 most of the time
    scales = _FLATTENED * np.where(usual > 0.0, usual, seldom)
    curved = np.arcsinh(rows / scales)
    middles = np.median(curved, axis=0)
    spreads = MAD_TO_SIGMA * np.median(np.abs(curved - middles), axis=0)
    spreads = np.where(spreads > ROUNDING, spreads, curved.std(axis=0) + _TINY)
    placed = (curved - middles) / spreads
    around, features = placed[:, signals:], _features(placed[:, signals:])
    linear = _linear(around)
    weights, noise = np.zeros((signals, features.shape[1])), np.zeros((signals, linear.shape[1]))
    for signal in range(signals):
        values = placed[:, signal]
        held = np.clip(values, -_FARTHEST, _FARTHEST)
        left = values - inner(features, _solved(features, held))[:, 0]
        close = np.abs(left) <= _OUTLYING * MAD_TO_SIGMA * max(float(np.median(np.abs(left))), ROUNDING)
        weights[signal] = _solved(features[close], values[close])
        size = np.abs(values - inner(features, weights[[signal]])[:, 0]) + _TINY
        size = np.maximum(size, _LEAST_SIZE * np.median(size))  # the logarithm of next to nothing says nothing
        slopes = _solved(linear[close], np.log(size[close]))
        usual_size = np.exp(inner(linear, slopes)[:, 0])
        noise[signal] = slopes
        noise[signal, -1] += math.log(MAD_TO_SIGMA * float(np.median(size / usual_size)))
    lows, highs = np.quantile(around, [_SEEN, 1.0 - _SEEN], axis=0)
    return Relations(scales, middles, spreads, lows, highs, weights, noise)


def _summed(features: FloatArray, weights: FloatArray) -> FloatArray:
    """``features @ weights.T`` of (n, k) and (d, k), shape (n, d); one row comes out as among many, to the last bit."""
    total: FloatArray = np.zeros((len(features), len(weights)))
    for feature, weight in zip(features.T, weights.T, strict=True):
        total += feature[:, np.newaxis] * weight
    return total


def _linear(around: FloatArray) -> FloatArray:
    """Circumstances and ones, shape (n, c + 1)."""
    around = np.clip(around, -_FARTHEST, _FARTHEST)
    return np.hstack([around, np.ones((around.shape[0], 1))])


def _features(around: FloatArray) -> FloatArray:
    """Circumstances, their squares, and ones: shape (n, 2 c + 1); what is absurd counts as far away."""
    around = np.clip(around, -_FARTHEST, _FARTHEST)
    return np.hstack([around, around**2, np.ones((around.shape[0], 1))])


def _solved(features: FloatArray, values: FloatArray) -> FloatArray:
    """Weights by least squares, held near 0 where features say the same; shape (1, k)."""
    ridge = _RIDGE * len(features) * np.eye(features.shape[1])
    sums = inner(features.T, values[np.newaxis])
    solved: FloatArray = np.asarray(np.linalg.solve(inner(features.T, features.T) + ridge, sums).T, dtype=np.float64)
    return solved
