"""Slots for requests to one Prometheus: one that takes long leaves its slot to others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

_T = TypeVar("_T")
MOST_LENT: Final = 8
"""Requests under way whose slot was handed on: threads beyond those of both lanes."""


class Lanes:
    """A lane for the prompt and one, with few slots, for the slow."""

    def __init__(self, prompt: int, slow: int) -> None:
        self._prompt = asyncio.Semaphore(prompt)
        self._slow = asyncio.Semaphore(slow)
        self._lent = 0
        self.threads = prompt + slow + MOST_LENT

    @asynccontextmanager
    async def slot(self, *, slow: bool) -> AsyncIterator[Slot]:
        """Wait for a slot, and give it back."""
        lane = self._slow if slow else self._prompt
        await lane.acquire()
        held = Slot(self, slow=slow)
        try:
            yield held
        finally:
            if held.was_handed_on:
                self._lent -= 1
            else:
                lane.release()

    def lend(self) -> bool:
        """Let another request into the prompt lane beside one under way; false when too many are."""
        if self._lent >= MOST_LENT:
            return False
        self._lent += 1
        self._prompt.release()
        return True


class Slot:
    """What one request holds while it is under way."""

    def __init__(self, lanes: Lanes, *, slow: bool) -> None:
        self._lanes = lanes
        self._slow = slow
        self.was_handed_on = False

    async def answered_within(self, answer: asyncio.Future[_T], seconds: float) -> bool:
        """Whether the answer is there in time; if not, the slot goes to another request, and this one goes on."""
        done, _ = await asyncio.wait({answer}, timeout=max(seconds, 0.0))
        if not done and not self._slow and not self.was_handed_on:
            self.was_handed_on = self._lanes.lend()
        return bool(done)
