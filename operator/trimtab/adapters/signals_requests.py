"""What is measured of a policy's workload, and the samples that are asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trimtab.adapters.promql import check, promql_duration
from trimtab.adapters.promql_scope import Scope
from trimtab.adapters.signals_kube import SOURCES, Signal, placeholder_values
from trimtab.adapters.signals_pods import PART, PODS, pod_selectors
from trimtab.domain.objectives import MetricQuery
from trimtab.domain.policy import PolicySpec


@dataclass(frozen=True, slots=True)
class SignalQuery:
    """Where one signal of a policy comes from."""

    name: str
    """A `Signal`, or ``objective/`` and the name of an objective."""
    template: str | None
    """PromQL of the user's own; None for the default query."""
    target_label: str | None = None
    unit: str = ""
    by: str = ""
    """Label by which there are several series, such as ``container``; empty where there is one in all."""
    source: str = ""
    """What to name in a message: the field of the spec, or the series that a default query reads."""

    @property
    def fault(self) -> str | None:
        """What is wrong with the query, with field and remedy; None when it can be sent."""
        return None if self.template is None else check(self.template, self.target_label, self.source)


@dataclass(frozen=True, slots=True)
class SignalRequest:
    """The samples that one policy needs, from ``since`` to ``until`` on multiples of ``step_seconds``; unix seconds."""

    key: str
    """Names the policy, or what else asks: its uid, say."""
    namespace: str
    spec: PolicySpec
    since: float
    until: float
    step_seconds: float
    window_seconds: float
    """Value of ``$window``: at least two scrape intervals."""
    resumed: Mapping[str, float] = field(default_factory=dict)
    """Later starts than ``since`` by name of the signal, for those of which older samples are there."""
    only: frozenset[str] | None = None
    """Names of the signals that are wanted; None for all."""
    counted_since: float | None = None
    """From when on pods are counted; None for what the newest values rest on."""
    throttling: bool = False
    """Whether CPU throttling is wanted too, as some trials need it."""

    @property
    def queries(self) -> tuple[SignalQuery, ...]:
        """The wanted signals whose queries can be sent."""
        every = signal_queries(self.spec)
        if self.throttling:
            every = (*every, SignalQuery(Signal.THROTTLED, None, by="container", source=SOURCES[Signal.THROTTLED]))
        wanted = (query for query in every if self.only is None or query.name in self.only)
        return tuple(query for query in wanted if query.fault is None)

    @property
    def counts(self) -> tuple[SignalQuery, ...]:
        """The counts of pods that tell how many of them the wanted signals speak for."""
        if self.only is not None and PODS not in self.only:
            return ()
        kind, namespace = self.spec.target_ref.kind, self.namespace
        own = [
            query.name
            for query in self.queries
            if query.template is not None and pod_selectors(query.template, kind, namespace) is not None
        ]
        source = "kube_pod_status_ready and the newest samples of each pod"
        return tuple(SignalQuery(name, None, by=PART, source=source) for name in (PODS, *map(count_name, own)))

    @property
    def faults(self) -> dict[str, str]:
        """What is wrong with the queries of the wanted signals, by name; they are not sent."""
        return {
            name: fault for name, fault in query_faults(self.spec).items() if self.only is None or name in self.only
        }

    @property
    def values(self) -> dict[str, str]:
        """Values of the placeholders in the policy's queries."""
        target = self.spec.target_ref
        return placeholder_values(self.namespace, target.kind, target.name, promql_duration(self.window_seconds))


def signal_queries(spec: PolicySpec) -> tuple[SignalQuery, ...]:
    """Where each signal of a policy comes from; without a query for the load, the load is the CPU usage."""
    metrics = spec.metrics
    queries = [
        _metric(Signal.CPU, metrics.cpu, "cores"),
        _metric(Signal.MEMORY, metrics.memory, "bytes"),
        _metric(Signal.REPLICAS, None, "replicas"),
        _metric(Signal.CPU_SIZE, None, "cores"),
        _metric(Signal.STARTUP, None, "seconds"),
    ]
    if metrics.load is not None:
        queries.append(_metric(Signal.LOAD, metrics.load, metrics.load.unit))
    for objective in spec.objectives:
        where = f"spec.objectives[{objective.name}].query"
        queries.append(
            SignalQuery(objective_name(objective.name), objective.query, objective.target_label, source=where)
        )
    return tuple(queries)


def query_faults(spec: PolicySpec) -> dict[str, str]:
    """What is wrong with a policy's queries, by name of the signal, for the condition Ready."""
    return {query.name: query.fault for query in signal_queries(spec) if query.fault is not None}


def scope_faults(spec: PolicySpec, namespace: str, scope: Scope) -> Iterator[str]:
    """Which of a policy's queries read what the operator may not, for the condition Ready."""
    for query in signal_queries(spec):
        if query.template is not None and (fault := scope.fault(query.template, namespace, query.source)) is not None:
            yield fault


def objective_name(objective: str) -> str:
    """Name of an objective's signal."""
    return f"objective/{objective}"


def count_name(signal: str) -> str:
    """Name of the count of the pods that a user's own query has samples of."""
    return f"{PODS}/{signal}"


def _metric(signal: Signal, own: MetricQuery | None, unit: str) -> SignalQuery:
    by = "container" if signal in {Signal.CPU, Signal.MEMORY} else ""
    if own is None:
        return SignalQuery(signal, None, None, unit, by, SOURCES[signal])
    return SignalQuery(signal, own.query, own.target_label, unit, by, f"spec.metrics.{signal}.query")
