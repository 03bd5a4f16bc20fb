"""The whole life of a run as one pure function: ``next_step(facts, now)``.

It is level-based: it reads what is recorded and what is live now, never the history of events. The shell does what the
step says, records it, and asks again; killed between any two of these, the next process asks the same question.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import assert_never

from trimtab.domain.choices import Mode, OnInconclusive
from trimtab.domain.objects import InvalidSpec, Workload
from trimtab.domain.policy import PolicySpec, Validation
from trimtab.domain.run import Phase, RunSpec, VerdictResult
from trimtab.domain.run_status import Applied, GuardResult, Plan, RunStatus, Verdict
from trimtab.domain.status_types import format_time
from trimtab.planning import changes as fields
from trimtab.planning.changes import Seen
from trimtab.planning.fleet import only_waits
from trimtab.planning.ownership import deployer
from trimtab.planning.records import undo_readable
from trimtab.planning.returning import returning
from trimtab.planning.settling import on_trial, progress_of
from trimtab.planning.steps import (
    FIELD_MANAGER,
    NoPlan,
    Record,
    RunFacts,
    Step,
    Wait,
    Write,
    become,
    end,
    specs,
    why_no_spec,
)
from trimtab.planning.terms import broken, limits_of, spec_for, terms_of, validation_under
from trimtab.planning.undoing import gone, newer, stands, undo, writer


def next_step(facts: RunFacts, now: float) -> Step:
    """What to do next for a run; see the phase functions for one line each."""
    run = facts.run
    if facts.broken:
        return _broken(facts, now)
    match run.phase:
        case Phase.PENDING:
            return _pending(facts, now)
        case Phase.AWAITING_APPROVAL:
            return _awaiting_approval(facts, now)
        case Phase.APPLYING:
            return _applying(facts, now)
        case Phase.SETTLING:
            return _settling(facts, now)
        case Phase.VALIDATING:
            return _validating(facts, now)
        case Phase.SUCCEEDED:
            return _succeeded(facts, now)
        case Phase.ROLLED_BACK | Phase.FAILED | Phase.REJECTED | Phase.SUPERSEDED | Phase.CANCELLED:
            return returning(facts, now)
        case _:
            assert_never(run.phase)


def blocked(guards: tuple[GuardResult, ...]) -> str:
    """What the guards that say no say, or nothing."""
    return "; ".join(f"{guard.name}: {guard.message}" for guard in guards if guard.result == "Blocked")


def _pending(facts: RunFacts, now: float) -> Step:
    """Not planned yet: make a plan, or say why there is none."""
    if (ended := _called_off(facts, now)) is not None:
        return ended
    if facts.older_active:
        return Wait(f"run {facts.older_active} on the same workload goes first")
    policy_spec, run_spec = specs(facts)
    if policy_spec is None or run_spec is None:
        return end(facts, now, Phase.FAILED, why_no_spec(facts))
    if isinstance(facts.plan, NoPlan) or facts.plan is None:
        reason = facts.plan.reason if facts.plan else "no plan yet"
        final = facts.plan.final if facts.plan else False
        return end(facts, now, Phase.REJECTED, reason) if final else Wait(reason)
    if run_spec.dry_run:
        status = facts.run.status.model_copy(update={"plan": facts.plan})
        return end(facts, now, Phase.SUCCEEDED, f"dry run: {facts.plan.reason}; nothing was changed", status)
    if policy_spec.mode in (Mode.OBSERVE, Mode.RECOMMEND):
        reason = f"spec.mode of policy {facts.run.policy_name} is {policy_spec.mode.value}; runs act in Approve or Auto"
        return end(facts, now, Phase.REJECTED, reason)
    planned = facts.run.status.model_copy(update={"plan": facts.plan})
    if policy_spec.mode is Mode.APPROVE:
        return become(facts, now, Phase.AWAITING_APPROVAL, f"plan {facts.plan.hash} waits for a person", planned)
    return _apply(facts, now, facts.plan)


def _awaiting_approval(facts: RunFacts, now: float) -> Step:
    """Waits for a person's yes to exactly this plan; a plan that no longer fits is made anew and waits again."""
    if (ended := _called_off(facts, now)) is not None:
        return ended
    policy_spec, run_spec = specs(facts)
    plan = facts.run.status.plan
    if policy_spec is None or run_spec is None or plan is None:
        return end(facts, now, Phase.FAILED, why_no_spec(facts))
    if facts.workload is None:
        return end(facts, now, Phase.SUPERSEDED, "the workload is gone")
    if _outdated(facts, plan, spec_for(policy_spec, run_spec)):
        if isinstance(facts.plan, NoPlan):
            return end(facts, now, Phase.SUPERSEDED, f"no longer called for: {facts.plan.reason}")
        if facts.plan is None or facts.plan.hash == plan.hash:
            return Wait("the workload or the objectives have changed since the plan was made")
        replaced = facts.run.status.model_copy(update={"plan": facts.plan})
        changed = "the workload or the objectives have changed"
        return Record(replaced, f"{changed}: plan {facts.plan.hash} replaces {plan.hash} and waits")
    if run_spec.approval is None:
        return Wait(f"waits for approval: trimtab approve {facts.run.name} (plan {plan.hash})")
    if run_spec.approval.plan_hash != plan.hash:
        return Wait(
            f"plan {run_spec.approval.plan_hash} was approved, but the plan now is {plan.hash}; approve that one"
        )
    return _apply(facts, now, plan)


