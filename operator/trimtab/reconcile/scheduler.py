"""When policies are evaluated: on the grid of their intervals, so that those due together share their queries."""

from __future__ import annotations

import asyncio
import math
from typing import Final, Protocol

import structlog

from trimtab.reconcile.services import Services
from trimtab.reconcile.world import Key, World

_TICK_SECONDS: Final = 1.0
_SCRAPE_LAG_SECONDS: Final = 0.3
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Rounds(Protocol):
    """What evaluates policies."""

    async def round(self, due: list[Key]) -> dict[Key, float]:
        """Evaluate; the interval in seconds until each is due again."""
        ...


class Scheduler:
    """Takes the policies that are due and evaluates them in one batch, one batch at a time."""

    def __init__(self, rounds: Rounds, world: World, services: Services) -> None:
        self._rounds = rounds
        self._world = world
        self._services = services
        self._next_due: dict[Key, float] = {}
        self._woken = asyncio.Event()
        self.last_round = services.clock()

    def wake(self, key: Key) -> None:
        """Something about a policy changed: evaluate it in the next batch."""
        self._next_due[key] = 0.0
        self._woken.set()

    async def run(self) -> None:
        """Evaluate what is due, for ever; a batch that fails is logged, and comes again."""
        while True:
            now = self._services.clock()
            due = self._due(now)
            if due:
                await self._batch(due)
            self.last_round = self._services.clock()
            self._services.telemetry.beat(self.last_round)
            await self._rest()

    def _due(self, now: float) -> list[Key]:
        orphaned = {(run.namespace, run.policy_name) for run in self._world.orphans()}
        known = self._world.policies.keys() | orphaned
        for gone in self._next_due.keys() - known:
            del self._next_due[gone]
        return [key for key in known if self._next_due.get(key, 0.0) <= now]

    async def _batch(self, due: list[Key]) -> None:
        for key in due:
            self._next_due[key] = math.inf  # a wake during the batch sets it to 0 again
        try:
            with self._services.telemetry.round(len(due)):
                intervals = await self._rounds.round(due)
        except Exception:  # noqa: BLE001 - logged whole; a round must never end the scheduler
            _log.exception("round failed; its policies come again", policies=len(due))
            intervals = {}
        now = self._services.clock()
        _log.debug("round ended", policies=len(due))
        for key in due:
            if self._next_due.get(key) == math.inf:
                self._next_due[key] = next_on_grid(now, intervals.get(key, 10.0))

    async def _rest(self) -> None:
        soonest = min(self._next_due.values(), default=math.inf)
        wait = min(_TICK_SECONDS, max(soonest - self._services.clock(), 0.0))
        try:
            await asyncio.wait_for(self._woken.wait(), wait)
        except TimeoutError:
            return
        finally:
            self._woken.clear()
        await asyncio.sleep(0.05)  # events come in groups: let them share a batch


def next_on_grid(now: float, interval: float) -> float:
    """The next multiple of the interval, and a moment more so that its sample has been scraped.

    >>> next_on_grid(61.0, 60.0)
    120.3
    """
    return (math.floor((now - _SCRAPE_LAG_SECONDS) / interval) + 1) * interval + _SCRAPE_LAG_SECONDS
