"""What stands where a pattern was looked for and not found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NoPattern:
    """Why nothing of a kind was found."""

    reason: str
