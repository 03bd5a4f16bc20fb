"""Choices of count and size: which ones a policy allows, what each carries, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab.analytics.algebra import ROUNDING
from trimtab.domain.choices import Mode
from trimtab.domain.objects import Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run_status import FieldChange
from trimtab.domain.scaling import Horizontal
from trimtab.domain.series import FloatArray
from trimtab.domain.status import ContainerSize, OperatingPoint
from trimtab.planning import changes as fields
from trimtab.planning.hpa import CpuScaling
from trimtab.planning.performance_model import PerformanceCurve
from trimtab.planning.rightsizing import SizeCandidate, Usage, candidates, size_of
from trimtab.planning.shrinking import young_memory
from trimtab.planning.strategies import Strategy

HOURS_A_MONTH: Final = 730.0
_GIB: Final = 2.0**30


@dataclass(frozen=True, slots=True)
class Demand:
    """Demand that a plan provides for, in the load's unit."""

    now: float
    peak: float
    """The strategy's quantile of the largest demand over the horizon; never below what is seen now."""
    peak_at: float
    unit: str
    source: str
    """Where the peak comes from, in words."""
    profile: tuple[float, ...] = ()
    """Demand at evenly spaced quantiles of the history: what following costs on average is computed from it."""
    least: float = math.nan
    """Lower bound of a reliable forecast at its lowest, over horizon and trial; NaN without one."""


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """What a plan is made from."""

    spec: PolicySpec
    strategy: Strategy
    workload: Workload
    point: OperatingPoint
    demand: Demand
    capacity_of: Callable[[FloatArray], FloatArray]
    """Load that one replica carries while all objectives hold, by its CPU in cores, shape (n,); NaN when unknown."""
    capacity_source: str
    curves: Mapping[str, PerformanceCurve]
    usage: dict[str, Usage]
    breached: tuple[str, ...]
    load_seconds: float = math.inf
    """How far back the load is known."""
    startup_seconds: float = 0.0
    """Time that a pod takes to start."""
    scaling: CpuScaling | None = None
    """The HPA on CPU that sets the replicas in the policy's place."""


@dataclass(frozen=True, slots=True)
class Option:
    """A count and a size, what a replica then carries, and the cost a month."""

    replicas: int
    """Replicas at the demand that is provided for."""
    size: SizeCandidate
    capacity: float
    monthly: float
    restarts: float = 0.0
    """Cost, once, of the pods that start beside those they replace; 0 where no pod is replaced."""
    restarts_monthly: float = 0.0
    """Cost a month of doing so as often as the policy allows."""

    @property
    def weighed(self) -> float:
        """Cost a month with its restarts, by which options are compared."""
        return self.monthly + self.restarts_monthly

    def carries(self, need: float) -> bool:
        """Whether it carries so much; rounding is not what makes another replica."""
        return self.replicas * self.capacity >= need * (1.0 - ROUNDING)


def follows(horizontal: Horizontal | None) -> bool:
    """Whether replicas follow the demand between runs."""
    return horizontal is not None and horizontal.follow


def follows_by_itself(spec: PolicySpec) -> bool:
    """Whether the operator moves the replicas with the demand, without being asked."""
    return follows(spec.horizontal) and spec.mode is Mode.AUTO and not spec.paused


def monthly_cost(spec: PolicySpec, replicas: float, cpu_cores: float, memory_bytes: float) -> float:
    """Cost of the requests for 730 hours by the policy's prices."""
    hourly = cpu_cores * spec.cost.cpu_core_hour + memory_bytes / _GIB * spec.cost.memory_gi_b_hour
    return replicas * hourly * HOURS_A_MONTH


def options(inputs: PlanInputs, need: float, step: float) -> list[Option]:
    """The present choice first, then the best count for every size that may be chosen."""
    spec, workload = inputs.spec, inputs.workload
    sizes = candidates(
        workload.containers,
        spec.vertical,
        inputs.usage,
        memory_margin=inputs.strategy.memory_margin,
        max_step=min(step, 0.99) if math.isfinite(step) else 0.99,
        keep_memory=young_memory(spec, inputs.usage),
    )
    carried = inputs.capacity_of(np.array([size.cpu_size for size in sizes]))
    found = [_option(inputs, workload.replicas, sizes[0], float(carried[0]))]
    for size, capacity in zip(sizes, carried.tolist(), strict=True):
        found.append(_option(inputs, replicas_for(inputs, need, capacity, step), size, capacity))
    return found


def _growth(inputs: PlanInputs) -> float:
    """The demand that is provided for over that of now, which an HPA's usage grows by."""
    now, peak = inputs.demand.now, inputs.demand.peak
    return peak / now if math.isfinite(now) and now > 0 and peak > now else 1.0


