"""Watches begin again whatever ended them, and end when the operator does."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.planning.building import policy, run
from trimtab import watching
from trimtab.adapters.kube import KubeError
from trimtab.adapters.telemetry import Telemetry
from trimtab.domain.objects import Policy, Run
from trimtab.reconcile.services import Services
from trimtab.reconcile.world import World
from trimtab.wiring import Operator


class Cluster:
    """What can be listed; refuses as often as told."""

    def __init__(self) -> None:
        self.listed: list[Policy] = []
        self.refusals: list[KubeError] = []

    async def policies(self, _namespace: str | None) -> list[Policy]:
        if self.refusals:
            raise self.refusals.pop()
        return self.listed

    async def runs(self, _namespace: str | None) -> list[Run]:
        return []


def operator(cluster: Cluster) -> Operator:
    """An operator of which only the world is used."""
    services = SimpleNamespace(resources=cluster, telemetry=Telemetry(), store=None, clock=lambda: 0.0)
    return Operator(cast(Services, services), World(), ("shop",))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(watching, "_LONGEST_PAUSE_SECONDS", 0.02)


async def until(look: Any) -> None:
    async with asyncio.timeout(20.0):
        while not look():  # noqa: ASYNC110 - what is looked at belongs to the tested
            await asyncio.sleep(0.01)


async def test_watches_begin_again_and_what_was_missed_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    one, stop, began = operator(cluster), asyncio.Event(), []
    gone = policy(name="gone", uid="gone")
    one.world.policies[gone.key] = gone
    orphan = run()
    one.world.runs[orphan.key] = orphan
    cluster.listed = [policy(name="missed", uid="missed")]
    cluster.refusals = [KubeError(404, "NotFound", "the server could not find it")]

    async def kopf_operator(*, memo: Any, stop_flag: asyncio.Event, ready_flag: Any, **_: Any) -> None:
        began.append(memo)
        if len(began) == 1:
            ready_flag.set_result(None)
            raise RuntimeError("410 Gone")
        memo.policy_seen(policy(name="told", uid="told"))
        await stop_flag.wait()

    monkeypatch.setattr("trimtab.watching.kopf.operator", kopf_operator)
    watches = watching.Watches(one, stop)
    running = asyncio.create_task(watches.run())
    await until(lambda: one.world.policies.keys() == {("shop", "missed"), ("shop", "told")})
    assert watches.ready.is_set()
    assert watches.trouble == ""
    assert one.world.runs == {}
    assert one.services.telemetry.registry.get_sample_value("trimtab_watches_ended_total") == 1
    stop.set()
    async with asyncio.timeout(20.0):
        await running
    assert len(began) == 2


async def test_definitions_that_are_missing_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, stop = Cluster(), asyncio.Event()
    cluster.refusals = [KubeError(404, "NotFound", "the server could not find it")] * 100_000

    async def kopf_operator(**_: Any) -> None:
        raise RuntimeError("404")

    monkeypatch.setattr("trimtab.watching.kopf.operator", kopf_operator)
    watches = watching.Watches(operator(cluster), stop)
    running = asyncio.create_task(watches.run())
    await until(lambda: watches.trouble.startswith("its resources are not there; install them with the chart"))
    stop.set()
    async with asyncio.timeout(20.0):
        await running
