"""The status of a policy, composed from what a round found: columns and conditions in plain sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from trimtab.adapters.signals_requests import objective_name
from trimtab.analytics.quality import DataProblem
from trimtab.domain.choices import Mode
from trimtab.domain.fitting import fitted
from trimtab.domain.objects import Run
from trimtab.domain.run import Phase
from trimtab.domain.status import (
    Condition,
    ConditionType,
    CostState,
    ForecastState,
    LastRun,
    OperatingPoint,
    PolicyStatus,
    Recommendation,
    Season,
    Snapshot,
    Summary,
)
from trimtab.domain.units import format_duration, format_number
from trimtab.forecasting.forecast import Forecast
from trimtab.planning import changes as fields
from trimtab.planning.options import monthly_cost
from trimtab.planning.plans import Proposal
from trimtab.planning.rightsizing import requested
from trimtab.planning.steps import NoPlan
from trimtab.reconcile import insights
from trimtab.reconcile.insight_conditions import conditions
from trimtab.reconcile.situation import Situation

_VOLATILE: Final = frozenset(
    {
        *("trend", "seasonality", "forecast", "cost", "recommendation", "health", "anomalies", "patterns"),
        *("reliability", "performance", "warnings", "budgets", "capacity_plan", "advice"),
    }
)
_VERDICT: Final = {
    Phase.SUCCEEDED: "Kept",
    Phase.ROLLED_BACK: "RolledBack",
    Phase.FAILED: "Failed",
    Phase.REJECTED: "Rejected",
    Phase.SUPERSEDED: "Superseded",
    Phase.CANCELLED: "Cancelled",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round did and found for one policy, beside the situation."""

    proposal: Proposal | NoPlan
    conflict: str
    following: str
    """What following did or why it held; empty where the policy does not follow."""
    wanted_replicas: int | None
    """Replicas that following asks for, acted on or not."""
    not_capacity: bool = False
    runs: tuple[Run, ...] = ()
    """Runs as they are after the round."""


def compose(situation: Situation, outcome: Outcome, status: PolicyStatus) -> PolicyStatus:
    """The next status; ``status`` carries what following recorded in this round."""
    workload, assessment = situation.workload, situation.assessment
    if situation.spec.mode is Mode.OBSERVE:
        outcome = replace(outcome, proposal=NoPlan("mode is Observe: nothing is recommended"), wanted_replicas=None)
    active = next((run for run in outcome.runs if not run.finished), None)
    update: dict[str, object] = {
        "observed_generation": situation.policy.generation,
        "conditions": _conditions(situation, outcome, status, active),
        "objectives": list(assessment.objectives),
        "seasonality": [
            Season(period=format_duration(round(one.period_seconds)), strength_percent=round(one.strength_percent))
            for one in assessment.seasons[:4]
        ],
        "forecast": _forecast(situation),
        "operating_point": _point(situation),
        "current": Snapshot(replicas=workload.replicas, containers=list(workload.containers)) if workload else None,
        "recommendation": _recommendation(situation, outcome),
        "cost": _cost(situation, outcome),
        "active_run": active.name if active else "",
        "last_run": _last_run(outcome.runs) or status.last_run,
        **_insights(situation),
    }
    composed = status.model_copy(update=update)
    return fitted(composed.model_copy(update={"summary": _summary(situation, outcome, composed)}))


def unusable(status: PolicyStatus, generation: int, message: str, now: float) -> PolicyStatus:
    """The status of a policy whose spec cannot be used: Ready=False with field, value and remedy."""
    ready = _condition(status, ConditionType.READY, "False", "InvalidSpec", message, generation, now)
    others = [condition for condition in status.conditions if condition.type != ready.type]
    return status.model_copy(update={"observed_generation": generation, "conditions": [ready, *others]})


def matters(old: PolicyStatus, new: PolicyStatus) -> bool:
    """Whether a status differs from the old one in more than volatile figures."""
    return _firm(old) != _firm(new)


def _firm(status: PolicyStatus) -> dict[str, object]:
    found = status.model_dump(by_alias=False, exclude=set(_VOLATILE))
    found["conditions"] = [(c["type"], c["status"], c["reason"]) for c in found["conditions"]]
    found["objectives"] = [(o["name"], o["state"]) for o in found["objectives"]]
    found["alerts"] = [(budget.objective, budget.alert) for budget in status.budgets]
    found["drift"] = (status.forecast.drift, len(status.forecast.changes)) if status.forecast else None
    for cell in ("peak", "savings", "anomalies", "outlook"):
        found["summary"].pop(cell, None)
    if found["operating_point"]:
        found["operating_point"].pop("load_per_replica", None)
    return found


