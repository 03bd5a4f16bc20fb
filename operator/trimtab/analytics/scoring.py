"""Scoring: how strange each new sample of a series is, sample by sample, from the past alone.

Each sample is looked at in four ways that differ in how long a stretch they see (``scoring_scales``). Each measures how
far the newest stretch is from the nearest ones seen before (``scoring_neighbours``) and how rare such a distance is for
this series (``scoring_ranks``). What half of those that know enough find rare is strange, and starts an episode or
belongs to one that was already told. Nothing is fitted beforehand and no setting belongs to one series;
docs/anomaly-scores.md has the sources and the figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.scoring_matrix import ranks_together, scale_together
from trimtab.analytics.scoring_ranks import Ranks
from trimtab.analytics.scoring_scales import Scale, View
from trimtab.domain.series import FloatArray

HUGE = 1e290
"""Larger values count as this, so that sums and differences stay finite."""
WORTH, TOGETHER = 3, 64
"""Series that are stepped at once, at least and at most: fewer are faster one by one, more are no faster."""
RARITY_MEMORY, RARITY_READY = 1500, 50
"""Among how many samples the rarity is a rank, at most and at least."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The same for every series; docs/anomaly-scores.md tells how they were chosen."""

    fade: float = 0.8
    """What a sample counts in the distance of two stretches, relative to the one after it."""
    nearest: int = 3
    """Which of the nearest stretches is measured."""
    share: float = 0.5
    """Share of the ways of looking that must find a sample rare; of those that have seen enough to say."""
    unusual: float = 0.99
    """How rare they must find it: 1 less the p-value."""
    quiet: int = 50
    """Samples below ``unusual`` that end an episode."""

    def views(self) -> tuple[View, ...]:
        """The scales; together they give four p-values."""
        return (
            View(every=1, fades=(0.0, self.fade), lags=4000, apart=10, memory=3500),
            View(every=4, fades=(0.9,), lags=1000, apart=3, memory=1000),
            View(every=12, fades=(0.5,), lags=500, apart=3, memory=500),
        )


DEFAULT = Settings()


@dataclass(frozen=True, slots=True)
class Scored:
    """How strange samples are; both arrays have the shape of the values."""

    score: FloatArray
    """0 to 1: how rare the first sample of an episode is, 0 for all others. What an alarm is raised on."""
    rarity: FloatArray
    """0 to 1: on a stationary stream it is at least 1 - a in a share a of the samples."""


@dataclass(slots=True)
class Scorer:
    """State of m series; at most 64 KiB each. Adjacent ones that have seen equally many samples are worked on at once.

    Pickled and restored, it goes on with the same scores.

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
    scales: tuple[Scale, ...]
    ranks: Ranks
    """Of how strange the samples were, for the rarity."""
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
            scales=tuple(Scale.start(series, view, settings.nearest) for view in settings.views()),
            ranks=Ranks.start(series, RARITY_MEMORY, RARITY_READY),
            quiet=np.full(series, settings.quiet, dtype=np.int64),
        )

    def update(self, time: float, values: FloatArray) -> Scored:
        """Score the samples at ``time``, shape (m,). A value that is not finite scores 0 and changes nothing."""
        found = self.extend(np.array([time]), values[np.newaxis])
        return Scored(found.score[0], found.rarity[0])

    def extend(self, times: FloatArray, values: FloatArray) -> Scored:
        """Score samples at ``times`` (n,), values (n, m): exactly what n updates give."""
        found = Scored(np.zeros(values.shape), np.zeros(values.shape))
        for low in range(0, values.shape[1], TOGETHER):
            for row, line in enumerate(values[:, low : low + TOGETHER].tolist()):
                for first, last in self._in_step(low, line):
                    if last - first >= WORTH:
                        rows = slice(first, last)
                        found.score[row, rows], found.rarity[row, rows] = self._together(rows, values[row, rows])
                        continue
                    for index in range(first, last):
                        found.score[row, index], found.rarity[row, index] = self._step(index, line[index - low])
        return found

    def p_values(self, index: int, value: float) -> list[float]:
        """Take a finite ``value`` of series ``index``; its p-values, one for each way that has a say."""
        value = min(max(value, -HUGE), HUGE)
        return [p for scale in self.scales for p in scale.step(index, value) if not math.isnan(p)]

    def _in_step(self, low: int, values: list[float]) -> list[tuple[int, int]]:
        """[first, last) of the adjacent series that have a finite value and have seen equally many.

        ``values`` are those of the series from ``low`` on.
        """
        seen = self.scales[0].neighbours.seen[low : low + len(values)].tolist()
        found: list[tuple[int, int]] = []
        for index, value in enumerate(values):
            if not math.isfinite(value):
                continue
            at = low + index
            if found and found[-1][1] == at and seen[index - 1] == seen[index]:
                found[-1] = found[-1][0], at + 1
            else:
                found.append((at, at + 1))
        return found

    def _step(self, index: int, value: float) -> tuple[float, float]:
        """(score, rarity)"""
        found = sorted(self.p_values(index, value))
        if not found:
            return 0.0, 0.0
        agreed = found[votes(len(found), self.settings.share) - 1]
        p_value = self.ranks.step(index, 1.0 / agreed)
        rarity = 0.0 if math.isnan(p_value) else 1.0 - p_value
        if 1.0 - agreed < self.settings.unusual:
            self.quiet[index] += 1
            return 0.0, rarity
        first = self.quiet[index] >= self.settings.quiet
        self.quiet[index] = 0
        return (1.0 - agreed if first else 0.0), rarity

    def _together(self, rows: slice, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(scores, rarities), shape (r,) each: ``_step`` of the series ``rows``, which have seen equally many."""
        values = np.minimum(np.maximum(values, -HUGE), HUGE)
        ways = np.concatenate([scale_together(scale, rows, values) for scale in self.scales], axis=1)
        ways = np.sort(ways[:, ~np.isnan(ways[0])], axis=1)
        if not ways.size:
            return np.zeros(values.size), np.zeros(values.size)
        agreed = ways[:, votes(ways.shape[1], self.settings.share) - 1]
        p_values = ranks_together(self.ranks, rows, 1.0 / agreed)
        unusual = 1.0 - agreed >= self.settings.unusual
        first = unusual & (self.quiet[rows] >= self.settings.quiet)
        self.quiet[rows] = np.where(unusual, 0, self.quiet[rows] + 1)
        return np.where(first, 1.0 - agreed, 0.0), np.where(np.isnan(p_values), 0.0, 1.0 - p_values)


def votes(ways: int, share: float) -> int:
    """How many of ``ways`` must agree.

    >>> [votes(ways, 0.5) for ways in (1, 2, 3, 4)]
    [1, 1, 2, 2]
    """
    return max(math.ceil(ways * share), 1)
