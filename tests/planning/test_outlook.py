"""The outlook of one workload: what it foresees, what it keeps quiet about, and that nothing odd stops it."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.planning.outlook_support import DAY, STEP, cut, day, inputs_of, service, spec
from trimtab.domain.history import without_samples
from trimtab.domain.series import Series
from trimtab.forecasting.burn_rates import BudgetAlert
from trimtab.forecasting.capacity_plan import CapacityPlan, NoCapacityPlan
from trimtab.forecasting.early_warning import EarlyWarning, Source
from trimtab.forecasting.forecast import NoForecast, forecast
from trimtab.forecasting.reliability import NoPerformance, NoReliability, Performance, Reliability
from trimtab.planning.outlook import Outlook, OutlookInputs, look_ahead


def after(inputs: OutlookInputs) -> Outlook:
    """The second of two rounds that saw the same, ten minutes apart."""
    state = look_ahead(inputs).state
    alertness = {
        name: replace(one, turned=None if one.turned is None else one.turned - 600.0)
        for name, one in state.alertness.items()
    }
    return look_ahead(replace(inputs, previous=replace(state, alertness=alertness)))


@pytest.fixture(scope="module")
def ample() -> OutlookInputs:
    """Two and a half days with replicas to spare, at the peak."""
    return inputs_of(service(day(2 * DAY + DAY // 2), 20), spec(20))


@pytest.fixture(scope="module")
def short() -> OutlookInputs:
    """The same load forty minutes before it is more than three replicas can carry."""
    return inputs_of(cut(service(day(3 * DAY), 3), 2 * DAY + 320), spec(3))


def test_with_replicas_to_spare_nothing_is_warned_of(ample: OutlookInputs) -> None:
    found = after(ample)
    assert found.warnings == ()
    assert isinstance(found.reliability, Reliability)
    assert found.reliability.score >= 95
    assert isinstance(found.performance, Performance)
    assert found.performance.score > 70
    assert found.unknown == {}


def test_a_peak_beyond_max_replicas_is_warned_of_before_it_breaks(short: OutlookInputs) -> None:
    newest = short.history.objectives["latency-p99"].values[-30:]
    assert not (newest > 0.25).any(), "it still holds"
    first = look_ahead(short)
    assert first.warnings == (), "one round warns of nothing"
    (warning,) = after(short).warnings
    assert (warning.objective, warning.source) == ("latency-p99", Source.FORECAST)
    assert 0 < warning.seconds_to_breach <= 3600
    assert warning.at == short.now + warning.seconds_to_breach
    assert warning.confidence_percent >= 60
    assert "latency-p99 is expected above 0.25 in" in warning.message


def test_following_with_room_prevents_what_a_fixed_count_does_not(short: OutlookInputs) -> None:
    """The same moment with a ceiling of twenty: following will have set enough."""
    roomy = replace(short, spec=spec(20))
    assert after(roomy).warnings == ()
    assert after(replace(roomy, spec=spec(20, paused=True))).warnings != ()
    assert after(replace(roomy, spec=spec(20, mode="Recommend"))).warnings != ()


def test_no_warning_of_what_is_broken_already() -> None:
    history = cut(service(day(3 * DAY), 3), 2 * DAY + DAY // 2)
    assert history.objectives["latency-p99"].values[-5:].min() > 0.25
    found = after(inputs_of(history, spec(3)))
    assert [one for one in found.warnings if one.source is not Source.BURN_RATE] == []
    assert isinstance(found.reliability, Reliability)
    assert found.reliability.score < 5


def test_a_service_that_gets_slower_is_warned_of_whatever_the_load() -> None:
    """The latency doubles each 100 minutes from two hours ago on: no curve of the load explains that."""
    samples = 2 * DAY
    slower = np.exp(np.log(2) * np.maximum(np.arange(samples) - (samples - 120), 0) / 100)
    found = after(inputs_of(service(day(samples), 20, slower=slower), spec(20)))
    (warning,) = found.warnings
    assert 0 < warning.seconds_to_breach < 3600


def test_an_objective_without_a_curve_is_foreseen_by_its_own_course() -> None:
    samples = 2 * DAY
    history = service(day(samples), 20)
    queue = 10 + 0.1 * np.maximum(np.arange(samples) - (samples - 200), 0)
    queue *= 1 + 0.05 * np.random.default_rng(3).standard_normal(samples)
    history = replace(history, objectives={"backlog": Series(0.0, STEP, queue)})
    policy = spec(objectives=[{"name": "backlog", "query": "up", "max": "33"}])
    (warning,) = after(inputs_of(history, policy, curves={})).warnings
    assert (warning.objective, warning.source) == ("backlog", Source.OBJECTIVE)
    assert warning.seconds_to_breach == pytest.approx(1800, abs=900)


def test_an_outage_pages_and_tells_when_the_budget_is_spent() -> None:
    history = service(day(2 * DAY), 20)
    history.objectives["latency-p99"].values[-90:] = 3.0
    found = after(inputs_of(history, spec()))
    (budget,) = found.budgets
    assert budget.alert is BudgetAlert.PAGE
    burn = [one for one in found.warnings if one.source is Source.BURN_RATE]
    assert len(burn) == 1
    assert isinstance(burn[0], EarlyWarning)
    assert "spent its error budget" in burn[0].message


def test_probabilities_are_judged_by_what_came() -> None:
    """Three hours of rounds, a probability an hour: two are known by the end."""
    whole = service(day(3 * DAY), 20)
    previous, records = None, None
    inputs = None
    for end in range(2 * DAY, 2 * DAY + 190, 10):
        history = cut(whole, end)
        if inputs is None:
            inputs = inputs_of(history, spec())
        ahead = forecast(history.load, now=history.load.end, horizon_seconds=3600.0)
        inputs = replace(
            inputs, history=history, now=history.load.end, forecast=ahead, previous=previous, records=records
        )
        found = look_ahead(inputs)
        previous, records = found.state, found.records
    assert records is not None
    assert records.diagram.outcomes == 2
    assert records.diagram.held.sum() == pytest.approx(records.diagram.issued.sum())


def test_the_capacity_plan_is_part_of_it(ample: OutlookInputs) -> None:
    found = look_ahead(replace(ample, capacity_per_replica=70.0)).capacity
    assert isinstance(found, CapacityPlan)
    assert found.limits[0].name == "maxReplicas"
    assert found.needs[0].replicas == math.ceil(found.needs[0].peak * 1.15 / 70.0)


def test_the_state_is_small_and_survives_pickling(ample: OutlookInputs) -> None:
    found = look_ahead(ample)
    again = look_ahead(replace(ample, previous=pickle.loads(pickle.dumps(found.state)), records=found.records))
    assert again.reliability == look_ahead(replace(ample, previous=found.state, records=found.records)).reliability
    assert len(pickle.dumps(found.state)) < 30_000


def test_rounds_are_repeatable(ample: OutlookInputs) -> None:
    assert look_ahead(ample).reliability == look_ahead(ample).reliability


@pytest.mark.parametrize("signal", ["load", "replicas", "cpu_size", "objective"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 0.0, 1e200], ids=["nan", "inf", "negative", "zero", "absurd"])
def test_odd_values_stop_nothing(ample: OutlookInputs, signal: str, bad: float) -> None:
    history = cut(ample.history, DAY)
    series = history.objectives["latency-p99"] if signal == "objective" else getattr(history, signal)
    odd = Series(series.start, series.step_seconds, series.values.copy())
    odd.values[-200:] = bad
    changed: dict[str, Any] = {"objectives": {"latency-p99": odd}} if signal == "objective" else {signal: odd}
    found = after(replace(ample, history=replace(history, **changed), now=history.load.end))
    if isinstance(found.reliability, Reliability):
        assert 0 <= found.reliability.score <= 100
    if isinstance(found.performance, Performance):
        assert 0 <= found.performance.score <= 100
    for warning in found.warnings:
        assert math.isfinite(warning.at)


def test_a_round_that_could_not_see_changes_no_mind(short: OutlookInputs) -> None:
    warned = after(short)
    blind = look_ahead(replace(short, history=replace(short.history, objectives={}), previous=warned.state))
    assert blind.warnings == ()
    again = look_ahead(replace(short, previous=blind.state))
    assert [one.since for one in again.warnings] == [one.since for one in warned.warnings]


def test_nothing_known_is_said_and_not_guessed(ample: OutlookInputs) -> None:
    nothing = replace(
        ample, history=without_samples(ample.history), forecast=NoForecast("no demand was seen"), curves={}
    )
    found = look_ahead(nothing)
    assert isinstance(found.reliability, NoReliability)
    assert isinstance(found.performance, NoPerformance)
    assert isinstance(found.capacity, NoCapacityPlan)
    assert (found.warnings, found.budgets) == ((), ())
    assert found.unknown == {"latency-p99": "latency-p99: no sample was seen"}


def test_a_policy_without_objectives_still_has_a_capacity_plan(ample: OutlookInputs) -> None:
    found = look_ahead(replace(ample, spec=spec(objectives=[]), curves={}))
    assert found.reliability == NoReliability("the policy has no objectives")
    assert isinstance(found.capacity, CapacityPlan)


@pytest.mark.parametrize("replicas", [0, 1, 500])
def test_any_count_of_replicas(ample: OutlookInputs, replicas: int) -> None:
    assert isinstance(look_ahead(replace(ample, replicas=replicas)).reliability, Reliability)
