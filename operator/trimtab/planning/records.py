"""The record of a run, which a hand or a backup may have written: whether it can be gone by, and undone by. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from trimtab.domain.choices import TargetKind
from trimtab.domain.run import CHANGE_PATHS, Phase
from trimtab.domain.run_status import Applied, FieldChange, Plan, Rollback, RunStatus
from trimtab.domain.units import parse_quantity
from trimtab.planning import changes as fields
from trimtab.planning.steps import Record, RunFacts, Step, end
from trimtab.planning.undoing import undo

_LONGEST_TRIAL_SECONDS: Final = 14 * 86400
"""Twice as long as a policy may have a change measured."""
_MOST_REPLICAS: Final = 2**31 - 1


def fault_of(status: RunStatus) -> str:
    """What is wrong with the record of a run that has touched its workload; empty where all of it can be gone by."""
    phase, plan, applied = status.phase, status.plan, status.applied
    if phase is None:
        return "status.phase is missing, or cannot be read" if applied is not None else ""
    if not (phase.unproven or (phase is Phase.SUCCEEDED and applied is not None)):
        return ""
    if plan is None:
        return f"the phase is {phase.value}, and status.plan is missing, or cannot be read"
    if applied is None:
        return f"the phase is {phase.value}, and status.applied is missing, or cannot be read"
    return _fault_of_applied(applied) or _fault_of_plan(plan)


def fault_of_change(change: FieldChange) -> str:
    """What is wrong with a change on record; empty where it can be compared with what is live, and undone."""
    if change.path not in CHANGE_PATHS:
        return f"{change.path} is no field that a run changes"
    for name, value in (("from", change.from_), ("to", change.to)):
        if fault := _fault_of_amount(value):
            return f"{name} of {change.path} {fault}"
        if change.path == fields.REPLICAS and not (value and 0 <= parse_quantity(value) <= _MOST_REPLICAS):
            return f"{name} of {change.path} is {value!r}, which is no count"
    return ""


def undo_readable(facts: RunFacts, now: float, phase: Phase, reason: str) -> Step:
    """Undoes what can be read of a run's record, and ends it with the error; what cannot be read is named, and left."""
    status = facts.run.status
    plan, applied = status.plan, status.applied
    if plan is None or applied is None or _names_nothing(applied):
        left = ["what it changed is not on record, or not where: it is left as it is"]
        rollback = Rollback(reason=reason, at=now, restored=False, not_restored=left)
        return end(facts, now, phase, reason, status.model_copy(update={"rollback": rollback}))
    faults = [(change, fault_of_change(change)) for change in plan.changes]
    readable = plan.model_copy(update={"changes": [change for change, fault in faults if not fault]})
    run = replace(facts.run, status=status.model_copy(update={"plan": readable}))
    step = undo(replace(facts, run=run), now, phase, reason)
    if not isinstance(step, Record):
        return step
    if not (step.status.phase or Phase.PENDING).finished:  # refused for now: it comes again, with the whole record
        return replace(step, status=step.status.model_copy(update={"plan": plan}))
    done = step.status.rollback or Rollback(reason=step.reason, at=now, restored=True)
    left = [
        *(f"{change.path}: {fault}" for change, fault in faults if fault and fields.on_workload([change])),
        *done.not_restored,
    ]
    update = {"restored": done.restored and not left, "not_restored": left}
    rollback = done.model_copy(update=update | ({"watched_until": None} if left else {}))
    said = reason if step.reason == reason else f"{reason}; {step.reason}"
    return end(facts, now, phase, said, status.model_copy(update={"rollback": rollback}))


def _names_nothing(applied: Applied) -> bool:
    return applied.kind not in list(TargetKind) or not applied.name


def _fault_of_applied(applied: Applied) -> str:
    if applied.kind and _names_nothing(applied):
        return f"status.applied names no workload: {applied.kind} {applied.name}"
    count, seconds = applied.measurements, applied.validate_interval_seconds
    if count < 1 or seconds < 1 or count * seconds > _LONGEST_TRIAL_SECONDS:
        return f"status.applied asks for {count} measurements, every {seconds} s"
    return ""


def _fault_of_plan(plan: Plan) -> str:
    if fault := next(filter(None, map(fault_of_change, plan.changes)), ""):
        return f"status.plan: {fault}"
    for name, point in (("formerPoint", plan.former_point), ("trialPoint", plan.trial_point)):
        if fault := _fault_of_amount(point.load_per_replica):
            return f"status.plan: loadPerReplica of {name} {fault}"
    cost = plan.predicted.cost
    if cost is not None and (fault := _fault_of_amount(cost.from_, float) or _fault_of_amount(cost.to, float)):
        return f"status.plan: predicted cost {fault}"
    return ""


def _fault_of_amount(value: str, parse: Callable[[str], float] = parse_quantity) -> str:
    """What is wrong with an amount; empty where it can be read, or is not set."""
    try:
        parse(value or "0")
    except (ValueError, OverflowError) as error:
        return f"cannot be read: {error}"
    return ""
