"""Choice of a model by backtest."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from tests.forecasting.demands import compressed_day, noisy_sine, sine
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.linear import SeasonalLinear
from trimtab.forecasting.models import LastValue, Model, SeasonalNaive
from trimtab.forecasting.selection import Choice, NoChoice, choose

HOUR = 3600.0
SEASONAL = [LastValue(), SeasonalNaive(HOUR), SeasonalLinear((HOUR,), levelled=True), SeasonalLinear((HOUR,))]


def chosen(values: FloatArray, candidates: list[Model], period_seconds: float = HOUR, steps: int = 20) -> Choice:
    choice = choose(Series(0.0, 60.0, values), steps, candidates, period_seconds)
    assert isinstance(choice, Choice)
    return choice


def test_error_of_naive_hand_worked() -> None:
    """Growth by 1 a step: held over 1 and 2 steps it misses by 1 and 2; a season of 4 ago it misses by 4."""
    choice = chosen(np.arange(60.0), [LastValue()], 240.0, steps=2)
    assert choice.error_percent_of_naive == round(100 * 1.5 / 4)
    assert np.nanmax(choice.errors, axis=0).tolist() == [1.0, 2.0]


def test_errors_end_with_the_series() -> None:
    choice = chosen(noisy_sine(300, seed=1), SEASONAL, steps=20)
    assert choice.errors.shape == choice.forecasts.shape
    assert np.isfinite(choice.errors[-1]).sum() <= 3
    assert np.isfinite(choice.errors[0]).all()


@pytest.mark.parametrize("seed", range(8))
def test_beats_textbook_on_season_and_growth(seed: int) -> None:
    choice = chosen(noisy_sine(480, seed, sigma=3.0) + 0.4 * np.arange(480), SEASONAL)
    assert choice.error_percent_of_naive is not None
    assert choice.error_percent_of_naive < 40
    assert not isinstance(choice.model, LastValue)


def test_last_value_wins_on_random_walks() -> None:
    candidates = [LastValue(), SeasonalLinear()]
    walks = [chosen(1000 + autoregressive(400, 1.0, 5.0, seed), candidates, 0.0) for seed in range(20)]
    assert sum(isinstance(choice.model, LastValue) for choice in walks) >= 17


def test_a_level_wins_over_the_last_value_in_noise() -> None:
    choice = chosen(100 + autoregressive(400, 0.0, 5.0, 1), [LastValue(), SeasonalLinear()], 0.0)
    assert isinstance(choice.model, SeasonalLinear)
    assert choice.error_percent_of_naive == pytest.approx(71, abs=6)


def test_the_simpler_of_equals_is_taken() -> None:
    choice = chosen(np.full(100, 7.0), [LastValue(), SeasonalLinear()], 0.0)
    assert isinstance(choice.model, LastValue)
    assert choice.error_percent_of_naive == 100


def test_no_percent_of_nothing() -> None:
    """The textbook makes no error at all; the last value does."""
    assert chosen(np.tile([1.0, 5.0], 50), [LastValue()], 120.0).error_percent_of_naive is None


def test_steep_edges_are_not_smoothed_away() -> None:
    choice = chosen(compressed_day("square", 60.0, 7.0, 0.03, 1), SEASONAL)
    assert isinstance(choice.model, SeasonalNaive)


@pytest.mark.parametrize(
    "values",
    [np.full(9, 5.0), sine(60), np.append(np.full(400, np.nan), sine(70)), np.full(400, np.nan)],
    ids=["nine samples", "one season", "one season after a gap", "nothing"],
)
def test_too_short(values: FloatArray) -> None:
    assert isinstance(choose(Series(0.0, 60.0, values), 20, SEASONAL, HOUR), NoChoice)


def test_outcomes_are_samples_where_the_series_is_of_means() -> None:
    samples = np.stack([np.full(100, 90.0), np.full(100, 110.0)], axis=1)
    choice = choose(Series(0.0, 60.0, samples.mean(axis=1)), 4, [LastValue()], 0.0, samples)
    assert isinstance(choice, Choice)
    assert set(np.abs(choice.errors[np.isfinite(choice.errors)])) == {10.0}