def _outdated(facts: RunFacts, plan: Plan, spec: PolicySpec) -> bool:
    """Whether a plan that waits is of another version, of other values or under other objectives than those of now."""
    assert facts.workload is not None, "asked before"
    if plan.version != facts.workload.version or plan.objectives != terms_of(spec.objectives):
        return True
    return any(fields.seen(facts.workload, change) is not Seen.BEFORE for change in fields.on_workload(plan.changes))


def approves(spec: RunSpec | None, plan: Plan) -> bool:
    """Whether a person said yes to this very plan."""
    return spec is not None and spec.approval is not None and spec.approval.plan_hash == plan.hash


def _apply(facts: RunFacts, now: float, plan: Plan) -> Step:
    """Records what was there before, and only then lets the write happen."""
    if said_no := blocked(facts.guards):
        held = only_waits(facts.guards)
        if held or facts.run.phase is Phase.AWAITING_APPROVAL:
            return Wait(f"held: {said_no}", held=held)
        return end(facts, now, Phase.REJECTED, said_no, facts.run.status.model_copy(update={"plan": plan}))
    if facts.workload is None:
        return end(facts, now, Phase.SUPERSEDED, "the workload is gone")
    policy_spec, _ = specs(facts)
    assert policy_spec is not None, "asked before"
    applied = _applied(facts, policy_spec, plan, now)
    update = {"plan": plan.model_copy(update={"guardrails": list(facts.guards)}), "applied": applied}
    return become(facts, now, Phase.APPLYING, plan.reason, facts.run.status.model_copy(update=update))


def _applied(facts: RunFacts, spec: PolicySpec, plan: Plan, now: float) -> Applied:
    """The record of a change before it is written: values before and after, and how it will be measured.

    Samples are further apart than a rate window reaches back, so that they do not overlap.
    """
    assert facts.workload is not None, "asked before"
    written = fields.on_workload(plan.changes)
    step = facts.step_seconds
    interval = math.ceil(max(spec.validation.interval, facts.window_seconds) / step - 1e-9) * step
    measurements = max(1, math.floor(spec.validation.duration / interval + 1e-9))
    return Applied(
        kind=facts.workload.kind.value,
        name=facts.workload.name,
        uid=facts.workload.uid,
        manager=FIELD_MANAGER,
        before=fields.snapshot_of(written, facts.workload, after=False),
        after=fields.snapshot_of(written, facts.workload, after=True),
        at=now,
        validate_interval_seconds=round(interval),
        measurements=measurements,
        limits=limits_of(spec.validation, measurements),
        template=fields.template_beside(facts.workload, written),
        generation=facts.policy.generation if facts.policy is not None else 0,
        version_since=facts.version_since,
        last_applied=facts.workload.last_applied,
    )


