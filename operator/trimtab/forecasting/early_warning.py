"""Early warnings: that an objective is about to be breached, when, and how sure that is.

What is ahead is given as many possible courses of the objective. A breach is a run of samples beyond the threshold, not
a single one. A warning is raised when most courses breach within the horizon and goes on doing so, and it is taken back
only when few do: one noisy round neither raises nor ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray
from trimtab.domain.units import format_duration

BoolArray = NDArray[np.bool_]

BREACH_SAMPLES = 3
"""Samples in a row beyond the threshold that make a breach."""
OVER_SAMPLES = 30
"""Samples without a breach after which it is over."""
RAISE_PERCENT, CLEAR_PERCENT = 50.0, 15.0
"""Probability of a breach at which a warning is raised, and below which it is taken back."""
HOLD_SHARE = 1.0 / 8.0
"""Of the horizon: for so long the probability must be there, in two rounds at least."""


class Source(StrEnum):
    """What foresees a breach."""

    FORECAST = "Forecast"
    """The demand's forecast through the learned curve."""
    OBJECTIVE = "Objective"
    """The objective's own course."""
    BURN_RATE = "BurnRate"
    """The rate at which the error budget is spent."""


@dataclass(frozen=True, slots=True)
class EarlyWarning:
    """An objective that is about to be breached."""

    objective: str
    at: float
    """Unix seconds at which the breach is expected; for a burn rate, at which the budget is spent."""
    seconds_to_breach: float
    confidence_percent: int
    """Probability of the breach: within the horizon; for a burn rate, of the budget being spent by a thirtieth of the
    SLO's window from now."""
    source: Source
    message: str
    since: float
    """Unix seconds at which the warning was raised."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """When possible courses breach."""

    probability: float
    """Share of the courses that breach, 0 to 1."""
    seconds: float
    """Median time to the breach among those; NaN when there are none."""


@dataclass(frozen=True, slots=True)
class Alertness:
    """What a warning remembers between rounds."""

    active: bool = False
    since: float = 0.0
    turned: float | None = None
    """Unix seconds since when the probability speaks for the other state; None when it does not."""


def breaches(beyond: BoolArray, run: int) -> BoolArray:
    """Where a run of at least ``run`` samples beyond the threshold begins, shape (..., h) as given.

    At the end a run counts only if it is complete; with fewer samples than ``run``, all must be beyond.

    >>> breaches(np.array([False, True, True, False, True]), 2).tolist()
    [False, True, False, False, False]
    """
    h = beyond.shape[-1]
    run = max(1, min(run, h))
    begins = np.zeros_like(beyond)
    if h:
        whole = beyond[..., : h - run + 1].copy()
        for offset in range(1, run):
            whole &= beyond[..., offset : h - run + 1 + offset]
        begins[..., : h - run + 1] = whole
    return begins


def crossing(beyond: BoolArray, ahead_seconds: FloatArray, run: int = BREACH_SAMPLES) -> Crossing:
    """Probability and time of a breach from courses that are ``beyond`` (p, h) at times ``ahead_seconds`` (h,).

    >>> crossing(np.array([[False, True, True], [False, False, False]]), np.array([60.0, 120.0, 180.0]), run=2)
    Crossing(probability=0.5, seconds=120.0)
    """
    begins = breaches(beyond, run)
    hit = begins.any(axis=1)
    if not hit.any():
        return Crossing(0.0, float("nan"))
    first = ahead_seconds[np.argmax(begins[hit], axis=1)]
    return Crossing(float(hit.mean()), float(np.median(first)))


def alerted(previous: Alertness | None, percent: float, now: float, hold_seconds: float) -> Alertness:
    """Whether the warning stands, given the probability of a breach in percent, with hysteresis.

    >>> one = alerted(None, 70.0, 0.0, hold_seconds=300.0)
    >>> one.active, alerted(one, 70.0, 60.0, 300.0).active, alerted(one, 70.0, 300.0, 300.0).active
    (False, False, True)
    """
    was = previous or Alertness()
    speaks = percent < CLEAR_PERCENT if was.active else percent >= RAISE_PERCENT
    if not speaks:
        return Alertness(was.active, was.since, None)
    if was.turned is None or was.turned > now:
        return Alertness(was.active, was.since, now)
    if now - was.turned < hold_seconds:
        return was
    return Alertness() if was.active else Alertness(True, now, None)


def in_breach(beyond: BoolArray, run: int = BREACH_SAMPLES) -> bool:
    """Whether the newest samples, in order of time, hold a breach: then it is too late to warn.

    A breach goes on until the objective has held for 30 samples: one that comes and goes is one breach, not many.
    """
    newest = beyond[-OVER_SAMPLES:]
    return newest.size >= run and bool(breaches(newest, run).any())


def told(seconds: float) -> str:
    """A time ahead as people say it: to the minute below two hours, to the quarter of an hour below a day.

    >>> told(1234.0), told(10000.0), told(200000.0)
    ('21m', '2h45m', '56h')
    """
    unit = 60.0 if seconds < 7200 else 900.0 if seconds < 86400 else 3600.0
    return format_duration(max(round(seconds / unit), 1) * unit)
