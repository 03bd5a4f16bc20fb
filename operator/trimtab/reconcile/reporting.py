"""The status of a policy, composed from what a round found: columns and conditions in plain sentences."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from trimtab.domain.choices import Mode
from trimtab.domain.fitting import fitted
from trimtab.domain.objects import Run
from trimtab.domain.run import Phase
from trimtab.domain.status import (
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
from trimtab.planning.guards import undone_before
from trimtab.planning.options import monthly_cost
from trimtab.planning.plans import Proposal
from trimtab.planning.rightsizing import requested
from trimtab.planning.steps import NoPlan
from trimtab.reconcile import insights
from trimtab.reconcile.conditions import condition, conditions_of
from trimtab.reconcile.outcome import Outcome
from trimtab.reconcile.policy_state import policy_state, state_facts
from trimtab.reconcile.proposing import guard_facts
from trimtab.reconcile.situation import Situation

_VOLATILE: Final = frozenset(
    {
        *("trend", "seasonality", "forecast", "cost", "recommendation", "health", "anomalies", "patterns"),
        *("last_evaluated", "reliability", "performance", "warnings", "budgets", "capacity_plan", "advice"),
    }
)
_INVALID: Final = "InvalidSpec"
_VERDICT: Final = {
    Phase.SUCCEEDED: "Kept",
    Phase.ROLLED_BACK: "RolledBack",
    Phase.FAILED: "Failed",
    Phase.REJECTED: "Rejected",
    Phase.SUPERSEDED: "Superseded",
    Phase.CANCELLED: "Cancelled",
}


def compose(situation: Situation, outcome: Outcome, status: PolicyStatus) -> PolicyStatus:
    """The next status; ``status`` carries what following recorded in this round."""
    workload, assessment = situation.workload, situation.assessment
    if situation.spec.mode is Mode.OBSERVE:
        outcome = replace(outcome, proposal=NoPlan("mode is Observe: nothing is recommended"), wanted_replicas=None)
    active = next((run for run in outcome.runs if not run.finished), None)
    update: dict[str, object] = {
        "observed_generation": situation.policy.generation,
        "last_evaluated": situation.now,
        "conditions": conditions_of(situation, outcome, status, active),
        "objectives": list(assessment.objectives),
        "seasonality": [
            Season(period=format_duration(one.period_seconds, to=1), strength_percent=round(one.strength_percent))
            for one in assessment.seasons[:4]
        ],
        "forecast": _forecast(situation),
        "operating_point": _point(situation),
        "current": Snapshot(replicas=workload.replicas, containers=list(workload.containers)) if workload else None,
        "recommendation": _recommendation(situation, outcome),
        "cost": _cost(situation, outcome),
        "conflicts": [one.state for one in outcome.conflicts[:16]],
        "active_run": active.name if active else "",
        "last_run": _last_run(outcome.runs) or status.last_run,
        **_insights(situation),
    }
    composed = status.model_copy(update=update)
    return fitted(composed.model_copy(update={"summary": _summary(situation, outcome, composed)}))


def unusable(status: PolicyStatus, generation: int, message: str, now: float) -> PolicyStatus:
    """The status of a policy whose spec cannot be used: Ready=False and Stalled=True with field, value and remedy."""
    ready = condition(status, ConditionType.READY, "False", _INVALID, message, generation, now)
    stalled = condition(status, ConditionType.STALLED, "True", _INVALID, message, generation, now)
    others = [condition for condition in status.conditions if condition.type not in (ready.type, stalled.type)]
    update: dict[str, object] = {
        "observed_generation": generation,
        "conditions": [ready, stalled, *others],
        "summary": status.summary.model_copy(update={"status": _INVALID}),
    }
    return status.model_copy(update=update)


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


def _insights(situation: Situation) -> dict[str, object]:
    """What the analysis found; nothing where the workload is not there."""
    found = situation.assessment.insights
    if situation.assessment.insights_failed:
        return {}  # what was told last stands; Degraded says so
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
    kept, replicas = bool(assessment.insights_failed), ""
    if workload is not None:
        wanted = status.recommendation.replicas if status.recommendation else None
        replicas = str(workload.replicas)
        if wanted is not None and wanted != workload.replicas:
            replicas += f"→{wanted}"
    known = [state for state in assessment.objectives if state.state in ("Met", "NoTraffic")]
    total = len(assessment.objectives)
    unit = f" {situation.history.load.unit}" if situation.history.load.unit else ""
    change = fields.describe(outcome.proposal.plan.changes) if isinstance(outcome.proposal, Proposal) else ""
    peak = status.forecast.peak if status.forecast and not math.isnan(assessment.demand) else ""
    ready = next(one for one in status.conditions if one.type == ConditionType.READY)
    facts = state_facts(situation, outcome, status)
    return Summary(
        status=policy_state(facts).value if ready.status == "True" else ready.reason,
        replicas=replicas,
        objectives=f"{len(known)}/{total} met" if total else "",
        change=change,
        peak=f"{peak}{unit}" if peak else "",
        anomalies=status.summary.anomalies if kept else insights.anomalies_cell(assessment.insights),
        outlook=status.summary.outlook if kept else insights.outlook_cell(assessment.insights),
        savings=_savings(situation, outcome),
    )


def _savings(situation: Situation, outcome: Outcome) -> str:
    """What the proposal saves a month; empty where the same was tried lately and undone: it was measured to be none."""
    proposal = outcome.proposal
    if not isinstance(proposal, Proposal) or proposal.monthly_from <= proposal.monthly_to:
        return ""
    facts = guard_facts(situation.with_runs(outcome.runs), "", proposal.trigger, proposal.plan, situation.now)
    if undone_before(facts):
        return ""
    return f"{proposal.monthly_from - proposal.monthly_to:.2f} {situation.spec.cost.currency}"
