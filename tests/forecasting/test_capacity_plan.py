"""Capacity plans: growth, needs and limits by hand; intervals that hold; refusals on short history."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from trimtab.domain.series import Series
from trimtab.forecasting.capacity_plan import (
    CapacityPlan,
    NoCapacityPlan,
    NodeRoom,
    Operating,
    PodSize,
    Quota,
    Room,
    Unknown,
    plan,
)
from trimtab.forecasting.daily_peaks import DAY, DailyPeaks, NoPeakTrend, PeakTrend, peak_trend

HOURLY = 3600.0
POD = PodSize(cpu_cores=0.5, memory_bytes=2.0**28)
OPERATING = Operating(replicas=4, capacity=50.0, headroom=0.0, pod=POD, max_replicas=10)


def demand(days: float, growth: float = 0.0, noise: float = 0.0, weekend: float = 1.0, seed: int = 1) -> Series:
    """A daily wave of 20 to 180 on hours, growing by a share a day."""
    t = np.arange(1, round(days * 24) + 1) / 24.0
    wave = (100 + 80 * np.sin(2 * np.pi * t)) * (1 + growth * t)
    wave *= np.where(np.floor(t - 1e-9) % 7 >= 5, weekend, 1.0)
    return Series(HOURLY, HOURLY, wave * np.exp(np.random.default_rng(seed).normal(0, noise, t.size)))


def fitted(load: Series, daily: DailyPeaks | None = None) -> PeakTrend:
    found = peak_trend(load, daily or DailyPeaks(), [DAY], load.end)
    assert isinstance(found, PeakTrend)
    return found


def planned(load: Series, operating: Operating = OPERATING, room: Room | None = None) -> CapacityPlan:
    found = plan(fitted(load), operating, room or Room((), Unknown("no right")), "requests/s", load.end)
    assert isinstance(found, CapacityPlan)
    return found


def test_a_steady_demand_needs_what_it_needs_today() -> None:
    found = planned(demand(28))
    assert [need.days for need in found.needs] == [7, 30, 90]
    for need in found.needs:
        assert need.peak == pytest.approx(180, rel=0.03)
        assert need.replicas == 4
        assert (need.cpu_cores, need.memory_bytes) == (0.5 * need.upper_replicas, 2.0**28 * need.upper_replicas)
    assert found.reach_days == 112


def test_growth_meets_max_replicas_when_it_should() -> None:
    """180 growing by 1.8 a day from day 28 on 230 or so: 10 replicas of 50 are 500, met about day 178."""
    found = planned(demand(60, growth=0.01, noise=0.01))
    (limit,) = found.limits
    assert limit.name == "maxReplicas"
    assert limit.at is not None
    assert limit.at / DAY == pytest.approx((500 / 180 - 1) / 0.01, rel=0.05)
    assert limit.earliest is not None
    assert limit.earliest <= limit.at
    assert "days" in limit.message


def test_a_limit_that_is_not_met_says_how_far_the_plan_looks() -> None:
    (limit,) = planned(demand(60)).limits
    assert (limit.at, limit.earliest) == (None, None)
    assert limit.message == "maxReplicas allows 10 replicas; not met within 180 days"


def test_no_further_than_four_times_the_history() -> None:
    found = planned(demand(3))
    assert found.reach_days == 12
    assert [need.days for need in found.needs] == [7]
    assert "3 days of history allow to look 12 days ahead" in found.message
    assert "weekly rhythm" in found.message


def test_less_than_a_week_of_reach_has_one_stage() -> None:
    assert [need.days for need in planned(demand(2.1)).needs] == [7]


@pytest.mark.parametrize(
    "load",
    [
        demand(1.9),
        Series(0.0, HOURLY, np.empty(0)),
        Series(0.0, HOURLY, np.full(100, np.nan)),
        Series(0.0, HOURLY, np.r_[1.0, np.full(98, np.nan), 1.0]),
    ],
    ids=["short", "empty", "missing", "mostly missing"],
)
def test_short_history_is_refused(load: Series) -> None:
    found = peak_trend(load, DailyPeaks().add(load, load.end), [DAY], load.end)
    assert isinstance(found, NoPeakTrend)
    assert isinstance(plan(found, OPERATING, Room(), "", load.end), NoCapacityPlan)


def test_without_a_capacity_there_is_no_plan() -> None:
    load = demand(20)
    assert isinstance(plan(fitted(load), replace(OPERATING, capacity=math.nan), Room(), "", load.end), NoCapacityPlan)


def test_a_quota_counts_what_others_use() -> None:
    """Of 6 cores others use 5 - 4 x 0.5 = 3, so that 3 are left for 6 pods; memory has none set."""
    quota = Quota("team", {"requests.cpu": 6.0, "limits.cpu": 8.0, "pods": 100.0}, {"requests.cpu": 5.0, "pods": 34.0})
    found = planned(demand(28), room=Room((quota,), NodeRoom(3, 12.0, 2.0**34, 330.0)))
    fits = {limit.name: limit.replicas for limit in found.limits}
    assert fits == {
        "maxReplicas": 10,
        "quota team requests.cpu": 6,
        "quota team pods": 70,
        "nodes cpu": 24,
        "nodes memory": 64,
        "nodes pods": 330,
    }
    assert found.unknown == ()


def test_a_limit_that_is_too_small_already_is_named_first() -> None:
    quota = Quota("team", {"requests.cpu": 1.0}, {"requests.cpu": 1.0})
    load = demand(28)
    first = planned(load, room=Room((quota,), Unknown("nodes: no right"))).limits[0]
    assert (first.name, first.at) == ("quota team requests.cpu", load.end)


def test_what_is_not_known_is_said() -> None:
    found = planned(demand(28), room=Room(Unknown("forbidden"), Unknown("the operator may not list nodes")))
    assert found.unknown == ("quota: forbidden", "node capacity: the operator may not list nodes")


def test_a_week_is_seen_and_the_busy_days_count() -> None:
    found = fitted(demand(28, weekend=0.3, noise=0.01))
    assert found.peak(7) == pytest.approx(180, rel=0.05)
    low, high = found.interval(7)
    assert high - low < 40


def test_intervals_hold_their_coverage() -> None:
    inside = []
    for seed in range(60):
        growth = (0.0, 0.004, -0.002)[seed % 3]
        whole = demand(70, growth=growth, noise=0.05, weekend=0.7, seed=seed)
        known = whole.between(0.0, 28 * DAY)
        low, high = fitted(known).interval(30)
        peak = float(np.quantile(whole.between(55 * DAY, 62 * DAY).values, 0.995))
        inside.append(low <= peak <= high)
    assert 0.8 <= np.mean(inside) <= 1.0


def test_days_are_remembered_for_longer_than_samples() -> None:
    whole, daily = demand(40, growth=0.01), DailyPeaks()
    for day in range(2, 41):
        seen = whole.between((day - 2) * DAY, day * DAY)
        daily = daily.add(seen, day * DAY)
    assert daily.peaks.size == 40
    seen = whole.between(38 * DAY, 40 * DAY)
    found = peak_trend(seen, daily, [DAY], whole.end)
    assert isinstance(found, PeakTrend)
    assert found.days == 40
    assert found.slope_per_day == pytest.approx(1.8, rel=0.1)


def test_the_record_of_days_is_bounded_and_bridges_outages() -> None:
    daily = DailyPeaks().add(demand(3), 3 * DAY)
    later = Series(600 * DAY, HOURLY, np.full(48, 7.0))
    daily = daily.add(later, 602 * DAY)
    assert daily.peaks.size <= 400
    assert daily.peaks[-1] == 7.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_wild_values_do_not_raise(bad: float) -> None:
    load = demand(20, noise=0.05)
    load.values[::7] = bad
    found = planned(load)
    assert all(math.isfinite(need.upper) for need in found.needs)
