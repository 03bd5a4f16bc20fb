"""Worker processes for the analysis, so that the event loop stays free; one that dies or hangs is replaced.

Each input has a budget of processor time: beyond it the function is interrupted, and a process that takes no notice of
that is killed. What was lost with a process is tried again, each input by itself: only the one that costs it fails.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeVar

import structlog

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_CHUNK = 8
BUDGET_SECONDS: Final = 10.0
"""Processor time of one input: 25 times what a week of samples takes when it is seen first."""
_KILLED_AFTER: Final = 2.0
_MORE_FOR_EACH: Final = 0.5
"""Wall-clock time that a process has for one input, in budgets, since others use the processor too, and what it has
more for each further input of a chunk. One that hangs costs 5.5 budgets in a full chunk, then 2 by itself and 2 without
insights: less than the two minutes after which /healthz says that no round ends."""
_LEAST_SECONDS: Final = 5.0
"""However small the budget is."""
_START_SECONDS: Final = 300.0
"""For a process to start, which takes long on a busy machine."""
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class OverBudgetError(Exception):
    """The function took more time than one input may."""


class Workers:
    """Runs pure functions over many inputs; with no processes, in the calling thread."""

    def __init__(self, processes: int, budget_seconds: float = BUDGET_SECONDS) -> None:
        self._processes = processes
        self._budget = budget_seconds
        self._free: asyncio.Queue[_Process] | None = None
        self._all: list[_Process] = []

    async def map(self, function: Callable[[_In], _Out], inputs: Sequence[_In]) -> list[_Out | Exception]:
        """The function's value for each input, in order; an exception stands for the input that raised it."""
        if not inputs:
            return []
        if self._processes == 0:
            return _run_chunk(function, inputs, self._budget)
        chunks = [inputs[start : start + _CHUNK] for start in range(0, len(inputs), _CHUNK)]
        results = await asyncio.gather(*(self._chunk(function, chunk) for chunk in chunks))
        return [result for chunk in results for result in chunk]

    def close(self) -> None:
        """End the processes."""
        for process in self._all:
            process.close()
        self._all, self._free = [], None

    async def _chunk(self, function: Callable[[_In], _Out], chunk: Sequence[_In]) -> list[_Out | Exception]:
        """The values of one chunk; where it is lost with its process, of one input after another."""
        free = self._ready()
        process = await free.get()
        try:
            return await process.run(function, chunk, self._budget)
        except (BrokenProcessPool, OverBudgetError) as error:
            _log.warning("worker process lost; started anew", inputs=len(chunk), error=str(error))
            if len(chunk) == 1:
                return [error]
        finally:
            free.put_nowait(process)
        return [result for item in chunk for result in await self._chunk(function, [item])]

    def _ready(self) -> asyncio.Queue[_Process]:
        if self._free is None:
            self._free = asyncio.Queue()
            self._all = [_Process() for _ in range(self._processes)]
            for process in self._all:
                self._free.put_nowait(process)
        return self._free


class _Process:
    """A process that is started when it is needed, and again when it is lost."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, function: Callable[[_In], _Out], chunk: Sequence[_In], budget: float) -> list[_Out | Exception]:
        """Raises BrokenProcessPool where the process dies, OverBudgetError where it had to be killed."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # the operator has threads, which fork would tear
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_prepare, initargs=(os.getpid(),))
            await self._answered(_START_SECONDS, _has_started, function)
        seconds = max(_LEAST_SECONDS, (_KILLED_AFTER + _MORE_FOR_EACH * (len(chunk) - 1)) * budget)
        return await self._answered(seconds, _run_chunk, function, chunk, budget)

    async def _answered(self, seconds: float, call: Callable[..., _Out], *arguments: object) -> _Out:
        assert self._pool is not None, "started before"
        answer = asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)
        try:
            return await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            self._kill()
            raise OverBudgetError(f"no answer within {seconds:g} s") from None
        except BrokenProcessPool:
            self.close()
            raise

    def close(self) -> None:
        """End it; it starts again when it is needed."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _kill(self) -> None:
        for process in list((self._pool._processes if self._pool else {}).values()):
            process.kill()
        self.close()


def _prepare(parent: int) -> None:
    """Leave signals to the operator, and end with it even when it is killed, also while this process starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _has_started(_function: object) -> None:
    """Says that the process is there, and that the function's module is imported."""


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


def _run_chunk(function: Callable[[_In], _Out], inputs: Sequence[_In], budget: float) -> list[_Out | Exception]:
    results: list[_Out | Exception] = []
    for item in inputs:
        try:
            with _interrupted_after(budget):
                result: _Out | Exception = function(item)
        except Exception as error:  # noqa: BLE001 - one odd workload must not take the others' round with it
            result = error
        results.append(result)
    return results


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    """Raises OverBudgetError where the code is, after so much processor time and again each time it goes on as long."""
    if threading.current_thread() is not threading.main_thread():  # others get no signals
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise OverBudgetError(f"took more than {seconds:g} s of processor time")

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
