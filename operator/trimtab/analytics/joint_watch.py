"""The watch over all signals of a workload together: values that are usual one by one, and do not go together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.control_charts import LARGEST, TRUSTED_SAMPLES, budgets
from trimtab.analytics.copying import copied
from trimtab.analytics.episodes import LONGEST_GAP, LOOK_BACK, NEW_NORMAL, QUIET
from trimtab.analytics.gaps import BoolArray
from trimtab.analytics.joint_episodes import JointEpisode, Together, told
from trimtab.analytics.joint_model import JointModel, learn_together, table
from trimtab.analytics.relations import LEAST_ROWS
from trimtab.analytics.signal_watch import SETTLED_ON
from trimtab.analytics.tails import Prior, Tails
from trimtab.domain.choices import Sensitivity
from trimtab.domain.series import FloatArray, Series

PRIMED_ROWS: Final = 1500
"""So many of the newest samples are gone through at first sight; what goes together is learned from those before."""
WINDOW: Final = 2000
"""Newest samples that a model rests on."""
SOONEST, LATEST = 100, 1000
"""A model is made anew once there are half as many samples more than it rests on, within these."""
LATE: Final = 3
"""Steps that a sample may come late."""
_FAST, _SLOW = 0.25, 0.06
_NORMS: Final = tuple(math.sqrt((2.0 - gain) / gain) for gain in (_FAST, _SLOW))
_PRIORS: Final = (Prior(2.5, 0.010, 0.8), Prior(2.5, 0.010, 0.8))
_MOVED: Final = 1.0
"""Standard deviations by which a signal no longer goes with its load as it did."""
_USUAL: Final = 1.5
"""Standard deviations of the shorter mean below which a sample is usual."""
_KEPT: Final = LOOK_BACK + NEW_NORMAL
_SLACK: Final = 0.5


@dataclass(slots=True)
class JointWatch:
    """All that is known between two rounds of how the signals of one workload go together: under 48 KiB.

    How far each signal is from what goes with its load (``relations``) is scored by an isolation forest and by the
    largest of them (``joint_model``). Means of the score over about 4 and 17 samples alarm at the level that chance
    passes at their share of the stated rate (``tails``). Only samples that are usual one by one are looked at, and
    only in circumstances that were seen before, as relations say nothing of others. After a change of the workload,
    and after an anomaly that lasted 60 samples, what was found then is the new normal. A signal without a sample for
    more than 20 steps is left out until the next model.
    """

    step_seconds: float
    tails: Tails
    time: float = -math.inf
    """Unix seconds of the newest sample that was gone through."""
    model: JointModel | None = None
    offsets: FloatArray = field(default_factory=lambda: np.zeros(0))
    """What is normal of the residuals, shape (d,), in standard deviations."""
    names: tuple[str, ...] = ()
    """Signals and circumstances that a model was last looked for with."""
    tried: float = -math.inf
    """When that was."""
    since: float = -math.inf
    """When the present normal began: with the last change of the workload, or when what lasted became normal."""
    fast: float = 0.0
    slow: float = 0.0
    run: int = 0
    """Samples since the means began anew; no onset lies before them."""
    settling_until: float = -math.inf
    settled: int | None = None
    """Samples since the workload was changed, which tell the new normal; None once they did."""
    newest: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    """Times, scores and values of the newest 100 samples, oldest first; shape (100, 2 + c), NaN before the first."""
    episode: JointEpisode | None = None
    odd: tuple[int, ...] = ()
    """Steps after ``time`` at which a signal was odd by itself, ascending."""

    @classmethod
    def start(cls, step_seconds: float, sensitivity: Sensitivity) -> JointWatch:
        """Before the first sample."""
        return cls(step_seconds, Tails.start(_PRIORS, _budgets(step_seconds, sensitivity)))

    def copy(self) -> JointWatch:
        """A watch that shares nothing with this one that could change."""
        return copied(self)

    def tune(self, sensitivity: Sensitivity) -> None:
        """Alarm at the rate of another sensitivity from now on."""
        self.tails.rebudget(_budgets(self.step_seconds, sensitivity))

    def take(self, given: Together) -> Iterator[Anomaly]:
        """Go through the samples that are new; yields the anomalies that ended."""
        step, signals = self.step_seconds, given.signals
        newest = max((one.end for one in signals.values()), default=-math.inf)
        live = {name: one for name, one in sorted(signals.items()) if newest - one.end <= LONGEST_GAP * step}
        if not live or not given.circumstances:
            return
        names = (*live, *given.circumstances)
        columns = [*live.values(), *given.circumstances.values()]
        end = self._complete(min(one.end for one in live.values()), dict(zip(names, columns, strict=True)))
        given = replace(given, taken=given.taken | set(self.odd))
        start = self.time + step
        if self.time == -math.inf:
            start = max(end - (PRIMED_ROWS - 1) * step, min(one.start for one in live.values()))
            settled = [one for one in given.changes if one <= start - given.settle_seconds]
            self.since = max(settled, default=-math.inf)
        while start <= end + _SLACK * step:
            if names != self.names:
                yield from self.close(given)
            due = names != self.names or start >= self.tried + self._wait() - _SLACK * step
            if self.episode is None and due:
                self._learn(start, names, len(live), columns)
            until = min(end, max(self.tried + self._wait() - step, start))
            count = max(round((until - start) / step), 0) + 1
            chosen = [columns[names.index(one)] for one in self.model.names] if self.model else []
            yield from self._through(start, table(chosen, start, step, count), given)
            start = self.time + step
        self.odd = tuple(sorted(one for one in given.taken if one * step > self.time + _SLACK * step))

    def _complete(self, end: float, columns: Mapping[str, Series]) -> float:
        """Time of the newest sample up to ``end`` that is there of all signals; what comes later is not waited for."""
        chosen = [columns[name] for name in self.model.names if name in columns] if self.model is not None else []
        rows = table(chosen, end - (LATE - 1) * self.step_seconds, self.step_seconds, LATE)
        there = np.flatnonzero(np.isfinite(rows).all(axis=1))
        missing = LATE - 1 - int(there[-1]) if there.size else LATE
        return end - missing * self.step_seconds

    def _wait(self) -> float:
        """Seconds between two tries."""
        rows = self.model.rows if self.model is not None else 0
        return min(max(rows // 2, SOONEST), LATEST) * self.step_seconds

    def _learn(self, now: float, names: tuple[str, ...], signals: int, columns: Sequence[Series]) -> None:
        """Look for a model of the samples before ``now``."""
        step = self.step_seconds
        begin = max(now - WINDOW * step, min(one.start for one in columns))
        fresh = round((now - self.since) / step) if math.isfinite(self.since) else WINDOW
        if fresh >= 2 * LEAST_ROWS:
            begin = max(begin, self.since)
        same, moved = names == self.names, bool((np.abs(self.offsets) > _MOVED).any())
        self.tried, self.names = now, names
        if same and moved and fresh < 2 * LEAST_ROWS:
            return  # most samples are still of how things went together before
        rows = table(columns, begin, step, max(round((now - begin) / step), 0))
        found = learn_together(names, signals, rows, fresh)
        if found is not None:
            before = self.model.names if self.model is not None else ()
            self.model, self.offsets = found
            if before != self.model.names:
                self._forget()
        elif not same:
            self.model = None
            self._forget()

    def _forget(self) -> None:
        """Begin anew to look at how things go together."""
        self._quieten()
        self.settled = None if self.settled is None else 0
        width = 2 + (len(self.model.names) if self.model is not None else 0)
        self.newest = np.full((_KEPT, width), math.nan)

    def _quieten(self) -> None:
        """Forget what the means ran up to."""
        self.fast = self.slow = 0.0
        self.run = 0

    def _through(self, start: float, rows: FloatArray, given: Together) -> Iterator[Anomaly]:
        """Go through rows (n, c) from ``start`` on, up to where another model or another normal is due."""
        model, step = self.model, self.step_seconds
        if model is None:
            self.time = start + (len(rows) - 1) * step
            return
        known = model.relations.known(rows)
        scores = np.zeros(len(rows))
        if known.any():
            scores[known] = model.scores(model.relations.residuals(rows[known]) - self.offsets)
        silent: BoolArray = np.any(np.isnan(rows[:, : len(model.signals)]), axis=1)
        ahead = iter([one for one in given.changes if one > max(start - step - given.settle_seconds, self.since)])
        change = next(ahead, math.inf)
        for place, (usable, score) in enumerate(zip(known.tolist(), scores.tolist(), strict=True)):
            time = start + place * step
            while change <= time + _SLACK * step:
                self.settling_until = change + given.settle_seconds
                self.since, self.settled = change, 0
                change = next(ahead, math.inf)
            if self.settled is not None and self.settled >= SETTLED_ON and time > self.settling_until:
                self.offsets = self.offsets + self._middle(self.settled)
                self.settled = None
                return
            self.time = time
            if round(time / step) in given.taken:
                yield from self.close(given)
                self._quieten()
                continue
            if not usable:
                if not time - self.newest[-1, 0] <= LONGEST_GAP * step:  # also before the first, whose time is NaN
                    yield from self.close(given)
                    self._quieten()
                    if silent[place] and time - self.tried > LONGEST_GAP * step:
                        self.tried = -math.inf
                        return
                continue
            self.newest[:-1] = self.newest[1:]
            self.newest[-1, 0], self.newest[-1, 1], self.newest[-1, 2:] = time, score, rows[place]
            if self.settled is not None:
                yield from self.close(given)
                self._quieten()
                self.settled += 1
                continue
            self.fast += _FAST * (score - self.fast)
            self.slow += _SLOW * (score - self.slow)
            self.run += 1
            rate = self._judge()
            if self.episode is None and rate < math.inf:
                self._open(time, rate * float(self.tails.budgets.sum()))
            elif self.episode is None:
                continue
            elif self._follow(self.episode, time):
                lasting = self.episode.samples >= NEW_NORMAL
                yield from self.close(given)
                self._quieten()
                if lasting:
                    self.offsets = self.offsets + self._middle(NEW_NORMAL // 2)
                    self.since = time - NEW_NORMAL // 2 * step
                    return

    def _middle(self, count: int) -> FloatArray:
        """Middle of the newest residuals around what is normal, shape (d,)."""
        middle: FloatArray = np.median(self._away(count), axis=0)
        return middle

    def _away(self, count: int) -> FloatArray:
        """Residuals of the newest ``count`` samples around what is normal, shape (count, d)."""
        assert self.model is not None, "samples are kept only with a model"
        rows = self.newest[-min(count, _KEPT) :, 2:]
        rows = rows[np.isfinite(rows[:, 0])]
        return self.model.relations.residuals(rows) - self.offsets

    def _judge(self) -> float:
        """Count how odd the newest samples are; how often chance gets there, in budgets, infinite below the level."""
        tails, lowest = self.tails, math.inf
        tails.seen += 1
        for index, mean in enumerate((self.fast, self.slow)):
            value = min(mean * _NORMS[index], LARGEST)
            if value > float(tails.floors[index]):
                rate = tails.rate(index, value) / float(tails.budgets[index])
                if value > float(tails.levels[index]) and rate * TRUSTED_SAMPLES < tails.seen:
                    lowest = min(lowest, rate)
                tails.see(index, value)
        return lowest

    def _open(self, time: float, rate: float) -> None:
        """Begin an episode at its likeliest onset: since then the scores are furthest above half of what they are now.

        That is the maximum-likelihood change point of a mean that moves from 0 to what it is now. It lies at most 40
        samples back, and not before the end of what went on before.
        """
        assert self.model is not None, "nothing is judged without a model"
        scores = self.newest[-min(self.run, LOOK_BACK) :, 1][::-1]
        count = int(np.cumsum(scores - self.fast / 2.0).argmax()) + 1
        away = self._away(count).mean(axis=0)
        self.episode = JointEpisode(
            signal=self.model.signals[int(np.abs(away).argmax())],
            start=float(self.newest[-count, 0]),
            rate=rate,
            samples=count,
            active=count,
            last=time,
        )

    def _follow(self, episode: JointEpisode, time: float) -> bool:
        """Take one more sample into an episode; whether it is over, or has become normal."""
        episode.samples += 1
        episode.quiet = episode.quiet + 1 if self.fast * _NORMS[0] < _USUAL else 0
        if not episode.quiet:
            episode.active, episode.last = episode.samples, time
        return episode.quiet >= QUIET or episode.samples >= NEW_NORMAL

    def close(self, given: Together) -> Iterator[Anomaly]:
        """End what is going on with its last unusual sample."""
        ended = self.anomaly(given)
        if ended is not None and self.episode is not None:
            yield replace(ended, end=self.episode.last)
        self.episode = None

    def anomaly(self, given: Together) -> Anomaly | None:
        """What is going on, as far as the samples so far tell."""
        if self.episode is None or self.model is None:
            return None
        first = _KEPT - min(self.episode.samples, _KEPT)
        return told(self.episode, self.model, self.newest[first:], self.offsets, given, self.step_seconds)


def _budgets(step_seconds: float, sensitivity: Sensitivity) -> FloatArray:
    """Those of one signal more, half for each mean."""
    return np.full(2, float(budgets(step_seconds, sensitivity).sum()) / 2.0)
