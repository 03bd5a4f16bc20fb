"""The life of a run: truth tables by phase, and the same end through any number of kills."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.planning.building import CPU_UP, REPLICAS_4_TO_6, change, plan, policy, policy_spec, run, size, workload
from trimtab.domain.choices import TargetKind
from trimtab.domain.objects import FieldOwner, InvalidSpec, Run, Workload
from trimtab.domain.pods import PodsSeen, PodsUnread
from trimtab.domain.rollout import RolloutStatus
from trimtab.domain.run import Phase, VerdictResult
from trimtab.domain.run_status import Applied, GuardResult, Measurement, Progress, RunStatus, TimelineEntry, Verdict
from trimtab.domain.status import Snapshot
from trimtab.planning import changes as fields
from trimtab.planning.lifecycle import next_step
from trimtab.planning.steps import Judged, NoPlan, Record, RunFacts, Wait, Write

PASS, FAIL, UNSURE = VerdictResult.PASS, VerdictResult.FAIL, VerdictResult.INCONCLUSIVE
FAULTY = replace(policy(), spec=InvalidSpec("spec.objectives[p99].query: is a range vector"))
NOT_NOW = (GuardResult(name="openRuns", result="Blocked", message="waits for its turn"),)
PAUSED_ALL = (GuardResult(name="pausedAll", result="Blocked", message="by alice"),)
BLOCKED = (GuardResult(name="cooldown", result="Blocked", message="too soon"),)


def applied(**changed: Any) -> Applied:
    given: dict[str, Any] = {
        "kind": "Deployment",
        "name": "checkout",
        "uid": "uid-1",
        "manager": "trimtab",
        "before": Snapshot(replicas=4),
        "after": Snapshot(replicas=6),
        "at": 100.0,
        "progress": Progress(at=100.0, wanted=6, remaining=0),
        "complete_at": 101.0,
        "validate_from": 130.0,
        "validate_interval_seconds": 5,
        "measurements": 12,
    }
    return Applied(**{**given, **changed})


def facts(phase: Phase | None, live: Workload | None, **changed: Any) -> RunFacts:
    """Facts of a run whose plan is 4→6 replicas."""
    status = RunStatus(phase=phase, plan=plan(), applied=applied() if phase and phase.unproven else None)
    status = status.model_copy(update=changed.pop("status", {}))
    given: dict[str, Any] = {
        "run": run(status, **changed.pop("run", {})),
        "policy": policy(),
        "workload": live,
        "plan": plan(),
        "pods": PodsSeen(),
    }
    return RunFacts(**{**given, **changed})


UNFINISHED = RolloutStatus(updated=6, ready=4, available=4, total=6, deadline_seconds=60.0)
"""4→6 replicas, the two new ones not ready."""
PAUSED = RolloutStatus(updated=6, ready=6, available=6, total=6, held="Deployment checkout is paused", scales=False)


LATE = workload(4, rollout=RolloutStatus(updated=4, ready=4, available=4, total=4, deadline_seconds=60.0))


def unfinished(at: float = 100.0, **changed: Any) -> dict[str, Any]:
    """The record of a change that is not complete, with its last progress."""
    progress = Progress(at=at, wanted=6, remaining=4, message="4 are ready")
    return {"applied": applied(progress=progress, complete_at=None, validate_from=None, **changed)}


def judged(result: VerdictResult) -> Judged:
    return Judged(Verdict(result=result, message="seen"))


UNREAD = PodsUnread("503", again=True)
UNANSWERED = {"applied": applied(unanswered_since=100.0)}


def entered(at: float) -> dict[str, Any]:
    """When the change was about to be written first; its record is made anew since."""
    return {"timeline": [TimelineEntry(phase=Phase.APPLYING, at=at)]}


TABLE = {
    "pending: planned and applied": (facts(None, workload(4)), Phase.APPLYING),
    "pending: guard says no": (facts(None, workload(4), guards=BLOCKED), Phase.REJECTED),
    "pending: not its turn": (facts(None, workload(4), guards=NOT_NOW), Wait),
    "pending: not its turn, and a guard says no": (
        facts(None, workload(4), guards=(*NOT_NOW, *BLOCKED)),
        Phase.REJECTED,
    ),
    "applying: everything is paused before the write": (
        facts(Phase.APPLYING, workload(4), guards=PAUSED_ALL),
        Phase.REJECTED,
    ),
    "validating: everything is paused, and its verdict is undone all the same": (
        facts(Phase.VALIDATING, workload(6), status={"verdict": Verdict(result=FAIL)}, guards=PAUSED_ALL),
        Write,
    ),
    "pending: nothing to try, for good": (facts(None, workload(4), plan=NoPlan("well as it is")), Phase.REJECTED),
    "pending: nothing to try yet": (facts(None, workload(4), plan=NoPlan("no data", final=False)), Wait),
    "pending: dry run": (facts(None, workload(4), run={"spec": {"dryRun": True}}), Phase.SUCCEEDED),
    "pending: mode Recommend": (facts(None, workload(4), policy=policy(policy_spec(mode="Recommend"))), Phase.REJECTED),
    "pending: mode Approve": (
        facts(None, workload(4), policy=policy(policy_spec(mode="Approve"))),
        Phase.AWAITING_APPROVAL,
    ),
    "pending: cancelled": (facts(None, workload(4), run={"spec": {"cancelled": True}}), Phase.CANCELLED),
    "pending: policy gone": (facts(None, workload(4), policy=None), Phase.CANCELLED),
    "pending: policy cannot be used": (facts(None, None, policy=FAULTY), Phase.FAILED),
    "pending: an older run is active": (facts(None, workload(4), older_active="checkout-0"), Wait),
    "awaiting: not approved": (facts(Phase.AWAITING_APPROVAL, workload(4)), Wait),
    "awaiting: another plan approved": (
        facts(Phase.AWAITING_APPROVAL, workload(4), run={"spec": {"approval": {"planHash": "other"}}}),
        Wait,
    ),
    "awaiting: approved": (
        facts(Phase.AWAITING_APPROVAL, workload(4), run={"spec": {"approval": {"planHash": "abc"}}}),
        Phase.APPLYING,
    ),
    "awaiting: workload changed, no longer called for": (
        facts(Phase.AWAITING_APPROVAL, workload(9), plan=NoPlan("well as it is")),
        Phase.SUPERSEDED,
    ),
    "applying: not yet written": (facts(Phase.APPLYING, workload(4)), Write),
    "applying: written": (facts(Phase.APPLYING, workload(6)), Phase.SETTLING),
    "applying: somebody wrote": (facts(Phase.APPLYING, workload(9)), Phase.SUPERSEDED),
    "applying: guard says no now": (facts(Phase.APPLYING, workload(4), guards=BLOCKED), Phase.REJECTED),
    "applying: not taken for now": (
        facts(Phase.APPLYING, LATE, write_trouble="500", status=entered(50.0)),
        Wait,
    ),
    "applying: tried once more after the deadline": (facts(Phase.APPLYING, LATE, status=entered(40.0)), Write),
    "applying: not taken until the deadline": (
        facts(Phase.APPLYING, LATE, write_trouble="500", status=entered(40.0)),
        Phase.FAILED,
    ),
    "applying: refused for good": (facts(Phase.APPLYING, workload(4), write_error="forbidden"), Phase.FAILED),
    "applying: cancelled before the write": (
        facts(Phase.APPLYING, workload(4), run={"spec": {"cancelled": True}}),
        Phase.CANCELLED,
    ),
    "applying: cancelled after the write": (
        facts(Phase.APPLYING, workload(6), run={"spec": {"cancelled": True}}),
        Write,
    ),
    "applying: policy cannot be used, not yet written": (
        facts(Phase.APPLYING, workload(4), policy=FAULTY),
        Phase.CANCELLED,
    ),
    "settling: waits": (facts(Phase.SETTLING, workload(6)), Wait),
    "settling: written, and not complete": (
        facts(Phase.SETTLING, workload(6, rollout=UNFINISHED), status=unfinished()),
        Wait,
    ),
    "settling: progress is recorded": (
        facts(Phase.SETTLING, workload(6, rollout=replace(UNFINISHED, ready=5)), status=unfinished()),
        Record,
    ),
    "settling: complete": (facts(Phase.SETTLING, workload(6), status=unfinished()), Record),
    "settling: no progress for too long": (
        facts(Phase.SETTLING, workload(6, rollout=UNFINISHED), status=unfinished(at=40.0)),
        VerdictResult.FAIL,
    ),
    "settling: paused": (
        facts(Phase.SETTLING, workload(6, rollout=PAUSED), status=unfinished()),
        VerdictResult.INCONCLUSIVE,
    ),
    "settling: pods not read": (facts(Phase.SETTLING, workload(6), pods=None), Wait),
    "settling: pods unread for the first time": (facts(Phase.SETTLING, workload(6), pods=UNREAD), Record),
    "settling: pods unread for now": (
        facts(Phase.SETTLING, workload(6), pods=UNREAD, status=UNANSWERED),
        Wait,
    ),
    "settling: pods unread for too long": (
        facts(Phase.SETTLING, workload(6), pods=UNREAD, status={"applied": applied(unanswered_since=80.0)}),
        VerdictResult.FAIL,
    ),
    "settling: pods read again": (
        facts(Phase.SETTLING, workload(6), status={"applied": applied(unanswered_since=80.0)}),
        Record,
    ),
    "settling: pods unread past the deadline": (
        facts(Phase.SETTLING, workload(6, rollout=UNFINISHED), pods=UNREAD, status=unfinished(41.0)),
        VerdictResult.FAIL,
    ),
    "settling: pods may not be read": (
        facts(Phase.SETTLING, workload(6), pods=PodsUnread("forbidden", again=False)),
        VerdictResult.FAIL,
    ),
    "settling: failed": (facts(Phase.SETTLING, workload(6), status={"verdict": Verdict(result=FAIL)}), Write),
    "settling: a person's newer value": (facts(Phase.SETTLING, workload(9)), Phase.SUPERSEDED),
    "settling: set back by hand": (facts(Phase.SETTLING, workload(4)), Phase.SUPERSEDED),
    "settling: workload gone": (facts(Phase.SETTLING, None), Phase.SUPERSEDED),
    "settling: another uid under the name": (facts(Phase.SETTLING, workload(6, uid="uid-2")), Phase.SUPERSEDED),
    "settling: deleted half-way": (facts(Phase.SETTLING, workload(6), run={"deleting": True}), Write),
    "validating: no samples yet": (facts(Phase.VALIDATING, workload(6)), Wait),
    "validating: no pod is ready any more": (
        facts(
            Phase.VALIDATING,
            workload(6, rollout=RolloutStatus(updated=6, total=6)),
            status={"applied": applied(progress=Progress(at=100.0, wanted=6, remaining=12))},
        ),
        VerdictResult.FAIL,
    ),
    "validating: paused": (facts(Phase.VALIDATING, workload(6, rollout=PAUSED)), VerdictResult.INCONCLUSIVE),
    "validating: a guard comes before samples": (
        facts(Phase.VALIDATING, workload(6), judged=judged(PASS), pods=PodsUnread("forbidden", again=False)),
        VerdictResult.FAIL,
    ),
    "validating: no verdict while guards are not answered": (
        facts(Phase.VALIDATING, workload(6), judged=judged(PASS), pods=UNREAD, status=UNANSWERED),
        Wait,
    ),
    "validating: verdict is recorded first": (facts(Phase.VALIDATING, workload(6), judged=judged(FAIL)), Record),
    "validating: pass kept": (
        facts(Phase.VALIDATING, workload(6), status={"verdict": Verdict(result=PASS)}),
        Phase.SUCCEEDED,
    ),
    "validating: fail undone": (facts(Phase.VALIDATING, workload(6), status={"verdict": Verdict(result=FAIL)}), Write),
    "validating: fail, undone already": (
        facts(Phase.VALIDATING, workload(4), status={"verdict": Verdict(result=FAIL)}),
        Phase.ROLLED_BACK,
    ),
    "validating: fail, a newer value stands": (
        facts(Phase.VALIDATING, workload(9), status={"verdict": Verdict(result=FAIL)}),
        Phase.SUPERSEDED,
    ),
    "validating: unsure is undone": (
        facts(Phase.VALIDATING, workload(6), status={"verdict": Verdict(result=UNSURE)}),
        Write,
    ),
    "validating: policy gone": (facts(Phase.VALIDATING, workload(6), policy=None), Write),
    "validating: policy cannot be used": (facts(Phase.VALIDATING, workload(6), policy=FAULTY), Write),
    "validating: policy cannot be used, undone already": (
        facts(Phase.VALIDATING, workload(4), policy=FAULTY),
        Phase.CANCELLED,
    ),
    "succeeded: stands": (facts(Phase.SUCCEEDED, workload(6), status={"applied": applied()}), Wait),
    "succeeded: undone by a person": (
        facts(Phase.SUCCEEDED, workload(6), status={"applied": applied()}, run={"spec": {"cancelled": True}}),
        Write,
    ),
    "succeeded: undone by a person, done": (
        facts(Phase.SUCCEEDED, workload(4), status={"applied": applied()}, run={"spec": {"cancelled": True}}),
        Phase.ROLLED_BACK,
    ),
    "failed: stands": (facts(Phase.FAILED, workload(4)), Wait),
}


@pytest.mark.parametrize(("given_facts", "wanted"), TABLE.values(), ids=TABLE.keys())
def test_next_step(given_facts: RunFacts, wanted: Phase | VerdictResult | type) -> None:
    step = next_step(given_facts, now=101.0)
    if isinstance(wanted, VerdictResult):
        assert isinstance(step, Record), step
        assert step.status.verdict is not None, step.reason
        assert step.status.verdict.result is wanted
        assert step.status.phase is given_facts.run.phase, "recorded first, acted on next"
    elif isinstance(wanted, Phase):
        assert isinstance(step, Record), step
        assert step.status.phase is wanted, step.reason
    else:
        assert isinstance(step, wanted), step


FAILED = {"verdict": Verdict(result=FAIL)}


@pytest.mark.parametrize("how", ["undo_error", "undo_trouble"])
def test_an_undo_that_is_refused_is_recorded_once_and_tried_again(how: str) -> None:
    given_facts = facts(Phase.VALIDATING, workload(6), status=FAILED, **{how: "denied by policy"})
    step = next_step(given_facts, now=101.0)
    assert isinstance(step, Record), step
    assert (step.status.phase, step.status.undo_refused) == (Phase.VALIDATING, "denied by policy")
    assert step.status.timeline[-1].reason == "cannot undo yet: denied by policy"
    recorded = replace(given_facts, run=replace(given_facts.run, status=step.status))
    assert isinstance(next_step(recorded, now=102.0), Wait)
    again = replace(recorded, undo_error="", undo_trouble="")
    assert isinstance(next_step(again, now=103.0), Write), "with the next round"
    ended = next_step(replace(again, workload=workload(4)), now=104.0)
    assert isinstance(ended, Record)
    assert (ended.status.phase, ended.status.undo_refused) == (Phase.ROLLED_BACK, "")


@pytest.mark.parametrize(("how", "phase"), [("undo_error", Phase.SUPERSEDED), ("undo_trouble", Phase.SETTLING)])
def test_beside_a_newer_value_what_can_never_be_undone_is_left(how: str, phase: Phase) -> None:
    """A size that is invalid beside a person's is; a conflict passes."""
    person = FieldOwner("kubectl", "Update", "scale", "2026-01-02T00:00:00Z")
    mixed = workload(9, container=fields.sizes_of(workload(), [CPU_UP])[0], replicas_owner=person)
    both = {"plan": plan(REPLICAS_4_TO_6, CPU_UP)}
    step = next_step(facts(Phase.SETTLING, mixed, status=both, **{how: "no"}), now=101.0)
    assert isinstance(step, Record), step
    assert step.status.phase is phase


