"""What the analysis found, as conditions of a policy: status, reason and message of each."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from trimtab.domain.status import ConditionType, PolicyStatus
from trimtab.planning.findings import Insights
from trimtab.planning.health import Health, NoHealth
from trimtab.planning.outlook import Outlook
from trimtab.reconcile.insights import gravest

UNHEALTHY_BELOW: Final = 70
"""A workload below this score counts as unhealthy; a broken objective puts it there."""
HEALTHY_AGAIN_FROM: Final = 75
"""An unhealthy one counts as healthy again from this score on, so that a score that hovers does not turn each round."""
Turn: TypeAlias = tuple[Literal["True", "False", "Unknown"], str, str]
"""Status, reason and message of a condition."""


def conditions(found: Insights | None, before: PolicyStatus, failed: str = "") -> dict[ConditionType, Turn]:
    """Healthy, Anomaly and EarlyWarning; ``before`` was told last, and stands where they failed."""
    if found is None:
        kinds = (ConditionType.HEALTHY, ConditionType.ANOMALY, ConditionType.EARLY_WARNING)
        unknown: Turn = ("Unknown", "NoWorkload", "there is nothing to look at")
        if not failed:
            return dict.fromkeys(kinds, unknown)
        unknown = ("Unknown", "InsightsFailed", failed)
        told: dict[str, Turn] = {one.type: (one.status, one.reason, one.message) for one in before.conditions}
        return {kind: told.get(kind, unknown) for kind in kinds}
    unwell = any(one.type == ConditionType.HEALTHY and one.status == "False" for one in before.conditions)
    return {
        ConditionType.HEALTHY: _healthy(found.health, unwell=unwell),
        ConditionType.ANOMALY: _anomalous(found),
        ConditionType.EARLY_WARNING: _warned(found.outlook),
    }


def _healthy(found: Health | NoHealth, *, unwell: bool) -> Turn:
    if isinstance(found, NoHealth):
        return "Unknown", "NothingToJudge", found.reason
    if found.score >= (HEALTHY_AGAIN_FROM if unwell else UNHEALTHY_BELOW):
        return "True", "Healthy", f"health is {found.score} of 100: {found.reason}"
    again = f" (healthy again from {HEALTHY_AGAIN_FROM} on)" if found.score >= UNHEALTHY_BELOW else ""
    return "False", "Unhealthy", f"health is {found.score} of 100{again}: {found.reason}"


def _anomalous(found: Insights) -> Turn:
    first = gravest(found.watched)
    if first is None:
        return "False", "NoneActive", "no signal is unusual"
    together = [group for group in found.watched.groups if first in group.anomalies]
    return "True", first.kind.value, together[0].message if together else first.evidence


def _warned(outlook: Outlook) -> Turn:
    if outlook.warnings:
        return "True", outlook.warnings[0].source.value, outlook.warnings[0].message
    return "False", "NoneForeseen", "no objective is expected to be breached"
