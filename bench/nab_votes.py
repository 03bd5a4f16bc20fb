"""NAB with other detectors: each by itself, and as one more vote of the scorer.

Each turns the samples up to now into one number, and ranks it among its earlier ones, as the scorer's own ways do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from bench.nab import Curves, Profile, Recording, curves
from bench.nab_nested import p_values, published
from trimtab.analytics.isolation import grow
from trimtab.analytics.scoring import DEFAULT
from trimtab.analytics.scoring_ranks import Ranks
from trimtab.domain.series import FloatArray

AGAIN, NEWEST = 200, 1000
"""The forest is grown anew every so many samples, of so many."""
MEAN_OF = 12
STRETCH, AHEAD, SMOOTH, AROUND = 128, 5, 3, 21
"""Samples of a spectrum, those that carry it on, and over how many spectrum and saliency are averaged."""
FITTED, DEGREE = 24, 2
MEMORY, READY = 3500, 150
Measure = Callable[[FloatArray], FloatArray]


def other_votes(corpus: Sequence[Recording], profile: Profile) -> dict[str, tuple[Curves, Curves]]:
    """Curves of each detector alone, and of the scorer with its vote."""
    ours = [p_values(recording, DEFAULT) for recording in corpus]
    found: dict[str, tuple[Curves, Curves]] = {}
    for name, measure in MEASURES.items():
        alone = [ranked(measure(recording.values)) for recording in corpus]
        joined = [np.sort(np.column_stack(pair), axis=1) for pair in zip(ours, alone, strict=True)]
        alone_curves, joined_curves = (
            curves(corpus, [published(each, DEFAULT) for each in ways], profile) for ways in (alone, joined)
        )
        found[name] = alone_curves, joined_curves
    return found


def ranked(measures: FloatArray) -> FloatArray:
    """p-value of each measure (n,) among those before, shape (n, 1), NaN until there are enough."""
    ranks = Ranks.start(1, MEMORY, READY)
    return np.array([[ranks.step(0, one) if np.isfinite(one) else np.nan] for one in measures.tolist()])


def isolation_forest(values: FloatArray) -> FloatArray:
    """Score of each sample's lags by a forest of the samples before (Liu, Ting and Zhou, 2008), shape (n,)."""
    rows, found = lags(values), np.full(values.size, np.nan)
    for start in range(AGAIN, values.size, AGAIN):
        forest = grow(rows[max(start - NEWEST, 0) : start], seed=start)
        found[start : start + AGAIN] = forest.scores(rows[start : start + AGAIN])
    return found


def lags(values: FloatArray) -> FloatArray:
    """Value, the one before, the step between, the mean of the last 12, and the distance from it; shape (n, 5)."""
    before = np.concatenate([values[:1], values[:-1]])
    sums = np.cumsum(np.concatenate([np.zeros(1), values]))
    last = np.arange(1, values.size + 1)
    first = np.maximum(last - MEAN_OF, 0)
    means = (sums[last] - sums[first]) / (last - first)
    return np.column_stack([values, before, values - before, means, values - means])


def spectral_residual(values: FloatArray) -> FloatArray:
    """Saliency of the newest of 128 samples over the mean of those before it (Ren et al., 2019), shape (n,).

    The samples are carried on by five estimated points, as the method asks for.
    """
    found = np.full(values.size, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(values, STRETCH)
    for start in range(0, len(windows), NEWEST):
        some = windows[start : start + NEWEST]
        slopes = ((some[:, -1:] - some[:, -1 - AHEAD : -1]) / np.arange(AHEAD, 0, -1)).mean(axis=1, keepdims=True)
        next_ones = some[:, -AHEAD, np.newaxis] + slopes * AHEAD
        spectrum = np.fft.fft(np.hstack([some, np.repeat(next_ones, AHEAD, axis=1)]), axis=1)
        size = np.log(np.abs(spectrum) + 1e-9)
        kept = np.exp(size - _averaged(size, SMOOTH) + 1j * np.angle(spectrum))
        saliency = np.abs(np.fft.ifft(kept, axis=1))[:, :STRETCH]
        around = saliency[:, -AROUND:].mean(axis=1)
        found[start + STRETCH - 1 : start + STRETCH - 1 + len(some)] = (saliency[:, -1] - around) / (around + 1e-9)
    salient: FloatArray = np.maximum(found, 0.0)
    return salient


def polynomial_fit(values: FloatArray) -> FloatArray:
    """Distance of each sample from the parabola through the 24 before it, in their standard deviations; shape (n,)."""
    place = np.arange(FITTED, dtype=np.float64)
    design = np.vander(place, DEGREE + 1)
    onto = np.linalg.pinv(design)
    windows = np.lib.stride_tricks.sliding_window_view(values[:-1], FITTED)
    weights = windows @ onto.T
    left = windows - weights @ design.T
    told = weights @ np.vander([float(FITTED)], DEGREE + 1)[0]
    found = np.full(values.size, np.nan)
    found[FITTED:] = np.abs(values[FITTED:] - told) / (left.std(axis=1) + 1e-9 * np.abs(values).max() + 1e-12)
    return found


def _averaged(rows: FloatArray, width: int) -> FloatArray:
    """Means of each ``width`` neighbours along the rows, shape as given."""
    edges = np.pad(rows, ((0, 0), (width // 2, width // 2)), mode="edge")
    means: FloatArray = np.lib.stride_tricks.sliding_window_view(edges, width, axis=1).mean(axis=2)
    return means


MEASURES: Final[dict[str, Measure]] = {
    "isolation forest": isolation_forest,
    "spectral residual": spectral_residual,
    "polynomial fit": polynomial_fit,
}
