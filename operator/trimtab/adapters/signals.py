"""From the policies that are due to a few bulk queries. Pure.

Policies share a request where namespace, query text and step are the same: the default signals always, a query of
their own where it has a ``targetLabel`` and can be grouped (`promql_grouping`), or has no ``$target`` at all. So the
requests of a round grow with namespaces and signals. A query that cannot be grouped costs one request a policy.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from trimtab.adapters.promql import fill, promql_duration
from trimtab.adapters.promql_grouping import GroupedQuery, grouped
from trimtab.adapters.promql_scope import Matchers, forced
from trimtab.adapters.signals_kube import STARTUP_SPAN_SECONDS, WORKLOAD_LABELS, Signal, default_query
from trimtab.adapters.signals_pods import PART, PodsSource, Selectors, pod_selectors
from trimtab.adapters.signals_requests import SignalQuery, SignalRequest, count_name
from trimtab.domain.choices import TargetKind

INCREMENT_POINTS: Final = 60
"""Requests of at most so many points share one range; longer ones, for history, share another."""
RECENT_POINTS: Final = 2
"""Points of a count of pods beyond one window: what is told at one point alone may be a scrape that came late."""
STARTUP_HISTORY_SECONDS: Final = 24 * 3600.0
"""How far back a start-up time is looked for when a policy is new."""

_RATES: Final = frozenset({Signal.CPU, Signal.THROTTLED})
"""Default signals that are rates over the window."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """One signal of one request, at ``start`` to ``end`` on the grid."""

    request: SignalRequest
    query: SignalQuery
    start: float
    end: float

    @property
    def target(self) -> tuple[TargetKind, str]:
        """Kind and name of the workload."""
        return self.request.spec.target_ref.kind, self.request.spec.target_ref.name

    @property
    def shown(self) -> str:
        """The query for this target alone, or what the default query reads, for messages."""
        if self.query.template is None:
            kind, name = self.target
            return f"{self.query.source} ({kind} {self.request.namespace}/{name})"
        return f"{self.query.source} {fill(self.query.template, self.request.values)}"


def _names(consumers: Sequence[Consumer]) -> dict[TargetKind, set[str]]:
    """Names of the consumers' workloads by kind."""
    names: dict[TargetKind, set[str]] = defaultdict(set)
    for kind, name in (consumer.target for consumer in consumers):
        names[kind].add(name)
    return names


@dataclass(frozen=True, slots=True)
class DefaultSource:
    """A default signal of a namespace."""

    namespace: str
    signal: Signal
    window: str
    matchers: Matchers
    labels: tuple[str, ...] = WORKLOAD_LABELS

    def labels_of(self, consumer: Consumer) -> tuple[str, ...]:
        """The values of ``labels`` that a consumer's series have."""
        return consumer.target

    def text(self, consumers: Sequence[Consumer]) -> str:
        """PromQL for these consumers."""
        return default_query(self.signal, self.namespace, _names(consumers), self.window, self.matchers)


@dataclass(frozen=True, slots=True)
class GroupedSource:
    """A user's query for many targets."""

    namespace: str
    query: GroupedQuery
    matchers: Matchers = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The label that tells targets apart."""
        return (self.query.target_label,)

    def labels_of(self, consumer: Consumer) -> tuple[str, ...]:
        """The values of ``labels`` that a consumer's series have."""
        return (consumer.target[1],)

    def text(self, consumers: Sequence[Consumer]) -> str:
        """PromQL for these consumers."""
        return forced(self.query.query(consumer.target[1] for consumer in consumers), self.matchers)


@dataclass(frozen=True, slots=True)
class SingleSource:
    """A user's query as it is: all its series belong to each consumer."""

    namespace: str
    query: str
    matchers: Matchers = ()
    labels: tuple[str, ...] = ()

    def labels_of(self, _consumer: Consumer) -> tuple[str, ...]:
        """Nothing: no label tells consumers apart."""
        return ()

    def text(self, _consumers: Sequence[Consumer]) -> str:
        """The query."""
        return forced(self.query, self.matchers)


@dataclass(frozen=True, slots=True)
class CountSource:
    """A count of pods with and without samples."""

    pods: PodsSource
    labels: tuple[str, ...] = WORKLOAD_LABELS

    @property
    def namespace(self) -> str:
        """Where the pods are."""
        return self.pods.namespace

    def labels_of(self, consumer: Consumer) -> tuple[str, ...]:
        """The values of ``labels`` that a consumer's series have."""
        return consumer.target

    def text(self, consumers: Sequence[Consumer]) -> str:
        """PromQL for these consumers."""
        names = _names(consumers)
        return self.pods.text(*(tuple(sorted(names[kind])) for kind in TargetKind))


Source = DefaultSource | GroupedSource | SingleSource | CountSource


