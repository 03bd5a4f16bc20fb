"""When policies are evaluated: on the grid of their intervals, so that those due together share their queries."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from trimtab.adapters.kube import KubeError
from trimtab.adapters.lease_keeper import Term
from trimtab.reconcile.services import Services
from trimtab.reconcile.world import Key, World

_TICK_SECONDS: Final = 1.0
_SCRAPE_LAG_SECONDS: Final = 0.3
FIRST_LOOKS_SECONDS: Final = 10.0
"""About so long first looks take in a slice; whoever is due in the meantime goes before the next slice."""
_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 1.0, 30.0
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Rounds(Protocol):
    """What evaluates policies."""

    async def round(self, due: list[Key]) -> dict[Key, float]:
        """Evaluate; the interval in seconds until each is due again."""
        ...

    async def begin(self, term: Term) -> None:
        """Read again what a term covers, as others may have written it; raises KubeError."""
        ...

    async def end(self, term: Term) -> None:
        """End what is under way in a term, and forget what was known of what it covers."""
        ...

    async def call_off(self, key: Key) -> bool:
        """End and undo what of a policy's runs needs no metrics for it; whether nothing is left to try again."""
        ...

    def is_known(self, key: Key) -> bool:
        """Whether a policy was looked at before: the first look costs a hundred times as much as another."""
        ...

    def is_busy(self, key: Key) -> bool:
        """Whether an evaluation of a policy is still under way, as its metrics come late."""
        ...

    async def stop(self) -> None:
        """End what is under way."""
        ...


@dataclass(slots=True)
class FirstLooks:
    """How many policies are seen for the first time in one slice, by what the last slice took."""

    most: int = 25
    """At 0.4 s each, until it has been measured."""

    def took(self, count: int, seconds: float) -> None:
        """A slice of so many took so long; the next is at most twice as large.

        >>> looks = FirstLooks()
        >>> looks.took(25, 50.0); looks.most
        5
        >>> looks.took(5, 1.0); looks.most
        10
        """
        fits = math.floor(FIRST_LOOKS_SECONDS * count / max(seconds, 1e-3))
        self.most = max(1, min(fits, 2 * self.most))


class Scheduler:
    """Evaluates the policies that are due in batches, one batch at a time; runs are called off beside them."""

    def __init__(self, rounds: Rounds, world: World, services: Services) -> None:
        self._rounds = rounds
        self._world = world
        self._services = services
        self._next_due: dict[Key, float] = {}
        self._woken = asyncio.Event()
        self._first_looks = FirstLooks()
        self._urgent: set[Key] = set()
        self._called = asyncio.Event()
        self._calling_off: dict[Key, asyncio.Task[None]] = {}
        self.last_round = services.clock()

    def wake(self, key: Key) -> None:
        """Something about a policy changed: evaluate it in the next batch."""
        self._next_due[key] = 0.0
        self._woken.set()

    def hurry(self, key: Key) -> None:
        """Something of a policy is to be ended or undone, which waits for no batch and no metrics."""
        self.wake(key)
        self._urgent.add(key)
        self._called.set()

    async def run(self) -> None:
        """Evaluate what is due, for ever; a batch that fails is logged, and comes again."""
        hurrying = asyncio.create_task(self._hurry())
        try:
            while True:
                await self._change_hands()
                due = self._due(self._services.clock())
                await self._batch([key for key in due if self._rounds.is_known(key)])
                if not await self._first([key for key in due if not self._rounds.is_known(key)]):
                    await self._rest()
        finally:
            hurrying.cancel()
            for task in self._calling_off.values():
                task.cancel()
            await asyncio.gather(hurrying, *self._calling_off.values(), return_exceptions=True)
            await self._rounds.stop()

    async def _change_hands(self) -> None:
        """End terms that are over, and begin those that were won, once it is read what was written before them."""
        leases = self._services.leases
        for term in leases.ended():
            await self._rounds.end(term)
            leases.end(term)
        for term in leases.won():
            try:
                await self._rounds.begin(term)
            except KubeError as error:
                _log.warning("not taken over yet", namespace=term.covers or "all", error=str(error))
                continue
            leases.begin(term)
            self._next_due = {key: 0.0 if term.covers_namespace(key[0]) else at for key, at in self._next_due.items()}

    def _due(self, now: float) -> list[Key]:
        orphaned = {(run.namespace, run.policy_name) for run in self._world.orphans()}
        known = {key for key in self._world.policies.keys() | orphaned if self._services.leases.holds(key[0])}
        for gone in self._next_due.keys() - known:
            del self._next_due[gone]
        return sorted(key for key in known if self._next_due.get(key, 0.0) <= now and not self._rounds.is_busy(key))

    async def _first(self, due: list[Key]) -> int:
        """Look at some of the policies that are new, as many as fit into a slice; how many wait for the next."""
        some = due[: self._first_looks.most]
        began = self._services.clock()
        await self._batch(some)
        if some:
            self._first_looks.took(len(some), self._services.clock() - began)
            _log.debug("slice of first looks ended", policies=len(some), waiting=len(due) - len(some))
        return len(due) - len(some)

    async def _batch(self, due: list[Key]) -> None:
        if due:
            await self._evaluate(due)
        self.last_round = self._services.clock()
        self._services.telemetry.beat(self.last_round)

    async def _evaluate(self, due: list[Key]) -> None:
        self._services.leases.enter()
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

    async def _hurry(self) -> None:
        """Start calling off for each policy that is urgent, one at a time for each."""
        while True:
            await self._called.wait()
            self._called.clear()
            for key in self._urgent - self._calling_off.keys():
                self._calling_off[key] = asyncio.create_task(self._call_off(key))

    async def _call_off(self, key: Key) -> None:
        pause = _RETRY_SECONDS
        try:
            while key in self._urgent:
                self._urgent.discard(key)
                if not await self._is_called_off(key):
                    self._urgent.add(key)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_RETRY_SECONDS)
            self.wake(key)
        finally:
            del self._calling_off[key]

    async def _is_called_off(self, key: Key) -> bool:
        if not self._services.leases.holds(key[0]):
            return True  # whoever holds the lease does it, and we do once we hold it: all is due then
        self._services.leases.enter()
        try:
            return await self._rounds.call_off(key)
        except Exception:  # noqa: BLE001 - logged whole; it must be tried again
            _log.exception("not called off; comes again", policy=key[1], namespace=key[0])
            return False

    async def _rest(self) -> None:
        waiting = (at for key, at in self._next_due.items() if not self._rounds.is_busy(key))
        wait = min(_TICK_SECONDS, max(min(waiting, default=math.inf) - self._services.clock(), 0.0))
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
