"""Regression: Fourier terms, a trend that fades, and robust ridge weights chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trimtab.domain.series import FloatArray

MOST_HARMONICS = (24, 8)
"""Of the first period, and of each further one."""
PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
HUBER_SIGMAS = 2.5
MAD_TO_SIGMA = 1.4826
ROUNDS = 3
SCALE_FLOOR = 0.3


def design(place: FloatArray, length: int, periods: Sequence[float], trend: bool) -> tuple[FloatArray, FloatArray]:
    """(terms (p, len(place)), roughness (p,)) at ``place`` in steps, for a history of ``length`` steps.

    Level, trend and the Fourier terms of each period. Past the history the trend fades and adds in all what a quarter of the
    history would. A period gets harmonics up to half its steps, at most 24 (8 beside another); roughness, the square
    of a harmonic's number, is what the ridge penalises, so that sharp shapes are paid for only when the data want them.
    """
    end = length - 1.0
    ahead = np.maximum(place - end, 0.0)
    fade = max(length / 4.0, 1.0)
    terms = [np.ones((1, place.size))]
    roughness = [np.zeros(1)]
    if trend:
        slope = np.minimum(place - end, 0.0) + fade * -np.expm1(-ahead / fade)
        terms.append(slope[None, :] / length)
        roughness.append(np.zeros(1))
    for index, period in enumerate(periods):
        count = int(max(1, min(period / 2.0 - 1.0, MOST_HARMONICS[min(index, 1)])))
        turn = np.exp(2j * np.pi / period * place)
        waves = np.cumprod(np.broadcast_to(turn, (count, place.size)), axis=0)
        order = np.arange(1.0, count + 1.0) ** 2
        terms += [waves.real, waves.imag]
        roughness += [order, order]
    return np.concatenate(terms), np.concatenate(roughness)


def robust_ridge(terms: FloatArray, roughness: FloatArray, heights: FloatArray) -> FloatArray:
    """Weights (p,) of ``terms`` (p, n) for ``heights`` (n,), all finite.

    Ridge, weighted by the inverse square of the fitted size (errors of a demand grow with it) and by Huber's weights; the
    strength of the penalty has the least generalised cross-validation error. Sources: Huber 1964; Golub, Heath and
    Wahba 1979.
    """
    count = heights.size
    weight = np.ones(count)
    result = np.zeros(len(terms))
    floor = SCALE_FLOOR * float(np.abs(heights).mean())
    for _ in range(ROUNDS):
        weighted = terms * weight
        gram, right = weighted @ terms.T, weighted @ heights
        total = float((weight * heights**2).sum())
        best = np.inf
        for penalty in PENALTIES:
            system = gram + np.diag(penalty * roughness * count + 1e-9 * count)
            solved = np.linalg.solve(system, np.column_stack([right, gram]))
            weights = solved[:, 0]
            left = total - 2.0 * float(weights @ right) + float(weights @ gram @ weights)
            freedom = float(np.trace(solved[:, 1:])) / count
            score = max(left, 0.0) / max(1.0 - freedom, 0.05) ** 2
            if score < best:
                best, result = score, weights
        fitted = result @ terms
        scale = np.maximum(fitted, floor) if floor > 0 else np.ones(count)
        errors = (heights - fitted) / scale
        sigma = MAD_TO_SIGMA * float(np.median(np.abs(errors - np.median(errors))))
        if not sigma > 0:
            break
        weight = np.minimum(1.0, HUBER_SIGMAS * sigma / np.maximum(np.abs(errors), 1e-300)) / scale**2
        weight /= weight.mean()
    return result