@dataclass(frozen=True, slots=True)
class BulkQuery:
    """One range query that serves many consumers; unix seconds."""

    source: Source
    start: float
    end: float
    step_seconds: float
    consumers: tuple[Consumer, ...]
    slow: bool = False
    """Whether it took long before."""

    @property
    def is_history(self) -> bool:
        """Whether it reads back further than what a round adds."""
        return (self.end - self.start) / self.step_seconds >= INCREMENT_POINTS

    @property
    def text(self) -> str:
        """PromQL."""
        return self.source.text(self.consumers)

    def halves(self) -> tuple[BulkQuery, ...]:
        """The same for half of the targets each, or nothing where there is one target only."""
        targets = sorted({self.source.labels_of(consumer) for consumer in self.consumers})
        first = set(targets[: len(targets) // 2])
        if not first:
            return ()
        parts: tuple[list[Consumer], list[Consumer]] = ([], [])
        for consumer in self.consumers:
            parts[self.source.labels_of(consumer) not in first].append(consumer)
        return tuple(replace(self, consumers=tuple(part)) for part in parts)


def grid_floor(time: float, step_seconds: float, phase: float = 0.0) -> float:
    """The last point of the grid ``phase + k * step_seconds`` at or before ``time``, to the millisecond.

    >>> grid_floor(125.0, 60.0), grid_floor(125.0, 60.0, phase=7.0)
    (120.0, 67.0)
    """
    return round(phase + math.floor((time - phase) / step_seconds + 1e-9) * step_seconds, 3)


def plan_round(
    requests: Sequence[SignalRequest],
    apart: Collection[tuple[str, str]] = (),
    matchers: Matchers = (),
    slow: Collection[tuple[str, str]] = (),
) -> list[BulkQuery]:
    """The bulk queries that answer all requests, each once, in the order in which they are first needed.

    Signals in ``apart``, as (key of the request, name of the signal), share with no one, those in ``slow`` only with
    each other. ``matchers`` are added to the default queries.
    """
    buckets: dict[_Bucket, list[Consumer]] = {}
    for request in requests:
        for query in (*request.queries, *request.counts):
            step, start, end, phase = _grid(request, query)
            alone = request.key if (request.key, query.name) in apart else ""
            is_history = (end - start) / step >= INCREMENT_POINTS
            is_slow = (request.key, query.name) in slow
            bucket = _Bucket(_source(request, query, matchers), step, phase, is_history, alone, is_slow)
            buckets.setdefault(bucket, []).append(Consumer(request, query, start, end))
    return [
        BulkQuery(
            source=bucket.source,
            start=min(consumer.start for consumer in consumers),
            end=max(consumer.end for consumer in consumers),
            step_seconds=bucket.step_seconds,
            consumers=tuple(consumers),
            slow=bucket.slow,
        )
        for bucket, consumers in buckets.items()
    ]


class _Bucket(NamedTuple):
    """What consumers must have in common to share a request."""

    source: Source
    step_seconds: float
    phase: float
    is_history: bool
    alone: str
    slow: bool


def _source(request: SignalRequest, query: SignalQuery, matchers: Matchers) -> Source:
    window = promql_duration(request.window_seconds)
    if query.by == PART:
        return CountSource(PodsSource(request.namespace, _selectors(request, query), request.window_seconds, matchers))
    if query.template is None:
        windowed = window if query.name in _RATES else ""
        return DefaultSource(request.namespace, Signal(query.name), windowed, matchers)
    if query.target_label is not None:
        rewritten = grouped(query.template, query.target_label, request.namespace, window)
        if isinstance(rewritten, GroupedQuery):
            return GroupedSource(request.namespace, rewritten, matchers)
    return SingleSource(request.namespace, fill(query.template, request.values), matchers)


def count_start(request: SignalRequest) -> float:
    """From when on the counts of pods are read that the newest values rest on."""
    return (
        grid_floor(request.until - request.window_seconds, request.step_seconds) - RECENT_POINTS * request.step_seconds
    )


def _selectors(request: SignalRequest, count: SignalQuery) -> Selectors | None:
    """The selectors whose pods are counted; None for those of the default signals."""
    of = next((query for query in request.queries if count_name(query.name) == count.name), None)
    if of is None or of.template is None:
        return None
    return pod_selectors(of.template, request.spec.target_ref.kind, request.namespace)


def _grid(request: SignalRequest, query: SignalQuery) -> tuple[float, float, float, float]:
    """Step, start, end and phase of one signal. The start-up time is a value by the hour that ends with the request."""
    step, phase = float(request.step_seconds), 0.0
    end = grid_floor(request.until, step)
    since = request.resumed.get(query.name)
    if query.name == Signal.STARTUP:
        step, phase = float(STARTUP_SPAN_SECONDS), end % STARTUP_SPAN_SECONDS
        start = end if since is not None else end - STARTUP_HISTORY_SECONDS
        return step, start, end, phase
    if query.by == PART:
        recent = count_start(request)
        since = since or min(recent, math.inf if request.counted_since is None else request.counted_since)
    start = grid_floor(request.since if since is None else since, step, phase)
    return step, min(start, end), end, phase
