"""Isolation forest: how easily a row of numbers is told from the rows seen before.

A tree splits a random column at a random place; what is odd is alone after few splits (Liu, Ting and Zhou, "Isolation
forest", 2008). The trees are plain arrays, so that a forest can be stored, copied and asked for one row in
microseconds; docs/adr/0010 tells why they are not scikit-learn's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray

TREES: Final = 32
SAMPLES: Final = 64
"""Rows that a tree is grown from."""
MOST_SPLITS: Final = math.ceil(math.log2(SAMPLES))
"""Splits until a tree stops: what is not alone by then is not odd."""
_NODES: Final = 2 ** (MOST_SPLITS + 1) - 1
_LEAF: Final = -1
_LARGEST: Final = 1e30
_EULER: Final = 0.5772156649015329


def _splits(rows: int) -> float:
    """Splits that it takes in the mean to tell one of so many rows from the others."""
    if rows < 3:
        return float(rows == 2)
    return 2.0 * (math.log(rows - 1.0) + _EULER) - 2.0 * (rows - 1.0) / rows


USUAL: Final = _splits(SAMPLES)


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees of nodes, arrays of shape (trees, 127) each: 20 KiB. The children of node i are 2 i + 1 and 2 i + 2."""

    columns: NDArray[np.int8]
    """Column that a node splits; -1 for a leaf."""
    values: NDArray[np.float32]
    """Where it splits: what is at most this large goes left. For a leaf the number of splits that led there, and that
    would still be needed among the rows that were left."""

    def scores(self, rows: FloatArray) -> FloatArray:
        """How odd each of ``rows`` (n, d) is: near 1 when it is alone at once, below 0.5 in a crowd. Shape (n,)."""
        trees, which = np.arange(self.columns.shape[0]), np.arange(rows.shape[0])[:, np.newaxis]
        single = _single(rows)
        places = np.zeros((rows.shape[0], trees.size), dtype=np.intp)
        for _ in range(MOST_SPLITS):
            columns = self.columns[trees, places]
            below = 2 * places + 2 - (single[which, columns] <= self.values[trees, places])
            places = np.where(columns == _LEAF, places, below)
        splits = self.values[trees, places].mean(axis=1, dtype=np.float64)
        scores: FloatArray = np.exp2(-splits / USUAL)
        return scores


def grow(rows: FloatArray, seed: int = 0) -> Forest:
    """A forest of 32 trees, each of 64 of ``rows`` (n, d) at random. Raises ValueError below 64 rows.

    >>> rows = np.random.default_rng(1).standard_normal((500, 2))
    >>> grow(rows).scores(np.array([[0.0, 0.0], [4.0, -4.0]])).round(1).tolist()
    [0.4, 0.8]
    """
    if rows.shape[0] < SAMPLES:
        raise ValueError(f"a forest needs {SAMPLES} rows, got {rows.shape[0]}")
    rng = np.random.default_rng(seed)
    columns = np.full((TREES, _NODES), _LEAF, dtype=np.int8)
    values = np.zeros((TREES, _NODES), dtype=np.float32)
    single = _single(rows)
    for tree in range(TREES):
        sample = single[rng.choice(rows.shape[0], SAMPLES, replace=False)]
        ahead = [(0, 0, sample)]
        while ahead:
            node, depth, inside = ahead.pop()
            low, high = inside.min(axis=0), inside.max(axis=0)
            open_columns = np.flatnonzero(high > low)
            if depth == MOST_SPLITS or len(inside) == 1 or open_columns.size == 0:
                values[tree, node] = depth + _splits(len(inside))
                continue
            column = int(rng.choice(open_columns))
            value = np.float32(rng.uniform(low[column], high[column]))
            left = inside[:, column] <= value
            if left.all():  # rounding took the place to the largest row
                value = np.nextafter(value, np.float32(-np.inf))
                left = inside[:, column] <= value
            columns[tree, node], values[tree, node] = column, value
            ahead += [(2 * node + 1, depth + 1, inside[left]), (2 * node + 2, depth + 1, inside[~left])]
    return Forest(columns, values)


def _single(rows: FloatArray) -> NDArray[np.float32]:
    """In half the size; what is too large for it counts as the largest."""
    return np.clip(rows, -_LARGEST, _LARGEST).astype(np.float32)
