"""Eight hours of a cluster as kube-state-metrics and cAdvisor tell it: busy, idle and silent workloads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.adapters_prometheus.prom_support import Sample, constant, every

Metric = Callable[[float], Iterator[Sample]]
SCRAPE = 60.0
HOURS = 8
SPAN = HOURS * 3600.0
MANY = 30
"""Workloads of the namespace crowd, which show that queries do not grow with them."""


@dataclass(frozen=True)
class Container:
    """A container: cores it uses around a wave, bytes, and what it requests and may use at most."""

    name: str
    cores: float
    memory: float
    requests: tuple[float, float] | None = None
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Told:
    """A workload; one that is not ``seen`` has no cAdvisor series."""

    namespace: str
    kind: str
    name: str
    pods: int
    containers: tuple[Container, ...]
    seen: bool = True
    evicted: tuple[Container, ...] = field(default=())
    """Containers of a pod that failed, and is still told of."""

    @property
    def label(self) -> str:
        """How kube-state-metrics calls the kind."""
        return self.kind.lower()


MIB = 2.0**20
WEB = Told(
    "shop",
    "Deployment",
    "web",
    2,
    (
        Container("app", 0.2, 300 * MIB, (1.0, 2048 * MIB), (2.0, 4096 * MIB)),
        Container("proxy", 0.01, 40 * MIB),
    ),
    evicted=(Container("app", 0.0, 0.0, (9.0, 90_000 * MIB)),),
)
DB = Told("shop", "StatefulSet", "db", 1, (Container("postgres", 0.5, 900 * MIB, (0.25, 512 * MIB)),))
GHOST = Told("batch", "Deployment", "ghost", 2, (Container("app", 0.1, 1.0, (0.1, 64 * MIB)),), seen=False)
IDLE = Told("batch", "Deployment", "idle", 0, ())
CROWD = tuple(
    Told("crowd", "Deployment", f"tiny-{number:02}", 1, (Container("app", 0.05, 50 * MIB, (0.1, 100 * MIB)),))
    for number in range(MANY)
)
CLUSTER = (WEB, DB, GHOST, IDLE, *CROWD)


def history(start: float) -> Iterator[Sample]:
    """All series, those of one metric one after another."""
    for metric in (
        *(_cpu, _memory, _owners, _replica_sets, _phases, _ready),
        *(_asked("Deployment"), _asked("StatefulSet"), _ready_replicas("Deployment"), _ready_replicas("StatefulSet")),
        *(_amounts("requests"), _amounts("limits")),
    ):
        yield from metric(start)


def _points(start: float, value: float) -> list[tuple[float, float]]:
    return every(start, start + SPAN, SCRAPE, constant(value))


def _pods(one: Told) -> list[str]:
    if one.kind == "StatefulSet":
        return [f"{one.name}-{number}" for number in range(one.pods)]
    return [f"{one.name}-5c8bd-{'bcdfg'[number] * 5}" for number in range(one.pods)]


def _evicted(one: Told) -> list[str]:
    return [f"{one.name}-5c8bd-zzzzz"] if one.evicted else []


def _usage(start: float, metric: str) -> Iterator[Sample]:
    for one in CLUSTER:
        for pod in _pods(one) if one.seen else ():
            for container in one.containers:
                labels = {
                    "namespace": one.namespace,
                    "pod": pod,
                    "container": container.name,
                    "image": "registry/image",
                }
                if "cpu" in metric:
                    total, points = 0.0, []
                    for time, _ in _points(start, 0.0):
                        total += SCRAPE * container.cores * (1 + 0.5 * math.sin(2 * math.pi * time / 7200))
                        points.append((time, total))
                    yield metric, labels, points
                else:
                    yield metric, labels, _points(start, container.memory)


def _cpu(start: float) -> Iterator[Sample]:
    return _usage(start, "container_cpu_usage_seconds_total")


def _memory(start: float) -> Iterator[Sample]:
    return _usage(start, "container_memory_working_set_bytes")


def _owners(start: float) -> Iterator[Sample]:
    for one in CLUSTER:
        kind, name = ("ReplicaSet", f"{one.name}-5c8bd") if one.kind == "Deployment" else (one.kind, one.name)
        for pod in _pods(one) + _evicted(one):
            labels = {"namespace": one.namespace, "pod": pod, "owner_kind": kind, "owner_name": name}
            yield "kube_pod_owner", labels, _points(start, 1.0)


def _replica_sets(start: float) -> Iterator[Sample]:
    for one in CLUSTER:
        if one.kind == "Deployment":
            labels = {"namespace": one.namespace, "replicaset": f"{one.name}-5c8bd"}
            owner = {"owner_kind": "Deployment", "owner_name": one.name}
            yield "kube_replicaset_owner", labels | owner, _points(start, 1.0)


def _phases(start: float) -> Iterator[Sample]:
    for one in CLUSTER:
        for pod in _pods(one) + _evicted(one):
            for phase in ("Running", "Failed"):
                is_it = (phase == "Failed") == (pod in _evicted(one))
                labels = {"namespace": one.namespace, "pod": pod, "phase": phase}
                yield "kube_pod_status_phase", labels, _points(start, float(is_it))


def _ready(start: float) -> Iterator[Sample]:
    for one in CLUSTER:
        for pod in _pods(one):
            labels = {"namespace": one.namespace, "pod": pod, "condition": "true"}
            yield "kube_pod_status_ready", labels, _points(start, 1.0)


def _asked(kind: str) -> Metric:
    def metric(start: float) -> Iterator[Sample]:
        name = "kube_deployment_spec_replicas" if kind == "Deployment" else "kube_statefulset_replicas"
        for one in CLUSTER:
            if one.kind == kind:
                yield name, {"namespace": one.namespace, one.label: one.name}, _points(start, one.pods)

    return metric


def _ready_replicas(kind: str) -> Metric:
    def metric(start: float) -> Iterator[Sample]:
        for one in CLUSTER:
            if one.kind == kind:
                labels = {"namespace": one.namespace, one.label: one.name}
                yield f"kube_{one.label}_status_replicas_ready", labels, _points(start, one.pods)

    return metric


def _amounts(bound: str) -> Metric:
    def metric(start: float) -> Iterator[Sample]:
        for one in CLUSTER:
            for pods, containers in ((_pods(one), one.containers), (_evicted(one), one.evicted)):
                for pod in pods:
                    for container in containers:
                        amounts = container.requests if bound == "requests" else container.limits
                        for resource, amount in zip(("cpu", "memory"), amounts or (), strict=False):
                            labels = {"namespace": one.namespace, "pod": pod, "container": container.name}
                            name = f"kube_pod_container_resource_{bound}"
                            yield name, labels | {"resource": resource}, _points(start, amount)

    return metric