def replicas_for(inputs: PlanInputs, need: float, capacity: float, step: float) -> int:
    """Replicas that carry the demand, within bounds and step."""
    horizontal, now = inputs.spec.horizontal, inputs.workload.replicas
    if horizontal is None or not (math.isfinite(capacity) and capacity > 0):
        return now
    wanted = math.ceil(need / capacity - 1e-9)
    floor = max(horizontal.min_replicas, inputs.strategy.min_replicas, inputs.point.min_replicas, 1)
    wanted = min(max(wanted, floor), max(horizontal.max_replicas, 1))
    if follows(horizontal):
        return wanted
    if not math.isfinite(step):
        return wanted
    return min(max(wanted, math.ceil(now * (1 - step) - 1e-9)), now + max(1, math.floor(now * step + 1e-9)))


def option(inputs: PlanInputs, replicas: int, containers: tuple[ContainerSize, ...]) -> Option:
    """The option of so many replicas with containers of these sizes."""
    size = size_of(containers)
    return _option(inputs, replicas, size, float(inputs.capacity_of(np.array([size.cpu_size]))[0]))


def _option(inputs: PlanInputs, replicas: int, size: SizeCandidate, capacity: float) -> Option:
    if inputs.scaling is not None:
        replicas = inputs.scaling.replicas_at(size.containers, _growth(inputs))
        average: float = inputs.scaling.replicas_at(size.containers)
    else:
        average = _average_count(inputs, capacity, replicas)
    monthly = monthly_cost(inputs.spec, average, size.cpu_cores, size.memory_bytes)
    restarts = restarts_cost(inputs, size)
    a_month = HOURS_A_MONTH / 24 * inputs.spec.guardrails.max_rollouts_per_day
    return Option(replicas, size, capacity, monthly, restarts, restarts * a_month)


def restarts_cost(inputs: PlanInputs, size: SizeCandidate) -> float:
    """Cost of a rollout to this size: while a new pod starts, the one that it replaces is paid for as well."""
    if size.containers == inputs.workload.containers:
        return 0.0
    hours = inputs.startup_seconds / 3600
    pod_hour = monthly_cost(inputs.spec, 1, size.cpu_cores, size.memory_bytes) / HOURS_A_MONTH
    return inputs.workload.replicas * hours * pod_hour


def grows_only(inputs: PlanInputs, choice: Option) -> bool:
    """Whether an option lowers nothing that a plan would write."""
    return not any(
        fields.lowers(change) and not (change.path == fields.REPLICAS and follows(inputs.spec.horizontal))
        for change in changes_to(inputs, choice)
    )


def _average_count(inputs: PlanInputs, capacity: float, replicas: int) -> float:
    """Replicas that run on average: where they follow, those that the history's demand would have had."""
    if not (follows(inputs.spec.horizontal) and inputs.demand.profile and math.isfinite(capacity) and capacity > 0):
        return replicas
    headroom = 1 + inputs.strategy.headroom
    counts = [replicas_for(inputs, demand * headroom, capacity, math.inf) for demand in inputs.demand.profile]
    return sum(counts) / len(counts)


def cheapest(options: list[Option], need: float) -> Option | None:
    """The cheapest that carries the demand, restarts paid; of equal ones the nearest to the present (the first)."""
    able = [choice for choice in options if choice.carries(need)]
    return min(able, key=lambda choice: round(choice.weighed, 2), default=None)


def changes_to(inputs: PlanInputs, chosen: Option) -> tuple[FieldChange, ...]:
    """The fields that differ; replicas are left out where an HPA sets them."""
    found, workload = [], inputs.workload
    if chosen.replicas != workload.replicas and inputs.scaling is None:
        found.append(FieldChange(path=fields.REPLICAS, from_=str(workload.replicas), to=str(chosen.replicas)))
    for before, after in zip(workload.containers, chosen.size.containers, strict=True):
        found.extend(_size_changes(before, after))
    return tuple(found)


def _size_changes(before: ContainerSize, after: ContainerSize) -> list[FieldChange]:
    pairs = [
        ("resources.requests.cpu", before.requests.cpu, after.requests.cpu),
        ("resources.limits.cpu", before.limits.cpu, after.limits.cpu),
        ("resources.requests.memory", before.requests.memory, after.requests.memory),
        ("resources.limits.memory", before.limits.memory, after.limits.memory),
    ]
    return [
        FieldChange(path=path, container=before.name, from_=old, to=new)
        for path, old, new in pairs
        if not fields.same(old, new)
    ]
