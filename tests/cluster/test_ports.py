"""Ports that are taken by others, before the start or just then."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from cluster import ports
from cluster.control_plane import ControlPlane
from cluster.errors import ComponentDiedError
from cluster.prometheus import Prometheus


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which this process listens."""
    with socket.create_server((ports.HOST, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def first_port_taken(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every first pick of a port is one that is taken before the program can listen on it."""
    pick, picked = ports.free_port, [0]

    def free_port() -> int:
        picked[0] += 1
        return taken_port if picked[0] % 2 else pick()

    monkeypatch.setattr(ports, "free_port", free_port)


def test_only_the_process_that_listens_is_said_to(taken_port: int) -> None:
    assert ports.is_listening(os.getpid(), taken_port)
    assert not ports.is_listening(os.getppid(), taken_port)
    assert not ports.is_listening(os.getpid(), ports.free_port())


@pytest.mark.parametrize(
    ("message", "tries"),
    [("listen tcp: bind: address already in use", 2), ("no such flag", 1)],
    ids=["tried again", "another failure is not"],
)
def test_a_start_is_tried_again_only_when_its_port_was_taken(message: str, tries: int) -> None:
    tried = []

    def start(port: int) -> int:
        tried.append(port)
        if len(tried) == 1:
            raise ComponentDiedError(message)
        return port

    if tries == 1:
        with pytest.raises(ComponentDiedError, match=message):
            ports.with_free_port(start)
    else:
        assert ports.with_free_port(start) == tried[-1]
    assert len(tried) == tries


@pytest.mark.cluster
@pytest.mark.usefixtures("first_port_taken")
def test_prometheus_starts_on_another_port(taken_port: int) -> None:
    with Prometheus() as prometheus:
        assert not prometheus.url.endswith(f":{taken_port}")


@pytest.mark.cluster
@pytest.mark.usefixtures("first_port_taken")
def test_a_control_plane_starts_on_other_ports(taken_port: int) -> None:
    with ControlPlane(nodes=1) as control_plane:
        assert not control_plane.server.endswith(f":{taken_port}")
        assert len(control_plane.components) == 5
