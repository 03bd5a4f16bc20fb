"""Control charts: what is watched in the deviations of one signal, each turned into a rate of false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np

from trimtab.analytics.kinds import Sign
from trimtab.analytics.tails import Prior, Tails
from trimtab.domain.choices import Sensitivity
from trimtab.domain.series import FloatArray

SECONDS_A_FALSE_ALARM: Final = {
    Sensitivity.LOW: 30 * 86_400.0,
    Sensitivity.MEDIUM: 7 * 86_400.0,
    Sensitivity.HIGH: 86_400.0,
}
WARM_SAMPLES: Final = 100
"""Nothing alarms before so many samples were seen."""
TRUSTED_SAMPLES: Final = 2000
"""Before so many samples were seen, an alarm must be rarer in proportion."""
COUNTED_FROM: Final = 30
"""Nothing is counted before: the spread is not known yet."""
LOUDEST: Final = 8.0
"""Sigma beyond which a point counts by its logarithm."""
LARGEST: Final = 21.9
"""What a point counts at most, from 45 sigma on: the last bin of the tails."""


class Statistic(IntEnum):
    """Columns of :class:`Tails`."""

    UP = 0
    DOWN = 1
    FAST_UP = 2
    FAST_DOWN = 3
    SLOW_UP = 4
    SLOW_DOWN = 5
    WILD = 6
    CALM = 7
    ALTERNATING = 8
    PERSISTING = 9


class _Plan(NamedTuple):
    share: float
    prior: Prior
    sign: Sign


_PLANS: Final = {
    Statistic.UP: _Plan(0.325, Prior(2.0, 0.022, 0.40), Sign.POINT),
    Statistic.DOWN: _Plan(0.325, Prior(2.0, 0.022, 0.40), Sign.POINT),
    Statistic.FAST_UP: _Plan(0.07, Prior(1.6, 0.015, 0.45), Sign.SHIFT),
    Statistic.FAST_DOWN: _Plan(0.07, Prior(1.6, 0.015, 0.45), Sign.SHIFT),
    Statistic.SLOW_UP: _Plan(0.04, Prior(1.2, 0.010, 0.50), Sign.SHIFT),
    Statistic.SLOW_DOWN: _Plan(0.04, Prior(1.2, 0.010, 0.50), Sign.SHIFT),
    Statistic.WILD: _Plan(0.05, Prior(1.5, 0.010, 0.50), Sign.WILD),
    Statistic.CALM: _Plan(0.02, Prior(1.5, 0.008, 0.30), Sign.CALM),
    Statistic.ALTERNATING: _Plan(0.02, Prior(1.5, 0.010, 0.50), Sign.ORDER),
    Statistic.PERSISTING: _Plan(0.02, Prior(1.5, 0.010, 0.50), Sign.ORDER),
}
FLAT_SHARE: Final = 0.02
_FAST, _SLOW, _SPREAD, _ORDER = 0.25, 0.05, 0.06, 0.05
_USUAL: Final = 1000
_FAST_NORM: Final = math.sqrt((2 - _FAST) / _FAST)
_SLOW_NORM: Final = math.sqrt((2 - _SLOW) / _SLOW)
_SIZE_NORM: Final = math.sqrt((2 - _SPREAD) / _SPREAD) / 0.58
_ORDER_NORM: Final = math.sqrt((2 - _ORDER) / _ORDER)


def budgets(step_seconds: float, sensitivity: Sensitivity) -> FloatArray:
    """False alarms a sample that each statistic may cause, shape (10,); with equal values in a row, the stated rate.

    >>> float(budgets(60.0, Sensitivity.MEDIUM).sum()) * 10_080 > 0.95
    True
    """
    return np.array([_PLANS[one].share for one in Statistic]) * step_seconds / SECONDS_A_FALSE_ALARM[sensitivity]


class Alarm(NamedTuple):
    """A statistic that went beyond its level."""

    sign: Sign
    direction: float
    """1 for up, -1 for down, 0 for neither."""
    rate: float
    """How often chance alone gets as far, relative to the statistic's budget: below 1."""


