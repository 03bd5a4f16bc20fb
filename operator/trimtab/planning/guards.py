"""Guards: each says whether a run may act now; one that cannot be answered says no."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from trimtab.analytics.quality import Quality
from trimtab.domain.autoscalers import Autoscaler
from trimtab.domain.choices import Mode
from trimtab.domain.objects import Policy, Run, Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import Phase, Trigger
from trimtab.domain.run_status import FieldChange, GuardResult
from trimtab.domain.status_types import format_time
from trimtab.domain.units import format_duration
from trimtab.planning import changes as fields
from trimtab.planning.bounds import beyond
from trimtab.planning.conflicts import Claimants, rival, told
from trimtab.planning.fleet import Fleet, why_wait
from trimtab.planning.holding import held_text
from trimtab.planning.records import fault_of_change
from trimtab.planning.rightsizing import Usage
from trimtab.planning.settling import why_held
from trimtab.planning.shrinking import why_not_lowered

_DAY: Final = 86400.0
_BACKOFF_LIMIT: Final = 6


@dataclass(frozen=True, slots=True)
class GuardFacts:
    """What guards are asked about, read just now."""

    policy: Policy
    spec: PolicySpec
    workload: Workload | None
    runs: tuple[Run, ...]
    """All runs of this policy that are still known."""
    run_name: str
    """The run that wants to act; empty while it is not made yet."""
    trigger: Trigger
    changes: tuple[FieldChange, ...]
    quality: Quality | None
    assessed_at: float
    """When the data was judged; it has aged since."""
    unknown: tuple[str, ...]
    """Objectives without a fresh value while there is traffic."""
    autoscalers: tuple[Autoscaler, ...]
    """Other autoscalers on the same workload."""
    unlisted: bool
    """Some kind of autoscalers could not be listed."""
    rival: str
    """An older policy on the same workload, if any."""
    trial: str
    """Another policy's run whose unproven change is on the same workload, if any."""
    now: float
    usage: Mapping[str, Usage] = field(default_factory=dict)
    """What each container used, and how far back that is known."""
    fleet: Fleet = field(default_factory=Fleet)
    """What the other policies mean for this one."""
    applying: bool = False
    """The run has begun to write, so that a rollout under way is its own."""
    approved: bool = False
    """A person said yes to the plan."""
    same_policy: bool = True
    """The policy was not changed since the run began to act."""
    beyond_bounds: bool = False
    """A person said that the run's values may leave the policy's bounds."""


Guard = Callable[[GuardFacts], str]
"""Why not, or an empty string."""


def ask(facts: GuardFacts, guards: Iterable[tuple[str, Guard]] | None = None) -> tuple[GuardResult, ...]:
    """The answer of every guard; a guard that fails is a no."""
    results = []
    for name, guard in guards if guards is not None else GUARDS:
        try:
            why_not = guard(facts)
        except Exception as error:  # noqa: BLE001 - whatever a guard trips over, it must not let a change through
            why_not = f"could not be answered: {type(error).__name__}: {error}"
        result = GuardResult(name=name, result="Blocked" if why_not else "Passed", message=why_not)
        results.append(result)
    return tuple(results)


def conflicts(facts: GuardFacts) -> str:
    """Who else claims what would be changed: another policy, an autoscaler, or the owner of a field."""
    if other := rival(facts.rival, facts.trial):
        return told(other)
    if facts.workload is None:
        return ""
    status = facts.policy.status
    others = Claimants(facts.spec, status, facts.workload, facts.autoscalers, facts.unlisted)
    return told(others.on_changes(facts.changes))


def _paused(facts: GuardFacts) -> str:
    return "spec.paused is true; trimtab resume to go on" if facts.spec.paused else ""


def _paused_all(facts: GuardFacts) -> str:
    return facts.fleet.paused


def _fleet_paused(facts: GuardFacts) -> str:
    """After too many failures nothing new is tried anywhere, unless a person asks for it."""
    return facts.fleet.failures if _begins_by_itself(facts) else ""


def _open_runs(facts: GuardFacts) -> str:
    """So many trials may be open at once. A person's count, and do not wait."""
    return why_wait(facts.fleet, facts.now) if _begins_by_itself(facts) else ""


def _begins_by_itself(facts: GuardFacts) -> bool:
    """Whether a trial of the operator's own would begin now: a plan that is to wait for a person is none yet."""
    to_be_approved = facts.spec.mode is Mode.APPROVE and not facts.run_name
    return facts.trigger is not Trigger.MANUAL and not facts.applying and not to_be_approved


def _mode(facts: GuardFacts) -> str:
    mode = facts.spec.mode
    if mode in (Mode.OBSERVE, Mode.RECOMMEND):
        return f"spec.mode is {mode.value}; runs act in Approve or Auto"
    if mode is Mode.APPROVE and facts.applying and not facts.approved:
        return "spec.mode is Approve, and nobody approved the plan"
    return ""


def _bounds(facts: GuardFacts) -> str:
    stepwise = facts.trigger is not Trigger.MANUAL and facts.same_policy
    return "" if facts.beyond_bounds else beyond(facts.spec, facts.changes, nearer_is_well=stepwise)


def _workload(facts: GuardFacts) -> str:
    if facts.workload is None:
        return f"{facts.spec.target_ref.kind.value} {facts.spec.target_ref.name} is not there"
    if not (facts.workload.rolled_out or facts.applying or facts.trigger is Trigger.MANUAL):
        ready, wanted = facts.workload.ready_replicas, facts.workload.replicas
        return f"a rollout is under way: {ready} of {wanted} replicas are ready"
    return ""


def _rollout(facts: GuardFacts) -> str:
    """A change that would reach no pod, or not all of them, proves nothing."""
    return why_held(facts.workload, fields.on_workload(facts.changes)) if facts.workload is not None else ""


