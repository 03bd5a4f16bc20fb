"""Thinning of long series."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trimtab.domain.series import Series
from trimtab.forecasting.thinning import stride_for, thin


@pytest.mark.parametrize(
    ("length", "step_seconds", "horizon_seconds", "stride"),
    [
        (3000, 60.0, 3600.0, 1),
        (3001, 60.0, 3600.0, 2),
        (100, 60.0, 21_600.0, 1),
        (100, 60.0, 21_660.0, 2),
        (0, 1.0, 1.0, 1),
    ],
)
def test_stride(length: int, step_seconds: float, horizon_seconds: float, stride: int) -> None:
    assert stride_for(length, step_seconds, horizon_seconds) == stride


def test_blocks_end_with_the_series() -> None:
    thinned = thin(Series(100.0, 60.0, np.arange(7.0)), 3)
    assert thinned.series.values.tolist() == [2.0, 5.0]
    assert thinned.samples.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert thinned.series.times.tolist() == [100.0 + 120.0, 100.0 + 300.0]


def test_blocks_with_gaps() -> None:
    values = np.array([1.0, math.nan, 3.0, math.nan, math.nan, 9.0, math.nan, math.nan])
    assert thin(Series(0.0, 60.0, values), 4).series.values.tolist()[0] == 2.0
    assert math.isnan(thin(Series(0.0, 60.0, values), 4).series.values[1])


def test_stride_one_is_the_series_itself() -> None:
    series = Series(0.0, 60.0, np.arange(5.0))
    thinned = thin(series, 1)
    assert thinned.series is series
    assert thinned.samples.shape == (5, 1)


def test_only_the_newest_seasons_are_kept() -> None:
    thinned = thin(Series(0.0, 60.0, np.arange(2000.0)), 1)
    assert thinned.newest(0.0) is thinned
    newest = thinned.newest(6000.0)
    assert len(newest.series) == 1200
    assert newest.series.end == thinned.series.end
    assert newest.samples[0, 0] == newest.series.values[0] == 800.0
    assert len(thinned.newest(60.0).series) == 500
