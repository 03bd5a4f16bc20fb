"""Faults to put into a live simulation while it runs: metrics that are wrong or missing, and services that are slow."""

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from trimtab.simulation.exposition import FAMILIES, Sample


class _Fault(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Metric(_Fault):
    metric: str = Field(description="name of the family, such as http_requests_total")
    labels: dict[str, str] = Field(default_factory=dict, description="only series that have all of these")

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in FAMILIES:
            raise ValueError(f"no metric {name!r}; there are {', '.join(sorted(FAMILIES))}")
        return name

    def hits(self, sample: Sample) -> bool:
        """Whether the fault is about this sample."""
        if sample.family != self.metric:
            return False
        pairs = f",{sample.labels},"
        return all(f',{name}="{value}",' in pairs for name, value in self.labels.items())


class Nan(_Metric):
    """The metric reads NaN."""

    kind: Literal["nan"]


class Absurd(_Metric):
    """The metric reads a value that cannot be."""

    kind: Literal["absurd"]
    value: float = 1e18


class Empty(_Metric):
    """The metric is not there."""

    kind: Literal["empty"]


class Stale(_Fault):
    """No scrape succeeds: `/metrics` answers 503."""

    kind: Literal["stale"]


class Slow(_Fault):
    """The requests of a service take `factor` times as long."""

    kind: Literal["slow"]
    service: str
    namespace: str | None = Field(None, description="default: that service in every namespace")
    factor: float = Field(3.0, gt=0)


Fault = Annotated[Nan | Absurd | Empty | Stale | Slow, Field(discriminator="kind")]


class Faults(BaseModel):
    """All faults that are on. The first that hits a sample counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    faults: list[Fault] = Field(default_factory=list, max_length=100)

    @property
    def stale(self) -> bool:
        """Whether scrapes fail."""
        return any(isinstance(fault, Stale) for fault in self.faults)

    def latency_factor(self, namespace: str, service: str) -> float:
        """How many times as long the requests of a service take."""
        slow = (it for it in self.faults if isinstance(it, Slow) and it.service == service)
        return math.prod(it.factor for it in slow if it.namespace in (None, namespace))

    def unknown_services(self, known: Iterable[tuple[str, str]]) -> list[str]:
        """What `slow` faults name that is not among the (namespace, name) of the services."""
        names = set(known)
        return [
            f"{it.namespace or '*'}/{it.service}"
            for it in self.faults
            if isinstance(it, Slow) and not any(n == it.service and it.namespace in (None, ns) for ns, n in names)
        ]

    def spoil(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The samples as a scrape shall see them."""
        spoiling = [fault for fault in self.faults if isinstance(fault, _Metric)]
        families = {fault.metric for fault in spoiling}
        for sample in samples:
            fault = next((it for it in spoiling if it.hits(sample)), None) if sample.family in families else None
            match fault:
                case Nan():
                    yield sample._replace(value=math.nan)
                case Absurd():
                    yield sample._replace(value=fault.value)
                case Empty():
                    continue
                case _:
                    yield sample
