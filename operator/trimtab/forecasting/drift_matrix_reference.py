"""The references of many streams of errors: ``Reference`` with arrays over the streams, equal to the last bit."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.algebra import ROUNDING
from trimtab.domain.series import FloatArray
from trimtab.forecasting.drift_reference import CLIP, LAGS, LEAST_SIZE, MEMORY, Reference

Rows = NDArray[np.intp]


@dataclass(slots=True)
class References:
    """The fields of m ``Reference``, which say what they are."""

    weight: FloatArray
    """Shape (m,), as ``mean`` and ``square``."""
    mean: FloatArray
    covariances: FloatArray
    """Shape (m, 3)."""
    square: FloatArray
    square_covariances: FloatArray
    """Shape (m, 2)."""

    @classmethod
    def start(cls, streams: int) -> References:
        """Nothing is known of any stream."""
        return cls(
            weight=np.ones(streams),
            mean=np.zeros(streams),
            covariances=np.zeros((streams, LAGS + 1)),
            square=np.ones(streams),
            square_covariances=np.zeros((streams, 2)),
        )

    def put(self, row: int, reference: Reference) -> None:
        """``reference`` is that of stream ``row``."""
        for field in fields(self):
            getattr(self, field.name)[row] = getattr(reference, field.name)

    def at(self, row: int) -> Reference:
        """The reference of stream ``row``."""
        return Reference(
            float(self.weight[row]),
            float(self.mean[row]),
            self.covariances[row].copy(),
            float(self.square[row]),
            self.square_covariances[row].copy(),
        )

    def of(self, rows: Rows) -> References:
        """A copy with the streams ``rows`` alone."""
        return References(*(getattr(self, field.name)[rows] for field in fields(self)))

    def whitening(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """``Reference.whitening`` of each stream, shape (m,) each."""
        size = self.covariances[:, 0]
        large = size > LEAST_SIZE**2
        safe = np.where(large, size, 1.0)
        one, two = self.covariances[:, 1] / safe, self.covariances[:, 2] / safe
        one = np.clip(one + (1.0 + 3.0 * one) / self.weight, -0.95, 0.95)
        two = np.minimum(np.maximum(two + (1.0 + 3.0 * two) / self.weight, 2.0 * (one * one) - 0.98), 0.98)
        second = (two - one * one) / (1.0 - one * one)
        first = one * (1.0 - second)
        steep = first + second > 0.95
        first, second = np.where(steep, one, first), np.where(steep, 0.0, second)
        left = np.maximum(1.0 - first * one - second * two, 1e-3)
        sigma = np.where(large, np.sqrt(safe * left), LEAST_SIZE)
        return np.where(large, first, 0.0), np.where(large, second, 0.0), sigma

    def remember(self, rows: Rows, errors: FloatArray) -> None:
        """``remember`` of three consecutive ``errors`` (r, 3) that left the windows of the streams ``rows``."""
        old = self.of(rows)
        first, second, sigma = old.whitening()
        weight = np.minimum(old.weight + 1.0, MEMORY)
        share = 1.0 / weight
        reach = 6.0 * np.sqrt(old.covariances[:, :1])
        away = errors - old.mean[:, np.newaxis]
        away = np.where(reach > ROUNDING, np.clip(away, -reach, reach), away)
        newest = away[:, -1]
        innovation = (newest - first * away[:, -2] - second * away[:, -3]) / sigma
        beyond = np.minimum(innovation * innovation, CLIP * CLIP) - old.square
        products = np.stack([beyond * beyond, old.square_covariances[:, 1]], axis=1)
        spread, wide = old.square_covariances, share[:, np.newaxis]
        self.weight[rows] = weight
        self.mean[rows] = old.mean + share * newest
        self.covariances[rows] = old.covariances + wide * (newest[:, np.newaxis] * away[:, ::-1] - old.covariances)
        self.square[rows] = old.square + share * beyond
        self.square_covariances[rows] = spread + wide * (products - spread)

    def freedom(self) -> FloatArray:
        """``freedom`` of each stream, shape (m,)."""
        size, next_to = self.square_covariances.T
        known = size > 0
        safe = np.where(known, size, 1.0)
        correlation = np.clip(next_to / safe, 0.0, 0.9)
        free = np.minimum(2.0 * (self.square * self.square) / safe, 1.0) * (1.0 - correlation) / (1.0 + correlation)
        return np.where(known, free, 1.0)
