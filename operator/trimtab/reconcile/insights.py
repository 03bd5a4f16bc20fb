"""What the analysis found, as a policy's status tells it: each list short, each number a string."""

from __future__ import annotations

import math
from typing import Any, Final

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.patterns import Patterns
from trimtab.analytics.trend import NoTrend
from trimtab.analytics.watch import Watched
from trimtab.domain.choices import Severity
from trimtab.domain.insights import (
    AdviceState,
    AnomaliesState,
    AnomalyState,
    BudgetState,
    CapacityLimit,
    CapacityPlanState,
    CapacityStage,
    HealthFactor,
    HealthState,
    ModelChangeState,
    PatternState,
    ScoreState,
    WarningState,
)
from trimtab.domain.status import TrendState
from trimtab.domain.units import format_cpu, format_duration, format_memory, format_number
from trimtab.forecasting.burn_rates import ErrorBudget
from trimtab.forecasting.capacity_plan import CapacityPlan, NoCapacityPlan
from trimtab.forecasting.reliability import NoPerformance, NoReliability, Performance, Reliability
from trimtab.forecasting.supervision import DriftPhase, Supervised
from trimtab.planning.findings import Insights
from trimtab.planning.health import Health, NoHealth
from trimtab.planning.outlook import Outlook
from trimtab.planning.recommendations import Advice

_FACTORS, _WARNINGS, _BUDGETS, _LIMITS, _PATTERNS, _ADVICE, _CHANGES = 12, 4, 8, 6, 4, 5, 5
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_BY_GRAVITY: Final = list(Severity)


def health_of(found: Health | NoHealth) -> HealthState | None:
    """The score with its factors, the worst first; None where there is nothing to judge."""
    if isinstance(found, NoHealth):
        return None
    worst = sorted(found.factors, key=lambda one: (one.score, -one.weight))[:_FACTORS]
    return HealthState(
        score=found.score, factors=[HealthFactor(name=one.name, score=one.score, reason=one.reason) for one in worst]
    )


def anomalies_of(found: Insights, now: float) -> AnomaliesState:
    """How many, and the one that matters most."""
    watched = found.watched
    latest = gravest(watched) or next(iter(found.anomalies), None)
    return AnomaliesState(
        active=len(watched.active),
        last24h=sum(one.start >= now - _DAY for one in found.anomalies),
        suppressed=watched.suppressed,
        latest=None if latest is None else _anomaly(latest),
    )


def _anomaly(found: Anomaly) -> AnomalyState:
    return AnomalyState(
        signal=found.signal,
        kind=found.kind,
        severity=found.severity,
        since=found.start,
        until=found.end,
        message=found.evidence,
    )


def patterns_of(found: Patterns) -> list[PatternState]:
    """Habits of the demand, but for its seasons, which the status has elsewhere."""
    told = [PatternState(kind=kind, message=message) for kind, message in found.told if kind != "Season"]
    return told[:_PATTERNS]


def advice_of(found: tuple[Advice, ...]) -> list[AdviceState]:
    """What is recommended, the most worthwhile first."""
    return [
        AdviceState(
            kind=one.kind.value,
            severity=one.severity,
            title=one.title,
            reason=f"{one.reason} {one.evidence}".strip(),
            effect=one.effect,
            monthly_saving=f"{one.monthly_saving:.2f}",
            confidence_percent=one.confidence_percent,
            how=one.how,
        )
        for one in found[:_ADVICE]
    ]


def trend_of(found: Insights) -> TrendState | None:
    """Direction and slope since the last change."""
    if isinstance(found.trend, NoTrend):
        return None
    per_unit = found.trend.percent_per_hour / found.trend.slope_per_hour if found.trend.slope_per_hour else 0.0
    return TrendState(
        direction=found.trend.direction.value,
        percent_per_hour=format_number(found.trend.percent_per_hour),
        lower_percent_per_hour=format_number(found.trend.lower * per_unit) if per_unit else "",
        upper_percent_per_hour=format_number(found.trend.upper * per_unit) if per_unit else "",
        changed=found.changed,
    )


def drift_of(supervised: Supervised) -> dict[str, Any]:
    """Drift and the latest changes of the model, newest first, as fields of the forecast's state."""
    changes = [
        ModelChangeState(at=one.at, from_=one.from_, to=one.to, reason=one.reason)
        for one in supervised.changes[: -_CHANGES - 1 : -1]
    ]
    return {"drift": supervised.drift.state.value, "drift_message": supervised.drift.message, "changes": changes}


def gravest(watched: Watched) -> Anomaly | None:
    """Of the anomalies that go on the one that matters most, the newest of several."""
    return max(watched.active, key=lambda one: (_BY_GRAVITY.index(one.severity), one.start), default=None)


