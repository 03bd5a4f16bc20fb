"""What a round works with: the adapters, the clock and the workers, injected once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trimtab.adapters.events import Events
from trimtab.adapters.leases import Leases
from trimtab.adapters.limits import Limits
from trimtab.adapters.metrics_cache import MetricsCache
from trimtab.adapters.pods import Pods
from trimtab.adapters.prometheus import PrometheusSource
from trimtab.adapters.resources import Resources
from trimtab.adapters.store import Store
from trimtab.adapters.telemetry import Telemetry
from trimtab.adapters.workers import Workers
from trimtab.adapters.workloads import Workloads
from trimtab.reconcile.turns import Turns


@dataclass(frozen=True, slots=True)
class StorePace:
    """How often the store is written."""

    samples_seconds: float = 60.0
    states_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Services:
    """The adapters of one operator."""

    resources: Resources
    workloads: Workloads
    pods: Pods
    events: Events
    source: PrometheusSource
    metrics: MetricsCache
    workers: Workers
    limits: Limits
    leases: Leases
    telemetry: Telemetry
    scrape_interval_seconds: float
    clock: Callable[[], float]
    """Unix seconds."""
    turns: Turns
    """Which policy may begin a trial."""
    store: Store | None = None
    """None keeps everything in memory."""
    pace: StorePace = StorePace()
