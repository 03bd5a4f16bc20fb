"""Lowering waits until enough was seen: a day holds the hours of the load, and a week what memory peaks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from trimtab.domain.choices import Mode
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run_status import FieldChange
from trimtab.domain.status_types import format_time
from trimtab.domain.units import format_duration
from trimtab.planning import changes as fields
from trimtab.planning.rightsizing import Usage

_ENOUGH: Final = 0.99
"""Share of the history asked for that counts as all of it: a sample may be missing at its end."""


def history_to_shrink(spec: PolicySpec) -> float:
    """Seconds of load that must be known before anything is lowered; never more than is read."""
    return min(spec.guardrails.min_history_to_shrink, spec.analysis.history)


def memory_to_shrink(spec: PolicySpec) -> float:
    """Seconds of memory that must be known before memory is lowered; never more than is read."""
    return min(spec.guardrails.min_history_to_shrink_memory, spec.analysis.history)


def too_young(known_seconds: float, needed_seconds: float) -> bool:
    """Whether what is known is less than what is needed; a NaN is."""
    return not known_seconds >= _ENOUGH * needed_seconds


def young_memory(spec: PolicySpec, usage: Mapping[str, Usage]) -> frozenset[str]:
    """Containers whose memory the operator may not lower by itself yet."""
    if spec.mode is not Mode.AUTO:
        return frozenset()
    needed = memory_to_shrink(spec)
    return frozenset(name for name, used in usage.items() if too_young(used.memory_seconds, needed))


def why_not_lowered(
    spec: PolicySpec, changes: Iterable[FieldChange], load_seconds: float, usage: Mapping[str, Usage], now: float
) -> str:
    """Why these changes wait for more history, by field; empty when they do not.

    ``load_seconds`` is how far back the load is known at ``now`` (unix seconds).
    """
    return "; ".join(dict.fromkeys(_reasons(spec, changes, load_seconds, usage, now)))


def _reasons(
    spec: PolicySpec, changes: Iterable[FieldChange], load_seconds: float, usage: Mapping[str, Usage], now: float
) -> Iterator[str]:
    for change in changes:
        if not fields.lowers(change):
            continue
        if change.path.endswith(".memory"):
            used = usage.get(change.container)
            known, needed = used.memory_seconds if used is not None else 0.0, memory_to_shrink(spec)
            field = "minHistoryToShrinkMemory"
        else:
            known, needed, field = load_seconds, history_to_shrink(spec), "minHistoryToShrink"
        if too_young(known, needed):
            seen, least = format_duration(max(known, 0.0), to=1), format_duration(needed, to=1)
            until = format_time(now + needed - max(known, 0.0))
            yield f"{change.path} is lowered after {least} of history ({field}); {seen} are known: not before {until}"
