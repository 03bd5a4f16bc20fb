"""Regression: a basis of level, fading trend and Fourier terms, and its robust ridge weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimtab.analytics.algebra import ROUNDING, first_smallest, inner, weighted_sum
from trimtab.analytics.level import MAD_TO_SIGMA
from trimtab.domain.series import FloatArray
from trimtab.forecasting.correction import SCALE_FLOOR

MOST_HARMONICS = (24, 8)
"""Of the shortest period, and of each longer one."""
ROWS_PER_HARMONIC = 3
MOST_ROWS_UNSEASONAL = 500
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2)
LEAST_PENALTY = 1e-9
HUBER_SIGMAS = 2.5


@dataclass(frozen=True, slots=True)
class Basis:
    """Terms of the regression for a history of ``length`` steps; weights have shape (1 + trend + 2 * harmonics,).

    Past the history the trend fades, and adds in all what a quarter of the history would. A period gets harmonics up
    to half its steps, at most 24 (8 beside a shorter one).
    """

    length: int
    periods: tuple[float, ...] = ()
    trend: bool = False

    @property
    def harmonics(self) -> tuple[int, ...]:
        """Harmonics of each period."""
        shortest = min(self.periods, default=0.0)
        limits = (MOST_HARMONICS[period > shortest] for period in self.periods)
        return tuple(int(max(1, min(p / 2.0 - 1.0, most))) for p, most in zip(self.periods, limits, strict=True))

    @property
    def roughness(self) -> FloatArray:
        """What the ridge penalises: the square of a harmonic's number, shape (p,).

        Sharp shapes are then paid for only when the data want them.
        """
        squares = [np.arange(1.0, count + 1.0) ** 2 for count in self.harmonics]
        return np.concatenate([np.zeros(1 + self.trend), *(np.tile(one, 2) for one in squares)])

    def terms(self, place: FloatArray, width: int = 1) -> FloatArray:
        """Terms (p, m) at ``place`` (m,) in steps, each averaged over ``width`` steps around it."""
        rows = [np.ones((1, place.size))]
        if self.trend:
            rows.append(self._slope(place)[None, :])
        for period, count in zip(self.periods, self.harmonics, strict=True):
            rate = 2.0 * np.pi / period
            waves = np.cumprod(np.broadcast_to(np.exp(1j * rate * place), (count, place.size)), axis=0)
            if width > 1:
                half = rate * np.arange(1, count + 1) / 2.0
                waves *= (np.sin(width * half) / (width * np.sin(half)))[:, None]
            rows += [waves.real, waves.imag]
        return np.concatenate(rows)

    def evaluate(self, weights: FloatArray, place: FloatArray) -> FloatArray:
        """``weights`` times the terms at ``place`` (m,), shape (m,), never below 0."""
        total: FloatArray = np.full(place.size, weights[0])
        if self.trend:
            total += weights[1] * self._slope(place)
        first = 1 + self.trend
        for period, count in zip(self.periods, self.harmonics, strict=True):
            numbers = weights[first : first + count] - 1j * weights[first + count : first + 2 * count]
            turn = np.exp(2j * np.pi / period * place)
            sums = np.zeros(place.size, dtype=np.complex128)
            for number in numbers[::-1]:
                sums = (sums + number) * turn
            total = total + sums.real
            first += 2 * count
        bounded: FloatArray = np.maximum(total, 0.0)
        return bounded

    def _slope(self, place: FloatArray) -> FloatArray:
        since = place - (self.length - 1.0)
        fade = max(self.length / 4.0, 1.0)
        slope: FloatArray = (np.minimum(since, 0.0) - fade * np.expm1(-np.maximum(since, 0.0) / fade)) / self.length
        return slope

    def fit(self, values: FloatArray, rounds: int = 3) -> FloatArray:
        """Robust ridge weights (p,) for ``values`` (length,), NaN where unknown; at least one must be known.

        Samples are averaged in blocks that leave three rows to the highest harmonic's wave.
        """
        width = self.length // MOST_ROWS_UNSEASONAL
        if self.periods:
            width = min(int(p / (ROWS_PER_HARMONIC * h)) for p, h in zip(self.periods, self.harmonics, strict=True))
        width = max(1, width)
        count = self.length // width
        blocks = values[self.length - count * width : self.length].reshape(count, width)
        seen = np.isfinite(blocks).sum(axis=1)
        rows = np.flatnonzero(2 * seen >= width)
        if rows.size == 0:
            rows = np.flatnonzero(seen)
        heights = np.where(np.isfinite(blocks), blocks, 0.0).sum(axis=1)[rows] / seen[rows]
        place: FloatArray = self.length - count * width + rows * width + np.float64((width - 1) / 2.0)
        return robust_ridge(self.terms(place, width), self.roughness, heights, rounds)


def robust_ridge(terms: FloatArray, roughness: FloatArray, heights: FloatArray, rounds: int) -> FloatArray:
    """Weights (p,) of ``terms`` (p, n) for ``heights`` (n,), all finite.

    Ridge, in the first round with the least penalty. Rounds after the first weigh by the inverse square of the fitted
    size (errors of a demand grow with it) and by Huber's weights; the second chooses the penalty that has the least
    generalised cross-validation error. Sources: Huber 1964; Golub, Heath and Wahba 1979.
    """
    count = heights.size
    result: FloatArray = np.zeros(len(terms))
    weight: FloatArray = np.ones(count)
    floor = SCALE_FLOOR * float(np.abs(heights).mean())
    penalty = PENALTIES[0]
    for turn in range(rounds):
        weighted = terms * weight
        gram, right = inner(weighted, terms), inner(weighted, heights[None, :])[:, 0]
        if turn == 1:
            penalty = _penalty(terms, heights, weight, (gram, right), roughness)
        result = np.linalg.solve(gram + _ridge(penalty, roughness, count), right).astype(np.float64)
        fitted = weighted_sum(result, terms)
        scale = np.maximum(fitted, floor) if floor > 0 else np.ones(count)
        errors = (heights - fitted) / scale
        sigma = MAD_TO_SIGMA * float(np.median(np.abs(errors - np.median(errors))))
        if sigma <= ROUNDING:
            break
        weight = np.minimum(1.0, HUBER_SIGMAS * sigma / np.maximum(np.abs(errors), 1e-300)) / scale**2
        weight = weight / weight.mean()
    return result


def _ridge(penalty: float, roughness: FloatArray, count: int) -> FloatArray:
    return np.diag(count * (penalty * roughness + LEAST_PENALTY))


def _penalty(
    terms: FloatArray,
    heights: FloatArray,
    weight: FloatArray,
    normal: tuple[FloatArray, FloatArray],
    roughness: FloatArray,
) -> float:
    """The penalty with the least generalised cross-validation error, the least of those that err alike.

    ``normal`` are the normal equations (p, p) and (p,) of ``terms`` (p, n) for ``heights`` (n,) under ``weight`` (n,).
    """
    gram, right = normal
    count, scores = heights.size, []
    # Squares that are left are summed up and not told from products of sums, which cancel where the fit is good.
    nothing = float((weight * (ROUNDING * heights) ** 2).sum())
    for penalty in PENALTIES:
        solved = np.linalg.solve(gram + _ridge(penalty, roughness, count), np.column_stack([right, gram]))
        fitted = weighted_sum(solved[:, 0].astype(np.float64), terms)
        left = float((weight * (heights - fitted) ** 2).sum())
        free = max(1.0 - float(np.trace(solved[:, 1:])) / count, 0.05)
        scores.append((left if left > nothing else 0.0) / free**2)
    return PENALTIES[first_smallest(np.array(scores))]
