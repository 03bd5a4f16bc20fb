"""Robust level and quantiles."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trimtab.analytics.level import Level, NoLevel, level, quantiles
from trimtab.domain.series import Series


def test_hand_worked() -> None:
    # Median of 1 2 4 7 11 is 4; deviations 3 2 0 3 7 have median 3; 3 x 1.4826.
    found = level(Series(0.0, 60.0, np.array([1.0, 2.0, 4.0, 7.0, 11.0])))
    assert isinstance(found, Level)
    assert (found.median, round(found.spread, 4), found.samples) == (4.0, 4.4478, 5)


def test_window_counts_from_the_end() -> None:
    series = Series(0.0, 60.0, np.array([100.0, 100.0, 1.0, 2.0, 3.0]))
    assert level(series, window_seconds=120.0) == Level(median=2.0, spread=1.4826, samples=3)


def test_wild_samples_and_gaps_do_not_move_it() -> None:
    calm = np.array([9.0, 10.0, 10.0, 11.0, 10.0, 9.0, 11.0])
    found = level(Series(0.0, 60.0, np.concatenate([calm, [math.nan, math.inf, 1e9]])))
    assert isinstance(found, Level)
    assert found.median == 10.0
    assert found.samples == 8


@pytest.mark.parametrize("values", [[], [math.nan, math.inf]], ids=["empty", "not finite"])
def test_nothing_has_no_level(values: list[float]) -> None:
    assert isinstance(level(Series(0.0, 60.0, np.array(values))), NoLevel)


def test_spread_of_a_normal_distribution_is_its_sigma() -> None:
    found = level(Series(0.0, 60.0, np.random.default_rng(1).normal(50.0, 4.0, 20_000)))
    assert isinstance(found, Level)
    assert found.spread == pytest.approx(4.0, rel=0.03)


def test_quantiles() -> None:
    values = np.array([[1.0, math.nan], [5.0, 3.0]])
    assert quantiles(values, [0.0, 0.25, 0.5, 1.0]).tolist() == [1.0, 2.0, 3.0, 5.0]


@pytest.mark.parametrize(("values", "q"), [([math.nan], 0.5), ([], 0.5), ([1.0], 1.5)])
def test_quantiles_of_nothing_or_out_of_range(values: list[float], q: float) -> None:
    with pytest.raises(ValueError, match=r"."):
        quantiles(np.array(values), [q])
