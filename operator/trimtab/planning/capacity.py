"""Capacity of a replica: learned where an objective binds, else what stands in for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from trimtab.domain.policy import PolicySpec
from trimtab.domain.status import OperatingPoint
from trimtab.domain.units import parse_quantity
from trimtab.planning.assessment import Assessment
from trimtab.planning.performance_model import capacity_from_utilisation
from trimtab.planning.strategies import STRATEGIES, Strategy

_UNBOUND: Final = 0.999
"""A capacity this near to the largest load seen is bound by what was seen and not by the objective."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Load that a replica carries while all objectives hold."""

    load_per_replica: float
    source: str
    learned: bool


def capacity(assessment: Assessment, spec: PolicySpec, strategy: Strategy, cpu_size: float) -> Capacity:
    """Capacity of a replica of so many cores: the least over the objectives' curves, else the utilisation stand-in."""
    size = cpu_size if cpu_size > 0 else 1.0  # as the curves take a pod without requests and limits
    least, seen, binding = math.inf, math.inf, ""
    for objective in spec.objectives:
        curve = assessment.curves.get(objective.name)
        if curve is None:
            continue
        carried, limit = curve.capacity(objective.threshold, size, strategy.capacity_probability), curve.limit(size)
        if carried >= limit * _UNBOUND:
            seen = min(seen, limit)
        elif carried < least:
            least, binding = carried, objective.name
    if 0 < least < math.inf:
        return Capacity(least, f"learned: {binding} holds up to it", learned=True)
    if math.isfinite(assessment.cpu_per_load) and assessment.cpu_per_load > 0 and cpu_size > 0:
        target = strategy.utilisation_target
        stand_in = capacity_from_utilisation(assessment.cpu_per_load, cpu_size, target)
        if math.isfinite(seen) and seen > stand_in:
            return Capacity(seen, "objectives held at the largest load seen; its limit is not known yet", learned=False)
        return Capacity(stand_in, f"{target:.0%} CPU utilisation until a capacity is learned", learned=False)
    if math.isfinite(seen):
        return Capacity(seen, "objectives held at the largest load seen; its limit is not known yet", learned=False)
    why = next(iter(assessment.not_learned.values()), "no CPU usage was seen")
    return Capacity(math.nan, f"no capacity known: {why}", learned=False)


def effective_capacity(
    assessment: Assessment, spec: PolicySpec, strategy: Strategy, point: OperatingPoint, cpu_size: float
) -> Capacity:
    """Capacity under an operating point: what a run set, but never more than what is learned allows."""
    found = capacity(assessment, spec, strategy, cpu_size)
    if not point.load_per_replica:
        return found
    fixed = parse_quantity(point.load_per_replica)
    if found.learned and found.load_per_replica < fixed:
        return found
    return Capacity(fixed, f"operating point{f' of {point.from_}' if point.from_ else ''}", learned=True)


def strategy_of(spec: PolicySpec, point: OperatingPoint) -> Strategy:
    """The policy's strategy under an operating point's own headroom, where it has one."""
    strategy = STRATEGIES[spec.strategy]
    return replace(strategy, headroom=point.headroom_percent / 100) if point.headroom_percent else strategy
