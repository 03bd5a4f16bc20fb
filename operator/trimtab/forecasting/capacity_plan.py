"""Capacity plan: what the highest demand of the coming days to months needs, and when a limit is met.

Needs are those of the present operating point, for the upper end of the expected peak's interval. Daily peaks and their
trend are in :mod:`trimtab.forecasting.daily_peaks`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab.domain.series import FloatArray
from trimtab.domain.units import format_cpu, format_memory, format_number
from trimtab.forecasting.daily_peaks import DAY, NoPeakTrend, PeakTrend

STAGES_DAYS: Final = (7, 30, 90, 180)
REACH: Final = 4.0
"""How many times as far as the history a plan looks: a line through few days says little about many."""


@dataclass(frozen=True, slots=True)
class NoCapacityPlan:
    """Why there is no capacity plan."""

    reason: str


@dataclass(frozen=True, slots=True)
class PodSize:
    """Resources of one pod; NaN for those that are not set."""

    cpu_cores: float = math.nan
    memory_bytes: float = math.nan
    cpu_limit_cores: float = math.nan
    memory_limit_bytes: float = math.nan


@dataclass(frozen=True, slots=True)
class Quota:
    """One ResourceQuota: amounts by resource (requests.cpu, requests.memory, limits.cpu, limits.memory, pods)."""

    name: str
    hard: dict[str, float]
    used: dict[str, float]


@dataclass(frozen=True, slots=True)
class NodeRoom:
    """What the nodes that take pods have in all; pods of others are not counted."""

    nodes: int
    cpu_cores: float
    memory_bytes: float
    pods: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a limit is not known."""

    reason: str


@dataclass(frozen=True, slots=True)
class Room:
    """Limits around a workload."""

    quotas: tuple[Quota, ...] | Unknown = Unknown("quotas were not read")
    nodes: NodeRoom | Unknown = Unknown("nodes were not read")


@dataclass(frozen=True, slots=True)
class Operating:
    """The present operating point: what a replica carries and asks for."""

    replicas: int
    capacity: float
    """Load that a replica is given; NaN when not known."""
    headroom: float
    pod: PodSize
    min_replicas: int = 1
    max_replicas: int | None = None


@dataclass(frozen=True, slots=True)
class CapacityNeed:
    """What will be needed so many days from now."""

    days: int
    peak: float
    """Expected highest demand around then."""
    lower: float
    upper: float
    """Interval of 90 %."""
    replicas: int
    """At the expected peak; unbounded by maxReplicas, as the other figures."""
    upper_replicas: int
    """At the upper end."""
    cpu_cores: float
    """That the replicas for the upper end request; NaN without a request."""
    memory_bytes: float


@dataclass(frozen=True, slots=True)
class LimitMet:
    """When the demand meets a limit."""

    name: str
    """maxReplicas, ``quota <name> <resource>`` or ``nodes <resource>``."""
    replicas: int
    """Replicas that fit under it."""
    at: float | None
    """Unix seconds at which the expected peak needs more; None when not within the plan's reach."""
    earliest: float | None
    """The same for the upper end of the interval."""
    message: str


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """Needs by date, and limits, the soonest first."""

    needs: tuple[CapacityNeed, ...]
    limits: tuple[LimitMet, ...]
    reach_days: int
    """How far the plan looks: 180 days, at most four times the history."""
    history_days: float
    growth_percent_per_month: float
    message: str
    unknown: tuple[str, ...]
    """Limits that are not known, and why."""


def plan(
    fitted: PeakTrend | NoPeakTrend, operating: Operating, room: Room, unit: str, now: float
) -> CapacityPlan | NoCapacityPlan:
    """Needs at 7, 30, 90 and 180 days within reach, and when each limit is met."""
    if isinstance(fitted, NoPeakTrend):
        return NoCapacityPlan(fitted.reason)
    if not (math.isfinite(operating.capacity) and operating.capacity > 0):
        return NoCapacityPlan("what a replica carries is not known yet")
    reach = int(min(STAGES_DAYS[-1], REACH * fitted.days))
    passed = (now - fitted.at) / DAY
    stages = [days for days in STAGES_DAYS if days <= reach] or [reach]
    days = np.arange(reach + 1, dtype=np.float64) + passed
    expected = np.array([operating_replicas(fitted.peak(day), operating) for day in days])
    upper = np.array([operating_replicas(fitted.interval(day)[1], operating) for day in days])
    limits, unknown = _limits(operating, room)
    met = [_met(name, fits, expected, upper, reach, now) for name, fits in limits]
    met.sort(key=lambda one: (one.at or math.inf, one.earliest or math.inf, one.replicas))
    base = fitted.peak(passed)
    growth = 100.0 * 30.0 * fitted.slope_per_day / base if base > 0 else 0.0
    needs = tuple(_need(fitted, operating, stage, passed) for stage in stages)
    return CapacityPlan(
        needs=needs,
        limits=tuple(met),
        reach_days=reach,
        history_days=fitted.days,
        growth_percent_per_month=growth,
        message=_message(fitted, needs[-1], met, reach, growth, unit),
        unknown=unknown,
    )


