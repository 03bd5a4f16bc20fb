"""Detection: the anomalies of one series by itself, such as a file, judged sample by sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.seasonality import seasons
from trimtab.analytics.signal_watch import SignalWatch
from trimtab.domain.choices import Sensitivity
from trimtab.domain.series import FloatArray, Series

FIRST_SEASONS: Final = 100
"""Samples after which seasons are looked for."""
SEASONS_AGAIN: Final = 1.3
"""They are looked for again whenever the samples have grown by this factor."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What is odd in one series."""

    anomalies: tuple[Anomaly, ...]
    """By start; one that goes on at the end of the series has no end."""
    scores: FloatArray = field(repr=False)
    """The scorer's score of each sample, 0 to 1: the rarity of the first sample of an episode, 0 for the others and
    where it is missing. Shape (n,)."""
    expected: FloatArray = field(repr=False)
    """What was expected of each sample from those before it; NaN where it is missing. Shape (n,)."""


def detect(series: Series, sensitivity: Sensitivity, name: str = "") -> Detection:
    """Go through ``series`` as it would have arrived. No score, expectation or start of an anomaly saw the future.

    Seasons are looked for in the samples so far, at 100 of them and whenever they have grown by 30 %. Anomalies carry
    ``name`` as their signal. Missing and infinite values are passed over; a series too short for anything to stand out
    has no anomalies.

    >>> values = 100.0 + np.random.default_rng(1).normal(0.0, 5.0, 400)
    >>> values[300] = 180.0
    >>> [(one.kind.value, one.start) for one in detect(Series(0.0, 60.0, values), Sensitivity.MEDIUM).anomalies]
    [('Spike', 18000.0)]
    """
    watch = SignalWatch.start(name, series.unit, series.step_seconds, sensitivity)
    scores, expected = np.zeros(len(series)), np.full(len(series), np.nan)
    anomalies: list[Anomaly] = []
    again = FIRST_SEASONS
    for index, (time, value) in enumerate(zip(series.times.tolist(), series.values.tolist(), strict=True)):
        if index >= again:
            so_far = Series(series.start, series.step_seconds, series.values[:index], series.unit)
            watch.expectation.reseason(seasons(so_far), so_far)
            again = int(index * SEASONS_AGAIN) + 1
        seen = watch.expectation.seen
        ended, _ = watch.step(time, value)
        if watch.expectation.seen > seen:
            scores[index], expected[index] = watch.score, watch.expected
        if ended is not None:
            anomalies.append(ended)
    if (going_on := watch.anomaly()) is not None:
        anomalies.append(going_on)
    anomalies.sort(key=lambda one: one.start)
    return Detection(tuple(anomalies), scores, expected)