RESIZED = workload(4, container=size("750m"))
KEEPS = policy(policy_spec(validation={"settle": "10s", "onInconclusive": "Keep"}))


@pytest.mark.parametrize("phase", [Phase.SETTLING, Phase.VALIDATING])
@pytest.mark.parametrize("pods", [PodsSeen(), PodsUnread("503", again=True)], ids=["pods seen", "pods unread"])
def test_new_sizes_are_undone_where_the_workload_was_scaled_to_zero(phase: Phase, pods: PodsSeen | PodsUnread) -> None:
    sized: dict[str, Any] = {"plan": plan(CPU_UP), "applied": applied(progress=None, after=Snapshot())}
    live = replace(RESIZED, replicas=0, ready_replicas=0, rollout=RolloutStatus())
    seen = facts(phase, live, status=sized, policy=KEEPS, judged=judged(PASS), pods=pods)
    step = next_step(seen, now=101.0)
    assert isinstance(step, Record), step
    verdict = step.status.verdict
    assert verdict is not None
    assert (verdict.result, verdict.interrupted) == (UNSURE, True)
    assert verdict.message == "the workload was scaled to zero during the trial"
    undoing = next_step(replace(seen, run=replace(seen.run, status=step.status)), now=102.0)
    assert isinstance(undoing, Write), "whatever onInconclusive says"
    assert undoing.undo


