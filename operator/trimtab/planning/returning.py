"""Returning: whether the pods of an undone change are as before too, which the spec alone does not say. Pure."""

from __future__ import annotations

from typing import Final

from trimtab.domain.objects import Workload
from trimtab.domain.pods import PodsSeen
from trimtab.domain.run_status import Applied, Plan, Rollback, RunStatus
from trimtab.planning import changes as fields
from trimtab.planning.changes import Seen
from trimtab.planning.obstacles import obstacle
from trimtab.planning.settling import progress_of
from trimtab.planning.steps import Record, RunFacts, Step, Wait

_PATIENCE_SECONDS: Final = 30.0
"""For a refusal of the API server that no waiting mends; the rest has as long as a rollout may stand still."""


def watched_until(facts: RunFacts, now: float) -> float | None:
    """Until when to look for the pods of a change whose spec is as before; None where they are there already."""
    workload, plan, applied = facts.workload, facts.run.status.plan, facts.run.status.applied
    assert workload is not None, "asked before"
    if plan is None or applied is None or not _is_ours(plan, applied, workload):
        return None
    if not fields.on_workload(plan.changes) or progress_of(plan, workload, now).remaining == 0:
        return None
    return now + workload.rollout.deadline_seconds


def returning(facts: RunFacts, now: float) -> Step:
    """The next step of a run that has ended undone: none, or what became of its pods."""
    status, workload = facts.run.status, facts.workload
    rollback, plan, applied = status.rollback, status.plan, status.applied
    if rollback is None or rollback.watched_until is None:
        return Wait("nothing is left to do")
    if workload is None or plan is None or applied is None or applied.uid != workload.uid:
        return _over(status, rollback, "its workload is gone: its pods are not looked for any more")
    if not _is_ours(plan, applied, workload):
        return _over(status, rollback, "what was undone was changed since: its pods are not looked for any more")
    progress = progress_of(plan, workload, now)
    if progress.remaining == 0:
        return _over(status, rollback, "its pods are as before too")
    pods = facts.pods if isinstance(facts.pods, PodsSeen) else PodsSeen()
    found = obstacle(pods, rollback.at)
    stays = found is not None and found.lasting and now - rollback.at >= _PATIENCE_SECONDS
    if not stays and now < rollback.watched_until:
        return Wait(f"undone, and its pods are not as before yet: {progress.message}")
    why = f"pods: the spec is as before, and {progress.message}; {found or 'the API server gives no reason'}"
    left = [*rollback.not_restored, why[:512]]
    return _over(status, rollback.model_copy(update={"restored": False, "not_restored": left}), why)


def _is_ours(plan: Plan, applied: Applied, workload: Workload) -> bool:
    """Whether the workload is as the undo left it: what somebody changed since is theirs to look after."""
    written = fields.on_workload(plan.changes)
    as_before = all(fields.seen(workload, change) is Seen.BEFORE for change in written)
    return as_before and applied.template in ("", fields.template_beside(workload, written))


def _over(status: RunStatus, rollback: Rollback, reason: str) -> Record:
    done = rollback.model_copy(update={"watched_until": None})
    return Record(status.model_copy(update={"rollback": done}), reason)
