"""How many pods a signal speaks for: bulk queries that count, for each workload, its pods and those unseen. Pure.

What is summed over pods halves when half of them go unseen. So for the default signals, and for each query of a user's
that selects pods by the label ``pod``, the pods that have been ready for two windows are counted, and those of them
that have samples now. A sample counts for half a window: a counter's rate falls as soon as its newest sample is older.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import promql_parser as parser

from trimtab.adapters.promql import ANY_CONTAINER, TemplateError, fill, nodes_of, promql_duration
from trimtab.adapters.promql_grouping import can_list
from trimtab.adapters.promql_nodes import written_matcher
from trimtab.adapters.signals_kube import CONTAINERS, Workloads, by_workload, labelled, pods_regex, told_of
from trimtab.domain.choices import TargetKind

PODS: Final = "pods"
"""Name of the count of the default signals; ``pods/`` and the name of a signal is that of a user's own query."""
PART: Final = "part"
"""Label that tells what a series of a count is."""
READY, READY_NOW, SEEN, UIDS, TOLD, POD_TOLD = "ready", "readyNow", "seen", "uids", "told", "podTold"
DEFAULTS: Final = ("cpu", "memory")
"""Signals that the count of the default signals is of; the parts that count their pods are called after them."""
_KEPT_LABELS: Final = frozenset({"namespace", "container", "job", "cluster", "__name__"})
"""Labels that say whose samples are meant. Others, such as ``code``, pick events, which a pod need not have had."""
_EXAMPLES: Final = {
    TargetKind.DEPLOYMENT: ("-7c9d8f6b5-x2x4z", "-5bb4fdd79-lq8ws"),
    TargetKind.STATEFUL_SET: ("-0", "-11"),
}
"""Ends of pods' names; a matcher that leaves one out is for some of the pods alone."""

Selectors = tuple[tuple[str, tuple[str, ...]], ...]
"""Selectors of a query by metric: name (may be empty) and the matchers beside that for the pod."""


@dataclass(frozen=True, slots=True)
class PodsSource:
    """The pods of one namespace's workloads; ``selectors`` of None stands for the default signals."""

    namespace: str
    selectors: Selectors | None
    window_seconds: float
    matchers: tuple[tuple[str, str], ...] = ()

    def text(self, deployments: tuple[str, ...], stateful_sets: tuple[str, ...]) -> str:
        """PromQL for these workloads, or for all of a kind where there are too many to list."""
        scope = Workloads(self.namespace, deployments, stateful_sets, self.matchers)
        text = self._written(scope)
        if can_list(len(deployments) + len(stateful_sets), text):
            return text
        return self._written(
            replace(scope, deployments=None if deployments else (), stateful_sets=None if stateful_sets else ())
        )

    def _written(self, scope: Workloads) -> str:
        ready = _ready_for(2 * self.window_seconds, scope)
        if self.selectors is not None:
            fresh = [
                _fresh(f"{name}{scope.bare_selector(*matchers, scope.pods())}", self.window_seconds / 2)
                for name, matchers in self.selectors
            ]
            seen = labelled(f"(({' or '.join(fresh)}) and on (pod) {ready})", PART, SEEN)
            return by_workload("count", seen, scope, PART)
        usage = {
            "cpu": "container_cpu_usage_seconds_total",
            "memory": "container_memory_working_set_bytes",
        }
        parts = [labelled(_ready_now(scope), PART, READY)]
        for signal in DEFAULTS:
            fresh_one = _fresh(f"{usage[signal]}{scope.selector(*CONTAINERS, scope.pods())}", self.window_seconds / 2)
            parts.append(labelled(fresh_one, PART, signal))
        counted = by_workload("count", f"(({' or '.join(parts)}) and on (pod) {ready})", scope, PART)
        now = by_workload("count", labelled(_ready_now(scope), PART, READY_NOW), scope, PART)
        return f"{counted} or {now} or {_told(scope)}"


