"""Virtual runs as series: what a Prometheus would have scraped of them, kept until written as OpenMetrics text."""

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray
from trimtab.simulation.exposition import (
    FAMILIES,
    Sample,
    Usage,
    pod_facts,
    pod_readiness,
    pod_usage,
    replica_set_facts,
    service_samples,
    workload_facts,
)
from trimtab.simulation.model import CFS_PERIOD_SECONDS
from trimtab.simulation.service import BUCKETS_SECONDS, CODES, Observation
from trimtab.simulation.views import ContainerView, OwnerView, PodView, WorkloadView
from trimtab.simulation.virtual import VirtualPod, VirtualWorkload

Indices = NDArray[np.int64]

_COUNTED = np.array([1.0, 0.0, 1.0, 1.0])
"""Which fields of `Usage` add up."""


@dataclass(frozen=True)
class Written:
    """How much was written."""

    series: int
    samples: int


@dataclass
class SeriesLog:
    """Series as they grow: (family, suffix, labels) to stretches of time indices and values.

    `target_labels`, as text, come first in every series.
    """

    target_labels: str
    series: dict[tuple[str, str, str], list[tuple[Indices, FloatArray]]] = field(default_factory=dict)

    def add(self, indices: Indices, samples: Iterator[Sample]) -> None:
        """One stretch of some series; a single value holds for all of it."""
        for family, suffix, labels, value in samples:
            values = np.broadcast_to(np.asarray(value, dtype=np.float64), indices.shape)
            self.series.setdefault((family, suffix, labels), []).append((indices, values))

    def write(self, out: TextIO, times: list[str]) -> Written:
        """Everything, a family at a time, and in it a metric at a time, as OpenMetrics wants it."""
        samples = 0
        for family, (kind, help_text) in FAMILIES.items():
            metrics: dict[str, list[list[str]]] = {}
            for (name, suffix, labels), parts in self.series.items():
                if name == family:
                    lines = _lines(f"{name}{suffix}{{{self.target_labels},{labels}}}", parts, times)
                    samples += len(lines)
                    metrics.setdefault(labels.partition(',le="')[0], []).append(lines)
            if metrics:
                base = family.removesuffix("_total") if kind == "counter" else family
                out.write(f"# HELP {base} {help_text}\n# TYPE {base} {kind}\n")
            for columns in metrics.values():
                for row in zip(*columns, strict=True):
                    out.writelines(row)
        out.write("# EOF\n")
        return Written(len(self.series), samples)


def _lines(name: str, parts: list[tuple[Indices, FloatArray]], times: list[str]) -> list[str]:
    indices = np.concatenate([part[0] for part in parts]).tolist()
    values = np.concatenate([part[1] for part in parts]).tolist()
    return [f"{name} {value!r} {times[index]}\n" for index, value in zip(indices, values, strict=True)]


