"""Health: a bounded score that no worse finding raises, with a reason for each factor."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.quality import DataProblem, Quality
from trimtab.analytics.trend import Direction, Trend
from trimtab.domain.choices import AnomalyKind, Severity
from trimtab.domain.objectives import Objective
from trimtab.domain.series import Series
from trimtab.domain.status import Amounts, ContainerSize, ObjectiveState
from trimtab.domain.units import format_number
from trimtab.forecasting.burn_rates import BudgetAlert, ErrorBudget
from trimtab.forecasting.early_warning import EarlyWarning, Source
from trimtab.planning.health import Health, HealthInputs, NoHealth, health
from trimtab.planning.health_scales import margin, on
from trimtab.planning.rightsizing import Usage

NOW = 1.0e9
GIB = 2.0**30
POD = ContainerSize(name="app", requests=Amounts(cpu="500m", memory="1Gi"), limits=Amounts(cpu="1", memory="2Gi"))


def latency(critical: bool = False, **changed: Any) -> Objective:
    given_: dict[str, Any] = {"name": "latency", "query": "up", "max": "0.25", "critical": critical, **changed}
    return Objective.model_validate(given_)


def state(value: float, objective: Objective) -> ObjectiveState:
    return ObjectiveState(
        name=objective.name,
        value=format_number(value),
        threshold=f"≤ {objective.threshold}",
        state="Violated" if objective.violated(value) else "Met",
    )


def sampled(value: float, broken: int = 0) -> Series:
    """A day at five minutes with so many samples beyond 0.25 s, ending with ``value``."""
    values = np.full(288, 0.1)
    values[:broken] = 0.5
    values[-1] = value
    return Series(NOW - 287 * 300.0, 300.0, values)


def anomaly(severity: Severity) -> Anomaly:
    return Anomaly("load", AnomalyKind.SPIKE, severity, NOW - 60, None, 9.0, 3.0, 0.99, "")


def budget(remaining: float) -> ErrorBudget:
    return ErrorBudget("latency", 99.0, 2.6e6, remaining, 90, (), BudgetAlert.NONE, "", None, 0, 0.0)


def inputs(
    value: float = 0.1,
    *,
    broken: int = 0,
    critical: bool = False,
    cpu: float = 0.3,
    memory: float = 0.5,
    demand: float = 50.0,
    remaining: float = 90.0,
    slope: float = 0.0,
    breach_hours: float | None = None,
    warned: float = 90.0,
    missing: float = 0.0,
    problem: DataProblem | None = None,
    active: tuple[Severity, ...] = (),
    steps: float = 10.0,
    drift: str = "None",
    needed: float = 95.0,
) -> HealthInputs:
    """A workload about which all is known."""
    objective = latency(critical)
    trend = Trend(Direction.RISING if slope > 0 else Direction.STEADY, slope, slope, slope, 0.0)
    early = (
        EarlyWarning("latency", NOW, breach_hours * 3600.0, round(warned), Source.FORECAST, "", NOW)
        if breach_hours is not None
        else None
    )
    return HealthInputs(
        NOW,
        objectives=(objective,),
        states=(state(value, objective),),
        values={"latency": sampled(value, broken)},
        budgets=(budget(remaining),),
        containers=(POD,),
        usage={"app": Usage(cpu, memory * GIB)},
        demand=demand,
        capacity=100.0,
        trend=trend,
        warnings=(early,) if early is not None else (),
        anomalies=tuple(anomaly(one) for one in active),
        quality=Quality(problem, "The newest sample is fresh.", 10.0, 86400.0, missing),
        forecast_reliable=True,
        drift=drift,
        scale_steps_a_day=steps,
        monthly_cost=100.0,
        needed_monthly_cost=needed,
    )


def score(given_inputs: HealthInputs) -> int:
    found = health(given_inputs)
    assert isinstance(found, Health)
    return found.score


@pytest.mark.parametrize("module", ["health", "health_scales"])
def test_examples(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"trimtab.planning.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_all_is_well() -> None:
    found = health(inputs())
    assert isinstance(found, Health)
    assert (found.score, found.confidence_percent, found.missing) == (100, 100, ())
    assert found.reason == "Nothing holds the score down."
    assert [one.name for one in found.factors] == [
        "latency", "error-budget", "cpu", "memory", "headroom", "trend", "anomalies", "data", "forecast", "stability",
        "cost",
    ]  # fmt: skip
    assert all(one.score == 100 and one.reason.endswith(".") for one in found.factors)


def test_hand_worked_mean() -> None:
    """Latency 0.225 of 0.25 leaves a tenth of room: 85, with nothing broken lately 0.7 * 85 + 0.3 * 100 = 89.5."""
    found = health(inputs(0.225))
    assert isinstance(found, Health)
    assert found.factors[0].score == 90
    assert found.score == round((40 * 89.5 + 65 * 100) / 105)
    assert found.factors[0].reason == (
        "latency is 0.225, threshold ≤ 0.25: within it by 10 %; beyond it 0.0 % of the last 24 hours."
    )


@pytest.mark.parametrize(
    ("changed", "most"),
    [
        pytest.param({"value": 0.26, "critical": True}, 30, id="a critical objective broken by a little"),
        pytest.param({"value": 9.0, "critical": True}, 0, id="and by much"),
        pytest.param({"value": 0.26}, 60, id="an objective broken"),
        pytest.param({"value": 9.0}, 30, id="and by much more"),
        pytest.param({"remaining": 0.0}, 50, id="no error budget"),
        pytest.param({"memory": 2.0}, 40, id="memory at its limit"),
        pytest.param({"cpu": 1.3}, 60, id="cpu over its limit"),
        pytest.param({"demand": 140.0}, 50, id="more demand than is carried"),
        pytest.param({"active": (Severity.CRITICAL, Severity.CRITICAL)}, 70, id="critical anomalies"),
        pytest.param({"problem": DataProblem.STALE}, 65, id="old data"),
    ],
)
def test_no_severe_finding_hides_in_the_mean(changed: dict[str, Any], most: int) -> None:
    assert score(inputs(**changed)) <= most


WORSE: list[tuple[str, Callable[[float], dict[str, Any]]]] = [
    ("value", lambda x: {"value": 0.6 * x}),
    ("value of a critical one", lambda x: {"value": 0.6 * x, "critical": True}),
    ("time broken", lambda x: {"broken": int(280 * x)}),
    ("cpu", lambda x: {"cpu": 2.0 * x}),
    ("memory", lambda x: {"memory": 2.5 * x}),
    ("demand", lambda x: {"demand": 200.0 * x}),
    ("budget", lambda x: {"remaining": 100.0 - 250.0 * x}),
    ("slope", lambda x: {"slope": 60.0 * x}),
    ("breach sooner", lambda x: {"breach_hours": 100.0 * (1 - x)}),
    ("breach surer", lambda x: {"breach_hours": 2.0, "warned": 100.0 * x}),
    ("gaps", lambda x: {"missing": 100.0 * x}),
    ("anomalies", lambda x: {"active": (Severity.WARNING,) * int(6 * x)}),
    ("steps", lambda x: {"steps": 500.0 * x}),
    ("waste", lambda x: {"needed": 110.0 * (1 - x)}),
]


@settings(max_examples=150, deadline=None)
@given(
    which=st.sampled_from(range(len(WORSE))),
    less=st.floats(0, 1),
    more=st.floats(0, 1),
    beside=st.dictionaries(st.sampled_from(range(len(WORSE))), st.floats(0, 1), max_size=4),
)
def test_worse_is_never_better(which: int, less: float, more: float, beside: dict[int, float]) -> None:
    less, more = sorted((less, more))
    others: dict[str, Any] = {}
    for index, amount in beside.items():
        others.update(WORSE[index][1](amount))
    better, worse = (score(inputs(**{**others, **WORSE[which][1](x)})) for x in (less, more))
    assert 0 <= worse <= better <= 100


def test_what_is_missing_lowers_the_confidence_and_not_the_score() -> None:
    whole = inputs(0.3)
    less = replace(
        whole, usage={}, anomalies=None, quality=None, trend=None, failures={"cpu": "query 'cpu_seconds' found nothing"}
    )
    some = health(less)
    assert isinstance(some, Health)
    assert some.score == score(whole) == 48
    assert some.confidence_percent < 70
    assert "cpu: query 'cpu_seconds' found nothing" in some.missing
    assert any(text.startswith("memory: no usage") for text in some.missing)


def test_an_objective_without_a_value_is_named_with_its_query() -> None:
    objective = latency()
    unknown = ObjectiveState(name="latency", threshold="≤ 0.25", state="Unknown")
    found = health(replace(inputs(), objectives=(objective,), states=(unknown,)))
    assert isinstance(found, Health)
    assert "latency: no fresh value of up" in found.missing
    assert found.confidence_percent == round(100 * 65 / 105)


def test_without_custom_resources() -> None:
    """A survey knows usage and requests only."""
    found = health(HealthInputs(NOW, containers=(POD,), usage={"app": Usage(0.2, 0.5 * GIB)}))
    assert isinstance(found, Health)
    assert found.score == 100
    assert found.confidence_percent == round(100 * 20 / (40 + 65 - 10))
    assert found.missing[0] == "objectives: none are set, so nothing says what good is"


def test_nothing_to_judge() -> None:
    found = health(HealthInputs(NOW, failures={"load": "query 'sum(rate(http[5m]))' found nothing"}))
    assert found == NoHealth("There is nothing to judge. load: query 'sum(rate(http[5m]))' found nothing.")
    bare = health(HealthInputs(NOW, anomalies=()))
    assert isinstance(bare, NoHealth)
    assert "objectives: none are set" in bare.reason


def test_no_traffic_is_no_fault() -> None:
    objective = latency()
    idle = ObjectiveState(name="latency", threshold="≤ 0.25", state="NoTraffic")
    assert score(replace(inputs(), objectives=(objective,), states=(idle,), values={})) == 100


@pytest.mark.parametrize(
    ("objective", "value", "expected"),
    [
        pytest.param({"max": "0.25"}, 0.125, 0.5, id="half of a latency"),
        pytest.param({"max": "0.25"}, 0.0, 1.0, id="nothing at all"),
        pytest.param({"min": "0.999"}, 0.998, -0.8, id="twice the loss allowed"),
        pytest.param({"min": "99.9"}, 100.0, 0.8, id="no loss in percent, a quarter of the budget being the floor"),
        pytest.param({"min": "200"}, 400.0, 0.5, id="twice the throughput"),
        pytest.param({"min": "200"}, 0.0, -1.0, id="no throughput"),
        pytest.param({"max": "0"}, 0.0, 1.0, id="no errors allowed and none seen"),
        pytest.param({"max": "0"}, 1.0, -1e6, id="no errors allowed"),
    ],
)
def test_margin(objective: dict[str, str], value: float, expected: float) -> None:
    made = Objective.model_validate({"name": "o", "query": "up", **objective})
    assert margin(made, value) == pytest.approx(expected)


@settings(max_examples=300, deadline=None)
@given(number=st.floats(allow_nan=True, allow_infinity=True))
def test_absurd_numbers_never_raise(number: float) -> None:
    odd = replace(
        inputs(),
        demand=number,
        capacity=number,
        peak_ahead=number,
        usage={"app": Usage(number, number)},
        scale_steps_a_day=number,
        monthly_cost=number,
        needed_monthly_cost=number,
        values={"latency": Series(NOW, 300.0, np.array([number]))},
    )
    found = health(odd)
    assert isinstance(found, Health)
    assert 0 <= found.score <= 100
    assert all("nan" not in one.reason for one in found.factors)


def test_scales_are_flat_beyond_their_ends() -> None:
    assert [on(((1.0, 90.0), (2.0, 10.0)), x) for x in (0.0, 1.0, 1.5, 2.0, 9.0)] == [90.0, 90.0, 50.0, 10.0, 10.0]
