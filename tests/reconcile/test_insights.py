"""What an assessment found, as conditions, cells, status and gauges; made by the assessment itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest

from tests.planning.building import policy_spec, size
from trimtab.adapters.telemetry import GAUGES
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.status import Condition, ConditionType, PolicyStatus
from trimtab.forecasting.early_warning import EarlyWarning, Source
from trimtab.planning.assessment import assess
from trimtab.planning.findings import AssessInputs, Assessment, Insights, Running
from trimtab.planning.health import Health, NoHealth
from trimtab.reconcile import insights
from trimtab.reconcile.insight_conditions import conditions

STEP: Final = 60.0
SAMPLES: Final = 3000
LASTS: Final = 40
LATENCY: Final[dict[str, Any]] = {
    "name": "latency-p99",
    "query": "p99",
    "max": "250m",
    "slo": {"targetPercent": "99", "window": "24h"},
}


def history(latency: FloatArray) -> WorkloadHistory:
    """A steady load on four pods, with this latency."""
    rng = np.random.default_rng(1)

    def steady(value: float, noise: float = 0.03) -> Series:
        return Series(0.0, STEP, value * (1.0 + noise * rng.standard_normal(latency.size)))

    return WorkloadHistory(
        load=steady(100.0),
        replicas=steady(4.0, 0.0),
        cpu_size=steady(0.5, 0.0),
        cpu_cores={"app": steady(0.8)},
        memory_bytes={"app": steady(1e8)},
        objectives={"latency-p99": Series(0.0, STEP, latency)},
        startup_seconds=20.0,
    )


def assessed(latency: FloatArray) -> Assessment:
    """Two rounds: the first without the newest samples, so that what they begin is new."""
    spec = policy_spec(objectives=[LATENCY], analysis={"interval": "60s", "history": "72h"})
    whole, first = history(latency), history(latency[:-LASTS])
    running = Running("deployment/checkout", 4, 4, (size(),), policy="checkout")
    given = AssessInputs(spec, first, {}, first.load.end, running=running)
    before = assess(given)
    return assess(replace(given, history=whole, now=whole.load.end, previous=before.known))


def found(assessment: Assessment) -> Insights:
    assert assessment.insights is not None
    return assessment.insights


@pytest.fixture(scope="module")
def well() -> Assessment:
    """Latency at 80 ms."""
    return assessed(0.08 * (1.0 + 0.05 * np.random.default_rng(2).standard_normal(SAMPLES)))


@pytest.fixture(scope="module")
def bad() -> Assessment:
    """The same, and ten times that for the newest samples."""
    latency = 0.08 * (1.0 + 0.05 * np.random.default_rng(2).standard_normal(SAMPLES))
    latency[-LASTS:] *= 10.0
    return assessed(latency)


def test_all_is_well(well: Assessment) -> None:
    turned = conditions(well.insights, PolicyStatus())
    assert [turn[:2] for turn in turned.values()] == [
        ("True", "Healthy"),
        ("False", "NoneActive"),
        ("False", "NoneForeseen"),
    ]
    assert insights.anomalies_cell(well.insights) == ""
    assert insights.outlook_cell(well.insights).endswith("% reliable")


def test_a_bad_turn_shows_in_conditions_cells_and_status(bad: Assessment) -> None:
    turned = conditions(bad.insights, PolicyStatus())
    assert turned[ConditionType.HEALTHY][:2] == ("False", "Unhealthy")
    assert turned[ConditionType.ANOMALY][:2] == ("True", "LevelShift")
    assert "objective/latency-p99" in insights.anomalies_cell(bad.insights)
    told = insights.anomalies_of(found(bad), SAMPLES * STEP)
    assert told.latest is not None
    assert (told.active, told.latest.signal, told.latest.until) == (1, "objective/latency-p99", None)
    scored = insights.health_of(found(bad).health)
    assert scored is not None
    assert scored.factors[0].score == min(factor.score for factor in scored.factors)
    (budget,) = insights.budgets_of(found(bad).outlook)
    assert budget.alert == "Page"
    assert float(budget.burn_rate) > 10.0


def test_every_gauge_that_is_shown_is_declared_and_a_number(well: Assessment, bad: Assessment) -> None:
    for assessment in (well, bad):
        shown = insights.figures(found(assessment), assessment.known.supervised)
        assert shown.keys() <= GAUGES.keys()
        assert all(math.isfinite(value) for values in shown.values() for value in values.values())
        assert shown["health_score"].keys() == shown["performance_score"].keys() == {""}
    assert shown["anomalies_active"]["Critical"] + shown["anomalies_active"]["Warning"] == 1.0


def test_without_a_workload_nothing_is_said() -> None:
    assert {turn[0] for turn in conditions(None, PolicyStatus()).values()} == {"Unknown"}
    assert insights.anomalies_cell(None) == insights.outlook_cell(None) == ""


def test_a_score_that_hovers_does_not_turn_health_each_round(well: Assessment) -> None:
    scores = [80, 71, 69, 72, 69, 74, 70, 75, 72, 70, 69]
    status, turns = PolicyStatus(), []
    for score in scores:
        one = replace(found(well), health=replace(healthy(well), score=score))
        said, reason, message = conditions(one, status)[ConditionType.HEALTHY]
        assert f"health is {score} of 100" in message
        assert ("healthy again from 75 on" in message) == (said == "False" and score >= 70)
        told = Condition(type="Healthy", status=said, reason=reason, message=message, last_transition_time=0.0)
        status = PolicyStatus(conditions=[told])
        turns.append(said)
    assert turns == ["True"] * 2 + ["False"] * 5 + ["True"] * 3 + ["False"]


def healthy(assessment: Assessment) -> Health:
    health = found(assessment).health
    assert not isinstance(health, NoHealth)
    return health


@pytest.mark.parametrize(("seconds", "cell"), [(-5.0, "p99 now"), (59.0, "p99 now"), (5431.0, "p99 in 1h31m")])
def test_the_soonest_breach_in_a_column(well: Assessment, seconds: float, cell: str) -> None:
    warning = EarlyWarning("p99", 0.0, seconds, 90, Source.FORECAST, "", 0.0)
    ahead = replace(found(well), outlook=replace(found(well).outlook, warnings=(warning,)))
    assert insights.outlook_cell(ahead) == cell
