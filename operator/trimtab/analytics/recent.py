"""Recent: the newest samples of a signal with what was expected of each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.expectation import Expected
from trimtab.domain.series import FloatArray

KEPT: Final = 128
"""Samples that are kept to look back on."""


def _unknown() -> FloatArray:
    return np.full(KEPT, math.nan)


@dataclass(slots=True)
class Recent:
    """The newest 128 samples with what was expected of them, oldest first; shape (128,) each, NaN before the first."""

    times: FloatArray = field(default_factory=_unknown)
    values: FloatArray = field(default_factory=_unknown)
    levels: FloatArray = field(default_factory=_unknown)
    seasons: FloatArray = field(default_factory=_unknown)
    spreads: FloatArray = field(default_factory=_unknown)
    sigmas: FloatArray = field(default_factory=_unknown)
    """Deviations as the statistics saw them."""
    next: int = 0

    def add(self, time: float, value: float, expected: Expected, sigmas: float) -> None:
        """Keep a sample instead of the oldest."""
        place = self.next
        self.times[place] = time
        self.values[place] = value
        self.levels[place] = expected.base - expected.season
        self.seasons[place] = expected.season
        self.spreads[place] = expected.spread
        self.sigmas[place] = sigmas
        self.next = (place + 1) % KEPT

    def newest(self, count: int) -> NDArray[np.intp]:
        """Places of the newest ``count`` samples, oldest first."""
        places: NDArray[np.intp] = np.arange(self.next - count, self.next) % KEPT
        return places
