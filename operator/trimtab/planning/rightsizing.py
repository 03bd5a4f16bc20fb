"""Sizes that containers may have: candidates within the policy's bounds, and memory from what was used."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from trimtab.domain.choices import ControlledResource, ControlledValues
from trimtab.domain.scaling import ContainerPolicy, Vertical
from trimtab.domain.status import Amounts, ContainerSize
from trimtab.domain.units import format_cpu, format_memory
from trimtab.planning.changes import amount

_GRID_CORES: Final = 0.01
CPU_MARGIN: Final = 1.15
"""Request over the 95th percentile of what is used."""
_MEMORY_DEADBAND: Final = 0.10
_SCALES: Final = tuple(round(0.40 + 0.05 * index, 2) for index in range(33))  # 0.40 to 2.00


@dataclass(frozen=True, slots=True)
class Usage:
    """What one container used over the history."""

    cpu_p95_cores: float
    """95th percentile of CPU usage a pod, in cores; NaN when unknown."""
    memory_peak_bytes: float
    """Largest working set of any pod; NaN when unknown."""
    memory_seconds: float = 0.0
    """How far back the memory is known."""
    cpu_now_cores: float = math.nan
    """CPU that all pods together use now, in cores; NaN when unknown."""


@dataclass(frozen=True, slots=True)
class SizeCandidate:
    """A way to size a pod."""

    containers: tuple[ContainerSize, ...]
    cpu_size: float
    """CPU in cores that a pod may use."""
    cpu_cores: float
    """CPU requested a pod."""
    memory_bytes: float
    """Memory requested a pod."""
    capped: str = ""
    """Which bound cut this candidate short, if any."""


def cpu_size(containers: tuple[ContainerSize, ...]) -> float:
    """CPU in cores that a pod may use: each container's limit, or its request where there is no limit."""
    return sum(amount(size.limits.cpu) or amount(size.requests.cpu) for size in containers)


def requested(containers: tuple[ContainerSize, ...]) -> tuple[float, float]:
    """(cores, bytes) that a pod requests; a limit stands in for a missing request, as the API server has it."""
    cores = sum(amount(size.requests.cpu) or amount(size.limits.cpu) for size in containers)
    size_bytes = sum(amount(size.requests.memory) or amount(size.limits.memory) for size in containers)
    return cores, size_bytes


def policy_for(vertical: Vertical, container: str) -> ContainerPolicy | None:
    """The container's own policy, else the one for ``*``, else None: then it is never touched."""
    by_name = {policy.container_name: policy for policy in vertical.container_policies}
    return by_name.get(container) or by_name.get("*")


def candidates(
    containers: tuple[ContainerSize, ...],
    vertical: Vertical | None,
    usage: dict[str, Usage],
    *,
    memory_margin: float,
    max_step: float,
    keep_memory: Container[str] = (),
) -> tuple[SizeCandidate, ...]:
    """The present size first, then every size within bounds and step that a plan may choose.

    CPU is varied on the container that may use most of it; memory of each follows what it used, but is not lowered in
    the containers named by ``keep_memory``.
    """
    present = size_of(containers)
    if vertical is None:
        return (present,)
    main = max(containers, key=lambda size: amount(size.limits.cpu) or amount(size.requests.cpu), default=None)
    with_memory = tuple(
        _memory(size, policy_for(vertical, size.name), usage, memory_margin, max_step, keep=size.name in keep_memory)
        for size in containers
    )
    found = [present, size_of(with_memory)]
    if main is not None and (policy := policy_for(vertical, main.name)) is not None:
        for resized in _cpu_sizes(main, policy, usage.get(main.name), max_step):
            sized = tuple(
                size.model_copy(
                    update={
                        "requests": size.requests.model_copy(update={"cpu": resized.requests.cpu}),
                        "limits": size.limits.model_copy(update={"cpu": resized.limits.cpu}),
                    }
                )
                if size.name == main.name
                else size
                for size in with_memory
            )
            found.append(size_of(sized))
    unique: dict[tuple[str, ...], SizeCandidate] = {}
    for candidate in found:
        unique.setdefault(tuple(size.model_dump_json() for size in candidate.containers), candidate)
    return tuple(unique.values())


