"""Watches begin again whatever ended them, and end when the operator does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import kopf
import pytest

from tests.planning.building import policy, run
from trimtab import watching
from trimtab.adapters.kube import KubeError
from trimtab.adapters.telemetry import Telemetry
from trimtab.domain.objects import Policy, Run
from trimtab.handlers import Told
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


def spawning(*watches: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Awaitable[list[asyncio.Task[None]]]]:
    """In place of Kopf's tasks."""

    async def spawn(**given: Any) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(watch(**given)) for watch in watches]

    return spawn


async def test_watches_begin_again_and_what_was_missed_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    one, stop, began = operator(cluster), asyncio.Event(), []
    gone = policy(name="gone", uid="gone")
    one.world.policies[gone.key] = gone
    orphan = run()
    one.world.runs[orphan.key] = orphan
    cluster.listed = [policy(name="missed", uid="missed")]
    cluster.refusals = [KubeError(404, "NotFound", "the server could not find it")]

    async def watch(*, memo: Any, stop_flag: asyncio.Event, ready_flag: Any, **_: Any) -> None:
        began.append(memo)
        if len(began) == 1:
            ready_flag.set_result(None)
            raise RuntimeError("410 Gone")
        memo.policy_seen(policy(name="told", uid="told"))
        await stop_flag.wait()

    monkeypatch.setattr(kopf, "spawn_tasks", spawning(watch))
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

    async def watch(**_: Any) -> None:
        raise RuntimeError("404")

    monkeypatch.setattr(kopf, "spawn_tasks", spawning(watch))
    watches = watching.Watches(operator(cluster), stop)
    running = asyncio.create_task(watches.run())
    await until(lambda: watches.trouble.startswith("its resources are not there; install them with the chart"))
    stop.set()
    async with asyncio.timeout(20.0):
        await running


TOLD = cast("Told", SimpleNamespace(clusterwide=False, namespaces=["shop"]))


@pytest.mark.parametrize("times", [0, 3, 100])
def test_a_task_that_does_not_end_keeps_none_from_beginning_again(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(**_: Any) -> None:
        raise ValueError("410 Expired")

    async def stubborn(**_: Any) -> None:
        for _time in range(times):
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    monkeypatch.setattr(kopf, "spawn_tasks", spawning(refused, stubborn))
    monkeypatch.setattr(watching, "_CANCELLED_SECONDS", 0.01)
    began: Future[Callable[[], None]] = Future()
    ended: Future[str] = Future()
    threading.Thread(target=watching._watch, args=(TOLD, began, Future(), ended), daemon=True).start()
    assert ended.result(60.0) == "ValueError: 410 Expired"


def test_watches_that_cannot_begin_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def spawn(**_: Any) -> list[asyncio.Task[None]]:
        raise RuntimeError("no thread can be started")

    monkeypatch.setattr(kopf, "spawn_tasks", spawn)
    ended: Future[str] = Future()
    watching._watch(TOLD, Future(), Future(), ended)
    assert ended.result(0) == "RuntimeError: no thread can be started"
