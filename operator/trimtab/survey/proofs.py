"""Proof that nothing said of a sample saw a later one: said again with what was there at the time. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab.analytics.detection import Detection, Detector, detect
from trimtab.domain.choices import Sensitivity
from trimtab.domain.series import Series
from trimtab.domain.status_types import format_time

_EACH_UP_TO: Final = 64
_GROWTH: Final = 1.15
_LAST: Final = 8


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether what was made of the whole is what was made of each part."""

    holds: bool
    compared: int
    """Samples or forecasts that were compared, until one differed."""
    message: str
    beginnings: int = 0
    """Beginnings of the series that were judged by themselves."""


def prove_detection(
    series: Series, sensitivity: Sensitivity, tell: Callable[[int, int], None] = lambda _done, _all: None
) -> Proof:
    """Whether what is said of each sample of ``series`` is the same when later samples do not exist, bit by bit.

    That is its score, what was expected of it, and since when an anomaly goes on. First a detector is fed one sample
    at a time and never sees another; then many beginnings of the series are judged as if they were all (see `cuts`):
    something that looks any way ahead differs in the last samples before the cut. An anomaly that ended must be the
    same in the whole. ``tell`` is called with how many samples are done, of how many.
    """
    whole, ends = detect(series, sensitivity), cuts(len(series))
    every = len(series) + sum(ends)
    if (failed := _fed_one_by_one(series, sensitivity, whole)) is not None:
        return failed
    done = len(series)
    for place, count in enumerate(ends):
        tell(done, every)
        part = detect(Series(series.start, series.step_seconds, series.values[:count], series.unit), sensitivity)
        if (message := _first_difference(series, whole, part, count)) is not None:
            return Proof(False, series.present, message, place + 1)
        done += count
    tell(done, every)
    message = f"{series.present:,} samples fed one by one and {len(ends)} beginnings: identical"
    return Proof(True, series.present, message, len(ends))


def _fed_one_by_one(series: Series, sensitivity: Sensitivity, whole: Detection) -> Proof | None:
    """Where a detector that is handed single samples says something else than ``whole``; None where it never does."""
    detector = Detector.start(series.step_seconds, sensitivity, series.unit)
    for place, (time, value) in enumerate(zip(series.times.tolist(), series.values.tolist(), strict=True)):
        judged = detector.update(time, value)
        said = np.array([judged.score, judged.expected, judged.since])
        ended = () if judged.ended is None else (judged.ended,)
        part = Detection(ended, *said[:, np.newaxis])
        message = _first_difference(series, whole, part, place + 1, first=place)
        if message is not None:
            return Proof(False, int(np.isfinite(series.values[: place + 1]).sum()), message)
    return None


def _first_difference(series: Series, whole: Detection, part: Detection, count: int, first: int = 0) -> str | None:
    """In words, where ``part``, made of the first ``count`` samples, differs from ``whole``; it begins at ``first``."""
    for what, there, here in (
        ("score", whole.scores, part.scores),
        ("expected value", whole.expected, part.expected),
        ("start of the anomaly", whole.since, part.since),
    ):
        there = there[first:count]
        different = np.flatnonzero((there != here) & ~(np.isnan(there) & np.isnan(here)))
        if different.size:
            place = int(different[0])
            time = format_time(series.start + (first + place) * series.step_seconds)
            seen = f"{here[place]:.10g} when only {count} samples are there"
            return f"the {what} at {time} is {there[place]:.10g}, and {seen}"
    changed = next((one for one in part.anomalies if one.end is not None and one not in whole.anomalies), None)
    if changed is not None:
        return f"the anomaly of {format_time(changed.start)}, ended when {count} samples were there, differs later"
    return None


def cuts(samples: int) -> list[int]:
    """Lengths of the beginnings: each up to 64 samples, then 15 % more each time, and the last 8.

    >>> len(cuts(10)), len(cuts(4000)), cuts(4000)[-3:]
    (10, 101, [3998, 3999, 4000])
    """
    lengths = set(range(1, min(samples, _EACH_UP_TO) + 1)) | set(range(max(samples - _LAST, 0) + 1, samples + 1))
    length = float(_EACH_UP_TO)
    while (length := length * _GROWTH) < samples:
        lengths.add(int(length))
    return sorted(lengths)
