"""The control plane as its users meet it: workloads, scale, resize, identities, the audit log, several at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from cluster.control_plane import ControlPlane
from cluster.environment import ExistingCluster
from cluster.processes import ProcessIdentity
from cluster.tools import find_kubectl
from tests.cluster.cluster_support import deployment, eventually

pytestmark = pytest.mark.cluster


@pytest.fixture
def connection(control_plane: ControlPlane | ExistingCluster) -> Iterator[client.ApiClient]:
    """A client with an administrator's rights."""
    with config.new_client_from_config(str(control_plane.kubeconfig)) as made:
        yield made


def apps_of(connection: client.ApiClient) -> Any:
    """Its models have every field optional, so types would only be in the way."""
    return client.AppsV1Api(connection)


def core_of(connection: client.ApiClient) -> Any:
    """As `apps_of`."""
    return client.CoreV1Api(connection)


def ready_pods(connection: client.ApiClient, namespace: str) -> list[Any]:
    pods = core_of(connection).list_namespaced_pod(namespace).items
    return [pod for pod in pods if pod.status.container_statuses and pod.status.container_statuses[0].ready]


def deploy(connection: client.ApiClient, namespace: str, replicas: int = 1, startup_seconds: float = 0.2) -> None:
    apps = apps_of(connection)
    apps.create_namespaced_deployment(namespace, deployment("web", replicas, startup_seconds))
    eventually(
        lambda: apps.read_namespaced_deployment("web", namespace).status.available_replicas == replicas, seconds=60
    )


def test_pods_become_ready_after_their_start_up_time(
    own_control_plane: ControlPlane, connection: client.ApiClient, namespace: str
) -> None:
    started = time.monotonic()
    deploy(connection, namespace, replicas=2, startup_seconds=2.5)
    assert time.monotonic() - started > 2.5

    pods = ready_pods(connection, namespace)
    assert len(pods) == 2
    for pod in pods:
        ready: datetime = next(c for c in pod.status.conditions if c.type == "Ready").last_transition_time
        assert 2 <= (ready - pod.status.start_time).total_seconds() <= 6
        assert pod.status.container_statuses[0].started


def test_the_clusters_start_up_time_holds_for_pods_that_name_none(
    own_control_plane: ControlPlane, connection: client.ApiClient, namespace: str
) -> None:
    body = deployment("web", replicas=1, startup_seconds=0)
    del body["spec"]["template"]["metadata"]["annotations"]
    started = time.monotonic()
    apps_of(connection).create_namespaced_deployment(namespace, body)
    eventually(lambda: len(ready_pods(connection, namespace)) == 1)
    assert time.monotonic() - started > 1.0


def test_pods_are_deleted_at_once(
    own_control_plane: ControlPlane, connection: client.ApiClient, namespace: str
) -> None:
    deploy(connection, namespace, replicas=3)
    apps_of(connection).delete_namespaced_deployment("web", namespace)
    eventually(lambda: not core_of(connection).list_namespaced_pod(namespace).items, seconds=5)


def test_scale_is_refused_when_the_tested_uid_is_anothers(connection: client.ApiClient, namespace: str) -> None:
    apps = apps_of(connection)
    apps.create_namespaced_deployment(namespace, deployment("web", 1, 0.2))
    uid = apps.read_namespaced_deployment("web", namespace).metadata.uid

    def scale_if(tested: str) -> Any:
        patch: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/uid", "value": tested},
            {"op": "replace", "path": "/spec/replicas", "value": 2},
        ]
        return apps.patch_namespaced_deployment_scale("web", namespace, patch)

    with pytest.raises(client.ApiException) as refused:
        scale_if("00000000-0000-0000-0000-000000000000")
    assert refused.value.status == 422
    assert scale_if(uid).spec.replicas == 2


