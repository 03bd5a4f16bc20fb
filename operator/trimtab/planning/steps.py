"""What a step of a run is decided from, and what a step is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trimtab.domain.objects import InvalidSpec, Policy, Run, Workload
from trimtab.domain.pods import PodsSeen, PodsUnread
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import Phase, RunSpec
from trimtab.domain.run_status import FieldChange, GuardResult, Measurement, Plan, RunStatus, TimelineEntry, Verdict
from trimtab.domain.status import Condition
from trimtab.planning.trial_guards import Throttled

FIELD_MANAGER = "trimtab"
_TIMELINE_LIMIT = 32


@dataclass(frozen=True, slots=True)
class NoPlan:
    """Why there is nothing to try; ``final`` when asking again will not help."""

    reason: str
    final: bool = True
    condition: str = ""
    """Reason of the condition Progressing, where it is more than idleness."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the evidence says so far; ``verdict`` is None while it does not decide."""

    verdict: Verdict | None
    measurements: tuple[Measurement, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Everything that a step is decided from, read just now."""

    run: Run
    policy: Policy | None
    workload: Workload | None
    plan: Plan | NoPlan | None = None
    """What the planner makes of the run now; asked for while no change is applied."""
    guards: tuple[GuardResult, ...] = ()
    pods: PodsSeen | PodsUnread | None = None
    """The workload's pods, read while a change is on trial; without them nothing is proven."""
    throttled: tuple[Throttled, ...] = ()
    """CPU throttling of the containers that it is looked for in."""
    judged: Judged | None = None
    claimed: str = ""
    """Who else claims a field of the change, and what to do about it; asked while the change is on trial."""
    older_active: str = ""
    """Another run on the same workload that goes first."""
    step_seconds: float = 1.0
    """Grid of the samples, which sample times lie on."""
    window_seconds: float = 1.0
    """Window of the rates, which must not reach back before the change."""
    startup_seconds: float = 0.0
    """Time that a pod takes to become ready."""
    version_since: float | None = None
    """Time from which the present version runs alone; None where no other was seen."""
    write_error: str = ""
    """Why the API server will not take the change, where trying again does not help."""
    write_trouble: str = ""
    """Why it did not take the change just now, where trying again may help."""
    undo_error: str = ""
    """Why it will not take the change back."""
    undo_trouble: str = ""
    """Why it did not take it back just now, although the live object is as it was read."""
    undo_told: bool = False
    """That it will not is on record since the run is driven, whether or not the API server kept it."""
    broken: str = ""
    """Why the run cannot be looked at: an error in what it asks for, in its record, or in us."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now."""

    reason: str
    held: bool = False
    """The trial would begin, but for the rest of the fleet."""


@dataclass(frozen=True, slots=True)
class Record:
    """Write this status, then ask again."""

    status: RunStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Write:
    """Make these changes on the workload, then ask again."""

    changes: tuple[FieldChange, ...]
    undo: bool
    reason: str


Step = Wait | Record | Write


def specs(facts: RunFacts) -> tuple[PolicySpec | None, RunSpec | None]:
    policy_spec = facts.policy.spec if facts.policy else None
    return (
        policy_spec if isinstance(policy_spec, PolicySpec) else None,
        facts.run.spec if isinstance(facts.run.spec, RunSpec) else None,
    )


def why_no_spec(facts: RunFacts) -> str:
    if isinstance(facts.run.spec, InvalidSpec):
        return facts.run.spec.message
    if facts.policy is not None and isinstance(facts.policy.spec, InvalidSpec):
        return f"policy {facts.policy.name} cannot be used: {facts.policy.spec.message}"
    return "nothing was planned"


def become(facts: RunFacts, now: float, phase: Phase, reason: str, status: RunStatus | None = None) -> Record:
    """The status in another phase, with its line in the timeline.

    Reconciling and Stalled are what kstatus goes by: a trial that was undone is as complete as one that was kept, and
    only what could not be carried out is for a person to mend.
    """
    status = status or facts.run.status
    entry = TimelineEntry(phase=phase, at=now, reason=reason[:512])
    before = {condition.type: condition for condition in status.conditions}

    def told(kind: str, *, holds: bool) -> Condition:
        value: Literal["True", "False"] = "True" if holds else "False"
        old = before.get(kind)
        return Condition(
            type=kind,
            status=value,
            reason=phase.value,
            message=reason[:1024],
            observed_generation=facts.run.generation,
            last_transition_time=now if old is None or old.status != value else old.last_transition_time,
        )

    update = {
        "phase": phase,
        "observed_generation": facts.run.generation,
        "timeline": [*status.timeline, entry][-_TIMELINE_LIMIT:],
        "conditions": [
            told("Complete", holds=phase.finished),
            told("Reconciling", holds=not phase.finished),
            told("Stalled", holds=phase is Phase.FAILED),
        ],
    }
    return Record(status.model_copy(update=update), reason)


def end(facts: RunFacts, now: float, phase: Phase, reason: str, status: RunStatus | None = None) -> Record:
    """The status in a phase in which nothing is left to undo."""
    status = (status or facts.run.status).model_copy(update={"undo_refused": ""})
    return become(facts, now, phase, reason, status)
