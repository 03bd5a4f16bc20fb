"""The conditions of a policy, each a plain sentence."""

from __future__ import annotations

from typing import Literal

from trimtab.adapters.signals_requests import objective_name
from trimtab.analytics.quality import DataProblem
from trimtab.domain.choices import ACTING
from trimtab.domain.objects import Run
from trimtab.domain.status import Condition, ConditionType, PolicyStatus
from trimtab.domain.status_types import format_time
from trimtab.forecasting.forecast import Forecast
from trimtab.planning import changes as fields
from trimtab.planning.conflicts import EVERYTHING, told
from trimtab.planning.evidence import STILL_SEEN
from trimtab.planning.findings import Assessment
from trimtab.planning.holding import held_text
from trimtab.planning.steps import NoPlan
from trimtab.reconcile.insight_conditions import Turn, conditions
from trimtab.reconcile.outcome import UNDO_REFUSED, Outcome
from trimtab.reconcile.situation import Situation


def conditions_of(situation: Situation, outcome: Outcome, status: PolicyStatus, active: Run | None) -> list[Condition]:
    """All conditions of a policy; those of ``status``, told last, give the times since which they stand."""
    generation, now = situation.policy.generation, situation.now
    quality, assessment = situation.assessment.quality, situation.assessment

    def made(kind: ConditionType, value: Literal["True", "False", "Unknown"], reason: str, message: str) -> Condition:
        return condition(status, kind, value, reason, message, generation, now)

    if situation.workload is None:
        target = situation.spec.target_ref
        where = f"{target.kind.value} {target.name} is not in namespace {situation.policy.namespace}"
        ready = made(ConditionType.READY, "False", "TargetNotFound", f"{where}; create it or correct spec.targetRef")
    else:
        text = _doing(situation, outcome, status, active)
        ready = made(ConditionType.READY, "True", situation.spec.mode.value, text)
    unknown = [state.name for state in assessment.objectives if state.state == "Unknown"]
    if assessment.breached:
        reason, text = "Violated", _objectives_text(situation)
        if outcome.not_capacity:
            reason, text = "NotCapacity", outcome.following
        met = made(ConditionType.OBJECTIVES_MET, "False", reason, text)
    elif unknown:
        met = made(ConditionType.OBJECTIVES_MET, "Unknown", "NoData", _unknown_text(situation, unknown))
    else:
        met = made(ConditionType.OBJECTIVES_MET, "True", "Met", _objectives_text(situation))
    idle = outcome.proposal if isinstance(outcome.proposal, NoPlan) and outcome.proposal.condition else None
    forecast = assessment.forecast
    reliable = isinstance(forecast, Forecast) and forecast.reliable
    return [
        ready,
        made(ConditionType.STALLED, "False", "NotStalled", "nothing here waits for a person to mend the spec"),
        made(
            ConditionType.DATA_AVAILABLE,
            "True" if quality.ok else "False",
            "Fresh" if quality.ok else quality.problem.value if quality.problem else "Unknown",
            _data_text(situation),
        ),
        met,
        made(
            ConditionType.FORECAST_RELIABLE,
            "True" if reliable else "False",
            "Backtested" if reliable else "Reactive",
            forecast.reason,
        ),
        made(
            ConditionType.PROGRESSING,
            "True" if active else "False",
            active.phase.value if active else idle.condition if idle else "Idle",
            _progress(active) if active or not idle else idle.reason,
        ),
        made(ConditionType.CONFLICTED, *_conflicted(situation, outcome)),
        *([made(ConditionType.FLEET_PAUSED, *_fleet(outcome))] if situation.spec.mode in ACTING else []),
        *(made(kind, *turn) for kind, turn in _insights(assessment, status).items()),
        made(ConditionType.ANALYTICS_STORED, *stored(outcome.store_problem)),
        made(ConditionType.DEGRADED, *_degraded(situation, outcome)),
    ]


def _insights(assessment: Assessment, status: PolicyStatus) -> dict[ConditionType, Turn]:
    return conditions(assessment.insights, status, assessment.insights_failed)


def _degraded(situation: Situation, outcome: Outcome) -> Turn:
    """What did not succeed while the rest went on: undoing first, as a change that failed is still in place."""
    if refused := [run for run in outcome.runs if run.status.undo_refused]:
        why = "; ".join(f"run {run.name} cannot be undone yet: {run.status.undo_refused}" for run in refused)
        return "True", UNDO_REFUSED, f"{why}; it is tried again in each round"
    if outcome.trouble:
        return "True", "EvaluationFailed", outcome.trouble
    if why := situation.assessment.insights_failed:
        good = situation.insights_good_at
        age = f"those shown are of {format_time(good)}" if good is not None else "those shown are older"
        return "True", "InsightsFailed", f"decisions go on without insights, {age}: {why}"
    return "False", "AsExpected", "everything was evaluated"


def condition(
    status: PolicyStatus,
    kind: ConditionType,
    value: Literal["True", "False", "Unknown"],
    reason: str,
    message: str,
    generation: int,
    now: float,
) -> Condition:
    """One condition, with the time since which it stands."""
    old = next((one for one in status.conditions if one.type == kind.value), None)
    since = old.last_transition_time if old is not None and old.status == value else now
    return Condition(
        type=kind.value,
        status=value,
        reason=reason,
        message=message[:1024],
        observed_generation=generation,
        last_transition_time=since,
    )