def anomalies_cell(found: Insights | None) -> str:
    """Anomalies that go on, for ``kubectl get``: the gravest, and how many more."""
    first = gravest(found.watched) if found is not None else None
    if found is None or first is None:
        return ""
    others = len(found.watched.active) - 1
    return f"{first.kind.value} of {first.signal}{f' +{others}' if others else ''}"


def outlook_cell(found: Insights | None) -> str:
    """The soonest early warning, else the reliability, for ``kubectl get``."""
    if found is None:
        return ""
    if found.outlook.warnings:
        soonest = found.outlook.warnings[0]
        if soonest.seconds_to_breach < _MINUTE:
            return f"{soonest.objective} now"
        return f"{soonest.objective} in {format_duration(soonest.seconds_to_breach, to=_MINUTE)}"
    reliable = found.outlook.reliability
    return f"{reliable.score} % reliable" if isinstance(reliable, Reliability) else ""


def figures(found: Insights, supervised: Supervised | None) -> dict[str, dict[str, float]]:
    """Gauges for Prometheus."""
    outlook, active = found.outlook, found.watched.active
    shown: dict[str, dict[str, float]] = {
        "anomalies_active": {one.value: float(sum(a.severity is one for a in active)) for one in Severity},
        "seconds_to_breach": {one.objective: one.seconds_to_breach for one in outlook.warnings},
        "error_budget_remaining_percent": {one.objective: one.remaining_percent for one in outlook.budgets},
        "error_budget_burn_rate": {one.objective: _about_an_hour(one) for one in outlook.budgets},
        "advised_monthly_saving": {},
    }
    for one in found.advice:
        saved = shown["advised_monthly_saving"]
        saved[one.kind.value] = saved.get(one.kind.value, 0.0) + one.monthly_saving
    if isinstance(found.health, Health):
        shown["health_score"] = {"": float(found.health.score)}
    if isinstance(outlook.reliability, Reliability):
        shown["reliability_percent"] = {
            "": float(outlook.reliability.score),
            **{one.objective: one.probability_percent for one in outlook.reliability.objectives},
        }
    if isinstance(outlook.performance, Performance):
        shown["performance_score"] = {"": float(outlook.performance.score)}
    drift = supervised.drift if supervised is not None else None
    if drift is not None and drift.kind is not None and drift.state is not DriftPhase.NONE:
        shown["forecast_drifted"] = {drift.kind.value: 1.0}
    return shown


def warnings_of(outlook: Outlook) -> list[WarningState]:
    """Early warnings, the soonest first."""
    return [
        WarningState(
            objective=one.objective,
            at=one.at,
            confidence_percent=one.confidence_percent,
            source=one.source.value,
            message=one.message,
        )
        for one in outlook.warnings[:_WARNINGS]
    ]


def budgets_of(outlook: Outlook) -> list[BudgetState]:
    """Error budgets, in the order of the objectives."""
    return [
        BudgetState(
            objective=one.objective,
            target_percent=format_number(one.target_percent),
            remaining_percent=f"{one.remaining_percent:.0f}",
            covered_percent=one.covered_percent,
            burn_rate=f"{rate:.1f}" if math.isfinite(rate := _about_an_hour(one)) else "",
            alert=one.alert.value,
            message=one.message,
        )
        for one in outlook.budgets[:_BUDGETS]
    ]


def _about_an_hour(budget: ErrorBudget) -> float:
    """Burn rate over the window nearest to an hour, as windows scale with that of the SLO; NaN where none is known."""
    nearest = min(budget.burn_rates, key=lambda one: abs(one.window_seconds - _HOUR), default=None)
    return nearest.rate if nearest is not None else math.nan


def reliability_of(found: Reliability | NoReliability) -> ScoreState | None:
    """Probability that all objectives hold; None where it is not known."""
    return ScoreState(score_percent=found.score, reason=found.reason) if isinstance(found, Reliability) else None


def performance_of(found: Performance | NoPerformance) -> ScoreState | None:
    """Margin to the objectives; None where it is not known."""
    return ScoreState(score_percent=found.score, reason=found.reason) if isinstance(found, Performance) else None


def capacity_of(found: CapacityPlan | NoCapacityPlan) -> CapacityPlanState:
    """Needs in days to months, or why there is no plan."""
    if isinstance(found, NoCapacityPlan):
        return CapacityPlanState(message=found.reason)
    stages = [
        CapacityStage(
            within=f"{one.days * 24}h",
            peak=format_number(one.peak),
            upper=format_number(one.upper),
            replicas=one.upper_replicas,
            cpu=format_cpu(one.cpu_cores) if math.isfinite(one.cpu_cores) else "",
            memory=format_memory(one.memory_bytes) if math.isfinite(one.memory_bytes) else "",
        )
        for one in found.needs
    ]
    limits = [CapacityLimit(name=one.name, at=one.at, message=one.message) for one in found.limits[:_LIMITS]]
    return CapacityPlanState(stages=stages, limits=limits, message=found.message)
