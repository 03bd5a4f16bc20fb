"""An hour of cAdvisor's and kube-state-metrics' series for a namespace with everything that could be mixed up.

Workloads in ``shop``: Deployments ``web`` (rolled half-way) and ``web-db``, StatefulSets ``web`` and ``db``, a
DaemonSet ``web-bc`` whose pods are named as a Deployment's could be. Each series comes from two scrapers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.adapters_prometheus.prom_support import Sample, constant, every, linear

SCRAPE = 30.0
HOUR = 3600.0
HALF = 1800.0


@dataclass(frozen=True)
class Pod:
    """A pod, its usage by container, and when it is there, in seconds since the start."""

    namespace: str
    name: str
    owner: tuple[str, str]
    cores: dict[str, float]
    limit: float | None = None
    first: float = 0.0
    last: float = HOUR
    unready_from: float = HOUR + 1


PODS = (
    Pod(
        "shop",
        "web-7c9db-bbbbb",
        ("ReplicaSet", "web-7c9db"),
        {"app": 0.3, "proxy": 0.05},
        1.0,
        unready_from=HOUR - 600,
    ),
    Pod("shop", "web-7c9db-ccccc", ("ReplicaSet", "web-7c9db"), {"app": 0.5, "proxy": 0.05}, 1.2),
    Pod("shop", "web-5d8f7-ddddd", ("ReplicaSet", "web-5d8f7"), {"app": 0.2, "proxy": 0.05}, 0.5, last=HALF),
    Pod("shop", "web-db-6f7h8-fffff", ("ReplicaSet", "web-db-6f7h8"), {"app": 9.0}, 4.0),
    Pod("shop", "web-0", ("StatefulSet", "web"), {"app": 3.0}),
    Pod("shop", "db-0", ("StatefulSet", "db"), {"postgres": 1.5}, 2.0),
    Pod("shop", "web-bc-ggggg", ("DaemonSet", "web-bc"), {"app": 7.0}, 8.0),
    Pod("dev", "web-7c9db-hhhhh", ("ReplicaSet", "web-7c9db"), {"app": 100.0}, 100.0),
)
REPLICA_SETS = {"web-7c9db": "web", "web-5d8f7": "web", "web-db-6f7h8": "web-db"}
READY = {("deployment", "web"): 3, ("deployment", "web-db"): 1, ("statefulset", "web"): 1, ("statefulset", "db"): 1}
STARTUPS = (
    ("web-7c9db-bbbbb", "u1", 900.0, ((940.0, 0.0),)),
    ("web-7c9db-ccccc", "u2", 600.0, ((620.0, 0.0), (3000.0, 3000.0))),
    ("web-0", "u3", 90.0, ((100.0, 0.0),)),
    ("web-0", "u4", 2000.0, ((2015.0, 2000.0),)),
    ("web-5d8f7-ddddd", "u5", -9000.0, ((-1.0, 0.0),)),
)
"""Pod, uid, time of creation, and (ready since, seen from): some become ready again, one is made anew."""


def kube_history(start: float) -> Iterator[Sample]:
    """All series, those of one metric one after another."""
    for scraper in ("a", "b"):
        yield from _usage(start, "container_cpu_usage_seconds_total", scraper)
    for scraper in ("a", "b"):
        yield from _usage(start, "container_memory_working_set_bytes", scraper)
    for name, pace in (("container_cpu_cfs_periods_total", 10.0), ("container_cpu_cfs_throttled_periods_total", 2.0)):
        yield from _periods(start, name, pace)
    for metric in (_owners, _replica_sets, _ready_replicas, _amounts, _ready, _created, _ready_times):
        for scraper in ("a", "b"):
            for name, labels, points in metric(start):
                yield name, {**labels, "instance": f"kube-state-metrics-{scraper}"}, points


def _periods(start: float, metric: str, pace: float) -> Iterator[Sample]:
    """Bandwidth periods of pods with a limit; the proxies want no CPU, so that theirs stand still."""
    for pod in PODS:
        for container in pod.cores if pod.limit is not None else ():
            labels = {"namespace": pod.namespace, "pod": pod.name, "container": container, "image": "registry/image"}
            passed = constant(100.0) if container == "proxy" else linear(pace)
            yield metric, labels, every(start + pod.first, start + pod.last, SCRAPE, passed)


def _usage(start: float, metric: str, scraper: str) -> Iterator[Sample]:
    is_cpu = "cpu" in metric
    for pod in PODS:
        of_pod = {"instance": f"kubelet-{scraper}", "namespace": pod.namespace, "pod": pod.name}
        for container, cores in {**pod.cores, "": sum(pod.cores.values())}.items():
            labels = {**of_pod, "container": container, "image": "registry/image" if container else ""}
            value = linear(cores) if is_cpu else constant(cores * 1e9)
            yield metric, labels, every(start + pod.first, start + pod.last, SCRAPE, value)


def _owners(start: float) -> Iterator[Sample]:
    for pod in PODS:
        labels = {"namespace": pod.namespace, "pod": pod.name, "owner_kind": pod.owner[0], "owner_name": pod.owner[1]}
        yield "kube_pod_owner", labels, every(start + pod.first, start + pod.last, SCRAPE, constant(1.0))


def _replica_sets(start: float) -> Iterator[Sample]:
    for namespace in ("shop", "dev"):
        for replica_set, deployment in REPLICA_SETS.items():
            labels = {"namespace": namespace, "replicaset": replica_set}
            owner = {"owner_kind": "Deployment", "owner_name": deployment}
            yield "kube_replicaset_owner", {**labels, **owner}, every(start, start + HOUR, SCRAPE, constant(1.0))


def _ready_replicas(start: float) -> Iterator[Sample]:
    for (kind, name), ready in READY.items():
        labels = {"namespace": "shop", kind: name}
        yield (
            f"kube_{kind}_status_replicas_ready",
            labels,
            every(start, start + HOUR, SCRAPE, constant(ready)),
        )


def _amounts(start: float) -> Iterator[Sample]:
    for kind in ("limits", "requests"):
        for pod in PODS:
            for container in pod.cores:
                amount = {"limits": pod.limit if container == "app" else None, "requests": 0.1}[kind]
                if amount is not None:
                    labels = {"namespace": pod.namespace, "pod": pod.name, "container": container, "resource": "cpu"}
                    points = every(start + pod.first, start + pod.last, SCRAPE, constant(amount))
                    yield f"kube_pod_container_resource_{kind}", labels, points


def _ready(start: float) -> Iterator[Sample]:
    for pod in PODS:
        for condition, is_ready in (("true", True), ("false", False)):
            labels = {"namespace": pod.namespace, "pod": pod.name, "condition": condition}

            def value(t: float, pod: Pod = pod, is_ready: bool = is_ready) -> float:
                return float((t < pod.unready_from) == is_ready)

            yield "kube_pod_status_ready", labels, every(start + pod.first, start + pod.last, SCRAPE, value)


def _created(start: float) -> Iterator[Sample]:
    for pod, uid, created, _ in STARTUPS:
        labels = {"namespace": "shop", "pod": pod, "uid": uid}
        first, at = start + max(created, 0.0), start + created
        yield "kube_pod_created", labels, every(first, start + HOUR, SCRAPE, constant(at))


def _ready_times(start: float) -> Iterator[Sample]:
    for pod, uid, created, times in STARTUPS:
        points = []
        for time, _ in every(start + max(created, 0.0) + SCRAPE, start + HOUR, SCRAPE, constant(0.0)):
            ready = [since for since, seen_from in times if time >= start + seen_from]
            points.append((time, start + ready[-1]))
        yield "kube_pod_status_ready_time", {"namespace": "shop", "pod": pod, "uid": uid}, points
