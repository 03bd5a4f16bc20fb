"""Helm, and a control plane of the chart's own: it installs definitions, which elsewhere are installed without Helm."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.build import ensure
from cluster.control_plane import ControlPlane
from cluster.tools import find_kubectl

CHART = Path(__file__).parents[2] / "helm" / "trimtab"

Template = Callable[..., list[dict[str, Any]]]


@dataclass(frozen=True)
class Answer:
    """What a program said."""

    status: int
    output: str
    error: str


Run = Callable[..., Answer]


def _run(command: list[str], stdin: str, environment: dict[str, str]) -> Answer:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane whose nodes pretend to run pods, with the namespaces `trimtab-system` and `shop`."""
    with ControlPlane(tmp_path_factory.mktemp("chart-control-plane"), nodes=1, startup_seconds=0.5) as started:
        for name in ("trimtab-system", "shop"):
            started.client().post("/api/v1/namespaces", {"metadata": {"name": name}})
        yield started


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs helm with its files in a temporary folder."""
    program = str(ensure(("helm",))["helm"])
    home = tmp_path_factory.mktemp("helm")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}

    def run(*arguments: str, stdin: str = "") -> Answer:
        return _run([program, *arguments], stdin, environment)

    return run


@pytest.fixture(scope="session")
def kubectl(plane: ControlPlane) -> Run:
    """Runs kubectl on the chart's control plane."""
    command = [str(find_kubectl()), "--kubeconfig", str(plane.kubeconfig)]

    def run(*arguments: str, stdin: str = "") -> Answer:
        return _run([*command, *arguments], stdin, dict(os.environ))

    return run


@pytest.fixture(scope="session")
def template(helm: Run) -> Template:
    """The objects that the chart makes of some values; fails the test when it makes none."""

    def render(values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        command = ["template", "trimtab", str(CHART), "--namespace", "trimtab-system", "--values", "-"]
        answer = helm(*command, stdin=yaml.safe_dump(values or {}))
        assert answer.status == 0, answer.error
        return [body for body in yaml.safe_load_all(answer.output) if body]

    return render
