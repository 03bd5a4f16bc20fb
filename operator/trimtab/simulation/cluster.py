"""What the API server says about the scenario's namespaces, and the simulated pods that follow from it."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

from kubernetes.aio import client

from trimtab.simulation.exposition import (
    Sample,
    Usage,
    pod_facts,
    pod_readiness,
    pod_usage,
    replica_set_facts,
    service_samples,
    workload_facts,
)
from trimtab.simulation.scenario import Scenario, SimulatedService
from trimtab.simulation.service import Pod, Service
from trimtab.simulation.views import (
    JsonObject,
    PodView,
    pod_view,
    replica_set_view,
    workload_view,
)
from trimtab.simulation.watching import follow, list_objects

DEFAULT_CPU_CORES = 1.0
"""Capacity of a pod that states neither a CPU limit nor a request."""

Key = tuple[str, str]
View = TypeVar("View")


class Shelf(Generic[View]):
    """The objects of one kind, by (namespace, name)."""

    def __init__(self, kind: str, parse: Callable[[JsonObject], View]) -> None:
        self.kind = kind
        self.items: dict[Key, View] = {}
        self.version = 0
        self.listed: set[str] = set()
        self._parse = parse

    def replace(self, namespace: str, objects: list[JsonObject]) -> None:
        """Everything that there is in a namespace."""
        self.version += 1
        self.listed.add(namespace)
        kept = {key: view for key, view in self.items.items() if key[0] != namespace}
        self.items = kept | {_key(raw): self._parse(raw) for raw in objects}

    def apply(self, event: str, raw: JsonObject) -> None:
        """One event of a watch."""
        self.version += 1
        if event == "DELETED":
            self.items.pop(_key(raw), None)
        else:
            self.items[_key(raw)] = self._parse(raw)


class ClusterPicture:
    """Pods, ReplicaSets and workloads as last seen, and the services of the scenario that run on them."""

    def __init__(self, scenario: Scenario) -> None:
        self.services = {
            it.key: Service(it.name, it.namespace, it.model, it.arrivals, scenario.origin) for it in scenario.services
        }
        self.pods = Shelf("pods", pod_view)
        self.replica_sets = Shelf("replicasets", replica_set_view)
        self.deployments = Shelf("deployments", partial(workload_view, kind="Deployment"))
        self.stateful_sets = Shelf("statefulsets", partial(workload_view, kind="StatefulSet"))
        self._scenario = scenario
        self._configs: dict[tuple[str, str, str], SimulatedService] = {
            (it.namespace, it.kind, it.name): it for it in scenario.services
        }
        self._seen = (-1, -1)
        self._opened: set[Key] = set()
        self._facts: dict[Key, tuple[PodView, list[Sample]]] = {}

    def sync(self, now: float) -> None:
        """Bring the simulated pods in line with what was seen: who is there, who serves, and with which limits."""
        versions = (self.pods.version, self.replica_sets.version)
        if versions == self._seen:
            return
        self._seen = versions
        there: dict[Key, set[str]] = {key: set() for key in self.services}
        for view in self.pods.items.values():
            config = self._configs.get((view.namespace, *self._workload(view)))
            if config is not None:
                service = self.services[config.key]
                there[config.key].add(view.uid)
                pod = service.pods.setdefault(view.uid, Pod(view.name, DEFAULT_CPU_CORES))
                _update(service, pod, view, config.container, now)
        for key, service in self.services.items():
            for uid in service.pods.keys() - there[key]:
                service.remove(uid, now)
            if any(pod.serving for pod in service.pods.values()):
                self._opened.add(key)
        self._facts = {key: value for key, value in self._facts.items() if key in self.pods.items}

    @property
    def complete(self) -> bool:
        """Whether every kind has been listed in every namespace."""
        shelves: tuple[Shelf[Any], ...] = (self.pods, self.replica_sets, self.deployments, self.stateful_sets)
        return all(shelf.listed.issuperset(self._scenario.namespaces) for shelf in shelves)

    @property
    def open_services(self) -> list[Service]:
        """The services that get traffic: those that have had a pod to serve it."""
        return [self.services[key] for key in self._opened]

    def of_service(self, key: Key) -> list[PodView]:
        """The pods of a service that are not about to end."""
        pods = self.services[key].pods
        return [view for view in self.pods.items.values() if view.uid in pods and not view.terminating]

    def samples(self, now: float) -> Iterator[Sample]:
        """Everything that is exposed."""
        simulated = {uid: pod for service in self.services.values() for uid, pod in service.pods.items()}
        for key, view in self.pods.items.items():
            known = self._facts.get(key)
            if known is None or known[0] is not view:
                known = self._facts[key] = (view, list(pod_facts(view)))
            yield from known[1]
            pod = simulated.get(view.uid)
            yield from pod_readiness(view, pod, now)
            if pod is not None and pod.memory_bytes:
                used = Usage(pod.cpu_seconds, pod.memory_bytes, pod.cfs_periods, pod.cfs_throttled_periods)
                yield from pod_usage(view.namespace, view.name, pod, used)
        for owner in self.replica_sets.items.values():
            yield from replica_set_facts(owner)
        for workload in (*self.deployments.items.values(), *self.stateful_sets.items.values()):
            yield from workload_facts(workload)
        for service in self.services.values():
            yield from service_samples(
                service.namespace, service.name, service.requests, service.buckets, service.latency_seconds
            )

    def calls(self, api: client.ApiClient) -> Iterator[tuple[str, Shelf[Any], Callable[..., Any]]]:
        """For each namespace and kind: where its objects go, and the client's method that lists and watches them."""
        core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
        methods: list[tuple[Shelf[Any], Callable[..., Any]]] = [
            (self.pods, core.list_namespaced_pod_without_preload_content),
            (self.replica_sets, apps.list_namespaced_replica_set_without_preload_content),
            (self.deployments, apps.list_namespaced_deployment_without_preload_content),
            (self.stateful_sets, apps.list_namespaced_stateful_set_without_preload_content),
        ]
        selector = self._scenario.label_selector or None
        for namespace in self._scenario.namespaces:
            for shelf, method in methods:
                yield namespace, shelf, partial(method, namespace, label_selector=selector)

    def _workload(self, view: PodView) -> Key:
        """(kind, name) of the Deployment or StatefulSet behind a pod, as far as it is known."""
        if view.owner_kind != "ReplicaSet":
            return view.owner_kind, view.owner_name
        owner = self.replica_sets.items.get((view.namespace, view.owner_name))
        return (owner.owner_kind, owner.owner_name) if owner else ("", "")