@pytest.mark.parametrize("phase", [Phase.SETTLING, Phase.VALIDATING])
def test_a_trial_ends_where_another_claims_its_field(phase: Phase) -> None:
    """It is neither passed nor kept, whatever was measured; what is still ours is undone."""
    seen = facts(phase, workload(6), policy=KEEPS, judged=judged(PASS), claimed="spec.replicas is owned by HPA web")
    step = next_step(seen, now=131.0)
    assert isinstance(step, Record), step
    verdict = step.status.verdict
    assert verdict is not None
    assert (verdict.result, verdict.interrupted) == (UNSURE, True)
    assert "spec.replicas is owned by HPA web" in verdict.message
    undoing = next_step(replace(seen, run=replace(seen.run, status=step.status)), now=132.0)
    assert isinstance(undoing, Write)
    assert undoing.undo
    over = next_step(replace(seen, run=replace(seen.run, status=step.status), workload=workload(4)), now=133.0)
    assert isinstance(over, Record)
    assert (over.status.phase, over.reason) == (Phase.SUPERSEDED, verdict.message)


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        ([Phase.AWAITING_APPROVAL], "the approval of plan abc was taken back during the trial: other is approved now"),
        ([], "spec.mode was lowered to Approve during the trial, and nobody approved the plan"),
    ],
)
def test_an_approval_that_was_taken_back_is_not_told_as_a_lower_mode(phases: list[Phase], said: str) -> None:
    """A run that waited for its approval was in that mode already."""
    approve = policy(policy_spec(mode="Approve"))
    timeline = [TimelineEntry(phase=phase, at=90.0) for phase in phases]
    approval = {"spec": {"approval": {"planHash": "other"}}}
    seen = facts(Phase.VALIDATING, workload(4), policy=approve, status={"timeline": timeline}, run=approval)
    step = next_step(seen, now=131.0)
    assert isinstance(step, Record)
    assert (step.status.phase, step.reason) == (Phase.CANCELLED, said)


