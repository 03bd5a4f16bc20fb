"""Exponential smoothing, damped trend and Theta."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.models import Model
from trimtab.forecasting.smoothing import DampedTrend, Smoothing, Theta, _levels, _slopes, knots, nearest

MODELS: list[Model] = [Smoothing(), DampedTrend(), Theta()]


def series(values: FloatArray) -> Series:
    return Series(0.0, 60.0, values)


def test_level_hand_worked_with_a_gap() -> None:
    """With a pace of a half the weights are 1, 1/2, 1/4 by age; what is missing has none."""
    level = _levels(np.array([2.0, 4.0, math.nan, 8.0]), (0.5,))[0]
    assert level[:2].tolist() == [2.0, pytest.approx((4 + 2 / 2) / 1.5)]
    assert level[2] == level[1]
    assert level[3] == pytest.approx((8 + 4 / 4 + 2 / 8) / (1 + 1 / 4 + 1 / 8))


def test_slopes_are_those_of_least_squares() -> None:
    values = np.random.default_rng(1).normal(5.0, 1.0, 50)
    values[20:25] = math.nan
    known = np.isfinite(values)
    assert _slopes(values)[-1] == pytest.approx(np.polyfit(np.arange(50)[known], values[known], 1)[0])


def test_holt_hand_worked() -> None:
    """One step: error 10 - 0; level 0.5 x 10, trend 0.5 x 0.2 x 10, faded once."""
    fitted = DampedTrend().fit(series(np.arange(60.0)))
    one = type(fitted)(np.array([0.0, 10.0]), 0.5, 0.2, 0.9)  # type: ignore[call-arg]
    path = one.predict(2)
    assert path[0] == pytest.approx(5.0 + 0.9 * 1.0)
    assert path[1] == pytest.approx(5.0 + (0.9 + 0.81) * 1.0)


def test_near_leads_follow_and_far_ones_keep_to_the_mean() -> None:
    values = 100 + autoregressive(600, 0.9, 10.0, 2)
    values[-3:] = 150.0
    path = Smoothing().fit(series(values)).predict(190)
    assert path[0] > 130
    assert path[-1] == pytest.approx(100.0, abs=12.0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "values",
    [
        np.array([5.0]),
        np.array([math.nan, 5.0, math.nan]),
        np.full(300, 5.0),
        np.concatenate([np.full(100, 5.0), np.full(300, math.nan), np.full(2, 5.0)]),
    ],
    ids=["one", "one between gaps", "constant", "long gap"],
)
def test_little_to_go_by_stays_level(model: Model, values: FloatArray) -> None:
    assert model.fit(series(values)).predict(40) == pytest.approx(np.full(40, 5.0))


@pytest.mark.parametrize("model", MODELS)
def test_each_origin_knows_its_past_only(model: Model) -> None:
    values = 100 + autoregressive(300, 0.8, 10.0, 3)
    fitted = model.fit(series(values))
    changed = values.copy()
    changed[201:] = 0.0
    origins = np.array([100, 200])
    assert np.array_equal(fitted.paths(values, origins, 20), fitted.paths(changed, origins, 20))


def test_knots_and_the_nearest_of_them() -> None:
    leads = knots(300)
    assert leads[0] == 1
    assert leads[-1] == 100
    assert leads[nearest(leads, 200)][[0, 99, 199]].tolist() == [1, 100, 100]
