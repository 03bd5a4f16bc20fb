"""What a trial is held to, and what a policy's bounds allow."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planning.building import REPLICAS_4_TO_6, change, plan, policy, policy_spec, run, workload
from trimtab.domain.choices import OnInconclusive
from trimtab.domain.objectives import Objective
from trimtab.domain.policy import Validation
from trimtab.domain.run import Phase, RunSpec
from trimtab.domain.run_status import Applied, FieldChange, RunStatus, Verdict
from trimtab.domain.status import Snapshot
from trimtab.planning.bounds import beyond
from trimtab.planning.lifecycle import next_step
from trimtab.planning.steps import Record, RunFacts, Step, Wait, Write
from trimtab.planning.terms import broken, limits_of, spec_for, terms_of, under, validation_under

P99: dict[str, Any] = {"name": "p99", "query": "vector(1)", "max": "250m", "critical": True, "onNoTraffic": "Hold"}
SUCCESS: dict[str, Any] = {"name": "success", "query": "vector(1)", "min": "999m"}


def objective(**changed: Any) -> Objective:
    given = {**P99, **changed}
    return Objective.model_validate({name: value for name, value in given.items() if value is not None})


RECORD = terms_of([objective(), Objective.model_validate(SUCCESS)])
TERMS: dict[str, tuple[list[Objective], str]] = {
    "as recorded": ([objective()], ""),
    "another spelling of the bound": ([objective(max="0.25")], ""),
    "tightened": ([objective(max="100m")], ""),
    "loosened": ([objective(max="300m")], "objective p99 was loosened: max 0.25 is 0.3 now"),
    "removed": ([], "objective p99 was removed"),
    "another query": ([objective(query="vector(2)")], "the query of objective p99 was changed"),
    "another label": ([objective(query='a{b="$target"}', targetLabel="b")], "the query of objective p99 was changed"),
    "the other side": ([objective(max=None, min="1m")], "loosened: its threshold is on the other side"),
    "not critical any more": ([objective(critical=False)], "loosened: it is not critical any more"),
    "no traffic counts as met": ([objective(onNoTraffic="Met")], "loosened: onNoTraffic Hold is Met now"),
    "one more": ([objective(), objective(name="p50")], ""),
}


@pytest.mark.parametrize(("live", "said"), TERMS.values(), ids=TERMS.keys())
def test_terms_that_are_broken(live: list[Objective], said: str) -> None:
    found = broken(RECORD, [*live, Objective.model_validate(SUCCESS)])
    assert said in found
    assert bool(said) == bool(found)


def test_a_lower_bound_is_loosened_downwards() -> None:
    success = Objective.model_validate({**SUCCESS, "min": "990m"})
    assert "min 0.999 is 0.99 now" in broken(RECORD, [objective(), success])
    assert broken(RECORD, [objective(), Objective.model_validate({**SUCCESS, "min": "1"})]) == ""


def test_a_trial_is_judged_by_the_record() -> None:
    live = policy_spec(objectives=[{**P99, "max": "1m", "critical": False}, {**P99, "name": "p50"}])
    (judged,) = under(live, RECORD[:1]).objectives
    assert (judged.name, judged.max, judged.critical, judged.query) == ("p99", 0.25, True, "vector(1)")
    assert under(live, []) is live
    own = RunSpec.model_validate({"policyRef": {"name": "checkout"}, "objectives": [{"name": "p99", "max": "500m"}]})
    assert terms_of(spec_for(live, own).objectives)[0].max == "0.5"


def trial(phase: Phase, spec: dict[str, Any], *, replicas: int = 6, approved: bool = False) -> Step:
    """The next step of a run that changes 4→6 replicas, under a policy that is like this by now."""
    applied = Applied(
        kind="Deployment", name="checkout", uid="uid-1", manager="trimtab",
        before=Snapshot(replicas=4), after=Snapshot(replicas=6), at=100.0,
        validate_from=130.0, validate_interval_seconds=5, measurements=12,
    )  # fmt: skip
    planned = plan().model_copy(update={"objectives": RECORD})
    approval = {"approval": {"planHash": planned.hash}} if approved else {}
    status = RunStatus(phase=phase, plan=planned, applied=applied)
    return next_step(
        RunFacts(run=run(status, spec=approval), policy=policy(policy_spec(**spec)), workload=workload(replicas)), 101.0
    )


BOTH = {"objectives": [P99, SUCCESS]}
LEAVE: dict[str, tuple[dict[str, Any], bool, bool]] = {
    "as it was": (BOTH, False, True),
    "paused: a trial under way is still ended": ({**BOTH, "paused": True}, False, True),
    "Observe": ({**BOTH, "mode": "Observe"}, False, False),
    "Recommend, approved": ({**BOTH, "mode": "Recommend"}, True, False),
    "Approve": ({**BOTH, "mode": "Approve"}, False, False),
    "Approve, approved": ({**BOTH, "mode": "Approve"}, True, True),
    "an objective less": ({"objectives": [P99]}, False, False),
    "another target": ({**BOTH, "targetRef": {"kind": "Deployment", "name": "other"}}, False, False),
}


@pytest.mark.parametrize("phase", [Phase.SETTLING, Phase.VALIDATING])
@pytest.mark.parametrize(("spec", "approved", "goes_on"), LEAVE.values(), ids=LEAVE.keys())
def test_a_trial_that_lost_its_leave_is_undone(
    phase: Phase, spec: dict[str, Any], approved: bool, goes_on: bool
) -> None:
    assert isinstance(trial(phase, spec, approved=approved), Wait if goes_on else Write)
    if not goes_on:
        ended = trial(phase, spec, approved=approved, replicas=4)
        assert isinstance(ended, Record)
        assert ended.status.rollback is not None
        assert (ended.status.phase, ended.status.rollback.restored) == (Phase.CANCELLED, True)
        assert "during the trial" in ended.reason


def test_one_that_lost_its_leave_before_the_write_is_not_written() -> None:
    assert isinstance(trial(Phase.APPLYING, BOTH, replicas=4), Write)
    ended = trial(Phase.APPLYING, {**BOTH, "mode": "Observe"}, replicas=4)
    assert isinstance(ended, Record)
    assert ended.status.phase is Phase.CANCELLED


def test_a_verdict_that_is_recorded_is_acted_on_whatever_the_mode() -> None:
    step = trial(Phase.VALIDATING, BOTH)
    assert isinstance(step, Wait)
    status = RunStatus(phase=Phase.VALIDATING, plan=plan(), verdict=Verdict(result="Pass", message="holds"))
    observed = policy(policy_spec(mode="Observe"))
    kept = next_step(RunFacts(run=run(status), policy=observed, workload=workload(6)), 101.0)
    assert isinstance(kept, Record)
    assert kept.status.phase is Phase.SUCCEEDED


def test_a_plan_that_waits_is_made_anew_for_another_version_or_other_objectives() -> None:
    def waiting(version: str, objectives: list[dict[str, Any]]) -> Step:
        old = plan().model_copy(update={"objectives": RECORD, "version": "v1"})
        new = plan().model_copy(update={"hash": "def"})
        status = RunStatus(phase=Phase.AWAITING_APPROVAL, plan=old)
        spec = policy_spec(mode="Approve", objectives=objectives)
        return next_step(RunFacts(run(status), policy(spec), workload(4, version=version), plan=new), 101.0)

    assert isinstance(waiting("v1", [P99, SUCCESS]), Wait)
    for step in (waiting("v2", [P99, SUCCESS]), waiting("v1", [P99])):
        assert isinstance(step, Record)
        assert step.status.plan is not None
        assert (step.status.phase, step.status.plan.hash) == (Phase.AWAITING_APPROVAL, "def")


@pytest.mark.parametrize(
    ("failure_limit", "measurements", "recorded"), [(2, 40, 2), (6, 6, 3), (1000, 5, 2), (2, 1, 0), (0, 8, 0)]
)
def test_no_trial_survives_more_failures_than_half(failure_limit: int, measurements: int, recorded: int) -> None:
    said = Validation(failure_limit=failure_limit, on_inconclusive=OnInconclusive.KEEP)
    limits = limits_of(said, measurements)
    assert limits.failure_limit == recorded
    loosened = Validation(failure_limit=999, tolerance_percent=100, consecutive_error_limit=999)
    held = validation_under(loosened, limits)
    assert limits_of(held, measurements) == limits
    assert validation_under(loosened, None) == loosened


CPU, MEMORY = "resources.requests.cpu", "resources.requests.memory"
BOUNDED = {
    "horizontal": {"minReplicas": 2, "maxReplicas": 8},
    "vertical": {
        "containerPolicies": [
            {"containerName": "app", "minAllowed": {"cpu": "250m"}, "maxAllowed": {"cpu": "333m", "memory": "1Gi"}}
        ]
    },
}
BOUNDS: dict[str, tuple[FieldChange, str]] = {
    "within": (change("spec.replicas", "4", "8"), ""),
    "above": (change("spec.replicas", "4", "9"), "spec.replicas: 9 is above horizontal.maxReplicas 8"),
    "below": (change("spec.replicas", "4", "1"), "spec.replicas: 1 is below horizontal.minReplicas 2"),
    "nearer": (change("spec.replicas", "20", "10"), "above horizontal.maxReplicas 8"),
    "a floor above the ceiling": (change("operatingPoint.minReplicas", "2", "9"), "above horizontal.maxReplicas 8"),
    "a floor below the floor": (change("operatingPoint.minReplicas", "2", "1"), ""),
    "cpu at the bound": (change(CPU, "300m", "333m", "app"), ""),
    "cpu above": (change(CPU, "300m", "334m", "app"), f"{CPU} of container app: 334m is above maxAllowed.cpu 333m"),
    "cpu below": (change(CPU, "300m", "200m", "app"), "below minAllowed.cpu 250m"),
    "a limit": (change("resources.limits.cpu", "300m", "2", "app"), ""),
    "memory above": (change(MEMORY, "512Mi", "2Gi", "app"), "above maxAllowed.memory 1Gi"),
    "a container without bounds": (change(CPU, "1", "64", "other"), ""),
}


@pytest.mark.parametrize(("one", "said"), BOUNDS.values(), ids=BOUNDS.keys())
def test_beyond(one: FieldChange, said: str) -> None:
    found = beyond(policy_spec(**BOUNDED), [one])
    assert said in found
    assert bool(said) == bool(found)


def test_a_plan_comes_nearer_in_steps_and_without_bounds_nothing_is_beyond() -> None:
    spec = policy_spec(**BOUNDED)
    assert beyond(spec, [change("spec.replicas", "20", "10")], nearer_is_well=True) == ""
    assert beyond(spec, [change("spec.replicas", "20", "21")], nearer_is_well=True) != ""
    assert beyond(policy_spec(horizontal=None, vertical={}), [REPLICAS_4_TO_6]) == ""