def _conditions(situation: Situation, outcome: Outcome, status: PolicyStatus, active: Run | None) -> list[Condition]:
    generation, now = situation.policy.generation, situation.now
    quality, assessment = situation.assessment.quality, situation.assessment

    def made(kind: ConditionType, value: Literal["True", "False", "Unknown"], reason: str, message: str) -> Condition:
        return _condition(status, kind, value, reason, message, generation, now)

    if situation.workload is None:
        target = situation.spec.target_ref
        where = f"{target.kind.value} {target.name} is not in namespace {situation.policy.namespace}"
        ready = made(ConditionType.READY, "False", "TargetNotFound", f"{where}; create it or correct spec.targetRef")
    elif status.hold is not None:
        hold = status.hold
        text = (
            f"{hold.field} was set to {hold.value} by {hold.manager}; trimtab resume {situation.policy.name} to go on"
        )
        ready = made(ConditionType.READY, "False", "HeldByPerson", text)
    elif situation.spec.paused:
        ready = made(ConditionType.READY, "False", "Paused", f"trimtab resume {situation.policy.name} to go on")
    elif not quality.ok:
        reason = "LearningHistory" if quality.problem is DataProblem.SHORT_HISTORY else "NoUsableData"
        ready = made(ConditionType.READY, "False", reason, f"nothing is changed: {quality.message}")
    else:
        ready = made(ConditionType.READY, "True", situation.spec.mode.value, _doing(outcome, active))
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
    forecast = assessment.forecast
    reliable = isinstance(forecast, Forecast) and forecast.reliable
    return [
        ready,
        made(
            ConditionType.DATA_AVAILABLE,
            "True" if quality.ok else "False",
            "Fresh" if quality.ok else quality.problem.value if quality.problem else "Unknown",
            quality.message,
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
            active.phase.value if active else "Idle",
            _progress(active),
        ),
        made(
            ConditionType.CONFLICTED,
            "True" if outcome.conflict else "False",
            "ClaimedByOther" if outcome.conflict else "NoConflict",
            outcome.conflict,
        ),
        *(made(kind, *turn) for kind, turn in conditions(assessment.insights, status).items()),
    ]


def _condition(
    status: PolicyStatus,
    kind: ConditionType,
    value: Literal["True", "False", "Unknown"],
    reason: str,
    message: str,
    generation: int,
    now: float,
) -> Condition:
    old = next((condition for condition in status.conditions if condition.type == kind.value), None)
    since = old.last_transition_time if old is not None and old.status == value else now
    return Condition(
        type=kind.value,
        status=value,
        reason=reason,
        message=message[:1024],
        observed_generation=generation,
        last_transition_time=since,
    )


def _doing(outcome: Outcome, active: Run | None) -> str:
    if outcome.conflict:
        return f"recommends only: {outcome.conflict}"
    if active is not None:
        return f"run {active.name} is {active.phase.value}"
    if outcome.following:
        return outcome.following
    return outcome.proposal.reason if isinstance(outcome.proposal, NoPlan) else outcome.proposal.plan.reason


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
    failures = [situation.failures.get(objective_name(name), "") for name in unknown]
    return "; ".join([f"no fresh value of {', '.join(unknown)}", *filter(None, failures)])


def _insights(situation: Situation) -> dict[str, object]:
    """What the analysis found; nothing where the workload is not there."""
    found = situation.assessment.insights
    if found is None:
        names = ("trend", "health", "anomalies", "reliability", "performance", "capacity_plan")
        return {**dict.fromkeys(names), "patterns": [], "warnings": [], "budgets": [], "advice": []}
    return {
        "trend": insights.trend_of(found),
        "health": insights.health_of(found.health),
        "anomalies": insights.anomalies_of(found, situation.now),
        "patterns": insights.patterns_of(found.patterns),
        "reliability": insights.reliability_of(found.outlook.reliability),
        "performance": insights.performance_of(found.outlook.performance),
        "warnings": insights.warnings_of(found.outlook),
        "budgets": insights.budgets_of(found.outlook),
        "capacity_plan": insights.capacity_of(found.outlook.capacity),
        "advice": insights.advice_of(found.advice),
    }


