"""Watch: the anomalies of one workload, round by round, from the samples that are new."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.episodes import LONGEST_GAP
from trimtab.analytics.grouping import LOAD, AnomalyGroup, grouped
from trimtab.analytics.joint_episodes import LOAD_BEFORE, Together, trailing
from trimtab.analytics.joint_watch import JointWatch
from trimtab.analytics.seasonality import SeasonFound
from trimtab.analytics.signal_watch import SignalWatch
from trimtab.domain.choices import Sensitivity
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray, Series

RECENT_SECONDS: Final = 86_400.0
MOST_RECENT: Final = 50
MOST_CHANGES: Final = 100
MOST_SUPPRESSED: Final = 100
SETTLE_SECONDS: Final = 600.0
"""Time after a change of the workload in which its own signals find their new level."""
PRIMED_SAMPLES: Final = 2500
"""So many of the newest samples are gone through at first sight; seasons are read off those before."""
BEFORE_STEPS: Final = 10
"""Steps whose load says what is still held of it: memory, queues and caches follow it late."""
_SLACK: Final = 0.5


@dataclass(frozen=True, slots=True)
class WatchState:
    """What one round of watching leaves to the next: up to 22 KiB a signal, and 48 KiB for all together."""

    step_seconds: float
    signals: dict[str, SignalWatch] = field(default_factory=dict, repr=False)
    recent: tuple[Anomaly, ...] = ()
    """Anomalies that ended, the newest last; at most 50."""
    suppressed: tuple[float, ...] = ()
    """When anomalies were suppressed, at most 100."""
    changes: tuple[float, ...] = ()
    """Known changes of the workload, the newest 100."""
    joint: JointWatch | None = field(default=None, repr=False)
    """All signals together."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a round of watching found."""

    state: WatchState = field(repr=False)
    """To be handed to the next round."""
    active: tuple[Anomaly, ...]
    """Anomalies that go on; kind, severity and evidence are as the samples so far tell and may change."""
    recent: tuple[Anomaly, ...]
    """Anomalies that ended in the last 24 hours, the newest last; at most 50."""
    new: tuple[Anomaly, ...]
    """Anomalies that opened in this round, whether they go on or not; none at first sight."""
    ended: tuple[Anomaly, ...]
    """Anomalies that ended in this round; at first sight those of the last 24 hours."""
    groups: tuple[AnomalyGroup, ...]
    """Which of ``active`` and ``recent`` began together."""
    suppressed: int
    """Anomalies of the last 24 hours that were not opened because the workload had just been changed."""


def watch(
    history: WorkloadHistory,
    *,
    previous: WatchState | None,
    sensitivity: Sensitivity,
    seasons: Mapping[str, Sequence[SeasonFound]],
    changes: Sequence[float],
    now: float,
    objectives: Sequence[Objective] = (),
    settle_seconds: float = SETTLE_SECONDS,
) -> Watched:
    """Take in the samples of ``history`` that are newer than ``previous`` and tell what is odd.

    Watched are the load, CPU and memory by container, and the objectives by name; replicas and CPU size only tell when
    the workload was changed, as do ``changes`` (unix seconds of deploys and scale events). For ``settle_seconds`` after
    a change nothing opens on the workload's own signals, unless an objective is beyond its threshold (as
    ``objectives`` say), and they take their new level as normal; the load is watched as ever. ``seasons`` are by
    signal, ``load`` for one; a signal without an entry has none. At first sight, or when the step changes, the newest
    2,500 samples are gone through, and what ended in their last 24 hours is reported as recent. ``previous`` is left as
    it was. Missing and infinite values are passed over.
    """
    given = _signals(history)
    step = history.load.step_seconds
    usable = previous is not None and math.isclose(previous.step_seconds, step)
    before = previous if previous is not None and usable else WatchState(step)
    rounds = _Round(
        step=step,
        sensitivity=sensitivity,
        now=now,
        changes=_changes(history, before, changes),
        settle_seconds=settle_seconds,
        objectives={f"objective/{one.name}": one for one in objectives},
    )
    kept: dict[str, SignalWatch] = {}
    for name, series in given.items():
        known = before.signals.get(name)
        signal = known.copy() if known is not None else SignalWatch.start(name, series.unit, step, sensitivity)
        rounds.take(signal, series, seasons.get(name, ()), first=known is None)
        if math.isfinite(signal.first):
            kept[name] = signal
    for name, gone in before.signals.items():
        if name not in kept and now - gone.expectation.time < RECENT_SECONDS:
            kept[name] = gone.copy()
    joint = before.joint.copy() if before.joint is not None else JointWatch.start(step, sensitivity)
    active = rounds.going_on(kept)
    begun = rounds.begun(active)
    ended_together, together, begun_together = rounds.take_together(joint, given, history, first=before.joint is None)
    by_themselves = set(map(_key, (*rounds.ended, *active)))
    ended = [*rounds.ended, *(one for one in ended_together if _key(one) not in by_themselves)]
    active, begun = (*active, *together), (*begun, *begun_together)
    since = now - RECENT_SECONDS
    recent = [one for one in (*before.recent, *ended) if one.end is not None and one.end >= since]
    recent.sort(key=lambda one: (one.end or 0.0, one.start, one.signal))
    recent = recent[-MOST_RECENT:]
    suppressed = tuple(time for time in (*before.suppressed, *rounds.suppressed) if time >= since)[-MOST_SUPPRESSED:]
    return Watched(
        state=WatchState(step, kept, tuple(recent), suppressed, tuple(rounds.changes[-MOST_CHANGES:]), joint),
        active=active,
        recent=tuple(recent),
        new=tuple(one for one in (*recent, *active) if one in begun),
        ended=tuple(one for one in ended if one in recent),
        groups=grouped([*recent, *active], step),
        suppressed=len(suppressed),
    )


