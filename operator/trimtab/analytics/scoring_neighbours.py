"""Neighbours: how far the newest stretch of a series is from the nearest stretches it has shown before.

A stretch is the past seen through a memory that fades: with lag ``l``, the distance is

    D_t(l) = fade * D_{t-1}(l) + (x_t - x_{t-l})^2

so each sample costs one pass over the lags, and no window has to be chosen. What is strange is measured by the k-th
smallest distance: with k above 1, a strange stretch that came once before does not make its second coming normal. This
is the left matrix profile (Lu et al., DAMP, 2022) with fading instead of cut-off windows and k neighbours, and the
distance of KNN-CAD (Burnaev and Ishimtsev, 2016) on lag vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.scoring_buffers import SLACK, room

LIMIT = 1e15
"""Values further than this from the first one count as this far, as their squares would not fit."""
TOO_FEW = -1.0
"""Told instead of a distance while there are fewer stretches than neighbours wanted."""


@dataclass(slots=True)
class Neighbours:
    """State of m series: ``4 * (lags * (1 + number of fades above 0) + SLACK)`` bytes each."""

    fades: tuple[float, ...]
    """What a sample counts relative to the one after it, one a measure; 0 looks at the newest sample alone."""
    nearest: int
    """Which of the nearest stretches is measured."""
    apart: int
    """Lags below this are no neighbours: they share most of the stretch."""
    past: NDArray[np.float32]
    """The newest samples less the first one, oldest first, ending before ``end``; shape (m, lags + SLACK)."""
    end: NDArray[np.int64]
    """Where the next sample goes in ``past``, shape (m,)."""
    seen: NDArray[np.int64]
    """Samples so far, shape (m,)."""
    distances: NDArray[np.float32]
    """D(l) of each fade above 0 at place ``lags - l``, shape (m, fades above 0, lags)."""
    first: NDArray[np.float64]
    """The first sample, shape (m,): differences from it fit single precision better than large values."""

    @classmethod
    def start(cls, series: int, lags: int, fades: tuple[float, ...], nearest: int, apart: int) -> Neighbours:
        """Nothing seen yet."""
        return cls(
            fades=fades,
            nearest=nearest,
            apart=apart,
            past=np.zeros((series, lags + SLACK), dtype=np.float32),
            end=np.zeros(series, dtype=np.int64),
            seen=np.zeros(series, dtype=np.int64),
            distances=np.zeros((series, sum(fade > 0.0 for fade in fades), lags), dtype=np.float32),
            first=np.zeros(series),
        )

    def step(self, index: int, value: float) -> list[float]:
        """Take a finite ``value`` of series ``index``; its distance (squared) for each fade, or ``TOO_FEW``."""
        seen, end = int(self.seen[index]), int(self.end[index])
        if seen == 0:
            self.first[index] = value
        moved = np.float32(min(max(value - float(self.first[index]), -LIMIT), LIMIT))
        past, reach = self.past[index], self.distances.shape[2]
        lags = min(seen, reach)
        squares = past[end - lags : end] - moved
        squares *= squares
        found = []
        row = 0
        for fade in self.fades:
            distances = squares
            if fade > 0.0:
                distances = self.distances[index, row, reach - lags :]
                distances *= np.float32(fade)
                distances += squares
                row += 1
            found.append(self._nearest(distances[: max(lags - self.apart + 1, 0)]))
        end = room(past, end)
        past[end] = moved
        self.end[index], self.seen[index] = end + 1, seen + 1
        return found

    def _nearest(self, distances: NDArray[np.float32]) -> float:
        if distances.size < self.nearest:
            return TOO_FEW
        left = distances.copy()
        for _ in range(self.nearest - 1):  # for so few, faster than a partition, and whatever the distances
            left[left.argmin()] = np.inf
        return float(left[left.argmin()])
