"""Mended histories, and the simplest forecasts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.forecasting.demands import sine
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.forecast import Forecast, forecast
from trimtab.forecasting.remedy import Mend, MendKind, Training, fallen_back, find_mend, naive_path

PERIOD, OLD = 48, 480
STEP = 60.0


def wave(steps: NDArray[Any]) -> FloatArray:
    """A season of 48 steps that is no plain sine."""
    angle = 2 * np.pi * steps / PERIOD
    return np.asarray(100 + 40 * np.sin(angle) + 15 * np.cos(2 * angle))


def series(after: FloatArray, noise: float = 2.0) -> Series:
    """Ten seasons, and ``after``."""
    values = np.concatenate([wave(np.arange(OLD)), after])
    return Series(0.0, STEP, values + noise * np.random.default_rng(1).standard_normal(values.size))


def mend(seen: Series) -> Mend | None:
    return find_mend(seen, OLD * STEP, PERIOD * STEP)


def test_a_higher_level_is_an_offset() -> None:
    found = mend(series(wave(np.arange(OLD, OLD + PERIOD)) + 50.0))
    assert found is not None
    assert found.kind is MendKind.OFFSET
    assert found.amount == pytest.approx(50.0, abs=2.0)


def test_a_larger_demand_is_a_factor() -> None:
    found = mend(series(wave(np.arange(OLD, OLD + PERIOD)) * 1.5))
    assert found is not None
    assert found.kind is MendKind.FACTOR
    assert found.amount == pytest.approx(1.5, abs=0.03)


@pytest.mark.parametrize("shift", [-12, 7, 12, 20])
def test_a_moved_season_is_a_phase(shift: int) -> None:
    found = mend(series(wave(np.arange(OLD, OLD + 30) + shift)))
    assert found is not None
    assert found.kind is MendKind.PHASE
    assert found.amount == pytest.approx(shift * STEP, abs=STEP)


def test_nothing_is_mended_without_a_change() -> None:
    assert mend(series(wave(np.arange(OLD, OLD + PERIOD)))) is None


def test_too_few_samples_are_not_mended() -> None:
    assert mend(series(np.array([500.0, 500.0]))) is None


def test_without_a_season_the_level_is_mended() -> None:
    values = np.concatenate([np.full(200, 10.0), np.full(20, 30.0)])
    found = find_mend(Series(0.0, STEP, values), 200 * STEP, 0.0)
    assert found is not None
    assert found.apply(Series(0.0, STEP, values)).values == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("kind", "amount", "expected"),
    [
        (MendKind.OFFSET, -2.0, [0.0, 0.0, 1.0, 9.0]),
        (MendKind.FACTOR, 2.0, [2.0, 4.0, 6.0, 9.0]),
        (MendKind.PHASE, STEP, [2.0, 3.0, np.nan, 9.0]),
        (MendKind.PHASE, -STEP, [np.nan, 1.0, 2.0, 9.0]),
    ],
)
def test_only_what_is_older_than_the_change_is_mended(kind: MendKind, amount: float, expected: list[float]) -> None:
    mended = Mend(kind, 3 * STEP, amount).apply(Series(0.0, STEP, np.array([1.0, 2.0, 3.0, 9.0])))
    np.testing.assert_array_equal(mended.values, expected)


def test_training_keeps_three_mends_and_what_is_new_enough() -> None:
    training = Training()
    for at in range(5):
        training = training.mended(Mend(MendKind.OFFSET, float(at), 1.0))
    assert [one.change for one in training.mends] == [2.0, 3.0, 4.0]
    kept = Training(since=2 * STEP).of(Series(0.0, STEP, np.arange(5.0)))
    assert (kept.start, kept.values.tolist()) == (2 * STEP, [2.0, 3.0, 4.0])


def test_naive_paths_know_nothing_after_their_origin() -> None:
    seen = Series(0.0, 1.0, np.arange(10.0))
    times = np.array([8.0, 9.0, 12.0])
    assert naive_path(seen, 7.0, times, 4.0).tolist() == [4.0, 5.0, 4.0]
    assert naive_path(seen, 7.0, times, 0.0).tolist() == [7.0, 7.0, 7.0]
    assert np.isnan(naive_path(seen, 1.0, np.array([2.0]), 4.0)).all()


@pytest.mark.parametrize("period", [60.0, 0.0])
def test_a_fallback_has_intervals_of_its_own(period: float) -> None:
    seen = Series(0.0, 1.0, sine(300) + np.random.default_rng(2).normal(0.0, 3.0, 300))
    champion = forecast(seen, now=seen.end, horizon_seconds=20.0, model="SeasonalNaive")
    assert isinstance(champion, Forecast)
    found = fallen_back(champion, seen, seen.end, 200.0, period, 0.9)
    assert found is not None
    assert found.model == ("SeasonalNaive" if period else "LastValue")
    assert found.mean[0] == (seen.values[240] if period else seen.values[-1])
    assert (found.lower <= found.mean).all()
    assert (found.mean <= found.upper).all()
    assert found.quantile(0.95) == pytest.approx(found.upper)


def test_no_fallback_without_the_season_before() -> None:
    seen = Series(0.0, 1.0, sine(30))
    champion = forecast(seen, now=seen.end, horizon_seconds=20.0, model="SeasonalNaive")
    assert isinstance(champion, Forecast)
    assert fallen_back(champion, seen, seen.end, 0.0, 60.0, 0.9) is None