def test_resources_change_in_place(
    own_control_plane: ControlPlane, connection: client.ApiClient, namespace: str
) -> None:
    deploy(connection, namespace)
    core = core_of(connection)
    (before,) = ready_pods(connection, namespace)
    size = {"requests": {"cpu": "150m"}, "limits": {"cpu": "300m"}}
    core.patch_namespaced_pod_resize(
        before.metadata.name, namespace, {"spec": {"containers": [{"name": "app", "resources": size}]}}
    )

    def in_force() -> bool:
        pod = core.read_namespaced_pod(before.metadata.name, namespace)
        return bool(pod.status.container_statuses[0].resources.limits["cpu"] == "300m")

    eventually(in_force, seconds=5)
    after = core.read_namespaced_pod(before.metadata.name, namespace).status.container_statuses[0]
    assert after.ready
    assert after.restart_count == 0
    assert after.resources.requests == {"cpu": "150m", "memory": "64Mi"}


@pytest.mark.parametrize(
    ("user", "allowed"),
    [
        pytest.param("admin", True, id="admin"),
        pytest.param("alice", True, id="a person"),
        pytest.param("operator", False, id="the operator has no rights of its own"),
    ],
)
def test_users_have_the_rights_of_their_groups(own_control_plane: ControlPlane, user: str, allowed: bool) -> None:
    review: Any = {"spec": {"resourceAttributes": {"group": "apps", "resource": "deployments/scale", "verb": "patch"}}}
    with config.new_client_from_config(str(own_control_plane.kubeconfig_for(user))) as connection:
        answer: Any = client.AuthorizationV1Api(connection).create_self_subject_access_review(review)
    assert answer.status.allowed is allowed


def test_a_service_account_acts_under_its_own_name(own_control_plane: ControlPlane, namespace: str) -> None:
    kubeconfig = own_control_plane.service_account_kubeconfig(namespace, "default")
    with config.new_client_from_config(str(kubeconfig)) as connection:
        answer: Any = client.AuthenticationV1Api(connection).create_self_subject_review(client.V1SelfSubjectReview())
    assert answer.status.user_info.username == f"system:serviceaccount:{namespace}:default"


def test_the_audit_log_tells_who_wrote_what(own_control_plane: ControlPlane, namespace: str) -> None:
    with config.new_client_from_config(str(own_control_plane.kubeconfig_for("bob"))) as connection:
        connection.user_agent = "audited/1"
        apps = apps_of(connection)
        apps.create_namespaced_deployment(namespace, deployment("web", 1, 0.2))
        apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 3}})

    def events() -> dict[str, Any]:
        lines = [json.loads(line) for line in own_control_plane.audit_log.read_text().splitlines()]
        mine = [e for e in lines if e["userAgent"] == "audited/1" and e["objectRef"]["namespace"] == namespace]
        return {f"{e['verb']} {e['objectRef'].get('subresource', '')}".strip(): e for e in mine}

    eventually(lambda: len(events()) == 2, seconds=5)
    assert events()["create"]["user"]["username"] == "bob"
    assert events()["patch scale"]["requestObject"] == {"spec": {"replicas": 3}}


def test_kubectl_reads_the_kubeconfig(own_control_plane: ControlPlane) -> None:
    command = [str(find_kubectl()), "--kubeconfig", str(own_control_plane.kubeconfig), "get", "nodes", "--no-headers"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[f"node-{index}", "Ready"] for index in range(3)]


def test_two_clusters_do_not_know_of_each_other(own_control_plane: ControlPlane) -> None:
    with ControlPlane(nodes=1, users={"carol": ["team-a"]}) as other:
        assert other.server != own_control_plane.server
        assert len(other.client().get("/api/v1/nodes")["items"]) == 1
        assert len(own_control_plane.client().get("/api/v1/nodes")["items"]) == 3
        assert other.kubeconfig_for("carol").exists()
        identities = [component.identity for component in other.components]
        assert len(identities) == 5
    assert not any(identity.alive() for identity in identities)
    assert not other.state_dir.exists()


def test_its_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from cluster.control_plane import ControlPlane\n"
        "started = ControlPlane(pathlib.Path(sys.argv[1]), nodes=0)\n"
        "started.start()\n"
        "print(*[component.pid for component in started.components], flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        identities = [ProcessIdentity.of(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(identities) == 5
    eventually(lambda: not any(identity.alive() for identity in identities), seconds=10)
