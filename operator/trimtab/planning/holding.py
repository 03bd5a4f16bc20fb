"""Whether somebody's newer replica count stands, so that following waits for a person."""

from __future__ import annotations

from trimtab.domain.objects import Policy, Workload
from trimtab.domain.status import Accepted, Hold, PolicyStatus
from trimtab.planning.changes import REPLICAS
from trimtab.planning.ownership import OwnerKind, claim, owner_kind


def newer_value(policy: Policy, status: PolicyStatus, workload: Workload, now: float) -> Hold | None:
    """The hold that a person's value calls for, once we have written replicas ourselves; None when there is none.

    The last writer is read from managedFields, so that a write of ours that a crash kept us from confirming
    is not taken for a person's.
    """
    last = status.scaling.last
    if last is None or workload.replicas == last.to:
        return None
    if owner_kind(workload.replicas_owner) is not OwnerKind.PERSON:
        return None
    if status.accepted == accepted_value(workload):
        return None
    owner = workload.replicas_owner
    assert owner is not None, "a person is somebody"
    return Hold(
        field=REPLICAS, value=str(workload.replicas), manager=owner.manager, since=now, generation=policy.generation
    )


def accepted_value(workload: Workload) -> Accepted:
    """The live value as one that stands on purpose."""
    owner = workload.replicas_owner
    return Accepted(value=str(workload.replicas), manager=owner.manager if owner else "", at=owner.at if owner else "")


def released(hold: Hold, policy: Policy, resumed_at: float | None) -> bool:
    """Whether a hold ends: the policy was changed, or a person resumed it, after the hold began."""
    return policy.generation > hold.generation or (resumed_at is not None and resumed_at >= hold.since)


def written_back(status: PolicyStatus, workload: Workload) -> str:
    """Which tool or controller wrote replicas back after us, with the remedy; empty when none did."""
    last = status.scaling.last
    if last is None or workload.replicas == last.to:
        return ""
    return claim(REPLICAS, workload.replicas_owner)
