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

LAGS = 4000
"""How far back neighbours are looked for, in samples."""
APART = 10
"""Lags below this are no neighbours: they share most of the stretch."""
SLACK = 256
"""Room in the buffers, so that they are moved together once in so many samples and not at each."""
LIMIT = 1e15
"""Values further than this from the first one count as this far, as their squares would not fit."""


@dataclass(slots=True)
class Neighbours:
    """State of m series: 33 KiB each."""

    past: NDArray[np.float32]
    """The newest samples less the first one, oldest first, ending before ``end``; shape (m, LAGS + SLACK)."""
    end: NDArray[np.int64]
    """Where the next sample goes in ``past``, shape (m,)."""
    seen: NDArray[np.int64]
    """Samples so far, shape (m,)."""
    distances: NDArray[np.float32]
    """D(l) at place ``LAGS - l``, shape (m, LAGS)."""
    fade: float
    """What a sample counts in the distance, relative to the one after it."""
    nearest: int
    """Which of the nearest stretches is measured."""
    first: NDArray[np.float64]
    """The first sample, shape (m,): differences from it fit single precision better than large values."""

    @classmethod
    def start(cls, series: int, fade: float, nearest: int) -> Neighbours:
        """Nothing seen yet."""
        return cls(
            past=np.zeros((series, LAGS + SLACK), dtype=np.float32),
            end=np.zeros(series, dtype=np.int64),
            seen=np.zeros(series, dtype=np.int64),
            distances=np.zeros((series, LAGS), dtype=np.float32),
            fade=fade,
            nearest=nearest,
            first=np.zeros(series),
        )

    def step(self, index: int, value: float) -> float:
        """Take a finite ``value`` of series ``index``; its distance, or -1 while there are too few stretches."""
        seen, end = int(self.seen[index]), int(self.end[index])
        if seen == 0:
            self.first[index] = value
        moved = np.float32(min(max(value - float(self.first[index]), -LIMIT), LIMIT))
        past = self.past[index]
        lags = min(seen, LAGS)
        distances = self.distances[index, LAGS - lags :]
        apart = past[end - lags : end] - moved
        apart *= apart
        distances *= np.float32(self.fade)
        distances += apart
        if end == past.size:
            past[:LAGS] = past[end - LAGS :].copy()
            end = LAGS
        past[end] = moved
        self.end[index], self.seen[index] = end + 1, seen + 1
        candidates = distances[: lags - APART + 1]
        if lags - APART + 1 < self.nearest:
            return -1.0
        return float(np.partition(candidates, self.nearest - 1)[self.nearest - 1])
