"""Objects as the API server returns them, and scenarios, for the tests of the simulation."""

from datetime import UTC, datetime
from typing import Any

from trimtab.simulation.cluster import ClusterPicture
from trimtab.simulation.scenario import Scenario

NOW = 1_700_000_000.0


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def owned_by(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"kind": kind, "name": name, "controller": True}]


def raw_pod(
    name: str,
    owner: tuple[str, str] = ("ReplicaSet", "shop-abc"),
    *,
    ready: bool = True,
    terminating: bool = False,
    limits: dict[str, str] | None = None,
    requests: dict[str, str] | None = None,
    namespace: str = "test",
    **status: Any,
) -> dict[str, Any]:
    limits = {"cpu": "500m", "memory": "512Mi"} if limits is None else limits
    resources = {"limits": limits, "requests": limits if requests is None else requests}
    metadata: dict[str, Any] = {
        "namespace": namespace,
        "name": name,
        "uid": f"uid-{name}",
        "creationTimestamp": timestamp(NOW - 60),
        "ownerReferences": owned_by(*owner),
    }
    if terminating:
        metadata["deletionTimestamp"] = timestamp(NOW)
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": timestamp(NOW - 30)}
    return {
        "metadata": metadata,
        "spec": {"nodeName": "node-0", "containers": [{"name": "app", "resources": resources}]},
        "status": {
            "phase": "Running" if ready else "Pending",
            "startTime": timestamp(NOW - 59),
            "conditions": [condition],
            **status,
        },
    }


def raw_replica_set(name: str = "shop-abc", deployment: str = "shop", namespace: str = "test") -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name, "ownerReferences": owned_by("Deployment", deployment)}
    return {"metadata": metadata}


def raw_workload(name: str = "shop", replicas: int = 2, ready: int = 2, namespace: str = "test") -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas, "readyReplicas": ready},
    }


def scenario(load: float = 60.0, **service: Any) -> Scenario:
    """One service, shop in namespace test."""
    made = {
        "name": "shop",
        "namespace": "test",
        "arrivals": {"kind": "Constant", "rate_per_second": load},
        "model": {"startup_seconds": 5},
        **service,
    }
    return Scenario.model_validate({"services": [made]})


def picture_of(made: Scenario, pods: list[dict[str, Any]], now: float = NOW) -> ClusterPicture:
    """What a live simulation knows once it has seen these pods and their Deployment."""
    picture = ClusterPicture(made)
    picture.pods.replace("test", pods)
    picture.replica_sets.replace("test", [raw_replica_set()])
    picture.deployments.replace("test", [raw_workload()])
    picture.stateful_sets.replace("test", [])
    picture.sync(now)
    return picture
