"""Fixtures for tests that need a real API server or a real Prometheus."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kubernetes import client, config

from cluster.control_plane import ControlPlane
from cluster.environment import ExistingCluster, from_env
from cluster.prometheus import Prometheus


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane | ExistingCluster]:
    """A cluster with a `.kubeconfig`, one a run: the one that the environment names, or else one started here."""
    existing = from_env()
    if existing is not None:
        yield existing
        return
    with ControlPlane(tmp_path_factory.mktemp("control-plane"), startup_seconds=1.0) as started:
        yield started


@pytest.fixture(scope="session")
def own_control_plane(control_plane: ControlPlane | ExistingCluster) -> ControlPlane:
    """The same for tests that need its users, audit log or simulated nodes; they are skipped on another cluster."""
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("needs a cluster started by the tests")
    return control_plane


@pytest.fixture
def namespace(control_plane: ControlPlane | ExistingCluster) -> Iterator[str]:
    """A fresh namespace, ready for pods, and deleted after the test."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    with config.new_client_from_config(str(control_plane.kubeconfig)) as connection:
        core = client.CoreV1Api(connection)
        core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
        while not core.list_namespaced_service_account(name).items:
            time.sleep(0.02)
        yield name
        core.delete_namespace(name)


@pytest.fixture
def prometheus_factory(tmp_path: Path) -> Iterator[Callable[..., Prometheus]]:
    """Makes and starts a Prometheus for each call, with the options of `Prometheus`; all end with the test."""
    with ExitStack() as stack:

        def make(**options: object) -> Prometheus:
            number = len(list(tmp_path.glob("prometheus-*")))
            folder = tmp_path / f"prometheus-{number}"
            folder.mkdir()
            return stack.enter_context(Prometheus(folder, **options))  # type: ignore[arg-type]  # checked at run time

        yield make
