"""What a person should hear of as it changes: Events said once, and figures for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from trimtab.analytics.anomaly import Anomaly
from trimtab.domain.choices import Severity
from trimtab.domain.status import Condition, PolicyStatus
from trimtab.forecasting.forecast import Forecast
from trimtab.forecasting.supervision import ModelChange
from trimtab.reconcile import insights
from trimtab.reconcile.outcome import Outcome
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.services import Services
from trimtab.reconcile.situation import Situation

_WARNED: Final = {
    ("Conflicted", "True"): "Conflicted",
    ("DataAvailable", "False"): "NoUsableData",
    ("ObjectivesMet", "False"): "ObjectiveViolated",
    ("Healthy", "False"): "Unhealthy",
    ("EarlyWarning", "True"): "EarlyWarning",
    ("FleetPaused", "True"): "FleetPaused",
}
_CLEARED: Final = {
    ("Conflicted", "False"): "ConflictEnded",
    ("DataAvailable", "True"): "DataAvailable",
    ("ObjectivesMet", "True"): "ObjectivesMet",
    ("Healthy", "True"): "Healthy",
    ("EarlyWarning", "False"): "EarlyWarningEnded",
    ("FleetPaused", "False"): "FleetResumed",
}
Said: TypeAlias = tuple[Literal["Normal", "Warning"], str, str]
"""Type, reason and message of an Event."""
_TARGET: Final = "TargetNotFound"
NOT_CAPACITY: Final = "NotCapacity"
"""Reason of ObjectivesMet=False while more replicas do not help."""


async def announce(
    services: Services, situation: Situation, outcome: Outcome, remembered: Remembered, status: PolicyStatus
) -> None:
    """Post an Event for each condition that turned, and show the figures."""
    before = {condition.type: condition for condition in remembered.status.conditions}
    for condition in status.conditions:
        said = _event(before.get(condition.type), condition)
        if said is not None:
            kind, reason = said
            await services.events.post(situation.policy, kind, reason, condition.message, services.clock())
    for kind, reason, message in [*_anomalies(situation), *_budgets(remembered.status, status), *_models(situation)]:
        await services.events.post(situation.policy, kind, reason, message, services.clock())
    _show(services, situation, outcome)


def _event(old: Condition | None, new: Condition) -> tuple[Literal["Normal", "Warning"], str] | None:
    """The Event that a condition's turn is worth; none for a good state that was never otherwise."""
    turned = old is None or (old.status, old.reason) != (new.status, new.reason)
    if not turned:
        return None
    if new.type == "Ready" and new.reason == _TARGET:
        return "Warning", _TARGET
    if new.reason == NOT_CAPACITY:
        return "Warning", NOT_CAPACITY
    if (reason := _WARNED.get((new.type, new.status))) is not None:
        return "Warning", reason
    if old is not None and old.status != new.status and (reason := _CLEARED.get((new.type, new.status))) is not None:
        return "Normal", reason
    return None


def _anomalies(situation: Situation) -> Iterator[Said]:
    """What is news in this round: signals that moved together in one Event, the others each in its own."""
    found = situation.assessment.insights
    if found is None:
        return
    new = set(map(_name, situation.news))
    for group in found.watched.groups:
        members = set(map(_name, group.anomalies))
        if members & new:
            grave = any(one.severity is not Severity.INFO for one in group.anomalies)
            yield "Warning" if grave else "Normal", "Anomaly", group.message
            new -= members
    for one in situation.news:
        if _name(one) in new:
            text = f"{one.kind.value} of {one.signal}: {one.evidence}"
            yield "Normal" if one.severity is Severity.INFO else "Warning", "Anomaly", text


def _name(one: Anomaly) -> tuple[str, float]:
    return one.signal, one.start


def _budgets(old: PolicyStatus, new: PolicyStatus) -> Iterator[Said]:
    """Error budgets whose burn rates call for something else than before."""
    before = {budget.objective: budget.alert for budget in old.budgets}
    for budget in new.budgets:
        was = before.get(budget.objective, "None")
        if budget.alert not in ("None", was):
            yield "Warning", f"ErrorBudget{budget.alert}", f"{budget.objective}: {budget.message}"
        elif budget.alert == "None" and was != "None":
            yield "Normal", "ErrorBudgetCalm", f"{budget.objective}: {budget.message}"


def _models(situation: Situation) -> Iterator[Said]:
    """Forecast models that were replaced in this round."""
    for one in model_changes(situation):
        yield "Normal", "ModelChanged", f"{one.from_}→{one.to}: {one.reason}"


def model_changes(situation: Situation) -> list[ModelChange]:
    """Changes of the forecast's model in this round."""
    supervised = situation.assessment.known.supervised
    return [one for one in supervised.changes if one.at >= situation.now] if supervised is not None else []


def _show(services: Services, situation: Situation, outcome: Outcome) -> None:
    replicas: dict[str, float] = {}
    if situation.workload is not None:
        replicas["current"] = situation.workload.replicas
    if outcome.wanted_replicas is not None:
        replicas["wanted"] = outcome.wanted_replicas
    demand = {"now": situation.assessment.demand}
    if isinstance(situation.assessment.forecast, Forecast):
        demand["peak"] = float(situation.assessment.forecast.mean.max())
    met = {state.name: float(state.state != "Violated") for state in situation.assessment.objectives}
    figures = {"replicas": replicas, "demand": demand, "objective_met": met}
    found, supervised = situation.assessment.insights, situation.assessment.known.supervised
    if found is not None:
        figures |= insights.figures(found, supervised)
    for one in situation.news:
        services.telemetry.anomaly_began(situation.policy.namespace, one.kind.value, one.severity.value)
    forecast = situation.assessment.forecast
    if isinstance(forecast, Forecast) and forecast.error_percent_of_naive is not None:
        figures["forecast_error_percent_of_naive"] = {"": float(forecast.error_percent_of_naive)}
    for _ in model_changes(situation):
        services.telemetry.model_changed(situation.policy.namespace)
    services.telemetry.show(situation.policy.namespace, situation.policy.name, figures)
