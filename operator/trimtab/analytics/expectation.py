"""Expectation: what the next sample of a signal should be, and how far it usually is from that, as samples arrive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from trimtab.analytics.folding import fold
from trimtab.analytics.gaps import BoolArray, bridge
from trimtab.analytics.level import MEAN_TO_SIGMA
from trimtab.analytics.seasonality import SeasonFound
from trimtab.domain.series import FloatArray, Series

MOST_BINS: Final = 288
"""Phase bins of a season: five minutes of a day."""
MEMORY_LEVEL: Final = 50
"""Samples over which the level is a mean; a step that is never called an anomaly is forgotten in about so many."""
MEMORY_SPREAD: Final = 1000
"""Samples over which spread and persistence are means."""
CLIP: Final = 2.5
"""Deviations teach at most as if they were so many sigma."""
LEAST_SHARE: Final = 2e-4
"""A sigma is at least this share of the largest value seen: what moves less is not worth telling."""
MOST_PERSISTENCE: Final = 0.97
_SLOPE_GAIN: Final = 1.0 / (4 * MEMORY_LEVEL**2)
_SEASON_GAIN: Final = 0.15
_BUSY_GAIN: Final = 0.04
_BUSY_FROM: Final = 1.35
"""A phase counts as wild from here on: chance alone hardly gets there."""
_BUSY_CLIP: Final = 8.0
_TINY: Final = 1e-30
"""Least sigma, in any unit: of a signal that never was anything but 0."""


class Expected(NamedTuple):
    """What is expected of one sample, in the unit of the signal."""

    value: float
    """Expected value: level, seasons and what persists of the last deviation."""
    scale: float
    """Standard deviation around ``value``."""
    base: float
    """Level and seasons alone."""
    season: float
    """The seasons' part of ``base``."""
    spread: float
    """Standard deviation around ``base``: larger than ``scale`` where deviations persist."""
    relative: float
    """``scale`` over what it is at the usual base and in a usual phase."""


@dataclass(slots=True)
class Season:
    """The profile of one period around the level."""

    period_seconds: float
    heights: FloatArray
    """Shape (bins,), in the unit of the signal; bin b is centred on phase b / bins."""

    def at(self, time: float) -> float:
        """Height at ``time``, linear between the bins."""
        place = (time % self.period_seconds) / self.period_seconds * self.heights.size
        low = int(place)
        high = low + 1 if low + 1 < self.heights.size else 0
        left = float(self.heights[low])
        return left + (place - low) * (float(self.heights[high]) - left)

    def bin(self, time: float) -> int:
        """The bin nearest to ``time``."""
        return round((time % self.period_seconds) / self.period_seconds * self.heights.size) % self.heights.size


