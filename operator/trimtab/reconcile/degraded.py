"""What is told of a policy that cannot be evaluated as it should be, and since when. Pure."""

from __future__ import annotations

from typing import Final

from trimtab.domain.objects import Policy
from trimtab.domain.status import ConditionType, PolicyStatus
from trimtab.domain.status_types import format_time
from trimtab.reconcile.conditions import condition
from trimtab.reconcile.insight_conditions import Turn

EVALUATION_FAILED: Final = "EvaluationFailed"
EVALUATION_LATE: Final = "EvaluationLate"
UNDONE_AFTER: Final = 3
"""Evaluations in a row that fail before what is on trial is undone: nothing tells any more how it does."""
LATE_INTERVALS: Final = 2
NOT_ANSWERED: Final = (
    "Prometheus has not answered the policy's queries within two intervals; simplify them, or lengthen"
    " spec.analysis.interval"
)


def failed(status: PolicyStatus, policy: Policy, why: str, now: float) -> PolicyStatus:
    """The status of a policy whose evaluation broke off; the rest is as it was told last."""
    text = f"the evaluation broke off; the rest of the status is as it was before: {why}"
    turn: Turn = ("False", EVALUATION_FAILED, text)
    return _with(status, policy, now, ready=turn, degraded=("True", EVALUATION_FAILED, text))


def late(status: PolicyStatus, policy: Policy, since: float, why: str, now: float) -> PolicyStatus:
    """The status of a policy that has waited for longer than two intervals for what its evaluation needs."""
    if since > 0:
        said = f"the status is of {format_time(since)}"
    else:
        known = status.last_evaluated is not None
        said = "the status is from before the operator started" if known else "it has not been evaluated yet"
    return _with(status, policy, now, degraded=("True", EVALUATION_LATE, f"{said}: {why}"))


def _with(
    status: PolicyStatus, policy: Policy, now: float, *, degraded: Turn, ready: Turn | None = None
) -> PolicyStatus:
    told = {ConditionType.DEGRADED: degraded} | ({ConditionType.READY: ready} if ready is not None else {})
    made = {kind: condition(status, kind, *turn, policy.generation, now) for kind, turn in told.items()}
    kept = [one for one in status.conditions if one.type not in made]
    first = [made.pop(ConditionType.READY)] if ConditionType.READY in made else []
    update: dict[str, object] = {"conditions": [*first, *kept, *made.values()]}
    if ready is not None:  # the column STATUS says why it is not
        update["summary"] = status.summary.model_copy(update={"status": ready[1]})
    return status.model_copy(update=update)
