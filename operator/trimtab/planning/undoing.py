"""Undoing: what of a change is still ours, field by field, whose newer value stands, and what could not be restored."""

from __future__ import annotations

from trimtab.domain.objects import Workload
from trimtab.domain.run import Phase
from trimtab.domain.run_status import FieldChange, Rollback
from trimtab.planning import changes as fields
from trimtab.planning.changes import Seen
from trimtab.planning.ownership import claimant
from trimtab.planning.returning import watched_until
from trimtab.planning.settling import progress_of, why_held
from trimtab.planning.steps import RunFacts, Step, Wait, Write, become, end


def gone(facts: RunFacts, now: float) -> Step | None:
    """Ends a run whose workload is no longer the one it changed; nothing is touched."""
    status = facts.run.status
    applied = status.applied
    if facts.workload is None:
        reason = "the workload was deleted during the run; nothing is left to undo"
    elif applied is not None and facts.workload.uid != applied.uid:
        reason = "the workload was deleted and created again during the run; the new one is not touched"
    else:
        return None
    written = fields.on_workload(status.plan.changes) if status.plan is not None and applied is not None else ()
    if written:
        left = [_left(change, "the workload was deleted") for change in written]
        status = status.model_copy(
            update={"rollback": Rollback(reason=reason, at=now, restored=False, not_restored=left)}
        )
    return end(facts, now, Phase.SUPERSEDED, reason, status)


def undo(facts: RunFacts, now: float, phase: Phase, reason: str) -> Step:
    """Restores each field whose live value is the last one that we wrote, and still ours; leaves all others alone."""
    if (ended := gone(facts, now)) is not None:
        return ended
    assert facts.workload is not None, "not gone"
    status = facts.run.status
    written = fields.on_workload(status.plan.changes if status.plan else ())
    foreign = [(change, who) for change in written if (who := newer(facts, change))]
    others = [change for change, _ in foreign]
    ours = tuple(
        change for change in written if change not in others and fields.seen(facts.workload, change) is Seen.AFTER
    )
    refused = facts.undo_error or facts.undo_trouble
    if ours and not refused:
        return Write(fields.reversed_changes(ours), undo=True, reason=reason)
    if ours and not (foreign and facts.undo_error):  # beside a newer value ours may never fit again
        return _refused(facts, now, refused)
    left: list[str] = []
    if foreign:
        said = stands(facts.workload, *foreign[0])
        deployed = status.verdict is not None and status.verdict.interrupted
        phase, reason = Phase.SUPERSEDED, f"{reason}; {said}" if deployed else said
        if ours:
            reason = f"{reason}, and {fields.describe(ours)} with it: {facts.undo_error}"
        left = [_left(change, stands(facts.workload, change, who)) for change, who in foreign]
        left += [_left(change, f"{change.to or 'nothing'} stays, {facts.undo_error}") for change in ours]
    if why := _pods_stay(facts, now, tuple(change for change in written if change not in others)):
        reason = f"{reason}; {why}"
        left.append(f"pods: {why}")
    until = watched_until(facts, now) if written and not left else None
    rollback = Rollback(reason=reason, at=now, restored=not left, not_restored=left, watched_until=until)
    return end(facts, now, phase, reason, status.model_copy(update={"rollback": rollback}))


def _refused(facts: RunFacts, now: float, why: str) -> Step:
    """Waits to undo with the next round; that it is refused is recorded once."""
    told = f"cannot undo yet: {why}"
    if facts.run.status.undo_refused or facts.undo_told:
        return Wait(told)
    status = facts.run.status.model_copy(update={"undo_refused": why[:1024]})
    return become(facts, now, facts.run.phase, told, status)


def newer(facts: RunFacts, change: FieldChange) -> str:
    """Whose newer value of a field stands: another one, or the very one that we wrote made their own; empty if none."""
    workload, applied = facts.workload, facts.run.status.applied
    assert workload is not None, "not gone"
    match fields.seen(workload, change):
        case Seen.OTHER:
            return writer(workload, change)
        case Seen.AFTER:
            return claimant(workload, change, applied.last_applied) if applied is not None else ""
        case Seen.BEFORE:
            return ""


def writer(workload: Workload, change: FieldChange) -> str:
    """Who last wrote a field."""
    owner = fields.owner(workload, change)
    return owner.manager if owner else "somebody"


def stands(workload: Workload, change: FieldChange, who: str) -> str:
    """That a newer value of a field stands, and whose it is."""
    live = fields.value(workload, change.path, change.container) or "nothing"
    return f"{change.path} was set to {live} by {who}; that newer value stands"


def _pods_stay(facts: RunFacts, now: float, undone: tuple[FieldChange, ...]) -> str:
    """Why pods may stay as the trial made them although the spec is as before, with the remedy; empty where none does.

    A StatefulSet in ordered mode replaces no pod while one is not ready, so that one of the change that cannot become
    ready stays (kubernetes.io, "StatefulSets", forced rollback).
    """
    workload, status = facts.workload, facts.run.status
    assert workload is not None, "not gone"
    seen = status.applied.progress if status.applied is not None else None
    if status.plan is None or seen is None or not undone or workload.replicas == 0:
        return ""
    if progress_of(status.plan, workload, now).remaining == 0:
        return ""
    if held := why_held(workload, undone):
        return f"pods may be left as the trial made them: {held}"
    unready = workload.replicas - workload.rollout.ready
    of_template = any(change.path != fields.REPLICAS for change in undone)
    if not (workload.ordered and of_template and seen.remaining > 0 and unready > 0):
        return ""
    return (
        f"{unready} of {workload.replicas} pods of StatefulSet {workload.name} are not ready, and it replaces none"
        f" before they are; where they stay so: kubectl delete pod, for each that kubectl get pods -l"
        f" {workload.selector!r} shows as not ready"
    )


def _left(change: FieldChange, why: str) -> str:
    """One field that was not restored, and why."""
    return f"{change.path}{f' of {change.container}' if change.container else ''}: {why}"
