"""Evaluations that go on beside the rounds because their metrics come late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from trimtab.domain.objects import Policy
from trimtab.reconcile.world import Key


@dataclass(slots=True)
class _UnderWay:
    policy: Policy
    overdue_at: float
    task: asyncio.Task[None]


@dataclass(slots=True)
class Late:
    """Policies that wait for their metrics: one evaluation of each."""

    _under_way: dict[Key, _UnderWay] = field(default_factory=dict)
    assessing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Late evaluations are assessed one by one, so that they do not keep the workers from those in time."""

    def __len__(self) -> int:
        return len(self._under_way)

    def __contains__(self, key: Key) -> bool:
        return key in self._under_way

    def start(self, policy: Policy, overdue_at: float, evaluation: Coroutine[Any, Any, None]) -> None:
        """Let an evaluation go on by itself; it is overdue from a time on, in unix seconds."""
        task = asyncio.create_task(evaluation)
        self._under_way[policy.key] = _UnderWay(policy, overdue_at, task)
        task.add_done_callback(lambda _: self._under_way.pop(policy.key, None))

    def overdue(self, now: float) -> list[Policy]:
        """Policies that have waited for too long."""
        return [one.policy for one in self._under_way.values() if now > one.overdue_at]

    async def stop(self, which: Callable[[Policy], bool] = lambda _: True) -> None:
        """End those of some policies, or all."""
        tasks = [one.task for one in self._under_way.values() if which(one.policy)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
