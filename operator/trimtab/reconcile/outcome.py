"""What a round came to for one policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trimtab.domain.objects import Run
from trimtab.planning.conflicts import Conflict
from trimtab.planning.plans import Proposal
from trimtab.planning.steps import NoPlan

UNDO_REFUSED: Final = "UndoRefused"
"""Reason of Degraded=True, and of an Event, while the API server does not take a change back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round did and found for one policy, beside the situation."""

    proposal: Proposal | NoPlan
    conflicts: tuple[Conflict, ...]
    """What somebody else claims of what the policy may change."""
    following: str
    """What following did or why it held; empty where the policy does not follow."""
    wanted_replicas: int | None
    """Replicas that following asks for, acted on or not."""
    not_capacity: bool = False
    runs: tuple[Run, ...] = ()
    """Runs as they are after the round."""
    held: str = ""
    """What keeps the plan from being tried now; empty while nothing does."""
    failures: str = ""
    """Too many trials of the fleet failed; empty while new ones may begin."""
    paused: str = ""
    """Everything is paused: by whom and why."""
    trouble: str = ""
    """What of the evaluation failed while the rest went on; empty when nothing did."""
    store_problem: str | None = None
    """Why the store cannot be used; empty while it can, None where there is none."""
