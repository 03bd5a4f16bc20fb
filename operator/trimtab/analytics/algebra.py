"""Products of matrices in blocks so small that a BLAS works them off on one thread.

At these sizes the threads of a BLAS bring nothing, and where cores are shared they wait for each other: a fit of 2 ms
then takes 30. OpenBLAS stays on one thread up to 2^18 multiplications of a product of matrices, and up to 9,216 of a
matrix with a vector.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray

MOST_MATRIX_WORK = 2**18
MOST_VECTOR_WORK = 9_216
ROUNDING = 1e-9
"""Numbers that differ by less than this share of their size are alike: processors differ in their last digits, some of
which are lost on the way, and no decision may hang on them."""


def inner(left: FloatArray, right: FloatArray) -> FloatArray:
    """``left @ right.T`` of shape (p, q) for ``left`` (p, n) and ``right`` (q, n).

    >>> inner(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])).tolist()
    [[11.0, 17.0]]
    """
    rows, columns = len(left), len(right)
    block = max(1, min(MOST_MATRIX_WORK // (rows * columns), MOST_VECTOR_WORK // max(rows, columns)))
    total = np.zeros((rows, columns))
    for start in range(0, left.shape[1], block):
        total += left[:, start : start + block] @ right[:, start : start + block].T
    return total


def weighted_sum(weights: FloatArray, rows: FloatArray) -> FloatArray:
    """``weights @ rows`` of shape (n,) for ``weights`` (p,) and ``rows`` (p, n).

    >>> weighted_sum(np.array([2.0, 3.0]), np.array([[1.0, 0.0], [1.0, 1.0]])).tolist()
    [5.0, 3.0]
    """
    total: FloatArray = np.einsum("p,pn->n", weights, rows)
    return total


def first_largest(values: FloatArray, least: float = 0.0) -> int:
    """Index of the first of ``values`` (n,), n >= 1, that is the largest but for rounding, or for ``least``.

    >>> first_largest(np.array([1.0, 5.0 - 1e-15, 5.0]))
    1
    """
    largest = float(values.max())
    return int(np.argmax(values >= largest - max(ROUNDING * abs(largest), least)))


def first_smallest(values: FloatArray, least: float = 0.0) -> int:
    """Index of the first of ``values`` (n,), n >= 1, that is the smallest but for rounding, or for ``least``."""
    return first_largest(-values, least)


def rounded(values: FloatArray) -> FloatArray:
    """``values`` (n,) to a millionth of the largest: alike on every processor, for searches that compare many sums.

    >>> rounded(np.array([1.0, 1e-3 + 1e-16])).tolist() == [1.0, 1e-3]
    True
    """
    largest = float(np.abs(values).max(initial=0.0))
    grain = 10.0 ** (math.floor(math.log10(largest)) - 6) if largest > 0.0 else 1.0
    return np.round(values / grain) * grain


def levels_of(values: FloatArray, tolerance: float) -> NDArray[np.intp]:
    """Number of the level that each of ``values`` (n,) is on, from 0 for the smallest: neighbours within ``tolerance``
    share one.

    >>> levels_of(np.array([0.3, 7.0, 0.1 + 0.2, -1.0]), 1e-12).tolist()
    [1, 2, 1, 0]
    """
    order = np.argsort(values, kind="stable")
    numbers = np.empty(values.size, dtype=np.intp)
    numbers[order] = np.cumsum(np.diff(values[order], prepend=values[order[:1]]) > tolerance)
    return numbers


def line(place: FloatArray, heights: FloatArray) -> tuple[float, float]:
    """(slope, height at place 0) of the least-squares line through at least one point; slope 0 through a single place.

    >>> line(np.array([0.0, 1.0, 2.0]), np.array([5.0, 7.0, 9.0]))
    (2.0, 5.0)
    """
    middle, level = float(place.mean()), float(heights.mean())
    spread = float(((place - middle) ** 2).sum())
    slope = float(((place - middle) * (heights - level)).sum()) / spread if spread > 0 else 0.0
    return slope, level - slope * middle
