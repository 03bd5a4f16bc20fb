"""Paths: their spread at each lead, and how their errors hang together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from tests.forecasting.demands import noisy_sine
from trimtab.domain.series import Series
from trimtab.forecasting.forecast import Forecast, forecast
from trimtab.forecasting.intervals import calibrate
from trimtab.forecasting.joint import Dependence, dependence, sample


def measured(persistence: float, steady: float) -> Dependence:
    rng = np.random.default_rng(1)
    rest = np.stack([autoregressive(40, persistence, 1.0, seed) for seed in range(200)])
    errors = math.sqrt(steady) * rng.standard_normal((200, 1)) + math.sqrt(1 - steady) * rest / rest.std()
    forecasts = np.full(errors.shape, 100.0)
    return dependence(errors, forecasts, calibrate(errors, forecasts))


@pytest.mark.parametrize(("persistence", "steady"), [(0.0, 0.0), (0.0, 0.5), (0.6, 0.0), (0.4, 0.5)])
def test_dependence_is_found_again(persistence: float, steady: float) -> None:
    law = measured(persistence, steady)
    assert law.persistence == pytest.approx(persistence, abs=0.2)
    assert law.steady == pytest.approx(steady, abs=0.15)


def test_nothing_known_hangs_together_in_no_way() -> None:
    errors = np.full((3, 5), math.nan)
    assert dependence(errors, np.ones((3, 5)), calibrate(errors, np.ones((3, 5)))) == Dependence(0.0, 0.0)


def ahead(seed: int = 3) -> Forecast:
    series = Series(0.0, 60.0, noisy_sine(420, seed))
    found = forecast(series, now=series.end, horizon_seconds=2400.0)
    assert isinstance(found, Forecast)
    return found


def test_paths_are_spread_as_the_intervals() -> None:
    found = ahead()
    paths = found.paths(4000, seed=1)
    assert paths.shape == (4000, 40)
    width = found.upper - found.lower
    for q in (0.05, 0.5, 0.95):
        assert (np.abs(np.quantile(paths, q, axis=0) - found.quantile(q)) < 0.08 * width).all()
    assert (paths >= 0).all()


def test_paths_hang_together_as_the_law_says() -> None:
    found = ahead()
    law = found.state.dependence
    paths = found.paths(4000, seed=2)
    for apart in (1, 4, 16):
        seen = np.corrcoef(paths[:, 10], paths[:, 10 + apart])[0, 1]
        assert seen == pytest.approx(law.steady + (1 - law.steady) * law.persistence**apart, abs=0.08)


def test_leads_between_steps_hang_together_more() -> None:
    calibration = calibrate(np.random.default_rng(4).normal(0, 1, (300, 1)), np.full((300, 1), 50.0))
    leads = 1.0 + np.arange(8) / 4.0
    paths = sample(calibration, Dependence(0.0, 0.5), np.full(8, 50.0), leads, 4000, 5)
    assert np.corrcoef(paths[:, 0], paths[:, 4])[0, 1] == pytest.approx(0.5, abs=0.06)
    assert np.corrcoef(paths[:, 0], paths[:, 1])[0, 1] == pytest.approx(0.5**0.25, abs=0.05)


def test_the_same_seed_gives_the_same_paths() -> None:
    found = ahead()
    assert np.array_equal(found.paths(10, seed=1), found.paths(10, seed=1))
    assert not np.array_equal(found.paths(10, seed=1), found.paths(10, seed=2))
    with pytest.raises(ValueError, match="count"):
        found.paths(0)


def test_the_peak_holds_what_it_says() -> None:
    """The largest of 20 values to come is below the 90 % quantile of the peak in some 90 of 100 series."""
    below, pointwise = [], []
    for seed in range(60):
        values = 100 + autoregressive(330, 0.3, 8.0, seed)
        past = Series(0.0, 60.0, values[:-20])
        found = forecast(past, now=past.end, horizon_seconds=1200.0)
        assert isinstance(found, Forecast)
        top = values[-20:].max()
        below.append(top <= found.peak(found.times[-1], 0.9)[0])
        pointwise.append(top <= found.quantile(0.9).max())
    assert 0.8 <= np.mean(below) <= 1.0
    assert np.mean(pointwise) < 0.5
