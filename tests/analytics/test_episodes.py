"""From the samples of one signal to its anomalies: onset, kind, end, hysteresis."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.control_charts import ControlCharts, budgets
from trimtab.analytics.episodes import LONGEST_GAP, NEW_NORMAL
from trimtab.analytics.signal_watch import SignalWatch
from trimtab.domain.choices import AnomalyKind, Sensitivity
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray

STEP = 60.0
WARM = 3000
LATENCY = Objective.model_validate({"name": "latency", "query": "up", "max": 150})


def noise(length: int = WARM + 400, seed: int = 1) -> FloatArray:
    return np.asarray(100 + np.random.default_rng(seed).normal(0, 10, length))


def run(
    values: FloatArray, watch: SignalWatch | None = None, start: int = 0, objective: Objective | None = None
) -> tuple[list[Anomaly], SignalWatch]:
    """What ended and what goes on, after index ``WARM``."""
    watch = watch or SignalWatch.start("load", "requests/s", STEP, Sensitivity.MEDIUM)
    found = []
    for index, value in enumerate(values.tolist(), start):
        ended, _ = watch.step(index * STEP, value, objective)
        found += [ended] if ended is not None else []
    going_on = watch.anomaly(objective)
    found += [going_on] if going_on is not None else []
    return [one for one in found if one.start >= (WARM - 50) * STEP], watch


def only(found: list[Anomaly]) -> Anomaly:
    assert len(found) == 1, found
    return found[0]


def test_nothing_is_odd_in_noise() -> None:
    found, _ = run(noise())
    assert found == []


@pytest.mark.parametrize(("move", "kind"), [(80.0, AnomalyKind.SPIKE), (-80.0, AnomalyKind.DIP)])
def test_two_wild_samples_are_one_anomaly(move: float, kind: AnomalyKind) -> None:
    values = noise()
    values[WARM : WARM + 2] += move
    one = only(run(values)[0])
    assert (one.kind, one.start, one.end) == (kind, WARM * STEP, (WARM + 1) * STEP)
    assert one.expected == pytest.approx(100, abs=6)
    assert one.score > 0.9999


def test_a_shift_becomes_the_new_normal() -> None:
    values = noise()
    values[WARM:] += 60
    one = only(run(values)[0])
    assert one.kind is AnomalyKind.LEVEL_SHIFT
    assert one.start == pytest.approx(WARM * STEP, abs=2 * STEP)
    assert one.end == one.start + (NEW_NORMAL - 1) * STEP


def test_a_small_shift_is_dated_back_to_its_onset() -> None:
    values = noise(seed=3)
    values[WARM:] += 20
    found, _ = run(values)
    assert found[0].start == pytest.approx(WARM * STEP, abs=8 * STEP)


def test_kinds_are_refined_as_samples_arrive_and_the_start_stays() -> None:
    values = noise()
    values[WARM:] += 60
    _, watch = run(values[: WARM + 1])
    first = watch.anomaly()
    assert first is not None
    assert first.kind is AnomalyKind.SPIKE
    for index in range(WARM + 1, WARM + 20):
        watch.step(index * STEP, float(values[index]))
    later = watch.anomaly()
    assert later is not None
    assert (later.kind, later.start) == (AnomalyKind.LEVEL_SHIFT, first.start)


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_ramp(rho: float) -> None:
    values = 100 + autoregressive(WARM + 130, rho, 10.0, 5)
    values[WARM:] += 2.0 * np.arange(130)
    assert AnomalyKind.TREND_CHANGE in {one.kind for one in run(values)[0]}


def test_wider_spread() -> None:
    values = noise()
    values[WARM:] = 100 + 4 * (values[WARM:] - 100)
    assert max(run(values)[0], key=lambda one: (one.end or 0) - one.start).kind is AnomalyKind.VARIANCE_CHANGE


def test_stuck() -> None:
    values = noise()
    values[WARM : WARM + 40] = values[WARM]
    one = only(run(values)[0])
    assert one.kind is AnomalyKind.COLLECTIVE
    assert "are all" in one.evidence


def test_a_signal_that_often_stands_still_is_not_stuck() -> None:
    values = np.repeat(np.random.default_rng(2).integers(90, 110, 200), 20).astype(float)
    assert not [one for one in run(values)[0] if "are all" in one.evidence]


def test_constant_signals_are_normal() -> None:
    assert run(np.full(WARM + 400, 2e8))[0] == []


def test_a_change_of_a_constant_is_told_once() -> None:
    values = np.full(WARM + 400, 2.0)
    values[WARM:] = 3.0
    one = only(run(values)[0])
    assert one.kind is AnomalyKind.LEVEL_SHIFT


def test_missing_and_absurd_values_are_passed_over() -> None:
    values = noise()
    values[5::7] = math.nan
    values[WARM + 3] = math.inf
    values[WARM + 4] = -1e300
    assert run(values)[0] == []


def test_after_a_long_gap_another_level_is_no_anomaly() -> None:
    values = noise()
    values[WARM : WARM + LONGEST_GAP + 5] = math.nan
    values[WARM + LONGEST_GAP + 5 :] += 70
    assert run(values)[0] == []


def test_a_long_gap_ends_what_went_on() -> None:
    values = noise(WARM + 100)
    values[WARM : WARM + 3] += 90
    values[WARM + 3 : WARM + 40] = math.nan
    assert only(run(values)[0]).end == (WARM + 2) * STEP


def test_settling_hides_a_new_level_and_counts_it() -> None:
    values = noise()
    values[WARM:] += 80
    _, watch = run(values[:WARM])
    watch.settle((WARM + 10) * STEP)
    hushed = [watch.step(index * STEP, float(values[index]))[1] for index in range(WARM, WARM + 200)]
    assert sum(hushed) == 1
    assert watch.anomaly() is None
    assert watch.expectation.level == pytest.approx(180, abs=10)


def test_settling_hides_no_breach() -> None:
    values = noise()
    values[WARM:] += 80
    _, watch = run(values[:WARM])
    watch.settle((WARM + 10) * STEP)
    watch.step(WARM * STEP, float(values[WARM]), LATENCY)
    told = watch.anomaly(LATENCY)
    assert told is not None
    assert told.start == WARM * STEP


def test_no_less_than_none_is_expected_of_what_never_was() -> None:
    values = np.random.default_rng(3).uniform(0.0, 2.0, 500)
    _, watch = run(values)
    watch.expectation.settle(-40.0, -3.0)
    watch.step(values.size * STEP, 900.0)
    told = watch.anomaly()
    assert told is not None
    assert told.expected == 0.0
    assert "where 0 ± " in told.evidence


@pytest.mark.parametrize("step", [15.0, 60.0, 300.0])
def test_the_budgets_add_up_to_the_stated_rate(step: float) -> None:
    for sensitivity, seconds in zip(Sensitivity, (30 * 86_400, 7 * 86_400, 86_400), strict=True):
        alarms = float(budgets(step, sensitivity).sum()) * seconds / step
        assert 0.9 <= alarms <= 1.0


def test_false_alarms_are_about_as_stated() -> None:
    """High: one a day. Ten streams of five days after two of warming up."""
    alarms = 0
    for seed in range(10):
        _, watch = run(noise(2880, seed))
        opened = set()
        for index, value in enumerate(noise(7200, 100 + seed).tolist(), 2880):
            watch.tune(Sensitivity.HIGH)
            watch.step(index * STEP, value)
            if watch.episode is not None:
                opened.add(watch.episode.opened)
        alarms += len(opened)
    assert 25 <= alarms <= 100


def test_charts_are_quiet_before_they_are_warm() -> None:
    charts = ControlCharts.start(STEP, Sensitivity.HIGH)
    assert all(charts.see(50.0) is None for _ in range(50))