def memory_short(containers: tuple[ContainerSize, ...], vertical: Vertical | None, usage: dict[str, Usage]) -> str:
    """Which container uses more memory than it requests, with the figures; empty when none does."""
    for size in containers:
        policy = policy_for(vertical, size.name) if vertical is not None else None
        request, used = amount(size.requests.memory) or amount(size.limits.memory), usage.get(size.name)
        if policy is None or ControlledResource.MEMORY not in policy.controlled_resources or used is None:
            continue
        if 0 < request < used.memory_peak_bytes:
            peak, requested_now = format_memory(used.memory_peak_bytes), format_memory(request)
            return f"memory of container {size.name} peaked at {peak}, above the {requested_now} it requests"
    return ""


def size_of(containers: tuple[ContainerSize, ...]) -> SizeCandidate:
    """What a pod of these containers may use and requests."""
    cores, size_bytes = requested(containers)
    return SizeCandidate(containers, cpu_size(containers), cores, size_bytes)


def _cpu_sizes(
    size: ContainerSize, policy: ContainerPolicy, usage: Usage | None, max_step: float
) -> list[ContainerSize]:
    """Sizes of one container that differ in CPU, on a grid of 10 millicores."""
    request = amount(size.requests.cpu) or amount(size.limits.cpu)
    if ControlledResource.CPU not in policy.controlled_resources or request <= 0:
        return []
    if policy.controlled_values is ControlledValues.REQUESTS_ONLY:
        if usage is None or not math.isfinite(usage.cpu_p95_cores):
            return []
        wanted = [usage.cpu_p95_cores * CPU_MARGIN]
    else:
        wanted = [request * scale for scale in _SCALES if scale != 1.0]
    sizes = []
    for cores in wanted:
        sized = bounded(on_cpu_grid(cores), policy.min_allowed.cpu, policy.max_allowed.cpu)
        sized = min(max(sized, request * (1 - max_step)), request * (1 + max_step))
        limit = amount(size.limits.cpu)
        keep_limit = policy.controlled_values is ControlledValues.REQUESTS_ONLY or not limit
        new_limit = size.limits.cpu if keep_limit else format_cpu(limit * sized / request)
        if keep_limit and limit:
            sized = min(sized, limit)
        sizes.append(
            size.model_copy(
                update={
                    "requests": Amounts(cpu=format_cpu(sized), memory=size.requests.memory),
                    "limits": Amounts(cpu=new_limit, memory=size.limits.memory),
                }
            )
        )
    return sizes


def _memory(
    size: ContainerSize,
    policy: ContainerPolicy | None,
    usage: dict[str, Usage],
    margin: float,
    max_step: float,
    *,
    keep: bool,
) -> ContainerSize:
    """The container with memory for its peak and a margin; small differences are left alone, and with ``keep`` less.

    A limit never comes below the peak and its margin, so that a smaller size cannot kill what runs.
    """
    request = amount(size.requests.memory) or amount(size.limits.memory)
    used = usage.get(size.name)
    if policy is None or ControlledResource.MEMORY not in policy.controlled_resources or request <= 0:
        return size
    if used is None or not math.isfinite(used.memory_peak_bytes) or used.memory_peak_bytes <= 0:
        return size
    floor = used.memory_peak_bytes * (1 + margin)
    wanted = bounded(floor, policy.min_allowed.memory, policy.max_allowed.memory)
    wanted = min(max(wanted, request * (1 - max_step)), request * (1 + max_step))
    if abs(wanted / request - 1) < _MEMORY_DEADBAND or (keep and wanted < request):
        return size
    limit = amount(size.limits.memory)
    if policy.controlled_values is ControlledValues.REQUESTS_ONLY or not limit:
        wanted, new_limit = (min(wanted, limit) if limit else wanted), size.limits.memory
    else:
        new_limit = format_memory(max(limit * wanted / request, floor))
    return size.model_copy(
        update={
            "requests": Amounts(cpu=size.requests.cpu, memory=format_memory(wanted)),
            "limits": Amounts(cpu=size.limits.cpu, memory=new_limit),
        }
    )


def bounded(value: float, low: float | None, high: float | None) -> float:
    """``value`` within bounds, of which each may be missing; NaN stays NaN."""
    return min(max(value, low if low is not None else 0.0), high if high is not None else math.inf)


def on_cpu_grid(cores: float) -> float:
    """Cores rounded up to 10 millicores, and at least that."""
    return max(_GRID_CORES, math.ceil(cores / _GRID_CORES - 1e-9) * _GRID_CORES)
