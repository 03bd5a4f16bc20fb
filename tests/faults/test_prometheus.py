"""Prometheus or its exporters fail for a while: nothing is changed on bad data, and memory stays within its budget."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from demo.stage import Operator
from tests.faults import proxies
from tests.faults.cases import cases
from tests.faults.promises import broken_promises, keeps
from tests.faults.scene import GOOD, STEADY_RATE, STEADY_REPLICAS, UNAPPROVED, Need, Scene, When
from tests.operator.acting import FOLLOWING, learned, play, policy, rounds, service
from tests.operator.test_pods_unseen import hide, pods_of
from trimtab.adapters.prometheus_connection import PrometheusSettings

pytestmark = pytest.mark.cluster

PROMETHEUS: Final = {
    "cut": proxies.cut,
    "delay": proxies.never,
    "bad-query-400": proxies.answered('{"status":"error","errorType":"bad_data","error":"no"}', 400),
    "error-500": proxies.answered("no", 500),
    "unavailable-503": proxies.answered("no", 503),
    "truncated": proxies.truncated,
    "html": proxies.html,
    "huge": proxies.huge,
    "nested": proxies.nested,
    "nan": proxies.values("NaN"),
    "inf": proxies.values("+Inf"),
    "negative": proxies.rewritten(proxies.negated),
    "1e12": proxies.values("1e12"),
    "partial": proxies.rewritten(proxies.partial),
    "clock-ahead": proxies.shifted(300.0),
    "clock-behind": proxies.shifted(-300.0),
    "redirect": proxies.redirected,
}


_LARGE_AT_ONCE: Final = 3
"""Answers of more than 1 Mi that are in memory at a time."""
_BUDGET_BYTES: Final = 2 * _LARGE_AT_ONCE * PrometheusSettings("http://prometheus").max_answer_bytes
"""What they may take: each is copied once while it grows."""


@pytest.mark.parametrize(("fault", "when"), cases(PROMETHEUS, UNAPPROVED, short={("1e12", When.VALIDATING)}))
async def test_prometheus(scene: Scene, fault: str, when: When) -> None:
    gate = scene.prometheus

    async def begin() -> None:
        gate.harm = PROMETHEUS[fault]

    async def end() -> None:
        gate.harm = None

    await scene.reach(when)
    before = peak_memory(scene.operator)
    await scene.suffer(begin, end, until=lambda: bool(gate.harmed))
    broken = await broken_promises(scene, good_is_kept=False)
    if (grown := peak_memory(scene.operator) - before) > _BUDGET_BYTES:
        broken.append(f"the operator's memory grew by {grown >> 20} MiB; its budget is {_BUDGET_BYTES >> 20} MiB")
    keeps(broken)


def peak_memory(operator: Operator) -> int:
    """The most memory that an operator had so far, in bytes."""
    status = Path(f"/proc/{operator.process.pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))


@pytest.mark.parametrize(
    ("fault", "when"),
    cases(["half-the-pods"], [When.FOLLOWING, When.VALIDATING], short={("half-the-pods", When.FOLLOWING)}),
)
async def test_exporters(scene: Scene, fault: str, when: When) -> None:
    """Half of the pods are seen by no exporter; one more service follows the CPU that its pods use."""
    name = "by-cpu"
    made = service(name, rate=STEADY_RATE, replicas=STEADY_REPLICAS, namespace=scene.stage.namespace)
    simulation = await play(scene.stage, made)
    await scene.stage.apply(policy(name, metrics=None, objectives=None, horizontal=FOLLOWING))
    await learned(scene.stage, name)
    scene.needs[name] = Need(STEADY_REPLICAS, STEADY_REPLICAS)
    await scene.reach(when)
    hidden = [pod for each in (name, GOOD) for pod in (await pods_of(scene.stage, each))[:2]]
    told: list[str] = []

    async def begin() -> None:
        for one in (simulation, scene.simulation):
            await hide(one, scene.stage.namespace, hidden)
        await rounds(scene.stage, 10)  # past the window of the rate
        condition = await scene.stage.condition(name, "DataAvailable")
        told.append(condition["reason"] if condition is not None else "")

    async def end() -> None:
        for one in (simulation, scene.simulation):
            await one.mend()

    await scene.suffer(begin, end)
    broken = await broken_promises(scene, good_is_kept=False)
    if told != ["PodsMissing"]:
        broken.append(f"{name}: half of its pods were missing, and it was told as {told[0]}")
    keeps(broken)
