"""What an HPA on CPU utilisation makes of a change of requests: utilisation is usage over requests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trimtab.domain.autoscalers import Autoscaler, CpuTarget
from trimtab.domain.status import ContainerSize
from trimtab.domain.units import format_cpu
from trimtab.planning.changes import amount
from trimtab.planning.rightsizing import Usage

_TOLERANCE: Final = 0.1
"""The HPA's own default: closer to the target it does nothing."""


@dataclass(frozen=True, slots=True)
class CpuScaling:
    """An HPA on CPU utilisation, and what it sees now."""

    title: str
    """Kind and name of the HPA."""
    target: CpuTarget
    replicas: int
    """Replicas that run now."""
    cores: float
    """CPU that all of them use together, of the containers that count."""

    def replicas_at(self, containers: Iterable[ContainerSize], growth: float = 1.0) -> int:
        """Replicas that the HPA runs with these requests, at ``growth`` times the present usage."""
        request, now = self.requested(containers), self.replicas
        if request <= 0 or now == 0:
            return now  # without a request the HPA has no utilisation, at zero it is switched off
        ratio = self.cores * growth / (now * request * self.target.percent / 100)
        wanted = now if abs(ratio - 1.0) <= _TOLERANCE else math.ceil(now * ratio - 1e-9)
        return min(max(wanted, self.target.min_replicas), self.target.max_replicas)

    def requested(self, containers: Iterable[ContainerSize]) -> float:
        """CPU that a pod requests, of the containers that count; a limit stands in for a missing request."""
        return sum(
            amount(size.requests.cpu) or amount(size.limits.cpu)
            for size in containers
            if self.target.container in ("", size.name)
        )

    def evidence(self, before: Iterable[ContainerSize], after: Iterable[ContainerSize]) -> str:
        """How the replicas that it will run are computed."""
        before, after = tuple(before), tuple(after)
        used, old, new = format_cpu(self.cores), self.requested(before), self.requested(after)
        bounds = f"{self.target.min_replicas} to {self.target.max_replicas} replicas"
        return (
            f"{self.replicas} → {self.replicas_at(after)}: {self.title} holds usage at {self.target.percent} % of"
            f" requests ({bounds}); {used} cores are used now, requests of a pod go from {format_cpu(old)} to"
            f" {format_cpu(new)}{'' if self.target.alone else '; its other metrics may ask for more'}"
        )

    def effect(self, before: Iterable[ContainerSize], after: Iterable[ContainerSize]) -> str:
        """What the change does to the replicas, in a clause; empty where it changes no request of CPU."""
        before, after = tuple(before), tuple(after)
        if math.isclose(self.requested(before), self.requested(after)):
            return ""
        settled, count = self.replicas_at(before), self.replicas_at(after)
        if settled != self.replicas:
            now = f"{self.title} runs {self.replicas} replicas now"
            return f"{now}, {settled} once it has settled, and {count} with the change"
        if count == self.replicas:
            return f"{self.title} keeps its {count} replicas at the present usage"
        return f"{self.title} goes from {self.replicas} to {count} replicas at the present usage"


def cpu_scaling(autoscalers: Iterable[Autoscaler], replicas: int, usage: Mapping[str, Usage]) -> CpuScaling | None:
    """The HPA on CPU among the autoscalers with what it sees; None where there is none or its usage is not known."""
    for one in autoscalers:
        if one.cpu is None:
            continue
        used = [of.cpu_now_cores for name, of in usage.items() if one.cpu.container in ("", name)]
        cores = sum(used)
        if used and math.isfinite(cores):
            return CpuScaling(one.title, one.cpu, replicas, cores)
    return None
