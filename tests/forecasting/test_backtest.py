"""What a backtest tells people, and how far intervals are widened for it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.forecasting.demands import noisy_sine, sine
from trimtab.domain.series import Series
from trimtab.forecasting.backtest import CHOSEN, MOST_WIDENING, NO_BACKTEST, held_out
from trimtab.forecasting.forecast import Forecast, forecast


def test_steady_errors_are_covered_and_hardly_widened() -> None:
    errors = np.random.default_rng(1).normal(0, 5, (60, 20))
    coverage, widening = held_out(errors, np.full((60, 20), 100.0))
    assert coverage == pytest.approx(90.0, abs=5.0)
    assert CHOSEN <= widening < 1.15


def test_errors_that_grew_are_widened_for() -> None:
    errors = np.random.default_rng(2).normal(0, 5, (60, 20))
    errors[40:] *= 3.0
    coverage, widening = held_out(errors, np.full((60, 20), 100.0))
    assert coverage is not None
    assert coverage < 55
    assert widening == pytest.approx(CHOSEN * math.sqrt(MOST_WIDENING))


@pytest.mark.parametrize("errors", [np.zeros((4, 3)), np.full((60, 3), math.nan)], ids=["few origins", "nothing known"])
def test_nothing_to_measure(errors: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    assert held_out(errors, np.ones(errors.shape)) == (None, CHOSEN)


def test_a_forecast_that_makes_no_error_is_covered() -> None:
    assert held_out(np.zeros((60, 3)), np.ones((60, 3))) == (100.0, CHOSEN)


def test_what_people_see() -> None:
    series = Series(0.0, 60.0, noisy_sine(420, seed=1))
    found = forecast(series, now=series.end, horizon_seconds=1800.0)
    assert isinstance(found, Forecast)
    told = {one.model: one for one in found.backtest.scores}
    assert {"LastValue", "SeasonalNaive 1h, textbook", "SeasonalNaive 1h", "LagRegression 1h", "Theta"} <= set(told)
    assert told["SeasonalNaive 1h, textbook"].error_percent_of_naive == 100
    assert sum(one.share for one in found.backtest.scores) == pytest.approx(1.0)
    assert found.backtest.origins >= 60
    assert found.backtest.steps == 30
    assert found.backtest.coverage_percent is not None
    assert 60 < found.backtest.coverage_percent <= 100


def test_no_backtest_of_a_few_samples() -> None:
    series = Series(0.0, 60.0, sine(5))
    found = forecast(series, now=series.end, horizon_seconds=600.0)
    assert isinstance(found, Forecast)
    assert found.backtest == NO_BACKTEST
