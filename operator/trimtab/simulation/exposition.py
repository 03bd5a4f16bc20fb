"""Metrics under the names of cAdvisor, kube-state-metrics and HTTP servers, for a scrape and for history alike.

Samples carry their own `namespace`, `pod` and so on, as an exporter's do that speaks for others: scrape with
`honor_labels: true`. Names of Kubernetes objects need no escaping in labels, so none is done. What is counted
is whole: the model's expected counts are rounded down.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from trimtab.domain.series import FloatArray
from trimtab.simulation.service import BUCKETS_SECONDS, CODES, Pod
from trimtab.simulation.views import ContainerView, OwnerView, PodView, WorkloadView

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FAMILIES: dict[str, tuple[str, str]] = {
    "container_cpu_usage_seconds_total": ("counter", "CPU time used."),
    "container_memory_working_set_bytes": ("gauge", "Working set in bytes."),
    "container_cpu_cfs_periods_total": ("counter", "Bandwidth periods that passed."),
    "container_cpu_cfs_throttled_periods_total": ("counter", "Bandwidth periods in which the container was throttled."),
    "kube_pod_owner": ("gauge", "The controller of a pod."),
    "kube_replicaset_owner": ("gauge", "The controller of a ReplicaSet."),
    "kube_pod_info": ("gauge", "Where a pod runs."),
    "kube_pod_created": ("gauge", "Unix time of creation."),
    "kube_pod_start_time": ("gauge", "Unix time at which the kubelet took the pod."),
    "kube_pod_status_ready_time": ("gauge", "Unix time at which the pod became ready."),
    "kube_pod_status_ready": ("gauge", "Whether the pod is ready."),
    "kube_pod_status_phase": ("gauge", "The phase of the pod."),
    "kube_pod_container_resource_requests": ("gauge", "Requests in cores or bytes."),
    "kube_pod_container_resource_limits": ("gauge", "Limits in cores or bytes."),
    "kube_pod_container_status_restarts_total": ("counter", "Restarts of a container."),
    "kube_pod_container_status_last_terminated_reason": ("gauge", "Why the container ended last."),
    "kube_deployment_spec_replicas": ("gauge", "Replicas asked for."),
    "kube_deployment_status_replicas": ("gauge", "Replicas that are there."),
    "kube_deployment_status_replicas_ready": ("gauge", "Replicas that are ready."),
    "kube_statefulset_replicas": ("gauge", "Replicas asked for."),
    "kube_statefulset_status_replicas": ("gauge", "Replicas that are there."),
    "kube_statefulset_status_replicas_ready": ("gauge", "Replicas that are ready."),
    "http_requests_total": ("counter", "Requests that ended, by status code."),
    "http_request_duration_seconds": ("histogram", "Time of requests that were answered or given up."),
}
"""Type and help of each family."""

PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")

_UNITS = {"cpu": "core", "memory": "byte"}


class Sample(NamedTuple):
    """A value, or for history one a time: the family, what its sample's name adds (`_bucket`), the labels as text."""

    family: str
    suffix: str
    labels: str
    value: float | FloatArray


def _pod_labels(view: PodView) -> str:
    """The labels that kube-state-metrics gives to everything about a pod."""
    return f'namespace="{view.namespace}",pod="{view.name}",uid="{view.uid}"'


def pod_facts(view: PodView) -> Iterator[Sample]:
    """What kube-state-metrics says of a pod, but for its readiness and restarts."""
    labels = _pod_labels(view)
    yield Sample("kube_pod_owner", "", f"{labels},{_owner(view)}", 1)
    created_by = f'created_by_kind="{view.owner_kind}",created_by_name="{view.owner_name}"'
    place = f'node="{view.node}",host_ip="{view.host_ip}",pod_ip="{view.pod_ip}"'
    yield Sample("kube_pod_info", "", f"{labels},{place},{created_by}", 1)
    yield Sample("kube_pod_created", "", labels, view.created_at)
    if view.started_at is not None:
        yield Sample("kube_pod_start_time", "", labels, view.started_at)
    for phase in PHASES:
        yield Sample("kube_pod_status_phase", "", f'{labels},phase="{phase}"', float(view.phase == phase))
    for container in view.containers:
        yield from _resources(view, container)


def _owner(view: PodView | OwnerView) -> str:
    controlled = str(bool(view.owner_kind)).lower()
    return f'owner_kind="{view.owner_kind}",owner_name="{view.owner_name}",owner_is_controller="{controlled}"'


def _resources(view: PodView, container: ContainerView) -> Iterator[Sample]:
    labels = f'{_pod_labels(view)},container="{container.name}",node="{view.node}"'
    for family, amounts in (
        ("kube_pod_container_resource_requests", container.requests),
        ("kube_pod_container_resource_limits", container.limits),
    ):
        for resource, amount in amounts.items():
            if resource in _UNITS:
                yield Sample(family, "", f'{labels},resource="{resource}",unit="{_UNITS[resource]}"', amount)


