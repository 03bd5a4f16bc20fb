"""What is expected of the next sample: level, seasons, persistence and spread."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from trimtab.analytics.copying import copied
from trimtab.analytics.expectation import Expectation, profiles_of
from trimtab.analytics.seasonality import SeasonFound
from trimtab.domain.series import FloatArray, Series

STEP = 60.0
DAY = 86_400.0


def fed(values: FloatArray, model: Expectation | None = None, start: int = 0) -> Expectation:
    model = model or Expectation.start(STEP)
    for index, value in enumerate(values.tolist(), start):
        time = index * STEP
        model.learn(time, value, model.at(time))
    return model


def test_level_and_spread_of_white_noise() -> None:
    model = fed(100 + np.random.default_rng(1).normal(0, 10, 5000))
    ahead = model.at(5000 * STEP)
    assert ahead.base == pytest.approx(100, abs=4)
    assert ahead.scale == pytest.approx(10, rel=0.1)
    assert model.persistence < 0.1


@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_persistence_makes_the_spread_around_the_next_sample_smaller(rho: float) -> None:
    model = fed(100 + autoregressive(8000, rho, 10.0, 1))
    ahead = model.at(8000 * STEP)
    assert model.persistence == pytest.approx(rho, abs=0.07)
    assert ahead.scale == pytest.approx(10 * np.sqrt(1 - rho**2), rel=0.12)


@pytest.mark.parametrize(("power", "low", "high"), [(0.0, 0.0, 0.15), (0.5, 0.3, 0.7), (1.0, 0.8, 1.0)])
def test_sigma_follows_the_level_as_it_was_seen_to(power: float, low: float, high: float) -> None:
    times = np.arange(6000) * STEP
    base = 200 * (1 + 0.6 * np.sin(2 * np.pi * times / DAY))
    noise = np.random.default_rng(2).normal(size=6000)
    values = base + 10 * (base / 200) ** power * noise
    model = Expectation.start(STEP)
    model.reseason([SeasonFound(DAY, 90)], Series(0.0, STEP, values))
    assert low <= fed(values, model).power <= high


def test_one_wild_sample_hardly_teaches() -> None:
    values = 100 + np.random.default_rng(3).normal(0, 10, 500)
    calm = fed(values).at(500 * STEP)
    values[-1] = 1e6
    wild = fed(values).at(500 * STEP)
    assert wild.base == pytest.approx(calm.base, abs=2.5 * 10 / 50 + 0.5)
    assert wild.scale == pytest.approx(calm.scale, rel=0.02)


def test_season_is_read_off_and_then_followed() -> None:
    times = np.arange(5 * 1440) * STEP
    values = 100 + 50 * np.sin(2 * np.pi * times / DAY)
    model = Expectation.start(STEP)
    model.reseason([SeasonFound(DAY, 90)], Series(0.0, STEP, values[:2880]))
    fed(values, model)
    quarter = 5 * DAY + DAY / 4
    assert model.at(5 * DAY).base + 50 == pytest.approx(model.at(quarter).base, abs=3)


def test_profile_of_day_and_week() -> None:
    times = np.arange(28 * 96) * 900.0
    day, week = 30 * np.sin(2 * np.pi * times / DAY), 10 * np.sin(2 * np.pi * times / (7 * DAY))
    found = profiles_of(Series(0.0, 900.0, 100 + day + week), [DAY, 7 * DAY])
    for period, wave in ((DAY, day), (7 * DAY, week)):
        profile = np.array([found[period].at(float(time)) for time in times[:672]])
        assert np.abs(profile - wave[:672]).max() < 2.0


def test_a_season_seen_less_than_twice_is_left_out_and_tried_again() -> None:
    times = np.arange(2 * 1440) * STEP
    values = 100 + 50 * np.sin(2 * np.pi * times / DAY)
    model = fed(values[:1500])
    model.reseason([SeasonFound(DAY, 90)], Series(0.0, STEP, values[:1500]))
    assert model.seasons == ()
    fed(values[1500:], model, 1500)
    model.reseason([SeasonFound(DAY, 90)], Series(0.0, STEP, values))
    assert len(model.seasons) == 1


def test_other_seasons_keep_what_was_learned() -> None:
    times = np.arange(14 * 1440) * STEP
    values = 100 + 50 * np.sin(2 * np.pi * times / DAY) + np.random.default_rng(4).normal(0, 5, times.size)
    history = Series(0.0, STEP, values)
    model = Expectation.start(STEP)
    model.reseason([SeasonFound(DAY, 90)], history)
    fed(values, model)
    before, heights = model.at(14 * DAY + STEP), model.seasons[0].heights.copy()
    model.reseason([SeasonFound(DAY * 1.01, 90), SeasonFound(7 * DAY, 10)], history)
    after = model.at(14 * DAY + STEP)
    assert np.array_equal(model.seasons[0].heights, heights)
    assert after.base == pytest.approx(before.base, abs=3)
    assert after.scale == pytest.approx(before.scale, rel=0.01)
    model.reseason([], history)
    assert model.seasons == ()
    assert model.at(14 * DAY + STEP).base == pytest.approx(before.base, abs=3)


def test_a_phase_that_is_often_wild_gets_a_wider_sigma() -> None:
    rng = np.random.default_rng(5)
    times = np.arange(20 * 288) * 300.0
    values = 100 + rng.normal(0, 5, times.size)
    nightly = (times % DAY) == 7200.0
    values[nightly] += rng.uniform(50, 300, int(nightly.sum()))
    model = Expectation.start(300.0)
    model.reseason([SeasonFound(DAY, 50)], Series(0.0, 300.0, values))
    for time, value in zip(times.tolist(), values.tolist(), strict=True):
        model.learn(time, value, model.at(time))
    assert model.at(20 * DAY + 7200.0).scale > 3 * model.at(20 * DAY + 36_000.0).scale


def test_a_copy_goes_its_own_way() -> None:
    values = 100 + 50 * np.sin(np.arange(2880) / 1440 * 2 * np.pi)
    model = Expectation.start(STEP)
    model.reseason([SeasonFound(DAY, 90)], Series(0.0, STEP, values))
    fed(values, model)
    before = model.at(3000 * STEP)
    fed(10 * values, copied(model), 2880)
    assert model.at(3000 * STEP) == before


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0])
def test_constant(value: float) -> None:
    ahead = fed(np.full(300, value)).at(300 * STEP)
    assert ahead.value == pytest.approx(value)
    assert np.isfinite(ahead).all()
    assert ahead.scale > 0
