"""Reports of an analysis for tests of their formats."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.seasonality import SeasonFound
from trimtab.analytics.trend import Direction, Trend
from trimtab.domain.choices import AnomalyKind, Severity
from trimtab.reporting.analysis import (
    Ahead,
    AnalysisReport,
    ContainerEntry,
    Factor,
    Health,
    Plot,
    Recommendation,
    Sizing,
    State,
    WorkloadEntry,
)

AT = 1_800_000_000.0
MIB = 2.0**20
CPU = Sizing(0.5, 1.0, 0.2, 0.23, 1.0)
MEMORY = Sizing(1024 * MIB, 2048 * MIB, 400 * MIB, 480 * MIB, 960 * MIB)
SPIKE = Anomaly(
    "load", AnomalyKind.SPIKE, Severity.CRITICAL, AT - 7200, AT - 3600, 4.0, 1.0, 0.999, "4 where 1 is usual"
)


def drawn(points: int = 400) -> Plot:
    """A wave with a gap, and its forecast."""
    wave = 1.0 + 0.5 * np.sin(np.arange(points) / 20)
    wave[10:20] = np.nan
    ahead = np.full(100, 1.0)
    used = np.full(points // 2, 400 * MIB)
    start = AT - points * 1500
    return Plot(start, 1500.0, wave, start, 3000.0, used / 1e9, used, AT, 900.0, ahead, ahead / 2, ahead * 2)


def busy(name: str = "web", namespace: str = "shop", **changed: object) -> WorkloadEntry:
    """A workload about which everything is known."""
    entry = WorkloadEntry(
        namespace=namespace,
        kind="Deployment",
        name=name,
        replicas=2,
        state=State.ANALYZED,
        demand=1.0,
        health=Health(72.4, "", (Factor("Saturation", 60.0, "CPU is at 80 % of its request"),)),
        trend=Trend(Direction.RISING, 0.01, 0.005, 0.015, 0.5),
        seasons=(SeasonFound(86_400.0, 80),),
        anomalies=(SPIKE,),
        ahead=Ahead("SeasonalNaive", True, "the demand repeats every 24h", 1.5, 2.0, AT + 7200),
        containers=(ContainerEntry("app", CPU, MEMORY),),
        cpu=CPU,
        memory=MEMORY,
        monthly_cost=20.0,
        recommended_monthly_cost=8.0,
        recommendations=(
            Recommendation(
                *(
                    "Lower the CPU request",
                    "it uses 200m of 500m",
                    "p95 over a week",
                    "none on objectives",
                    "kubectl set resources",
                ),
                *(Severity.WARNING, "RightSize", 12.0, 90.0),
            ),
        ),
        plot=drawn(),
    )
    return replace(entry, **changed)  # type: ignore[arg-type]  # fields by name


def silent(name: str = "ghost", namespace: str = "batch") -> WorkloadEntry:
    """A workload without data."""
    message = "no data: query container_cpu_usage_seconds_total of pods returned nothing"
    query = "container_cpu_usage_seconds_total of pods"
    return WorkloadEntry(namespace, "StatefulSet", name, 3, State.NO_DATA, message, query)


def report(*entries: WorkloadEntry, warning: str = "") -> AnalysisReport:
    """A report on these, or on one that is busy, one that needs more and one without data."""
    more = busy("db", cpu=replace(CPU, recommended=1.5), monthly_cost=10.0, recommended_monthly_cost=30.0)
    chosen = entries or (silent(), more, busy(), busy("odd", monthly_cost=math.nan, recommended_monthly_cost=math.nan))
    return AnalysisReport(
        *("http://prometheus:9090", AT, 168 * 3600.0, 300.0, 86_400.0, 90, "USD", tuple(chosen)), warning=warning
    )


def many(count: int) -> AnalysisReport:
    """A report on ``count`` workloads of 20 namespaces."""
    return report(*(busy(f"workload-{number:04}", f"team-{number % 20:02}") for number in range(count)))