def _applying(facts: RunFacts, now: float) -> Step:
    """The change is on its way: writes what is not yet written, if the guards still agree."""
    status, plan = facts.run.status, facts.run.status.plan
    assert plan is not None, "recorded with the phase"
    assert status.applied is not None, "recorded with the phase"
    if status.verdict is not None:
        return _conclude(facts, now, status.verdict)
    if (ended := gone(facts, now)) is not None:
        return ended
    assert facts.workload is not None, "not gone"
    states = [(change, fields.seen(facts.workload, change)) for change in fields.on_workload(plan.changes)]
    started = any(state is Seen.AFTER for _, state in states)
    if (why := _stop_reason(facts) or _faulty_policy(facts) or _withdrawn(facts)) is not None:
        return undo(facts, now, why.phase, why.reason)
    if (deployed := _deployed(facts, now)) is not None:
        return deployed
    for change, _ in states:
        if who := newer(facts, change):
            return undo(facts, now, Phase.SUPERSEDED, stands(facts.workload, change, who))
    todo = [change for change, state in states if state is Seen.BEFORE]
    if not todo:
        progress = progress_of(plan, facts.workload, now)
        update = {"applied": status.applied.model_copy(update={"written": True, "progress": progress})}
        reason = "applied; measured once the change is complete"
        return become(facts, now, Phase.SETTLING, reason, status.model_copy(update=update))
    if facts.write_error:
        return undo(facts, now, Phase.FAILED, facts.write_error)
    if facts.write_trouble:
        return _not_taken(facts, now)
    if said_no := blocked(facts.guards):
        return undo(facts, now, Phase.ROLLED_BACK if started else Phase.REJECTED, said_no)
    if not started and now - status.applied.at > 2 * facts.step_seconds:
        policy_spec, _ = specs(facts)
        if policy_spec is not None:
            later = status.model_copy(update={"applied": _applied(facts, policy_spec, plan, now)})
            return Record(later, "the write comes later than recorded: its time is recorded anew")
    return Write(tuple(todo), undo=False, reason=plan.reason)


def _not_taken(facts: RunFacts, now: float) -> Step:
    """The API server did not take the change just now: it comes again for as long as a rollout may stand still."""
    status, (policy_spec, _) = facts.run.status, specs(facts)
    assert facts.workload is not None, "not gone"
    assert policy_spec is not None, "not faulty"
    if not overdue(status, policy_spec, facts.workload, now):
        return Wait(f"not written yet: {facts.write_trouble}")
    return undo(facts, now, Phase.FAILED, f"the change could not be written in time: {facts.write_trouble}")


def overdue(status: RunStatus, spec: PolicySpec, workload: Workload, now: float) -> bool:
    """Whether a change has been about to be written for longer than a rollout may stand still."""
    entered = min((entry.at for entry in status.timeline if entry.phase is Phase.APPLYING), default=now)
    return now - entered >= max(spec.validation.settle, workload.rollout.deadline_seconds)


def _settling(facts: RunFacts, now: float) -> Step:
    """The change is on the workload; waits until it is complete there, and then until its effect can be measured."""
    status = facts.run.status
    if status.verdict is not None:
        return _conclude(facts, now, status.verdict)
    if (step := _interrupted(facts, now) or on_trial(facts, now)) is not None:
        return step
    assert status.applied is not None, "recorded with the phase"
    if status.applied.validate_from is None or now < status.applied.validate_from:
        return Wait(f"settles until {format_time(status.applied.validate_from or now)}")
    times = f"{status.applied.measurements} times, every {status.applied.validate_interval_seconds} s"
    return become(facts, now, Phase.VALIDATING, f"measures {times}")


