"""The scheduler: what is due together is one batch, and a failure comes again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.planning.building import policy, policy_spec, run
from trimtab.adapters.telemetry import Telemetry
from trimtab.domain.objects import InvalidSpec
from trimtab.domain.run import Phase
from trimtab.domain.run_status import RunStatus
from trimtab.reconcile.scheduler import Scheduler, next_on_grid
from trimtab.reconcile.services import Services
from trimtab.reconcile.world import Key, Rivals, World


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


FAULTY = policy_spec(objectives=[{"name": "p99", "query": "up[", "max": 1}])
OLDER_POLICIES: dict[str, tuple[Any, bool]] = {
    "acts": (policy_spec(), True),
    "waits for approval": (policy_spec(mode="Approve"), True),
    "paused": (policy_spec(paused=True), True),
    "recommends": (policy_spec(mode="Recommend"), False),
    "observes": (policy_spec(mode="Observe"), False),
    "invalid": (InvalidSpec("spec.mode: no such mode"), False),
    "a query that does not parse": (FAULTY, False),
}


@pytest.mark.parametrize(("spec", "acts"), OLDER_POLICIES.values(), ids=OLDER_POLICIES.keys())
def test_an_older_policy_goes_first_only_if_it_may_act(spec: Any, acts: bool) -> None:
    old = policy(name="old", uid="old", created_at=1.0, spec=spec)
    new = policy(name="new", uid="new", created_at=2.0)
    world = World(policies={one.key: one for one in (new, old)})
    both = {"old": Rivals(younger=("new",)), "new": Rivals(older="old")}
    assert world.rivals() == (both if acts else {})


def test_a_policy_that_recommends_again_goes_first_until_its_trial_has_ended() -> None:
    old = policy(policy_spec(mode="Recommend"), name="old", uid="old", created_at=1.0)
    new = policy(name="new", uid="new", created_at=2.0)
    trial = run(RunStatus(phase=Phase.VALIDATING), policy_name="old")
    world = World(policies={one.key: one for one in (new, old)}, runs={trial.key: trial})
    assert world.rivals()["new"].older == "old"
    world.runs[trial.key] = replace(trial, status=RunStatus(phase=Phase.ROLLED_BACK))
    assert world.rivals() == {}


def test_a_policy_that_may_not_act_itself_has_no_rival() -> None:
    old = policy(name="old", uid="old", created_at=1.0)
    new = policy(policy_spec(mode="Recommend"), name="new", uid="new", created_at=2.0)
    assert World(policies={one.key: one for one in (new, old)}).rivals() == {}
