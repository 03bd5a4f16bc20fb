"""Guards, owners and holds as truth tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planning.building import (
    CPU_UP,
    REPLICAS_4_TO_6,
    RESOURCES,
    change,
    plan,
    policy,
    policy_spec,
    run,
    workload,
)
from trimtab.analytics.quality import DataProblem, Quality
from trimtab.domain.autoscalers import Autoscaler, AutoscalerKind
from trimtab.domain.choices import Mode
from trimtab.domain.objects import FieldOwner, Run
from trimtab.domain.run import Phase, Trigger
from trimtab.domain.run_status import Applied, RunStatus, TimelineEntry
from trimtab.domain.status import Accepted, Hold, PolicyStatus, Scaling, ScalingStep, Snapshot
from trimtab.planning.fleet import Fleet
from trimtab.planning.guards import GuardFacts, ask, conflicts
from trimtab.planning.holding import (
    accepting,
    came_with_deploy,
    held_text,
    newer_value,
    released,
    with_template,
)
from trimtab.planning.lifecycle import blocked
from trimtab.planning.ownership import OwnerKind, claim, owner_kind
from trimtab.planning.rightsizing import Usage

GOOD = Quality(None, "fine", 1.0, 600.0, 0.0)
ARGO = FieldOwner("argocd-controller", "Apply", "", "2026-01-02T00:00:00Z")
SIZES_OF_ARGO = {("app", path): ARGO for path in RESOURCES}
HPA = Autoscaler(AutoscalerKind.HPA, "checkout-hpa", replicas=True)
VPA = Autoscaler(AutoscalerKind.VPA, "checkout-vpa", resources={"*": frozenset(RESOURCES)})
PERSON = FieldOwner("kubectl", "Update", "scale", "2026-01-02T00:00:00Z")
OURS = FieldOwner("trimtab", "Update", "scale", "2026-01-02T00:00:00Z")
NOW = 10_000.0


def ended(phase: Phase, at: float, name: str = "checkout-0") -> Run:
    """A run that acted and ended."""
    record = Applied(
        uid="uid-1",
        manager="trimtab",
        before=Snapshot(replicas=4),
        after=Snapshot(replicas=6),
        at=at - 60,
        validate_from=at - 50,
        validate_interval_seconds=5,
        measurements=10,
    )
    timeline = [TimelineEntry(phase=phase, at=at, reason="")]
    return run(RunStatus(phase=phase, plan=plan(), applied=record, timeline=timeline), name=name, uid=name)


def rolled(at: float, phase: Phase = Phase.SUCCEEDED, **changed: Any) -> Run:
    """A run that changed CPU, began at ``at`` and has ended."""
    found = ended(phase, at + 60, "rolled")
    status = found.status.model_copy(update={"plan": plan(CPU_UP)})
    return run(status, name="rolled", uid="rolled", **changed)


def facts(**changed: Any) -> GuardFacts:
    given: dict[str, Any] = {
        "policy": policy(),
        "spec": policy_spec(guardrails={"minHistory": "1m", "cooldown": "10m", "maxRunsPerDay": 2}),
        "workload": workload(4),
        "runs": (),
        "run_name": "checkout-1",
        "trigger": Trigger.COST,
        "changes": (REPLICAS_4_TO_6,),
        "quality": GOOD,
        "assessed_at": NOW,
        "unknown": (),
        "autoscalers": (),
        "unlisted": False,
        "rival": "",
        "trial": "",
        "now": NOW,
    }
    return GuardFacts(**{**given, **changed})


WELL = {"minHistory": "1m", "cooldown": "10m", "maxRunsPerDay": 2}
FULL = Fleet(open_runs=3, limit=3)
TO_APPROVE = policy_spec(mode="Approve", guardrails=WELL)
ROLLS_TWICE = policy_spec(guardrails={**WELL, "maxRolloutsPerDay": 2})
LONG = policy_spec(guardrails=WELL, analysis={"interval": "60s", "history": "168h"})
A_DAY = Quality(None, "fine", 1.0, 86_400.0, 0.0)
REPLICAS_DOWN = change("spec.replicas", "4", "3")
MEMORY_DOWN = change("resources.requests.memory", "512Mi", "256Mi", "app")
HELD = PolicyStatus(hold=Hold(field="spec.replicas", value="9", manager="kubectl", since=1.0, generation=1))
STALE = Quality(DataProblem.STALE, "The newest sample is 6m old; the limit is 5m.", 360.0, 600.0, 0.0)

BELOW_SIX = policy_spec(horizontal={"minReplicas": 1, "maxReplicas": 5})
TEN_TO_EIGHT = change("spec.replicas", "10", "8")
TABLE: dict[str, tuple[GuardFacts, str]] = {
    "all is well": (facts(), ""),
    "paused": (facts(spec=policy_spec(paused=True)), "paused"),
    "mode Observe": (facts(spec=policy_spec(mode="Observe")), "mode"),
    "mode Recommend, approved": (facts(spec=policy_spec(mode="Recommend"), approved=True), "mode"),
    "mode Approve, before the plan is put to anybody": (facts(spec=policy_spec(mode="Approve")), ""),
    "mode Approve, at the write, not approved": (facts(spec=policy_spec(mode="Approve"), applying=True), "mode"),
    "mode Approve, at the write, approved": (
        facts(spec=policy_spec(mode="Approve"), applying=True, approved=True),
        "",
    ),
    "beyond the bounds": (facts(spec=BELOW_SIX), "bounds"),
    "beyond the bounds on a person's word": (facts(spec=BELOW_SIX, beyond_bounds=True), ""),
    "nearer to the bounds": (facts(spec=BELOW_SIX, changes=(TEN_TO_EIGHT,)), ""),
    "nearer to the bounds, set since": (facts(spec=BELOW_SIX, changes=(TEN_TO_EIGHT,), same_policy=False), "bounds"),
    "nearer to the bounds, asked for by a person": (
        facts(spec=BELOW_SIX, changes=(TEN_TO_EIGHT,), trigger=Trigger.MANUAL),
        "bounds",
    ),
    "workload gone": (facts(workload=None), "workload"),
    "rollout under way": (facts(workload=workload(4, rolled_out=False)), "workload"),
    "rollout under way, but a person asks": (
        facts(workload=workload(4, rolled_out=False), trigger=Trigger.MANUAL),
        "",
    ),
    "rollout under way, and it is the run's own": (facts(workload=workload(4, rolled_out=False), applying=True), ""),
    "an HPA, and replicas": (facts(autoscalers=(HPA,)), "conflict"),
    "an HPA, and a size": (facts(autoscalers=(HPA,), changes=(CPU_UP,)), ""),
    "an HPA, and what replicas follow by": (
        facts(autoscalers=(HPA,), changes=(change("operatingPoint.minReplicas", "0", "2"),)),
        "conflict",
    ),
    "an HPA, and both": (facts(autoscalers=(HPA,), changes=(CPU_UP, REPLICAS_4_TO_6)), "conflict"),
    "a VPA, and a size": (facts(autoscalers=(VPA,), changes=(CPU_UP,)), "conflict"),
    "a VPA, and replicas": (facts(autoscalers=(VPA,)), ""),
    "older policy": (facts(rival="checkout-old"), "conflict"),
    "another policy's trial": (facts(trial="checkout-old-1"), "conflict"),
    "GitOps owns the field": (facts(workload=workload(4, replicas_owner=ARGO)), "conflict"),
    "GitOps owns another field": (facts(workload=workload(4, resources_owners=SIZES_OF_ARGO)), ""),
    "GitOps owns the container": (
        facts(workload=workload(4, resources_owners=SIZES_OF_ARGO), changes=(CPU_UP,)),
        "conflict",
    ),
    "held by a person": (facts(policy=policy(status=HELD)), "hold"),
    "held by a person, and a person asks": (facts(policy=policy(status=HELD), trigger=Trigger.MANUAL), ""),
    "no metrics": (facts(quality=None), "data"),
    "stale metrics": (facts(quality=STALE), "data"),
    "metrics that have aged since": (facts(assessed_at=NOW - 300), "data"),
    "an objective without a value": (facts(unknown=("latency-p99",)), "data"),
    "another run is active": (facts(runs=(run(RunStatus(phase=Phase.SETTLING), name="checkout-0"),)), "activeRun"),
    "within the cooldown": (facts(runs=(ended(Phase.SUCCEEDED, NOW - 599),)), "cooldown"),
    "no cooldown, ended within the round": (
        facts(
            spec=policy_spec(guardrails={"minHistory": "1m", "cooldown": "0s", "maxRunsPerDay": 2}),
            runs=(ended(Phase.SUCCEEDED, NOW + 0.5),),
        ),
        "",
    ),
    "after the cooldown": (facts(runs=(ended(Phase.SUCCEEDED, NOW - 600),)), ""),
    "too many runs today": (
        facts(runs=(ended(Phase.SUCCEEDED, NOW - 5000, "a"), ended(Phase.SUCCEEDED, NOW - 4000, "b"))),
        "maxRunsPerDay",
    ),
    "a rollout, and there was one today": (facts(runs=(rolled(NOW - 700),), changes=(CPU_UP,)), "maxRolloutsPerDay"),
    "a rollout that a person asks for": (
        facts(runs=(rolled(NOW - 700),), changes=(CPU_UP,), trigger=Trigger.MANUAL),
        "",
    ),
    "a rollout, and a person's was today": (
        facts(runs=(rolled(NOW - 700, spec={"trigger": "Manual"}),), changes=(CPU_UP,)),
        "maxRolloutsPerDay",
    ),
    "a rollout, and one today was refused before its write": (
        facts(runs=(rolled(NOW - 700, Phase.REJECTED),), changes=(CPU_UP,)),
        "",
    ),
    "replicas, and there was a rollout today": (facts(runs=(rolled(NOW - 700),)), ""),
    "a rollout, and one of replicas today": (facts(runs=(ended(Phase.SUCCEEDED, NOW - 700),), changes=(CPU_UP,)), ""),
    "a rollout a day later": (facts(runs=(rolled(NOW - 86_400),), changes=(CPU_UP,), now=NOW + 60), ""),
    "the second of two rollouts a day": (facts(spec=ROLLS_TWICE, runs=(rolled(NOW - 700),), changes=(CPU_UP,)), ""),
    "lowered by Auto after an hour": (facts(spec=LONG, changes=(REPLICAS_DOWN,)), "minHistoryToShrink"),
    "raised by Auto after an hour": (facts(spec=LONG), ""),
    "lowered by Auto after a day": (facts(spec=LONG, changes=(REPLICAS_DOWN,), quality=A_DAY), ""),
    "memory lowered by Auto after a day": (
        facts(spec=LONG, changes=(MEMORY_DOWN,), quality=A_DAY, usage={"app": Usage(0.1, 1e8, 86_400.0)}),
        "minHistoryToShrink",
    ),
    "memory lowered by Auto after a week": (
        facts(spec=LONG, changes=(MEMORY_DOWN,), quality=A_DAY, usage={"app": Usage(0.1, 1e8, 7 * 86_400.0)}),
        "",
    ),
    "memory of which nothing is known": (facts(spec=LONG, changes=(MEMORY_DOWN,), quality=A_DAY), "minHistoryToShrink"),
    "lowered once a person has approved": (
        facts(spec=LONG.model_copy(update={"mode": Mode.APPROVE}), changes=(REPLICAS_DOWN,)),
        "",
    ),
    "lowered as a person asks": (facts(spec=LONG, changes=(REPLICAS_DOWN,), trigger=Trigger.MANUAL), ""),
    "lowered after all of a short history": (facts(changes=(REPLICAS_DOWN,)), ""),
    "everything is paused": (facts(fleet=Fleet(paused="by alice")), "pausedAll"),
    "everything is paused, and a person asks": (
        facts(fleet=Fleet(paused="by alice"), trigger=Trigger.MANUAL),
        "pausedAll",
    ),
    "everything is paused between record and write": (
        facts(fleet=Fleet(paused="by alice"), applying=True),
        "pausedAll",
    ),
    "too many trials failed": (facts(fleet=Fleet(failures="3 of 4")), "fleetPaused"),
    "too many trials failed, and a person asks": (
        facts(fleet=Fleet(failures="3 of 4"), trigger=Trigger.MANUAL),
        "",
    ),
    "too many trials failed, and a plan is to wait for a person": (
        facts(spec=TO_APPROVE, run_name="", fleet=Fleet(failures="3 of 4")),
        "",
    ),
    "too many trials failed, and a person has approved": (
        facts(spec=TO_APPROVE, fleet=Fleet(failures="3 of 4")),
        "fleetPaused",
    ),
    "all places are taken": (facts(fleet=FULL), "openRuns"),
    "all places are taken, and a person asks": (facts(fleet=FULL, trigger=Trigger.MANUAL), ""),
    "all places are taken, one by this very run": (facts(fleet=FULL, applying=True), ""),
    "all places are taken, and a plan is to wait for a person": (facts(spec=TO_APPROVE, run_name="", fleet=FULL), ""),
    "all places are taken, and a person has approved": (facts(spec=TO_APPROVE, fleet=FULL), "openRuns"),
    "undone before": (facts(runs=(ended(Phase.ROLLED_BACK, NOW - 700),)), "undoneBefore"),
    "undone long before": (facts(runs=(ended(Phase.ROLLED_BACK, NOW - 1300),)), ""),
    "the other way was undone": (
        facts(
            runs=(ended(Phase.ROLLED_BACK, NOW - 700),),
            changes=(REPLICAS_4_TO_6.model_copy(update={"to": "2"}),),
        ),
        "",
    ),
}


@pytest.mark.parametrize(("given", "guard"), TABLE.values(), ids=TABLE.keys())
def test_guards(given: GuardFacts, guard: str) -> None:
    said_no = [result.name for result in ask(given) if result.result == "Blocked"]
    assert said_no == ([guard] if guard else [])


def test_a_guard_that_fails_says_no() -> None:
    def broken(_: GuardFacts) -> str:
        raise ZeroDivisionError("oops")

    results = ask(facts(), [("broken", broken)])
    assert "broken: could not be answered: ZeroDivisionError: oops" in blocked(results)


def test_a_rollout_too_many_says_when_the_next_may_begin() -> None:
    message = blocked(ask(facts(runs=(rolled(0.0),), changes=(CPU_UP,))))
    assert message == (
        "maxRolloutsPerDay: 1 rollouts in the last 24 h; at most 1 may begin, so the next not before"
        " 1970-01-02T00:00:00Z"
    )


def test_what_is_lowered_too_early_says_when_it_may_be() -> None:
    message = blocked(ask(facts(spec=LONG, changes=(REPLICAS_DOWN,), now=NOW)))
    assert "spec.replicas is lowered after 24h of history (minHistoryToShrink); 11m1s are known" in message
    assert "not before 1970-01-02T02:35:39Z" in message


def test_a_conflict_names_owner_and_remedy() -> None:
    message = conflicts(facts(workload=workload(4, replicas_owner=ARGO)))
    assert "argocd-controller" in message
    assert "ignoreDifferences" in message


@pytest.mark.parametrize(
    ("manager", "kind"),
    [
        ("trimtab", OwnerKind.TRIMTAB),
        ("kubectl", OwnerKind.PERSON),
        ("kubectl-client-side-apply", OwnerKind.PERSON),
        ("Helm", OwnerKind.PERSON),
        ("helm", OwnerKind.PERSON),
        ("k9s", OwnerKind.PERSON),
        ("our-own-tool", OwnerKind.PERSON),
        ("argocd-controller", OwnerKind.GITOPS),
        ("kustomize-controller", OwnerKind.GITOPS),
        ("helm-controller", OwnerKind.GITOPS),
        ("kube-controller-manager", OwnerKind.AUTOSCALER),
        ("keda", OwnerKind.AUTOSCALER),
        ("vpa-updater", OwnerKind.AUTOSCALER),
        ("our-autoscaler", OwnerKind.CONTROLLER),
        ("some-operator", OwnerKind.CONTROLLER),
    ],
)
def test_owner_kind(manager: str, kind: OwnerKind) -> None:
    assert owner_kind(FieldOwner(manager, "Update", "", "")) is kind


def test_nobody_claims_nothing() -> None:
    assert owner_kind(None) is OwnerKind.NOBODY
    assert claim(None, unlisted=True) is None


def stepped(to: int, template: str = "") -> PolicyStatus:
    step = ScalingStep(from_=3, to=to, at=100.0, reason="demand")
    return PolicyStatus(scaling=Scaling(last=step, template=template))


HOLDS = {
    "we never wrote": (PolicyStatus(), workload(9, replicas_owner=PERSON), False),
    "as we wrote it": (stepped(9), workload(9, replicas_owner=OURS), False),
    "a person wrote": (stepped(5), workload(9, replicas_owner=PERSON), True),
    "our own write, not confirmed": (stepped(5), workload(9, replicas_owner=OURS), False),
    "a person wrote what we wrote": (stepped(9), workload(9, replicas_owner=PERSON), False),
    "a person's value was accepted": (
        stepped(5).model_copy(update={"accepted": Accepted(value="9", manager="kubectl", at=PERSON.at)}),
        workload(9, replicas_owner=PERSON),
        False,
    ),
    "a person wrote again after that": (
        stepped(5).model_copy(update={"accepted": Accepted(value="9", manager="kubectl", at=PERSON.at)}),
        workload(9, replicas_owner=replace(PERSON, at="2026-01-03T00:00:00Z")),
        True,
    ),
    "a GitOps tool wrote: a conflict, not a hold": (stepped(5), workload(9, replicas_owner=ARGO), False),
    "a person wrote replicas alone": (stepped(5, "t1"), workload(9, replicas_owner=PERSON, template="t1"), True),
    "a deploy wrote": (stepped(5, "t1"), workload(9, replicas_owner=PERSON, template="t2"), False),
    "a person wrote, and what ran before is not known": (
        stepped(5),
        workload(9, replicas_owner=PERSON, template="t2"),
        True,
    ),
}


@pytest.mark.parametrize(("status", "live", "held"), HOLDS.values(), ids=HOLDS.keys())
def test_newer_value(status: PolicyStatus, live: Any, held: bool) -> None:
    assert (newer_value(policy(), status, live, NOW, 60.0) is not None) is held


def test_a_count_that_came_with_a_deploy_is_accepted() -> None:
    deployed = stepped(5, "t1"), workload(9, replicas_owner=PERSON, template="t2")
    assert came_with_deploy(*deployed)
    accepted = accepting(*deployed)
    assert (accepted.scaling.template, accepted.accepted) == (
        "t2",
        Accepted(value="9", manager="kubectl", at=PERSON.at),
    )
    assert not came_with_deploy(accepted, deployed[1])


def test_the_template_beside_a_count_is_remembered_only_while_the_count_is_known() -> None:
    def seen(status: PolicyStatus, live: Any) -> str:
        return with_template(status, live).scaling.template

    assert seen(stepped(9, "t1"), workload(9, replicas_owner=OURS, template="t2")) == "t2"
    assert seen(stepped(5, "t1"), workload(9, replicas_owner=PERSON, template="t2")) == "t1"
    hold = newer_value(policy(), stepped(5, "t1"), workload(9, replicas_owner=PERSON, template="t1"), NOW, 60.0)
    held = stepped(5, "t1").model_copy(update={"hold": hold})
    assert seen(held, workload(9, replicas_owner=PERSON, template="t2")) == "t2"
    assert seen(held, workload(7, replicas_owner=PERSON, template="t2")) == "t1"
    assert seen(PolicyStatus(), workload(9, template="t2")) == ""


@pytest.mark.parametrize(
    ("generation", "resumed_at", "now", "why"),
    [
        (1, None, 159.0, ""),
        (2, None, 159.0, "the policy was changed"),
        (1, 99.0, 159.0, ""),
        (1, 100.0, 159.0, "a person resumed it"),
        (1, None, 160.0, "the time of the hold is over"),
    ],
    ids=["nothing happened", "policy changed", "resumed before it began", "resumed", "over"],
)
def test_released(generation: int, resumed_at: float | None, now: float, why: str) -> None:
    hold = Hold(field="spec.replicas", value="9", manager="kubectl", since=100.0, generation=1, until=160.0)
    older = hold.model_copy(update={"until": None})
    for one in (hold, older):
        assert released(one, policy(generation=generation), resumed_at, now, 60.0) == why
    assert held_text(hold) == "spec.replicas was set to 9 by kubectl, which holds until 1970-01-01T00:02:40Z"
    assert held_text(older) == "spec.replicas was set to 9 by kubectl"
