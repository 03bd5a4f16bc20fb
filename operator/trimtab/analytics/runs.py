"""Runs: the stretches of a series in which something holds."""

from __future__ import annotations

import numpy as np

from trimtab.analytics.gaps import BoolArray


def runs(holds: BoolArray) -> list[tuple[int, int]]:
    """[low, high) of each stretch of True in ``holds`` (n,).

    >>> runs(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
