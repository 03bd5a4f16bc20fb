"""Advice on hours: fewer replicas in regular idle hours, more ahead of regular bursts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from trimtab.analytics.bursts import Bursts, RegularBurst
from trimtab.analytics.idle_times import IdleTimes, IdleWindow
from trimtab.analytics.local_time import WEEK_HOURS, clock, weekdays_text
from trimtab.domain.choices import Severity
from trimtab.domain.units import format_duration, format_number
from trimtab.forecasting.forecast import Forecast
from trimtab.planning.advice import Advice, AdviceKind, RecommendInputs, confidence
from trimtab.planning.advice_capacity import (
    DAY,
    WEEK,
    carried,
    carried_text,
    replicas_for,
    scale_command,
    scaled_already,
    whole,
)

_LEAST_IDLE_HOURS, _STILL_IDLE_HOURS = 10, 6
_LEAD_SECONDS: Final = 300.0


def schedule_advice(inputs: RecommendInputs) -> Iterator[Advice]:
    """Advice on idle hours and on bursts, where they are regular."""
    yield from _idle_hours(inputs)
    if math.isfinite(carried(inputs)):
        yield from _bursts(inputs)


def _idle_hours(inputs: RecommendInputs) -> Iterator[Advice]:
    """A schedule that scales to the floor in regular idle hours."""
    idle = inputs.patterns.idle if inputs.patterns is not None else None
    horizontal = inputs.spec.horizontal
    if not isinstance(idle, IdleTimes) or not inputs.trusted:
        return
    if inputs.follows and (horizontal is None or horizontal.min_replicas <= 1):
        return
    if not inputs.follows and scaled_already(inputs):
        return
    standing = horizontal.min_replicas if inputs.follows and horizontal is not None else inputs.replicas
    floor = max(1, inputs.strategy.min_replicas)
    least = _STILL_IDLE_HOURS if inputs.kept(AdviceKind.SCHEDULE) else _LEAST_IDLE_HOURS
    if standing <= floor or idle.hours_per_week < least:
        return
    saving = inputs.pods_cost(standing - floor) * idle.hours_per_week / WEEK_HOURS
    zone = inputs.patterns.time_zone if inputs.patterns is not None else "UTC"
    noun = "replica stays" if floor == 1 else "replicas stay"
    windows = ", ".join(window.text for window in idle.schedule)
    yield Advice(
        AdviceKind.SCHEDULE,
        "",
        Severity.INFO,
        f"Scale to {floor} {'replica' if floor == 1 else 'replicas'} in idle hours",
        f"There is no demand {windows} ({zone}), {idle.hours_per_week} hours a week, and {standing} replicas run.",
        f"{idle.message} {idle.days_seen} whole days were seen.",
        f"Nothing is served in these hours; {floor} {noun} for what may come. {inputs.cost_effect(saving)}",
        saving,
        confidence(inputs.history.load, 3 * WEEK, min(1.0, idle.days_seen / 7.0)),
        "; ".join(_cron(inputs, window, floor, standing, zone) for window in idle.schedule[:4]),
    )


def _cron(inputs: RecommendInputs, window: IdleWindow, floor: int, standing: int, zone: str) -> str:
    """Two lines of a CronJob's schedule."""
    if window.hours >= WEEK_HOURS:
        return _set(inputs, floor)
    end = window.start_hour + window.hours
    ends = sorted({(day + end // 24) % 7 for day in window.weekdays})
    return (
        f'"0 {window.start_hour} * * {_cron_days(window.weekdays)}" {_set(inputs, floor)} and'
        f' "0 {end % 24} * * {_cron_days(ends)}" {_set(inputs, standing)} (CronJob, timeZone: {zone})'
    )


def _set(inputs: RecommendInputs, replicas: int) -> str:
    """What sets the replicas at an hour: the floor where they follow, else the number itself."""
    if not inputs.follows:
        return scale_command(inputs, replicas)
    name = inputs.policy_name or inputs.name
    return f"""kubectl patch perf {name} --type merge -p '{{"spec":{{"horizontal":{{"minReplicas":{replicas}}}}}}}'"""


def _cron_days(days: tuple[int, ...] | list[int]) -> str:
    """Weekdays as cron counts them, Sunday 0."""
    return "*" if len(days) == 7 else ",".join(str((day + 1) % 7) for day in days)


def _bursts(inputs: RecommendInputs) -> Iterator[Advice]:
    """More replicas ahead of regular bursts that come faster than replicas start."""
    found = inputs.patterns.bursts if inputs.patterns is not None else None
    if not isinstance(found, Bursts) or inputs.patterns is None:
        return
    startup = inputs.history.startup_seconds or 60.0
    reliable = isinstance(inputs.forecast, Forecast) and inputs.forecast.reliable
    for burst in found.regular:
        base = burst.peak / (1.0 + burst.height_percent / 100.0)
        standing = inputs.replicas if not inputs.follows else whole(replicas_for(inputs, base))
        wanted = whole(replicas_for(inputs, burst.peak))
        if wanted <= standing or (inputs.follows and (reliable or startup < 60.0)):
            continue
        yield _ahead_of(inputs, burst, standing, wanted, startup)


def _ahead_of(inputs: RecommendInputs, burst: RegularBurst, standing: int, wanted: int, startup: float) -> Advice:
    lead = startup + _LEAD_SECONDS
    hours = (lead + burst.duration_seconds) / 3600.0 * len(burst.weekdays)
    saving = -inputs.pods_cost(wanted - standing) * hours / WEEK_HOURS
    zone = inputs.patterns.time_zone if inputs.patterns is not None else "UTC"
    begin = burst.second_of_day - lead
    days = burst.weekdays if begin >= 0 else tuple(sorted((day - 1) % 7 for day in burst.weekdays))
    at = clock(begin % DAY)
    return Advice(
        AdviceKind.PRE_SCALE,
        f"{weekdays_text(burst.weekdays)} {clock(burst.second_of_day)}",
        Severity.WARNING if inputs.capacity_learned else Severity.INFO,
        f"Run {wanted} replicas from {at} on, ahead of the burst at {clock(burst.second_of_day)} ({zone})",
        f"A burst to {format_number(burst.peak)}{inputs.unit} comes {burst.text} ({zone}); {standing} replicas carry"
        f" {format_number(standing * carried(inputs))}{inputs.unit}, and a new one takes {startup:.0f} s to start.",
        f"It came on {burst.share_percent} % of {burst.days} such days and lasts"
        f" {format_duration(burst.duration_seconds, to=1)}; {carried_text(inputs)}.",
        f"Objectives hold through the burst. {inputs.cost_effect(saving)}",
        saving,
        confidence(inputs.history.load, 2 * WEEK, burst.share_percent / 100.0),
        f'"{int(at[3:])} {int(at[:2])} * * {_cron_days(days)}" {_set(inputs, wanted)} (CronJob, timeZone: {zone})',
    )
