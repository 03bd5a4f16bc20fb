"""Fences: who asks, right before each write of the operator, whether it may still be sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Purpose(StrEnum):
    """What a write is for."""

    RECORD = "Record"
    """Status, Events, finalizers, and the deletion of runs that ended long ago."""
    START = "Start"
    """A new run."""
    CHANGE = "Change"
    """A workload gets other values: a trial begins, or replicas follow the demand."""
    UNDO = "Undo"
    """A workload gets its former values back."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A write that is about to be sent."""

    method: str
    path: str
    purpose: Purpose

    @property
    def namespace(self) -> str:
        """Namespace of the object; empty for what is in none."""
        parts = self.path.split("/")
        return parts[parts.index("namespaces") + 1] if "namespaces" in parts[:-1] else ""


@dataclass(frozen=True, slots=True)
class Admission:
    """A write may be sent."""

    seconds: float
    """It must have its answer by then."""
    check: Callable[[], None]
    """Asked once more when the connection stands and nothing has been sent; raises FencedError."""


class Fence(Protocol):
    """Lets writes pass, or not. All fences of a client are asked; one that says no is enough."""

    async def admit(self, write: Outgoing) -> Admission:
        """Raises FencedError, which says why not; anything else that it raises means no too."""
        ...