def _ready_now(scope: Workloads) -> str:
    return f"(max by (pod) (kube_pod_status_ready{_readiness(scope)}) == 1)"


def _readiness(scope: Workloads) -> str:
    return scope.selector('condition="true"', scope.pods())


def _ready_for(seconds: float, scope: Workloads) -> str:
    """The pods that are ready, were so at the beginning of the span, and at all times between."""
    selector, span = _readiness(scope), promql_duration(seconds)
    always = f"min by (pod) (min_over_time(kube_pod_status_ready{selector}[{span}]))"
    before = f"max by (pod) (kube_pod_status_ready{selector} offset {span})"
    return f"(({_ready_now(scope)} and on (pod) {always} == 1) and on (pod) {before} == 1)"


def _fresh(selector: str, seconds: float) -> str:
    """The pods whose newest sample is at most so old; one that an exporter no longer shows has none at once."""
    return f"max by (pod) (timestamp({selector}) >= time() - {seconds:.3f})"


def _told(scope: Workloads) -> str:
    """Of each workload: the most pods of one name at once, and by how many sources it and its pods are told of."""
    pods = f"count by (pod, uid) (kube_pod_owner{scope.selector(scope.pods())})"
    owned = " or ".join(
        [
            labelled(f"count by (pod) ({pods})", PART, UIDS),
            labelled(f"max by (pod) ({pods})", PART, POD_TOLD),
        ]
    )
    return f"{by_workload('max', f'({owned})', scope, PART)} or {labelled(told_of(scope), PART, TOLD)}"


@lru_cache(maxsize=4096)
def pod_selectors(template: str, kind: TargetKind, namespace: str) -> Selectors | None:
    """The selectors of a user's query that pick pods, by metric; None where it does not tell which pods it reads.

    That is where no selector has a matcher for the label ``pod``, or one leaves pods of the target out. Selectors at
    another time (``offset``, ``@``) say nothing about now. ``template`` must have passed `promql.check`.

    >>> pod_selectors('sum(rate(hits{pod=~"$pods",code="500"}[$window]))', TargetKind.DEPLOYMENT, "shop")
    (('hits', ()),)
    >>> pod_selectors('sum(rate(hits{service="$target"}[$window]))', TargetKind.DEPLOYMENT, "shop") is None
    True
    """
    name = "a-target"
    values = {
        "namespace": namespace,
        "target": name,
        "pods": pods_regex(kind, name),
        "container": ANY_CONTAINER,
        "window": "300s",
    }
    try:
        tree = parser.parse(fill(template, values))
    except (TemplateError, ValueError):
        return None
    found: dict[tuple[str, tuple[str, ...]], None] = {}
    for node in nodes_of(tree):
        if not isinstance(node, parser.VectorSelector):
            continue
        of_pod = [matcher for matcher in node.matchers.matchers if matcher.name == "pod"]
        if not of_pod or node.offset is not None or node.at is not None:
            continue
        takes_all = all(_takes(matcher, name + end) for matcher in of_pod for end in _EXAMPLES[kind])
        if node.matchers.or_matchers or not takes_all:
            return None
        kept = [matcher for matcher in node.matchers.matchers if matcher.name in _KEPT_LABELS]
        texts = (written_matcher(matcher) for matcher in kept if name not in matcher.value)
        if not node.name:
            return None  # several metrics of a pod at once have no one newest sample
        found[node.name, tuple(texts)] = None
    return tuple(found) or None


def _takes(matcher: parser.Matcher, pod: str) -> bool:
    """Whether a matcher takes a pod of this name."""
    operator = str(matcher.op)
    if operator in ("MatchOp.Equal", "MatchOp.NotEqual"):
        return (matcher.value == pod) is (operator == "MatchOp.Equal")
    try:
        return (re.fullmatch(matcher.value, pod) is not None) is (operator == "MatchOp.Re")
    except re.error:
        return False
