"""Scoring of a stream, sample by sample."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.noise import autoregressive
from trimtab.analytics.scoring import TOGETHER, Scored, Scorer
from trimtab.domain.series import FloatArray

STEP = 60.0


def daily(length: int, seed: int) -> FloatArray:
    """A wave with a period of 288 samples and noise."""
    rng = np.random.default_rng(seed)
    return 100.0 + 40.0 * np.sin(2 * np.pi * np.arange(length) / 288) + 3.0 * rng.standard_normal(length)


def score(values: FloatArray, scorer: Scorer | None = None, start: int = 0) -> Scored:
    """Scores of one series or, with shape (n, m), of several."""
    columns = values if values.ndim == 2 else values[:, np.newaxis]
    scorer = scorer or Scorer.start(columns.shape[1], STEP)
    return scorer.extend(STEP * np.arange(start, start + columns.shape[0], dtype=np.float64), columns)


def test_extend_is_repeated_update() -> None:
    rng = np.random.default_rng(1)
    values = np.column_stack([daily(4500, 2), rng.standard_normal(4500), np.full(4500, 7.0)])
    values[rng.random(values.shape) < 0.03] = math.nan
    together = score(values)
    scorer = Scorer.start(3, STEP)
    for row, each in enumerate(values):
        found = scorer.update(STEP * row, each)
        assert found.score.tolist() == together.score[row].tolist()
        assert found.rarity.tolist() == together.rarity[row].tolist()


def alone(values: FloatArray) -> Scored:
    """Each series of ``values`` (n, m) scored by a scorer of its own."""
    found = [score(column) for column in values.T]
    return Scored(np.hstack([one.score for one in found]), np.hstack([one.rarity for one in found]))


def assert_equal(one: Scored, other: Scored) -> None:
    assert one.score.tolist() == other.score.tolist()
    assert one.rarity.tolist() == other.rarity.tolist()


def test_many_series_at_once_are_bit_for_bit_as_each_alone() -> None:
    """Past every way's first say and every buffer's first move, and on when one and then all miss a value."""
    length, rng = 4700, np.random.default_rng(12)
    kinds = [daily(length, 13), rng.standard_cauchy(length), np.round(daily(length, 14), -1), np.full(length, 7.0)]
    values = np.column_stack([*kinds, rng.choice([-1e308, 0.0, 5.0, 1e308], length)])
    values[2500, 1], values[4100:4110] = math.inf, math.nan
    found = score(values)
    assert (found.score > 0.0).any()
    assert_equal(found, alone(values))


def test_more_series_than_are_worked_on_at_once() -> None:
    values = np.random.default_rng(15).standard_normal((330, TOGETHER + 5)).cumsum(axis=0)
    assert_equal(score(values), alone(values))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 7),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.001, 0.02, 0.4]),
    st.lists(st.tuples(st.integers(0, 439), st.floats()), max_size=5),
)
def test_whatever_is_missing_all_series_are_as_each_alone(
    series: int, seed: int, share: float, odd: list[tuple[int, float]]
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((440, series)) * rng.choice([0.0, 1.0, 1e9], series)
    values[rng.random(values.shape) < share] = math.nan
    for row, value in odd:
        values[row, rng.random(series) < 0.5] = value
    expected = alone(values)
    assert_equal(score(values), expected)
    scorer = Scorer.start(series, STEP)
    updates = [scorer.update(STEP * row, each) for row, each in enumerate(values)]
    together = Scored(np.array([one.score for one in updates]), np.array([one.rarity for one in updates]))
    assert_equal(together, expected)


def test_series_do_not_touch_each_other() -> None:
    values = np.column_stack([daily(1500, 3), autoregressive(1500, 0.9, 1.0, 4)])
    together = score(values)
    for column in range(2):
        assert together.rarity[:, column].tolist() == score(values[:, column]).rarity[:, 0].tolist()


@pytest.mark.parametrize("at", [1, 30, 700, 4300])
def test_goes_on_after_a_restart(at: int) -> None:
    values = daily(4600, 5)
    whole = score(values)
    scorer = Scorer.start(1, STEP)
    score(values[:at], scorer)
    rest = score(values[at:], pickle.loads(pickle.dumps(scorer)), at)
    assert rest.rarity.tolist() == whole.rarity[at:].tolist()
    assert rest.score.tolist() == whole.score[at:].tolist()


@pytest.mark.parametrize("absent", [math.nan, math.inf, -math.inf])
def test_no_number_scores_nothing_and_changes_nothing(absent: float) -> None:
    values = daily(800, 6)
    whole = score(values)
    scorer = Scorer.start(1, STEP)
    score(values[:400], scorer)
    before = pickle.dumps(scorer)
    found = scorer.update(0.0, np.array([absent]))
    assert (found.score.tolist(), found.rarity.tolist()) == ([0.0], [0.0])
    assert pickle.dumps(scorer) == before
    assert score(values[400:], scorer).rarity.tolist() == whole.rarity[400:].tolist()


def test_state_is_bounded() -> None:
    scorer = Scorer.start(10, STEP)
    sizes = set()
    for chunk in range(3):
        score(np.column_stack([daily(450, chunk)] * 10), scorer)
        sizes.add(len(pickle.dumps(scorer)))
    assert max(sizes) <= 10 * 64 * 1024
    assert len(sizes) == 1


@pytest.mark.parametrize("value", [0.0, -3.5, 1e300])
def test_a_constant_scores_nothing(value: float) -> None:
    found = score(np.full(1500, value))
    assert not found.score.any()
    assert not found.rarity.any()


@pytest.mark.parametrize("seed", range(5))
def test_no_alarm_while_warming_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert not score(rng.standard_normal(100)).score.any()
    assert not score(rng.standard_cauchy(100)).score.any()


@pytest.mark.parametrize(
    "wild", [[1e308, -1e308], [1e-310, 0.0, -1e-310], [1e20, 1.0, 1e-20]], ids=["huge", "tiny", "both"]
)
def test_absurd_values_do_no_harm(wild: list[float]) -> None:
    values = np.tile(np.array(wild), 400)
    with np.errstate(over="raise", invalid="raise"):
        found = score(values)
    assert np.isfinite(found.rarity).all()
    assert ((found.rarity >= 0.0) & (found.rarity <= 1.0)).all()


@pytest.mark.parametrize("offset", [0.0, 1e9])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_unit_and_offset_do_not_matter(scale: float, offset: float) -> None:
    values = daily(1200, 8)
    found = score(values * scale + offset * scale)
    assert np.abs(found.rarity - score(values).rarity).mean() < 0.005


def test_a_spike_and_a_shift_are_told_once_each() -> None:
    values = daily(3000, 9)
    values[1500] += 60.0
    values[2200:2260] = 250.0
    told = np.flatnonzero(score(values).score[:, 0] > 0.999)
    assert told.tolist() == [1500, 2200]


def test_a_flat_stretch_inside_the_usual_range_is_told() -> None:
    values = daily(3000, 10)
    values[2016:2088] = 100.0 + 0.5 * np.random.default_rng(0).standard_normal(72)
    told = np.flatnonzero(score(values).score[:, 0] >= 0.99)
    assert ((told >= 2016) & (told < 2110)).any()


@pytest.mark.parametrize("series", [0, 3])
def test_shapes(series: int) -> None:
    found = score(np.zeros((4, series)))
    assert found.score.shape == found.rarity.shape == (4, series)
    assert score(np.zeros((0, series))).score.shape == (0, series)


@pytest.mark.parametrize("step", [0.0, -1.0, math.nan])
def test_a_step_that_cannot_be(step: float) -> None:
    with pytest.raises(ValueError, match="step_seconds"):
        Scorer.start(1, step)
