"""What is flown by while nothing is seen, for how long, and in which direction; and values that cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.planning.test_following import BASE, NOON, target
from trimtab.analytics.quality import DataProblem, Quality
from trimtab.domain.choices import OnStaleData
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objectives import Objective
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import Series
from trimtab.forecasting.forecast import Forecast, NoForecast, forecast
from trimtab.planning.evidence import STILL_SEEN, believable, objective_state, quality_of
from trimtab.planning.flight import Flight, Foreseen, foreseen, kept
from trimtab.planning.following import Follow, Hold, follow

TIMES = NOON + 60.0 * np.arange(1.0, 6.0)
FLIGHT = Flight(NOON, TIMES, np.array([400.0, 500.0, 900.0, 800.0, 700.0]))
BLIND = replace(BASE, demand=None, foreseen=Foreseen(900.0, NOON + 180.0, NOON - 60.0, NOON + 300.0))
SPEC = PolicySpec.model_validate({"targetRef": {"kind": "Deployment", "name": "web"}})
FOLLOW, HOLD = OnStaleData.FOLLOW_FORECAST, OnStaleData.HOLD


def judged(problem: DataProblem | None) -> Quality:
    return Quality(problem, "why", 0.0, 7200.0, 0.0)


@pytest.mark.parametrize(
    ("choice", "flight", "problem", "now", "peak"),
    [
        (FOLLOW, FLIGHT, DataProblem.STALE, NOON + 10.0, 500.0),
        (FOLLOW, FLIGHT, DataProblem.NO_DATA, NOON + 130.0, 900.0),
        (FOLLOW, FLIGHT, DataProblem.NOT_FINITE, NOON + 200.0, 800.0),
        (FOLLOW, FLIGHT, DataProblem.STALE, NOON + 301.0, None),
        (FOLLOW, FLIGHT, None, NOON + 10.0, None),
        (FOLLOW, FLIGHT, DataProblem.ABSURD, NOON + 10.0, None),
        (FOLLOW, FLIGHT, DataProblem.SEVERAL_CLUSTERS, NOON + 10.0, None),
        (FOLLOW, FLIGHT, DataProblem.PODS_MISSING, NOON + 10.0, None),
        (FOLLOW, FLIGHT, DataProblem.GAPS, NOON + 10.0, None),
        (FOLLOW, None, DataProblem.STALE, NOON + 10.0, None),
        (HOLD, FLIGHT, DataProblem.STALE, NOON + 10.0, None),
    ],
)
def test_what_is_flown_by(
    choice: OnStaleData, flight: Flight | None, problem: DataProblem | None, now: float, peak: float | None
) -> None:
    found = foreseen(choice, flight, judged(problem), now, now + 120.0)
    assert (None if found is None else found.peak) == peak


@pytest.mark.parametrize(
    ("change", "replicas"),
    [
        pytest.param({}, 11, id="900 * 1.12 / 100 = 10.08: eleven"),
        pytest.param({"replicas": 20}, 20, id="never fewer"),
        pytest.param({"max_replicas": 8}, 8, id="maxReplicas holds"),
        pytest.param({"capacity_per_replica": None}, 5, id="no capacity is known"),
        pytest.param({"replicas": 0}, 0, id="scaled to zero by someone"),
        pytest.param({"foreseen": None}, 5, id="nothing to fly by"),
        pytest.param({"demand": 300.0, "demand_age_seconds": 10.0}, 4, id="what is seen goes before what was foreseen"),
        pytest.param({"demand": 300.0, "demand_age_seconds": 301.0}, 11, id="seen too long ago"),
    ],
)
def test_flying_blind(change: dict[str, object], replicas: int) -> None:
    assert target(replace(BLIND, **change)) == replicas  # type: ignore[arg-type]  # fields by name


def test_a_blind_step_says_so() -> None:
    step, stay = follow(BLIND), follow(replace(BLIND, replicas=20))
    assert isinstance(step, Follow)
    assert step.blind
    assert step.reason.startswith("flies blind, as no demand was seen: demand 900 requests/s foreseen at 12:03")
    assert step.reason.endswith("by the forecast of 11:59, which reaches to 12:05")
    assert isinstance(stay, Hold)
    assert stay.reason.endswith("; nothing is removed")


def test_what_is_kept_to_fly_by() -> None:
    t = np.arange(300.0)
    wave = Series(0.0, 2.0, 100.0 + 50.0 * np.sin(2 * np.pi * t / 60))
    made = forecast(wave, now=wave.end, horizon_seconds=40.0)
    assert isinstance(made, Forecast)
    good = kept(None, made, judged(None), wave.end)
    assert good is not None
    assert np.array_equal(good.upper, made.upper)
    unreliable = replace(made, reliable=False)
    assert kept(good, unreliable, judged(None), wave.end) is None
    assert kept(good, NoForecast("too old"), judged(None), wave.end) is good
    for problem in DataProblem:
        assert kept(good, unreliable, judged(problem), wave.end) is good, "half the truth is no forecast"


LATENCY = Objective.model_validate({"name": "p99", "query": "p99", "max": "250m"})
NOTHING = Objective.model_validate({"name": "errors", "query": "errors", "max": 0})


def objective_history(*newest: float, usual: float = 0.1) -> WorkloadHistory:
    load = Series(0.0, 60.0, np.full(121, 5.0))
    values = np.concatenate([np.full(121 - len(newest), usual), newest])
    return WorkloadHistory(load, load, load, objectives={"p99": Series(0.0, 60.0, values)})


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (objective_history(0.2), "Met"),
        (objective_history(3.0), "Violated"),
        (objective_history(3600.0), "Violated"),
        (objective_history(1e12), "Unknown"),
        (objective_history(*[1e12] * 30), "Unknown"),
        (objective_history(*[1e12] * 100), "Unknown"),
        (objective_history(-1e12), "Unknown"),
        (objective_history(1e12, 0.1), "Met"),
        (objective_history(2e5, usual=50.0), "Violated"),
    ],
    ids=[
        "met",
        "bad",
        "an hour",
        "absurd",
        "absurd for long",
        "absurd most of the time",
        "absurd below zero",
        "absurd before",
        "usually large",
    ],
)
def test_objectives_that_cannot_be_are_not_known(given: WorkloadHistory, state: str) -> None:
    now = given.load.end + 10.0
    quality = quality_of(SPEC, given, {}, now, partial=False)
    assert objective_state(LATENCY, given, quality, now, SPEC).state == state


def test_no_value_is_absurd_where_nothing_tells_what_is_usual() -> None:
    series = Series(0.0, 60.0, np.array([0.0, 0.0, 7.0]))
    assert believable(NOTHING, series) is series


def test_gaps_leave_a_demand_to_follow() -> None:
    """After a night at zero: most of the history that a run would need is missing."""
    values = np.full(121, np.nan)
    values[:5], values[-3:] = 5.0, 5.0
    load = Series(0.0, 60.0, values)
    quality = quality_of(SPEC, WorkloadHistory(load, load, load), {}, load.end + 10.0, partial=False)
    assert quality.problem is DataProblem.GAPS
    assert quality.problem in STILL_SEEN
