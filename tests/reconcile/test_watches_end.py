"""Watches that end, end soon: no task of theirs that takes no notice of it is waited for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import kopf
import pytest

from trimtab import watching
from trimtab.handlers import Told

TOLD = cast("Told", SimpleNamespace(clusterwide=False, namespaces=["shop"]))


async def stubborn(times: int) -> None:
    """A task that is cancelled so many times in vain."""
    while times:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            times -= 1


async def broken() -> None:
    """A watch that the API server refused."""
    raise ValueError("410 Expired")


@pytest.mark.parametrize("times", [0, 3, 1000])
def test_a_task_that_does_not_end_keeps_none_from_beginning_again(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def spawn(**_: Any) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(broken()), asyncio.create_task(stubborn(times + 1))]

    monkeypatch.setattr(kopf, "spawn_tasks", spawn)
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
