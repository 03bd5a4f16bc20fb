"""Seasonality: which periods are found, how exactly, and that noise has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.noise import autoregressive
from trimtab.analytics.folding import bins_of, fold, locking, median_profile
from trimtab.analytics.seasonality import SeasonFound, seasons
from trimtab.domain.series import FloatArray, Series


def sharp(length: int, period: float, phase: float = 0.0) -> FloatArray:
    """A narrow wave with unit standard deviation and many harmonics."""
    wave = np.exp(2 * np.cos(2 * np.pi * (np.arange(length) / period + phase)))
    unit: FloatArray = (wave - wave.mean()) / wave.std()
    return unit


def found_in(values: FloatArray, step_seconds: float = 1.0) -> tuple[SeasonFound, ...]:
    return seasons(Series(0.0, step_seconds, values))


@pytest.mark.parametrize("seasons_seen", [2.0, 2.5, 3.3, 5.0, 8.7, 40.0])
@pytest.mark.parametrize("period", [12.0, 59.65, 144.0])
def test_a_clean_season_is_found_exactly(seasons_seen: float, period: float) -> None:
    length = int(np.ceil(seasons_seen * period))
    (season,) = found_in(100 + 20 * sharp(length, period, 0.2) + np.random.default_rng(1).normal(0, 1, length))
    assert season.period_seconds == pytest.approx(period, rel=0.02 / seasons_seen)
    assert season.strength_percent >= 96


def test_compressed_day_with_a_period_that_is_no_whole_number_of_steps() -> None:
    """A day of 119.3 s, sampled each 2 s for five days, with 5 % noise."""
    length = 300
    wave = 100 + 40 * sharp(length, 119.3 / 2.0) * (1 + np.random.default_rng(2).normal(0, 0.05, length))
    (season,) = found_in(wave, 2.0)
    assert season.period_seconds == pytest.approx(119.3, abs=0.2)


@pytest.mark.parametrize(
    ("values", "period"),
    [
        pytest.param(50 + 30.0 * (np.arange(300) % 30 < 15), 30.0, id="square wave"),
        pytest.param(20 + 100.0 * (np.arange(300) % 20 == 0), 20.0, id="a spike each 20 steps"),
        pytest.param(20 + 10.0 * (np.arange(300) % 4 == 0), 4.0, id="four steps"),
        pytest.param(
            100 + 20 * np.sin(2 * np.pi * np.arange(300) / 50) + 0.5 * np.arange(300), 50.0, id="over a trend"
        ),
        pytest.param(np.abs(100 * np.sin(np.pi * np.arange(300) / 50)), 50.0, id="rectified"),
    ],
)
def test_shapes(values: FloatArray, period: float) -> None:
    (season,) = found_in(values + np.random.default_rng(5).normal(0, 0.5, values.size))
    assert season.period_seconds == pytest.approx(period, rel=0.002)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.zeros(300), id="zero"),
        pytest.param(np.full(300, 7.0), id="constant"),
        pytest.param(np.full(300, 1e9) + 1e-3 * np.random.default_rng(0).normal(size=300), id="rounding"),
        pytest.param(np.arange(300.0), id="line"),
        pytest.param(np.arange(300.0) ** 2, id="parabola"),
        pytest.param(np.exp(np.arange(300) / 60), id="exponential growth"),
        pytest.param(np.where(np.arange(300) > 180, 50.0, 20.0), id="level shift"),
        pytest.param(np.where(np.arange(300) == 180, 500.0, 20.0), id="one spike"),
        pytest.param(100 + 40 * np.sin(2 * np.pi * np.arange(300) / 200), id="one and a half seasons"),
        pytest.param(np.array([1.0, 2.0] * 5), id="ten samples"),
        pytest.param(np.empty(0), id="empty"),
        pytest.param(np.full(300, np.nan), id="missing"),
    ],
)
def test_no_season(values: FloatArray) -> None:
    assert found_in(values) == ()


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.9, 0.98, 1.0])
def test_noise_has_no_season(persistence: float) -> None:
    """60 seeded series of 400 samples, from white noise to a random walk; at most 3 may fool it."""
    assert sum(bool(found_in(100 + autoregressive(400, persistence, 5.0, seed))) for seed in range(60)) <= 3


def test_a_weak_season_is_found_when_it_was_seen_often() -> None:
    """Half of the variance is autocorrelated noise; 20 seasons."""
    length = 1200
    hits = [found_in(100 + sharp(length, 60.0) + autoregressive(length, 0.7, 1.0, seed)) for seed in range(20)]
    good = [one for one in hits if one and abs(one[0].period_seconds / 60.0 - 1.0) < 0.01]
    assert len(good) >= 18
    assert 35 <= np.mean([one[0].strength_percent for one in good]) <= 65


def test_two_humps_a_day_are_one_season() -> None:
    phase = np.arange(7 * 288) / 288
    day = 100 * np.exp(4 * (np.cos(2 * np.pi * (phase - 0.35)) - 1)) + 60 * np.exp(
        9 * (np.cos(2 * np.pi * (phase - 0.8)) - 1)
    )
    (season,) = found_in(day + np.random.default_rng(0).normal(0, 3, day.size), 300.0)
    assert season.period_seconds == 86400.0


def test_day_and_week() -> None:
    hour = np.arange(28 * 24)
    week = np.where((hour // 24) % 7 >= 5, 0.5, 1.0)
    values = 100 * np.exp(np.cos(2 * np.pi * hour / 24)) * week
    found = found_in(values + np.random.default_rng(0).normal(0, 8, hour.size), 3600.0)
    assert [one.period_seconds for one in found] == [86400.0, 604800.0]
    assert found[0].strength_percent > found[1].strength_percent


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("step", [300.0, 600.0])
def test_hour_day_and_week_at_once(step: float, seed: int) -> None:
    time = np.arange(int(28 * 86400 / step)) * step
    week = np.where((time // 86400) % 7 >= 5, -25.0, 0.0)
    waves = 40 * np.sin(2 * np.pi * time / 86400) + 15 * np.sin(2 * np.pi * time / 3600)
    values = 100 + waves + week + np.random.default_rng(seed).normal(0, 8, time.size)
    found = seasons(Series(0.0, step, values), limit=4)
    assert {one.period_seconds for one in found} == {3600.0, 86400.0, 604800.0}


def test_a_profile_by_medians_is_not_moved_by_one_odd_season() -> None:
    bins, count = bins_of(240, 24.0)
    wave = np.sin(2 * np.pi * np.arange(240) / 24)
    odd = wave + 50.0 * (np.arange(240) < 24)
    found = median_profile(odd, np.ones(240, dtype=bool), bins, count)
    assert np.allclose(found[bins], wave, atol=1e-9)


def test_bins_of_a_whole_period_hold_as_many_each() -> None:
    bins, count = bins_of(960, 96.0)
    assert count == 48
    assert set(np.bincount(bins).tolist()) == {20}


def test_people_live_by_the_clock() -> None:
    """Days whose peak wanders by an hour are still days, and a day of 25 hours stays one."""
    step, length = 240.0, 2520
    rng = np.random.default_rng(4)
    for period, expected in ((86400.0, 86400.0), (90000.0, pytest.approx(90000.0, rel=0.01))):
        day = (np.arange(length) * step / period).astype(int)
        phase = np.arange(length) * step / period + rng.normal(0, 0.03, 20)[day]
        (season, *_) = found_in(100 + 50 * np.cos(2 * np.pi * phase) + rng.normal(0, 10, length), step)
        assert season.period_seconds == expected


def test_gaps_do_not_hide_it() -> None:
    rng = np.random.default_rng(7)
    values = 100 + 40 * sharp(300, 59.65) + rng.normal(0, 3, 300)
    values[rng.random(300) < 0.25] = np.nan
    values[100:140] = np.nan
    (season,) = found_in(values, 2.0)
    assert season.period_seconds == pytest.approx(119.3, abs=0.3)


@settings(max_examples=25, deadline=None)
@given(power=st.integers(-30, 30), start=st.floats(0, 2e9), seed=st.integers(0, 20))
def test_scale_and_time_change_nothing(power: int, start: float, seed: int) -> None:
    values = 100 + 20 * sharp(200, 31.7) + autoregressive(200, 0.5, 6.0, seed)
    (scaled,), (plain,) = seasons(Series(start, 60.0, values * 2.0**power)), seasons(Series(0.0, 60.0, values))
    assert scaled.period_seconds == pytest.approx(plain.period_seconds, rel=1e-6)
    assert scaled.strength_percent == plain.strength_percent


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.one_of(st.floats(0, 1e9), st.just(float("nan")), st.just(float("inf"))), max_size=80))
def test_anything_goes(values: list[float]) -> None:
    for season in found_in(np.array(values, dtype=np.float64)):
        assert 3.9 <= season.period_seconds <= len(values) / 2 + 1
        assert 0 <= season.strength_percent <= 100


def test_fold_splits_a_series_into_its_parts() -> None:
    time = np.arange(240)
    values = 10 + 0.1 * time + 5.0 * (time % 24 < 12)
    folded = fold(values, np.ones(240, dtype=bool), 24.0)
    assert np.allclose(folded.trend + folded.seasonal + folded.remainder, values)
    assert np.ptp(folded.seasonal) == pytest.approx(5.0, abs=1.2)
    assert folded.strength > 0.97


def test_strength_of_noise_is_about_nothing() -> None:
    """The correction for degrees of freedom: without it 24 bins of 10 seasons would explain a tenth of any noise."""
    known = np.ones(240, dtype=bool)
    strengths = [fold(autoregressive(240, 0.0, 1.0, seed), known, 24.0).strength for seed in range(40)]
    assert abs(float(np.mean(strengths))) < 0.03


def test_locking_tells_a_common_phase_from_chance() -> None:
    known = np.ones(480, dtype=bool)
    assert locking(sharp(480, 24.0), known, 24.0).ratio > 10
    assert locking(autoregressive(480, 0.0, 1.0, 3), known, 24.0).ratio < 2.5
    assert locking(sharp(40, 24.0), known[:40], 24.0).p_value == 1.0
