"""Reading a workload and patching it: owners, sizes, and the tests that a patch carries."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab.adapters.workloads import parse_workload, resize_operations
from trimtab.domain.choices import TargetKind
from trimtab.domain.status import Amounts, ContainerSize

DEPLOYMENT, STATEFUL_SET = TargetKind.DEPLOYMENT, TargetKind.STATEFUL_SET


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
    assert [owner.manager for owner in seen.owners["", "spec.replicas"]] == ["kubectl-client-side-apply", "trimtab"]
    assert [owner.manager for owner in seen.owners["app", "resources.requests.cpu"]] == ["kubectl-client-side-apply"]
    assert not any(container == "sidecar" for container, _ in seen.owners)


def test_a_stateful_set_is_ordered_unless_it_is_parallel() -> None:
    assert parse_workload(STATEFUL_SET, body()).ordered
    assert parse_workload(STATEFUL_SET, body(podManagementPolicy="OrderedReady")).ordered
    assert not parse_workload(STATEFUL_SET, body(podManagementPolicy="Parallel")).ordered
    assert not parse_workload(DEPLOYMENT, body()).ordered


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


def status(**changed: Any) -> dict[str, Any]:
    """Of four replicas, all rolled out."""
    counts = {"replicas": 4, "readyReplicas": 4, "availableReplicas": 4, "updatedReplicas": 4}
    return {"observedGeneration": 2, **counts, **changed}


@pytest.mark.parametrize(
    ("kind", "seen", "rolled_out", "scaled"),
    [
        (DEPLOYMENT, status(), True, True),
        (DEPLOYMENT, status(observedGeneration=1), False, False),
        (DEPLOYMENT, status(replicas=5), False, False),
        (DEPLOYMENT, status(readyReplicas=3), False, False),
        (DEPLOYMENT, status(availableReplicas=3), False, False),
        (DEPLOYMENT, status(updatedReplicas=3), False, True),
        (DEPLOYMENT, {}, False, False),
        (STATEFUL_SET, status(currentRevision="b", updateRevision="b"), True, True),
        (STATEFUL_SET, status(currentRevision="a", updateRevision="b"), False, True),
    ],
    ids=[
        "done",
        "not seen by its controller",
        "an old pod is left",
        "not ready",
        "not available",
        "not updated",
        "no status",
        "StatefulSet done",
        "StatefulSet between revisions",
    ],
)
def test_what_is_complete(kind: TargetKind, seen: dict[str, Any], rolled_out: bool, scaled: bool) -> None:
    workload = parse_workload(kind, {**body(), "status": seen})
    assert workload.rolled_out is rolled_out
    assert (workload.rollout.remaining(4, of_template=False) == 0) is scaled


@pytest.mark.parametrize(
    ("kind", "spec", "held", "scales"),
    [
        (DEPLOYMENT, {}, "", True),
        (DEPLOYMENT, {"paused": True}, "kubectl rollout resume deployment/web", False),
        (STATEFUL_SET, {"updateStrategy": {"type": "RollingUpdate"}}, "", True),
        (STATEFUL_SET, {"updateStrategy": {"type": "OnDelete"}}, "OnDelete", True),
        (STATEFUL_SET, {"updateStrategy": {"rollingUpdate": {"partition": 2}}}, "partition of 2", True),
        (STATEFUL_SET, {"updateStrategy": {"rollingUpdate": {"partition": 0}}}, "", True),
    ],
)
def test_what_holds_a_rollout_up(kind: TargetKind, spec: dict[str, Any], held: str, scales: bool) -> None:
    rollout = parse_workload(kind, body(**spec)).rollout
    assert held in rollout.held
    assert (bool(rollout.held), rollout.scales) == (bool(held), scales)


def test_a_selector_is_written_as_a_query_takes_it() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["web", "api"]},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    given = body(selector={"matchLabels": {"app": "web"}, "matchExpressions": expressions})
    assert parse_workload(DEPLOYMENT, given).selector == "app=web,tier in (web,api),!old"


def test_the_version_is_of_what_is_not_ours_to_write() -> None:
    def seen(**container: Any) -> Any:
        spec = {"containers": [{"name": "app", "image": "web:1", "resources": {}, **container}]}
        return parse_workload(DEPLOYMENT, body(template={"spec": spec}))

    same = [
        seen(),
        seen(resources={"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}}),
        seen(resources={"requests": {}}),
    ]
    other = [seen(image="web:2"), seen(resources={"limits": {"nvidia.com/gpu": 1}}), seen(env=[{"name": "A"}])]
    assert len({one.version for one in same}) == 1
    assert len({one.version for one in (*same, *other)}) == 4


def test_a_restart_is_no_other_version() -> None:
    template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}, "spec": {"containers": []}}
    restarted = parse_workload(DEPLOYMENT, body(template=template))
    plain = parse_workload(DEPLOYMENT, body(template={"metadata": {"annotations": {}}, "spec": {"containers": []}}))
    assert restarted.version == plain.version
    assert (restarted.restarted_at, plain.restarted_at) == ("now", "")


@pytest.mark.parametrize(
    ("note", "stated"),
    [
        ('{"spec": {"replicas": 6}}', {("", "spec.replicas"): "6"}),
        (
            '{"spec": {"template": {"spec": {"containers": [{"name": "app", "resources": {"limits": {"cpu": 2}}}]}}}}',
            {("app", "resources.limits.cpu"): "2"},
        ),
        ('{"spec": {"replicas": {}}}', {}),
        ('{"spec": {"template": {"spec": {"containers": ["app", {"resources": 3}]}}}}', {}),
        ("[1, 2", {}),
        ("[" * 100_000, {}),
        ("3", {}),
    ],
)
def test_what_a_note_of_kubectl_states_is_read_where_it_can_be(note: str, stated: dict[tuple[str, str], str]) -> None:
    noted = body()
    noted["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": note}
    seen = parse_workload(DEPLOYMENT, noted)
    assert seen.stated == stated
    assert seen.last_applied not in ("", parse_workload(DEPLOYMENT, body()).last_applied)
