"""Trend: direction, slope and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.noise import autoregressive
from trimtab.analytics.trend import Direction, NoTrend, Trend, trend
from trimtab.domain.series import FloatArray, Series


def of(values: FloatArray, step_seconds: float = 60.0, periods: tuple[float, ...] = ()) -> Trend:
    found = trend(Series(0.0, step_seconds, values), periods)
    assert isinstance(found, Trend)
    return found


def test_hand_worked_line() -> None:
    # 2 a minute is 120 an hour; the median of 0, 2, ..., 118 is 59.
    found = of(2.0 * np.arange(60.0))
    assert found.slope_per_hour == pytest.approx(120.0)
    assert [found.lower, found.upper] == pytest.approx([120.0, 120.0])
    assert found.percent_per_hour == pytest.approx(100 * 120 / 59)
    assert found.direction is Direction.RISING


@pytest.mark.parametrize(
    ("values", "direction"),
    [
        pytest.param(np.zeros(50), Direction.STEADY, id="zero"),
        pytest.param(np.full(50, 7.0), Direction.STEADY, id="constant"),
        pytest.param(100 - np.arange(50.0), Direction.FALLING, id="falling"),
        pytest.param(1000 + 0.1 * np.arange(50.0), Direction.STEADY, id="half a percent in all is steady"),
        pytest.param(1000 + 0.3 * np.arange(50.0), Direction.RISING, id="one and a half percent is not"),
        pytest.param(np.random.default_rng(0).normal(100, 10, 200), Direction.STEADY, id="noise"),
    ],
)
def test_direction(values: FloatArray, direction: Direction) -> None:
    assert of(values).direction is direction


def test_wild_samples_do_not_tilt_it() -> None:
    rng = np.random.default_rng(3)
    values = 100 + 0.5 * np.arange(300.0) + rng.normal(0, 2, 300)
    values[rng.random(300) < 0.1] = 5000.0
    assert of(values).slope_per_hour == pytest.approx(30.0, rel=0.05)


def test_a_part_of_a_season_is_not_a_trend() -> None:
    time = np.arange(135.0)
    wave = 100 + 40 * np.sin(2 * np.pi * time / 60)
    assert of(wave).slope_per_hour != pytest.approx(0.0, abs=5.0)
    assert of(wave, periods=(3600.0,)).slope_per_hour == pytest.approx(0.0, abs=5.0)


def test_slope_under_a_season() -> None:
    time = np.arange(300.0)
    values = 100 + 40 * np.sin(2 * np.pi * time / 60 + 1) + 0.05 * time + np.random.default_rng(1).normal(0, 3, 300)
    found = of(values, 2.0, (120.0,))
    assert found.lower <= 0.05 * 1800 <= found.upper
    assert found.direction is Direction.RISING


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.9])
def test_interval_covers_no_slope_in_noise(persistence: float) -> None:
    """95 % intervals over 100 seeded series of 300 samples; 0 is the true slope."""
    found = [of(100 + autoregressive(300, persistence, 5.0, seed)) for seed in range(100)]
    assert sum(one.lower <= 0.0 <= one.upper for one in found) >= 88


def test_gaps_are_left_out() -> None:
    values = 2.0 * np.arange(120.0)
    values[30:70] = np.nan
    assert of(values).slope_per_hour == pytest.approx(120.0)


@pytest.mark.parametrize(
    "values",
    [np.empty(0), np.arange(7.0), np.append(np.full(300, np.nan), np.arange(8.0))],
    ids=["none", "7", "a tail"],
)
def test_too_little(values: FloatArray) -> None:
    assert isinstance(trend(Series(0.0, 60.0, values)), NoTrend)


def test_the_same_at_any_time() -> None:
    values = 100 + autoregressive(200, 0.5, 5.0, 1)
    assert trend(Series(1.7e9, 60.0, values)) == trend(Series(0.0, 60.0, values))


@settings(max_examples=30, deadline=None)
@given(power=st.integers(-20, 20), seed=st.integers(0, 50))
def test_scale_equivariant(power: int, seed: int) -> None:
    values = 100 + autoregressive(80, 0.5, 5.0, seed)
    small, large = of(values), of(values * 2.0**power)
    assert large.slope_per_hour == pytest.approx(small.slope_per_hour * 2.0**power)
    assert large.percent_per_hour == pytest.approx(small.percent_per_hour)
    assert large.direction is small.direction


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.one_of(st.floats(0, 1e9), st.just(float("nan"))), max_size=60))
def test_never_not_a_number(values: list[float]) -> None:
    found = trend(Series(0.0, 60.0, np.array(values, dtype=np.float64)), (600.0,))
    if isinstance(found, Trend):
        assert np.isfinite([found.slope_per_hour, found.lower, found.upper, found.percent_per_hour]).all()
        assert found.lower <= found.slope_per_hour <= found.upper
