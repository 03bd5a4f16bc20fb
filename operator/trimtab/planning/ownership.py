"""Who owns a field: a person, a GitOps tool, another controller, or ourselves (by the manager in managedFields)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from trimtab.domain.objects import FieldOwner, Workload
from trimtab.domain.run_status import FieldChange
from trimtab.planning import changes as fields
from trimtab.planning.steps import FIELD_MANAGER


class OwnerKind(StrEnum):
    """What kind of writer a field manager is."""

    NOBODY = "Nobody"
    TRIMTAB = "Trimtab"
    PERSON = "Person"
    GITOPS = "GitOps"
    AUTOSCALER = "Autoscaler"
    CONTROLLER = "Controller"


_GITOPS: Final = re.compile(
    r"argocd|argo-cd|kustomize-controller|helm-controller|flux|fleet|config-sync|rancher", re.IGNORECASE
)
_PERSON: Final = re.compile(
    r"^(kubectl|helm|k9s|lens|oc|mozilla|node-fetch|curl|python|terraform|pulumi)", re.IGNORECASE
)
_AUTOSCALER: Final = re.compile(r"^(kube-controller-manager|horizontal-pod-autoscaler|keda|vpa)", re.IGNORECASE)
"""Those whose objects are looked for."""
_CONTROLLER: Final = re.compile(r"controller|operator|autoscaler|karpenter|\bhpa\b", re.IGNORECASE)
_AWAY: Final = "remove that controller's claim on the workload, or set this policy's mode to Recommend"
_REMEDY: Final = {
    OwnerKind.GITOPS: "leave it out of Git, or have the tool ignore it (Argo CD: ignoreDifferences; Flux: spec.ignore)",
    OwnerKind.AUTOSCALER: _AWAY,
    OwnerKind.CONTROLLER: _AWAY,
}


def owner_kind(owner: FieldOwner | None) -> OwnerKind:
    """What kind of writer an owner is; an unknown name counts as a person, whose value always stands.

    >>> owner_kind(FieldOwner("kubectl-client-side-apply", "Update", "", "")).value
    'Person'
    >>> owner_kind(FieldOwner("argocd-controller", "Apply", "", "")).value
    'GitOps'
    """
    if owner is None:
        return OwnerKind.NOBODY
    if owner.manager == FIELD_MANAGER:
        return OwnerKind.TRIMTAB
    if _GITOPS.search(owner.manager):
        return OwnerKind.GITOPS
    if _PERSON.search(owner.manager):
        return OwnerKind.PERSON
    if _AUTOSCALER.search(owner.manager):
        return OwnerKind.AUTOSCALER
    return OwnerKind.CONTROLLER if _CONTROLLER.search(owner.manager) else OwnerKind.PERSON


def claim(owner: FieldOwner | None, *, unlisted: bool) -> tuple[str, str] | None:
    """(owner, remedy) in words where a field is another's to write; None when it is ours to write.

    What an autoscaler has written stays its own after it is gone: that counts only where autoscalers are ``unlisted``.
    """
    kind = owner_kind(owner)
    remedy = _REMEDY.get(kind)
    if remedy is None or owner is None or (kind is OwnerKind.AUTOSCALER and not unlisted):
        return None
    return f"{kind.value} manager {owner.manager!r}", remedy


def claimant(workload: Workload, change: FieldChange, last_applied: str) -> str:
    """Who made the live value of a field that we wrote their own since; empty while it is still ours.

    An owner by ``Apply`` beside us, any owner instead of us, or a client-side apply since ``last_applied`` (the digest
    of its note when we wrote) that states the live value. ``kubectl scale`` to the live value leaves no trace and is
    not seen. Where managedFields say nothing, the value alone decides.
    """
    key = (change.container, change.path)
    owners = workload.owners.get(key, ())
    others = [owner for owner in owners if owner.manager != FIELD_MANAGER]
    if owners and len(others) == len(owners):
        return others[-1].manager
    if applied := [owner for owner in others if owner.operation == "Apply"]:
        return applied[-1].manager
    stated = workload.stated.get(key, "")
    if workload.last_applied != last_applied and stated:
        live = fields.value(workload, change.path, change.container)
        return "kubectl-client-side-apply" if fields.same(stated, live) else ""
    return ""


def deployer(workload: Workload) -> str:
    """Who else last wrote a field of the pod template."""
    others = (owner.manager for owner in reversed(workload.template_owners) if owner.manager != FIELD_MANAGER)
    return next(others, "somebody")
