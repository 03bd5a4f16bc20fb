"""What Flux and kpt make of an object: the rules of kstatus for kinds that it has no rules of its own for.

After ``Compute``, ``checkGenericProperties`` and ``checkReadyCondition`` of sigs.k8s.io/cli-utils/pkg/kstatus/status.
"""

from __future__ import annotations

from trimtab.adapters.kube import JsonObject


def condition(body: JsonObject, kind: str) -> JsonObject:
    """A condition of an object; empty where it is not told."""
    conditions = (body.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind), {})


def computed(body: JsonObject) -> str:
    """Terminating, InProgress, Failed or Current."""
    if body["metadata"].get("deletionTimestamp"):
        return "Terminating"
    observed = (body.get("status") or {}).get("observedGeneration")
    if observed is not None and observed != body["metadata"]["generation"]:
        return "InProgress"
    for one in (body.get("status") or {}).get("conditions") or []:  # the first of the two that is there decides
        if (one["type"], one["status"]) == ("Reconciling", "True"):
            return "InProgress"
        if (one["type"], one["status"]) == ("Stalled", "True"):
            return "Failed"
    ready = condition(body, "Ready")
    return "InProgress" if ready and ready["status"] != "True" else "Current"
