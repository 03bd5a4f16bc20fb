"""Worker processes for the analysis, so that the event loop stays free; a broken pool is replaced."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import structlog

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_CHUNK = 8
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Workers:
    """Runs pure functions over many inputs; with no processes, in the calling thread."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    async def map(self, function: Callable[[_In], _Out], inputs: Sequence[_In]) -> list[_Out | Exception]:
        """The function's value for each input, in order; an exception stands for the input that raised it."""
        if not inputs:
            return []
        if self._processes == 0:
            return _run_chunk(function, inputs)
        loop = asyncio.get_running_loop()
        chunks = [inputs[start : start + _CHUNK] for start in range(0, len(inputs), _CHUNK)]
        try:
            results = await asyncio.gather(
                *(loop.run_in_executor(self._ready(), _run_chunk, function, chunk) for chunk in chunks)
            )
        except BrokenProcessPool as error:
            _log.warning("worker process died; started anew", error=str(error))
            self.close()
            return [error for _ in inputs]
        return [result for chunk in results for result in chunk]

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _ready(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # the operator has threads, which fork would tear
            self._pool = ProcessPoolExecutor(self._processes, mp_context=context, initializer=_prepare)
        return self._pool


def _prepare() -> None:
    """Leave signals to the operator, and end with it even when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


def _run_chunk(function: Callable[[_In], _Out], inputs: Sequence[_In]) -> list[_Out | Exception]:
    results: list[_Out | Exception] = []
    for item in inputs:
        try:
            results.append(function(item))
        except Exception as error:  # noqa: BLE001 - one odd workload must not take the others' round with it
            results.append(error)
    return results