def test_scaled_to_zero_by_the_plan_itself_is_no_interruption() -> None:
    to_none = plan(change("spec.replicas", "4", "0"))
    live = workload(0)
    record = applied(after=Snapshot(replicas=0), progress=Progress(at=100.0, wanted=0, remaining=0))
    assert isinstance(next_step(facts(Phase.SETTLING, live, status={"plan": to_none, "applied": record}), 101.0), Wait)


ORDERED: dict[str, Any] = {"kind": TargetKind.STATEFUL_SET, "ordered": True}
STUCK = RolloutStatus(observed=False, updated=1, ready=3, available=3, total=4)
"""The last pod is of the change and cannot become ready."""
HELD = replace(STUCK, ready=4, available=4, held="Deployment checkout is paused; kubectl rollout resume deployment/it")
UNDER_WAY = Progress(at=100.0, wanted=4, remaining=5)
COMPLETE = Progress(at=100.0, wanted=4, remaining=0)


@pytest.mark.parametrize(
    ("live", "progress", "remedy"),
    [
        pytest.param(workload(4, rollout=STUCK, **ORDERED), UNDER_WAY, "kubectl delete pod", id="stuck in order"),
        pytest.param(workload(4, rollout=STUCK, **ORDERED), COMPLETE, "", id="it only replaces them in order"),
        pytest.param(workload(4, rollout=STUCK, **ORDERED), None, "", id="never written"),
        pytest.param(workload(4, **ORDERED), UNDER_WAY, "", id="in order, all as before"),
        pytest.param(workload(4, rollout=STUCK), UNDER_WAY, "", id="a Deployment replaces what is not ready"),
        pytest.param(workload(4, rollout=HELD), COMPLETE, "kubectl rollout resume deployment/it", id="paused"),
        pytest.param(
            workload(4, rollout=replace(HELD, observed=True, updated=4)), COMPLETE, "", id="paused, all as before"
        ),
        pytest.param(replace(workload(0), rollout=HELD), COMPLETE, "", id="paused, no pod is left"),
    ],
)
def test_what_the_undoing_does_not_bring_to_the_pods_is_not_called_restored(
    live: Workload, progress: Progress | None, remedy: str
) -> None:
    status = {"plan": plan(CPU_UP), "applied": applied(progress=progress), "verdict": Verdict(result=FAIL, message="x")}
    step = next_step(facts(Phase.SETTLING, live, status=status), now=101.0)
    assert isinstance(step, Record), step
    assert step.status.phase is Phase.ROLLED_BACK
    rollback = step.status.rollback
    assert rollback is not None
    assert rollback.restored is (not remedy)
    if remedy:
        assert rollback.not_restored[0].startswith("pods: ")
        assert remedy in rollback.not_restored[0]
        assert rollback.reason.startswith("x; ")
        assert remedy in rollback.reason
    else:
        assert (rollback.reason, rollback.not_restored) == ("x", [])


