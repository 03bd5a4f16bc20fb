"""Workers: order and errors are kept, and a process that dies takes only its own round with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from trimtab.adapters.workers import OverBudgetError, Workers


def half(number: int) -> int:
    """Half of an even number; dies on 13."""
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number // 2


@pytest.mark.parametrize("processes", [0, 1])
async def test_results_come_in_order_and_errors_in_their_place(processes: int) -> None:
    workers = Workers(processes)
    try:
        results = await workers.map(half, list(range(12)))
    finally:
        workers.close()
    assert [result for result in results if isinstance(result, int)] == list(range(6))
    assert [type(result) for result in results[:4]] == [int, ValueError, int, ValueError]


async def test_a_dead_worker_is_replaced() -> None:
    workers = Workers(1)
    try:
        kept, lost = await workers.map(half, [2, 13])
        assert kept == 1, "only the input that costs a process fails"
        assert isinstance(lost, BrokenProcessPool)
        assert await workers.map(half, [2, 4]) == [1, 2]
    finally:
        workers.close()


def busy(number: int) -> int:
    """Never ends for 7."""
    while number == 7:
        number += 0
    return number


def asleep(number: int) -> int:
    """Hangs for 7 where no signal is heeded, as in a library's own code."""
    if number == 7:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF])
        time.sleep(3600)
    return number


@pytest.mark.parametrize("processes", [0, 1])
async def test_what_takes_more_than_its_budget_is_interrupted(processes: int) -> None:
    workers = Workers(processes, budget_seconds=0.2)
    try:
        first, second, third = await workers.map(busy, [6, 7, 8])
    finally:
        workers.close()
    assert (first, third) == (6, 8)
    assert isinstance(second, OverBudgetError)
    assert str(second) == "took more than 0.2 s of processor time"


async def test_a_worker_that_hangs_is_killed() -> None:
    workers = Workers(1, budget_seconds=0.5)
    try:
        first, second, third = await workers.map(asleep, [6, 7, 8])
    finally:
        workers.close()
    assert (first, third) == (6, 8)
    assert isinstance(second, OverBudgetError)


def test_workers_end_with_an_operator_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(
        "import asyncio, os, signal\n"
        "from trimtab.adapters.workers import Workers\n"
        "async def main():\n"
        "    print((await Workers(1).map(pid_of, [1]))[0], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "def pid_of(_):\n"
        "    return os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    worker = Path(f"/proc/{int(done.stdout)}")
    deadline = time.monotonic() + 60
    while worker.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not worker.exists()