def _data(facts: GuardFacts) -> str:
    if facts.quality is None:
        return "no metrics were read"
    if not facts.quality.ok:
        return facts.quality.message
    age = facts.quality.age_seconds + facts.now - facts.assessed_at
    if age > facts.spec.guardrails.max_data_age:
        limit = format_duration(facts.spec.guardrails.max_data_age)
        return f"the newest sample is {format_duration(age, to=1)} old by now; the limit is {limit}"
    return f"no fresh value of {', '.join(facts.unknown)}" if facts.unknown else ""


def _hold(facts: GuardFacts) -> str:
    hold = facts.policy.status.hold
    if hold is None or facts.trigger is Trigger.MANUAL:
        return ""
    return f"{held_text(hold)}; trimtab resume {facts.policy.name} to go on"


def _active(facts: GuardFacts) -> str:
    for run in facts.runs:
        if run.name != facts.run_name and run.phase.unproven:
            return f"run {run.name} is {run.phase.value}"
    return ""


def _cooldown(facts: GuardFacts) -> str:
    ended = [end for run in facts.runs if run.name != facts.run_name and (end := acted_until(run)) is not None]
    if not ended or facts.spec.guardrails.cooldown == 0.0:
        return ""  # a run that ended in this very round may end after the round's now
    until = max(ended) + facts.spec.guardrails.cooldown
    if facts.now >= until:
        return ""
    return f"{format_duration(facts.spec.guardrails.cooldown)} after the last run, until {format_time(until)}"


def _runs_a_day(facts: GuardFacts) -> str:
    acted = [run for run in facts.runs if run.name != facts.run_name and acted_within_a_day(run, facts.now)]
    limit = facts.spec.guardrails.max_runs_per_day
    return f"{len(acted)} runs acted in the last 24 h; at most {limit} may" if len(acted) >= limit else ""


def _rollouts_a_day(facts: GuardFacts) -> str:
    """A rollout restarts every pod: the operator begins so many a day. A person's count, and do not wait."""
    if facts.trigger is Trigger.MANUAL or not fields.rolls(facts.changes):
        return ""
    times = sorted(
        run.status.applied.at
        for run in facts.runs
        if run.name != facts.run_name and run.status.applied is not None and _rolled(run, facts.now)
    )
    limit = facts.spec.guardrails.max_rollouts_per_day
    if len(times) < limit:
        return ""
    until = format_time(times[-limit] + _DAY)
    return f"{len(times)} rollouts in the last 24 h; at most {limit} may begin, so the next not before {until}"


def _history_to_shrink(facts: GuardFacts) -> str:
    """What Auto lowers by itself it lowers after a day, and memory after a week."""
    if facts.spec.mode is not Mode.AUTO or facts.trigger is Trigger.MANUAL or facts.quality is None:
        return ""
    known = facts.quality.span_seconds + facts.quality.age_seconds + facts.spec.analysis.interval
    return why_not_lowered(facts.spec, facts.changes, known, facts.usage, facts.now)


def undone_before(facts: GuardFacts) -> str:
    """What was undone is not tried again at once: each time doubles the wait."""
    if facts.trigger is Trigger.MANUAL or not facts.changes:
        return ""
    undone = [run for run in facts.runs if run.phase is Phase.ROLLED_BACK and _like(run, facts.changes)]
    if not undone:
        return ""
    wait = max(facts.spec.guardrails.cooldown, 60.0) * 2.0 ** min(len(undone), _BACKOFF_LIMIT)
    last = max(end for run in undone if (end := acted_until(run)) is not None)
    if facts.now >= last + wait:
        return ""
    return f"a change like this was undone by run {undone[-1].name}; not again before {format_time(last + wait)}"


def acted_within_a_day(run: Run, now: float) -> bool:
    """Whether a run touched its workload in the last 24 hours."""
    return run.status.applied is not None and now - run.status.applied.at < _DAY


def _rolled(run: Run, now: float) -> bool:
    """Whether a run replaced pods in the last 24 hours, or began to; one that was refused before its write did not."""
    plan = run.status.plan
    refused = run.phase is Phase.REJECTED
    return plan is not None and not refused and fields.rolls(plan.changes) and acted_within_a_day(run, now)


def acted_until(run: Run) -> float | None:
    """When a run that touched its workload ended; None for one that has not."""
    if run.status.applied is None or not run.finished:
        return None
    return run.status.timeline[-1].at if run.status.timeline else run.status.applied.at


def _like(run: Run, changes: tuple[FieldChange, ...]) -> bool:
    """Whether a run moved the same fields in the same direction."""
    plan = run.status.plan
    if plan is None or any(map(fault_of_change, plan.changes)):
        return False
    before = {(c.path, c.container): _direction(c) for c in plan.changes}
    return before == {(c.path, c.container): _direction(c) for c in changes}


def _direction(change: FieldChange) -> int:
    if not change.from_ or not change.to:
        return 0
    low, high = fields.amount(change.from_), fields.amount(change.to)
    return (high > low) - (high < low)


GUARDS: Final[tuple[tuple[str, Guard], ...]] = (
    ("paused", _paused),
    ("pausedAll", _paused_all),
    ("fleetPaused", _fleet_paused),
    ("mode", _mode),
    ("bounds", _bounds),
    ("workload", _workload),
    ("rollout", _rollout),
    ("conflict", conflicts),
    ("hold", _hold),
    ("data", _data),
    ("activeRun", _active),
    ("cooldown", _cooldown),
    ("maxRunsPerDay", _runs_a_day),
    ("maxRolloutsPerDay", _rollouts_a_day),
    ("minHistoryToShrink", _history_to_shrink),
    ("undoneBefore", undone_before),
    ("openRuns", _open_runs),
)
