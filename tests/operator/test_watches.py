"""Watches that break off end no operator: it says so, waits, and goes on with what was missed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster.control_plane import ControlPlane
from demo.stage import Operator, Stage
from tests.conftest import Metrics
from tests.operator.acting import FIXED, learned, play, policy, service
from tests.operator.gate import Gate, Request
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

WAITS = "its resources are not there; install"
CRDS = Path(__file__).parents[2] / "crds"


def ours(request: Request) -> bool:
    """Requests for our own resources."""
    return request.path.startswith("/apis/trimtab.dev/")


async def logged(stage: Stage, operator: Operator, text: str) -> None:
    """Wait until the operator has logged it."""
    await stage.until(lambda: text in operator.log, text)


def recommending(name: str) -> JsonObject:
    """A policy that only looks."""
    return policy(name, mode="Recommend", horizontal=FIXED)


@pytest.mark.parametrize(("status", "reason"), [(404, "NotFound"), (410, "Expired"), (403, "Forbidden")])
async def test_watches_that_break_off_begin_again(
    stage: Stage, gate: Gate, gate_kubeconfig: Path, status: int, reason: str
) -> None:
    await play(stage, *(service(name, namespace=stage.namespace) for name in ("before", "missed")))
    await stage.apply(recommending("before"))
    operator = stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, "before")
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": status,
        "reason": reason,
        "message": "no",
    }
    with gate.answering(ours, status, json.dumps(body).encode()):
        await logged(stage, operator, "watches ended; they begin again")
        await logged(stage, operator, "policies and runs not listed; tried again")
        await stage.apply(recommending("missed"))
        await stage.kubectl("delete", "performancepolicy", "before")
    await learned(stage, "missed")
    assert operator.process.alive()


async def test_one_watch_that_ends_takes_the_other_with_it(stage: Stage, gate: Gate, gate_kubeconfig: Path) -> None:
    """The other has been cut before, and asks again while all is being ended: for Kopf a wait without end."""
    await play(stage, *(service(name, namespace=stage.namespace) for name in ("before", "missed")))
    await stage.apply(recommending("before"))
    operator = stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, "before")
    gone = json.dumps({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "no"})
    with gate.answering(lambda request: "/performancepolicies" in request.path, 502):
        await logged(stage, operator, "will retry: GET")
        with gate.answering(lambda request: "/optimizationruns" in request.path, 410, gone.encode()):
            await logged(stage, operator, "watches ended; they begin again")
    await stage.apply(recommending("missed"))
    await learned(stage, "missed")
    assert operator.process.alive()


async def test_definitions_that_go_and_come_again(tmp_path: Path, metrics: Metrics) -> None:
    """On a cluster of its own: deleting the definitions takes every policy with it."""
    with ControlPlane(tmp_path / "cluster", startup_seconds=1.0) as plane:
        stage = Stage(tmp_path / "stage", plane.kubeconfig, "default", metrics.url, metrics.targets_dir)
        async with stage:
            operator: Operator | None = None
            for _ in range(2):
                await stage.kubectl("apply", "--server-side", "-f", str(CRDS))
                await stage.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))
                operator = operator or stage.operator()
                await stage.apply(recommending("web"))
                await stage.told("web", "Ready", "False", "TargetNotFound")
                await stage.kubectl("delete", "-f", str(CRDS))
                await logged(stage, operator, WAITS)
                assert operator.process.alive()
            stage.end_processes()