def test_a_guard_that_says_no_is_named_in_the_reason() -> None:
    step = next_step(facts(None, workload(4), guards=BLOCKED), now=101.0)
    assert isinstance(step, Record)
    assert "cooldown: too soon" in step.reason


def test_values_before_are_recorded_before_the_write_and_no_sample_time() -> None:
    step = next_step(facts(None, workload(4), step_seconds=5.0, window_seconds=5.0), now=101.0)
    assert isinstance(step, Record)
    assert step.status.applied is not None
    record = step.status.applied
    assert (record.before.replicas, record.after.replicas, record.written) == (4, 6, False)
    assert (record.complete_at, record.validate_from) == (None, None)
    assert (record.validate_interval_seconds, record.measurements) == (5, 12)


def test_sample_times_are_fixed_when_the_change_is_complete() -> None:
    given_facts = facts(Phase.SETTLING, workload(6), status=unfinished(), step_seconds=5.0, window_seconds=5.0)
    recorded = []
    for _ in range(2):
        step = next_step(given_facts, now=303.0)
        assert isinstance(step, Record)
        recorded.append(step.status.applied)
        given_facts = replace(given_facts, run=replace(given_facts.run, status=step.status))
    progress, record = recorded
    assert progress is not None
    assert record is not None
    assert progress.complete_at is None, "progress first"
    # settle 10 s + window 5 s after 303 s, on the grid of 5 s
    assert (record.complete_at, record.validate_from) == (303.0, 320.0)
    assert next_step(given_facts, now=900.0).status.applied == record, "and are not fixed anew"  # type: ignore[union-attr]


