"""Cold starts: how long an objective stays bad after a workload wakes from idleness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.analytics.gaps import usable
from trimtab.analytics.idle_times import IdleTimes
from trimtab.analytics.level import NoLevel, level
from trimtab.analytics.no_pattern import NoPattern
from trimtab.domain.objectives import Objective
from trimtab.domain.series import Series
from trimtab.domain.units import format_duration, format_number

FEWEST_WAKES = 2
_LOOK_SECONDS = 3600.0
_CALM_SAMPLES = 2
_FEWEST_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class ColdStart:
    """What waking does to one objective."""

    objective: str
    wakes: int
    """Times at which the workload woke and the objective was measured."""
    cold: int
    """How many of them it was bad after."""
    duration_seconds: float
    """Median time for which it stayed bad, of those."""
    worst: float
    """Median of its worst values after waking."""
    usual: float
    """Its median while the workload is busy."""
    violations: int
    """Wakes after which the objective's threshold was broken."""
    message: str


def cold_starts(
    idle: IdleTimes | NoPattern,
    objectives: Sequence[tuple[Objective, Series]],
    replicas: Series | None = None,
) -> tuple[ColdStart, ...] | NoPattern:
    """Objectives that are bad after most wakes: the ends of idle stretches, and replicas that come from none.

    Bad is worse than usual by 3 robust deviations (and by half of the usual value for an upper bound), or beyond the
    threshold while it usually holds, within an hour after waking, until two samples in a row are not. At least 2 wakes
    are needed.
    """
    wakes = sorted({*_ends(idle), *_from_zero(replicas)})
    if len(wakes) < FEWEST_WAKES:
        return NoPattern(f"{len(wakes) or 'no'} wakes from idleness; {FEWEST_WAKES} are needed to tell cold starts")
    found = [told for objective, series in objectives if (told := _after(objective, series, wakes)) is not None]
    if not found:
        return NoPattern(f"{len(wakes)} wakes from idleness, after which no objective was worse than usual")
    return tuple(found)


def _ends(idle: IdleTimes | NoPattern) -> list[float]:
    return [] if isinstance(idle, NoPattern) else [end for _, end in idle.spans]


def _from_zero(replicas: Series | None) -> list[float]:
    """Times of the last sample without replicas before some."""
    if replicas is None or len(replicas) < 2:
        return []
    values = replicas.values
    index = np.flatnonzero((values[:-1] == 0) & (values[1:] > 0))
    return [float(time) for time in replicas.times[index]]


def _after(objective: Objective, series: Series, wakes: Sequence[float]) -> ColdStart | None:
    found = level(series)
    if isinstance(found, NoLevel) or found.samples < _FEWEST_SAMPLES:
        return None
    sign = 1.0 if objective.max is not None else -1.0
    usual = found.median
    limit = sign * usual + max(3.0 * found.spread, (0.5 if sign > 0 else 1e-6) * abs(usual))
    if not objective.violated(usual):
        limit = min(limit, sign * objective.threshold)
    lengths: list[float] = []
    worst: list[float] = []
    measured = violations = 0
    for position, wake in enumerate(wakes):
        until = min(wake + _LOOK_SECONDS, wakes[position + 1] if position + 1 < len(wakes) else np.inf)
        after = series.between(wake + 0.5 * series.step_seconds, until)
        heights = sign * usable(after.values)
        if not np.isfinite(heights).any():
            continue
        measured += 1
        bad = heights > limit
        calm = np.flatnonzero(np.convolve(~bad, np.ones(_CALM_SAMPLES), "valid") == _CALM_SAMPLES)
        lasted = int(calm[0]) if calm.size else len(after)
        if bad[:lasted].any():
            lengths.append(lasted * series.step_seconds)
            worst.append(float(np.nanmax(heights[:lasted])))
            violations += objective.violated(sign * worst[-1])
    if measured < FEWEST_WAKES or 2 * len(lengths) <= measured:
        return None
    duration, peak = float(np.median(lengths)), sign * float(np.median(worst))
    message = (
        f"After {len(lengths)} of {measured} wakes from idleness {objective.name} was at {format_number(peak)}"
        f" (usually {format_number(usual)}) and took {format_duration(duration, to=1)} to settle"
        + (f"; {violations} of them broke its threshold." if violations else ".")
    )
    return ColdStart(objective.name, measured, len(lengths), duration, peak, usual, violations, message)