def _forecast(situation: Situation) -> ForecastState | None:
    forecast = situation.assessment.forecast
    if not isinstance(forecast, Forecast):
        return None
    supervised = situation.assessment.known.supervised
    top = int(forecast.mean.argmax())
    return ForecastState(
        model=forecast.model,
        peak=format_number(float(forecast.mean[top])),
        peak_at=float(forecast.times[top]),
        lower=format_number(float(forecast.lower[top])),
        upper=format_number(float(forecast.upper[top])),
        error_percent_of_naive=forecast.error_percent_of_naive,
        reason=forecast.reason,
        **({} if supervised is None else insights.drift_of(supervised)),
    )


def _point(situation: Situation) -> OperatingPoint | None:
    if situation.workload is None:
        return None
    found = situation.capacity()
    strategy = situation.strategy
    update = {
        "containers": list(situation.workload.containers),
        "load_per_replica": format_number(found.load_per_replica),
        "headroom_percent": round(strategy.headroom * 100),
    }
    return situation.point.model_copy(update=update)


def _recommendation(situation: Situation, outcome: Outcome) -> Recommendation | None:
    workload = situation.workload
    if workload is None or situation.spec.mode is Mode.OBSERVE:
        return None
    replicas = outcome.wanted_replicas if outcome.wanted_replicas is not None else workload.replicas
    if isinstance(outcome.proposal, NoPlan):
        reason = outcome.following or outcome.proposal.reason
        return Recommendation(replicas=replicas, containers=list(workload.containers), reason=reason)
    changes = outcome.proposal.plan.changes
    resized = {size.name: size for size in fields.sizes_of(workload, changes)}
    return Recommendation(
        replicas=fields.replicas_of(changes) or replicas,
        containers=[resized.get(size.name, size) for size in workload.containers],
        reason=outcome.proposal.plan.reason,
    )


def _cost(situation: Situation, outcome: Outcome) -> CostState | None:
    workload = situation.workload
    if workload is None:
        return None
    cores, size_bytes = requested(workload.containers)
    monthly = monthly_cost(situation.spec, workload.replicas, cores, size_bytes)
    target = outcome.proposal.monthly_to if isinstance(outcome.proposal, Proposal) else monthly
    return CostState(
        monthly=f"{monthly:.2f}", recommended_monthly=f"{target:.2f}", currency=situation.spec.cost.currency
    )


def _last_run(runs: tuple[Run, ...]) -> LastRun | None:
    ended = [run for run in runs if run.finished and run.status.timeline]
    if not ended:
        return None
    last = max(ended, key=lambda run: run.status.timeline[-1].at)
    verdict = "DryRun" if last.phase is Phase.SUCCEEDED and last.status.applied is None else _VERDICT[last.phase]
    return LastRun(name=last.name, verdict=verdict, at=last.status.timeline[-1].at)


def _summary(situation: Situation, outcome: Outcome, status: PolicyStatus) -> Summary:
    workload, assessment = situation.workload, situation.assessment
    replicas = ""
    if workload is not None:
        wanted = status.recommendation.replicas if status.recommendation else None
        replicas = str(workload.replicas)
        if wanted is not None and wanted != workload.replicas:
            replicas += f"→{wanted}"
    known = [state for state in assessment.objectives if state.state in ("Met", "NoTraffic")]
    total = len(assessment.objectives)
    unit = f" {situation.history.load.unit}" if situation.history.load.unit else ""
    savings = ""
    if isinstance(outcome.proposal, Proposal) and outcome.proposal.monthly_from > outcome.proposal.monthly_to:
        savings = f"{outcome.proposal.monthly_from - outcome.proposal.monthly_to:.2f} {situation.spec.cost.currency}"
    change = fields.describe(outcome.proposal.plan.changes) if isinstance(outcome.proposal, Proposal) else ""
    peak = status.forecast.peak if status.forecast and not math.isnan(assessment.demand) else ""
    return Summary(
        replicas=replicas,
        objectives=f"{len(known)}/{total} met" if total else "",
        change=change,
        peak=f"{peak}{unit}" if peak else "",
        anomalies=insights.anomalies_cell(assessment.insights),
        outlook=insights.outlook_cell(assessment.insights),
        savings=savings,
    )