async def look(picture: ClusterPicture, api: client.ApiClient, now: float) -> None:
    """Fill the picture once. Raises ListError, or what the HTTP client raises when nothing answers."""
    for namespace, shelf, call in picture.calls(api):
        objects, _ = await list_objects(call)
        shelf.replace(namespace, objects)
    picture.sync(now)


def followers(picture: ClusterPicture, api: client.ApiClient) -> list[Callable[[], Any]]:
    """Coroutine functions that keep the picture current, one for each namespace and kind; each runs until cancelled."""
    return [
        partial(follow, f"{namespace}/{shelf.kind}", call, partial(shelf.replace, namespace), shelf.apply)
        for namespace, shelf, call in picture.calls(api)
    ]


def _key(raw: JsonObject) -> Key:
    return raw["metadata"]["namespace"], raw["metadata"]["name"]


def _update(service: Service, pod: Pod, view: PodView, container_name: str, now: float) -> None:
    container = view.container(container_name)
    if container is not None:
        pod.container = container.name
        pod.has_quota = "cpu" in container.limits
        pod.cpu_limit_cores = container.limits.get("cpu") or container.requests.get("cpu") or DEFAULT_CPU_CORES
        pod.memory_limit_bytes = container.limits.get("memory") or math.inf
    serving = view.ready_at is not None and not view.terminating
    if pod.serving and not serving:
        service.hand_over(pod, now)
    pod.serving = serving
    if view.ready_at is not None and not pod.restarts:
        pod.ready_since = view.ready_at