@pytest.mark.parametrize("keep", ["Keep", "Rollback"])
def test_what_never_took_place_is_not_kept(keep: str) -> None:
    spec = policy_spec(validation={"settle": "10s", "interval": "5s", "duration": "60s", "onInconclusive": keep})
    unsure = {**unfinished(), "verdict": Verdict(result=UNSURE)}
    live = workload(6, rollout=UNFINISHED)
    step = next_step(facts(Phase.SETTLING, live, status=unsure, policy=policy(spec)), now=101.0)
    assert isinstance(step, Write)
    assert step.undo


def test_rollback_touches_only_what_is_still_ours() -> None:
    both = plan(REPLICAS_4_TO_6, CPU_UP)
    person = FieldOwner("kubectl", "Update", "scale", "2026-01-02T00:00:00Z")
    live = workload(9, replicas_owner=person).__class__
    assert live is Workload
    mixed = workload(9, container=fields.sizes_of(workload(), [CPU_UP])[0], replicas_owner=person)
    step = next_step(facts(Phase.SETTLING, mixed, status={"plan": both}), now=101.0)
    assert isinstance(step, Write)
    assert [(c.path, c.from_, c.to) for c in step.changes] == [("resources.requests.cpu", "750m", "500m")]
    restored = workload(9, replicas_owner=person)
    step = next_step(facts(Phase.SETTLING, restored, status={"plan": both}), now=101.0)
    assert isinstance(step, Record)
    assert step.status.phase is Phase.SUPERSEDED
    assert "set to 9 by kubectl" in step.reason


