"""Relations: what each signal of a workload should be, given its load and its circumstances at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.algebra import inner
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
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Relations:
    """Each of d signals as a sum of c circumstances and their squares; least squares without outliers.

    Sizes count by their logarithm, so that twice the requests are twice the CPU. Rows are the signals, then the
    circumstances.
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
    errors: FloatArray
    """Standard deviation of what stays unexplained, shape (d,), in spreads."""

    def known(self, rows: FloatArray) -> NDArray[np.bool_]:
        """Which of ``rows`` (n, d + c) are complete, in circumstances that were seen; shape (n,)."""
        around = self._placed(rows)[:, self.errors.size :]
        with np.errstate(invalid="ignore"):
            seen = (around >= self.lows - _ROOM) & (around <= self.highs + _ROOM)
        there = np.hstack([seen, np.isfinite(rows)])
        known: NDArray[np.bool_] = np.all(there, axis=1)
        return known

    def residuals(self, rows: FloatArray) -> FloatArray:
        """How far each signal is from what its circumstances say, in standard deviations; (n, d) for (n, d + c)."""
        placed, signals = self._placed(rows), self.errors.size
        found: FloatArray = (placed[:, :signals] - self._told(placed[:, signals:])) / self.errors
        return found

    def expected(self, row: FloatArray, signal: int, offset: float) -> tuple[float, float]:
        """(what goes with the circumstances of ``row`` (d + c,), its standard deviation), in the unit of the signal.

        ``offset`` is what is normal of the signal's residual.
        """
        around = self._placed(row[np.newaxis])[:, self.errors.size :]
        told, error = float(self._told(around)[0, signal]), float(self.errors[signal])
        places = self.middles[signal] + self.spreads[signal] * (told + error * (offset + np.array([-1.0, 0.0, 1.0])))
        low, value, high = (np.sinh(places) * self.scales[signal]).tolist()
        return value, (high - low) / 2.0

    def _told(self, around: FloatArray) -> FloatArray:
        """What goes with circumstances (n, c), shape (n, d); a row comes out alone as among many, to the last bit."""
        told: FloatArray = np.zeros((len(around), self.errors.size))
        for feature, weights in zip(_features(around).T, self.weights.T, strict=True):
            told += feature[:, np.newaxis] * weights
        return told

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
    spreads = np.where(spreads > 0.0, spreads, curved.std(axis=0) + _TINY)
    placed = (curved - middles) / spreads
    around, features = placed[:, signals:], _features(placed[:, signals:])
    weights, errors = np.zeros((signals, features.shape[1])), np.zeros(signals)
    for signal in range(signals):
        values = placed[:, signal]
        held = np.clip(values, -_FARTHEST, _FARTHEST)
        left = values - inner(features, _solved(features, held))[:, 0]
        close = np.abs(left) <= _OUTLYING * MAD_TO_SIGMA * np.median(np.abs(left))
        weights[signal] = _solved(features[close], values[close])
        left = values - inner(features, weights[[signal]])[:, 0]
        errors[signal] = MAD_TO_SIGMA * float(np.median(np.abs(left))) + _TINY
    lows, highs = np.quantile(around, [_SEEN, 1.0 - _SEEN], axis=0)
    return Relations(scales, middles, spreads, lows, highs, weights, errors)


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
