"""Ranks: how rare a measure of strangeness is among those the series has shown before.

The share of past measures that are at least as large, the newest one counted in, is the conformal p-value (Laxhammar
and Falkman, "Conformal anomaly detection", 2010): on a stationary stream it is at or below ``a`` in a share ``a`` of
the samples, whatever the distribution of the measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.scoring_buffers import SLACK, room

FIRST_SHARE, FIRST_AT_MOST = 0.25, 0.05
"""Share of the measures seen, and share of the memory at most, at the start of a series that none is ranked among: with
little to compare with, everything was strange."""
DROPPED_BITS = 15
"""A positive single less these low bits keeps its order in 16 bits; measures closer than 0.4 % tie."""


@dataclass(slots=True)
class Ranks:
    """State of m series: ``2 * (memory + SLACK)`` bytes each."""

    ready: int
    """Among how many measures one must be ranked at least."""
    past: NDArray[np.uint16]
    """The newest measures, oldest first, ending before ``end``; shape (m, memory + SLACK)."""
    end: NDArray[np.int64]
    """Where the next measure goes in ``past``, shape (m,)."""
    seen: NDArray[np.int64]
    """Measures so far, shape (m,)."""

    @classmethod
    def start(cls, series: int, memory: int, ready: int) -> Ranks:
        """Nothing seen yet."""
        return cls(
            ready=ready,
            past=np.zeros((series, memory + SLACK), dtype=np.uint16),
            end=np.zeros(series, dtype=np.int64),
            seen=np.zeros(series, dtype=np.int64),
        )

    def step(self, index: int, measure: float) -> float:
        """Take a ``measure`` of at least 0 of series ``index``; its p-value in (0, 1], NaN until it is ``ready``.

        >>> ranks = Ranks.start(series=1, memory=1000, ready=50)
        >>> for measure in range(1, 100):
        ...     p = ranks.step(0, measure)
        >>> ranks.step(0, 1000.0), ranks.step(0, 0.0)  # 76 and 77 of those seen are ranked among
        (0.013157894736842105, 1.0)
        """
        seen, end = int(self.seen[index]), int(self.end[index])
        past = self.past[index]
        code = np.uint16(int(np.float32(measure).view(np.uint32)) >> DROPPED_BITS)
        among = self.among(seen)
        larger = int(np.count_nonzero(past[end - among : end] >= code))
        end = room(past, end)
        past[end] = code
        self.end[index], self.seen[index] = end + 1, seen + 1
        return (larger + 1) / (among + 1) if among >= self.ready else math.nan

    def among(self, seen: int) -> int:
        """How many of the newest of ``seen`` measures one is ranked among."""
        memory: int = self.past.shape[1] - SLACK
        return min(memory, seen - int(min(seen * FIRST_SHARE, memory * FIRST_AT_MOST)))
