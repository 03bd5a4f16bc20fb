"""One workload's entry in the report, from its history. Pure; runs in a worker process."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from trimtab.adapters.discovery import FoundWorkload
from trimtab.adapters.signals_kube import SOURCES, Signal
from trimtab.analytics.trend import Trend
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.status import ContainerSize
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.planning.assessment import assess
from trimtab.planning.evidence import plausible_history, usage_of
from trimtab.planning.findings import AssessInputs, Running
from trimtab.planning.options import monthly_cost
from trimtab.reporting.analysis import Ahead, Sizing, State, WorkloadEntry
from trimtab.survey.insights import health, recommendation, target
from trimtab.survey.plotting import plot
from trimtab.survey.sizing import container_entry, pod_sizing


@dataclass(frozen=True, slots=True)
class Job:
    """What is known of one workload; picklable."""

    workload: FoundWorkload
    spec: PolicySpec
    history: WorkloadHistory
    failures: Mapping[str, str]
    """Why a signal has no samples, by its name."""
    partial: bool
    now: float
    clusters: str = ""
    """Why nothing was added up; empty where one cluster tells."""


def examine(job: Job) -> WorkloadEntry:
    """The entry of one workload, without the samples beyond what is drawn."""
    if job.history.load.present == 0:
        return without_data(job.workload, job.failures, job.clusters)
    workload = _with_unsized(job)
    running = Running(target(workload), workload.replicas, workload.replicas, workload.containers)
    assessment = assess(
        AssessInputs(job.spec, job.history, job.failures, job.now, partial=job.partial, running=running)
    )
    insights = assessment.insights
    assert insights is not None, "the workload runs"
    containers = tuple(container_entry(size, assessment.usage.get(size.name)) for size in workload.containers)
    cpu = pod_sizing(tuple(one.cpu for one in containers))
    memory = pod_sizing(tuple(one.memory for one in containers))
    return WorkloadEntry(
        namespace=workload.namespace,
        kind=workload.kind.value,
        name=workload.name,
        replicas=workload.replicas,
        state=State.ANALYZED,
        message="" if assessment.quality.ok else assessment.quality.message,
        unit=job.history.load.unit,
        demand=assessment.demand,
        health=health(insights.health),
        trend=insights.trend if isinstance(insights.trend, Trend) else None,
        seasons=assessment.seasons,
        anomalies=insights.anomalies,
        ahead=_ahead(assessment.forecast),
        no_forecast=assessment.forecast.reason if isinstance(assessment.forecast, NoForecast) else "",
        containers=containers,
        cpu=cpu,
        memory=memory,
        monthly_cost=monthly_cost(job.spec, workload.replicas, cpu.request, memory.request),
        recommended_monthly_cost=_recommended_cost(job.spec, workload.replicas, cpu, memory),
        recommendations=tuple(recommendation(one, workload) for one in insights.advice),
        plot=plot(job.history, assessment.forecast),
    )


def without_data(workload: FoundWorkload, failures: Mapping[str, str], clusters: str = "") -> WorkloadEntry:
    """The entry of a workload of which nothing was read, with what was asked."""
    if clusters:
        return _bare(workload, State.NO_DATA, clusters)
    if workload.replicas == 0:
        message, query = "no pods: it is scaled to 0 replicas", ""
    else:
        message = failures.get(Signal.CPU) or next(iter(failures.values()), "no samples in the history")
        query = SOURCES[Signal.CPU]
    return _bare(workload, State.NO_DATA, message, query)


def failed(workload: FoundWorkload, message: str) -> WorkloadEntry:
    """The entry of a workload that could not be analysed."""
    return _bare(workload, State.FAILED, message)


def _bare(workload: FoundWorkload, state: State, message: str, query: str = "") -> WorkloadEntry:
    return WorkloadEntry(
        namespace=workload.namespace,
        kind=workload.kind.value,
        name=workload.name,
        replicas=workload.replicas,
        state=state,
        message=message,
        query=query,
    )


def _with_unsized(job: Job) -> FoundWorkload:
    """The workload with the containers that run without any request or limit."""
    sized = {size.name for size in job.workload.containers}
    used = usage_of(job.spec, plausible_history(job.history), job.now)
    unsized = [
        ContainerSize(name=name)
        for name, usage in used.items()
        if name not in sized and math.isfinite(usage.cpu_p95_cores)
    ]
    return replace(job.workload, containers=(*job.workload.containers, *unsized))


def _recommended_cost(spec: PolicySpec, replicas: int, cpu: Sizing, memory: Sizing) -> float:
    """Cost with the recommended requests, and NaN where there is none to go by."""
    if not (math.isfinite(cpu.recommended) or math.isfinite(memory.recommended)):
        return math.nan
    cores = cpu.recommended if math.isfinite(cpu.recommended) else cpu.request
    size = memory.recommended if math.isfinite(memory.recommended) else memory.request
    return monthly_cost(spec, replicas, cores, size)


def _ahead(forecast: Forecast | NoForecast) -> Ahead | None:
    if isinstance(forecast, NoForecast):
        return None
    top = int(np.argmax(forecast.mean))
    return Ahead(
        model=forecast.model,
        reliable=forecast.reliable,
        reason=forecast.reason,
        peak=float(forecast.mean[top]),
        peak_upper=float(forecast.upper[top]),
        peak_at=float(forecast.times[top]),
    )
