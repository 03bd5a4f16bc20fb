"""Kopf's watches, begun again whenever they end: no answer of the API server to a watch ends the operator.

Kopf has a thread and an event loop of its own: when it ends, it cancels every task of its loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

import kopf
import structlog

from trimtab import handlers
from trimtab.adapters.kube import KubeError
from trimtab.handlers import Told
from trimtab.logs import SECRETS
from trimtab.wiring import Operator

_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_CANCELLED_TIMES, _CANCELLED_SECONDS = 20, 0.5
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Watches:
    """The watches of one operator."""

    def __init__(self, operator: Operator, stop: asyncio.Event) -> None:
        self._operator = operator
        self._stop = stop
        self.ready = asyncio.Event()
        """Set once they have begun for the first time."""
        self.trouble = ""
        """Why nothing is watched now; empty while all is."""

    async def run(self) -> None:
        """Watch until the operator is stopped."""
        pause = _PAUSE_SECONDS
        while not self._stop.is_set():
            began = asyncio.get_running_loop().time()
            why = SECRETS.without(await self._watch())
            if self._stop.is_set():
                return
            if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE_SECONDS:
                pause = _PAUSE_SECONDS
            _log.warning("watches ended; they begin again", error=why)
            self._operator.services.telemetry.watches_ended()
            self.trouble = why
            pause = await self._read_again(pause)

    async def _watch(self) -> str:
        """Watch until told to stop, or until the watches end; why they did."""
        began: Future[Callable[[], None]] = Future()
        ready: Future[None] = Future()
        ended: Future[str] = Future()
        told = Told(self._operator, asyncio.get_running_loop())
        threading.Thread(target=_watch, args=(told, began, ready, ended), name="watches", daemon=True).start()
        asyncio.wrap_future(ready).add_done_callback(lambda _: self.ready.set())
        begun, ending = asyncio.wrap_future(began), asyncio.wrap_future(ended)
        stopping = asyncio.create_task(self._stop.wait())
        try:
            either: set[asyncio.Future[Any]] = {ending, stopping}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            running: set[asyncio.Future[Any]] = {begun, ending}
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)  # without a loop they end and never begin
            if begun.done():
                begun.result()()
        return await ending

    async def _read_again(self, pause: float) -> float:
        """Wait until all can be listed, which also tells of what was missed; the pause before the next time."""
        while not self._stop.is_set():
            try:
                await asyncio.wait_for(self._stop.wait(), pause)
            except TimeoutError:
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                break
            try:
                await self._operator.load()
            except KubeError as error:
                missing = "its resources are not there; install them with the chart, or from crds/: "
                self.trouble = f"{missing if error.not_found else ''}{error}"
                _log.warning("policies and runs not listed; tried again", error=self.trouble, seconds=pause)
            else:
                self.trouble = ""
                break
        return pause


def _watch(told: Told, began: Future[Callable[[], None]], ready: Future[None], ended: Future[str]) -> None:
    """In a thread: Kopf, until it ends. ``began`` gets what ends it."""
    assert handlers.policy_seen, "importing the module registers its handlers"

    async def watch() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        began.set_result(lambda: _call(loop, stop.set))
        tasks = await kopf.spawn_tasks(
            standalone=True,
            clusterwide=told.clusterwide,
            namespaces=told.namespaces,
            memo=told,
            stop_flag=stop,
            ready_flag=ready,
        )
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await _end_all()
        ended.set_result(next(filter(None, map(_error, done)), "they ended without an error"))

    try:
        asyncio.run(watch())
    except Exception as error:  # noqa: BLE001 - told of, and begun again, whatever it was
        if not ended.done():
            ended.set_result(f"{type(error).__name__}: {error}")


async def _end_all() -> None:
    """Cancel every other task of this loop until it has ended; one that takes no notice is left behind.

    Kopf's own end waits for its tasks, and one that asks for credentials again meanwhile gets none: it waits for ever.
    """
    for _ in range(_CANCELLED_TIMES):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        for task in left:
            task.cancel()
        ended, _ = await asyncio.wait(left, timeout=_CANCELLED_SECONDS)
        for task in ended:
            _error(task)  # or it is logged as never asked for


def _error(task: asyncio.Task[Any]) -> str:
    error = None if task.cancelled() else task.exception()
    return f"{type(error).__name__}: {error}" if error is not None else ""


def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # it has ended by itself
        loop.call_soon_threadsafe(what)
