"""Values that do not go together: what a round gives to the joint watch, and how an episode is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.evidence import amount
from trimtab.analytics.gaps import LARGEST_SAMPLE
from trimtab.analytics.joint_model import JointModel
from trimtab.analytics.kinds import severity
from trimtab.domain.choices import AnomalyKind
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.units import format_clock

LOAD_BEFORE: Final = "load before"
"""Circumstance that is not told of: what the load was in the minutes before."""


@dataclass(frozen=True, slots=True)
class Together:
    """What one round gives to the watch."""

    signals: Mapping[str, Series]
    """What is explained."""
    circumstances: Mapping[str, Series]
    """What explains it: load, replicas, CPU size."""
    taken: Set[int]
    """Steps at which a signal was odd by itself: unix seconds over ``step_seconds``, rounded."""
    changes: Sequence[float]
    """When the workload was changed, ascending."""
    settle_seconds: float
    objectives: Mapping[str, Objective]
    """By name of the signal."""


@dataclass(slots=True)
class JointEpisode:
    """Values that do not go together."""

    signal: str
    """The one that is told of: at the alarm the furthest from what goes with the load."""
    start: float
    rate: float
    """Alarms a sample that are as strange by chance."""
    samples: int
    """From the onset to now."""
    active: int
    """From the onset to the last that was not usual."""
    last: float
    """Time of that sample."""
    quiet: int = 0


def told(
    episode: JointEpisode,
    model: JointModel,
    samples: FloatArray,
    offsets: FloatArray,
    given: Together,
    step_seconds: float,
) -> Anomaly:
    """An episode as the samples so far tell it: its newest ``samples`` (n, 2 + c) of time, score and values."""
    signal = model.signals.index(episode.signal)
    rows = samples[: max(len(samples) - (episode.samples - episode.active), 1)]
    away = (model.relations.residuals(rows[:, 2:]) - offsets)[:, signal]
    middle = float(np.median(away))
    strangest = rows[int((math.copysign(1.0, middle) * away).argmax())]
    time, value = float(strangest[0]), float(strangest[2 + signal])
    expected, spread = model.relations.expected(strangest[2:], signal, float(offsets[signal]))
    objective = given.objectives.get(episode.signal)
    beyond = objective is not None and any(objective.violated(one) for one in rows[:, 2 + signal].tolist())
    unit = _unit(given.signals, episode.signal)
    around = ", ".join(
        f"{name} {amount(float(strangest[2 + place]), _unit(given.circumstances, name))}"
        for place, name in enumerate(model.names)
        if place >= len(model.signals) and name != LOAD_BEFORE
    )
    return Anomaly(
        signal=episode.signal,
        kind=AnomalyKind.CONTEXTUAL,
        severity=severity(middle, episode.active, AnomalyKind.CONTEXTUAL, objective, beyond),
        start=episode.start,
        end=None,
        value=value,
        expected=expected,
        score=min(max(1.0 - episode.rate, 0.0), 1.0),
        evidence=(
            f"{amount(value, unit)} at {format_clock(time, step_seconds)}{_compared(value, expected)} the"
            f" {amount(expected, unit, bare=True)} ± {amount(spread, unit, bare=True)} that goes with {around}."
            f" Usual by itself, but the median of the {episode.active} samples since"
            f" {format_clock(episode.start, step_seconds)} is {abs(middle):.1f} sigma"
            f" {'above' if middle > 0 else 'below'} what goes with their load."
        ),
    )


def _compared(value: float, expected: float) -> str:
    """How a value compares; in percent where that says something.

    >>> _compared(2.1, 2.0), _compared(0.0, 2.0), _compared(1.0, -2.0)
    (', 5 % more than', ', 100 % less than', ' instead of')
    """
    if expected == 0.0 or value * expected < 0.0:
        return " instead of"
    percent = 100.0 * abs(value / expected - 1.0)
    return f", {percent:.0f} % {'more' if abs(value) > abs(expected) else 'less'} than" if percent >= 0.5 else " beside"


def trailing(series: Series, steps: int) -> Series:
    """Means of the newest ``steps`` samples up to each one, of those that are there; NaN where there is none.

    >>> trailing(Series(0.0, 60.0, np.array([1.0, 3.0, np.nan, np.nan])), 2).values.tolist()
    [1.0, 2.0, 3.0, nan]
    """
    there = np.abs(series.values) < LARGEST_SAMPLE
    values = np.where(there, series.values, 0.0)
    sums, counts = np.zeros(len(series)), np.zeros(len(series))
    for back in range(min(steps, len(series))):  # running sums would keep what is left of an absurd sample
        sums[back:] += values[: len(series) - back]
        counts[back:] += there[: len(series) - back]
    means = np.full(len(series), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return replace(series, values=means)


def _unit(series: Mapping[str, Series], name: str) -> str:
    return series[name].unit if name in series else ""