@dataclass(slots=True)
class Expectation:
    """Level, slope, seasons, persistence and spread of one signal, updated by each sample.

    The next sample is ``level + seasons + persistence * last deviation``. Level and slope are Holt's linear trend,
    every update clipped at 2.5 sigma, as in robust exponential smoothing (Gelper, Fried and Croux 2010); the
    deviation persists as an AR(1), so that what is left is close to independent and can be judged sample by sample
    (Alwan and Roberts 1988). Sigma follows the level by a learned power: 0 for additive noise, 1/2 for counts, 1 for
    noise in proportion. A phase in which the signal is often wild, such as a nightly job, has a wider sigma of its own.

    State: some 30 numbers, and at most 2 seasons of 288 bins and one row of 288: under 8 KiB.

    >>> model = Expectation.start(60.0)
    >>> for i in range(200):
    ...     _ = model.learn(60.0 * i, 100.0 + (i % 2), model.at(60.0 * i))
    >>> round(model.at(12000.0).base, 1)
    100.5
    """

    step_seconds: float
    seasons: tuple[Season, ...] = ()
    busy: FloatArray = field(default_factory=lambda: np.ones(0))
    """How wild each phase of the first season is, relative to all; shape (bins,)."""
    seen: int = 0
    time: float = math.nan
    """Unix seconds of the last sample learned."""
    level: float = 0.0
    standing: int = 1
    """Samples that the level rests on; those beyond 50 make no difference."""
    slope: float = 0.0
    """Change of the level a step."""
    largest: float = 0.0
    """Size of the larger values: a mean over 100 samples on the way up, over 10,000 on the way down."""
    wildness: float = 0.0
    """Mean absolute deviation from ``value`` where the base is as usual."""
    deviation: float = 0.0
    """Last deviation from the base, clipped."""
    squared: float = 0.0
    lagged: float = 0.0
    log_base: float = math.nan
    log_size: float = math.nan
    """Means of the logarithms of base and size of an error; NaN before the first: 0 would make a unit of its own."""
    log_spread: float = 0.0
    log_together: float = 0.0
    missing: tuple[float, ...] = ()
    """Periods in seconds that were asked for, and that history did not show twice."""
    missing_until: float = -math.inf
    """When they are tried again."""

    @classmethod
    def start(cls, step_seconds: float) -> Expectation:
        """Before the first sample."""
        return cls(step_seconds)

    @property
    def persistence(self) -> float:
        """Correlation of a deviation with the one before."""
        if self.seen < 20 or self.squared <= 0.0:
            return 0.0
        return min(max(self.lagged / self.squared, 0.0), MOST_PERSISTENCE)

    @property
    def power(self) -> float:
        """Exponent by which sigma follows the base, 0 to 1."""
        return min(max(self.log_together / (self.log_spread + 0.01), 0.0), 1.0)

    def at(self, time: float) -> Expected:
        """What is expected at ``time``, which is later than all that was learned."""
        level = self.level
        steps = (time - self.time) / self.step_seconds if self.seen else 0.0
        level += self.slope * min(steps, 10.0)
        season = 0.0
        for one in self.seasons:
            season += one.at(time)
        base = level + season
        rho = self.persistence
        relative = self._relative(base, time)
        scale = max(relative * MEAN_TO_SIGMA * self.wildness, LEAST_SHARE * self.largest, _TINY)
        carried = self.deviation * (rho if steps < 1.5 else rho**steps) if rho else 0.0
        return Expected(base + carried, scale, base, season, scale / math.sqrt(1.0 - rho * rho), relative)

    def _relative(self, base: float, time: float) -> float:
        power, relative = self.power, 1.0
        if power > 0.0:  # then both logarithms are known
            relative = math.exp(power * min(max(math.log(max(base, _TINY)) - self.log_base, -3.0), 3.0))
        if self.busy.size:
            relative *= max(1.0, float(self.busy[self.seasons[0].bin(time)]) / _BUSY_FROM)
        return relative

    def learn(self, time: float, value: float, expected: Expected, *, hold: bool = False) -> float:
        """Take in a sample, given what was expected of it; its deviation in sigma.

        ``hold`` keeps level, slope and spread as they are: an anomaly must not teach itself as normal.
        """
        error = value - expected.value
        sigmas = error / expected.scale
        if not hold:
            self._learn_level(value, expected)
            self._learn_spread(error, expected)
        else:
            self.deviation = 0.0
            self.level += self.slope
        if self.seen == 0:
            self.largest = abs(value)
        away = abs(value) - self.largest
        self.largest += (0.01 if away > 0.0 else 0.1 / MEMORY_SPREAD) * away
        self._learn_seasons(time, value - expected.base, sigmas, expected.spread)
        self.seen += 1
        self.time = time
        return sigmas

    def _learn_level(self, value: float, expected: Expected) -> None:
        seen = self.seen
        if seen == 0:
            self.level = value - expected.season
            return
        reach = CLIP * expected.spread if seen >= 10 else math.inf
        away = value - expected.base
        clipped = min(max(away, -reach), reach)
        self.standing += 1
        gain = max(1.0 / MEMORY_LEVEL, 1.0 / self.standing)
        self.level = expected.base - expected.season + gain * clipped
        if seen >= 2 * MEMORY_LEVEL:
            self.slope = 0.9995 * self.slope + _SLOPE_GAIN * clipped
        wide = max(1.0 / MEMORY_SPREAD, 1.0 / (seen + 1))
        size = expected.spread if seen >= 10 else 1.0
        held = min(max(away / size, -4.0), 4.0) if seen >= 10 else 0.0
        before = self.deviation / size if seen >= 10 else 0.0
        self.lagged += wide * (held * before - self.lagged)
        self.squared += wide * (held * held - self.squared)
        self.deviation = 4.0 * size * math.copysign(1.0, away) if abs(away) > 4.0 * size and seen >= 10 else away

    def _learn_spread(self, error: float, expected: Expected) -> None:
        seen = self.seen
        if seen == 0:
            return
        gain = max(1.0 / MEMORY_SPREAD, 1.0 / seen)
        size = abs(error)
        if seen >= 10:
            size = min(size, 4.0 * expected.scale / MEAN_TO_SIGMA)
        size /= expected.relative
        self.wildness += gain * (size - self.wildness)
        if expected.base > 0.0 and seen >= 10:
            place = math.log(expected.base)
            height = math.log(max(abs(error), 0.02 * expected.scale))
            if math.isnan(self.log_size):
                self.log_size = height
            if math.isnan(self.log_base):
                self.log_base = place
            across, up = place - self.log_base, height - self.log_size
            self.log_base += gain * across
            self.log_size += gain * up
            self.log_spread += gain * (across * (place - self.log_base) - self.log_spread)
            self.log_together += gain * (across * (height - self.log_size) - self.log_together)
        elif expected.base > 0.0:
            place = math.log(expected.base)
            self.log_base = place if math.isnan(self.log_base) else self.log_base + (place - self.log_base) / seen

    def _learn_seasons(self, time: float, away: float, sigmas: float, spread: float) -> None:
        if not self.seasons or self.seen < 10:
            return
        reach = CLIP * spread
        clipped = min(max(away, -reach), reach)
        for one in self.seasons:
            samples = max(one.period_seconds / self.step_seconds / one.heights.size, 1.0)
            one.heights[one.bin(time)] += _SEASON_GAIN / samples / len(self.seasons) * clipped
        place = self.seasons[0].bin(time)
        usual = min(abs(sigmas), _BUSY_CLIP) * MEAN_TO_SIGMA * max(1.0, float(self.busy[place]) / _BUSY_FROM)
        self.busy[place] += _BUSY_GAIN * (min(usual, 4 * _BUSY_CLIP) - self.busy[place])

    def settle(self, level: float, slope: float = 0.0, samples: int = MEMORY_LEVEL) -> None:
        """Take ``level`` as the new normal; the fewer ``samples`` it rests on, the faster it may still move."""
        self.level, self.slope, self.deviation = level, slope, 0.0
        self.standing = max(samples, 1)

    def fade(self) -> None:
        """Halve the seasons: the signal does not follow them any more."""
        for one in self.seasons:
            one.heights *= 0.5

    def widen(self, ratio: float) -> None:
        """Take a spread of ``ratio`` times the present one as the new normal."""
        self.wildness *= ratio

    def reseason(self, found: Sequence[SeasonFound], history: Series) -> None:
        """Take on another set of seasons; those that stay keep what they learned, new ones are read off ``history``.

        At most two count. A period within 2 % of a known one is that one. ``history`` must hold nothing newer than what
        was learned; a season that it shows less than twice is tried again when an eighth of it has passed.
        """
        wanted = tuple(sorted(one.period_seconds for one in found if one.period_seconds >= 2.0 * self.step_seconds)[:2])
        if not wanted and not self.seasons:
            return
        kept = {near: one for one in self.seasons for near in wanted if abs(one.period_seconds / near - 1.0) < 0.02}
        missing = [period for period in wanted if period not in kept]
        if not missing and len(kept) == len(self.seasons):
            return
        if missing == list(self.missing) and self.time < self.missing_until:
            return
        before = self._season(self.time)
        made = profiles_of(history, wanted) if missing else {}
        seasons = tuple(one for period in wanted if (one := kept.get(period) or made.get(period)) is not None)
        self.missing = tuple(period for period in missing if period not in made)
        self.missing_until = self.time + min(self.missing) / 8.0 if self.missing else -math.inf
        if not self.seasons or not seasons or seasons[0] is not self.seasons[0]:
            self.busy = np.ones(seasons[0].heights.size if seasons else 0)
        self.seasons = seasons
        if self.seen:
            self.level += before - self._season(self.time)

    def _season(self, time: float) -> float:
        return math.fsum(one.at(time) for one in self.seasons) if self.seen else 0.0


