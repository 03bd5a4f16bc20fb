"""The seasons of many streams of errors: ``Season`` with arrays over the streams, equal to the last bit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray
from trimtab.forecasting.drift_reference import MEMORY
from trimtab.forecasting.drift_season import BLOCKS_A_PERIOD, HARMONICS, MOST_BLOCKS, Season, waves

Rows = NDArray[np.intp]


@dataclass(slots=True)
class Seasons:
    """The fields of m ``Season``, which say what they are; all have the same period."""

    period: float
    block: int
    learned: NDArray[np.int64]
    """Shape (m,), as ``known``, ``sum``, ``count`` and ``first``."""
    reference: FloatArray
    """Shape (m, 4)."""
    products: FloatArray
    """The newest blocks times cosine and sine of each harmonic at their first steps, newest last; shape (m, 4, 96)."""
    steps: FloatArray
    """Their first steps, shape (m, 96)."""
    known: NDArray[np.int64]
    """How many blocks there are."""
    sum: FloatArray
    count: NDArray[np.int64]
    first: FloatArray

    @classmethod
    def start(cls, streams: int, season: Season) -> Seasons:
        """All streams are like ``season``, which has seen nothing."""
        return cls(
            period=season.period,
            block=season.block,
            learned=np.zeros(streams, dtype=np.int64),
            reference=np.zeros((streams, 2 * HARMONICS)),
            products=np.zeros((streams, 2 * HARMONICS, MOST_BLOCKS)),
            steps=np.zeros((streams, MOST_BLOCKS)),
            known=np.zeros(streams, dtype=np.int64),
            sum=np.zeros(streams),
            count=np.zeros(streams, dtype=np.int64),
            first=np.zeros(streams),
        )

    def forget(self, row: int) -> None:
        """Stream ``row`` starts anew."""
        self.learned[row] = self.known[row] = self.count[row] = 0
        self.reference[row] = self.sum[row] = 0.0

    def fill(self, rows: Rows, steps: FloatArray, innovations: FloatArray) -> None:
        """``fill`` of each of the streams ``rows``; ``steps`` and ``innovations`` are (r,)."""
        self._close(rows[(self.count[rows] > 0) & (steps - self.first[rows] >= self.block)])
        self.first[rows] = np.where(self.count[rows] == 0, steps, self.first[rows])
        self.sum[rows] += innovations
        self.count[rows] += 1
        self._close(rows[self.count[rows] >= self.block])

    def ratio(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """``seasonal_ratio`` of each of the streams ``rows``, shape (r,) each."""
        best, since = np.zeros(rows.size), np.full(rows.size, math.nan)
        period = self.period / self.block
        products, reference = self.products[rows], self.reference[rows]
        for doubled in range(math.floor(math.log2(MOST_BLOCKS / period)) + 1):
            count = math.floor(period * 2.0**doubled + 0.5)
            away = products[:, :, -count:].sum(axis=2) - count * reference
            uncertain = count + count**2 / np.minimum(np.maximum(self.learned[rows], 1), MEMORY / self.block)
            ratio = (away * away).sum(axis=1) / uncertain
            better = (self.known[rows] >= count) & (ratio > best)
            best, since = np.where(better, ratio, best), np.where(better, self.steps[rows, -count], since)
        return best, since

    def _close(self, rows: Rows) -> None:
        """The blocks that are being filled are complete."""
        if not rows.size:
            return
        values, first = self.sum[rows] / np.sqrt(self.count[rows]), self.first[rows]
        products = (values * waves(self.period, first)).T
        self.sum[rows], self.count[rows] = 0.0, 0
        learning = self.learned[rows] < max(self.period / self.block, BLOCKS_A_PERIOD)
        self._absorb(rows[learning], products[learning])
        later = rows[~learning]
        full = later[self.known[later] == MOST_BLOCKS]
        self._absorb(full, self.products[full, :, 0])
        self.products[later, :, :-1] = self.products[later, :, 1:]
        self.products[later, :, -1] = products[~learning]
        self.steps[later, :-1] = self.steps[later, 1:]
        self.steps[later, -1] = first[~learning]
        self.known[later] = np.minimum(self.known[later] + 1, MOST_BLOCKS)

    def _absorb(self, rows: Rows, products: FloatArray) -> None:
        self.learned[rows] += 1
        share = np.maximum(1.0 / self.learned[rows], self.block / MEMORY)[:, np.newaxis]
        self.reference[rows] += share * (products - self.reference[rows])
