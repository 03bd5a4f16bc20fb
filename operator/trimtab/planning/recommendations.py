"""Recommendations: what should be done for a workload, ranked, each with its reason, evidence, effect and cost.

Advice is collected from its parts, freed of what contradicts itself, and ranked: what breaks or endangers objectives
first, by how directly it does; then what saves, by the saving a month weighed by its confidence.
``docs/health.md`` lists the kinds. Nothing here reads a clock or remembers: the keys of the round before keep advice
from flapping.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trimtab.domain.choices import Severity
from trimtab.planning.advice import Advice, AdviceKind, RecommendInputs
from trimtab.planning.advice_data import data_advice
from trimtab.planning.advice_objectives import objective_advice
from trimtab.planning.advice_replicas import replica_advice
from trimtab.planning.advice_schedule import schedule_advice
from trimtab.planning.advice_sizes import size_advice

__all__ = ["Advice", "AdviceKind", "RecommendInputs", "recommend"]

MOST_ADVICE: Final = 20
_ORDER: Final = {kind: place for place, kind in enumerate(AdviceKind)}
_GRAVITY: Final = {severity: place for place, severity in enumerate(Severity)}
_FEWER: Final = frozenset({AdviceKind.TOO_MANY_REPLICAS, AdviceKind.FOLLOW, AdviceKind.SCHEDULE})
"""Ways to run fewer replicas, of which one is advised."""
_REDUCING: Final = frozenset(
    {AdviceKind.TOO_MANY_REPLICAS, AdviceKind.REDUCE_CPU_REQUEST, AdviceKind.REDUCE_MEMORY_REQUEST}
)
_SHORT: Final = frozenset(
    {AdviceKind.TOO_FEW_REPLICAS, AdviceKind.MAX_REPLICAS_REACHED, AdviceKind.MAX_REPLICAS_TOO_LOW}
)

_NOT_WHEN_SHORT: Final = frozenset(
    {AdviceKind.FOLLOW, AdviceKind.SCHEDULE, AdviceKind.SINGLE_REPLICA, AdviceKind.NOT_CAPACITY}
)


def recommend(inputs: RecommendInputs) -> tuple[Advice, ...]:
    """The advice for a workload, the most valuable first, at most 20; never raises on odd numbers.

    >>> from trimtab.domain.history import WorkloadHistory
    >>> from trimtab.domain.policy import PolicySpec
    >>> from trimtab.domain.series import Series, empty
    >>> from trimtab.domain.status import Amounts, ContainerSize
    >>> from trimtab.planning.rightsizing import Usage
    >>> import numpy as np
    >>> week = Series(0.0, 60.0, np.full(10_080, 0.8))
    >>> seen = recommend(RecommendInputs(
    ...     PolicySpec.model_validate({"targetRef": {"kind": "Deployment", "name": "shop"}}), "deployment/shop",
    ...     (ContainerSize(name="app", requests=Amounts(cpu="1", memory="1Gi"), limits=Amounts(memory="1Gi")),), 4,
    ...     WorkloadHistory(week, empty(60.0), empty(60.0), {"app": week}), {"app": Usage(0.2, 0.8 * 2**30)},
    ...     week.end, managed=False))
    >>> seen[0].title, round(seen[0].monthly_saving, 2), seen[0].confidence_percent
    ('Reduce the CPU request of app from 1 to 230m', 71.07, 95)
    >>> seen[0].how
    'kubectl set resources deployment/shop -c app --requests=cpu=230m'
    """
    found: dict[str, Advice] = {}
    for part in (size_advice, replica_advice, schedule_advice, objective_advice, data_advice):
        for one in part(inputs):
            found.setdefault(one.key, one)
    kept = _consistent(inputs, list(found.values()))
    return tuple(sorted(kept, key=_rank)[:MOST_ADVICE])


def _rank(one: Advice) -> tuple[int, float, int, str]:
    saving = -round(one.expected_saving, 2) if one.severity is Severity.INFO else 0.0
    return -_GRAVITY[one.severity], saving, _ORDER[one.kind], one.subject


def _consistent(inputs: RecommendInputs, found: list[Advice]) -> list[Advice]:
    """The advice that can all be followed at once."""
    kinds = {one.kind for one in found}
    dropped: set[str] = set()
    short = bool(kinds & _SHORT)
    if inputs.broken or short:
        dropped |= _keys(found, _REDUCING)
    if short:
        dropped |= _keys(found, _NOT_WHEN_SHORT)
    if AdviceKind.PRE_SCALE in kinds:
        dropped |= _keys(found, {AdviceKind.TOO_MANY_REPLICAS})
    fewer = _best(one for one in found if one.kind in _FEWER and one.key not in dropped)
    dropped |= {one.key for one in found if one.kind in _FEWER and one is not fewer}
    if fewer is not None and fewer.kind is not AdviceKind.SCHEDULE and not inputs.capacity_learned:
        dropped |= _double_counted(found, fewer, dropped)
    for one in found:
        same = {other.kind: other.key for other in found if other.subject == one.subject and other is not one}
        if one.kind is AdviceKind.OBJECTIVE_TOO_TIGHT:
            dropped |= {same[kind] for kind in (AdviceKind.NOT_CAPACITY, AdviceKind.OBJECTIVE_BREACHED) if kind in same}
    return [one for one in found if one.key not in dropped]


def _double_counted(found: list[Advice], fewer: Advice, dropped: set[str]) -> set[str]:
    """Fewer replicas, or smaller ones, by the same unused CPU: while no capacity is learned the better of both."""
    smaller = [one for one in found if one.kind is AdviceKind.REDUCE_CPU_REQUEST and one.key not in dropped]
    saved = sum(one.expected_saving for one in smaller)
    return {one.key for one in smaller} if fewer.expected_saving > saved else ({fewer.key} if smaller else set())


def _best(advice: Iterable[Advice]) -> Advice | None:
    return max(advice, key=lambda one: (one.expected_saving, -_ORDER[one.kind]), default=None)


def _keys(found: list[Advice], kinds: Iterable[AdviceKind]) -> set[str]:
    wanted = set(kinds)
    return {one.key for one in found if one.kind in wanted}
