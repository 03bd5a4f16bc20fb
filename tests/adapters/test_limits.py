"""Limits read from a real API server, and what is made of odd objects."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from cluster.control_plane import ControlPlane
from cluster.environment import ExistingCluster
from trimtab.adapters.kube import KubeClient, KubeError
from trimtab.adapters.limits import KEPT_SECONDS, Limits, LimitsSeen, parse_nodes, parse_quota
from trimtab.forecasting.capacity_plan import NodeRoom, Unknown


def quota(**changed: Any) -> dict[str, Any]:
    hard = {"requests.cpu": "4", "requests.memory": "8Gi", "pods": "20", "services": "5"}
    used = {"requests.cpu": "1500m", "requests.memory": "1Gi", "pods": "3", "services": "1"}
    return {
        "metadata": {"name": "team"},
        "spec": {"hard": hard, **changed},
        "status": {"hard": hard, "used": used},
    }


def node(cpu: str = "4", *, ready: str = "True", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "n"},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}],
        },
    }


def test_a_quota_is_read_in_cores_and_bytes() -> None:
    found = parse_quota(quota())
    assert found is not None
    assert found.hard == {"requests.cpu": 4.0, "requests.memory": 2.0**33, "pods": 20.0}
    assert found.used == {"requests.cpu": 1.5, "requests.memory": 2.0**30, "pods": 3.0}


@pytest.mark.parametrize(
    ("spec", "ours"),
    [
        ({}, True),
        ({"scopes": ["NotTerminating"]}, True),
        ({"scopes": ["Terminating"]}, False),
        ({"scopes": ["BestEffort"]}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, False),
    ],
    ids=["no scope", "pods that run for good", "jobs", "pods without requests", "a priority class"],
)
def test_a_quota_of_another_scope_does_not_bind(spec: dict[str, Any], ours: bool) -> None:
    assert (parse_quota(quota(**spec)) is not None) is ours


def test_of_two_names_for_one_resource_the_smaller_counts() -> None:
    body = quota()
    body["status"]["hard"] = {"cpu": "3", "requests.cpu": "4", "memory": "what"}
    found = parse_quota(body)
    assert found is not None
    assert found.hard == {"requests.cpu": 3.0}


def test_nodes_that_take_no_pods_do_not_count() -> None:
    control_plane = node(taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
    soft = node(taints=[{"key": "spot", "effect": "PreferNoSchedule"}])
    bodies = [node(), node("3500m"), soft, node(unschedulable=True), node(ready="Unknown"), control_plane]
    assert parse_nodes(bodies) == NodeRoom(3, 11.5, 3 * 2.0**34, 330.0)
    assert parse_nodes([control_plane]) == Unknown("no node takes pods")


def test_an_amount_that_cannot_be_read_makes_the_total_unknown() -> None:
    odd = node()
    odd["status"]["allocatable"]["cpu"] = "many"
    found = parse_nodes([odd])
    assert isinstance(found, NodeRoom)
    assert math.isnan(found.cpu_cores)


class Counting(KubeClient):
    """Answers of an API server that forbids nodes, counted."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def list(self, path: str, **query: str) -> list[dict[str, Any]]:
        self.paths.append(path)
        if path == "/api/v1/nodes":
            raise KubeError(403, "Forbidden", "nodes is forbidden")
        if "broken" in path:
            raise KubeError(0, "Unreachable", "API server not reached")
        return [quota()]


async def test_answers_are_kept_for_five_minutes_and_refusals_too() -> None:
    kube, now = Counting(), [1000.0]
    limits = Limits(kube, lambda: now[0])
    first = await limits.seen(["shop", "shop"])
    assert first.nodes == Unknown("the operator may not list nodes")
    now[0] += KEPT_SECONDS - 1
    await limits.seen(["shop", "media"])
    assert kube.paths.count("/api/v1/nodes") == 1
    assert kube.paths.count("/api/v1/namespaces/shop/resourcequotas") == 1
    now[0] += 2
    await limits.seen(["shop"])
    assert kube.paths.count("/api/v1/namespaces/shop/resourcequotas") == 2
    assert kube.paths.count("/api/v1/nodes") == 2


async def test_a_namespace_that_fails_takes_no_other_down() -> None:
    seen = await Limits(Counting(), lambda: 0.0).seen(["shop", "broken"])
    broken = seen.room("broken").quotas
    assert isinstance(broken, Unknown)
    assert "not reached" in broken.reason
    assert not isinstance(seen.room("shop").quotas, Unknown)
    assert isinstance(LimitsSeen().room("elsewhere").quotas, Unknown)


@pytest.mark.cluster
async def test_a_real_api_server(control_plane: ControlPlane | ExistingCluster, namespace: str) -> None:
    async with await KubeClient.connect(Path(control_plane.kubeconfig)) as kube:
        body = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "team"},
            "spec": {"hard": {"requests.cpu": "4", "limits.memory": "8Gi", "count/pods": "20"}},
        }
        await kube.create(f"/api/v1/namespaces/{namespace}/resourcequotas", body)
        seen = await Limits(kube, lambda: 0.0).seen([namespace])
    quotas = seen.room(namespace).quotas
    assert not isinstance(quotas, Unknown)
    assert [(one.name, one.hard) for one in quotas] == [
        ("team", {"requests.cpu": 4.0, "limits.memory": 2.0**33, "pods": 20.0})
    ]
    assert not isinstance(seen.nodes, NodeRoom) or seen.nodes.cpu_cores > 0
