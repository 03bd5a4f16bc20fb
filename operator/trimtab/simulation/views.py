"""What the metrics say about pods and workloads, apart from how it came to be known (API server or virtual cluster)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.domain.status_types import parse_time
from trimtab.domain.units import parse_quantity

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContainerView:
    """A container, its requests and limits (resource name to cores or bytes), and restarts as the API server counts."""

    name: str
    requests: Mapping[str, float]
    limits: Mapping[str, float]
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod. Times are Unix seconds, None while they have not come; the owner is its controller, empty without one."""

    namespace: str
    name: str
    uid: str
    owner_kind: str
    owner_name: str
    created_at: float
    containers: tuple[ContainerView, ...]
    node: str = ""
    host_ip: str = ""
    pod_ip: str = ""
    started_at: float | None = None
    ready_at: float | None = None
    phase: str = "Pending"
    terminating: bool = False

    def container(self, name: str) -> ContainerView | None:
        """The container of that name, else the first one; None for a pod without containers."""
        found = next((container for container in self.containers if container.name == name), None)
        return found or next(iter(self.containers), None)


@dataclass(frozen=True, slots=True)
class OwnerView:
    """A ReplicaSet with its controller."""

    namespace: str
    name: str
    owner_kind: str
    owner_name: str


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """A Deployment or StatefulSet: replicas asked for, there, and ready."""

    namespace: str
    name: str
    kind: str
    replicas: int
    status_replicas: int
    ready_replicas: int


def pod_view(raw: JsonObject) -> PodView:
    """A pod as the API server returns it. Resources are those in force (status) where the kubelet reports them."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status", {})
    owner_kind, owner_name = _controller(metadata)
    ready: JsonObject = next((it for it in status.get("conditions", ()) if it["type"] == "Ready"), {})
    statuses = {it["name"]: it for it in status.get("containerStatuses", ())}
    return PodView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        owner_kind=owner_kind,
        owner_name=owner_name,
        created_at=parse_time(metadata["creationTimestamp"]),
        containers=tuple(_container(it, statuses.get(it["name"], {})) for it in spec["containers"]),
        node=spec.get("nodeName", ""),
        host_ip=status.get("hostIP", ""),
        pod_ip=status.get("podIP", ""),
        started_at=parse_time(status["startTime"]) if status.get("startTime") else None,
        ready_at=parse_time(ready["lastTransitionTime"]) if ready.get("status") == "True" else None,
        phase=status.get("phase", "Pending"),
        terminating="deletionTimestamp" in metadata,
    )


def replica_set_view(raw: JsonObject) -> OwnerView:
    """A ReplicaSet as the API server returns it."""
    metadata = raw["metadata"]
    return OwnerView(metadata["namespace"], metadata["name"], *_controller(metadata))


def workload_view(raw: JsonObject, kind: str) -> WorkloadView:
    """A Deployment or StatefulSet as the API server returns it (items of a list carry no kind)."""
    metadata, status = raw["metadata"], raw.get("status", {})
    return WorkloadView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        kind=kind,
        replicas=raw["spec"].get("replicas", 1),
        status_replicas=status.get("replicas", 0),
        ready_replicas=status.get("readyReplicas", 0),
    )


def _controller(metadata: JsonObject) -> tuple[str, str]:
    owner = next((it for it in metadata.get("ownerReferences", ()) if it.get("controller")), None)
    return (owner["kind"], owner["name"]) if owner else ("", "")


def _container(spec: JsonObject, status: JsonObject) -> ContainerView:
    resources = status.get("resources") or spec.get("resources") or {}
    return ContainerView(
        name=spec["name"],
        requests={name: parse_quantity(value) for name, value in resources.get("requests", {}).items()},
        limits={name: parse_quantity(value) for name, value in resources.get("limits", {}).items()},
        restarts=status.get("restartCount", 0),
    )
