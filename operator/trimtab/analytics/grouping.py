"""Grouping: anomalies of several signals of one workload that began together are told as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trimtab.analytics.anomaly import Anomaly
from trimtab.domain.units import format_clock

TOGETHER_STEPS: Final = 3
"""Anomalies that begin within so many samples of the first belong together."""
LOAD: Final = "load"


@dataclass(frozen=True, slots=True)
class AnomalyGroup:
    """Anomalies of at least two signals that began together."""

    anomalies: tuple[Anomaly, ...]
    """By start, then by name; the load first."""
    start: float
    """Unix seconds of the first."""
    message: str
    """One sentence."""


def grouped(anomalies: Sequence[Anomaly], step_seconds: float) -> tuple[AnomalyGroup, ...]:
    """Groups among ``anomalies``, the oldest first; one that began alone is in none."""
    groups: list[list[Anomaly]] = []
    for one in sorted(anomalies, key=lambda one: (one.start, one.signal)):
        if groups and one.start - groups[-1][0].start <= TOGETHER_STEPS * step_seconds:
            groups[-1].append(one)
        else:
            groups.append([one])
    return tuple(_group(these, step_seconds) for these in groups if len({one.signal for one in these}) > 1)


def _group(these: list[Anomaly], step_seconds: float) -> AnomalyGroup:
    ordered = sorted(these, key=lambda one: (one.signal != LOAD, one.start, one.signal))
    names = [name.removeprefix("objective/") for name in dict.fromkeys(one.signal for one in ordered)]
    ways = {one.value > one.expected for one in ordered}
    verb = "moved" if len(ways) > 1 else "rose" if ways == {True} else "fell"
    cause = "the load is the likely cause" if ordered[0].signal == LOAD else "the load was as expected"
    start = min(one.start for one in these)
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return AnomalyGroup(
        tuple(ordered), start, f"{listed} {verb} together at {format_clock(start, step_seconds)}; {cause}."
    )
