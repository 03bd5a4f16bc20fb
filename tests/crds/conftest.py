"""Our definitions on a real API server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from cluster.control_plane import ControlPlane
from cluster.environment import ExistingCluster
from cluster.tools import find_kubectl
from trimtab.domain.policy import GROUP, VERSION

CRDS = Path(__file__).parents[2] / "crds"
PLURALS = {"PerformancePolicy": "performancepolicies", "OptimizationRun": "optimizationruns"}

Kubectl = Callable[..., str]
PUBLISHED_SECONDS = 60.0


class Objects:
    """Our objects on the API server, with unknown fields refused as kubectl has them refused."""

    def __init__(self, connection: client.ApiClient) -> None:
        self._api = client.CustomObjectsApi(connection)

    def create(self, body: dict[str, Any], namespace: str = "default", *, dry_run: bool = True) -> Any:
        """What the API server makes of an object; by default it keeps nothing."""
        options: dict[str, Any] = {"dry_run": "All"} if dry_run else {}
        return self._api.create_namespaced_custom_object(
            GROUP, VERSION, namespace, PLURALS[body["kind"]], body, field_validation="Strict", **options
        )

    def refusal(self, body: dict[str, Any]) -> str:
        """Why the API server refuses an object; empty when it does not."""
        try:
            self.create(body)
        except ApiException as error:
            if error.status not in (400, 422):
                raise
            return str(json.loads(error.body or "{}")["message"])
        return ""

    def replace(self, body: dict[str, Any]) -> Any:
        """Replace an object that was read before."""
        meta = body["metadata"]
        return self._api.replace_namespaced_custom_object(
            GROUP, VERSION, meta["namespace"], PLURALS[body["kind"]], meta["name"], body
        )


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane | ExistingCluster) -> Kubectl:
    """Runs kubectl on the cluster and returns what it prints; fails the test with its error."""
    program = str(find_kubectl())

    def run(*arguments: str, stdin: str = "") -> str:
        command = [program, "--kubeconfig", str(control_plane.kubeconfig), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def definitions(kubectl: Kubectl) -> None:
    """The definitions of `crds/` on the cluster, established."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    deadline = time.monotonic() + PUBLISHED_SECONDS
    for plural in PLURALS.values():  # what kubectl explains is published a while after a definition is established
        while not taught(kubectl, plural):
            assert time.monotonic() < deadline, f"{plural} cannot be explained after {PUBLISHED_SECONDS:.0f} s"
            time.sleep(0.5)


def taught(kubectl: Kubectl, plural: str) -> bool:
    """Whether kubectl can explain a resource by now."""
    try:
        kubectl("explain", f"{plural}.spec")
    except AssertionError:
        return False
    return True


@pytest.fixture(scope="session")
def objects(control_plane: ControlPlane | ExistingCluster, definitions: None) -> Iterator[Objects]:
    """Our objects on the API server."""
    with config.new_client_from_config(str(control_plane.kubeconfig)) as connection:
        yield Objects(connection)
