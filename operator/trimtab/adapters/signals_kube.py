"""The default signals: bulk queries over cAdvisor's and kube-state-metrics' series, under kube-prometheus names. Pure.

Pods are tied to workloads by their owners, as kubernetes-mixin does it: a StatefulSet's directly, a Deployment's
through its ReplicaSet. Series that several scrapers hold are counted once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from trimtab.adapters.promql import ANY_CONTAINER, escape_regex, promql_duration, quoted, set_matcher
from trimtab.adapters.promql_grouping import can_list
from trimtab.domain.choices import TargetKind

WORKLOAD_LABELS: Final = ("workload_type", "workload")
"""Labels of every default query: kind and name of the workload."""
STARTUP_SPAN_SECONDS: Final = 3600
"""A pod counts for the start-up time for this long after its creation."""


class Signal(StrEnum):
    """What is measured of a workload, objectives aside."""

    LOAD = "load"
    CPU = "cpu"
    MEMORY = "memory"
    REPLICAS = "replicas"
    CPU_SIZE = "cpuSize"
    STARTUP = "startup"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Workloads:
    """Which workloads a bulk query is for; ``names`` of None stands for all of its kind."""

    namespace: str
    deployments: tuple[str, ...] | None
    stateful_sets: tuple[str, ...] | None
    matchers: tuple[tuple[str, str], ...] = ()
    """Further (label, value) that every series must have, such as ("cluster", "eu-1")."""

    def selector(self, *more: str) -> str:
        """Matchers in braces."""
        return self.bare_selector(f"namespace={quoted(self.namespace)}", *more)

    def bare_selector(self, *more: str) -> str:
        """Matchers in braces, without the namespace."""
        forced = (f"{label}={quoted(value)}" for label, value in self.matchers)
        return "{" + ",".join([*filter(None, more), *forced]) + "}"

    def pods(self) -> str:
        """A matcher for the beginnings of the pods' names, which spares Prometheus most of the others."""
        if self.deployments is None or self.stateful_sets is None:
            return ""
        names = sorted({*self.deployments, *self.stateful_sets})
        return f"pod=~{quoted('|'.join(escape_regex(_pod_prefix(name)) + '.+' for name in names))}"


def default_query(
    signal: Signal,
    namespace: str,
    names: Mapping[TargetKind, set[str]],
    window: str,
    matchers: tuple[tuple[str, str], ...] = (),
) -> str:
    """PromQL for one default signal of all the named workloads in a namespace; one element for each of them.

    CPU and memory have one for each of their containers, with the label ``container``. ``window`` is a PromQL duration.
    """
    deployments, stateful_sets = (
        tuple(sorted(names.get(kind, set()))) for kind in (TargetKind.DEPLOYMENT, TargetKind.STATEFUL_SET)
    )
    write = _QUERIES[signal]
    scope = Workloads(namespace, deployments, stateful_sets, matchers)
    text = write(scope, window)
    if can_list(len(deployments) + len(stateful_sets), text):
        return text
    every = replace(scope, deployments=None if deployments else (), stateful_sets=None if stateful_sets else ())
    return write(every, window)


def _arms(scope: Workloads, deployment: str, stateful_set: str) -> str:
    """Both kinds' elements with `WORKLOAD_LABELS`; a kind that no policy names is left out."""
    arms = []
    for kind, names, text in (
        (TargetKind.DEPLOYMENT, scope.deployments, deployment),
        (TargetKind.STATEFUL_SET, scope.stateful_sets, stateful_set),
    ):
        if names != ():
            arms.append(labelled(text, "workload_type", kind))
    return " or ".join(arms)


def labelled(vector: str, label: str, value: str) -> str:
    """A vector whose elements all have one more label."""
    return f'label_replace({vector}, "{label}", {quoted(value)}, "", "")'


def _listed(label: str, names: tuple[str, ...] | None) -> str:
    return "" if names is None else set_matcher(label, names)


def _named(vector: str, label: str) -> str:
    return f'label_replace({vector}, "workload", "$1", "{label}", "(.+)")'


