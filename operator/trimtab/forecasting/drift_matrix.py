"""Drift in many streams of errors at once: what ``detect`` finds in each, by array operations over (streams, ages).

A step costs about a hundred array operations, however many streams there are. What is rare (learning a reference,
locating a drift) is done by the detector's own functions, stream by stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray
from trimtab.forecasting.drift import (
    ANY_LEVEL_LIMIT,
    FEWEST,
    LEARNED,
    LEVEL_LIMIT,
    LIMIT,
    SEASON_LIMIT,
    SHIFT,
    SPREAD,
    SPREAD_LIMIT,
    WINDOW,
    YOUTH,
    DriftKind,
    DriftTest,
    located,
)
from trimtab.forecasting.drift_matrix_reference import References
from trimtab.forecasting.drift_matrix_season import Seasons
from trimtab.forecasting.drift_reference import CLIP, LAGS, LEAST_SIZE, learn
from trimtab.forecasting.drift_season import start_season

Found = tuple[tuple[int, DriftTest], ...]
AGES = np.arange(1.0, WINDOW + 1.0)
"""Innovations since a change, the columns of every matrix of statistics."""


def detect_many(errors: FloatArray, period_steps: float = 0.0) -> tuple[Found, ...]:
    """Every drift in each stream of ``errors`` (m, n): exactly what ``detect`` finds in the rows, one by one.

    Streams may miss errors, each its own: what is not finite changes nothing. So shorter ones can end with NaN.
    """
    streams = _Streams.start(errors, period_steps)
    found: list[list[tuple[int, DriftTest]]] = [[] for _ in errors]
    for index in range(int(streams.lengths.max(initial=0))):
        for row, test in streams.step(index):
            found[row].append((int(streams.steps[row, index]), test))
    return tuple(tuple(each) for each in found)


@dataclass(slots=True)
class _Streams:
    """m streams of finite errors, and what is known of each."""

    padded: FloatArray
    """The errors of each stream after as many zeros as a window has errors, shape (m, WINDOW + LAGS + n)."""
    steps: FloatArray
    """When they were seen, shape (m, n)."""
    lengths: NDArray[np.int64]
    """How many there are, shape (m,)."""
    begun: NDArray[np.int64]
    """The first error that the reference is learned from, shape (m,)."""
    references: References
    seasons: Seasons | None

    @classmethod
    def start(cls, errors: FloatArray, period_steps: float) -> _Streams:
        """Streams whose errors, without those that are not finite, are all known and of which none was seen."""
        finite = np.isfinite(errors)
        order = np.argsort(~finite, axis=1, kind="stable")
        known = np.clip(np.take_along_axis(np.where(finite, errors, 0.0), order, axis=1), -LIMIT, LIMIT)
        many = errors.shape[0]
        season = start_season(period_steps)
        return cls(
            padded=np.concatenate([np.zeros((many, WINDOW + LAGS)), known], axis=1),
            steps=order.astype(np.float64),
            lengths=finite.sum(axis=1),
            begun=np.zeros(many, dtype=np.int64),
            references=References.start(many),
            seasons=None if season is None else Seasons.start(many, season),
        )

    def step(self, index: int) -> list[tuple[int, DriftTest]]:
        """Take error ``index`` of each stream that has one; which streams drifted. They learn anew."""
        last = WINDOW + LAGS + index
        age = np.where(index < self.lengths, index - self.begun - LEARNED + 1, -1)
        for row in np.flatnonzero(age == 0).tolist():
            self.references.put(row, learn(self.padded[row, last - LEARNED + 1 : last + 1]))
        full = np.flatnonzero(age > WINDOW)
        oldest = last - WINDOW - LAGS
        self.references.remember(full, self.padded[full, oldest : oldest + LAGS + 1])
        rows = np.flatnonzero(age > 0)
        if not rows.size:
            return []
        reference = self.references.of(rows)
        first, second, sigma = (each[:, np.newaxis] for each in reference.whitening())
        away = self.padded[rows, oldest + 1 : last + 1] - reference.mean[:, np.newaxis]
        innovations = np.clip((away[:, 2:] - first * away[:, 1:-1] - second * away[:, :-2]) / sigma, -CLIP, CLIP)
        strength = _strength(reference, innovations, age[rows])
        seasonal, since = np.zeros(rows.size), np.full(rows.size, math.nan)
        if self.seasons is not None:
            self.seasons.fill(rows, self.steps[rows, index], innovations[:, -1])
            ratio, since = self.seasons.ratio(rows)
            seasonal = np.where(age[rows] < FEWEST, 0.0, reference.weight / (reference.weight + YOUTH) * ratio)
            seasonal /= SEASON_LIMIT
        found = []
        for at in np.flatnonzero(np.maximum(strength, seasonal) >= 1.0).tolist():
            row, known = int(rows[at]), int(min(age[rows[at]], WINDOW))
            test = DriftTest(float(seasonal[at]), DriftKind.SEASONAL, float(since[at]))
            if seasonal[at] <= strength[at]:
                kind, count = located(self.references.at(row), innovations[at, -known:])
                test = DriftTest(float(strength[at]), kind, float(self.steps[row, index - count + 1]))
            found.append((row, test))
            self._restart(row, index, test.since)
        return found

    def _restart(self, row: int, index: int, since: float) -> None:
        """``DriftDetector.restarted`` of stream ``row``, which has seen error ``index``."""
        after = int(np.searchsorted(self.steps[row, : index + 1], since))
        learned = int(self.begun[row]) + LEARNED - 1
        self.begun[row] = max(after, learned - LAGS + 1, index - LEARNED + 2)
        if self.seasons is not None:
            self.seasons.forget(row)


def _strength(reference: References, innovations: FloatArray, known: NDArray[np.int64]) -> FloatArray:
    """The statistics of level and spread over their limits, the largest of each stream, shape (m,).

    ``innovations`` are (m, WINDOW), of which the newest ``known`` (m,) count.
    """
    first, second, sigma = reference.whitening()
    weight = reference.weight[:, np.newaxis]
    newest = innovations[:, ::-1]
    sums, squares = np.cumsum(newest, axis=1), np.cumsum(newest**2, axis=1)
    share = 1.0 / (1.0 + AGES / weight)
    size = np.maximum(np.sqrt(reference.covariances[:, 0]), LEAST_SIZE)
    shift = (SHIFT * (1.0 - first - second) * size / sigma)[:, np.newaxis]
    level = share * shift * (np.abs(sums) - 0.5 * AGES * shift)
    any_level = 0.5 * sums**2 / (AGES + AGES**2 / weight)
    ratio = squares / np.maximum(reference.square, 1e-9)[:, np.newaxis]
    gain = ratio * (1.0 - 1.0 / SPREAD) - AGES * math.log(SPREAD)
    spread = share * 0.5 * reference.freedom()[:, np.newaxis] * gain
    joint = np.maximum(np.maximum(level / LEVEL_LIMIT, any_level / ANY_LEVEL_LIMIT), spread / SPREAD_LIMIT)
    joint[(known[:, np.newaxis] < AGES) | (FEWEST > AGES)] = 0.0
    strongest: FloatArray = reference.weight / (reference.weight + YOUTH) * joint.max(axis=1)
    return np.maximum(strongest, 0.0)