@dataclass(slots=True)
class ControlCharts:
    """Running statistics of one signal's deviations, and how often each gets as far as it gets.

    One sample against its expectation; exponentially weighted means of 4 and 20 samples for shifts (EWMA control
    charts, Roberts 1959); of the deviations' size over 16 for the spread; of the product of neighbours over 20 for
    their order; and runs of equal values. What goes into a mean is clipped, so that one wild sample is a point and
    nothing else.
    """

    tails: Tails
    seen: int = 0
    fast: float = 0.0
    slow: float = 0.0
    size: float = 0.0
    usual: float = 0.8
    """Mean size of a deviation, clipped: 0.8 for normal noise, less for a signal that rarely moves."""
    order: float = 0.0
    before: float = 0.0
    """The deviation before, clipped."""
    value: float = math.nan
    run: int = 0
    """Samples in a row that equal the last."""
    longest: int = 0
    """Longest run of equal samples before this one."""
    told: bool = False
    """Whether this run was told of."""
    equal: float = 0.5
    """Samples that equalled the one before, with half a sample assumed."""

    @classmethod
    def start(cls, step_seconds: float, sensitivity: Sensitivity) -> ControlCharts:
        """Before the first sample."""
        return cls(Tails.start([_PLANS[one].prior for one in Statistic], budgets(step_seconds, sensitivity)))

    def quieten(self) -> None:
        """Forget what the means ran up to."""
        self.fast = self.slow = self.size = self.order = self.before = 0.0

    def repeat(self, value: float, budget: float) -> Alarm | None:
        """Count runs of equal samples; an alarm when this one is too long for chance and longer than any before."""
        if value != self.value:
            self.value = value
            self.longest = max(self.longest, self.run)
            self.run, self.told = 0, False
            return None
        self.run += 1
        self.equal += 1.0
        if self.told or self.run < 7 or self.run <= 1.5 * self.longest + 1.0 or self.seen < WARM_SAMPLES:
            return None
        rate = _chance_of_run(self.run, self.equal - self.run, self.seen - 1 - self.run)
        self.told = rate < FLAT_SHARE * budget
        return Alarm(Sign.FLAT, 0.0, rate / budget) if self.told else None

    def see(self, sigmas: float) -> Alarm | None:
        """Take in a deviation in sigma; the strangest alarm, if any."""
        self.seen += 1
        held = min(max(sigmas, -4.0), 4.0)
        self.fast += _FAST * (held - self.fast)
        self.slow += _SLOW * (held - self.slow)
        away = min(abs(held), 3.0)
        self.usual += max(1.0 / _USUAL, 1.0 / (self.seen + 20.0)) * (away - self.usual)
        self.size += _SPREAD * (away - self.usual - self.size)
        near = min(max(sigmas, -2.5), 2.5)
        self.order += _ORDER * (near * self.before - self.order)
        self.before = near
        if abs(sigmas) > LOUDEST:
            sigmas = math.copysign(min(LOUDEST * (1.0 + math.log(abs(sigmas) / LOUDEST)), LARGEST), sigmas)
        found: Alarm | None = None
        if self.seen <= COUNTED_FROM:
            return None
        self.tails.seen += 1
        for (above, below, floor), value in zip(
            _SIDES,
            (sigmas, self.fast * _FAST_NORM, self.slow * _SLOW_NORM, self.size * _SIZE_NORM, self.order * _ORDER_NORM),
            strict=True,
        ):
            if value > floor or -value > floor:
                found = self._judge(above if value > 0 else below, abs(value), found)
        return found if self.seen > WARM_SAMPLES else None

    def _judge(self, which: Statistic, size: float, found: Alarm | None) -> Alarm | None:
        """Count a value above its floor; its alarm, if that is rarer than the one found."""
        tails = self.tails
        if size > float(tails.levels[which]):
            rate = tails.rate(which, size) / float(tails.budgets[which])
            surely = rate * TRUSTED_SAMPLES < self.seen
            if surely and (found is None or rate < found.rate):
                found = Alarm(_PLANS[which].sign, _DIRECTION.get(which, 0.0), rate)
        tails.see(which, size)
        return found


def _chance_of_run(run: int, equal: float, before: int) -> float:
    """How likely ``run`` more samples equal the one before, when ``equal`` of ``before`` did, half a sample assumed.

    The share is itself uncertain (Krichevsky and Trofimov 1981): nothing is odd about a signal that never moved.

    >>> _chance_of_run(60, 0.5, 0) > 0.05, _chance_of_run(7, 0.5, 100) < 1e-9
    (True, True)
    """
    before = max(before, 0)
    equal = min(equal, before + 0.5)
    return math.exp(
        math.lgamma(equal + run) - math.lgamma(equal) - math.lgamma(before + 1.0 + run) + math.lgamma(before + 1.0)
    )


_SIDES: Final = tuple(
    (above, below, _PLANS[above].prior.floor)
    for above, below in (
        (Statistic.UP, Statistic.DOWN),
        (Statistic.FAST_UP, Statistic.FAST_DOWN),
        (Statistic.SLOW_UP, Statistic.SLOW_DOWN),
        (Statistic.WILD, Statistic.CALM),
        (Statistic.PERSISTING, Statistic.ALTERNATING),
    )
)
_DIRECTION: Final = {
    Statistic.UP: 1.0,
    Statistic.FAST_UP: 1.0,
    Statistic.SLOW_UP: 1.0,
    Statistic.PERSISTING: 1.0,
    Statistic.DOWN: -1.0,
    Statistic.FAST_DOWN: -1.0,
    Statistic.SLOW_DOWN: -1.0,
    Statistic.ALTERNATING: -1.0,
}
