"""Settling: how far a change has come to the pods, when it is complete, and when it will not be any more. Pure."""

from __future__ import annotations

import math
from typing import Final

from trimtab.domain.objects import Workload
from trimtab.domain.pods import PodsSeen, PodsUnread
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import VerdictResult
from trimtab.domain.run_status import Applied, FieldChange, Plan, Progress, Verdict
from trimtab.domain.status_types import format_time
from trimtab.domain.units import format_duration
from trimtab.planning import changes as fields
from trimtab.planning.obstacles import obstacle
from trimtab.planning.steps import Record, RunFacts, Step, Wait, specs
from trimtab.planning.trial_guards import TrialFacts, failed_guard

_SCALED_TO_ZERO: Final = "the workload was scaled to zero during the trial"


def on_trial(facts: RunFacts, now: float) -> Step | None:
    """What must be done before a trial goes on: guards are asked, and the change must come to its pods."""
    status, plan, applied = facts.run.status, facts.run.status.plan, facts.run.status.applied
    policy_spec, _ = specs(facts)
    assert plan is not None, "recorded with the phase"
    assert applied is not None, "recorded with the phase"
    assert facts.workload is not None, "not gone"
    assert policy_spec is not None, "interrupted without"
    if scaled_to_zero(facts.workload, fields.on_workload(plan.changes)):
        return _decided(facts, now, VerdictResult.INCONCLUSIVE, _SCALED_TO_ZERO, interrupted=True)
    if facts.claimed:
        message = f"what is on trial is another's by now, so that nothing is proven: {facts.claimed}"
        return _decided(facts, now, VerdictResult.INCONCLUSIVE, message, interrupted=True)
    if why := held_up(facts):
        return _decided(facts, now, VerdictResult.INCONCLUSIVE, why)
    if facts.pods is None:
        return Wait("guards are not answered: pods were not read")
    if isinstance(facts.pods, PodsUnread) and not facts.pods.again:
        return _decided(facts, now, VerdictResult.FAIL, f"guards cannot be answered: {facts.pods.reason}")
    progress = progress_of(plan, facts.workload, now)
    if moved(applied.progress, progress):
        record = applied.model_copy(update={"progress": progress})
        return Record(status.model_copy(update={"applied": record}), progress.message)
    if isinstance(facts.pods, PodsUnread):
        return _unanswered(facts, policy_spec, facts.pods.reason, progress, now)
    if applied.unanswered_since is not None:
        record = applied.model_copy(update={"unanswered_since": None})
        return Record(status.model_copy(update={"applied": record}), "guards are answered again")
    asked = TrialFacts(
        changes=fields.on_workload(plan.changes),
        applied=applied,
        workload=facts.workload,
        pods=facts.pods,
        throttled=facts.throttled,
        patience_seconds=patience_seconds(policy_spec, facts),
        now=now,
    )
    if why := failed_guard(asked):
        return _decided(facts, now, VerdictResult.FAIL, why)
    if applied.complete_at is not None:
        return None
    if complete(plan, progress):
        record = completed(applied, policy_spec, facts, now)
        assert record.validate_from is not None, "just fixed"
        reason = f"complete; measured from {format_time(record.validate_from)}"
        return Record(status.model_copy(update={"applied": record}), reason)
    if why := not_complete(applied, progress, policy_spec, facts):
        return _decided(facts, now, VerdictResult.FAIL, why)
    return Wait(progress.message)


def _unanswered(facts: RunFacts, spec: PolicySpec, reason: str, seen: Progress, now: float) -> Step:
    """Waits for the pods to be read, for as long as pods may be missing; the change has no longer to come to them."""
    status, plan, applied = facts.run.status, facts.run.status.plan, facts.run.status.applied
    assert plan is not None, "recorded with the phase"
    assert applied is not None, "recorded with the phase"
    is_under_way = applied.complete_at is None and not complete(plan, seen)
    if is_under_way and (why := not_complete(applied, seen, spec, facts)):
        return _decided(facts, now, VerdictResult.FAIL, why)
    told = f"guards are not answered: {reason}"
    if applied.unanswered_since is None:
        record = applied.model_copy(update={"unanswered_since": now})
        return Record(status.model_copy(update={"applied": record}), told)
    waited = now - applied.unanswered_since
    if waited < patience_seconds(spec, facts):
        return Wait(told)
    message = f"guards have not been answered for {format_duration(waited, to=1)}: {reason}"
    return _decided(facts, now, VerdictResult.FAIL, message)


