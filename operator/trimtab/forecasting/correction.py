"""Correction: what the errors of the recent past say about those to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.algebra import ROUNDING, inner, weighted_sum
from trimtab.analytics.level import MAD_TO_SIGMA
from trimtab.domain.series import FloatArray

IndexArray = NDArray[np.intp]

LEADS_FITTED = 9
OUTLIER_SIGMAS = 6.0

SCALE_FLOOR = 0.3
"""Errors are taken relative to the forecast, but never to less than this share of its mean."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Linear weights of the mean errors over a few windows that end now, by lead."""

    windows: tuple[int, ...]
    leads: NDArray[np.int_]
    """Leads in steps at which weights were fitted, shape (l,)."""
    weights: FloatArray
    """Shape (l, len(windows))."""
    relative: bool
    """Whether errors scale with the forecast."""
    mean: float
    """Mean of the base forecast, which floors the scale."""
    sigma: float
    """Robust standard deviation of the (scaled) errors."""

    def correct(self, values: FloatArray, base: FloatArray, origins: IndexArray, paths: FloatArray) -> FloatArray:
        """``paths`` (o, h) from ``origins`` (o,), corrected by the errors of ``base`` (n,) against ``values`` (n,).

        Only errors up to each origin count. The result is never below 0.
        """
        errors = (values - base) / self._scale(base)
        means = window_means(_despiked(errors, self.sigma), self.windows)[:, origins]
        weights = by_lead(self.weights, self.leads, paths.shape[1])
        corrected: FloatArray = np.maximum(paths + (means.T @ weights) * self._scale(paths), 0.0)
        return corrected

    def _scale(self, base: FloatArray) -> FloatArray:
        return _scale_of(base, self.mean) if self.relative else np.ones_like(base)


def fit_correction(values: FloatArray, base: FloatArray, windows: Sequence[int]) -> Correction:
    """Learn from the errors of a ``base`` forecast (n,) of ``values`` (n,), both NaN where unknown.

    Relative and absolute errors are both tried, and the kind that leaves less is kept. Weights are ridge estimates
    whose sum lies between 0 and 1: a correction fades with the lead as fast as it did in the past, and a level shift
    stays. Source: the heterogeneous autoregression of Corsi 2009, fitted directly for each lead.
    """
    known = np.isfinite(values - base)
    mean = float(np.abs(base[known]).mean()) if known.any() else 0.0
    spans = tuple(sorted({max(1, int(window)) for window in windows}))
    leads = spaced(max(2.0, values.size / 3.0), LEADS_FITTED)
    best: tuple[float, Correction] | None = None
    for relative in (True, False) if mean > 0 else (False,):
        scale = _scale_of(base, mean) if relative else np.ones_like(base)
        errors = (values - base) / scale
        sigma = _sigma(errors, ROUNDING * (1.0 if relative else mean))
        errors = _despiked(errors, sigma)
        weights, left = _fit_leads(errors, np.where(known, scale, 0.0), spans, leads)
        if best is None or left < best[0] - ROUNDING * max(best[0], mean):
            best = left, Correction(spans, leads, weights, relative, mean, sigma)
    assert best is not None
    return best[1]


def spaced(longest: float, most: int) -> NDArray[np.int_]:
    """At most ``most`` whole numbers from 1 to ``longest``, evenly in their logarithm.

    >>> spaced(360.0, 4).tolist()
    [1, 7, 51, 360]
    """
    return np.unique(np.round(np.geomspace(1, longest, most)).astype(int))


def by_lead(weights: FloatArray, leads: NDArray[np.int_], steps: int) -> FloatArray:
    """``weights`` (l, w) of ``leads`` (l,) at each of 1 to ``steps``, by lines in the logarithm, shape (w, steps)."""
    place = np.log(np.arange(1, steps + 1))
    return np.stack([np.interp(place, np.log(leads), column) for column in weights.T])


def _fit_leads(
    errors: FloatArray, size: FloatArray, spans: tuple[int, ...], leads: NDArray[np.int_]
) -> tuple[FloatArray, float]:
    """(weights (l, w), mean absolute error that they leave, in the unit, summed over the leads)."""
    means = window_means(errors, spans)
    known = np.isfinite(errors)
    target = np.where(known, errors, 0.0)
    grams, rights = np.zeros((leads.size, len(spans), len(spans))), np.zeros((leads.size, len(spans)))
    counts = np.zeros(leads.size)
    for row, lead in enumerate(leads):
        inputs = means[:, :-lead] * known[lead:]
        grams[row] = inner(inputs, inputs)
        rights[row] = inner(inputs, target[None, lead:])[:, 0]
        counts[row] = known[lead:].sum()
    power = np.trace(grams, axis1=1, axis2=2) / len(spans)
    enough = (counts >= 4 * len(spans)) & (power > 0)
    weights = np.zeros_like(rights)
    if enough.any():
        ridge = (10.0 * power / np.maximum(counts, 1.0))[enough, None, None] * np.eye(len(spans))
        solved = np.linalg.solve(grams[enough] + ridge, rights[enough, :, None])[:, :, 0]
        total = solved.sum(axis=1, keepdims=True)
        # A hair more, so that no rounding lets the sum of a correction's weights exceed 1.
        weights[enough] = np.where(total > ROUNDING, solved / np.maximum(total * (1.0 + ROUNDING), 1.0), 0.0)
        weights[~enough] = weights[np.flatnonzero(enough)[-1]] if enough[0] else 0.0
    left = 0.0
    for row, lead in enumerate(leads):
        misses = np.abs(target[lead:] - weighted_sum(weights[row], means[:, :-lead])) * size[lead:]
        left += float(misses.sum()) / max(counts[row], 1.0)
    return weights, left


def _scale_of(base: FloatArray, mean: float) -> FloatArray:
    return np.maximum(base, SCALE_FLOOR * mean)


def _sigma(errors: FloatArray, rounding: float) -> float:
    """Robust standard deviation, 0 where it is no more than ``rounding``: no error stands out of such a spread."""
    finite = errors[np.isfinite(errors)]
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(finite - np.median(finite)))) if finite.size else 0.0
    return sigma if sigma > rounding else 0.0


def _despiked(errors: FloatArray, sigma: float) -> FloatArray:
    """Errors with each one that stands alone replaced by the median of itself and the two before."""
    if errors.size < 3 or not sigma > 0:
        return errors
    newest, last, before = errors[2:], errors[1:-1], errors[:-2]
    median = np.maximum(np.minimum(newest, last), np.minimum(np.maximum(newest, last), before))
    wild = np.abs(newest - median) > OUTLIER_SIGMAS * sigma
    return np.concatenate([errors[:2], np.where(wild, median, newest)])


def window_means(errors: FloatArray, windows: tuple[int, ...]) -> FloatArray:
    """Mean of the known errors in the last ``w`` steps, shape (len(windows), n).

    A window without a known error takes the mean of the next longer one, at last 0.
    """
    known = np.isfinite(errors)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, errors, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    end = np.arange(1, errors.size + 1)
    means = np.zeros((len(windows), errors.size))
    longer = np.zeros(errors.size)
    for row in range(len(windows) - 1, -1, -1):
        start = np.maximum(end - windows[row], 0)
        seen = counts[end] - counts[start]
        longer = np.where(seen > 0, (sums[end] - sums[start]) / np.maximum(seen, 1), longer)
        means[row] = longer
    return means
