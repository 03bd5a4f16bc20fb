"""Proof that no score saw a later sample: made again from what was there at the time. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab.analytics.detection import detect
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
    """Parts that were compared."""
    message: str


def prove_detection(
    series: Series, sensitivity: Sensitivity, tell: Callable[[int, int], None] = lambda _done, _all: None
) -> Proof:
    """Whether every score of many beginnings of ``series`` is that of the whole, bit by bit.

    In a beginning the later samples do not exist; a score that looked any way ahead differs in the last samples before
    the cut. See `cuts` for which. ``tell`` is called with how many are done, of how many.
    """
    whole = detect(series, sensitivity).scores
    ends, scores = cuts(len(series)), 0
    for done, count in enumerate(ends, start=1):
        part = detect(Series(series.start, series.step_seconds, series.values[:count], series.unit), sensitivity).scores
        different = np.flatnonzero(part != whole[:count])
        if different.size:
            place = int(different[0])
            time = format_time(series.start + place * series.step_seconds)
            seen = f"{part[place]:.6g} when only {count} samples are there"
            return Proof(False, done, f"the score at {time} is {whole[place]:.6g}, and {seen}")
        scores += count
        tell(done, len(ends))
    message = f"{len(ends)} beginnings of the series, of 1 to {len(series)} samples, gave the same {scores} scores"
    return Proof(True, len(ends), message)


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
