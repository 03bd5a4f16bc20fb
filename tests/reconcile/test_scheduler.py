"""The scheduler: what is due together is one batch, and a failure comes again."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from tests.planning.building import policy
from trimtab.adapters.telemetry import Telemetry
from trimtab.reconcile.scheduler import Scheduler, next_on_grid
from trimtab.reconcile.services import Services
from trimtab.reconcile.world import Key, World


class Ticks:
    """Services of which only clock and telemetry are used; time moves when asked for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.telemetry = Telemetry()

    def clock(self) -> float:
        self.now += 0.01
        return self.now


class Rounds:
    """Records each batch; fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.batches: list[list[Key]] = []
        self._failures = failures

    async def round(self, due: list[Key]) -> dict[Key, float]:
        self.batches.append(sorted(due))
        if self._failures:
            self._failures -= 1
            raise RuntimeError("no")
        return dict.fromkeys(due, 60.0)


def world_of(*names: str) -> World:
    policies = [policy(name=name, uid=name) for name in names]
    return World(policies={one.key: one for one in policies})


async def run_for(scheduler: Scheduler, seconds: float) -> None:
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_all_that_is_due_is_one_batch() -> None:
    rounds = Rounds()
    await run_for(Scheduler(rounds, world_of("a", "b"), cast(Services, Ticks())), 0.2)
    assert rounds.batches == [[("shop", "a"), ("shop", "b")]]


async def test_a_wake_brings_a_policy_forward() -> None:
    rounds = Rounds()
    scheduler = Scheduler(rounds, world_of("a", "b"), cast(Services, Ticks()))
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0.1)
    scheduler.wake(("shop", "b"))
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rounds.batches[1:] == [[("shop", "b")]]


async def test_a_failed_batch_does_not_end_the_scheduler() -> None:
    rounds, services = Rounds(failures=1), Ticks()
    scheduler = Scheduler(rounds, world_of("a"), cast(Services, services))
    task = asyncio.create_task(scheduler.run())
    while len(rounds.batches) < 2 and not task.done():
        services.now += 20.0
        await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rounds.batches == [[("shop", "a")], [("shop", "a")]]


@pytest.mark.parametrize(
    ("now", "interval", "wanted"),
    [(60.0, 60.0, 60.3), (60.3, 60.0, 120.3), (119.0, 60.0, 120.3), (0.4, 1.0, 1.3)],
)
def test_next_on_grid(now: float, interval: float, wanted: float) -> None:
    assert next_on_grid(now, interval) == pytest.approx(wanted)


def test_world_names_the_older_policy_as_rival() -> None:
    specs: dict[str, Any] = {"old": 1.0, "new": 2.0}
    world = World(policies={})
    for name, created in specs.items():
        one = policy(name=name, uid=name, created_at=created)
        world.policies[one.key] = one
    assert world.rivals() == {"new": "old"}
