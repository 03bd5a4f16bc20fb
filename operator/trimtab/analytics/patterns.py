"""Patterns: what a workload's demand does again and again, each told in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.analytics.bursts import Bursts, bursts
from trimtab.analytics.calendar_effects import CalendarEffect, CalendarKind, calendar_effects
from trimtab.analytics.cold_starts import ColdStart, cold_starts
from trimtab.analytics.idle_times import IdleTimes, idle_times
from trimtab.analytics.no_pattern import NoPattern
from trimtab.analytics.seasonality import SeasonFound
from trimtab.domain.objectives import Objective
from trimtab.domain.series import Series
from trimtab.domain.time_zones import zone_of
from trimtab.domain.units import format_duration


@dataclass(frozen=True, slots=True)
class Patterns:
    """What was found, or why not, of each kind."""

    seasons: tuple[SeasonFound, ...]
    bursts: Bursts | NoPattern
    idle: IdleTimes | NoPattern
    cold_starts: tuple[ColdStart, ...] | NoPattern
    calendar: tuple[CalendarEffect, ...]
    """Empty when the calendar does nothing that chance does not."""
    time_zone: str
    """Zone of all hours and weekdays."""

    @property
    def told(self) -> tuple[tuple[str, str], ...]:
        """(kind, sentence) of each pattern that was found, in a fixed order; times of day name their zone."""
        told = [
            (
                "Season",
                f"Repeats every {format_duration(one.period_seconds)}, which explains {one.strength_percent} % of its"
                " movement.",
            )
            for one in self.seasons
        ]
        if isinstance(self.bursts, Bursts):
            told.append(("Burst", self._zoned(self.bursts.message) if self.bursts.regular else self.bursts.message))
        if isinstance(self.idle, IdleTimes):
            told.append(("Idle", self._zoned(self.idle.message) if self.idle.schedule else self.idle.message))
        if not isinstance(self.cold_starts, NoPattern):
            told += [("ColdStart", one.message) for one in self.cold_starts]
        for effect in self.calendar:
            timed = effect.kind is CalendarKind.HOUR_OF_DAY
            told.append(("Calendar", self._zoned(effect.message) if timed else effect.message))
        return tuple(told)

    def _zoned(self, sentence: str) -> str:
        return f"{sentence.removesuffix('.')} ({self.time_zone})."


def find_patterns(
    series: Series,
    seasons: Sequence[SeasonFound] = (),
    *,
    replicas: Series | None = None,
    objectives: Sequence[tuple[Objective, Series]] = (),
    time_zone: str = "UTC",
) -> Patterns:
    """The patterns of a demand whose ``seasons`` are known; hours and weekdays are those of ``time_zone``.

    ``replicas`` and ``objectives`` tell cold starts; without them there are none. A week at one minute costs some
    milliseconds. Raises ValueError for a time zone that does not exist.

    >>> import numpy as np
    >>> hour = np.arange(14 * 24)
    >>> office = np.where((hour % 24 >= 8) & (hour % 24 < 18), 50.0, 0.0)
    >>> find_patterns(Series(0.0, 3600.0, office)).told[0]
    ('Idle', 'Idle 58 % of the time, at most 14h in a row, regularly every day 18:00–08:00 (UTC).')
    """
    zone = zone_of(time_zone)
    idle = idle_times(series, zone)
    return Patterns(
        seasons=tuple(seasons),
        bursts=bursts(series, zone),
        idle=idle,
        cold_starts=cold_starts(idle, objectives, replicas),
        calendar=calendar_effects(series, zone),
        time_zone=time_zone,
    )