@dataclass
class Recorder:
    """Turns what a workload did into series, with counters of its own that never step back."""

    log: SeriesLog
    start: float
    step_seconds: float
    names: Mapping[str, PodView]
    live_replica_set: str
    requests: FloatArray = field(default_factory=lambda: np.zeros(len(CODES)))
    buckets: FloatArray = field(default_factory=lambda: np.zeros(len(BUCKETS_SECONDS)))
    latency_seconds: float = 0.0
    pods: dict[str, FloatArray] = field(default_factory=dict)

    def record(self, workload: VirtualWorkload, observation: Observation) -> None:
        """Add the scrapes that fall into a stretch."""
        position = (observation.seconds - self.start) / self.step_seconds
        nearest = np.round(position).astype(np.int64)
        scraped = np.flatnonzero(np.abs(position - nearest) < 1e-6)
        indices = nearest[scraped] - 1
        requests, buckets, seconds = self._service(observation)
        used = self._used(observation)
        if not scraped.size:
            return
        service, replica_set = workload.service, self.live_replica_set or workload.replica_set
        add = partial(self.log.add, indices)
        add(
            service_samples(
                service.namespace, service.name, requests[:, scraped], buckets[:, scraped], seconds[scraped]
            )
        )
        for name, member in workload.pods.items():
            view = _view(workload, member, self.names.get(name), replica_set)
            add(pod_facts(view))
            add(pod_readiness(view, member.pod, float(observation.seconds[0]) - observation.step_seconds))
            if name in used:
                add(pod_usage(view.namespace, view.name, member.pod, Usage(*used[name][:, scraped])))
        if workload.config.kind == "Deployment":
            add(replica_set_facts(OwnerView(service.namespace, replica_set, "Deployment", service.name)))
        ready = sum(map(len, observation.pods))
        add(
            workload_facts(
                WorkloadView(
                    service.namespace, service.name, workload.config.kind, workload.replicas, len(workload.pods), ready
                )
            )
        )

    def _service(self, observation: Observation) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The counters of the service at the end of each step, the step along the last axis."""
        requests = self.requests[:, None] + np.cumsum(observation.requests(), axis=1)
        within, seconds = np.zeros((len(BUCKETS_SECONDS), len(observation.seconds))), np.zeros(len(observation.seconds))
        answers = observation.answers()
        if answers is not None:
            within, seconds = answers.within(BUCKETS_SECONDS).sum(axis=0).T, answers.seconds().sum(axis=0)
        buckets = self.buckets[:, None] + np.cumsum(within, axis=1)
        latency_seconds = self.latency_seconds + np.cumsum(seconds)
        self.requests, self.buckets, self.latency_seconds = requests[:, -1], buckets[:, -1], float(latency_seconds[-1])
        return requests, buckets, latency_seconds

    def _used(self, observation: Observation) -> dict[str, FloatArray]:
        """The fields of `Usage` at the end of each step, shape (4, steps), of each pod that served."""
        outcome = observation.outcome
        if outcome is None:
            return {}
        found = {}
        periods = observation.step_seconds / CFS_PERIOD_SECONDS
        for index, group in enumerate(observation.pods):
            cpu = np.cumsum(outcome.cpu_cores[index] * observation.step_seconds)
            throttled = np.cumsum(outcome.throttled_share[index] * periods)
            passed = np.cumsum(np.full(outcome.steps, periods))
            increments = np.stack([cpu, np.zeros(outcome.steps), passed, throttled])
            for pod in group:
                values = self.pods.get(pod.name, np.zeros(4))[:, None] + increments
                self.pods[pod.name] = values[:, -1] * _COUNTED
                values[1] = outcome.memory_bytes[index]
                found[pod.name] = values
        return found


def _view(workload: VirtualWorkload, member: VirtualPod, live: PodView | None, replica_set: str) -> PodView:
    """A virtual pod as the API server would show it; with the identity of a live one where it stands for that."""
    pod, namespace = member.pod, workload.config.namespace
    created_at, ready_at = member.created_at, pod.ready_since
    if live is not None:  # its own times, or its series would jump where live samples follow
        created_at = live.created_at
        ready_at = live.ready_at or created_at + workload.config.model.startup_seconds
    state: dict[str, Any] = {
        "created_at": created_at,
        "started_at": created_at,
        "ready_at": ready_at if pod.serving else None,
        "phase": "Running" if pod.serving else "Pending",
    }
    if live is not None:
        return replace(live, **state)
    name = pod.name.replace(workload.replica_set, replica_set, 1)
    size = {"cpu": pod.cpu_limit_cores, "memory": pod.memory_limit_bytes}
    of_set = workload.config.kind == "StatefulSet"
    return PodView(
        namespace=namespace,
        name=name,
        uid=str(uuid.UUID(bytes=hashlib.sha256(f"{namespace}/{pod.name}".encode()).digest()[:16])),
        owner_kind="StatefulSet" if of_set else "ReplicaSet",
        owner_name=workload.config.name if of_set else replica_set,
        containers=(ContainerView(pod.container, size, size),),
        node=f"node-{member.ordinal % 3}",
        **state,
    )