def _validating(facts: RunFacts, now: float) -> Step:
    """Samples come in; a verdict is recorded before it is acted on."""
    status = facts.run.status
    if status.verdict is not None:
        return _conclude(facts, now, status.verdict)
    if (step := _interrupted(facts, now) or on_trial(facts, now)) is not None:
        return step
    if facts.judged is None:
        return Wait("no samples read yet")
    measured = status.model_copy(update={"measurements": list(facts.judged.measurements)})
    if facts.judged.verdict is None:
        if len(measured.measurements) != len(status.measurements):
            return Record(measured, f"{len(measured.measurements)} measurements taken")
        return Wait("waits for the next measurement")
    verdict = facts.judged.verdict.model_copy(update={"at": now})
    return Record(
        measured.model_copy(update={"verdict": verdict}), f"verdict {verdict.result.value}: {verdict.message}"
    )


def _conclude(facts: RunFacts, now: float, verdict: Verdict) -> Step:
    """Keeps or undoes the change as the recorded verdict says."""
    policy_spec, _ = specs(facts)
    if verdict.interrupted:
        return undo(facts, now, Phase.SUPERSEDED, verdict.message)
    match verdict.result:
        case VerdictResult.PASS:
            keep = True
        case VerdictResult.FAIL:
            keep = False
        case VerdictResult.INCONCLUSIVE:
            keep = policy_spec is not None and _keeps_undecided(facts.run.status.applied, policy_spec.validation)
        case _:
            assert_never(verdict.result)
    if not keep:
        return undo(facts, now, Phase.ROLLED_BACK, verdict.message)
    if (ended := gone(facts, now)) is not None:
        return ended
    return end(facts, now, Phase.SUCCEEDED, f"kept: {verdict.message}")


def _keeps_undecided(applied: Applied | None, live: Validation) -> bool:
    """Whether what does not decide is kept: only what took place, and as was said when it began and is said now."""
    if applied is None or applied.validate_from is None:
        return False
    then = validation_under(live, applied.limits)
    return live.on_inconclusive is then.on_inconclusive is OnInconclusive.KEEP


def _succeeded(facts: RunFacts, now: float) -> Step:
    """Kept; a person may still undo it by setting ``cancelled``."""
    if not _to_be_undone(facts):
        return Wait("ended Succeeded")
    return undo(facts, now, Phase.ROLLED_BACK, "undone by a person")


def _to_be_undone(facts: RunFacts) -> bool:
    """Whether a person wants a kept change undone, and it is not yet."""
    run = facts.run
    return run.is_kept and isinstance(run.spec, RunSpec) and run.spec.cancelled and not run.deleting


def _broken(facts: RunFacts, now: float) -> Step:
    """Ends a run that cannot be evaluated; what it may have changed is undone as far as its record can be read."""
    reason = f"run {facts.run.name} cannot be evaluated: {facts.broken}"
    is_unknown = facts.run.status.phase is None and facts.run.status.applied is not None
    if facts.run.phase.unproven or is_unknown or _to_be_undone(facts):
        return undo_readable(facts, now, Phase.FAILED, reason)
    return Wait(reason) if facts.run.finished else end(facts, now, Phase.FAILED, reason)


@dataclass(frozen=True, slots=True)
class _Stop:
    phase: Phase
    reason: str


def _stop_reason(facts: RunFacts) -> _Stop | None:
    """Why a change under way must be undone, from outside the trial."""
    if facts.run.deleting:
        return _Stop(Phase.CANCELLED, "the run was deleted while its change was unproven")
    if isinstance(facts.run.spec, RunSpec) and facts.run.spec.cancelled:
        return _Stop(Phase.CANCELLED, "cancelled by a person")
    if facts.policy is None:
        return _Stop(Phase.CANCELLED, f"policy {facts.run.policy_name} is gone")
    return None


