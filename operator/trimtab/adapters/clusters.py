"""Whether what is told of a workload comes from one cluster, and which label tells several apart. Pure.

Two replicas of one Prometheus, or of kube-state-metrics, tell of the same pods: the same uids, once by each. Two
clusters tell of pods with uids of their own. Where both have a workload of one name, adding them up is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab.adapters.prometheus_wire import RangeAnswer, RangeSeries
from trimtab.adapters.promql import quoted
from trimtab.adapters.signals_pods import POD_TOLD, TOLD, UIDS
from trimtab.domain.choices import TargetKind
from trimtab.domain.series import Series

_WORKLOADS: Final = {
    TargetKind.DEPLOYMENT: ("kube_deployment_spec_replicas", "deployment"),
    TargetKind.STATEFUL_SET: ("kube_statefulset_replicas", "statefulset"),
}
_FAMILIES: Final = ("kube_pod_owner", "kube_replicaset_owner", *(family for family, _ in _WORKLOADS.values()))
_OBJECTS: Final = frozenset(
    {"__name__", "namespace", "pod", "uid", "replicaset", "deployment", "statefulset"}
    | {"owner_kind", "owner_name", "owner_is_controller"}
)
"""Labels that say what is told of, and not by whom."""
_OF_A_TARGET: Final = ("job", "service", "endpoint", "node", "container", "instance")
"""Labels of what was scraped, which other metrics have with other values: named only where there is no better one."""
_POINTS: Final = 3
"""Points in a row at which it must show: a pod that is made anew under its name may be told of twice for a moment."""
_SHOWN_VALUES: Final = 4


@dataclass(frozen=True, slots=True)
class Clusters:
    """Several clusters that tell of one workload."""

    labels: dict[str, tuple[str, ...]]
    """Labels that tell them apart, the best first, with their values; empty where there is none."""

    def message(self, kind: TargetKind, namespace: str, name: str) -> str:
        """What is wrong and what to do."""
        what = f"the metrics of {kind.value} {namespace}/{name} come from more than one cluster"
        if not self.labels:
            return f"{what}, and no label tells them apart: give each Prometheus an external label, such as cluster"
        label, values = next(iter(self.labels.items()))
        shown = ", ".join(value or "(none)" for value in values[:_SHOWN_VALUES])
        others = [other for other in self.labels if other != label]
        also = f" (also by {', '.join(others[:_SHOWN_VALUES])})" if others else ""
        example = next(filter(None, values), "")
        unlabelled = f", or {label}= for what has no such label" if "" in values else ""
        return (
            f"{what}, told apart by the label {label}: {shown}{also}; nothing is added up: say which is meant,"
            f" as in --metric-label {label}={example}{unlabelled}"
        )


def is_suspect(parts: dict[str, Series]) -> bool:
    """Whether a count of pods looks as if more than one cluster told of them, for some points by now."""

    def newest(part: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        series = parts.get(part)
        values = series.values[-_POINTS:] if series is not None else np.empty(0)
        return values if values.size == _POINTS else np.full(_POINTS, np.nan)

    same_name = newest(UIDS) > 1
    more_often = newest(TOLD) > newest(POD_TOLD)
    return bool((same_name | more_often).all())


def telling_query(namespace: str, matchers: Iterable[tuple[str, str]]) -> str:
    """PromQL for what is told of a namespace's workloads and their pods, with all labels."""
    pairs = [("namespace", namespace), *matchers]
    selector = ",".join(f"{label}={quoted(value)}" for label, value in pairs)
    return f'{{__name__=~"{"|".join(_FAMILIES)}",{selector}}}'


def told_apart(answer: RangeAnswer, kind: TargetKind, name: str) -> Clusters | None:
    """The clusters that a workload is told of by; None where it is one after all."""
    pods, workload = list(_pods(answer, kind, name)), list(_workload(answer, kind, name))
    uids: dict[str, set[str]] = defaultdict(set)
    for one in pods:
        uids[one["pod"]].add(one.get("uid", ""))
    same_name = any(len(found) > 1 for found in uids.values())
    candidates = sorted({label for one in (*pods, *workload) for label in one} - _OBJECTS, key=_rank)
    labels = {label: values for label in candidates if (values := _parts(label, pods, workload, same_name=same_name))}
    return Clusters(labels) if labels or same_name else None


def _parts(
    label: str, pods: list[dict[str, str]], workload: list[dict[str, str]], *, same_name: bool
) -> tuple[str, ...]:
    """The values of a label that tells clusters apart; nothing for one that does not."""
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in pods:
        values[one["pod"], one.get("uid", "")].add(one.get(label, ""))
    if not values or any(len(found) > 1 for found in values.values()):
        return ()
    of_pods = {value for found in values.values() for value in found}
    of_workload = {one.get(label, "") for one in workload}
    by_workload = len(of_workload) > 1 and of_pods <= of_workload
    if not (by_workload or (same_name and len(of_pods) > 1)):
        return ()
    return tuple(sorted(of_pods | of_workload))


def _rank(label: str) -> tuple[bool, int, str]:
    """``cluster`` first, then what is no label of a scrape's target."""
    return label != "cluster", _OF_A_TARGET.index(label) + 1 if label in _OF_A_TARGET else 0, label


def _pods(answer: RangeAnswer, kind: TargetKind, name: str) -> Iterator[dict[str, str]]:
    owners = {name}
    if kind is TargetKind.DEPLOYMENT:
        sets = _of(answer, "kube_replicaset_owner")
        owners = {one.labels.get("replicaset", "") for one in sets if one.labels.get("owner_name") == name}
    owner_kind = "ReplicaSet" if kind is TargetKind.DEPLOYMENT else kind.value
    for one in _of(answer, "kube_pod_owner"):
        if (
            one.labels.get("owner_kind") == owner_kind
            and one.labels.get("owner_name") in owners
            and "pod" in one.labels
        ):
            yield one.labels


def _workload(answer: RangeAnswer, kind: TargetKind, name: str) -> Iterator[dict[str, str]]:
    family, label = _WORKLOADS[kind]
    return (one.labels for one in _of(answer, family) if one.labels.get(label) == name)


def _of(answer: RangeAnswer, family: str) -> Iterator[RangeSeries]:
    return (one for one in answer.series if one.labels.get("__name__") == family and one.values.size)
