"""Sizes recommended for the containers of a workload: those that a policy with the strategy Balanced would give."""

from __future__ import annotations

import math
from typing import Final

from trimtab.domain.choices import ControlledResource, ControlledValues, StrategyName
from trimtab.domain.scaling import ContainerPolicy, Vertical
from trimtab.domain.status import Amounts, ContainerSize
from trimtab.planning.changes import amount
from trimtab.planning.rightsizing import Usage, candidates
from trimtab.planning.strategies import STRATEGIES
from trimtab.reporting.analysis import ContainerEntry, Sizing

_MARGIN: Final = STRATEGIES[StrategyName.BALANCED].memory_margin
_CPU_DEADBAND: Final = 0.10
"""Share of the request by which CPU may differ before a change is recommended, as with memory."""
_STAND_IN: Final = Amounts(cpu="1M", memory="1Ei")
"""For a request that is not set; no usage comes near it."""


def _only(resource: ControlledResource, values: ControlledValues) -> Vertical:
    return Vertical(container_policies=[ContainerPolicy(controlled_resources=[resource], controlled_values=values)])


_CPU: Final = _only(ControlledResource.CPU, ControlledValues.REQUESTS_ONLY)
_MEMORY: Final = _only(ControlledResource.MEMORY, ControlledValues.REQUESTS_AND_LIMITS)
"""A memory limit moves with its request, and never below the peak and its margin; a CPU limit stays."""


def container_entry(size: ContainerSize, usage: Usage | None) -> ContainerEntry:
    """A container with what it uses and should request; NaN where its usage is not known.

    >>> from trimtab.domain.status import Amounts
    >>> size = ContainerSize(name="app", requests=Amounts(cpu="500m", memory="1Gi"))
    >>> entry = container_entry(size, Usage(cpu_p95_cores=0.2, memory_peak_bytes=400 * 2.0**20))
    >>> entry.cpu.recommended, entry.memory.recommended / 2**20
    (0.23, 480.0)
    """
    used = usage or Usage(math.nan, math.nan)
    requests = Amounts(
        cpu=size.requests.cpu or size.limits.cpu or _STAND_IN.cpu,
        memory=size.requests.memory or size.limits.memory or _STAND_IN.memory,
    )
    given = size.model_copy(update={"requests": requests})
    by_cpu, by_memory = _sized(given, used, _CPU), _sized(given, used, _MEMORY)
    request = amount(requests.cpu)
    cores = amount(by_cpu.requests.cpu)
    cores = request if abs(cores / request - 1.0) < _CPU_DEADBAND else cores
    has_cpu = math.isfinite(used.cpu_p95_cores)
    has_memory = math.isfinite(used.memory_peak_bytes) and used.memory_peak_bytes > 0
    return ContainerEntry(
        size.name,
        Sizing(
            request=amount(size.requests.cpu) or amount(size.limits.cpu),
            limit=amount(size.limits.cpu),
            used=used.cpu_p95_cores,
            recommended=cores if has_cpu else math.nan,
            recommended_limit=amount(by_cpu.limits.cpu),
        ),
        Sizing(
            request=amount(size.requests.memory) or amount(size.limits.memory),
            limit=amount(size.limits.memory),
            used=used.memory_peak_bytes,
            recommended=amount(by_memory.requests.memory) if has_memory else math.nan,
            recommended_limit=amount(by_memory.limits.memory),
        ),
    )


def _sized(size: ContainerSize, used: Usage, vertical: Vertical) -> ContainerSize:
    """The last candidate is the one that follows the usage."""
    found = candidates((size,), vertical, {size.name: used}, memory_margin=_MARGIN, max_step=math.inf)
    return found[-1].containers[0]


def pod_sizing(parts: tuple[Sizing, ...]) -> Sizing:
    """All containers of a pod together; one without a recommendation is counted with what it requests."""
    known = [part for part in parts if math.isfinite(part.recommended)]
    return Sizing(
        request=sum(part.request for part in parts),
        limit=sum(part.limit for part in parts),
        used=sum(part.used for part in parts if math.isfinite(part.used)) if known else math.nan,
        recommended=sum(part.recommended if part in known else part.request for part in parts) if known else math.nan,
        recommended_limit=sum(part.recommended_limit for part in parts),
    )
