"""Scales: strangeness of a series seen sample by sample, or by means of several samples.

What lasts is faint in single samples and clear in means; what is short is the other way round. A coarse scale also
reaches further back for the same memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.scoring_neighbours import Neighbours
from trimtab.analytics.scoring_ranks import Ranks
from trimtab.domain.series import FloatArray

READY = 150
"""Measures that a way of looking must know before it has a say."""


@dataclass(frozen=True, slots=True)
class View:
    """How a scale looks at a series."""

    every: int
    """Samples in one mean."""
    fades: tuple[float, ...]
    lags: int
    """How many means back neighbours are looked for."""
    apart: int
    memory: int
    """How many earlier measures one is ranked among."""


@dataclass(slots=True)
class Scale:
    """State of m series at one scale."""

    every: int
    total: FloatArray
    """Sum of the samples of the mean that is not complete, shape (m,)."""
    filled: NDArray[np.int64]
    """How many those are, shape (m,)."""
    held: FloatArray
    """p-values of the newest complete mean, one a fade, NaN for none; shape (m, fades)."""
    neighbours: Neighbours
    ranks: tuple[Ranks, ...]
    """One a fade."""

    @classmethod
    def start(cls, series: int, view: View, nearest: int) -> Scale:
        """Nothing seen yet."""
        return cls(
            every=view.every,
            total=np.zeros(series),
            filled=np.zeros(series, dtype=np.int64),
            held=np.full((series, len(view.fades)), math.nan),
            neighbours=Neighbours.start(series, view.lags, view.fades, nearest, view.apart),
            ranks=tuple(Ranks.start(series, view.memory, READY) for _ in view.fades),
        )

    def step(self, index: int, value: float) -> list[float]:
        """Take a finite ``value`` of series ``index``; its p-values, those of the last mean while one is incomplete.

        A way of looking that knows too little has NaN.
        """
        if self.every == 1:
            return self._measure(index, value)
        self.total[index] += value
        self.filled[index] += 1
        if self.filled[index] == self.every:
            self.held[index] = self._measure(index, float(self.total[index]) / self.every)
            self.total[index] = self.filled[index] = 0
        held: list[float] = self.held[index].tolist()
        return held

    def _measure(self, index: int, value: float) -> list[float]:
        distances = self.neighbours.step(index, value)
        return [
            ranks.step(index, distance) if distance >= 0.0 else math.nan
            for ranks, distance in zip(self.ranks, distances, strict=True)
        ]
