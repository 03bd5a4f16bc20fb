"""Correction by the errors of the recent past."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from trimtab.forecasting.correction import Correction, _despiked, fit_correction, window_means


def by_hand(weights: list[list[float]], relative: bool) -> Correction:
    return Correction((1, 2), np.array([1.0, 4.0]), np.array(weights), relative, mean=10.0, sigma=math.inf)


def testwindow_means_hand_worked() -> None:
    means = window_means(np.array([1.0, 3.0, math.nan, 5.0]), (1, 2))
    assert means.tolist() == [[1.0, 3.0, 3.0, 5.0], [1.0, 2.0, 3.0, 5.0]]


def test_correction_in_the_unit_hand_worked() -> None:
    # Newest error 2, mean of the last two 1; lead 1: 0.5 x 2 + 0.5 x 1 = 1.5, lead 4: 0 + 1 x 1 = 1.
    correction = by_hand([[0.5, 0.5], [0.0, 1.0]], relative=False)
    values, base = np.array([10.0, 12.0]), np.array([10.0, 10.0])
    paths = correction.correct(values, base, np.array([1]), np.full((1, 4), 20.0))
    assert paths[0, [0, 3]].tolist() == [21.5, 21.0]


def test_correction_relative_hand_worked() -> None:
    # Newest error is a fifth of the forecast; a forecast of 40 is then a fifth of 40 too low.
    correction = by_hand([[1.0, 0.0], [1.0, 0.0]], relative=True)
    paths = correction.correct(np.array([10.0, 12.0]), np.array([10.0, 10.0]), np.array([1]), np.full((1, 2), 40.0))
    assert paths[0].tolist() == [48.0, 48.0]


def test_never_below_nothing() -> None:
    correction = by_hand([[1.0, 0.0], [1.0, 0.0]], relative=False)
    paths = correction.correct(np.array([10.0, 0.0]), np.array([10.0, 10.0]), np.array([1]), np.full((1, 2), 3.0))
    assert paths[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("persistence", "near", "far"),
    [(0.0, (-0.2, 0.2), (-0.2, 0.2)), (0.9, (0.8, 0.95), (0.0, 0.6)), (1.0, (0.9, 1.0), (0.6, 1.0))],
)
def test_learns_how_errors_persist(persistence: float, near: tuple[float, float], far: tuple[float, float]) -> None:
    base = np.full(900, 1000.0)
    correction = fit_correction(base + autoregressive(900, persistence, 5.0, 1), base, (1, 5, 60))
    sums = correction.weights.sum(axis=1)
    assert near[0] <= sums[0] <= near[1]
    assert far[0] <= np.interp(30, correction.leads, sums) <= far[1]


def test_tells_relative_errors_from_absolute_ones() -> None:
    base = 100 + 90 * np.sin(2 * np.pi * np.arange(600) / 60)
    drift = autoregressive(600, 0.95, 0.2, 2)
    assert fit_correction(base * (1 + drift), base, (1, 5, 60)).relative
    assert not fit_correction(base + 100 * drift, base, (1, 5, 60)).relative


def test_one_spike_is_not_carried_on_but_a_shift_is() -> None:
    errors = np.zeros(10)
    errors[9] = 50.0
    assert _despiked(errors, 1.0)[9] == 0.0
    errors[8] = 50.0
    assert _despiked(errors, 1.0)[9] == 50.0


@pytest.mark.parametrize("length", [1, 3, 12])
def test_short_or_perfect_histories_correct_nothing(length: int) -> None:
    values = np.full(length, 5.0)
    assert (fit_correction(values, values, (1, 3, 60)).weights == 0.0).all()
    assert (fit_correction(values, np.full(length, math.nan), (1, 3, 60)).weights == 0.0).all()
