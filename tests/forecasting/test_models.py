"""The models, each on its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forecasting.demands import noisy_sine, sine
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.combination import Combination
from trimtab.forecasting.lags import LagRegression
from trimtab.forecasting.linear import SeasonalLinear
from trimtab.forecasting.models import LastValue, Model, SeasonalNaive, completed

HOUR = 3600.0
MODELS = [
    pytest.param(LastValue(), id="last"),
    pytest.param(SeasonalNaive(HOUR), id="naive"),
    pytest.param(SeasonalNaive(HOUR, 1, False), id="textbook"),
    pytest.param(SeasonalLinear((HOUR,)), id="linear"),
    pytest.param(SeasonalLinear((HOUR,), levelled=True), id="levelled"),
    pytest.param(SeasonalLinear((HOUR, 7 * HOUR)), id="two periods"),
    pytest.param(SeasonalLinear(), id="no period"),
    pytest.param(Combination((SeasonalNaive(HOUR), LagRegression(HOUR)), (0.5, 0.5)), id="together"),
]
SEASONAL = [*MODELS[1:6], MODELS[7]]


def series(values: FloatArray, start: float = 0.0) -> Series:
    return Series(start, 60.0, values, "requests/s")


def test_textbook_naive_hand_worked() -> None:
    fitted = SeasonalNaive(240.0, 1, False).fit(series(np.array([1.0, 2, 3, 4, 5, 6, 7, 8])))
    assert fitted.predict(9).tolist() == [5, 6, 7, 8, 5, 6, 7, 8, 5]


def test_short_gaps_of_a_path_are_bridged_and_long_ones_are_not() -> None:
    path = np.full((1, 60), 10.0)
    path[0, 3], path[0, 5:7], path[0, 20:45] = 40.0, math.nan, math.nan
    path[0, 7:] += 3.0
    filled = completed(path, np.array([99.0]))
    assert filled[0, 5:7] == pytest.approx([11.0, 12.0])
    assert filled[0, 20:45].tolist() == [99.0] * 25
    assert completed(np.full((1, 3), math.nan), np.array([7.0])).tolist() == [[7.0] * 3]


def test_averaged_naive_hand_worked() -> None:
    # The first phase was 10, 12, 14, 16 and 18: the mean is 14.
    fitted = SeasonalNaive(240.0, 5, False).fit(
        series(np.array([10, 0, 0, 0, 12, 0, 0, 0, 14, 0, 0, 0, 16, 0, 0, 0, 18, 0, 0, 0.0]))
    )
    assert fitted.predict(2).tolist() == [14.0, 0.0]


def test_naive_between_two_steps() -> None:
    # A period of 2.5 steps: what comes next was seen 2.5 steps before it, half-way between 10 and 30.
    fitted = SeasonalNaive(150.0, 1, False).fit(series(np.array([10.0, 30.0, 50.0])))
    assert fitted.predict(1).tolist() == [20.0]


def test_one_wild_season_is_cut() -> None:
    values = noisy_sine(360, seed=1, sigma=2.0)
    wild = values.copy()
    wild[240:270] = 2000.0
    usual, after = (SeasonalNaive(HOUR).fit(series(v)).predict(30) for v in (values, wild))
    assert np.abs(after - usual).max() < 15.0


@pytest.mark.parametrize("model", SEASONAL)
def test_goes_on_with_a_wave(model: Model) -> None:
    assert model.fit(series(sine(480))).predict(90) == pytest.approx(sine(570)[480:], abs=1.0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("level", [0.0, 7.0])
def test_constant_stays_constant(model: Model, level: float) -> None:
    assert model.fit(series(np.full(500, level))).predict(70) == pytest.approx(np.full(70, level), abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_nights_without_traffic_stay_without(model: Model) -> None:
    values = np.maximum(sine(480, level=0.0, swing=100.0), 0.0)
    path = model.fit(series(values)).predict(60)
    assert (path >= 0).all()
    if model.name != "LastValue" and model != SeasonalLinear():
        assert path[35:55] == pytest.approx(np.zeros(20), abs=1.5)


@pytest.mark.parametrize("model", SEASONAL)
def test_does_not_go_mad_after_a_level_shift(model: Model) -> None:
    """The last two of seven seasons run 60 higher."""
    values = noisy_sine(420, seed=3, sigma=3.0)
    values[300:] += 60.0
    truth = sine(450)[420:] + 60.0
    path = model.fit(series(values)).predict(30)
    assert np.abs(path[:5] - truth[:5]).max() < 15.0
    assert (path > truth - 70).all()
    assert (path < truth + 30).all()


def test_linear_follows_growth_better_than_the_textbook() -> None:
    values = noisy_sine(480, seed=4, sigma=3.0) + 0.4 * np.arange(480)
    truth = sine(510)[480:] + 0.4 * np.arange(480, 510)
    errors = {
        model: np.abs(model.fit(series(values)).predict(30) - truth).mean()
        for model in (SeasonalLinear((HOUR,)), SeasonalNaive(HOUR, 1, False))
    }
    assert errors[SeasonalLinear((HOUR,))] < 0.2 * errors[SeasonalNaive(HOUR, 1, False)]


def test_levelled_follows_waves_that_grow() -> None:
    growth = np.exp(np.arange(510) / 480)
    values = sine(480) * growth[:480] * (1 + np.random.default_rng(1).normal(0, 0.02, 480))
    path = SeasonalLinear((HOUR,), levelled=True).fit(series(values)).predict(30)
    assert path == pytest.approx((sine(510) * growth)[480:], rel=0.08)


@pytest.mark.parametrize("model", MODELS)
def test_paths_know_nothing_after_their_origin(model: Model) -> None:
    """Other values after an origin leave its path as it was, and the path is that of a series that ends there."""
    values = noisy_sine(480, seed=5)
    fitted = model.fit(series(values[:400]))
    changed = values.copy()
    changed[451:] = 999.0
    origins = np.array([399, 425, 450])
    before, after = fitted.paths(values, origins, 90), fitted.paths(changed, origins, 90)
    assert np.array_equal(before, after)
    assert before[1] == pytest.approx(fitted.paths(values[:426], np.array([425]), 90)[0])
    assert before[0] == pytest.approx(fitted.predict(90))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "hole",
    [slice(0, 100), slice(200, 320), slice(460, 480), slice(0, 479), slice(1, 480, 2)],
    ids=["start", "two seasons", "end", "all but one", "each other"],
)
def test_gaps_leave_no_hole_in_the_path(model: Model, hole: slice) -> None:
    values = noisy_sine(480, seed=6)
    values[hole] = math.nan
    path = model.fit(series(values)).predict(130)
    assert np.isfinite(path).all()
    assert (path >= 0).all()
    assert path.max() < 400


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("values", [[], [math.nan, math.inf, -1.0]], ids=["empty", "no number"])
def test_nothing_to_learn_from(model: Model, values: list[float]) -> None:
    with pytest.raises(ValueError, match="none of which is a number"):
        model.fit(series(np.array(values)))


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(
        st.one_of(st.floats(0, 1e12), st.sampled_from([0.0, math.nan, math.inf, -5.0, 1e300])), min_size=1, max_size=90
    ),
    index=st.integers(0, len(MODELS) - 1),
    steps=st.integers(1, 200),
)
def test_finite_whatever_comes(values: list[float], index: int, steps: int) -> None:
    model = MODELS[index].values[0]
    assert isinstance(model, Model)
    try:
        fitted = model.fit(series(np.array(values)))
    except ValueError:
        return
    path = fitted.predict(steps)
    assert path.shape == (steps,)
    assert np.isfinite(path).all()
    assert (path >= 0).all()
