"""Blocks: a long series as a few hundred medians on a grid that stands still while time goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trimtab.analytics.gaps import usable
from trimtab.domain.series import FloatArray, Series

MOST_BLOCKS = 512


@dataclass(frozen=True, slots=True)
class Blocks:
    """Medians of equal stretches of time; block ``i`` begins at ``start + i * step_seconds``."""

    start: float
    step_seconds: float
    """Length of a block."""
    medians: FloatArray
    """Shape (k,), k <= 512; NaN where less than half of the samples are present."""


def width_for(samples: int) -> int:
    """Samples a block for a history of so many: a power of two, so that it seldom changes while a history grows.

    >>> width_for(300), width_for(1_500), width_for(10_080)
    (1, 4, 32)
    """
    return 1 << max(math.ceil(samples / (MOST_BLOCKS - 1)) - 1, 0).bit_length()


def blocks(series: Series, width: int | None = None) -> Blocks:
    """The series as medians of ``width`` samples each, by default so many that at most 512 blocks come of it.

    Blocks lie on multiples of their length, so a sample belongs to the same block whenever it is looked at. The first
    and the last block count once half of their samples are there; older blocks than the newest 512 are left out.

    >>> found = blocks(Series(120.0, 60.0, np.arange(8.0)), width=4)
    >>> found.start, found.medians.tolist()
    (0.0, [0.5, 3.5, 6.5])
    """
    width = width or width_for(len(series))
    first = round(series.start / series.step_seconds)
    lead = first % width
    count = -(-(lead + len(series)) // width)
    padded = np.full(count * width, np.nan)
    padded[lead : lead + len(series)] = usable(series.values)
    begin = (first - lead) * series.step_seconds + (series.start - first * series.step_seconds)
    kept = max(0, count - MOST_BLOCKS)
    cut = padded.reshape(count, width)[kept:]
    length = width * series.step_seconds
    return Blocks(begin + kept * length, length, row_medians(cut))


def row_medians(cut: FloatArray) -> FloatArray:
    """Median of each row (k, w) of which at least half is present, else NaN."""
    if cut.shape[1] == 1:
        return cut[:, 0].copy()
    ordered = np.sort(cut, axis=1)
    present = np.isfinite(ordered).sum(axis=1)
    rows = np.arange(len(ordered))
    medians: FloatArray = (ordered[rows, np.maximum(present - 1, 0) // 2] + ordered[rows, present // 2]) / 2.0
    return np.where(2 * present >= cut.shape[1], medians, np.nan)