def stored(problem: str | None) -> Turn:
    """Whether what is learned outlives a restart: empty where it does, None where nothing is to store it."""
    if problem is None:
        return "Unknown", "NoStore", "no store is set: what was learned is learned again after a restart"
    if problem:
        text = f"goes on in memory and tries again; what is learned meanwhile does not outlive a restart: {problem}"
        return "False", "StoreUnusable", text
    return "True", "Stored", "what is learned outlives a restart, for as long as the store's volume is there"


def _fleet(outcome: Outcome) -> Turn:
    """Whether trials anywhere wait for a person, as too many failed."""
    if outcome.failures:
        return "True", "TooManyFailures", f"no new trial begins: {outcome.failures}"
    return "False", "TrialsGoOn", "too few trials failed within an hour to stop new ones"


def _doing(situation: Situation, outcome: Outcome, status: PolicyStatus, active: Run | None) -> str:
    """What goes on, in the order of the column STATUS."""
    quality, resume = situation.assessment.quality, f"trimtab resume {situation.policy.name} to go on"
    if active is not None and active.phase.unproven:
        return _running(active, outcome)
    if outcome.paused and situation.spec.mode in ACTING:
        return outcome.paused
    if situation.spec.paused:
        return f"paused: {resume}"
    if not quality.ok and quality.problem is not DataProblem.SHORT_HISTORY:
        follows = quality.problem in STILL_SEEN or situation.foreseen is not None
        what = "nothing is tried" if follows else "nothing is changed"
        if situation.workload is not None and outcome.wanted_replicas not in (None, situation.workload.replicas):
            what = outcome.following
        return f"{what}: {quality.message}"
    if any(one.path == EVERYTHING for one in outcome.conflicts):
        return f"recommends only: {told(outcome.conflicts)}"
    if status.hold is not None:
        return f"{held_text(status.hold)}; {resume}"
    if not quality.ok:
        return f"nothing is tried yet: {quality.message}"
    if active is not None:
        return _running(active, outcome)
    said = _planned(outcome)
    if not outcome.conflicts:
        return said
    left = ", ".join(dict.fromkeys(one.path for one in outcome.conflicts))
    return f"leaves {left} to {', '.join(dict.fromkeys(one.owner for one in outcome.conflicts))}: {said}"


def _planned(outcome: Outcome) -> str:
    if isinstance(outcome.proposal, NoPlan):
        return outcome.following or outcome.proposal.reason
    plan = outcome.proposal.plan
    said = outcome.following or plan.reason
    if not outcome.held:
        return said
    what = f"{fields.describe(plan.changes)} not done" if outcome.following else "not done"
    return f"{said}; {what}: {outcome.held}"


def _running(active: Run, outcome: Outcome) -> str:
    said = f"run {active.name} is {active.phase.value}"
    return f"{said}; {outcome.held}" if outcome.held else said


def _data_text(situation: Situation) -> str:
    """What is wrong with the data, and of what it is not known how many pods it speaks for."""
    assessment, flown = situation.assessment, situation.foreseen
    if flown is not None:
        until = format_time(flown.ends_at)
        return f"{assessment.quality.message} Replicas fly blind, upwards only, by the last forecast until {until}."
    if not assessment.quality.ok or not assessment.uncounted:
        return assessment.quality.message
    names = ", ".join(assessment.uncounted)
    return f"{assessment.quality.message} Whether all pods are in {names} is not known: no query selects them by pod."


def _conflicted(situation: Situation, outcome: Outcome) -> Turn:
    """Each field that somebody else claims, with its owner and the remedy."""
    if outcome.conflicts:
        return "True", "ClaimedByOther", told(outcome.conflicts)
    if situation.unlisted:
        return (
            "Unknown",
            "NotListed",
            f"nobody else is known to claim what this policy may change, but {situation.unlisted}",
        )
    return "False", "NoConflict", _unclaimed(situation)


def _unclaimed(situation: Situation) -> str:
    """That nobody else acts; which policies stand back for this one."""
    younger = situation.rivals.younger
    if not younger:
        return "no other controller and no other policy claims what this one may change"
    names = ", ".join(younger)
    plural = "policies" if len(younger) > 1 else "policy"
    return f"this policy acts as the older one: {plural} {names} on the same workload may change nothing meanwhile"


def _progress(active: Run | None) -> str:
    if active is None:
        return "no run is under way"
    timeline = active.status.timeline
    return f"{active.name}: {timeline[-1].reason if timeline else 'not begun'}"


def _objectives_text(situation: Situation) -> str:
    states = situation.assessment.objectives
    if not states:
        return "the policy names no objectives"
    return "; ".join(f"{state.name} {state.value or state.state} ({state.threshold})" for state in states)


def _unknown_text(situation: Situation, unknown: list[str]) -> str:
    """Which objectives have no fresh value, and why where it is known."""
    absurd = {one.name: one.value for one in situation.assessment.objectives if one.name in unknown and one.value}
    told = [
        f"{name} reads {value}, which cannot be: more than a million times its threshold and what is usual"
        for name, value in absurd.items()
    ]
    if unseen := [name for name in unknown if name not in absurd]:
        told.append(f"no fresh value of {', '.join(unseen)}")
    failures = [situation.failures.get(objective_name(name), "") for name in unknown]
    return "; ".join([*told, *filter(None, failures)])
