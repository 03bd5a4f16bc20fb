"""Rates of rare events, learned from less rare ones."""

from __future__ import annotations

import numpy as np
import pytest

from trimtab.analytics.tails import Prior, Tails
from trimtab.domain.series import FloatArray

PRIOR = Prior(floor=2.0, events=0.02, mean_excess=0.4)


def fed(values: FloatArray, budget: float = 1e-4) -> Tails:
    tails = Tails.start([PRIOR], np.array([budget]))
    for value in values.tolist():
        tails.seen += 1
        if value > PRIOR.floor:
            tails.see(0, value)
    tails.refit()
    return tails


@pytest.mark.parametrize(
    ("draw", "level"),
    [
        pytest.param(lambda rng, n: rng.standard_normal(n), 3.72, id="normal"),
        pytest.param(lambda rng, n: rng.standard_exponential(n), 9.21, id="exponential"),
        pytest.param(lambda rng, n: rng.standard_t(4, n), 13.03 / 2 ** (0.25), id="student t4, one side"),
    ],
)
def test_level_of_one_in_ten_thousand(draw: object, level: float) -> None:
    levels = [
        float(fed(draw(np.random.default_rng(seed), 20_000)).levels[0])  # type: ignore[operator]  # a parameter
        for seed in range(6)
    ]
    assert np.median(levels) == pytest.approx(level, rel=0.16)


def test_rate_falls_and_meets_the_budget_at_the_level() -> None:
    tails = fed(np.random.default_rng(1).standard_normal(20_000))
    rates = [tails.rate(0, value) for value in (0.0, 2.0, 3.0, 4.0, 5.0)]
    assert rates == sorted(rates, reverse=True)
    assert tails.rate(0, float(tails.levels[0])) == pytest.approx(1e-4)


def test_neighbours_are_one_event() -> None:
    alone, runs = np.zeros(10_000), np.zeros(10_000)
    alone[::100] = 3.0
    for shift in range(5):
        runs[shift::100] = 3.0
    assert fed(runs).fits[0, 0] == pytest.approx(fed(alone).fits[0, 0], rel=0.05)


def test_an_anomaly_counts_as_a_little_more_than_an_alarm() -> None:
    values = np.random.default_rng(2).standard_normal(10_000)
    before = fed(values).levels[0]
    values[5000] = 1e9
    assert fed(values).levels[0] == pytest.approx(before, rel=0.1)


def test_before_any_sample_the_prior_holds() -> None:
    tails = Tails.start([PRIOR], np.array([2e-4]))
    assert float(tails.levels[0]) == pytest.approx(2.0 + 0.4 * np.log(100))


def test_another_budget_moves_the_level() -> None:
    tails = fed(np.random.default_rng(3).standard_normal(10_000))
    before = float(tails.levels[0])
    tails.rebudget(np.array([1e-3]))
    assert float(tails.levels[0]) < before


def test_what_was_long_ago_is_forgotten() -> None:
    rng = np.random.default_rng(4)
    wild, calm = 3 * rng.standard_normal(10_000), rng.standard_normal(120_000)
    tails = fed(np.concatenate([wild, calm]))
    assert float(tails.levels[0]) < 0.7 * float(fed(wild).levels[0])
