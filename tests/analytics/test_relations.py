"""What goes with a load, and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from trimtab.analytics.joint_model import learn_together, table
from trimtab.analytics.relations import relate
from trimtab.domain.series import FloatArray, Series


def rows(length: int = 1000, seed: int = 1) -> FloatArray:
    """CPU, latency and load of a queue."""
    rng = np.random.default_rng(seed)
    load = 100.0 * (1.5 + np.sin(np.arange(length) / 50.0))
    cpu = 0.01 * load * np.exp(0.02 * rng.standard_normal(length))
    latency = 0.05 / (1.0 - cpu / 4.0) * np.exp(0.1 * rng.standard_normal(length))
    return np.column_stack([cpu, latency, load])


def test_residuals_are_standard_deviations_and_a_curve_is_followed() -> None:
    found = relate(rows(), 2)
    left = found.residuals(rows(seed=2))
    assert left.std(axis=0) == pytest.approx([1.0, 1.0], abs=0.1)
    busy = rows(seed=2)[:, 2] > 220
    assert np.abs(left[busy].mean(axis=0)).max() < 0.3


def test_expected_is_in_the_unit_of_the_signal() -> None:
    found = relate(rows(), 2)
    value, spread = found.expected(np.array([9.0, 9.0, 200.0]), 0, 0.0)
    assert value == pytest.approx(2.0, rel=0.02)
    assert spread == pytest.approx(0.04, rel=0.2)
    higher, _ = found.expected(np.array([9.0, 9.0, 200.0]), 0, 5.0)
    assert higher == pytest.approx(value + 5 * spread, rel=0.02)


def test_outliers_do_not_teach() -> None:
    wild = rows()
    wild[::20, 0] *= 5.0
    value, spread = relate(wild, 2).expected(np.array([9.0, 9.0, 200.0]), 0, 0.0)
    assert (value, spread) == pytest.approx((2.0, 0.04), rel=0.2)


@pytest.mark.parametrize("absurd", [0.0, -1.0, 1e50, -1e99])
def test_absurd_values_do_not_teach(absurd: float) -> None:
    wild = np.column_stack([rows(), np.full(1000, 6.0)])
    wild[500:540] = absurd
    value, spread = relate(wild, 2).expected(np.array([9.0, 9.0, 200.0, 6.0]), 0, 0.0)
    assert (value, spread) == pytest.approx((2.0, 0.04), rel=0.2)


def test_circumstances_that_were_not_seen_are_not_known() -> None:
    found = relate(rows(), 2)
    asked = np.array([[1.0, 0.1, 150.0], [1.0, 0.1, 900.0], [1.0, np.nan, 150.0], [40.0, 9.0, 150.0]])
    assert found.known(asked).tolist() == [True, False, False, True]


def test_noise_may_follow_the_load() -> None:
    rng = np.random.default_rng(4)
    load = 100.0 * (1.2 + np.sin(np.arange(2000) / 50.0))
    share = rng.poisson(20.0 * load) / (1e5 * load)
    found = relate(np.column_stack([share, load]), 1)
    left = found.residuals(np.column_stack([share, load]))[:, 0]
    for part in (load < 60.0, load > 180.0):
        assert float(left[part].std()) == pytest.approx(1.0, abs=0.15)


def test_what_was_seen_once_is_not_known() -> None:
    wild = rows()
    wild[500, 2] = 3000.0
    assert relate(wild, 2).known(np.array([[1.0, 0.1, 150.0], [1.0, 0.1, 1500.0]])).tolist() == [True, False]


def test_values_at_and_below_zero_have_relations_too() -> None:
    rng = np.random.default_rng(3)
    load = rng.normal(0.0, 1.0, 800)
    found = relate(np.column_stack([-2.0 * load + 0.1 * rng.standard_normal(800), load]), 1)
    value, _ = found.expected(np.array([0.0, 1.0]), 0, 0.0)
    assert value == pytest.approx(-2.0, rel=0.25)


def test_what_stands_still_or_is_seldom_there_is_left_out() -> None:
    given = np.column_stack([rows(), np.full(1000, 6.0), np.arange(1000) % 7])
    given[:300, 1] = np.nan
    found = learn_together(("cpu", "latency", "load", "replicas", "cpu size"), 2, given)
    assert found is not None
    assert found[0].names == ("cpu", "load", "cpu size")


@pytest.mark.parametrize("length", [0, 399])
def test_too_few_samples_teach_nothing(length: int) -> None:
    assert learn_together(("cpu", "latency", "load"), 2, rows(length)) is None


def test_a_table_has_nan_where_a_series_has_nothing() -> None:
    found = table(
        [Series(120.0, 60.0, np.array([1.0, np.inf, 1e300])), Series(0.0, 60.0, np.arange(3.0))], 60.0, 60.0, 4
    )
    assert np.array_equal(found, [[np.nan, 1.0], [1.0, 2.0], [np.nan, np.nan], [np.nan, np.nan]], equal_nan=True)