def profiles_of(history: Series, periods_seconds: Sequence[float]) -> dict[float, Season]:
    """The profile of each period that ``history`` shows at least twice, the shorter taken out before the longer."""
    filled = bridge(history)
    found: dict[float, Season] = {}
    if filled.known.sum() < 12:
        return found
    low, high = np.quantile(filled.values[filled.known], [0.005, 0.995])
    values = np.where(filled.known, np.clip(filled.values, low, high), 0.0)
    for period_seconds in sorted(periods_seconds):
        period = period_seconds / history.step_seconds
        if not 2.0 <= period <= len(history) / 1.9:
            continue
        around = values - fold(values, filled.known, period).trend
        season = Season(period_seconds, _heights(around, filled.known, history, period_seconds))
        found[period_seconds] = season
        values = values - np.array([season.at(float(time)) for time in history.times])
    return found


def _heights(around: FloatArray, known: BoolArray, history: Series, period_seconds: float) -> FloatArray:
    """Trimmed mean of each phase bin, around 0, shape (bins,)."""
    count = int(min(max(round(period_seconds / history.step_seconds), 4), MOST_BINS))
    bins = np.rint((history.times % period_seconds) / period_seconds * count).astype(np.intp) % count
    heights = np.zeros(count)
    order = np.argsort(bins[known], kind="stable")
    inside, starts = around[known][order], np.searchsorted(bins[known][order], np.arange(count + 1))
    for place in range(count):
        here = np.sort(inside[starts[place] : starts[place + 1]])
        if here.size:
            cut = here.size // 5
            heights[place] = here[cut : here.size - cut].mean()
    centred: FloatArray = heights - heights.mean()
    return centred
