"""What a change of level or slope looks like once the wandering of red noise is filtered out, and what it explains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.algebra import inner
from trimtab.analytics.red_noise import RedNoise
from trimtab.domain.series import FloatArray

_DEPENDENT = 1e-9
"""Share of its squares below which what is left of a row beside others is nothing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A change of slope (``bend``) or level at a sample."""

    index: int
    bend: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """Columns of a piecewise line as the whitening filter leaves them."""

    noise: RedNoise
    sigma: float
    start: float
    """Weight of the first sample, whose whole wandering is unknown."""
    ones: FloatArray
    ramp: FloatArray

    @staticmethod
    def of(noise: RedNoise, count: int) -> Frame:
        """The frame for ``count`` samples."""
        weight, variance = noise.innovation()
        whole = noise.white + noise.wandering
        start = math.sqrt(variance / whole) if whole > 0 else 1.0
        steps = np.stack([np.ones(count), np.arange(count) / count])
        ones, ramp = _filtered(steps, noise.persistence, weight)
        return Frame(noise, math.sqrt(variance), start, ones, ramp)

    def whitened(self, values: FloatArray) -> FloatArray:
        """``values`` (n,) as the filter leaves them."""
        weight, _ = self.noise.innovation()
        left: FloatArray = _filtered(values[None, :], self.noise.persistence, weight)[0]
        left[0] *= self.start
        return left

    def columns(self, candidates: Sequence[Candidate]) -> FloatArray:
        """Rows (k, n) of these changes."""
        count = self.ones.size
        index = np.arange(count)[None, :] - np.array([one.index for one in candidates], dtype=np.intp)[:, None]
        bend = np.array([one.bend for one in candidates], dtype=bool)[:, None]
        inside = np.maximum(index, 0)
        return np.where(index >= 0, np.where(bend, self.ramp[inside], self.ones[inside]), 0.0)

    def base(self, sloped: bool) -> FloatArray:
        """Rows of the level and, where asked for, the slope."""
        rows = np.stack([self.ones, self.ramp][: 2 if sloped else 1])
        rows[:, 0] *= self.start
        return rows


def left_by(rows: FloatArray, answer: FloatArray) -> FloatArray:
    """What the rows (k, n) leave of the answer (n,)."""
    basis = _basis(rows)
    left: FloatArray = answer - basis @ (basis.T @ answer)
    return left


def _basis(rows: FloatArray) -> FloatArray:
    """Orthonormal columns (n, m) that span ``rows`` (k, n), m <= k: what hangs on rows before it has no column."""
    basis, _, kept = orthonormal(rows)
    return basis if kept.all() else orthonormal(rows[kept])[0]


def orthonormal(rows: FloatArray) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """(orthonormal columns (n, k), the triangle (k, k) that makes ``rows`` (k, n) of them, which rows count (k,)).

    Those that are sums of rows before them but for rounding do not: their columns point where the last digits do.
    """
    basis, triangle = np.linalg.qr(rows.T)
    own = np.diag(triangle) ** 2
    return basis, triangle, np.asarray(own > _DEPENDENT * (rows**2).sum(axis=1), dtype=np.bool_)


def gains_of(rows: FloatArray, fixed: FloatArray, answer: FloatArray) -> FloatArray:
    """Squares that each of ``rows`` (k, n) saves beside ``fixed`` (m, n), shape (k,)."""
    basis = _basis(fixed)
    own = rows - inner(rows, basis.T) @ basis.T
    size = (own**2).sum(axis=1)
    before = (rows**2).sum(axis=1)
    saved = (own @ answer) ** 2
    return np.where(size > _DEPENDENT * np.maximum(before, 1e-300), saved / np.maximum(size, 1e-300), 0.0)


def _filtered(rows: FloatArray, persistence: float, weight: float) -> FloatArray:
    from scipy.signal import lfilter

    left: FloatArray = lfilter([1.0, -persistence], [1.0, weight], rows, axis=1)
    return left
