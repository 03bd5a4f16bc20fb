"""The watch over one signal: from its samples to the anomalies that people are told of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

import numpy as np

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.control_charts import Alarm, ControlCharts, budgets
from trimtab.analytics.copying import copied
from trimtab.analytics.episodes import LONGEST_GAP, NEW_NORMAL, QUIET, Episode, new_normal, onset, stretch_of
from trimtab.analytics.evidence import Told, sentence
from trimtab.analytics.expectation import Expectation, Expected
from trimtab.analytics.gaps import LARGEST_SAMPLE
from trimtab.analytics.kinds import Sign, classify, season_lost, severity
from trimtab.analytics.recent import Recent
from trimtab.domain.choices import AnomalyKind, Sensitivity
from trimtab.domain.objectives import Objective

SETTLED_ON: Final = 8
"""A level after a change is the median of so many samples."""


@dataclass(slots=True)
class SignalWatch:
    """All that is known of one signal between two rounds: 22 KiB at most.

    An episode opens when a statistic goes beyond the level of its budget, and reaches back to the most likely onset,
    at most 40 samples. Until it ends, the expectation stands still. It ends with the last unusual sample once 4 usual
    ones followed, or after 60 samples, when what lasts becomes the new normal. No sample is judged by later ones;
    kind, severity and evidence of an open episode are those of the samples so far and may change.
    """

    name: str
    unit: str
    expectation: Expectation
    charts: ControlCharts
    budget: float
    """False alarms a sample."""
    recent: Recent = field(default_factory=Recent)
    episode: Episode | None = None
    first: float = math.nan
    """Time of the first sample seen."""
    settling_until: float = -math.inf
    hushed: bool = False
    """Whether an anomaly was already suppressed in this settle time."""
    learning: int = 0
    """Samples after a gap that are still to be learned from before anything is odd."""
    settled: int = 0
    """Samples since the workload was changed or came back, while the new level is learned."""
    expected: float = math.nan
    """What was expected of the last sample."""

    @classmethod
    def start(cls, name: str, unit: str, step_seconds: float, sensitivity: Sensitivity) -> SignalWatch:
        """Before the first sample."""
        budget = float(budgets(step_seconds, sensitivity).sum())
        return cls(
            name=name,
            unit=unit,
            expectation=Expectation.start(step_seconds),
            charts=ControlCharts.start(step_seconds, sensitivity),
            budget=budget,
        )

    def copy(self) -> SignalWatch:
        """A watch that shares nothing with this one that could change."""
        return copied(self)

    def tune(self, sensitivity: Sensitivity) -> None:
        """Alarm at the rate of another sensitivity from now on."""
        wanted = budgets(self.expectation.step_seconds, sensitivity)
        self.charts.tails.rebudget(wanted)
        self.budget = float(wanted.sum())

    def settle(self, until: float) -> None:
        """Open nothing before ``until``, unless an objective is beyond its threshold."""
        if until > self.settling_until:
            self.hushed = self.hushed and self.expectation.time <= self.settling_until
            self.settling_until = until

    def step(self, time: float, value: float, objective: Objective | None = None) -> tuple[Anomaly | None, bool]:
        """Take in one sample; (the anomaly that ended with it, whether one was suppressed).

        A value that is missing or not below 1e100 in size is passed over.
        """
        if not abs(value) < LARGEST_SAMPLE:
            return None, False
        ended = None
        model = self.expectation
        if math.isnan(self.first):
            self.first = time
        elif time - model.time > LONGEST_GAP * model.step_seconds:
            ended = self.close(objective)
            self._lost()
        expected = model.at(time)
        self.expected = expected.value
        if self.episode is not None:
            self._follow(self.episode, time, value, expected, objective)
            return (self._end(self.episode, objective) or ended), False
        sigmas = (value - expected.value) / expected.scale
        self.recent.add(time, value, expected, sigmas)
        if time <= self.settling_until or self.learning:
            return ended, self._settle(time, value, expected, sigmas, objective)
        self.settled = 0
        alarm = self.charts.see(sigmas)
        flat = self.charts.repeat(value, self.budget)
        if alarm is None:
            alarm = flat
        if alarm is None:
            model.learn(time, value, expected)
        else:
            self._open(alarm, time, value, expected, objective)
        return ended, False

    def _lost(self) -> None:
        """After a long gap the level is learned anew; seasons and spreads are kept."""
        self.charts.quieten()
        self.learning = max(self.learning, 8)
        self.expectation.deviation = 0.0

    def _settle(
        self, time: float, value: float, expected: Expected, sigmas: float, objective: Objective | None
    ) -> bool:
        """Learn the new level quickly; whether an anomaly was suppressed just now."""
        tails, model = self.charts.tails, self.expectation
        strange = model.seen > 60 and abs(sigmas) > float(max(tails.levels[0], tails.levels[1]))
        if strange and objective is not None and objective.violated(value):
            self.learning = 0
            rate = tails.rate(0 if sigmas > 0 else 1, abs(sigmas))
            direction = math.copysign(1.0, sigmas)
            self._open(Alarm(Sign.POINT, direction, rate / float(tails.budgets[0])), time, value, expected, objective)
            return False
        hushed = strange and time <= self.settling_until and not self.hushed
        self.hushed = self.hushed or hushed
        self.learning = max(self.learning - 1, 0)
        self.settled += 1
        model.learn(time, value, expected, hold=True)
        places = self.recent.newest(min(self.settled, SETTLED_ON))
        # numpy's median takes longer than all the rest of a step.
        level = median((self.recent.values[places] - self.recent.seasons[places]).tolist())
        model.settle(level, 0.0, places.size)
        self.charts.quieten()
        return hushed

    def _open(self, alarm: Alarm, time: float, value: float, expected: Expected, objective: Objective | None) -> None:
        """Begin an episode at its most likely onset, and judge all since by the level before it."""
        recent, model = self.recent, self.expectation
        places = recent.newest(onset(alarm, recent, self.charts.run))
        start = float(recent.times[places[0]])
        self.episode = episode = Episode(
            sign=alarm.sign,
            start=start,
            rate=alarm.rate * self.budget,
            opened=time,
            surprise=(value - expected.value) / expected.scale,
            expected=expected.value,
            scale=expected.scale,
        )
        level, slope = float(recent.levels[places[0]]), model.slope
        for place in places:
            recent.levels[place] = level
            sigmas = (recent.values[place] - recent.seasons[place] - level) / recent.spreads[place]
            self._weigh(episode, float(recent.times[place]), float(recent.values[place]), float(sigmas), objective)
            level += slope
        model.settle(level - 2.0 * slope, slope)
        model.learn(time, value, expected, hold=True)
        episode.quiet, episode.active, episode.last = 0, episode.samples, time

    def _follow(
        self, episode: Episode, time: float, value: float, expected: Expected, objective: Objective | None
    ) -> None:
        """Take one more sample into an episode; the expectation stands still."""
        sigmas = (value - expected.base) / expected.spread
        self.recent.add(time, value, expected, sigmas)
        self.charts.see(sigmas)
        if self.charts.repeat(value, self.budget) is not None:
            episode.sign = Sign.FLAT
        self._weigh(episode, time, value, sigmas, objective)
        self.expectation.learn(time, value, expected, hold=True)

    def _weigh(self, episode: Episode, time: float, value: float, sigmas: float, objective: Objective | None) -> None:
        episode.weigh(time, sigmas, self.expectation.persistence, self.charts.run)
        episode.beyond = episode.beyond or (objective is not None and objective.violated(value))

    def _end(self, episode: Episode, objective: Objective | None) -> Anomaly | None:
        """The anomaly if it is over, or has lasted until it is the new normal."""
        if episode.quiet >= QUIET:
            return self.close(objective)
        if episode.samples < NEW_NORMAL:
            return None
        stretch, _ = stretch_of(episode, self.recent, self.expectation)
        ended = self.close(objective)
        assert ended is not None, "an episode is going on"
        normal = new_normal(self.recent, slopes=ended.kind is AnomalyKind.TREND_CHANGE)
        if ended.kind is AnomalyKind.VARIANCE_CHANGE:
            self.expectation.widen(normal.widening)
        if season_lost(stretch):
            self.expectation.fade()
        self.expectation.settle(normal.level, normal.slope, normal.samples)
        self.charts.quieten()
        return ended

    def close(self, objective: Objective | None = None) -> Anomaly | None:
        """End what is going on with its last unusual sample."""
        ended = self.anomaly(objective)
        if ended is None or self.episode is None:
            return None
        self.charts.quieten()
        end, self.episode = self.episode.last, None
        return replace(ended, end=end)

    def anomaly(self, objective: Objective | None = None) -> Anomaly | None:
        """What is going on, as far as the samples so far tell."""
        episode = self.episode
        return None if episode is None else self._told(episode, objective)

    def _told(self, episode: Episode, objective: Objective | None) -> Anomaly:
        stretch, places = stretch_of(episode, self.recent, self.expectation)
        kind, recent, model = classify(stretch), self.recent, self.expectation
        strangest = int(np.abs(stretch.deviations).argmax())
        place = places[strangest]
        jumped = stretch.deviations[strangest] == episode.surprise
        expected = episode.expected if jumped else float(recent.levels[place] + recent.seasons[place])
        if float(np.nanmin(recent.values)) >= 0.0:
            expected = max(expected, 0.0)  # a line that falls does not make less than none usual
        told = Told(
            stretch=stretch,
            kind=kind,
            unit=self.unit,
            start=episode.start,
            peak=float(stretch.deviations[strangest]),
            peak_time=float(recent.times[place]),
            value=float(recent.values[place]),
            expected=expected,
            spread=episode.scale if jumped else float(np.median(recent.spreads[places])),
            step_seconds=model.step_seconds,
            periods=tuple(one.period_seconds for one in model.seasons),
            history_seconds=model.time - self.first,
        )
        return Anomaly(
            signal=self.name,
            kind=kind,
            severity=severity(told.peak, episode.active, kind, objective, episode.beyond),
            start=episode.start,
            end=None,
            value=told.value,
            expected=told.expected,
            score=min(max(1.0 - episode.rate, 0.0), 1.0),
            evidence=sentence(told),
        )