@dataclass(slots=True)
class _Round:
    """One call of :func:`watch` while it is under way."""

    step: float
    sensitivity: Sensitivity
    now: float
    changes: list[float]
    settle_seconds: float
    objectives: Mapping[str, Objective]
    ended: list[Anomaly] = field(default_factory=list)
    opened: set[tuple[str, float]] = field(default_factory=set)
    """Signals and starts of what opened."""
    suppressed: list[float] = field(default_factory=list)
    odd: set[int] = field(default_factory=set)
    """Steps at which a signal was odd by itself."""

    def take(self, signal: SignalWatch, series: Series, found: Sequence[SeasonFound], *, first: bool) -> None:
        """Run the new samples of one signal through its watch."""
        signal.tune(self.sensitivity)
        model = signal.expectation
        newest = series
        if not first:
            newest = series.between(model.time + _SLACK * self.step, series.end)
            model.reseason(found, series.between(series.start, model.time))
        elif len(series):
            newest = series.between(series.end - (PRIMED_SAMPLES - 1) * self.step, series.end)
            model.reseason(found, series.between(series.start, series.end - RECENT_SECONDS))
        objective = self.objectives.get(signal.name)
        done = -math.inf if first else model.time - self.settle_seconds
        ahead = iter([one for one in self.changes if one > done] if signal.name != LOAD else ())
        change = next(ahead, math.inf)
        for time, value in zip(newest.times.tolist(), newest.values.tolist(), strict=True):
            while change <= time + _SLACK * self.step:
                signal.settle(change + self.settle_seconds)
                change = next(ahead, math.inf)
            ended, hushed = signal.step(time, value, objective)
            if hushed:
                self.suppressed.append(time)
            if ended is not None:
                self.ended.append(ended)
            episode = signal.episode
            if episode is not None:
                self.odd.add(round(time / self.step))
                if episode.opened == time and not first:
                    self.opened.add((signal.name, episode.start))
        if first:
            model.reseason(found, series)

    def take_together(
        self, joint: JointWatch, signals: Mapping[str, Series], history: WorkloadHistory, *, first: bool
    ) -> tuple[list[Anomaly], list[Anomaly], list[Anomaly]]:
        """Run the new samples of all signals through their joint watch; what ended, goes on, and began of these."""
        around = {
            LOAD: history.load,
            LOAD_BEFORE: trailing(history.load, BEFORE_STEPS),
            "replicas": history.replicas,
            "cpu size": history.cpu_size,
        }
        given = Together(
            signals={name: one for name, one in signals.items() if name != LOAD},
            circumstances={name: one for name, one in around.items() if len(one)},
            taken=self.odd,
            changes=self.changes,
            settle_seconds=self.settle_seconds,
            objectives=self.objectives,
        )
        joint.tune(self.sensitivity)
        before = joint.anomaly(given)
        ended = [*joint.take(given)]
        if self.now - joint.time > LONGEST_GAP * self.step:
            ended += joint.close(given)
        going_on = joint.anomaly(given)
        active = [going_on] if going_on is not None else []
        known = _key(before) if before is not None else None
        return ended, active, [one for one in (*ended, *active) if not first and _key(one) != known]

    def begun(self, active: Sequence[Anomaly]) -> tuple[Anomaly, ...]:
        """What opened in this round, of ``active`` and of what ended."""
        return tuple(one for one in (*self.ended, *active) if _key(one) in self.opened)

    def going_on(self, signals: Mapping[str, SignalWatch]) -> tuple[Anomaly, ...]:
        """The open anomalies; those of signals that fell silent end."""
        active: list[Anomaly] = []
        for name, signal in signals.items():
            objective = self.objectives.get(name)
            if self.now - signal.expectation.time > LONGEST_GAP * self.step:
                ended = signal.close(objective)
                self.ended += [ended] if ended is not None else []
            elif (one := signal.anomaly(objective)) is not None:
                active.append(one)
        return tuple(active)


def _key(one: Anomaly) -> tuple[str, float]:
    return one.signal, one.start


def _signals(history: WorkloadHistory) -> dict[str, Series]:
    """What is watched, by name; signals without a sample are left out."""
    named = {
        LOAD: history.load,
        **{f"cpu/{name}": series for name, series in history.cpu_cores.items()},
        **{f"memory/{name}": replace(series, unit="bytes") for name, series in history.memory_bytes.items()},
        **{f"objective/{name}": series for name, series in history.objectives.items()},
    }
    return {name: series for name, series in named.items() if len(series)}


def _changes(history: WorkloadHistory, before: WatchState, given: Sequence[float]) -> list[float]:
    """Times at which the workload was changed: those handed in, remembered, and seen in replicas and CPU size."""
    times = {float(time) for time in given if math.isfinite(time)} | set(before.changes)
    seen = max((signal.expectation.time for signal in before.signals.values()), default=-math.inf)
    for series in (history.replicas, history.cpu_size):
        part = series if seen == -math.inf else series.between(seen - 3.0 * series.step_seconds, series.end)
        times |= set(_jumps(part).tolist())
    return sorted(times)


def _jumps(series: Series) -> FloatArray:
    """Times of the samples that differ from the finite one before."""
    there = np.isfinite(series.values)
    times, values = series.times[there], series.values[there]
    jumps: FloatArray = times[1:][values[1:] != values[:-1]]
    return jumps
