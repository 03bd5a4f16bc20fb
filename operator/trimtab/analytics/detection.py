"""Detection: the anomalies of one series by itself, such as a file, judged sample by sample."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.gaps import LARGEST_SAMPLE
from trimtab.analytics.scoring import Scorer
from trimtab.analytics.seasonality import seasons
from trimtab.analytics.signal_watch import SignalWatch
from trimtab.domain.choices import Sensitivity
from trimtab.domain.series import FloatArray, Series

FIRST_SEASONS: Final = 100
"""Samples after which seasons are looked for."""
SEASONS_AGAIN: Final = 1.3
"""They are looked for again whenever the samples have grown by this factor."""
MOST_SAMPLES: Final = 100_000
"""They are looked for in so many of the newest samples: ten weeks at a minute."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is said of one sample when it arrives; later samples change none of it."""

    score: float
    """The scorer's score, 0 to 1: the rarity of the first sample of an episode, 0 for the others and for a missing
    one."""
    expected: float
    """What was expected of it from those before it, in the unit of the series; NaN where it is missing."""
    since: float
    """Unix seconds at which the anomaly began that goes on with it, at most 40 samples back; NaN for none."""
    ended: Anomaly | None
    """The anomaly that is over with it."""


@dataclass(slots=True)
class Detector:
    """Judges the samples of one series as they arrive, with nothing but those before.

    Seasons are looked for at 100 samples, and whenever they have grown by 30 %, in the newest 100,000: what is kept
    of the past stays below 4 MiB.

    >>> detector = Detector.start(60.0, Sensitivity.MEDIUM)
    >>> values = 100.0 + np.random.default_rng(1).normal(0.0, 5.0, 400)
    >>> for place, value in enumerate(values.tolist()):
    ...     _ = detector.update(60.0 * place, value)
    >>> detector.update(24_000.0, 180.0).since
    24000.0
    """

    watch: SignalWatch
    scorer: Scorer
    past: deque[float]
    """The newest samples, oldest first; NaN where one is missing."""
    first: float = math.nan
    """Unix seconds of the first sample; NaN before it."""
    seen: int = 0
    """Steps from the first sample to the newest, both included."""
    again: int = FIRST_SEASONS
    """How many steps must have been seen before seasons are looked for next."""

    @classmethod
    def start(cls, step_seconds: float, sensitivity: Sensitivity, unit: str = "", name: str = "") -> Detector:
        """Before the first sample. Anomalies carry ``name`` as their signal, and ``unit`` in their evidence."""
        watch = SignalWatch.start(name, unit, step_seconds, sensitivity)
        return cls(watch, Scorer.start(1, step_seconds), deque(maxlen=MOST_SAMPLES))

    def update(self, time: float, value: float) -> Judged:
        """Judge the sample at ``time`` (unix seconds), one or more steps after the one before.

        A value that is missing (NaN), or not below 1e100 in size, is passed over. Raises ValueError for a time that
        is less than half a step after the one before.
        """
        self._skip_to(time)
        if self.seen >= self.again:
            self._look_for_seasons()
        score, expected = 0.0, math.nan
        ended, _ = self.watch.step(time, value)
        if abs(value) < LARGEST_SAMPLE:
            score = float(self.scorer.update(time, np.array([value])).score[0])
            expected = self.watch.expected
        self.past.append(value)
        self.seen += 1
        episode = self.watch.episode
        return Judged(score, expected, math.nan if episode is None else episode.start, ended)

    def going_on(self) -> Anomaly | None:
        """The anomaly that goes on with the newest sample; its kind, severity and evidence may still change."""
        return self.watch.anomaly()

    def _skip_to(self, time: float) -> None:
        """Note the steps without a sample before ``time``."""
        if self.seen == 0:
            self.first = time
        skipped = round((time - self.first) / self.watch.expectation.step_seconds) - self.seen
        if skipped < 0:
            raise ValueError(f"a sample at {time} is not after the one before")
        self.past.extend([math.nan] * min(skipped, MOST_SAMPLES))
        self.seen += skipped

    def _look_for_seasons(self) -> None:
        model, values = self.watch.expectation, np.array(self.past)
        start = self.first + (self.seen - values.size) * model.step_seconds
        so_far = Series(start, model.step_seconds, values, self.watch.unit)
        model.reseason(seasons(so_far), so_far)
        self.again = int(self.seen * SEASONS_AGAIN) + 1


@dataclass(frozen=True, slots=True)
class Detection:
    """What is odd in one series of n samples."""

    anomalies: tuple[Anomaly, ...]
    """By start; one that goes on at the end of the series has no end."""
    scores: FloatArray = field(repr=False)
    """`Judged.score` of each sample, shape (n,)."""
    expected: FloatArray = field(repr=False)
    """`Judged.expected` of each sample, shape (n,)."""
    since: FloatArray = field(repr=False)
    """`Judged.since` of each sample, shape (n,)."""


def detect(series: Series, sensitivity: Sensitivity, name: str = "") -> Detection:
    """Go through ``series`` as it would have arrived. No score, expectation or start of an anomaly saw the future.

    Anomalies carry ``name`` as their signal. Missing and infinite values are passed over; a series too short for
    anything to stand out has no anomalies.

    >>> values = 100.0 + np.random.default_rng(1).normal(0.0, 5.0, 400)
    >>> values[300] = 180.0
    >>> [(one.kind.value, one.start) for one in detect(Series(0.0, 60.0, values), Sensitivity.MEDIUM).anomalies]
    [('Spike', 18000.0)]
    """
    detector = Detector.start(series.step_seconds, sensitivity, series.unit, name)
    judged = np.empty((3, len(series)))
    anomalies: list[Anomaly] = []
    for place, (time, value) in enumerate(zip(series.times.tolist(), series.values.tolist(), strict=True)):
        one = detector.update(time, value)
        judged[:, place] = one.score, one.expected, one.since
        if one.ended is not None:
            anomalies.append(one.ended)
    if (going_on := detector.going_on()) is not None:
        anomalies.append(going_on)
    anomalies.sort(key=lambda one: one.start)
    return Detection(tuple(anomalies), *judged)
