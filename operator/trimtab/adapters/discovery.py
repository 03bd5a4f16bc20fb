"""The workloads of a whole cluster, from kube-state-metrics' series: three queries, however many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trimtab.adapters.prometheus_connection import Connection
from trimtab.adapters.prometheus_wire import QueryFailed, RangeAnswer
from trimtab.adapters.promql import escape_regex, quoted
from trimtab.adapters.signals_kube import WORKLOAD_LABELS, labelled, owned_pods
from trimtab.domain.choices import TargetKind
from trimtab.domain.status import Amounts, ContainerSize
from trimtab.domain.units import format_cpu, format_memory

_STEP_SECONDS: Final = 60.0
"""Of a range query for one point in time, which has to have a step."""
_REPLICAS: Final = {
    TargetKind.DEPLOYMENT: ("deployment", "kube_deployment_spec_replicas", "kube_deployment_status_replicas_ready"),
    TargetKind.STATEFUL_SET: ("statefulset", "kube_statefulset_replicas", "kube_statefulset_status_replicas_ready"),
}
_SIZES: Final = ("requests", "limits")
_WORKLOAD: Final = ", ".join(WORKLOAD_LABELS)


@dataclass(frozen=True, slots=True)
class FoundWorkload:
    """A workload as kube-state-metrics told of it last."""

    namespace: str
    kind: TargetKind
    name: str
    replicas: int
    """Replicas asked for."""
    containers: tuple[ContainerSize, ...]
    """Sizes of the containers of its pods that have not ended; containers without any request or limit are not here."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What there is, ordered by namespace, kind and name."""

    workloads: tuple[FoundWorkload, ...]
    queries: tuple[str, ...]
    """What was asked, for messages."""
    partial: str = ""
    """What a store behind the endpoint complained of: workloads may be missing."""


def discover(
    connection: Connection, at: float, namespaces: Sequence[str] = (), matchers: Sequence[tuple[str, str]] = ()
) -> Discovery | QueryFailed:
    """The Deployments and StatefulSets at ``at`` (unix seconds); waits for the answers.

    ``namespaces`` are names or globs such as ``shop-*``; none stands for all.
    """
    selector = _selector(namespaces, matchers)
    queries = [*(_replicas_query(kind, selector) for kind in TargetKind), _sizes_query(selector)]
    answers: list[RangeAnswer] = []
    for query in queries:
        received = connection.read_range(query, at, at, _STEP_SECONDS).outcome
        if isinstance(received, QueryFailed):
            return received
        answers.append(received)
    sizes = _sizes(answers[-1])
    found = [
        FoundWorkload(namespace, kind, name, replicas, sizes.get((namespace, kind, name), ()))
        for kind, answer in zip(TargetKind, answers, strict=False)
        for namespace, name, replicas in _replicas(kind, answer)
    ]
    complaints = "; ".join(dict.fromkeys(answer.partial for answer in answers if answer.partial))
    ordered = sorted(found, key=lambda workload: (workload.namespace, workload.kind, workload.name))
    return Discovery(tuple(ordered), tuple(queries), complaints)


def _selector(namespaces: Sequence[str], matchers: Sequence[tuple[str, str]], *more: str) -> str:
    parts = [f"{label}={quoted(value)}" for label, value in matchers]
    if namespaces:
        parts.append(f"namespace=~{quoted('|'.join(map(_glob, sorted(namespaces))))}")
    return ",".join([*parts, *more])


def _glob(pattern: str) -> str:
    r"""A regular expression (RE2) for a glob of ``*`` and ``?``.

    >>> _glob("shop-*"), _glob("a.b")
    ('shop-.*', 'a\\.b')
    """
    return "".join({"*": ".*", "?": "."}.get(character) or escape_regex(character) for character in pattern)


def _in(selector: str, *more: str) -> str:
    return "{" + ",".join(filter(None, (selector, *more))) + "}"


def _replicas_query(kind: TargetKind, selector: str) -> str:
    """Replicas asked for, or those that are ready where no series tells the first."""
    label, asked, ready = _REPLICAS[kind]
    return f"max by (namespace, {label}) ({asked}{_in(selector)} or {ready}{_in(selector)})"


def _sizes_query(selector: str) -> str:
    """Requests and limits by container of each workload; the largest where its pods differ, as in a rollout."""
    amounts = " or ".join(
        labelled(f"kube_pod_container_resource_{bound}{_in(selector, _CPU_AND_MEMORY)}", "bound", bound)
        for bound in _SIZES
    )
    ended = f"kube_pod_status_phase{_in(selector, _ENDED)} == 1"
    each = f"max by (namespace, pod, container, resource, bound) (({amounts}) unless on (namespace, pod) ({ended}))"
    joined = f"{each} * on (namespace, pod) group_left ({_WORKLOAD}) {_owners(selector)}"
    return f"max by (namespace, {_WORKLOAD}, container, resource, bound) ({joined})"


_CPU_AND_MEMORY: Final = 'resource=~"cpu|memory"'
_ENDED: Final = 'phase=~"Succeeded|Failed"'


def _owners(selector: str) -> str:
    """One element of value 1 a pod, with the labels of its workload."""
    replica_sets, deployments, stateful_sets = (
        _in(selector, f'owner_kind="{kind}"') for kind in ("ReplicaSet", "Deployment", "StatefulSet")
    )
    arms = zip(TargetKind, owned_pods(replica_sets, deployments, stateful_sets, "namespace, "), strict=True)
    labelled_arms = " or ".join(labelled(pods, "workload_type", kind) for kind, pods in arms)
    return f"topk by (namespace, pod) (1, {labelled_arms})"


def _replicas(kind: TargetKind, answer: RangeAnswer) -> list[tuple[str, str, int]]:
    label = _REPLICAS[kind][0]
    found = []
    for series in answer.series:
        name, value = series.labels.get(label, ""), float(series.values[-1]) if series.values.size else math.nan
        if name and math.isfinite(value):
            found.append((series.labels.get("namespace", ""), name, max(round(value), 0)))
    return found


def _sizes(answer: RangeAnswer) -> dict[tuple[str, str, str], tuple[ContainerSize, ...]]:
    """Sizes of the containers, ordered by name, by (namespace, kind, name) of the workload."""
    amounts: dict[tuple[str, str, str], dict[str, dict[str, dict[str, str]]]] = {}
    for series in answer.series:
        labels, value = series.labels, float(series.values[-1]) if series.values.size else math.nan
        if not (math.isfinite(value) and value > 0):
            continue
        resource, bound = labels.get("resource", ""), labels.get("bound", "")
        text = format_cpu(value) if resource == "cpu" else format_memory(value)
        key = labels.get("namespace", ""), labels.get("workload_type", ""), labels.get("workload", "")
        container = amounts.setdefault(key, {}).setdefault(labels.get("container", ""), {})
        container.setdefault(bound, {})[resource] = text
    return {
        key: tuple(
            ContainerSize(
                name=name, requests=Amounts(**bounds.get("requests", {})), limits=Amounts(**bounds.get("limits", {}))
            )
            for name, bounds in sorted(containers.items())
        )
        for key, containers in amounts.items()
    }
