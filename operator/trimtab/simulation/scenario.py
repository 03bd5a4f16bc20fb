"""Scenarios: which services there are, how they behave and what load they get, read from YAML."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from trimtab.domain.units import Quantity, format_cpu, format_memory
from trimtab.simulation.arrivals import AnyShape
from trimtab.simulation.behaviour import ServiceModel

STARTUP_ANNOTATION = "trimtab.dev/startup-seconds"
"""On a pod template: how long its pods take to become ready on a simulated node."""

SIMULATED_LABEL = "trimtab.dev/simulated"

SCRAPE_JOB = "trimtab-simulation"
"""The `job` label of everything scraped from a live simulation."""

DnsName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]


class SimulatedService(BaseModel):
    """One service: the workload it is, the load it gets and how its pods behave.

    `replicas`, `cpu` and `memory` (request and limit of each pod) are what a virtual run starts with and what
    `manifest` writes unless told otherwise; a live run takes them from the cluster.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: DnsName
    namespace: DnsName = "default"
    kind: Literal["Deployment", "StatefulSet"] = "Deployment"
    container: DnsName = "app"
    arrivals: AnyShape
    model: ServiceModel = ServiceModel()
    replicas: int = Field(2, ge=0)
    cpu: Quantity = Field(0.5, gt=0)
    memory: Quantity = Field(512 * 2**20, gt=0)

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.namespace, self.name


class Scenario(BaseModel):
    """Services that are simulated together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    services: list[SimulatedService] = Field(min_length=1)
    origin: float = Field(0.0, description="Unix time that the arrivals count from")
    instance: DnsName = Field("simulation", description="its `instance` label in Prometheus")
    label_selector: str = Field("", description="which workloads and pods to watch; default all of the namespaces")

    @model_validator(mode="after")
    def _unique(self) -> Self:
        keys = [service.key for service in self.services]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"service {'/'.join(twice[0])} is named more than once")
        return self

    @property
    def target_labels(self) -> dict[str, str]:
        """The labels that a scrape adds, so that history can carry the same."""
        return {"job": SCRAPE_JOB, "instance": self.instance}

    @property
    def namespaces(self) -> list[str]:
        """The namespaces of the services, sorted."""
        return sorted({service.namespace for service in self.services})

    @classmethod
    def read(cls, path: Path) -> "Scenario":
        """A scenario from a YAML file; relative paths of traces count from its folder.

        Raises OSError, yaml.YAMLError, or pydantic.ValidationError, which names the field (and for a trace
        file, line and value).
        """
        return cls.model_validate(yaml.safe_load(path.read_text()), context={"folder": path.parent})


def manifest(
    service: SimulatedService,
    replicas: int | None = None,
    cpu_cores: float | None = None,
    memory_bytes: float | None = None,
) -> dict[str, Any]:
    """The Deployment or StatefulSet of a service, with equal requests and limits.

    The start-up time of its model is an annotation of the pod template, which simulated nodes honour.
    """
    labels = {"app.kubernetes.io/name": service.name, SIMULATED_LABEL: "true"}
    size = {
        "cpu": format_cpu(service.cpu if cpu_cores is None else cpu_cores),
        "memory": format_memory(service.memory if memory_bytes is None else memory_bytes),
    }
    container = {"name": service.container, "image": "sim", "resources": {"requests": size, "limits": dict(size)}}
    spec: dict[str, Any] = {
        "replicas": service.replicas if replicas is None else replicas,
        "selector": {"matchLabels": {"app.kubernetes.io/name": service.name}},
        "template": {
            "metadata": {
                "labels": labels,
                "annotations": {STARTUP_ANNOTATION: f"{service.model.startup_seconds:g}"},
            },
            "spec": {"containers": [container]},
        },
    }
    if service.kind == "StatefulSet":
        spec["serviceName"] = service.name
    metadata = {"name": service.name, "namespace": service.namespace, "labels": dict(labels)}
    return {"apiVersion": "apps/v1", "kind": service.kind, "metadata": metadata, "spec": spec}