def _owners(scope: Workloads) -> str:
    """One element of value 1 a pod, with the labels of its workload."""
    deployment, stateful_set = owned_pods(
        scope.selector('owner_kind="ReplicaSet"', scope.pods()),
        scope.selector('owner_kind="Deployment"', _listed("owner_name", scope.deployments)),
        scope.selector('owner_kind="StatefulSet"', _listed("owner_name", scope.stateful_sets)),
    )
    return f"topk by (pod) (1, {_arms(scope, deployment, stateful_set)})"


def owned_pods(of_replica_sets: str, of_deployments: str, of_stateful_sets: str, within: str = "") -> tuple[str, str]:
    """The pods of Deployments and those of StatefulSets, of value 1 and with the label ``workload``.

    The selectors are those of the pods' owners, the ReplicaSets' and again the pods'; ``within`` names further labels
    that tell pods and ReplicaSets apart, each with a comma behind it.
    """
    by_replica_set = f'label_replace(kube_pod_owner{of_replica_sets}, "replicaset", "$1", "owner_name", "(.+)")'
    pods = f"max by ({within}pod, replicaset) ({by_replica_set})"
    owners = f"max by ({within}replicaset, owner_name) (kube_replicaset_owner{of_deployments})"
    replica_sets = f"topk by ({within}replicaset) (1, {owners})"
    deployment = f"{pods} * on ({within}replicaset) group_left (owner_name) {replica_sets}"
    stateful_set = f"max by ({within}pod, owner_name) (kube_pod_owner{of_stateful_sets})"
    return _named(deployment, "owner_name"), _named(stateful_set, "owner_name")


def by_workload(function: str, pods: str, scope: Workloads, *labels: str, parameter: str = "") -> str:
    """An aggregation over the pods of each workload; ``pods`` has one element for each pod and further label."""
    joined = f"{pods} * on (pod) group_left ({', '.join(WORKLOAD_LABELS)}) {_owners(scope)}"
    return f"{function} by ({', '.join((*WORKLOAD_LABELS, *labels))}) ({parameter}{joined})"


def told_of(scope: Workloads) -> str:
    """By how many sources each workload is told of: more than its pods are where two clusters have one of its name."""
    deployments = scope.selector(_listed("deployment", scope.deployments))
    stateful_sets = scope.selector(_listed("statefulset", scope.stateful_sets))
    told = _arms(
        scope,
        _named(f"kube_deployment_spec_replicas{deployments}", "deployment"),
        _named(f"kube_statefulset_replicas{stateful_sets}", "statefulset"),
    )
    return f"count by ({', '.join(WORKLOAD_LABELS)}) ({told})"


def _cpu(scope: Workloads, window: str) -> str:
    usage = f"container_cpu_usage_seconds_total{scope.selector(*CONTAINERS, scope.pods())}"
    return by_workload("sum", f"max by (pod, container) (rate({usage}[{window}]))", scope, "container")


def _throttled(scope: Workloads, window: str) -> str:
    """Only containers with a CPU limit have bandwidth periods; one that wants no CPU has none for a while."""
    matchers = scope.selector(CONTAINERS[0], scope.pods())

    def periods(kind: str) -> str:
        counted = f"rate(container_cpu_cfs_{kind}_total{matchers}[{window}])"
        return by_workload("sum", f"max by (pod, container) ({counted})", scope, "container")

    all_of_them = periods("periods")
    return f"{periods('throttled_periods')} / ({all_of_them} > 0) or ({all_of_them} == 0)"


def _memory(scope: Workloads, _window: str) -> str:
    usage = f"container_memory_working_set_bytes{scope.selector(*CONTAINERS, scope.pods())}"
    return by_workload("max", f"max by (pod, container) ({usage})", scope, "container")


def _replicas(scope: Workloads, _window: str) -> str:
    deployments = scope.selector(_listed("deployment", scope.deployments))
    stateful_sets = scope.selector(_listed("statefulset", scope.stateful_sets))
    ready = _arms(
        scope,
        _named(f"kube_deployment_status_replicas_ready{deployments}", "deployment"),
        _named(f"kube_statefulset_status_replicas_ready{stateful_sets}", "statefulset"),
    )
    return f"max by ({', '.join(WORKLOAD_LABELS)}) ({ready})"


