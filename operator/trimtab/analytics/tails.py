"""Tails: how often a statistic of a signal gets as far as it got now, learned from how far it usually gets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray

BINS: Final = 160
WIDTH: Final = 0.125
MEMORY: Final = 20_000
"""Samples over which excesses are remembered: two weeks at a minute."""
GAP: Final = 12
"""Samples below the floor after which the next excess is an event of its own."""
CAPPED: Final = 20.0
"""Peaks beyond what is expected once in so many alarms shape the fit as if they stood there."""
FORGIVEN: Final = 2.5
"""So many peaks may lie beyond the level at which a statistic alarms, above its budget: a third like them is usual."""
PRIOR_EVENTS: Final = 12.0
SHAPES: Final = (-0.17, 0.45)
"""Shapes that are believed. The lower is that of a normal distribution beyond 2 sigma."""


class Prior(NamedTuple):
    """What is assumed of a statistic before it was seen."""

    floor: float
    """Excesses are counted above this."""
    events: float
    """Events a sample."""
    mean_excess: float


@dataclass(slots=True)
class Tails:
    """Rates of k statistics, each by peaks over a threshold.

    Excesses over a floor that are less than 12 samples apart are one event, so that what is counted is alarms and not
    samples; the peaks follow a generalised Pareto distribution, fitted by probability-weighted moments and shrunk to
    an exponential one while there are few. What came more often than its budget and three times is usual, whatever the
    fit says: a nightly job is no anomaly. Sources: Davison and Smith 1990; Hosking and Wallis 1987; Siffer et al.
    2017 (SPOT). Peaks are kept in a histogram of 160 bins that forgets over 20,000 samples. State: k * 0.7 KiB.
    """

    budgets: FloatArray
    """Events a sample at which each statistic alarms; shape (k,)."""
    floors: FloatArray
    events: FloatArray
    """Events a sample that are assumed at first."""
    excesses: FloatArray
    """Mean excess that is assumed at first."""
    counts: NDArray[np.float32]
    """Shape (k, 160): peaks by their excess."""
    levels: FloatArray
    """Where each statistic alarms."""
    caps: FloatArray
    """What is beyond counts as if it stood there."""
    peaks: FloatArray
    """Peak of the event under way, or of the last one that is not in ``counts`` yet; NaN for none."""
    over: FloatArray
    """Sample at which each was last above its floor."""
    effective: float = 0.0
    """Samples that ``counts`` stand for."""
    seen: int = 0
    decayed: int = 0
    fits: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    """Shape (k, 3): events a sample, scale and shape."""

    @classmethod
    def start(cls, priors: Sequence[Prior], budgets: FloatArray) -> Tails:
        """Before the first sample."""
        table = np.array(priors, dtype=np.float64)
        count = len(priors)
        tails = cls(
            budgets=budgets.copy(),
            floors=table[:, 0].copy(),
            events=table[:, 1].copy(),
            excesses=table[:, 2].copy(),
            counts=np.zeros((count, BINS), dtype=np.float32),
            levels=np.zeros(count),
            caps=np.zeros(count),
            peaks=np.full(count, math.nan),
            over=np.full(count, -math.inf),
            fits=np.zeros((count, 3)),
        )
        tails.refit()
        return tails

    def rebudget(self, budgets: FloatArray) -> None:
        """Alarm at other rates from now on."""
        if not np.array_equal(budgets, self.budgets):
            self.budgets = budgets.copy()
            self.refit()

    def see(self, index: int, value: float) -> None:
        """Count a value above the floor of a statistic."""
        if self.seen - self.over[index] > GAP:
            self._close(index)
            self.peaks[index] = value
        elif not value <= self.peaks[index]:
            self.peaks[index] = value
        self.over[index] = self.seen

    def _close(self, index: int) -> None:
        peak = float(self.peaks[index])
        if math.isnan(peak):
            return
        passed = self.seen - self.decayed
        if passed >= MEMORY // 20:
            self.counts *= math.exp(-passed / MEMORY)
            self.effective = self.effective * math.exp(-passed / MEMORY)
            self.decayed = self.seen
            self.effective += passed
            self.refit()
        place = min(int((peak - self.floors[index]) / WIDTH), BINS - 1)
        self.counts[index, place] += 1.0
        self._fit(index)

    def refit(self) -> None:
        """Fit every statistic anew."""
        for index in range(self.floors.size):
            self._fit(index)

    def _fit(self, index: int) -> None:
        counts, floor = self.counts[index].astype(np.float64), float(self.floors[index])
        total, shape, mean = float(counts.sum()), 0.0, float(self.excesses[index])
        if total >= 1.0:
            middles = np.minimum(_MIDDLES, max(float(self.caps[index]) - floor, WIDTH))
            seen_mean = float(counts @ middles) / total
            mean = (total * seen_mean + PRIOR_EVENTS * mean) / (total + PRIOR_EVENTS)
            if total >= 10.0:
                above = total - np.cumsum(counts) + 0.5 * counts
                weighted = float((counts * middles) @ above) / total / total
                if seen_mean > 2.0 * weighted > 0.0:
                    raw = 2.0 - seen_mean / (seen_mean - 2.0 * weighted)
                    shape = total * min(max(raw, SHAPES[0]), SHAPES[1]) / (total + 4.0 * PRIOR_EVENTS)
        scale = mean * (1.0 - shape)
        samples = self.effective + self.seen - self.decayed
        rate = (total + PRIOR_EVENTS) / (samples + PRIOR_EVENTS / float(self.events[index]))
        self.fits[index] = (rate, scale, shape)
        budget = float(self.budgets[index])
        self.caps[index] = floor + _excess(CAPPED * rate / budget, scale, shape)
        often = np.flatnonzero(np.cumsum(counts[::-1]) > FORGIVEN + budget * samples)
        usual = floor + WIDTH * (BINS - float(often[0])) if often.size else floor
        self.levels[index] = max(floor + _excess(rate / budget, scale, shape), usual)

    def rate(self, index: int, value: float) -> float:
        """Events a sample in which the statistic gets to ``value``; at most its events above the floor."""
        events, scale, shape = (float(number) for number in self.fits[index])
        excess = max(value - float(self.floors[index]), 0.0)
        if abs(shape) < 1e-6:
            return events * math.exp(-excess / scale)
        inside = 1.0 + shape * excess / scale
        return events * float(inside ** (-1.0 / shape)) if inside > 1e-9 else 0.0


_MIDDLES: Final = (np.arange(BINS) + 0.5) * WIDTH


def _excess(ratio: float, scale: float, shape: float) -> float:
    """Excess that one in ``ratio`` peaks gets to."""
    if ratio <= 1.0:
        return 0.0
    if abs(shape) < 1e-6:
        return scale * math.log(ratio)
    return float(scale / shape * (ratio**shape - 1.0))
