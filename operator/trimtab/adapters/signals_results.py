"""From the answers to bulk queries to each policy's signals on its grid. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trimtab.adapters.clusters import is_suspect
from trimtab.adapters.prometheus_wire import FailureKind, QueryFailed, RangeAnswer, RangeSeries
from trimtab.adapters.signals import BulkQuery, Consumer
from trimtab.adapters.signals_kube import Signal
from trimtab.adapters.signals_pods import DEFAULTS, PODS, READY, READY_NOW, SEEN
from trimtab.adapters.signals_requests import SignalRequest, count_name, objective_name
from trimtab.domain.history import LISTED_PODS, Coverage, WorkloadHistory
from trimtab.domain.series import FloatArray, Series, empty
from trimtab.domain.status_types import format_time


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What was read for one request.

    The series of ``history`` lie on the request's grid, each from its own start on (`SignalRequest.resumed`) to
    ``until``; a signal in ``failures`` is empty there.
    """

    history: WorkloadHistory
    failures: dict[str, QueryFailed] = field(default_factory=dict)
    """By name of the signal."""
    suspect: bool = False
    """Whether more than one cluster seems to tell of the workload: to be looked into before the values are used."""

    @property
    def partial(self) -> bool:
        """Whether an answer was partial: its signals count as missing, and nothing may be begun on the others."""
        return any(failure.kind is FailureKind.PARTIAL for failure in self.failures.values())


Readings = dict[str, Series] | QueryFailed
"""Series by container, or under the empty name where there is one in all; or why there are none."""


Share = tuple[Consumer, Readings]


def shares(bulk: BulkQuery, answers: Sequence[RangeAnswer] | QueryFailed) -> list[Share]:
    """Each consumer's share of the answers; several answers are parts of the range, one after another."""
    if isinstance(answers, QueryFailed):
        return [(consumer, answers) for consumer in bulk.consumers]
    complaints = "; ".join(dict.fromkeys(answer.partial for answer in answers if answer.partial))
    if complaints:
        return shares(bulk, QueryFailed(FailureKind.PARTIAL, f"partial answer: {complaints}"))
    by_labels: dict[tuple[str, ...], list[RangeSeries]] = defaultdict(list)
    for answer in answers:
        for series in answer.series:
            by_labels[tuple(series.labels.get(label, "") for label in bulk.source.labels)].append(series)
    return [
        (consumer, _reading(bulk, consumer, by_labels.get(bulk.source.labels_of(consumer), [])))
        for consumer in bulk.consumers
    ]


def _reading(bulk: BulkQuery, consumer: Consumer, found: Sequence[RangeSeries]) -> Readings:
    by_name: dict[str, list[RangeSeries]] = defaultdict(list)
    for series in found:
        by_name[series.labels.get(consumer.query.by, "") if consumer.query.by else ""].append(series)
    if consumer.query.by and "" in by_name:
        label = consumer.query.by
        message = f"{consumer.shown} gives a series without the label {label}: keep it in the query's `by`"
        return QueryFailed(FailureKind.BAD_QUERY, message)
    result: dict[str, Series] = {}
    for name, parts in by_name.items():
        values = _on_grid(consumer, bulk.step_seconds, parts)
        if isinstance(values, float):
            return _many_series(consumer, name, values)
        if np.isfinite(values).any():
            result[name] = Series(consumer.start, bulk.step_seconds, values, consumer.query.unit)
    return result or _no_data(consumer, "only NaN or infinite values" if found else "nothing")


def _on_grid(consumer: Consumer, step_seconds: float, parts: Iterable[RangeSeries]) -> FloatArray | float:
    """Values at the consumer's points of the grid, NaN where there is none; or a time at which two series have one."""
    values = np.full(round((consumer.end - consumer.start) / step_seconds) + 1, np.nan)
    for part in parts:
        index = np.rint((part.times - consumer.start) / step_seconds).astype(np.int64)
        wanted = np.isfinite(part.values) & (index >= 0) & (index < values.size)
        index = index[wanted]
        taken = np.isfinite(values[index])
        if taken.any():
            return float(part.times[wanted][taken][-1])
        values[index] = part.values[wanted]
    return values


def _many_series(consumer: Consumer, container: str, time: float) -> QueryFailed:
    per, by = (f" for container {container}", " by (container)") if container else ("", "")
    return QueryFailed(
        FailureKind.MANY_SERIES,
        f"{consumer.shown} gives several series{per} at {format_time(time)}; one is wanted: "
        f"aggregate them, as in sum{by} (...)",
    )


def _no_data(consumer: Consumer, returned: str) -> QueryFailed:
    span = f"from {format_time(consumer.start)} to {format_time(consumer.end)}"
    hint = ""
    if "$window" in (consumer.query.template or ""):
        hint = f"; $window is {consumer.request.values['window']} and needs two scrapes within"
    return QueryFailed(FailureKind.NO_DATA, f"no data: query {consumer.shown} returned {returned} {span}{hint}")


