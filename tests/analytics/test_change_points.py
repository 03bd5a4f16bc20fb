"""Change points: when a level or slope changed, that noise of any colour has none, and the state that follows data."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.noise import autoregressive
from trimtab.analytics.blocks import blocks, width_for
from trimtab.analytics.change_points import ChangeKind, ChangePoint, change_points, changes_of
from trimtab.analytics.red_noise import red_noise
from trimtab.analytics.trend import NoTrend, Trend, trend
from trimtab.analytics.trend_watch import TrendState, follow_trend
from trimtab.domain.series import FloatArray, Series

DAY = 86_400.0
TIME = np.arange(2016.0)
"""A week at five minutes."""


def found_in(values: FloatArray, periods: tuple[float, ...] = (), step: float = 300.0) -> tuple[ChangePoint, ...]:
    return change_points(Series(0.0, step, values), periods)


def daily(seed: int) -> FloatArray:
    return 100 + 40 * np.sin(2 * np.pi * TIME / 288) + autoregressive(2016, 0.5, 5.0, seed)


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.9])
def test_a_shift_is_found_where_it_is(persistence: float) -> None:
    values = 100 + autoregressive(480, persistence, 5.0, 1) + 40.0 * (np.arange(480) >= 300)
    (change,) = found_in(values)
    assert change.kind is ChangeKind.LEVEL
    assert abs(change.time / 300.0 - 300) <= 2
    assert change.after - change.before == pytest.approx(40.0, abs=12.0)
    assert change.confidence_percent >= 95


def test_a_shift_under_a_day() -> None:
    (change,) = found_in(daily(3) + 30.0 * (TIME >= 1200), (DAY,))
    assert change.kind is ChangeKind.LEVEL
    assert abs(change.time / 300.0 - 1200) <= 8
    assert [change.before, change.after] == pytest.approx([100.0, 130.0], abs=5.0)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_bend(seed: int) -> None:
    (change,) = found_in(daily(seed) + 0.05 * np.maximum(TIME - 1000, 0), (DAY,))
    assert change.kind is ChangeKind.SLOPE
    assert abs(change.time / 300.0 - 1000) <= 100
    assert [change.before, change.after] == pytest.approx([0.0, 0.05 * 12], abs=0.08)


def test_up_and_down_again() -> None:
    values = 50 + autoregressive(500, 0.3, 3.0, 2) + 20.0 * ((np.arange(500) >= 200) & (np.arange(500) < 300))
    up, down = found_in(values)
    assert [round(one.time / 300.0) for one in (up, down)] == pytest.approx([200, 300], abs=2)
    assert up.after - up.before == pytest.approx(20.0, abs=3.0)
    assert down.before - down.after == pytest.approx(20.0, abs=3.0)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.zeros(300), id="zero"),
        pytest.param(np.full(300, 7.0), id="constant"),
        pytest.param(np.arange(300.0), id="a straight line"),
        pytest.param(100 + 0.2 * np.arange(400) + autoregressive(400, 0.5, 4.0, 1), id="a noisy line"),
        pytest.param(np.where(np.arange(300) % 100 == 50, 900.0, 20.0), id="spikes"),
        pytest.param(1000 + 5.0 * (np.arange(300) >= 150), id="half a percent"),
        pytest.param(np.arange(20.0) // 10, id="too short"),
        pytest.param(np.full(300, np.nan), id="missing"),
        pytest.param(np.empty(0), id="empty"),
    ],
)
def test_no_change(values: FloatArray) -> None:
    assert found_in(values) == ()


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.9, 0.98])
def test_noise_has_no_change(persistence: float) -> None:
    """60 seeded series of 400 samples, from white noise to a slow wander; at most 5 may fool it."""
    assert sum(bool(found_in(100 + autoregressive(400, persistence, 5.0, seed))) for seed in range(60)) <= 5


def test_a_day_is_no_change() -> None:
    assert sum(bool(found_in(daily(seed), (DAY,))) for seed in range(20)) <= 1


def test_gaps_move_nothing() -> None:
    values = daily(5) + 40.0 * (TIME >= 1200)
    values[500:700] = np.nan
    (change,) = found_in(values, (DAY,))
    assert abs(change.time / 300.0 - 1200) <= 8


def test_time_and_scale_change_nothing() -> None:
    values = 100 + autoregressive(400, 0.5, 5.0, 4) + 40.0 * (np.arange(400) >= 250)
    (plain,), (scaled,) = change_points(Series(0.0, 60.0, values)), change_points(Series(1.7e9, 60.0, values * 1024))
    assert scaled.time - 1.7e9 == pytest.approx(plain.time, abs=60.0)
    assert scaled.after == pytest.approx(1024 * plain.after)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.one_of(st.floats(0, 1e12), st.just(float("nan")), st.just(float("inf"))), max_size=90))
def test_anything_goes(values: list[float]) -> None:
    for change in found_in(np.array(values, dtype=np.float64), (1200.0,)):
        assert np.isfinite([change.before, change.after, change.time, change.within_seconds]).all()
        assert 0 <= change.confidence_percent <= 99


def test_blocks_stand_still() -> None:
    values = np.random.default_rng(0).normal(size=400)
    whole, later = blocks(Series(0.0, 60.0, values), 8), blocks(Series(600.0, 60.0, values[10:]), 8)
    assert later.start == 480.0
    assert np.array_equal(whole.medians[2:], later.medians[1:])
    assert blocks(Series(0.0, 60.0, np.arange(20_000.0)), 8).medians.size == 512


def test_the_noise_is_read_through_shifts() -> None:
    shifted = autoregressive(500, 0.0, 2.0, 1) + 30.0 * (np.arange(500) >= 250)
    noise = red_noise(shifted)
    assert noise.white + noise.wandering * (1 - noise.persistence) == pytest.approx(4.0, rel=0.35)
    walk = red_noise(autoregressive(500, 0.95, 2.0, 1))
    assert walk.persistence >= 0.8


def test_trend_since_the_last_change() -> None:
    values = 100 + autoregressive(600, 0.3, 2.0, 7) + 0.5 * np.maximum(np.arange(600) - 300, 0)
    series = Series(0.0, 60.0, values)
    whole, recent = trend(series), trend(series, since=300 * 60.0)
    assert isinstance(whole, Trend)
    assert isinstance(recent, Trend)
    assert recent.slope_per_hour == pytest.approx(30.0, rel=0.05)
    assert whole.slope_per_hour < 20.0
    assert isinstance(trend(series, since=599 * 60.0), NoTrend)
    assert trend(series, since=float("nan")) == whole


def followed(values: FloatArray, at_once: int, first: int = 600) -> TrendState:
    state = follow_trend(Series(0.0, 300.0, values[:first]), (DAY,))
    for start in range(first, values.size, at_once):
        state = follow_trend(Series(start * 300.0, 300.0, values[start : start + at_once]), (DAY,), state)
    return state


def test_new_samples_give_what_all_of_them_give() -> None:
    values = daily(3) + 30.0 * (TIME >= 1200)
    whole, grown = follow_trend(Series(0.0, 300.0, values), (DAY,)), followed(values, 25, 1100)
    assert grown.width == whole.width == 4
    assert np.array_equal(grown.closed.medians, whole.closed.medians)
    assert grown.closed.start == whole.closed.start
    forced = follow_trend(Series(2016 * 300.0, 300.0, np.full(4, np.nan)), (DAY, 2 * DAY), grown)
    assert forced.changes == changes_of(forced.closed, (DAY, 2 * DAY))
    (kept,), (batch,) = grown.changes, whole.changes
    assert kept.time == pytest.approx(batch.time, abs=1200.0)


def test_a_state_that_grew_from_little() -> None:
    """Blocks that were merged are means of two medians: a change stays where it is, to a block."""
    values = daily(3) + 30.0 * (TIME >= 1200)
    grown = followed(values, 36, 300)
    assert grown.width == 4
    assert grown.closed.medians.size == 504
    batch = blocks(Series(0.0, 300.0, values), 4)
    assert float(np.nanstd(grown.closed.medians - batch.medians[:504])) < 2.5
    assert grown.changes[-1].time == pytest.approx(1200 * 300.0, abs=4 * 1200.0)
    assert isinstance(grown.recent, Trend)
    assert grown.closed.medians.nbytes + grown.open_values.nbytes < 2**16
    assert pickle.loads(pickle.dumps(grown)).changes == grown.changes


def test_old_blocks_are_dropped() -> None:
    values = daily(3)
    state = follow_trend(Series(0.0, 300.0, values[:1000]))
    for start in range(1000, 2016, 50):
        state = follow_trend(Series(start * 300.0, 300.0, values[start : start + 50]), (), state, keep_seconds=2 * DAY)
    assert state.closed.medians.size * state.closed.step_seconds <= 2 * DAY
    assert follow_trend(Series(0.0, 300.0, values), (), state, keep_seconds=2 * DAY) is state


def test_another_step_or_nothing_starts_anew() -> None:
    state = follow_trend(Series(0.0, 300.0, np.empty(0)))
    assert state.changes == ()
    assert isinstance(state.recent, NoTrend)
    assert follow_trend(Series(0.0, 60.0, np.arange(100.0)), (), state).step_seconds == 60.0


def test_width() -> None:
    assert [width_for(size) for size in (0, 1, 511, 512, 100_000)] == [1, 1, 1, 2, 256]
