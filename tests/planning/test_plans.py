"""Plans: hand-worked arithmetic of count, size and cost, and laws that every plan keeps."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planning.building import policy_spec, size, workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import RequestedChange, Trigger
from trimtab.domain.status import OperatingPoint
from trimtab.domain.units import parse_quantity
from trimtab.planning import changes as fields
from trimtab.planning.options import Demand, PlanInputs
from trimtab.planning.plans import Proposal, no_objectives, propose, requested
from trimtab.planning.rightsizing import Usage
from trimtab.planning.steps import NoPlan
from trimtab.planning.strategies import STRATEGIES

MIB = 2.0**20


def inputs(spec: PolicySpec, *, peak: float, now: float = 0.0, per_core: float = 100.0, **changed: Any) -> PlanInputs:
    """A service whose replica carries 100 requests/s a core."""
    given: dict[str, Any] = {
        "spec": spec,
        "strategy": STRATEGIES[spec.strategy],
        "workload": workload(4),
        "point": OperatingPoint(),
        "demand": Demand(now, peak, 600.0, "requests/s", "forecast"),
        "capacity_of": lambda cores: per_core * cores,
        "capacity_source": "learned",
        "curves": {},
        "usage": {},
        "breached": (),
    }
    return PlanInputs(**{**given, **changed})


def planned(result: Proposal | NoPlan) -> dict[str, str]:
    assert isinstance(result, Proposal), result
    return {change.path: f"{change.from_}>{change.to}" for change in result.plan.changes}


HORIZONTAL = policy_spec()
VERTICAL = policy_spec(horizontal=None, vertical={})
BOTH = policy_spec(vertical={})


def test_replicas_for_the_peak_and_headroom() -> None:
    # 230 requests/s and 15 % are 264.5; a replica of 500m carries 50: six are needed, 4 × 1.5 = 6 allowed
    result = propose(inputs(HORIZONTAL, peak=230))
    assert planned(result) == {"spec.replicas": "4>6"}
    assert isinstance(result, Proposal)
    assert result.trigger is Trigger.FORECAST


def test_a_step_is_capped_and_says_so() -> None:
    result = propose(inputs(HORIZONTAL, peak=700))
    assert planned(result) == {"spec.replicas": "4>6"}
    assert isinstance(result, Proposal)
    assert [guard.result for guard in result.plan.guardrails] == ["Capped"]


def test_fewer_replicas_where_it_saves() -> None:
    result = propose(inputs(HORIZONTAL, peak=60))
    assert planned(result) == {"spec.replicas": "4>2"}
    assert isinstance(result, Proposal)
    assert result.trigger is Trigger.COST
    # 2 replicas of 0.5 cores and 0.25 GiB for 730 h at OpenCost's prices
    assert result.monthly_to == pytest.approx(2 * (0.5 * 0.031611 + 0.25 * 0.004237) * 730)


def test_a_broken_objective_is_the_trigger_where_it_is_broken() -> None:
    result = propose(inputs(HORIZONTAL, peak=230, breached=("latency-p99",)))
    assert isinstance(result, Proposal)
    assert result.trigger is Trigger.OBJECTIVE
    assert "latency-p99" in result.plan.reason


def test_a_size_where_only_size_may_change() -> None:
    # 115 requests/s over 4 replicas are 28.75 a replica: 290m is the least on the grid of 10m
    result = planned(propose(inputs(VERTICAL, peak=100)))
    assert result["resources.requests.cpu"] == "500m>300m"
    assert result["resources.limits.cpu"] == "500m>300m"
    assert "spec.replicas" not in result


def test_count_and_size_are_chosen_together() -> None:
    result = propose(inputs(BOTH, peak=100))
    assert isinstance(result, Proposal)
    replicas = int(planned(result).get("spec.replicas", "4>4").partition(">")[2])
    cores = parse_quantity(planned(result).get("resources.requests.cpu", "500m>500m").partition(">")[2])
    assert replicas * cores * 100 >= 115
    alone = propose(inputs(HORIZONTAL, peak=100))
    assert isinstance(alone, Proposal)
    assert result.monthly_to <= alone.monthly_to


def test_memory_follows_its_peak_down() -> None:
    usage = {"app": Usage(cpu_p95_cores=0.4, memory_peak_bytes=160 * MIB)}
    # the peak and 20 % are 192 MiB; CPU stays, as 190 requests/s need it
    result = propose(inputs(VERTICAL, peak=173, usage=usage, strategy=STRATEGIES[VERTICAL.strategy]))
    if isinstance(result, Proposal):
        assert planned(result)["resources.requests.memory"] == "256Mi>192Mi"
    else:
        assert "saves" in result.reason


def test_memory_above_its_request_is_raised_whatever_it_costs() -> None:
    usage = {"app": Usage(cpu_p95_cores=0.4, memory_peak_bytes=300 * MIB)}
    result = propose(inputs(VERTICAL, peak=173, usage=usage))
    assert planned(result)["resources.requests.memory"] == "256Mi>360Mi"
    assert isinstance(result, Proposal)
    assert "300Mi" in result.plan.reason
    assert result.trigger is Trigger.OBJECTIVE


def test_cpu_and_memory_change_in_one_rollout() -> None:
    usage = {"app": Usage(cpu_p95_cores=0.2, memory_peak_bytes=100 * MIB, memory_seconds=600.0)}
    changes = planned(propose(inputs(VERTICAL, peak=100, usage=usage)))
    assert changes["resources.requests.cpu"] == "500m>300m"
    assert changes["resources.requests.memory"] == "256Mi>128Mi"


def test_memory_that_is_not_known_for_long_is_left_while_cpu_shrinks() -> None:
    usage = {"app": Usage(cpu_p95_cores=0.2, memory_peak_bytes=100 * MIB, memory_seconds=60.0)}
    changes = planned(propose(inputs(VERTICAL, peak=100, usage=usage)))
    assert changes["resources.requests.cpu"] == "500m>300m"
    assert "resources.requests.memory" not in changes


def test_help_does_not_wait_for_the_history_that_shrinking_needs() -> None:
    # 288 requests/s are needed and 141 carried: three of a core are cheapest, but would lower the count
    fewer = policy_spec(
        horizontal={"minReplicas": 1, "maxReplicas": 4, "follow": False},
        vertical={},
        guardrails={"minHistory": "1m", "maxStepPercent": 300},
    )
    capacity: dict[str, Any] = {"capacity_of": lambda cores: 100 * cores**1.5}
    result = propose(inputs(fewer, peak=250, **capacity))
    assert planned(result)["spec.replicas"] == "4>3"
    young = propose(inputs(fewer, peak=250, load_seconds=60.0, **capacity))
    assert isinstance(young, Proposal)
    assert young.trigger is Trigger.FORECAST
    assert not any(fields.lowers(change) for change in young.plan.changes)


def test_a_plan_prices_its_restarts() -> None:
    result = propose(inputs(VERTICAL, peak=100, startup_seconds=90.0))
    assert isinstance(result, Proposal)
    # 4 pods of 300m and 256Mi, 90 s each, at OpenCost's prices
    once = 4 * 90 / 3600 * (0.3 * 0.031611 + 0.25 * 0.004237)
    assert result.plan.predicted.cost is not None
    assert float(result.plan.predicted.cost.restarts) == pytest.approx(once, rel=1e-2)
    assert result.plan.evidence["restarts"].endswith("USD once: 4 pods that start in 1m30s")


def test_replicas_alone_restart_nothing() -> None:
    result = propose(inputs(HORIZONTAL, peak=60, startup_seconds=90.0))
    assert isinstance(result, Proposal)
    assert result.plan.predicted.cost is not None
    assert result.plan.predicted.cost.restarts == ""


@pytest.mark.parametrize(("rollouts", "pays"), [(1, True), (24, True), (400, False)])
def test_a_saving_that_does_not_pay_its_restarts_is_no_plan(rollouts: int, pays: bool) -> None:
    """38 % are saved; pods that start in two minutes cost 0.1, 3 or 60 % of the time between two rollouts."""
    often = policy_spec(horizontal=None, vertical={}, guardrails={"minHistory": "1m", "maxRolloutsPerDay": rollouts})
    result = propose(inputs(often, peak=100, startup_seconds=120.0))
    assert isinstance(result, Proposal) is pays
    if isinstance(result, NoPlan):
        assert "restarts cost" in result.reason
        assert "400 rollouts a day (guardrails.maxRolloutsPerDay)" in result.reason


REFUSALS = {
    "well as it is": (inputs(HORIZONTAL, peak=172), "well as it is"),
    "no capacity known": (
        inputs(HORIZONTAL, peak=100, capacity_of=lambda cores: cores * math.nan),
        "no capacity is known",
    ),
    "bounds allow no more": (
        inputs(policy_spec(horizontal={"minReplicas": 1, "maxReplicas": 4, "follow": False}), peak=900),
        "bounds allow no more",
    ),
    "scaled to zero": (inputs(HORIZONTAL, peak=100, workload=workload(0)), "scaled to zero"),
    "nothing may change": (inputs(policy_spec(mode="Recommend", horizontal=None), peak=100), "nothing may be changed"),
}


@pytest.mark.parametrize(("given_inputs", "words"), REFUSALS.values(), ids=REFUSALS.keys())
def test_no_plan_says_why(given_inputs: PlanInputs, words: str) -> None:
    result = propose(given_inputs)
    assert isinstance(result, NoPlan), result
    assert words in result.reason


@given(
    peak=st.floats(0, 5000),
    now=st.floats(0, 5000),
    replicas=st.integers(1, 20),
    cpu=st.sampled_from(["100m", "500m", "1", "2"]),
    vertical=st.booleans(),
)
def test_laws_of_every_plan(peak: float, now: float, replicas: int, cpu: str, vertical: bool) -> None:
    """Bounds and steps hold, and where the workload carried the demand before, it does after."""
    allowed = {"containerPolicies": [{"minAllowed": {"cpu": "50m"}, "maxAllowed": {"cpu": "4"}}]}
    spec = policy_spec(vertical=allowed) if vertical else HORIZONTAL
    given_inputs = inputs(spec, peak=peak, now=now, workload=workload(replicas, container=size(cpu)))
    result = propose(given_inputs)
    if isinstance(result, NoPlan):
        return
    changed = planned(result)
    count = int(changed.get("spec.replicas", f">{replicas}").partition(">")[2])
    cores = parse_quantity(changed.get("resources.requests.cpu", f">{cpu}").partition(">")[2])
    before = parse_quantity(cpu)
    assert 1 <= count <= 20
    assert math.ceil(replicas * 0.5) <= count <= replicas + max(1, replicas // 2)
    assert before * 0.5 - 1e-3 <= cores <= before * 1.5 + 1e-3
    need = max(peak, now) * 1.15
    if replicas * before * 100 >= need:
        assert count * cores * 100 >= need - 1e-6
        assert result.monthly_to < result.monthly_from
    else:
        assert count * cores > replicas * before


ASKED = {
    "replicas": ([{"path": "spec.replicas", "to": 9}], {"spec.replicas": "4>9"}),
    "cpu": (
        [{"path": "resources.requests.cpu", "container": "app", "to": "250m"}],
        {"resources.requests.cpu": "500m>250m"},
    ),
}


@pytest.mark.parametrize(("changes", "wanted"), ASKED.values(), ids=ASKED.keys())
def test_a_person_may_leave_bounds_by_their_word(changes: list[dict[str, Any]], wanted: dict[str, str]) -> None:
    asked = [RequestedChange.model_validate(change) for change in changes]
    assert planned(requested(inputs(HORIZONTAL, peak=100), asked)) == wanted
    narrow = policy_spec(
        horizontal={"minReplicas": 1, "maxReplicas": 4, "follow": False},
        vertical={"containerPolicies": [{"minAllowed": {"cpu": "500m"}}]},
    )
    assert planned(requested(inputs(narrow, peak=100), asked, beyond_bounds=True)) == wanted
    refused = requested(inputs(narrow, peak=100), asked)
    assert isinstance(refused, NoPlan)
    assert refused.final
    assert "set allowBeyondBounds on another run" in refused.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([{"path": "spec.replicas", "to": 4}], "already as asked for"),
        ([{"path": "resources.requests.cpu", "container": "other", "to": 1}], "not in the workload; it has app"),
    ],
)
def test_what_a_person_cannot_ask_for(changes: list[dict[str, Any]], words: str) -> None:
    result = requested(inputs(HORIZONTAL, peak=100), [RequestedChange.model_validate(change) for change in changes])
    assert isinstance(result, NoPlan)
    assert words in result.reason


@pytest.mark.parametrize(
    ("changed", "trigger", "tried"),
    [
        pytest.param({}, Trigger.COST, False, id="Auto tries nothing"),
        pytest.param({}, Trigger.MANUAL, True, id="a person may"),
        pytest.param({"mode": "Recommend"}, Trigger.COST, True, id="Recommend only shows"),
        pytest.param({"mode": "Approve"}, Trigger.COST, True, id="Approve asks a person"),
        pytest.param({"validation": {"withoutObjectives": "GuardsOnly"}}, Trigger.COST, True, id="GuardsOnly"),
        pytest.param(
            {"objectives": [{"name": "p99", "query": "p99", "max": 1}]}, Trigger.COST, True, id="an objective"
        ),
    ],
)
def test_without_objectives_auto_plans_no_run(changed: dict[str, Any], trigger: Trigger, tried: bool) -> None:
    nothing = no_objectives(policy_spec(**changed), trigger)
    assert (nothing is None) is tried
    assert nothing is None or (nothing.condition, nothing.final) == ("NoObjectives", True)
    assert nothing is None or "withoutObjectives" in nothing.reason
