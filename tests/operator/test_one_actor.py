"""One actor: of two operators on a namespace the one that holds the lease writes, and the other takes over from it."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from cluster.ports import free_port
from demo.stage import Stage
from tests.operator.acting import (
    BAD_REPLICAS,
    FIXED,
    GOOD_REPLICAS,
    REPLICAS,
    SPARE_RATE,
    counted,
    learned,
    play,
    policy,
    replicas,
    rounds,
    service,
    to_replicas,
    verdict,
)
from tests.operator.audit import Audit
from tests.operator.gate import Gate, Request, to_scale
from trimtab.adapters.lease_keeper import NAMESPACE_LEASE

pytestmark = pytest.mark.cluster

DEFAULT: Final = ("10s", "7s", "2s")
TAKEN_OVER_SECONDS: Final = 15.0
DOTTED: Final = "web-" + "a" * 45 + ".b"
"""Its 50th character is a dot: a name that is cut behind it is none."""


async def holder(stage: Stage) -> str:
    """Who holds the lease of the stage's namespace; empty for nobody."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{stage.namespace}/leases/{NAMESPACE_LEASE}"
    return str((await stage.kube.get(path))["spec"].get("holderIdentity") or "")


async def taken(stage: Stage, but: str = "") -> str:
    """The holder of the lease, once there is one other than this."""

    async def look() -> str | None:
        now = await holder(stage)
        return now if now not in ("", but) else None

    return await stage.until(look, "a new holder of the lease", 30.0)


async def stands_by(stage: Stage, port: int) -> str:
    """What ``/healthz`` says, once an operator has asked for a lease and waits for it."""

    async def look() -> str | None:
        text = await said(port, "stands by")
        return text if text is not None and "was not asked for yet" not in text else None

    return await stage.until(look, "an operator that stands by")


