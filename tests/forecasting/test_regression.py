"""The basis of the regression and its robust ridge weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trimtab.domain.series import FloatArray
from trimtab.forecasting.regression import Basis


def test_terms_hand_worked() -> None:
    # Nine steps of history: the slope is (t - 8) / 9; a period of 6 steps has harmonics 1 and 2.
    basis = Basis(9, (6.0,), trend=True)
    assert basis.harmonics == (2,)
    assert basis.roughness.tolist() == [0.0, 0.0, 1.0, 4.0, 1.0, 4.0]
    terms = basis.terms(np.array([3.0]))[:, 0]
    assert terms.tolist() == pytest.approx([1.0, -5 / 9, -1.0, 1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("periods", "harmonics"),
    [
        ((4.0,), (1,)),
        ((5.0,), (1,)),
        ((60.0,), (24,)),
        ((30.0,), (14,)),
        ((24.0, 168.0), (11, 8)),
        ((168.0, 24.0), (8, 11)),
    ],
)
def test_harmonics_by_length_of_the_period(periods: tuple[float, ...], harmonics: tuple[int, ...]) -> None:
    assert Basis(1000, periods).harmonics == harmonics


def test_trend_fades_to_a_quarter_of_the_history() -> None:
    basis = Basis(101, trend=True)
    slope = basis.terms(np.array([0.0, 100.0, 101.0, 1e9]))[1]
    assert slope.tolist() == pytest.approx([-100 / 101, 0.0, 0.98 / 101, 0.25], rel=0.01)


def test_evaluate_is_weights_times_terms() -> None:
    basis = Basis(300, (24.0, 100.0), trend=True)
    weights = np.random.default_rng(1).normal(size=basis.roughness.size)
    weights[0] = 100.0
    place = np.array([0.0, 17.3, 299.0, 412.5])
    assert basis.evaluate(weights, place) == pytest.approx(weights @ basis.terms(place))


def test_terms_of_a_block_are_means() -> None:
    basis = Basis(300, (24.0,), trend=True)
    one_by_one = basis.terms(np.arange(40.0, 45.0))
    assert basis.terms(np.array([42.0]), width=5)[:, 0] == pytest.approx(one_by_one.mean(axis=1))


def test_fit_recovers_a_wave_on_a_line() -> None:
    time = np.arange(480.0)
    values = 50 + 0.1 * time + 20 * np.cos(2 * np.pi * time / 48)
    basis = Basis(480, (48.0,), trend=True)
    assert basis.evaluate(basis.fit(values), time) == pytest.approx(values, abs=0.05)


def test_fit_withstands_wild_samples_and_gaps() -> None:
    rng = np.random.default_rng(2)
    time = np.arange(480.0)
    truth = 50 + 20 * np.cos(2 * np.pi * time / 48)
    values = truth + rng.normal(0, 1, 480)
    values[rng.random(480) < 0.05] = 1000.0
    values[100:130] = math.nan
    basis = Basis(480, (48.0,))
    assert np.abs(basis.evaluate(basis.fit(values), time) - truth).mean() < 1.5


@pytest.mark.parametrize("values", [np.zeros(50), np.append(np.full(49, math.nan), 3.0)], ids=["zero", "one sample"])
def test_fit_of_next_to_nothing(values: FloatArray) -> None:
    basis = Basis(50, (10.0,), trend=True)
    fitted = basis.evaluate(basis.fit(values), np.arange(60.0))
    assert np.isfinite(fitted).all()
    assert fitted[49] == pytest.approx(np.nanmax(values), abs=0.01)
