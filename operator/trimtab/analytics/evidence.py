"""Evidence: one sentence with figures for each anomaly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trimtab.analytics.algebra import line
from trimtab.analytics.kinds import Sign, Stretch, alternates, season_lost
from trimtab.domain.choices import AnomalyKind
from trimtab.domain.units import format_clock, format_duration, format_memory, format_number

_NAMED = {3600.0: "hour", 86_400.0: "day", 604_800.0: "week"}


@dataclass(frozen=True, slots=True)
class Told:
    """What a sentence is made of."""

    stretch: Stretch
    kind: AnomalyKind
    unit: str
    start: float
    """Unix seconds of the onset."""
    peak: float
    """Largest deviation, in sigma."""
    peak_time: float
    value: float
    """The sample there."""
    expected: float
    spread: float
    """One sigma there."""
    step_seconds: float
    periods: tuple[float, ...]
    """Seasons known, in seconds."""
    history_seconds: float
    """Time since the first sample."""

    @property
    def still(self) -> bool:
        """Whether the signal did not move at all before."""
        return self.spread < 1e-9 * max(abs(self.value), abs(self.expected))


def sentence(told: Told) -> str:
    """Why an anomaly is of its kind."""
    at, count = format_clock(told.start, told.step_seconds), told.stretch.deviations.size
    kinds = AnomalyKind
    match told.kind:
        case kinds.SPIKE | kinds.DIP:
            return f"{_point(told)}: {_sigmas(told)} {_compared(told)}."
        case kinds.CONTEXTUAL:
            low, high = told.stretch.usual_low, told.stretch.usual_high
            return (
                f"{_point(told)}: usual at other times ({amount(low, told.unit)} to {amount(high, told.unit)}),"
                f" but {_sigmas(told)} {_compared(told)}."
            )
        case kinds.LEVEL_SHIFT:
            offset = float(np.median(told.stretch.deviations))
            way = "above" if offset > 0 else "below"
            return (
                f"{_point(told)}; the {count} samples since {at} are"
                f" {abs(offset):.1f} sigma {way} what was expected at the median."
            )
        case kinds.TREND_CHANGE:
            per_step = line(np.arange(count, dtype=np.float64), told.stretch.deviations)[0] * told.spread
            way = "rises" if per_step > 0 else "falls"
            hourly = amount(abs(per_step) * 3600.0 / told.step_seconds, told.unit)
            return f"Since {at} it {way} by {hourly} an hour away from what was expected: {_point(told)}."
        case kinds.VARIANCE_CHANGE:
            width = float(told.stretch.deviations.std())
            times = f"{width:.1f} times as much" if width < 1000 else "more than 1000 times as much"
            return (
                f"{count} samples since {at} spread by ± {amount(width * told.spread, told.unit)} where"
                f" {_usual_spread(told)} was usual: {times}."
            )
        case kinds.COLLECTIVE:
            return _together(told, at, count)


def _together(told: Told, at: str, count: int) -> str:
    if told.stretch.sign is Sign.FLAT:
        held = amount(told.value, told.unit)
        return f"{count} samples since {at} are all {held}, where {_usual_spread(told)} was usual."
    away = told.stretch.deviations
    if told.stretch.sign is Sign.ORDER or alternates(away):
        turns = int((np.diff(np.sign(away)) != 0).sum())
        return (
            f"{count} samples since {at} change side {turns} times around what was expected; each is usual by itself."
        )
    if season_lost(told.stretch):
        return f"The usual movement is missing in {count} samples since {at}: {_point(told)}."
    return f"{count} samples since {at} are {away.mean():+.1f} sigma from what was expected; each is usual by itself."


def _usual_spread(told: Told) -> str:
    """One sigma, in words."""
    return "no movement" if told.still else f"± {amount(told.spread, told.unit)}"


def _point(told: Told) -> str:
    spread = "" if told.still else f" ± {amount(told.spread, told.unit, bare=True)}"
    expected = 0.0 if told.still and abs(told.expected) < 1e-9 * abs(told.value) else told.expected
    return (
        f"{amount(told.value, told.unit)} at {format_clock(told.peak_time, told.step_seconds)} where"
        f" {amount(expected, told.unit, bare=True)}{spread} was expected"
    )


def _sigmas(told: Told) -> str:
    size = f"{abs(told.peak):.0f}" if abs(told.peak) < 100 else "more than 100"
    return f"{size} sigma {'above' if told.peak > 0 else 'below'}"


def _compared(told: Told) -> str:
    """With what a value is compared."""
    if not told.periods:
        return "the level before it"
    period = min(told.periods)
    times = math.floor(told.history_seconds / period)
    name = _NAMED.get(period)
    if name is not None:
        return f"the same time of the last {times} {name}s"
    return f"the same phase of the last {times} seasons of {format_duration(period, to=1)}"


def amount(value: float, unit: str, *, bare: bool = False) -> str:
    """A value with its unit; bytes as a Kubernetes quantity.

    >>> amount(412.3, "requests/s"), amount(2.0**28, "bytes"), amount(0.25, "requests/s", bare=True)
    ('412 requests/s', '256Mi', '0.25')
    """
    if unit == "bytes":
        return format_memory(value) if abs(value) >= 2**20 else f"{value / 2**10:.0f}Ki"
    return format_number(value) if bare or not unit else f"{format_number(value)} {unit}"