def _decided(facts: RunFacts, now: float, result: VerdictResult, message: str, *, interrupted: bool = False) -> Record:
    """A verdict that rests on no measurement, recorded before it is acted on; what was measured by then is kept."""
    update: dict[str, object] = {"verdict": Verdict(result=result, message=message, at=now, interrupted=interrupted)}
    if facts.judged is not None and facts.judged.measurements:
        update["measurements"] = list(facts.judged.measurements)
    return Record(facts.run.status.model_copy(update=update), f"verdict {result.value}: {message}")


def progress_of(plan: Plan, workload: Workload, now: float) -> Progress:
    """How far the workload's status says that the change has come."""
    written = fields.on_workload(plan.changes)
    of_template = any(change.path != fields.REPLICAS for change in written)
    remaining = workload.rollout.remaining(workload.replicas, of_template=of_template)
    message = workload.rollout.told(workload.replicas, of_template=of_template)
    return Progress(at=now, wanted=workload.replicas, remaining=remaining, message=message)


def moved(before: Progress | None, seen: Progress) -> bool:
    """Whether what is seen is news: nearer to the end than ever, no longer complete, or asked for anew.

    A pod that comes and goes is no progress: what counts is the least that was ever left.
    """
    if before is None or before.wanted != seen.wanted:
        return True
    return seen.remaining < before.remaining or (before.remaining == 0 < seen.remaining)


def complete(plan: Plan, progress: Progress) -> bool:
    """Whether the change took place; one of the operating point alone has nothing to roll out."""
    return progress.remaining == 0 or not fields.on_workload(plan.changes)


def completed(applied: Applied, spec: PolicySpec, facts: RunFacts, now: float) -> Applied:
    """The record with the moment of completeness and the sample times that follow from it.

    Sample times lie on the grid of the history; the first lies after settling and one rate window, which must not reach
    back to before the change was complete.
    """
    step = facts.step_seconds
    first = math.ceil((now + spec.validation.settle + facts.window_seconds) / step - 1e-9) * step
    return applied.model_copy(update={"complete_at": now, "validate_from": first})


def scaled_to_zero(workload: Workload, written: tuple[FieldChange, ...]) -> bool:
    """Whether no pod is left to prove such changes on, other than by a change of the count itself."""
    return workload.replicas == 0 and bool(written) and all(change.path != fields.REPLICAS for change in written)


def held_up(facts: RunFacts) -> str:
    """What somebody did to the workload that keeps the change, or its undoing, from the pods; empty without any."""
    plan, workload = facts.run.status.plan, facts.workload
    assert plan is not None, "recorded with the phase"
    assert workload is not None, "asked before"
    return why_held(workload, fields.on_workload(plan.changes))


def why_held(workload: Workload, written: tuple[FieldChange, ...]) -> str:
    """Why such changes would not take place on a workload, with the remedy; empty where they would."""
    of_template = any(change.path != fields.REPLICAS for change in written)
    if not workload.rollout.held or not written or not (of_template or not workload.rollout.scales):
        return ""
    return workload.rollout.held


def patience_seconds(spec: PolicySpec, facts: RunFacts) -> float:
    """How long pods may be missing before a trial fails: settling, two samples, and the start of another pod."""
    return spec.validation.settle + 2 * facts.step_seconds + facts.startup_seconds


def not_complete(applied: Applied, seen: Progress, spec: PolicySpec, facts: RunFacts) -> str:
    """Why the change will not come to its pods, with the API server's reason; empty while it may.

    It has the longer of settling and the workload's own deadline, counted from its last progress. Where the API server
    refuses the pods for a reason that stands until somebody mends it, it has the patience of a settled trial.
    """
    workload, last = facts.workload, applied.progress
    assert workload is not None, "asked before"
    assert last is not None, "recorded before"
    pods = facts.pods if isinstance(facts.pods, PodsSeen) else PodsSeen()
    found, status = obstacle(pods, math.floor(applied.at)), workload.rollout
    stood = seen.at - last.at
    limit = max(spec.validation.settle, status.deadline_seconds)
    says_so = bool(status.deadline_passed) and status.observed and status.deadline_passed_at >= applied.at
    if found is not None and found.lasting:
        limit = min(limit, patience_seconds(spec, facts))
    if stood < limit and not (says_so and stood >= spec.validation.settle):
        return ""
    reason = (
        str(found) if found is not None else status.deadline_passed or pods.untold or "the API server gives no reason"
    )
    return f"the change did not reach its pods: {seen.message}, for {format_duration(stood, to=1)}; {reason}"