def results(requests: Sequence[SignalRequest], read: Iterable[Share]) -> dict[str, FetchResult]:
    """The result of each request by its key, from its signals' readings."""
    by_key: dict[str, dict[str, Readings]] = {request.key: {} for request in requests}
    for consumer, reading in read:
        by_key[consumer.request.key][consumer.query.name] = reading
    return {request.key: _result(request, by_key[request.key]) for request in requests}


def _result(request: SignalRequest, read: dict[str, Readings]) -> FetchResult:
    failures = {name: QueryFailed(FailureKind.BAD_QUERY, fault) for name, fault in request.faults.items()}
    failures |= {name: reading for name, reading in read.items() if isinstance(reading, QueryFailed)}
    for count in request.counts:
        if (failed := failures.get(count.name)) is not None and failed.kind is FailureKind.NO_DATA:
            del failures[count.name]  # no exporter tells of readiness, or no pod is ready yet: nothing to compare with
    units = {query.name: query.unit for query in request.queries}

    def series_of(name: str) -> dict[str, Series]:
        found = read.get(name, {})
        return {} if isinstance(found, QueryFailed) else found

    def single(name: str) -> Series:
        return series_of(name).get("", empty(request.step_seconds, units.get(name, "")))

    cpu = series_of(Signal.CPU)
    startup = series_of(Signal.STARTUP).get("")
    newest = None if startup is None else startup.last()
    history = WorkloadHistory(
        load=_total(cpu, request.step_seconds) if request.spec.metrics.load is None else single(Signal.LOAD),
        replicas=single(Signal.REPLICAS),
        cpu_size=single(Signal.CPU_SIZE),
        cpu_cores=cpu,
        memory_bytes=series_of(Signal.MEMORY),
        throttled=series_of(Signal.THROTTLED),
        objectives={o.name: single(objective_name(o.name)) for o in request.spec.objectives},
        startup_seconds=None if newest is None else newest[1],
        coverage=_coverage(request, series_of, failures) | _listed(request, series_of, single(Signal.REPLICAS)),
    )
    # Where nothing at all is answered there is nothing that could be added up wrongly.
    is_unknown = PODS in failures and any(not isinstance(reading, QueryFailed) for reading in read.values())
    return FetchResult(history, failures, is_unknown or is_suspect(series_of(PODS)))


def refused(request: SignalRequest, failure: QueryFailed) -> FetchResult:
    """The result of a request whose signals all have this failure."""
    return _result(request, {query.name: failure for query in request.queries})


def _coverage(
    request: SignalRequest, series_of: Callable[[str], dict[str, Series]], failures: Mapping[str, QueryFailed]
) -> dict[str, Coverage]:
    """How many pods each signal speaks for; one that a user's query replaces is counted by that query alone."""
    parts = series_of(PODS)
    ready = parts.get(READY)
    if ready is None:
        return {}
    counted = {count.name for count in request.counts} - failures.keys()
    found: dict[str, Series] = {}
    for query in request.queries:
        if query.template is None and query.name in DEFAULTS:
            found[query.name] = parts.get(query.name, replace(ready, values=np.zeros(len(ready))))
        elif (count := count_name(query.name)) in counted:
            seen = series_of(count).get(SEEN)
            if seen is None and query.name.startswith("objective/") and series_of(query.name):
                continue  # what counts events has no series before the first one: it is not known whom it speaks for
            found[query.name] = replace(ready, values=np.zeros(len(ready))) if seen is None else seen
    return {name: Coverage(ready, _counted(seen, ready), request.window_seconds) for name, seen in found.items()}


def _listed(
    request: SignalRequest, series_of: Callable[[str], dict[str, Series]], replicas: Series
) -> dict[str, Coverage]:
    """How many of the ready replicas are told of as pods: fewer where one of several kube-state-metrics is down."""
    now = series_of(PODS).get(READY_NOW)
    if now is None:
        return {}
    return {LISTED_PODS: listed_pods(now, replicas, request.window_seconds)}


def listed_pods(now: Series, replicas: Series, window_seconds: float) -> Coverage:
    """``now`` as it was counted, none where nothing is told of while replicas are ready, beside the ready replicas."""
    ready = replace(now, values=np.array([replicas.at(float(time)) for time in now.times]))
    untold = np.isnan(now.values) & np.isfinite(ready.values)
    return Coverage(ready, replace(now, values=np.where(untold, 0.0, now.values)), window_seconds)


def _counted(seen: Series, ready: Series) -> Series:
    """``seen`` on the grid of ``ready``: none where pods were ready and none is told of."""
    values = np.array([seen.at(float(time)) for time in ready.times])
    return replace(ready, values=np.where(np.isfinite(ready.values), np.nan_to_num(values, nan=0.0), np.nan))


def _total(by_container: dict[str, Series], step_seconds: float) -> Series:
    """CPU usage of all containers; a container without a sample counts as idle where another has one."""
    if not by_container:
        return empty(step_seconds, "cores")
    first = next(iter(by_container.values()))
    stacked = np.stack([series.values for series in by_container.values()])
    seen = np.isfinite(stacked).any(axis=0)
    return replace(first, values=np.where(seen, np.nansum(stacked, axis=0), np.nan))
