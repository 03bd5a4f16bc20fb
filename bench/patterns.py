"""What of a series is found again: seasons, change points, bursts and idle hours on simulated series of many shapes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.signal import lfilter

from trimtab.analytics.bursts import Bursts
from trimtab.analytics.calendar_effects import CalendarKind
from trimtab.analytics.change_points import ChangeKind, change_points
from trimtab.analytics.idle_times import IdleTimes
from trimtab.analytics.patterns import find_patterns
from trimtab.analytics.seasonality import seasons
from trimtab.analytics.trend_watch import follow_trend
from trimtab.domain.series import FloatArray, Series

MONDAY = 4 * 86_400.0 + 7 * 86_400.0 * 2_900
HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0
SEEDS = 12
STEPS = ((60.0, 7.0), (300.0, 28.0), (900.0, 28.0), (3600.0, 60.0))
"""(step in seconds, days)."""
PERSISTENCES = (0.0, 0.5, 0.9)
WANDERINGS = (0.98, 1.0)


@dataclass
class Case:
    """One series and what was put into it."""

    name: str
    series: Series
    seasons: set[float] = field(default_factory=set)
    changes: list[tuple[float, ChangeKind]] = field(default_factory=list)
    bursts: bool | None = None
    """True: at nine on weekdays; False: none; None: not asked."""
    idle: bool | None = None
    """True: from 20:00 to 06:00 and at weekends; False: none."""
    weekend: bool = False


@dataclass
class Tally:
    """What was found of the cases of one name."""

    series: int = 0
    seasons: int = 0
    seasons_found: int = 0
    seasons_false: int = 0
    changes: int = 0
    changes_found: int = 0
    changes_false: int = 0
    samples: int = 0
    bursts: int = 0
    bursts_found: int = 0
    idle: int = 0
    idle_found: int = 0
    false_patterns: int = 0
    weekends: int = 0
    weekends_found: int = 0
    calendar_false: int = 0
    milliseconds: list[float] = field(default_factory=list)


def noise(rng: np.random.Generator, count: int, persistence: float) -> FloatArray:
    """Red noise of unit deviation; a walk whose steps are a twentieth for persistence 1."""
    shocks = rng.normal(size=count + 500)
    if persistence == 1.0:
        walk: FloatArray = np.cumsum(shocks)[500:] / 20.0
        return walk
    red: FloatArray = lfilter([np.sqrt(1.0 - persistence**2)], [1.0, -persistence], shocks)[500:]
    return red


def cases() -> Iterator[Case]:
    """Every shape at every step, noise and seed."""
    for step, days in STEPS:
        count = int(days * DAY / step)
        at = np.arange(count) * step
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            persistence = PERSISTENCES[seed % len(PERSISTENCES)]

            def made(name: str, values: FloatArray, step: float = step, **put_in: object) -> Case:
                return Case(name, Series(MONDAY, step, values), **put_in)  # type: ignore[arg-type]  # by keyword

            red = 8.0 * noise(rng, count, persistence)
            day = 100.0 + 40.0 * np.sin(2 * np.pi * (at / DAY + rng.random()))
            weekend = at % WEEK >= 5 * DAY
            hour = at % DAY / HOUR
            yield made("noise", 100.0 + red)
            yield made("wandering", 100.0 + 8.0 * noise(rng, count, WANDERINGS[seed % 2]))
            yield made("slope", 100.0 + 60.0 * at / at[-1] + red)
            yield made("heavy tails", 100.0 + 3.0 * rng.standard_t(3, count))
            yield made("day", day + red, seasons={DAY}, bursts=False, idle=False)
            odd = step * float(rng.integers(11, 90)) + step / 3.0
            yield made("any period", 100.0 + 30.0 * np.sign(np.sin(2 * np.pi * at / odd)) + red, seasons={odd})
            if days >= 28:
                week = day - 35.0 * weekend
                yield made("day, week", week + red, seasons={DAY, WEEK}, weekend=True)
                if step <= 300.0:
                    hourly = 15.0 * np.sin(2 * np.pi * at / HOUR)
                    yield made("hour, day, week", week + hourly + red, seasons={HOUR, DAY, WEEK})
            where = int(count * rng.uniform(0.25, 0.75))
            sign = float(rng.choice([-1.0, 1.0]))
            level = sign * 4.0 * 8.0 * (np.arange(count) >= where)
            moved = [(MONDAY + where * step, ChangeKind.LEVEL)]
            weak = 8.0 * np.sin(2 * np.pi * (at / DAY + rng.random()))
            yield made("weak day", 100.0 + weak + red, seasons={DAY})
            yield made("shift of 2", 100.0 + red + level / 2.0, changes=moved)
            yield made("day, shift of 2", day + red + level / 2.0, changes=moved, seasons={DAY})
            yield made("shift of 4", 100.0 + red + level, changes=moved)
            yield made("day, shift of 4", day + red + level, changes=moved, seasons={DAY})
            bend = 80.0 * np.maximum(np.arange(count) - where, 0) / (count - where)
            bent = [(MONDAY + where * step, ChangeKind.SLOPE)]
            yield made("bend", 100.0 + red + bend, changes=bent)
            yield made("day, bend", day + red + bend, changes=bent, seasons={DAY})
            if step <= 900.0:
                comes = (hour >= 9) & (hour < 9.5) & ~weekend
                yield made("burst on weekdays", day + red + 150.0 * comes, bursts=True)
                office = np.where(~weekend & (hour >= 6) & (hour < 20), np.maximum(100.0 + red, 20.0), 0.0)
                yield made("office hours", office, idle=True, bursts=False)


def judge(case: Case, tally: Tally) -> None:
    """Look at one series and add to the tally what was found of it."""
    started = time.process_time()
    found = seasons(case.series, limit=4)
    periods = [one.period_seconds for one in found]
    changes = change_points(case.series, periods)
    patterns = find_patterns(case.series, found)
    tally.milliseconds.append(1000.0 * (time.process_time() - started))
    tally.series += 1
    tally.samples += len(case.series)
    if not case.bursts and not case.idle:
        _judge_seasons(case, periods, tally)
        _judge_changes(case, [(one.time, one.kind) for one in changes], tally)
    bursty = isinstance(patterns.bursts, Bursts)
    regular = isinstance(patterns.bursts, Bursts) and any(one.text[:7] == "Mon–Fri" for one in patterns.bursts.regular)
    idle = patterns.idle.hours_per_week if isinstance(patterns.idle, IdleTimes) else 0
    if case.bursts is not None:
        tally.bursts += case.bursts
        tally.bursts_found += case.bursts and regular
        tally.false_patterns += not case.bursts and bursty
    if case.idle is not None:
        tally.idle += case.idle
        tally.idle_found += case.idle and idle == 98
        tally.false_patterns += not case.idle and idle > 0
    kinds = {one.kind for one in patterns.calendar}
    tally.weekends += case.weekend
    tally.weekends_found += case.weekend and CalendarKind.WEEKEND in kinds
    tally.calendar_false += case.name in ("noise", "wandering") and bool(kinds)


def _judge_seasons(case: Case, periods: list[float], tally: Tally) -> None:
    right = {true for true in case.seasons if any(abs(one / true - 1.0) < 0.01 for one in periods)}
    tally.seasons += len(case.seasons)
    tally.seasons_found += len(right)
    tally.seasons_false += sum(all(abs(one / true - 1.0) >= 0.01 for true in case.seasons) for one in periods)


def _judge_changes(case: Case, found: list[tuple[float, ChangeKind]], tally: Tally) -> None:
    """A shift is found within 3 % of the series, a bend within 12 %."""
    span, left = len(case.series) * case.series.step_seconds, list(found)
    tally.changes += len(case.changes)
    for at, kind in case.changes:
        near = (0.03 if kind is ChangeKind.LEVEL else 0.12) * span
        hit = next((one for one in left if abs(one[0] - at) <= near), None)
        if hit is not None:
            left.remove(hit)
            tally.changes_found += 1
    tally.changes_false += len(left)


def streaming() -> float:
    """Milliseconds a sample of a trend that follows a week at one minute, one sample at a time."""
    at = np.arange(10_080) * 60.0
    values = 100.0 + 40.0 * np.sin(2 * np.pi * at / DAY) + 5.0 * noise(np.random.default_rng(0), at.size, 0.5)
    state = follow_trend(Series(0.0, 60.0, values[:5000]), (DAY,))
    started = time.process_time()
    for index in range(5000, at.size):
        state = follow_trend(Series(at[index], 60.0, values[index : index + 1]), (DAY,), state)
    return 1000.0 * (time.process_time() - started) / (at.size - 5000)


def percent(part: int, whole: int) -> str:
    """A share as a cell."""
    return f"{100.0 * part / whole:.0f} %" if whole else "-"


def main() -> None:
    """Print a row for each shape and what it comes to."""
    tallies: dict[str, Tally] = {}
    for case in cases():
        judge(case, tallies.setdefault(case.name, Tally()))
    print(
        f"{'shape':20} {'series':>6} {'seasons':>8} {'false':>6} {'changes':>8} {'false':>6} {'bursts':>7} {'idle':>6}"
        f" {'weekend':>8} {'false':>6} {'ms':>6}"
    )
    for name, one in tallies.items():
        print(
            f"{name:20} {one.series:6d} {percent(one.seasons_found, one.seasons):>8} {one.seasons_false:6d}"
            f" {percent(one.changes_found, one.changes):>8} {one.changes_false:6d}"
            f" {percent(one.bursts_found, one.bursts):>7} {percent(one.idle_found, one.idle):>6}"
            f" {percent(one.weekends_found, one.weekends):>8} {one.false_patterns + one.calendar_false:6d}"
            f" {statistics.fmean(one.milliseconds):6.1f}"
        )
    every = tallies.values()

    def total(name: str) -> int:
        return sum(getattr(one, name) for one in every)

    reported = total("seasons_found") + total("seasons_false")
    asked = sum(one.series for one in every if not one.bursts and not one.idle)
    print(f"a sample of a trend that follows: {streaming():.2f} ms")
    print(
        f"seasons_found_percent={100 * total('seasons_found') / total('seasons'):.1f}"
        f" false_seasons_percent={100 * total('seasons_false') / reported:.1f}"
        f" change_points_found_percent={100 * total('changes_found') / total('changes'):.1f}"
        f" false_change_points_per_1k={1000 * total('changes_false') / asked:.1f}"
        f" bursts_found_percent={100 * total('bursts_found') / total('bursts'):.1f}"
        f" idle_found_percent={100 * total('idle_found') / total('idle'):.1f}"
        f" false_patterns={total('false_patterns') + total('calendar_false')}"
        f" ms_per_series={statistics.fmean([ms for one in every for ms in one.milliseconds]):.1f}"
    )


if __name__ == "__main__":
    main()
