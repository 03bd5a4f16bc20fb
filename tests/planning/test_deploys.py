"""Deploys during a trial, and whose a value is: by owner and not by value alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planning.building import CPU_UP, KUBECTL, OURS, REPLICAS_4_TO_6, change, plan, policy, run, size, workload
from trimtab.domain.objects import FieldOwner, Workload
from trimtab.domain.run import Phase, VerdictResult
from trimtab.domain.run_status import Applied, RunStatus, Verdict
from trimtab.domain.status import PolicyStatus, Scaling, ScalingStep, Snapshot
from trimtab.planning import changes as fields
from trimtab.planning.holding import came_with_deploy
from trimtab.planning.lifecycle import next_step
from trimtab.planning.ownership import claimant, deployer
from trimtab.planning.steps import Record, RunFacts, Wait, Write

APPLIER = FieldOwner("ci", "Apply", "", "2026-01-03T00:00:00Z")
SCALER = FieldOwner("kubectl", "Update", "scale", "2026-01-03T00:00:00Z")
KEY = ("", "spec.replicas")
V1, V2 = "digest-1", "digest-2"
UNPROVEN = (Phase.APPLYING, Phase.SETTLING, Phase.VALIDATING)


def facts(phase: Phase, live: Workload | None, **status: Any) -> RunFacts:
    """A run that changed 4→6 replicas of version 1."""
    before = workload(4, version=V1)
    applied = Applied(
        uid="uid-1", manager="trimtab", before=Snapshot(replicas=4), after=Snapshot(replicas=6), at=100.0,
        validate_from=130.0, validate_interval_seconds=5, measurements=12, last_applied="note-1",
        template=fields.template_beside(before, plan().changes),
    )  # fmt: skip
    found = RunStatus(phase=phase, plan=plan(), applied=applied).model_copy(update=status)
    return RunFacts(run=run(found), policy=policy(), workload=live, plan=plan())


@pytest.mark.parametrize("phase", UNPROVEN)
@pytest.mark.parametrize(
    "deployed",
    [
        {"version": V2},
        {"version": V1, "restarted_at": "2026-01-03T00:00:00Z"},
        {"version": V1, "container": size(memory="512Mi")},
    ],
    ids=["another version", "a restart", "another size"],
)
def test_a_template_change_that_is_not_ours_is_a_verdict_first(phase: Phase, deployed: dict[str, Any]) -> None:
    live = workload(6, template_owners=(APPLIER, OURS), last_applied="note-1", **deployed)
    step = next_step(facts(phase, live), now=101.0)
    assert isinstance(step, Record)
    assert step.status.verdict is not None
    assert (step.status.phase, step.status.verdict.result) == (phase, VerdictResult.INCONCLUSIVE)
    assert "changed by ci" in step.status.verdict.message
    undone = next_step(facts(phase, live, verdict=step.status.verdict), now=102.0)
    assert isinstance(undone, Write)
    assert (undone.undo, undone.changes[0].to) == (True, "4")
    ended = next_step(facts(phase, replace(live, replicas=4), verdict=step.status.verdict), now=103.0)
    assert isinstance(ended, Record)
    assert ended.status.rollback is not None
    assert (ended.status.phase, ended.status.rollback.restored) == (Phase.SUPERSEDED, True)


@pytest.mark.parametrize("phase", UNPROVEN)
def test_what_a_deploy_brought_stands_and_is_named(phase: Phase) -> None:
    told = Verdict(result=VerdictResult.INCONCLUSIVE, message="deployed by ci", interrupted=True)
    live = workload(9, version=V2, replicas_owner=APPLIER)
    ended = next_step(facts(phase, live, verdict=told), now=101.0)
    assert isinstance(ended, Record)
    assert ended.status.rollback is not None
    assert ended.reason == "deployed by ci; spec.replicas was set to 9 by ci; that newer value stands"
    assert not ended.status.rollback.restored
    assert ended.status.rollback.not_restored[0].startswith("spec.replicas: ")


def test_our_own_sizes_and_a_record_of_an_older_operator_are_no_deploy() -> None:
    both = plan(REPLICAS_4_TO_6, CPU_UP)
    bigger = workload(6, version=V1, container=fields.sizes_of(workload(), [CPU_UP])[0], last_applied="note-1")
    assert fields.template_beside(bigger, both.changes) == fields.template_beside(workload(version=V1), both.changes)
    assert fields.template_beside(bigger, plan().changes) != fields.template_beside(
        workload(version=V1), plan().changes
    )
    asked = facts(Phase.SETTLING, workload(6, version=V2, last_applied="note-1"))
    assert asked.run.status.applied is not None
    older = asked.run.status.applied.model_copy(update={"template": ""})
    status = asked.run.status.model_copy(update={"applied": older})
    assert isinstance(next_step(replace(asked, run=run(status)), now=101.0), Wait)


OWNERS = {
    "ours alone": (workload(6, owners={KEY: (OURS,)}), ""),
    "managedFields say nothing: by value": (workload(6, owners={}), ""),
    "an updater beside us": (workload(6, owners={KEY: (KUBECTL, OURS)}), ""),
    "an applier beside us": (workload(6, owners={KEY: (OURS, APPLIER)}), "ci"),
    "an applier of the same second, sorted first": (workload(6, owners={KEY: (APPLIER, OURS)}), "ci"),
    "somebody instead of us": (workload(6, owners={KEY: (SCALER,)}), "kubectl"),
    "a client-side apply since, which states it": (
        workload(6, last_applied="note-2", stated={KEY: "6"}),
        "kubectl-client-side-apply",
    ),
    "a client-side apply since, of something else": (workload(6, last_applied="note-2", stated={}), ""),
    "a client-side apply since, before our write": (workload(6, last_applied="note-2", stated={KEY: "4"}), ""),
    "the note of before states it": (workload(6, last_applied="note-1", stated={KEY: "6"}), ""),
}


@pytest.mark.parametrize(("live", "who"), OWNERS.values(), ids=OWNERS.keys())
def test_a_value_is_ours_by_owner(live: Workload, who: str) -> None:
    assert claimant(live, REPLICAS_4_TO_6, "note-1") == who
    asked = facts(Phase.VALIDATING, live, verdict=Verdict(result=VerdictResult.FAIL, message="slower"))
    step = next_step(asked, now=101.0)
    assert isinstance(step, Record if who else Write)
    if isinstance(step, Record):
        assert step.status.rollback is not None
        assert (step.status.phase, step.status.rollback.restored) == (Phase.SUPERSEDED, False)


def test_who_deployed_is_never_ourselves() -> None:
    assert deployer(workload(template_owners=(KUBECTL, APPLIER, OURS))) == "ci"
    assert deployer(workload(template_owners=(OURS,))) == "somebody"


@pytest.mark.parametrize("live", [None, workload(6, uid="uid-2")], ids=["gone", "created again"])
def test_what_a_deleted_workload_lost_is_not_called_restored(live: Workload | None) -> None:
    for phase in UNPROVEN:
        step = next_step(facts(phase, live), now=101.0)
        assert isinstance(step, Record)
        assert step.status.rollback is not None
        assert (step.status.phase, step.status.rollback.restored) == (Phase.SUPERSEDED, False)
        assert step.status.rollback.not_restored == ["spec.replicas: the workload was deleted"]


def test_a_container_that_a_deploy_took_away_is_somebodys_newer_value() -> None:
    unlimited = change("resources.limits.cpu", "500m", "", "old")
    assert fields.seen(workload(), unlimited) is fields.Seen.OTHER


def test_a_template_that_we_wrote_came_with_nobodys_count() -> None:
    """A count set by hand right after our own resize, or its undoing, is a person's and holds."""
    status = PolicyStatus(scaling=Scaling(last=ScalingStep(from_=3, to=4, at=1.0, reason="demand"), template="before"))
    person = FieldOwner("kubectl", "Update", "scale", "2026-01-02T00:00:00Z")
    ours = FieldOwner("trimtab", "Update", "", "2026-01-02T00:00:01Z")
    live = replace(workload(9, replicas_owner=person), template="after")
    assert came_with_deploy(status, live)
    assert not came_with_deploy(status, replace(live, template_owners=(person, ours)))
    assert came_with_deploy(status, replace(live, template_owners=(ours, person)))