async def said(port: int, words: str, path: str = "healthz") -> str | None:
    """What an operator says, if these words are in it."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{path}") as answer:
            text = await answer.text()
            assert answer.status == 200
    except aiohttp.ClientError:
        return None
    return text if words in text else None


def writes(gate: Gate, namespace: str) -> list[Request]:
    """Writes that came through a gate, but for those of leases."""
    return [one for one in gate.seen if one.method != "GET" and f"/namespaces/{namespace}/" in one.path
            and "/leases" not in one.path]  # fmt: skip


async def test_the_standby_writes_nothing_and_takes_over_from_one_that_is_killed(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path
) -> None:
    """With the default times of the lease; the run that the first began is ended by the second."""
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy())
    first = stage.operator(name="first", lease=DEFAULT)
    before = await taken(stage)
    health, metrics = free_port(), free_port()
    stage.operator(name="second", lease=DEFAULT, kubeconfig=gate_kubeconfig, health_port=health, metrics_port=metrics)
    leader = f'trimtab_leader{{namespace="{stage.namespace}"}}'
    await learned(stage, "web")
    assert f"lease {stage.namespace}/{NAMESPACE_LEASE} is held by {before}" in await stands_by(stage, health)
    assert await said(metrics, f"{leader} 0.0", "metrics")
    await stage.create_run("try", "web", changes=to_replicas(BAD_REPLICAS))
    await stage.in_phase("try", ["Settling", "Validating"])
    assert writes(gate, stage.namespace) == []

    first.kill()
    killed = time.monotonic()
    await taken(stage, before)
    assert time.monotonic() - killed < TAKEN_OVER_SECONDS
    run = await stage.settled("try")
    assert (run["status"]["phase"], verdict(run), await replicas(stage)) == ("RolledBack", "Fail", REPLICAS)
    assert audit.done() == Counter({("web", "deployments/scale"): 2})
    assert await said(metrics, f"{leader} 1.0", "metrics")
    assert await said(health, f"namespace {stage.namespace}: acts")


async def test_one_that_ends_lets_go_of_the_lease(stage: Stage) -> None:
    """Of ten minutes: were it not let go of, the other would wait for so long."""
    lease = ("10m", "9m", "500ms")
    first = stage.operator(name="first", lease=lease)
    before = await taken(stage)
    stage.operator(name="second", lease=lease)
    first.stop()
    await taken(stage, before)


async def test_one_that_was_stopped_before_its_write_does_not_send_it(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path
) -> None:
    """Stopped while the word that it holds the lease is on its way: when it wakes, that word is old."""
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy())
    first = stage.operator(name="first", kubeconfig=gate_kubeconfig)
    await learned(stage, "web")
    before = await holder(stage)
    stage.operator(name="second")
    word = gate.hold(lambda request: asks_who_holds(request) and applying(gate), answers=True)
    await stage.create_run("try", "web", changes=to_replicas(GOOD_REPLICAS))
    assert json.loads(await word.answer())["spec"]["holderIdentity"] == before
    first.suspend()
    await taken(stage, before)
    await counted(stage, "web", GOOD_REPLICAS)
    sent = len(writes(gate, stage.namespace))
    first.resume()
    await word.let_go()
    run = await stage.settled("try")
    await stage.until(lambda: "lease not held" in first.log, "the first to know that it lost the lease")
    await rounds(stage, 3)
    assert (run["status"]["phase"], verdict(run), await replicas(stage)) == ("Succeeded", "Pass", GOOD_REPLICAS)
    assert len(writes(gate, stage.namespace)) == sent
    assert audit.done() == Counter({("web", "deployments/scale"): 1})


def asks_who_holds(request: Request) -> bool:
    """The question who holds the lease."""
    return request.method == "GET" and request.path.endswith(f"/leases/{NAMESPACE_LEASE}")


def applying(gate: Gate) -> bool:
    """Whether a change is on record by now, so that its write comes next."""
    return any(b'"Applying"' in request.body for request in gate.seen)


async def test_a_write_on_its_way_is_refused_when_the_next_actor_has_written(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path
) -> None:
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy())
    first = stage.operator(name="first", kubeconfig=gate_kubeconfig)
    await learned(stage, "web")
    before = await holder(stage)
    stage.operator(name="second")
    write = gate.hold(to_scale)
    await stage.create_run("try", "web", changes=to_replicas(GOOD_REPLICAS))
    await write.caught()
    first.suspend()
    await taken(stage, before)
    await counted(stage, "web", GOOD_REPLICAS)
    assert await write.let_go() == 422
    first.resume()
    run = await stage.settled("try")
    assert (run["status"]["phase"], verdict(run), await replicas(stage)) == ("Succeeded", "Pass", GOOD_REPLICAS)
    assert [write.status for write in audit.writes()] == [200, 422]


async def test_two_operators_make_one_run_whatever_the_policy_is_called(
    stage: Stage, gate: Gate, gate_kubeconfig: Path
) -> None:
    """The first is stopped with its new run on the way; the second makes the run, and then the first's arrives."""
    await play(stage, service(DOTTED.replace(".", "-"), rate=SPARE_RATE, namespace=stage.namespace))
    making = gate.hold(lambda request: request.method == "POST" and request.path.endswith("/optimizationruns"))
    first = stage.operator(name="first", kubeconfig=gate_kubeconfig)
    before = await taken(stage)
    await stage.apply(policy(DOTTED, target=DOTTED.replace(".", "-"), mode="Approve", horizontal=FIXED))
    wanted = json.loads((await making.caught()).body)["metadata"]["name"]
    first.suspend()
    stage.operator(name="second")
    await taken(stage, before)
    await stage.in_phase(wanted, ["AwaitingApproval"])
    assert await making.let_go() == 409
    first.resume()
    await stage.until(lambda: "lease not held" in first.log, "the first to know that it lost the lease")
    await rounds(stage, 3)
    assert [run["metadata"]["name"] for run in await stage.runs()] == [wanted]
