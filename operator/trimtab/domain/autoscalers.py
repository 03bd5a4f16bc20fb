"""Other autoscalers on a workload: which fields they own, and what an HPA on CPU makes of a change of requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class AutoscalerKind(StrEnum):
    """Kinds that are looked for."""

    HPA = "HorizontalPodAutoscaler"
    VPA = "VerticalPodAutoscaler"
    SCALED_OBJECT = "ScaledObject"


@dataclass(frozen=True, slots=True)
class CpuTarget:
    """An HPA's metric of CPU utilisation: usage over requests is held at a target."""

    percent: int
    min_replicas: int
    max_replicas: int
    container: str = ""
    """The container that counts; empty for all of the pod together."""
    alone: bool = True
    """Whether the HPA has no other metric, which could ask for more replicas."""


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """An object that scales a workload."""

    kind: AutoscalerKind
    name: str
    replicas: bool = False
    """Whether it sets replicas."""
    resources: dict[str, frozenset[str]] = field(default_factory=dict)
    """Paths of resources that it sets, by container; ``*`` for the containers that are not named."""
    cpu: CpuTarget | None = None
    made_by: str = ""
    """The ScaledObject that made this HPA; empty for one of a person."""

    @property
    def title(self) -> str:
        """Kind and name, as a person looks for it."""
        of = f" of {AutoscalerKind.SCALED_OBJECT.value} {self.made_by}" if self.made_by else ""
        return f"{self.kind.value} {self.name}{of}"

    def sets(self, path: str, container: str) -> bool:
        """Whether it sets a container's amount, such as ``resources.requests.cpu``."""
        return path in self.resources.get(container, self.resources.get("*", frozenset()))