@dataclass
class Shell:
    """What the operator does with steps, over a workload in memory; may be killed before any of its effects."""

    run: Run
    live: Workload
    verdict: VerdictResult
    now: float = 100.0
    writes: int = 0

    def step(self, killed_before_effect: bool) -> bool:
        asked = RunFacts(
            run=self.run,
            policy=policy(),
            workload=self.live,
            plan=plan(REPLICAS_4_TO_6, CPU_UP),
            step_seconds=5.0,
            window_seconds=5.0,
            judged=judged(self.verdict) if self.run.phase is Phase.VALIDATING else None,
            pods=PodsSeen(),
        )
        match next_step(asked, self.now):
            case Wait():
                self.now += 5.0
                return not self.run.finished
            case Record(status=status):
                if not killed_before_effect:
                    self.run = replace(self.run, status=status)
            case Write(changes=changes):
                if not killed_before_effect:
                    self._write(changes[:1])
        return True

    def _write(self, changes: Any) -> None:
        self.writes += 1
        replicas = fields.replicas_of(changes)
        if replicas is not None:
            rollout = RolloutStatus(updated=replicas, ready=replicas, available=replicas, total=replicas)
            self.live = replace(self.live, replicas=replicas, rollout=rollout)
        elif sizes := fields.sizes_of(self.live, changes):
            self.live = replace(self.live, containers=sizes)


@pytest.mark.parametrize("verdict", [PASS, FAIL, UNSURE])
@settings(max_examples=60, deadline=None)
@given(kills=st.lists(st.booleans(), max_size=40))
def test_killed_anywhere_it_ends_the_same(verdict: VerdictResult, kills: list[bool]) -> None:
    undisturbed = Shell(run(), workload(4), verdict)
    while undisturbed.step(killed_before_effect=False):
        pass
    killed = Shell(run(), workload(4), verdict)
    for kill in kills:
        if not killed.step(kill):
            break
    while killed.step(killed_before_effect=False):
        pass
    assert killed.run.phase is undisturbed.run.phase
    assert (killed.live.replicas, killed.live.containers) == (undisturbed.live.replicas, undisturbed.live.containers)
    assert killed.writes == undisturbed.writes
    kept = verdict is PASS
    assert (killed.live.replicas, killed.live.containers[0].requests.cpu) == ((6, "750m") if kept else (4, "500m"))


@pytest.mark.parametrize(
    ("before", "after", "live", "wanted"),
    [
        ("1", "2", "1000m", fields.Seen.BEFORE),
        ("1", "2", "2000m", fields.Seen.AFTER),
        ("1", "2", "3", fields.Seen.OTHER),
        ("", "2", "", fields.Seen.BEFORE),
        ("1", "", "", fields.Seen.AFTER),
    ],
)
def test_seen_compares_amounts_and_not_spellings(before: str, after: str, live: str, wanted: fields.Seen) -> None:
    container = fields.sizes_of(workload(), [change("resources.requests.cpu", "500m", live, "app")])[0]
    assert fields.seen(workload(container=container), change("resources.requests.cpu", before, after, "app")) is wanted


def test_what_was_measured_before_a_guard_failed_is_kept() -> None:
    taken = Measurement(at=135.0, objective="p99", value="0.2", result="Pass")
    refused = PodsUnread("forbidden", again=False)
    step = next_step(facts(Phase.VALIDATING, workload(6), judged=Judged(None, (taken,)), pods=refused), now=140.0)
    assert isinstance(step, Record)
    assert step.status.verdict is not None
    assert (step.status.verdict.result, step.status.measurements) == (FAIL, [taken])
