"""What a person should hear of as it changes: Events said once, and figures for Prometheus."""

from __future__ import annotations

from typing import Final, Literal

from trimtab.domain.status import Condition, PolicyStatus
from trimtab.forecasting.forecast import Forecast
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.reporting import Outcome
from trimtab.reconcile.services import Services
from trimtab.reconcile.situation import Situation

_WARNED: Final = {
    ("Conflicted", "True"): "Conflicted",
    ("DataAvailable", "False"): "NoUsableData",
    ("ObjectivesMet", "False"): "ObjectiveViolated",
}
_CLEARED: Final = {
    ("Conflicted", "False"): "ConflictEnded",
    ("DataAvailable", "True"): "DataAvailable",
    ("ObjectivesMet", "True"): "ObjectivesMet",
}
_TARGET: Final = "TargetNotFound"
_NOT_CAPACITY: Final = "NotCapacity"


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
    _show(services, situation, outcome)


def _event(old: Condition | None, new: Condition) -> tuple[Literal["Normal", "Warning"], str] | None:
    """The Event that a condition's turn is worth; none for a good state that was never otherwise."""
    turned = old is None or (old.status, old.reason) != (new.status, new.reason)
    if not turned:
        return None
    if new.type == "Ready" and new.reason == _TARGET:
        return "Warning", _TARGET
    if new.reason == _NOT_CAPACITY:
        return "Warning", _NOT_CAPACITY
    if (reason := _WARNED.get((new.type, new.status))) is not None:
        return "Warning", reason
    if old is not None and old.status != new.status and (reason := _CLEARED.get((new.type, new.status))) is not None:
        return "Normal", reason
    return None


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
    services.telemetry.show(situation.policy.namespace, situation.policy.name, figures)