def _faulty_policy(facts: RunFacts) -> _Stop | None:
    """Why a trial cannot go on: nothing tells any more what it must hold."""
    if facts.policy is not None and isinstance(facts.policy.spec, InvalidSpec):
        return _Stop(Phase.CANCELLED, why_no_spec(facts))
    return None


def _withdrawn(facts: RunFacts) -> _Stop | None:
    """Why a trial has lost its leave to act, or the objectives that it was planned under."""
    (policy_spec, run_spec), plan = specs(facts), facts.run.status.plan
    if policy_spec is None or run_spec is None or plan is None:
        return None
    target, applied = policy_spec.target_ref, facts.run.status.applied
    if applied is not None and applied.kind and (target.kind.value, target.name) != (applied.kind, applied.name):
        other = f"{target.kind.value} {target.name}"
        return _Stop(Phase.CANCELLED, f"spec.targetRef was changed to {other} during the trial")
    mode = policy_spec.mode
    unapproved = mode is Mode.APPROVE and not approves(run_spec, plan)
    if unapproved and any(entry.phase is Phase.AWAITING_APPROVAL for entry in facts.run.status.timeline):
        other = run_spec.approval.plan_hash if run_spec.approval is not None else "no plan"
        taken_back = f"the approval of plan {plan.hash} was taken back during the trial: {other} is approved now"
        return _Stop(Phase.CANCELLED, taken_back)
    if mode in (Mode.OBSERVE, Mode.RECOMMEND) or unapproved:
        and_so = ", and nobody approved the plan" if unapproved else ""
        return _Stop(Phase.CANCELLED, f"spec.mode was lowered to {mode.value} during the trial{and_so}")
    if why := broken(plan.objectives, spec_for(policy_spec, run_spec).objectives):
        return _Stop(Phase.CANCELLED, f"{why} during the trial")
    return None


def _called_off(facts: RunFacts, now: float) -> Step | None:
    """Ends a run that has not touched the workload, where somebody called it off."""
    stop = _stop_reason(facts)
    return None if stop is None else end(facts, now, stop.phase, stop.reason)


def _interrupted(facts: RunFacts, now: float) -> Step | None:
    """Ends a trial early: the workload is gone, somebody stopped it, deployed, or has a newer value live."""
    if (ended := gone(facts, now)) is not None:
        return ended
    if (stop := _stop_reason(facts) or _faulty_policy(facts) or _withdrawn(facts)) is not None:
        return undo(facts, now, stop.phase, stop.reason)
    if (deployed := _deployed(facts, now)) is not None:
        return deployed
    assert facts.workload is not None, "not gone"
    plan = facts.run.status.plan
    for change in fields.on_workload(plan.changes if plan else ()):
        who = newer(facts, change)
        if not who and fields.seen(facts.workload, change) is Seen.BEFORE:
            who = writer(facts.workload, change)
        if who:
            return undo(facts, now, Phase.SUPERSEDED, stands(facts.workload, change, who))
    return None


def _deployed(facts: RunFacts, now: float) -> Step | None:
    """Ends a trial whose pod template was changed by others: samples before and after it are of two versions."""
    status, workload = facts.run.status, facts.workload
    assert workload is not None, "not gone"
    assert status.applied is not None, "recorded before"
    written = fields.on_workload(status.plan.changes if status.plan else ())
    if status.applied.template in ("", fields.template_beside(workload, written)):
        return None
    message = f"the pod template was changed by {deployer(workload)} during the trial, which proves nothing any more"
    verdict = Verdict(result=VerdictResult.INCONCLUSIVE, message=message, at=now, interrupted=True)
    return Record(status.model_copy(update={"verdict": verdict}), f"verdict Inconclusive: {message}")
