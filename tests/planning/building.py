"""Small builders for the objects that pure tests decide about."""

from __future__ import annotations

from typing import Any

from trimtab.domain.choices import TargetKind
from trimtab.domain.objects import FieldOwner, Policy, Run, Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.rollout import RolloutStatus
from trimtab.domain.run import CHANGE_PATHS, RunSpec
from trimtab.domain.run_status import FieldChange, Plan, RunStatus
from trimtab.domain.status import Amounts, ContainerSize, PolicyStatus

RESOURCES = tuple(path for path in CHANGE_PATHS if path.startswith("resources."))
KUBECTL = FieldOwner("kubectl-client-side-apply", "Update", "", "2026-01-01T00:00:00Z")
OURS = FieldOwner("trimtab", "Update", "", "2026-01-02T00:00:00Z")


def size(cpu: str = "500m", memory: str = "256Mi", name: str = "app") -> ContainerSize:
    """Equal requests and limits."""
    amounts = Amounts(cpu=cpu, memory=memory)
    return ContainerSize(name=name, requests=amounts, limits=amounts)


def workload(replicas: int = 4, **changed: Any) -> Workload:
    """A rolled-out Deployment with one container."""
    container = changed.pop("container", size())
    missing = 0 if changed.pop("rolled_out", True) else 1
    ready = replicas - missing
    owners: dict[tuple[str, str], tuple[FieldOwner, ...]] = {
        ("", "spec.replicas"): (KUBECTL, OURS),
        **{(container.name, path): (KUBECTL, OURS) for path in RESOURCES},
    }
    if (owner := changed.pop("replicas_owner", None)) is not None:
        owners["", "spec.replicas"] = (owner,)
    owners |= {key: (owner,) for key, owner in changed.pop("resources_owners", {}).items()}
    given: dict[str, Any] = {
        "namespace": "shop",
        "kind": TargetKind.DEPLOYMENT,
        "name": "checkout",
        "uid": "uid-1",
        "replicas": replicas,
        "ready_replicas": ready,
        "containers": (container,),
        "container_order": (container.name,),
        "raw_resources": {container.name: {}},
        "owners": owners,
        "selector": "app=checkout",
        "rollout": RolloutStatus(updated=ready, ready=ready, available=ready, total=replicas),
    }
    return Workload(**{**given, **changed})


def policy_spec(**changed: Any) -> PolicySpec:
    """A policy in mode Auto that may change replicas outright."""
    given: dict[str, Any] = {
        "targetRef": {"kind": "Deployment", "name": "checkout"},
        "mode": "Auto",
        "horizontal": {"minReplicas": 1, "maxReplicas": 20, "follow": False},
        "validation": {"settle": "10s", "interval": "5s", "duration": "60s"},
        "analysis": {"interval": "5s", "history": "10m"},
        "guardrails": {"minHistory": "1m"},
    }
    return PolicySpec.model_validate({**given, **changed})


def policy(spec: PolicySpec | None = None, **changed: Any) -> Policy:
    """The policy of the workload."""
    given: dict[str, Any] = {
        "namespace": "shop",
        "name": "checkout",
        "uid": "policy-1",
        "generation": 1,
        "created_at": 0.0,
        "spec": spec or policy_spec(),
        "status": PolicyStatus(),
    }
    return Policy(**{**given, **changed})


def run(status: RunStatus | None = None, **changed: Any) -> Run:
    """A run of the policy."""
    spec = RunSpec.model_validate({"policyRef": {"name": "checkout"}, **changed.pop("spec", {})})
    given: dict[str, Any] = {
        "namespace": "shop",
        "name": "checkout-1",
        "uid": "run-1",
        "generation": 1,
        "created_at": 0.0,
        "spec": spec,
        "status": status or RunStatus(),
        "policy_name": "checkout",
    }
    return Run(**{**given, **changed})


def change(path: str, before: str, after: str, container: str = "") -> FieldChange:
    """One change of a field."""
    return FieldChange(path=path, container=container, from_=before, to=after)


REPLICAS_4_TO_6 = change("spec.replicas", "4", "6")
CPU_UP = change("resources.requests.cpu", "500m", "750m", "app")


def plan(*changes: FieldChange) -> Plan:
    """A plan of these changes."""
    return Plan(hash="abc", reason="more is needed", changes=list(changes or (REPLICAS_4_TO_6,)))