def _cpu_size(scope: Workloads, _window: str) -> str:
    amounts = scope.selector('resource="cpu"', scope.pods())
    limits, requests = (
        f"max by (pod, container) (kube_pod_container_resource_{kind}{amounts})" for kind in ("limits", "requests")
    )
    ready = f"max by (pod) (kube_pod_status_ready{scope.selector(_IS_TRUE, scope.pods())}) == 1"
    return by_workload("avg", f"(sum by (pod) ({limits} or {requests}) and on (pod) {ready})", scope)


def _startup(scope: Workloads, _window: str) -> str:
    """A pod that was unready and ready again has a later time now, so the first is looked for, pod by uid.

    A time below zero is no start-up time: the clocks of two exporters disagree, or one reports another pod's times.
    """
    pods, span = scope.selector(scope.pods()), STARTUP_SPAN_SECONDS
    ready = f"min by (pod, uid) (min_over_time(kube_pod_status_ready_time{pods}[{promql_duration(span)}]))"
    recent = f"(max by (pod, uid) (kube_pod_created{pods}) > time() - {span})"
    return by_workload("quantile", f"max by (pod) ({ready} - on (pod, uid) {recent} >= 0)", scope, parameter="0.5, ")


CONTAINERS = ('container!=""', 'image!=""')
_IS_TRUE = 'condition="true"'
_QUERIES: dict[Signal, Callable[[Workloads, str], str]] = {
    Signal.CPU: _cpu,
    Signal.MEMORY: _memory,
    Signal.REPLICAS: _replicas,
    Signal.CPU_SIZE: _cpu_size,
    Signal.STARTUP: _startup,
    Signal.THROTTLED: _throttled,
}

SOURCES: Final = {
    Signal.CPU: "container_cpu_usage_seconds_total of pods that kube_pod_owner ties to it",
    Signal.MEMORY: "container_memory_working_set_bytes of pods that kube_pod_owner ties to it",
    Signal.REPLICAS: "kube_deployment_status_replicas_ready or kube_statefulset_status_replicas_ready",
    Signal.CPU_SIZE: "kube_pod_container_resource_limits or _requests of ready pods that kube_pod_owner ties to it",
    Signal.THROTTLED: "container_cpu_cfs_throttled_periods_total over container_cpu_cfs_periods_total of its pods",
    Signal.STARTUP: "kube_pod_status_ready_time and kube_pod_created of pods that kube_pod_owner ties to it",
}
"""What a default query reads, for messages."""

_LONGEST_POD_BASE = 58
_SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]"
"""Kubernetes makes suffixes from these alone (``rand.SafeEncodeString``), so that most words cannot be one."""
_HASH_LENGTH = 10


def _pod_prefix(name: str) -> str:
    return f"{name}-"[:_LONGEST_POD_BASE]


def pods_regex(kind: TargetKind, name: str) -> str:
    r"""Value of ``$pods``: a regular expression for the names of a workload's pods, from how Kubernetes makes them.

    The pods of a DaemonSet whose name is this one's with a word without vowels behind match too.

    >>> pods_regex(TargetKind.STATEFUL_SET, "db")
    'db-[0-9]+'
    >>> pods_regex(TargetKind.DEPLOYMENT, "web")
    'web-[bcdfghjklmnpqrstvwxz2456789]{1,10}-[bcdfghjklmnpqrstvwxz2456789]{5}'
    """
    if kind is TargetKind.STATEFUL_SET:
        return f"{escape_regex(name)}-[0-9]+"
    room = _LONGEST_POD_BASE - len(name) - 1
    if room > _HASH_LENGTH:
        return f"{escape_regex(name)}-{_SUFFIX}{{1,{_HASH_LENGTH}}}-{_SUFFIX}{{5}}"
    return f"{escape_regex(_pod_prefix(name))}{_SUFFIX}{{0,{max(room, 0)}}}-?{_SUFFIX}{{5}}"


def placeholder_values(namespace: str, kind: TargetKind, name: str, window: str) -> dict[str, str]:
    """Values of all placeholders for one workload, for `promql.fill`."""
    return {
        "namespace": namespace,
        "target": name,
        "pods": pods_regex(kind, name),
        "container": ANY_CONTAINER,
        "window": window,
    }