def operating_replicas(peak: float, operating: Operating) -> int:
    """Replicas for a demand at the present operating point, not bounded above."""
    need = min(peak * (1.0 + operating.headroom) / operating.capacity, 1e6)
    return max(math.ceil(need - 1e-9), operating.min_replicas, 1)


def _limits(operating: Operating, room: Room) -> tuple[list[tuple[str, int]], tuple[str, ...]]:
    """(name, replicas that fit) of each limit that is known, and why others are not."""
    found: list[tuple[str, int]] = []
    unknown = []
    pod = operating.pod
    sizes = {
        "requests.cpu": pod.cpu_cores,
        "requests.memory": pod.memory_bytes,
        "limits.cpu": pod.cpu_limit_cores,
        "limits.memory": pod.memory_limit_bytes,
        "pods": 1.0,
    }
    if operating.max_replicas is not None:
        found.append(("maxReplicas", operating.max_replicas))
    if isinstance(room.quotas, Unknown):
        unknown.append(f"quota: {room.quotas.reason}")
    else:
        for quota in room.quotas:
            for resource, size in sizes.items():
                hard = quota.hard.get(resource)
                if hard is not None and math.isfinite(size) and size > 0:
                    others = max(quota.used.get(resource, 0.0) - operating.replicas * size, 0.0)
                    found.append((f"quota {quota.name} {resource}", _fit(hard - others, size)))
    if isinstance(room.nodes, Unknown):
        unknown.append(f"node capacity: {room.nodes.reason}")
    else:
        nodes = room.nodes
        amounts = (("cpu", nodes.cpu_cores, pod.cpu_cores), ("memory", nodes.memory_bytes, pod.memory_bytes))
        for name, amount, size in (*amounts, ("pods", nodes.pods, 1.0)):
            if math.isfinite(size) and size > 0 and math.isfinite(amount):
                found.append((f"nodes {name}", _fit(amount, size)))
    return found, tuple(unknown)


def _fit(amount: float, size: float) -> int:
    return max(math.floor(amount / size + 1e-9), 0)


def _met(name: str, fits: int, expected: FloatArray, upper: FloatArray, reach: int, now: float) -> LimitMet:
    def first(needed: FloatArray) -> int | None:
        over = np.flatnonzero(needed > fits)
        return int(over[0]) if over.size else None

    day, early = first(expected), first(upper)
    allows = f"{name} allows {fits} {'replica' if fits == 1 else 'replicas'}"
    if day == 0:
        text = f"{allows}; the expected peak needs {int(expected[0])} already"
    elif day is not None:
        text = f"{allows}; the expected peak needs more in about {day} days, the upper end in {early}"
    elif early is not None:
        text = f"{allows}; expected to do for {reach} days, though the upper end needs more in {early} days"
    else:
        text = f"{allows}; not met within {reach} days"
    return LimitMet(
        name=name,
        replicas=fits,
        at=now + day * DAY if day is not None else None,
        earliest=now + early * DAY if early is not None else None,
        message=text,
    )


def _need(fitted: PeakTrend, operating: Operating, days: int, passed: float) -> CapacityNeed:
    lower, upper = fitted.interval(days + passed)
    replicas = operating_replicas(upper, operating)
    return CapacityNeed(
        days=days,
        peak=fitted.peak(days + passed),
        lower=lower,
        upper=upper,
        replicas=operating_replicas(fitted.peak(days + passed), operating),
        upper_replicas=replicas,
        cpu_cores=replicas * operating.pod.cpu_cores,
        memory_bytes=replicas * operating.pod.memory_bytes,
    )


def _message(
    fitted: PeakTrend, last: CapacityNeed, met: Sequence[LimitMet], reach: int, growth: float, unit: str
) -> str:
    """The plan in a sentence or three."""
    size = [text for text in (_cpu(last.cpu_cores), _memory(last.memory_bytes)) if text]
    text = (
        f"in {last.days} days a peak of {format_number(last.peak)} {unit}".rstrip()
        + f" ({format_number(last.lower)} to {format_number(last.upper)}) is expected"
        + f", {growth:+.0f} % a month: up to {last.upper_replicas} replicas"
        + (f" with {' and '.join(size)}" if size else "")
    )
    soonest = next((one for one in met if one.at is not None or one.earliest is not None), None)
    text += f"; {soonest.message}" if soonest else "; no known limit is met by then" if met else ""
    if reach < STAGES_DAYS[-1]:
        text += f"; {fitted.days:.0f} days of history allow to look {reach} days ahead"
    return f"{text}; {fitted.note}" if fitted.note else text


def _cpu(cores: float) -> str:
    return f"{format_cpu(cores)} CPU" if math.isfinite(cores) else ""


def _memory(size_bytes: float) -> str:
    return f"{format_memory(size_bytes)} memory" if math.isfinite(size_bytes) else ""
