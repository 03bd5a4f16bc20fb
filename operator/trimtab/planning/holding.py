"""Whether somebody's newer replica count stands, so that following waits for a person."""

from __future__ import annotations

from trimtab.domain.objects import Policy, Workload
from trimtab.domain.status import Accepted, Hold, PolicyStatus
from trimtab.domain.status_types import format_time
from trimtab.planning.changes import REPLICAS
from trimtab.planning.ownership import OwnerKind, owner_kind
from trimtab.planning.steps import FIELD_MANAGER


def newer_value(policy: Policy, status: PolicyStatus, workload: Workload, now: float, hold_for: float) -> Hold | None:
    """The hold that a person's value calls for, once we have written replicas ourselves; None when there is none.

    The last writer is read from managedFields, so that a write of ours that a crash kept us from confirming is not
    taken for a person's. A count that came with another pod template is a deploy's and never holds. ``hold_for`` in
    seconds.
    """
    owner = workload.replicas_owner
    if owner is None or not _from_a_person(status, workload) or came_with_deploy(status, workload):
        return None
    return Hold(
        field=REPLICAS,
        value=str(workload.replicas),
        manager=owner.manager,
        since=now,
        generation=policy.generation,
        until=now + hold_for,
    )


def came_with_deploy(status: PolicyStatus, workload: Workload) -> bool:
    """Whether a person's count came together with another pod template than the one beside ours.

    A template that we wrote last, to try sizes or to undo them, came with nobody's count.
    """
    if not _from_a_person(status, workload) or status.scaling.template in ("", workload.template):
        return False
    return not workload.template_owners or workload.template_owners[-1].manager != FIELD_MANAGER


def _from_a_person(status: PolicyStatus, workload: Workload) -> bool:
    last = status.scaling.last
    if last is None or workload.replicas == last.to or status.accepted == accepted_value(workload):
        return False
    return owner_kind(workload.replicas_owner) is OwnerKind.PERSON


def with_template(status: PolicyStatus, workload: Workload) -> PolicyStatus:
    """The status with the template that is live beside a count that is known: a later count of another came with it."""
    scaling = status.scaling
    held = status.hold is not None and status.hold.value == str(workload.replicas)
    ours = scaling.pending is None and scaling.last is not None and workload.replicas == scaling.last.to
    if scaling.template == workload.template or not (ours or held or status.accepted == accepted_value(workload)):
        return status
    return status.model_copy(update={"scaling": scaling.model_copy(update={"template": workload.template})})


def accepted_value(workload: Workload) -> Accepted:
    """The live value as one that stands on purpose."""
    owner = workload.replicas_owner
    return Accepted(value=str(workload.replicas), manager=owner.manager if owner else "", at=owner.at if owner else "")


def accepting(status: PolicyStatus, workload: Workload) -> PolicyStatus:
    """The status with the live value as the base that following goes on from."""
    scaling = status.scaling.model_copy(update={"template": workload.template})
    return status.model_copy(update={"hold": None, "accepted": accepted_value(workload), "scaling": scaling})


def released(hold: Hold, policy: Policy, resumed_at: float | None, now: float, hold_for: float) -> str:
    """Why a hold ends: the policy was changed, or a person resumed it, after the hold began, or its time is over.

    Empty while it goes on.
    """
    if policy.generation > hold.generation:
        return "the policy was changed"
    if resumed_at is not None and resumed_at >= hold.since:
        return "a person resumed it"
    if now >= (hold.until if hold.until is not None else hold.since + hold_for):
        return "the time of the hold is over"
    return ""


def held_text(hold: Hold) -> str:
    """Who holds following, and until when."""
    until = f", which holds until {format_time(hold.until)}" if hold.until is not None else ""
    return f"{hold.field} was set to {hold.value} by {hold.manager}{until}"
