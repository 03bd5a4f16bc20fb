"""Anomaly: what an unusual stretch of a signal is told as."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.domain.choices import AnomalyKind, Severity


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One unusual stretch of one signal."""

    signal: str
    """``load``, ``replicas``, ``cpu/<container>``, ``memory/<container>`` or ``objective/<name>``."""
    kind: AnomalyKind
    severity: Severity
    start: float
    """Unix seconds of its first sample."""
    end: float | None
    """Unix seconds of its last sample; None while it goes on."""
    value: float
    """The sample furthest from what was expected, in the unit of the signal."""
    expected: float
    """What was expected at that sample."""
    score: float
    """Rarity of the strangest sample, 0 to 1."""
    evidence: str
    """One sentence with figures: why it is of this kind."""
