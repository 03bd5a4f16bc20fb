"""Gaps: which missing samples a straight line may bridge, and which stay missing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray, Series

BoolArray = NDArray[np.bool_]

LARGEST_SAMPLE = 1e100
LONGEST_BRIDGE_SECONDS = 3600.0
LONGEST_BRIDGE_STEPS = 20


class Filled(NamedTuple):
    """Values with short gaps bridged; shape (n,) each."""

    values: FloatArray
    """Finite everywhere; 0 where a long gap was left."""
    known: BoolArray
    """False inside long gaps."""


def longest_bridge(step_seconds: float) -> int:
    """Steps that a line may bridge: an hour, at most 20 steps, at least 1.

    >>> longest_bridge(60.0), longest_bridge(900.0), longest_bridge(7200.0)
    (20, 4, 1)
    """
    return max(1, min(LONGEST_BRIDGE_STEPS, int(LONGEST_BRIDGE_SECONDS // step_seconds)))


def usable(values: FloatArray) -> FloatArray:
    """``values`` with NaN for infinities and for what would overflow when squared (above 1e100)."""
    return np.where(np.abs(values) <= LARGEST_SAMPLE, values, np.nan)


def bridge(series: Series) -> Filled:
    """The series with gaps of up to :func:`longest_bridge` steps filled by lines.

    Longer gaps, and those before the first and after the last sample, stay unknown. Infinities count as missing.

    >>> filled = bridge(Series(0.0, 60.0, np.array([1.0, np.nan, 3.0, np.nan])))
    >>> filled.values.tolist(), filled.known.tolist()
    ([1.0, 2.0, 3.0, 0.0], [True, True, True, False])
    """
    samples = usable(series.values)
    finite = np.isfinite(samples)
    index = np.flatnonzero(finite)
    if index.size == 0:
        return Filled(np.zeros(len(series)), finite)
    grid = np.arange(len(series))
    after = np.searchsorted(index, grid)
    inside = ~finite & (after > 0) & (after < index.size)
    right = np.minimum(after, index.size - 1)
    missing = index[right] - index[np.maximum(right - 1, 0)] - 1
    known = finite | (inside & (missing <= longest_bridge(series.step_seconds)))
    values = np.interp(grid, index, samples[index])
    return Filled(np.where(known, values, 0.0), known)
