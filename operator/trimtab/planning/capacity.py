"""Capacity of a replica: learned where an objective binds, else what stands in for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from trimtab.domain.objects import Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.status import OperatingPoint
from trimtab.domain.units import parse_quantity
from trimtab.planning.findings import Assessment
from trimtab.planning.learning import Carried
from trimtab.planning.rightsizing import cpu_size as cpu_size_of
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
    sizes = np.array([cpu_size])
    least, seen, binding = _bounds(assessment, spec, strategy, sizes)
    if 0 < least[0] < math.inf:
        return Capacity(float(least[0]), f"learned: {binding[0]} holds up to it", learned=True)
    stand_in = float(_stand_in(assessment, strategy, sizes)[0])
    if math.isfinite(seen[0]) and not seen[0] <= stand_in:
        return Capacity(float(seen[0]), "objectives held at the largest load seen; its limit is not known yet", False)
    if math.isfinite(stand_in):
        target = f"{strategy.utilisation_target:.0%}"
        return Capacity(stand_in, f"{target} CPU utilisation until a capacity is learned", learned=False)
    why = next(iter(assessment.not_learned.values()), "no CPU usage was seen")
    return Capacity(math.nan, f"no capacity known: {why}", learned=False)


def running_cpu(workload: Workload, cpu_size: Series, now: float, max_age_seconds: float) -> float:
    """CPU in cores of the pods that run: the spec's size, but for as long as pods of another template are left that of
    the pods that are ready, as last measured. A size that no pod has carries nothing.
    """
    rollout = workload.rollout
    last = cpu_size.last()
    if (rollout.observed and rollout.updated >= rollout.total) or last is None or now - last[0] > max_age_seconds:
        return cpu_size_of(workload.containers)
    return last[1]


def capacities(assessment: Assessment, spec: PolicySpec, strategy: Strategy, cpu_sizes: FloatArray) -> FloatArray:
    """Load that a replica carries, by its CPU in cores, both shape (n,); NaN where nothing is known."""
    least, seen, _ = _bounds(assessment, spec, strategy, cpu_sizes)
    stand_in = _stand_in(assessment, strategy, cpu_sizes)
    otherwise = np.where(np.isfinite(seen), np.fmax(seen, stand_in), stand_in)
    return np.where((least > 0) & np.isfinite(least), least, otherwise)


def _bounds(
    assessment: Assessment, spec: PolicySpec, strategy: Strategy, cpu_sizes: FloatArray
) -> tuple[FloatArray, FloatArray, list[str]]:
    """By size: the least capacity that an objective binds, the least edge of what was seen, and which one binds."""
    sizes = np.where(cpu_sizes > 0, cpu_sizes, 1.0)  # as the curves take a pod without requests and limits
    least, seen = np.full(sizes.size, math.inf), np.full(sizes.size, math.inf)
    binding = [""] * sizes.size
    for objective in spec.objectives:
        curve = assessment.curves.get(objective.name)
        if curve is None:
            continue
        carried = curve.capacities(objective.threshold, sizes, strategy.capacity_probability)
        for index, (load, edge) in enumerate(zip(carried, curve.limits(sizes), strict=True)):
            if load >= edge * _UNBOUND:
                seen[index] = min(seen[index], edge)
            elif load < least[index]:
                least[index], binding[index] = load, objective.name
    return least, seen, binding


def _stand_in(assessment: Assessment, strategy: Strategy, cpu_sizes: FloatArray) -> FloatArray:
    """Load at the strategy's utilisation target, by size; NaN where CPU usage or size is unknown."""
    if not (math.isfinite(assessment.cpu_per_load) and assessment.cpu_per_load > 0):
        return np.full(cpu_sizes.size, math.nan)
    loads = strategy.utilisation_target * cpu_sizes / assessment.cpu_per_load
    return np.where(cpu_sizes > 0, loads, math.nan)


def effective_capacity(
    assessment: Assessment, spec: PolicySpec, strategy: Strategy, point: OperatingPoint, cpu_size: float
) -> Capacity:
    """Capacity under an operating point: what a run set, but never more than what is learned allows.

    While a new version is learned, that of the version before, and less where the new one takes more CPU for its load.
    """
    found = capacity(assessment, spec, strategy, cpu_size)
    if assessment.carried is not None:
        found = _as_before(assessment, assessment.carried, spec, strategy, cpu_size)
    if not point.load_per_replica:
        return found
    fixed = parse_quantity(point.load_per_replica)
    if found.learned and found.load_per_replica < fixed:
        return found
    return Capacity(fixed, f"operating point{f' of {point.from_}' if point.from_ else ''}", learned=True)


def _as_before(
    assessment: Assessment, carried: Carried, spec: PolicySpec, strategy: Strategy, cpu_size: float
) -> Capacity:
    former = replace(assessment, curves=carried.curves, cpu_per_load=carried.cpu_per_load)
    found = capacity(former, spec, strategy, cpu_size)
    dearer = assessment.cpu_per_load / carried.cpu_per_load if carried.cpu_per_load > 0 else math.nan
    load = found.load_per_replica / max(1.0, dearer) if math.isfinite(dearer) else found.load_per_replica
    return Capacity(load, f"of the version before, while this one is learned: {found.source}", found.learned)


def strategy_of(spec: PolicySpec, point: OperatingPoint) -> Strategy:
    """The policy's strategy under an operating point's own headroom, where it has one."""
    strategy = STRATEGIES[spec.strategy]
    return replace(strategy, headroom=point.headroom_percent / 100) if point.headroom_percent else strategy
