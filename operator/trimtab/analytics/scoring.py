"""Scoring: how strange each new sample of a series is, sample by sample, from the past alone.

Three steps a sample: how far the newest stretch is from the nearest ones seen before (``scoring_neighbours``), how rare
such a distance is for this series (``scoring_ranks``), and whether that starts an episode or belongs to one that was
already told (here). Nothing is fitted beforehand and no setting belongs to one series; docs/anomaly-scores.md has the
sources and the figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.scoring_neighbours import Neighbours
from trimtab.analytics.scoring_ranks import Ranks
from trimtab.domain.series import FloatArray


@dataclass(frozen=True, slots=True)
class Settings:
    """The same for every series; docs/anomaly-scores.md tells how they were chosen."""

    fade: float = 0.8
    """What a sample counts in the distance of two stretches, relative to the one after it."""
    nearest: int = 3
    """Which of the nearest stretches is measured."""
    unusual: float = 0.99
    """Rarity from which a sample is part of an episode."""
    quiet: int = 50
    """Samples below ``unusual`` that end an episode."""


DEFAULT = Settings()


@dataclass(frozen=True, slots=True)
class Scored:
    """How strange samples are; both arrays have the shape of the values."""

    score: FloatArray
    """0 to 1: the rarity of the first sample of an episode, 0 for the others. What an alarm is raised on."""
    rarity: FloatArray
    """0 to 1: on a stationary stream it is at least 1 - a in a share a of the samples."""


@dataclass(slots=True)
class Scorer:
    """State of m series; at most 64 KiB each. Pickled and restored, it goes on with the same scores.

    >>> scorer = Scorer.start(series=1, step_seconds=60.0)
    >>> values = np.sin(np.arange(600) / 10.0)
    >>> values[500] = 3.0
    >>> scored = scorer.extend(60.0 * np.arange(600), values[:, np.newaxis])
    >>> np.flatnonzero(scored.score[:, 0] > 0.99).tolist()
    [500]
    """

    step_seconds: float
    """Seconds between samples."""
    settings: Settings
    neighbours: Neighbours
    ranks: Ranks
    quiet: NDArray[np.int64]
    """Samples since the last unusual one, shape (m,)."""

    @classmethod
    def start(cls, series: int, step_seconds: float, settings: Settings = DEFAULT) -> Scorer:
        """A scorer of ``series`` series that has seen nothing. Raises ValueError when a step is not above 0."""
        if not step_seconds > 0:
            raise ValueError(f"step_seconds must be above 0, got {step_seconds}")
        return cls(
            step_seconds=step_seconds,
            settings=settings,
            neighbours=Neighbours.start(series, settings.fade, settings.nearest),
            ranks=Ranks.start(series),
            quiet=np.full(series, settings.quiet, dtype=np.int64),
        )

    def update(self, time: float, values: FloatArray) -> Scored:
        """Score the samples at ``time``, shape (m,). A value that is not finite scores 0 and changes nothing."""
        score, rarity = np.zeros(values.size), np.zeros(values.size)
        for index, value in enumerate(values.tolist()):
            if math.isfinite(value):
                rarity[index] = rare = self._rarity(index, value)
                score[index] = self._onset(index, rare)
        return Scored(score, rarity)

    def extend(self, times: FloatArray, values: FloatArray) -> Scored:
        """Score samples at ``times`` (n,), values (n, m): exactly what n updates give."""
        scored = [self.update(time, row) for time, row in zip(times.tolist(), values, strict=True)]
        shape = values.shape
        return Scored(
            np.array([each.score for each in scored]).reshape(shape),
            np.array([each.rarity for each in scored]).reshape(shape),
        )

    def _rarity(self, index: int, value: float) -> float:
        distance = self.neighbours.step(index, value)
        return 1.0 - self.ranks.step(index, distance) if distance >= 0.0 else 0.0

    def _onset(self, index: int, rarity: float) -> float:
        """Rarity of the first sample of an episode, else 0."""
        if rarity < self.settings.unusual:
            self.quiet[index] += 1
            return 0.0
        first = self.quiet[index] >= self.settings.quiet
        self.quiet[index] = 0
        return rarity if first else 0.0