def pod_readiness(view: PodView, pod: Pod | None, now: float) -> Iterator[Sample]:
    """Readiness and restarts of a pod; `pod`, where it is simulated, adds its kills for memory."""
    labels = _pod_labels(view)
    down = pod is not None and pod.down_until > now
    ready_at = pod.ready_since if pod is not None and pod.restarts else view.ready_at
    ready = view.ready_at is not None and not view.terminating and not down
    for condition, value in (("true", ready), ("false", not ready), ("unknown", False)):
        yield Sample("kube_pod_status_ready", "", f'{labels},condition="{condition}"', float(value))
    if ready and ready_at is not None:
        yield Sample("kube_pod_status_ready_time", "", labels, ready_at)
    simulated = view.container(pod.container) if pod is not None else None
    for container in view.containers:
        kills = pod.restarts if pod is not None and container is simulated else 0
        named = f'{labels},container="{container.name}"'
        yield Sample("kube_pod_container_status_restarts_total", "", named, container.restarts + kills)
        if kills:
            yield Sample("kube_pod_container_status_last_terminated_reason", "", f'{named},reason="OOMKilled"', 1)


class Usage(NamedTuple):
    """What a container has used since it started, and its memory now; for history one value a time."""

    cpu_seconds: float | FloatArray
    memory_bytes: float | FloatArray
    cfs_periods: float | FloatArray
    cfs_throttled_periods: float | FloatArray


def pod_usage(namespace: str, name: str, pod: Pod, used: Usage) -> Iterator[Sample]:
    """What cAdvisor says of the container that serves; no bandwidth periods without a CPU limit."""
    labels = f'namespace="{namespace}",pod="{name}",container="{pod.container}"'
    yield Sample("container_cpu_usage_seconds_total", "", f'{labels},image="sim"', used.cpu_seconds)
    yield Sample("container_memory_working_set_bytes", "", f'{labels},image="sim"', used.memory_bytes)
    if pod.has_quota:
        yield Sample("container_cpu_cfs_periods_total", "", labels, np.floor(used.cfs_periods))
        yield Sample("container_cpu_cfs_throttled_periods_total", "", labels, np.floor(used.cfs_throttled_periods))


def replica_set_facts(view: OwnerView) -> Iterator[Sample]:
    """What kube-state-metrics says of a ReplicaSet."""
    labels = f'namespace="{view.namespace}",replicaset="{view.name}",{_owner(view)}'
    yield Sample("kube_replicaset_owner", "", labels, 1)


def workload_facts(view: WorkloadView) -> Iterator[Sample]:
    """What kube-state-metrics says of a Deployment or StatefulSet."""
    kind = view.kind.lower()
    labels = f'namespace="{view.namespace}",{kind}="{view.name}"'
    asked = "kube_deployment_spec_replicas" if view.kind == "Deployment" else "kube_statefulset_replicas"
    yield Sample(asked, "", labels, view.replicas)
    yield Sample(f"kube_{kind}_status_replicas", "", labels, view.status_replicas)
    yield Sample(f"kube_{kind}_status_replicas_ready", "", labels, view.ready_replicas)


def service_samples(
    namespace: str, name: str, requests: FloatArray, buckets: FloatArray, latency_seconds: float | FloatArray
) -> Iterator[Sample]:
    """Requests by CODES, latency by BUCKETS_SECONDS and the sum of all times; for history with a second axis."""
    labels = f'namespace="{namespace}",service="{name}"'
    for code, count in zip(CODES, np.floor(requests), strict=True):
        yield Sample("http_requests_total", "", f'{labels},code="{code}"', count)
    counts = np.floor(buckets)
    for le, count in zip(LE_LABELS, counts, strict=True):
        yield Sample("http_request_duration_seconds", "_bucket", f'{labels},le="{le}"', count)
    yield Sample("http_request_duration_seconds", "_count", labels, counts[-1])
    yield Sample("http_request_duration_seconds", "_sum", labels, latency_seconds)


def number(value: float) -> str:
    """A value as both text formats write it.

    >>> number(0.5), number(float("nan")), number(float("inf"))
    ('0.5', 'NaN', '+Inf')
    """
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")


LE_LABELS = tuple(number(edge) for edge in BUCKETS_SECONDS.tolist())


def render(samples: Iterable[Sample]) -> str:
    """The samples in Prometheus's text format 0.0.4, a family at a time."""
    families: dict[str, list[str]] = {}
    for family, suffix, labels, value in samples:
        families.setdefault(family, []).append(f"{family}{suffix}{{{labels}}} {number(float(value))}")
    parts = []
    for family, lines in families.items():
        kind, help_text = FAMILIES[family]
        parts.append(f"# HELP {family} {help_text}\n# TYPE {family} {kind}")
        parts.extend(lines)
    return "\n".join(parts) + "\n"
