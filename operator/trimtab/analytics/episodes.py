"""Episodes: when an unusual stretch of a signal began, whether it goes on, and when it is over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.control_charts import Alarm
from trimtab.analytics.expectation import Expectation
from trimtab.analytics.kinds import USUAL, Sign, Stretch
from trimtab.analytics.level import MAD_TO_SIGMA
from trimtab.analytics.recent import KEPT, Recent

STANDS_OUT: Final = 2.5
"""Sigma from which on a sample belongs to an episode by itself."""
APART: Final = 3
"""Samples after which one must stand out by a sigma more to belong to it."""
QUIET: Final = 4
"""Usual samples in a row that end an episode."""
LOOK_BACK: Final = 40
"""Samples that an onset may lie before the alarm."""
LONGEST_GAP: Final = 20
"""Missing samples that end an episode, and after which the past no longer says where the level is."""
NEW_NORMAL: Final = 60
"""Samples after which what lasts is the new normal: an hour at a minute."""


@dataclass(slots=True)
class Episode:
    """An anomaly that is going on.

    It ends when 4 samples in a row are usual: within 2 sigma of what was expected at its start, no surprise after the
    sample before, and with a mean and a spread over the last few that are usual as well.
    """

    sign: Sign
    start: float
    rate: float
    """Events a sample that are as strange by chance, of any kind."""
    opened: float
    """Time of the sample that told of it."""
    surprise: float
    """Its deviation from what was expected after the sample before, in sigma of that."""
    expected: float
    scale: float
    """What was expected of it then, and that sigma."""
    samples: int = 0
    """Samples from the onset to now."""
    active: int = 0
    """Samples from the onset to the last that was not usual."""
    last: float = math.nan
    """Time of that sample."""
    mean: float = 0.0
    size: float = 1.0
    quiet: int = 0
    before: float = 0.0
    """Deviation before, in sigma."""
    beyond: bool = False
    """Whether the objective was seen beyond its threshold."""

    def weigh(self, time: float, sigmas: float, persistence: float, run: int) -> None:
        """Take in the deviation of one more sample, in sigma; ``run`` samples in a row are equal."""
        self.samples += 1
        held = min(max(sigmas, -4.0), 4.0)
        self.mean += 0.25 * (held - self.mean)
        self.size += 0.12 * (abs(held) / 0.7979 - self.size)
        surprise = abs(sigmas - persistence * self.before) / math.sqrt(1.0 - persistence * persistence)
        self.before = sigmas
        usual = self._usual(abs(sigmas), run) and surprise < STANDS_OUT
        self.quiet = self.quiet + 1 if usual else 0
        least = STANDS_OUT + (self.samples - self.active > APART)
        alone = abs(sigmas) >= least or (surprise >= least and abs(sigmas) >= 1.0)
        if alone or (self.sign is not Sign.POINT and not usual):
            self.active, self.last = self.samples, time

    def _usual(self, size: float, run: int) -> bool:
        if self.sign is Sign.FLAT:
            return run == 0
        if self.sign is Sign.CALM:
            return self.size > 0.6 or size > 1.5
        return size < 2.0 and abs(self.mean) < 1.2 and self.size < 1.5


def onset(alarm: Alarm, recent: Recent, run: int) -> int:
    """Samples from the most likely onset of an alarm to now, this one included: 1 to 40.

    Where a shift most likely began is where the sum of deviations since, over the root of their count, is largest
    (the maximum-likelihood change point of a mean); for spread and order likewise of their sizes and products.
    """
    if alarm.sign is Sign.POINT:
        return 1
    if alarm.sign is Sign.FLAT:
        return min(run + 1, LOOK_BACK)
    sigmas = recent.sigmas[recent.newest(LOOK_BACK)][::-1]
    sigmas = np.clip(sigmas[np.isfinite(sigmas)], -4.0, 4.0)
    match alarm.sign:
        case Sign.SHIFT:
            gains = np.cumsum(alarm.direction * sigmas)
        case Sign.ORDER:
            gains = np.cumsum(alarm.direction * sigmas * np.append(sigmas[1:], 0.0))
        case Sign.WILD:
            gains = np.cumsum(np.abs(sigmas) - 0.8)
        case Sign.CALM:
            gains = np.cumsum(0.8 - np.abs(sigmas))
    return int((gains / np.sqrt(np.arange(1, sigmas.size + 1))).argmax()) + 1


def stretch_of(episode: Episode, recent: Recent, model: Expectation) -> tuple[Stretch, NDArray[np.intp]]:
    """The samples of an episode without its last usual ones, and their places in ``recent``."""
    behind = episode.samples - episode.active
    places = recent.newest(min(episode.samples, KEPT))
    places = places[: max(places.size - behind, 1)]
    spread = float(np.median(recent.spreads[places]))
    low = high = float(recent.levels[places[-1]])
    for one in model.seasons:
        lowest, highest = np.quantile(one.heights, [0.02, 0.98])
        low, high = low + float(lowest), high + float(highest)
    away = (recent.values[places] - recent.seasons[places] - recent.levels[places]) / spread
    if episode.sign is Sign.POINT and float(np.abs(away).max()) < USUAL:
        away[0] = episode.surprise  # a jump from the side of a signal that wanders to where it often is
    around = recent.sigmas[(int(places[0]) + np.arange(-2, 3)) % KEPT]
    direction = math.copysign(1.0, float(away.mean()))
    if float(np.nanmin(recent.values)) >= 0.0:
        low = max(low, 0.0)
    stretch = Stretch(
        sign=episode.sign,
        deviations=away,
        values=recent.values[places],
        seasonal=recent.seasons[places] / spread,
        usual_low=low,
        usual_high=high,
        swing=(high - low) / spread,
        persistence=model.persistence,
        jump=direction * float(np.nanmax(direction * around)),
    )
    return stretch, places


class Normal(NamedTuple):
    """What is normal once an anomaly has lasted."""

    level: float
    """In the unit of the signal, at the newest sample."""
    slope: float
    """Change of the level a step."""
    widening: float
    """Spread relative to what it was."""
    samples: int
    """Samples that this rests on."""


def new_normal(recent: Recent, *, slopes: bool) -> Normal:
    """Medians of the newest 30 samples without their seasons; without ``slopes`` the level stays where it is."""
    places = recent.newest(NEW_NORMAL // 2)
    rest = recent.values[places] - recent.seasons[places]
    half, slope = rest.size // 2, 0.0
    if slopes:
        slope = float(np.median(rest[half:]) - np.median(rest[:half])) / half
    level = float(np.median(rest)) + slope * (rest.size - 1) / 2.0
    around = rest - level - slope * (np.arange(rest.size) - rest.size + 1)
    width = MAD_TO_SIGMA * float(np.median(np.abs(around)))
    return Normal(level, slope, max(width / float(np.median(recent.spreads[places])), 0.05), rest.size)
