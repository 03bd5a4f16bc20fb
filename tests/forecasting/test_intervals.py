"""Calibrated intervals."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.forecasting.intervals import Calibration, _edges, _never_falling, calibrate


@pytest.mark.parametrize(
    ("steps", "edges"),
    [(1, [(0, 1)]), (2, [(0, 1), (1, 2)]), (3, [(0, 1), (1, 2), (2, 3)])],
)
def test_few_leads_have_a_bucket_each(steps: int, edges: list[tuple[int, int]]) -> None:
    assert _edges(steps) == edges


def test_buckets_widen_and_leave_none_out() -> None:
    edges = _edges(360)
    assert len(edges) <= 8
    assert edges[0] == (0, 1)
    assert edges[-1][1] == 360
    assert all(end == start for (_, end), (start, _) in pairwise(edges))


@pytest.mark.parametrize(
    ("widths", "pooled"),
    [([1, 2, 3], [1, 2, 3]), ([1, 3, 1, 4], [1, 2, 2, 4]), ([3, 2, 1], [2, 2, 2])],
)
def test_pool_adjacent_violators(widths: list[float], pooled: list[float]) -> None:
    assert _never_falling(np.array(widths, dtype=float), np.ones(len(widths))).tolist() == pooled


def test_quantiles_of_normal_errors() -> None:
    scores = [10.0 * NormalDist().inv_cdf((rank + 0.5) / 400) for rank in range(400)]
    errors = np.random.default_rng(1).permutation(scores)[:, None]
    calibration = calibrate(errors, np.full((400, 1), 100.0))
    for q, expected in ((0.05, 83.6), (0.25, 93.3), (0.5, 100.0), (0.95, 116.4), (0.99, 123.3)):
        assert calibration.quantile(np.array([100.0]), np.ones(1), q)[0] == pytest.approx(expected, abs=0.4)


def test_few_errors_make_wide_intervals() -> None:
    """Upper ends of a 90 % interval that 5, 20 or 200 normal errors make, the mean over 200 draws."""
    rng = np.random.default_rng(2)

    def upper(count: int) -> float:
        ends = []
        for _ in range(200):
            calibration = calibrate(rng.normal(0, 1, (count, 1)), np.full((count, 1), 100.0))
            ends.append(calibration.quantile(np.array([100.0]), np.ones(1), 0.95)[0] - 100.0)
        return float(np.mean(ends))

    few, some, many = upper(5), upper(20), upper(200)
    assert few > some > many
    assert many == pytest.approx(1.645, abs=0.1)
    assert few == pytest.approx(2.13, abs=0.6)


@pytest.mark.parametrize(("true_power", "power"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_learns_how_errors_grow_with_the_forecast(true_power: float, power: float) -> None:
    rng = np.random.default_rng(3)
    forecasts = rng.uniform(20, 200, (300, 4))
    assert calibrate(rng.normal(0, 1, (300, 4)) * forecasts**true_power, forecasts).power == power


def test_proportional_errors_make_proportional_widths() -> None:
    rng = np.random.default_rng(4)
    forecasts = rng.uniform(20, 200, (300, 2))
    calibration = calibrate(rng.normal(0, 0.05, (300, 2)) * forecasts, forecasts)
    low, high = calibration.quantile(np.array([50.0, 200.0]), np.ones(2), 0.95) - [50.0, 200.0]
    assert high == pytest.approx(4 * low)


@pytest.mark.parametrize("rows", [1, 2, 7, 300])
def test_many_quantiles_at_once_are_those_of_each(rows: int) -> None:
    rng = np.random.default_rng(rows)
    forecasts = rng.uniform(50.0, 150.0, (rows, 9))
    calibration = calibrate(forecasts * rng.normal(0.0, 0.1, (rows, 9)), forecasts)
    ahead, leads = np.linspace(50.0, 150.0, 12), np.arange(1.0, 13.0)
    probabilities = (0.001, 0.3, 0.5, 0.9, 0.9999)
    each = [calibration.quantile(ahead, leads, q) for q in probabilities]
    assert calibration.quantiles(ahead, leads, probabilities).tolist() == [one.tolist() for one in each]


def test_widths_grow_with_the_lead() -> None:
    rng = np.random.default_rng(5)
    errors = np.cumsum(rng.normal(0, 1, (200, 64)), axis=1)
    upper = calibrate(errors, np.full((200, 64), 100.0)).quantile(np.full(64, 100.0), np.arange(1.0, 65.0), 0.95)
    assert (np.diff(upper) >= 0).all()
    assert upper[63] - 100 == pytest.approx(8 * (upper[0] - 100), rel=0.3)


def test_no_errors_known() -> None:
    calibration = calibrate(np.full((3, 2), math.nan), np.ones((3, 2)))
    assert calibration.quantile(np.array([5.0]), np.ones(1), 0.9).tolist() == [5.0]


@pytest.mark.parametrize("q", [0.0, 1.0, -1.0, math.nan])
def test_q_out_of_range(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Calibration((), 0.0, 0.0).quantile(np.ones(1), np.ones(1), q)


@settings(max_examples=60, deadline=None)
@given(
    errors=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=20),
    level=st.floats(0, 1e6),
)
def test_laws(errors: list[list[float]], level: float) -> None:
    """Ordered in q, around the forecast, never narrowing with the lead, never negative, always finite."""
    matrix = np.array(errors)
    calibration = calibrate(matrix, np.full_like(matrix, level))
    forecast, leads = np.full(5, level), np.array([1.0, 1.5, 2.0, 3.0, 50.0])
    paths = np.array([calibration.quantile(forecast, leads, q) for q in (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)])
    assert np.isfinite(paths).all()
    assert (paths >= 0).all()
    slack = 1e-9 * (1 + np.abs(paths).max())
    assert (np.diff(paths, axis=0) >= -slack).all()
    assert (paths[:2] <= level + slack).all()
    assert (paths[2:] >= level - slack).all()
    assert (np.diff(paths[3:], axis=1) >= -slack).all()
