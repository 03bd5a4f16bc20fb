"""Ranks: how rare a measure of strangeness is among those the series has shown before.

The share of past measures that are at least as large, the newest one counted in, is the conformal p-value (Laxhammar
and Falkman, "Conformal anomaly detection", 2010): on a stationary stream it is at or below ``a`` in a share ``a`` of
the samples, whatever the distribution of the measure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEMORY = 4000
"""How many measures one is ranked among."""
SLACK = 256
WARM_UP = 50
"""Measures to be seen before one is ranked."""
FIRST_SHARE, FIRST_AT_MOST = 0.25, 200
"""Share of the measures at the start, and how many at most, that none is ranked among: with little to compare with,
everything was strange."""


@dataclass(slots=True)
class Ranks:
    """State of m series: 17 KiB each."""

    past: NDArray[np.float32]
    """The newest measures, oldest first, ending before ``end``; shape (m, MEMORY + SLACK)."""
    end: NDArray[np.int64]
    seen: NDArray[np.int64]
    """Measures so far, shape (m,)."""

    @classmethod
    def start(cls, series: int) -> Ranks:
        """Nothing seen yet."""
        return cls(
            past=np.zeros((series, MEMORY + SLACK), dtype=np.float32),
            end=np.zeros(series, dtype=np.int64),
            seen=np.zeros(series, dtype=np.int64),
        )

    def step(self, index: int, measure: float) -> float:
        """Take a finite ``measure`` of series ``index``; its p-value in (0, 1], 1 during the warm-up."""
        seen, end = int(self.seen[index]), int(self.end[index])
        past = self.past[index]
        value = np.float32(measure)
        among = min(MEMORY, seen - min(int(seen * FIRST_SHARE), FIRST_AT_MOST))
        larger = int(np.count_nonzero(past[end - among : end] >= value))
        if end == past.size:
            past[:MEMORY] = past[end - MEMORY :].copy()
            end = MEMORY
        past[end] = value
        self.end[index], self.seen[index] = end + 1, seen + 1
        return (larger + 1) / (among + 1) if seen >= WARM_UP else 1.0
