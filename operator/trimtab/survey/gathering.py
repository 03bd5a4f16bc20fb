"""The survey: find the workloads, read their histories in bulk, assess each in the workers, report on all."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from pydantic import ValidationError

from trimtab.adapters.discovery import Discovery, FoundWorkload, discover
from trimtab.adapters.prometheus import PrometheusSource
from trimtab.adapters.prometheus_connection import Connection, PrometheusSettings
from trimtab.adapters.prometheus_wire import FailureKind, QueryFailed
from trimtab.adapters.signals import grid_floor
from trimtab.adapters.signals_kube import Signal
from trimtab.adapters.signals_pods import PODS
from trimtab.adapters.signals_requests import SignalRequest
from trimtab.adapters.signals_results import FetchResult
from trimtab.adapters.workers import Workers
from trimtab.domain.objects import explain_invalid
from trimtab.reporting.analysis import AnalysisReport, WorkloadEntry
from trimtab.survey.examining import Job, examine, failed
from trimtab.survey.options import SurveyOptions

BATCH: Final = 100
"""Workloads that are read and held at a time: histories of this many are in memory."""
_SIGNALS: Final = frozenset({Signal.CPU, Signal.MEMORY, Signal.REPLICAS, Signal.CPU_SIZE, PODS})


@dataclass(frozen=True, slots=True)
class NothingFound:
    """Why there is no report, with what to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a survey is."""

    done: int
    workloads: int
    requests: int
    """Requests to Prometheus so far."""
    seconds: float


async def survey(
    settings: PrometheusSettings,
    options: SurveyOptions,
    workers: Workers,
    now: float,
    tell: Callable[[Progress], None] = lambda _progress: None,
) -> AnalysisReport | NothingFound:
    """The report on all workloads that ``options`` name, up to ``now`` in unix seconds.

    Workloads without data are entries that say why. Requests to Prometheus: three to find the workloads, and five for
    each namespace, or each 100 workloads of a larger one. ``tell`` is called after each batch.
    """
    found = await asyncio.to_thread(_find, settings, options, now)
    if isinstance(found, QueryFailed):
        return NothingFound(_unread(found))
    chosen = [workload for workload in found.workloads if options.selects(workload)]
    if not chosen:
        return NothingFound(_none(found, options, settings.url))
    source = PrometheusSource(settings)
    started = time.monotonic()
    entries: list[WorkloadEntry] = []
    tell(Progress(0, len(chosen), len(found.queries), 0.0))
    try:
        for batch in batches(chosen):
            entries += await _assessed(source, options, workers, batch, now)
            requests = source.counters.requests + len(found.queries)
            tell(Progress(len(entries), len(chosen), requests, time.monotonic() - started))
    finally:
        await source.close()
    return AnalysisReport(
        source=settings.url,
        at=grid_floor(now, options.step),
        history_seconds=options.history_seconds,
        step_seconds=options.step,
        horizon_seconds=options.horizon_seconds,
        confidence_percent=options.confidence_percent,
        currency=options.currency,
        entries=tuple(sorted(entries, key=lambda entry: (entry.namespace, entry.name, entry.kind))),
        warning=f"workloads may be missing, as the answer was partial: {found.partial}" if found.partial else "",
    )


def batches(workloads: Sequence[FoundWorkload], most: int = BATCH) -> Iterator[list[FoundWorkload]]:
    """Batches of at most ``most``; a namespace is divided only where it is larger than that."""
    batch: list[FoundWorkload] = []
    for _, group in groupby(workloads, key=lambda workload: workload.namespace):
        members = list(group)
        if batch and len(batch) + len(members) > most:
            yield batch
            batch = []
        for start in range(0, len(members), most):
            part = members[start : start + most]
            if len(part) == most:
                yield part
            else:
                batch += part
    if batch:
        yield batch


async def _assessed(
    source: PrometheusSource, options: SurveyOptions, workers: Workers, batch: Sequence[FoundWorkload], now: float
) -> list[WorkloadEntry]:
    """The entries of one batch; a workload that fails takes no other with it."""
    entries: list[WorkloadEntry] = []
    asked: list[tuple[FoundWorkload, SignalRequest]] = []
    until = grid_floor(now, options.step)
    since = grid_floor(until - options.history_seconds, options.step)
    for number, workload in enumerate(batch):
        try:
            spec = options.spec(workload)
        except ValidationError as error:
            entries.append(failed(workload, explain_invalid(error)))
            continue
        request = SignalRequest(
            str(number), workload.namespace, spec, since, until, options.step, options.window_seconds, only=_SIGNALS
        )
        asked.append((workload, request))
    read = await source.fetch_round([request for _, request in asked])
    jobs = [_job(workload, request, read[request.key], now) for workload, request in asked]
    for (workload, _), entry in zip(asked, await workers.map(examine, jobs), strict=True):
        entries.append(failed(workload, f"the analysis failed: {entry!r}") if isinstance(entry, Exception) else entry)
    return entries


def _job(workload: FoundWorkload, request: SignalRequest, result: FetchResult, now: float) -> Job:
    failures = {name: failure.message for name, failure in result.failures.items()}
    clusters = next((one.message for one in result.failures.values() if one.kind is FailureKind.MANY_CLUSTERS), "")
    return Job(workload, request.spec, result.history, failures, result.partial, now, clusters)


def _find(settings: PrometheusSettings, options: SurveyOptions, now: float) -> Discovery | QueryFailed:
    connection = Connection(settings)
    try:
        return discover(connection, math.floor(now), options.namespaces, settings.matchers)
    finally:
        connection.close()


def _unread(failure: QueryFailed) -> str:
    remedies = {
        FailureKind.UNREACHABLE: "check --prometheus-url, and --header, --bearer-token-file or --ca-file where it asks"
        " for them",
        FailureKind.TIMEOUT: "raise --timeout, or name fewer namespaces with --namespace",
    }
    remedy = remedies.get(failure.kind)
    return f"{failure.message}; {remedy}" if remedy else failure.message


def _none(found: Discovery, options: SurveyOptions, url: str) -> str:
    if found.workloads:
        globs = ", ".join(options.selectors)
        return f"none of the {len(found.workloads)} workloads found has a name like {globs}; see --selector"
    where = f"in {', '.join(options.namespaces)}" if options.namespaces else "in any namespace"
    return (
        f"no Deployment or StatefulSet {where}: {found.queries[0]} returned nothing at {url};"
        " check --namespace, and that kube-state-metrics is scraped"
    )
