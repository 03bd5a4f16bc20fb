"""Measured: coverage of the intervals and size of the errors, on seeded simulations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from tests.forecasting.demands import compressed_day, noisy_sine, sine
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.forecast import Forecast, forecast
from trimtab.forecasting.state import FittedState

SERIES = 40


@pytest.mark.parametrize(
    "simulated",
    [
        pytest.param(lambda seed: noisy_sine(450, seed), id="AR(0.7) noise"),
        pytest.param(lambda seed: noisy_sine(450, seed, 0.0), id="white noise"),
        pytest.param(lambda seed: noisy_sine(450, seed, 0.9), id="AR(0.9) noise"),
        pytest.param(
            lambda seed: np.random.default_rng(seed).poisson(sine(450, level=20.0, swing=18.0)).astype(float),
            id="counts",
        ),
        pytest.param(lambda seed: compressed_day("ramp", 60.0, 7.5, 0.05, seed), id="noise in proportion"),
        pytest.param(lambda seed: 100 + autoregressive(330, 0.7, 8.0, seed), id="no season"),
    ],
)
def test_ninety_percent_intervals_hold_85_to_95(simulated: Callable[[int], FloatArray]) -> None:
    """Each of 40 seeded series is cut 30 steps before its end; the share of these steps inside the interval counts."""
    inside = []
    for seed in range(SERIES):
        values = simulated(seed)
        past = Series(0.0, 60.0, values[:-30])
        found = forecast(past, now=past.end, horizon_seconds=1800.0, confidence=0.9)
        assert isinstance(found, Forecast)
        inside.append((values[-30:] >= found.lower) & (values[-30:] <= found.upper))
    assert 0.85 <= float(np.mean(inside)) <= 0.95


@pytest.mark.parametrize("shape", ["ramp", "peak", "square"])
def test_error_on_a_compressed_day_is_near_the_noise(shape: str) -> None:
    """A day of 90 s sampled each second, six days seen, 4 % noise; forecasts each 4 s over one more day.

    Their error over the demand, at leads of 5, 10, 20 and 40 s, against that of who knows the wave and not the noise.
    """
    values, wave = (compressed_day(shape, 90.0, 7.5, noise, seed=21) for noise in (0.04, 0.0))
    leads = np.array([5, 10, 20, 40])
    state: FittedState | None = None
    errors, floors = [], []
    for origin in range(6 * 90, 7 * 90, 4):
        past = Series(0.0, 1.0, values[: origin + 1])
        found = forecast(past, now=past.end, horizon_seconds=40.0, previous=state)
        assert isinstance(found, Forecast)
        state = found.state
        errors.append(np.abs(found.mean[leads - 1] - values[origin + leads]))
        floors.append(np.abs(wave[origin + leads] - values[origin + leads]))
    assert (np.mean(errors, axis=0) < 1.5 * np.mean(floors, axis=0)).all()
    assert np.mean(errors) < 1.3 * np.mean(floors)


def test_a_shift_of_the_whole_day_is_followed() -> None:
    """Since yesterday the demand is 1.6 times what it was: forecasts are within a fifth of it, not of the old one."""
    values = noisy_sine(420, seed=1, sigma=3.0)
    values[300:] *= 1.6
    past = Series(0.0, 60.0, values)
    found = forecast(past, now=past.end, horizon_seconds=1800.0)
    assert isinstance(found, Forecast)
    assert found.mean == pytest.approx(1.6 * sine(450)[420:], rel=0.2)
    assert (found.upper < 4 * sine(450)[420:]).all()
