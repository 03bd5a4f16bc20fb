"""Reading a workload and patching it: owners, sizes, and the tests that a patch carries."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab.adapters.workloads import parse_workload, resize_operations
from trimtab.domain.choices import TargetKind
from trimtab.domain.status import Amounts, ContainerSize

DEPLOYMENT = TargetKind.DEPLOYMENT


def body(**changed: Any) -> dict[str, Any]:
    """A Deployment of four replicas as the API server returns it."""
    container = {"name": "app", "resources": {"requests": {"cpu": "500m"}, "claims": [{"name": "gpu"}]}}
    spec: dict[str, Any] = {
        "replicas": 4,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"spec": {"containers": [{"name": "sidecar"}, container]}},
    }
    return {
        "metadata": {"namespace": "shop", "name": "web", "uid": "u", "generation": 2, "managedFields": MANAGED},
        "spec": {**spec, **changed},
        "status": {"observedGeneration": 2, "replicas": 4, "readyReplicas": 4, "updatedReplicas": 4},
    }


def entry(manager: str, at: str, fields: dict[str, Any], subresource: str = "") -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": "Update",
        "time": at,
        "fieldsV1": fields,
        **({"subresource": subresource} if subresource else {}),
    }


REPLICAS: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
RESOURCES: dict[str, Any] = {"f:resources": {"f:requests": {"f:cpu": {}}}}
TEMPLATE = {"f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': RESOURCES}}}}
MANAGED = [
    entry("kubectl-client-side-apply", "2026-01-01T00:00:00Z", {"f:spec": {"f:replicas": {}} | TEMPLATE}),
    entry("trimtab", "2026-01-02T00:00:00Z", REPLICAS, "scale"),
    entry("kube-controller-manager", "2026-01-03T00:00:00Z", REPLICAS, "status"),
]


def test_the_newest_writer_owns_a_field_and_status_writers_do_not() -> None:
    seen = parse_workload(DEPLOYMENT, body())
    assert seen.replicas_owner is not None
    assert (seen.replicas_owner.manager, seen.replicas_owner.subresource) == ("trimtab", "scale")
    assert seen.resources_owners["app", "resources.requests.cpu"].manager == "kubectl-client-side-apply"
    assert not any(container == "sidecar" for container, _ in seen.resources_owners)


def test_a_patch_tests_what_was_seen_and_keeps_what_is_not_ours() -> None:
    seen = parse_workload(DEPLOYMENT, body())
    size = ContainerSize(name="app", requests=Amounts(cpu="250m", memory="64Mi"))
    operations = resize_operations(seen, size)
    base = "/spec/template/spec/containers/1"
    before = {"requests": {"cpu": "500m"}, "claims": [{"name": "gpu"}]}
    assert operations == [
        {"op": "test", "path": f"{base}/name", "value": "app"},
        {"op": "test", "path": f"{base}/resources", "value": before},
        {
            "op": "replace",
            "path": f"{base}/resources",
            "value": {"requests": {"cpu": "250m", "memory": "64Mi"}, "claims": [{"name": "gpu"}]},
        },
    ]


def test_an_amount_that_was_not_there_is_taken_away_again() -> None:
    seen = parse_workload(DEPLOYMENT, body())
    operations = resize_operations(seen, ContainerSize(name="app", requests=Amounts(memory="64Mi")))
    assert operations[-1]["value"]["requests"] == {"memory": "64Mi"}


@pytest.mark.parametrize(
    ("strategy", "kind", "surge"),
    [
        ({}, DEPLOYMENT, 1),
        ({"rollingUpdate": {"maxSurge": "50%"}}, DEPLOYMENT, 2),
        ({"rollingUpdate": {"maxSurge": 3}}, DEPLOYMENT, 3),
        ({"rollingUpdate": {"maxSurge": 0}}, DEPLOYMENT, 1),
        ({"rollingUpdate": {"maxSurge": 3}}, TargetKind.STATEFUL_SET, 1),
    ],
)
def test_pods_that_a_rollout_brings_up_at_a_time(strategy: dict[str, Any], kind: TargetKind, surge: int) -> None:
    assert parse_workload(kind, body(strategy=strategy)).max_surge == surge


@pytest.mark.parametrize(
    ("status", "rolled_out"),
    [
        ({"observedGeneration": 2, "replicas": 4, "readyReplicas": 4, "updatedReplicas": 4}, True),
        ({"observedGeneration": 1, "replicas": 4, "readyReplicas": 4, "updatedReplicas": 4}, False),
        ({"observedGeneration": 2, "replicas": 5, "readyReplicas": 4, "updatedReplicas": 4}, False),
        ({"observedGeneration": 2, "replicas": 4, "readyReplicas": 3, "updatedReplicas": 4}, False),
        ({}, False),
    ],
    ids=["done", "not seen by its controller", "an old pod is left", "not ready", "no status"],
)
def test_rolled_out(status: dict[str, Any], rolled_out: bool) -> None:
    assert parse_workload(DEPLOYMENT, {**body(), "status": status}).rolled_out is rolled_out
