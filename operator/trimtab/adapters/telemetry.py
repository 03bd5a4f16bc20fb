"""Metrics of the operator itself, under the names that people graph for controllers already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_CONTROLLER = "performancepolicy"


class Telemetry:
    """Counters and gauges of one operator process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciled = Counter(
            "controller_runtime_reconcile", "Evaluations of policies", ["controller", "result"], registry=self.registry
        )
        self._errors = Counter(
            "controller_runtime_reconcile_errors", "Evaluations that failed", ["controller"], registry=self.registry
        )
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds", "Time of a round", ["controller"], registry=self.registry
        )
        self._queue = Gauge("workqueue_depth", "Policies due", ["name"], registry=self.registry)
        self._writes = Counter(
            "trimtab_workload_writes", "Patches of workloads", ["namespace", "purpose"], registry=self.registry
        )
        self._runs = Counter("trimtab_runs", "Runs that ended", ["namespace", "phase"], registry=self.registry)
        self._replicas = Gauge(
            "trimtab_replicas", "Replicas by kind", ["namespace", "policy", "kind"], registry=self.registry
        )
        self._demand = Gauge(
            "trimtab_demand", "Demand now and foreseen", ["namespace", "policy", "kind"], registry=self.registry
        )
        self._objective = Gauge(
            "trimtab_objective_met", "1 while met", ["namespace", "policy", "objective"], registry=self.registry
        )
        self._heartbeat = Gauge(
            "trimtab_scheduler_last_round_timestamp_seconds", "When the last round ended", registry=self.registry
        )

    def serve(self, port: int) -> None:
        """Expose the metrics over HTTP; raises OSError when the port is taken."""
        start_http_server(port, registry=self.registry)

    @contextmanager
    def round(self, due: int) -> Iterator[None]:
        """Time one round over so many policies."""
        self._queue.labels(_CONTROLLER).set(due)
        started = perf_counter()
        try:
            yield
        finally:
            self._seconds.labels(_CONTROLLER).observe(perf_counter() - started)
            self._queue.labels(_CONTROLLER).set(0)

    def beat(self, now: float) -> None:
        """The scheduler is alive."""
        self._heartbeat.set(now)

    def reconciled(self, ok: bool) -> None:
        """One policy was evaluated."""
        self._reconciled.labels(_CONTROLLER, "success" if ok else "error").inc()
        if not ok:
            self._errors.labels(_CONTROLLER).inc()

    def wrote(self, namespace: str, purpose: str) -> None:
        """A workload was patched: to apply, to undo, or to follow."""
        self._writes.labels(namespace, purpose).inc()

    def run_ended(self, namespace: str, phase: str) -> None:
        """A run ended."""
        self._runs.labels(namespace, phase).inc()

    def show(
        self,
        namespace: str,
        policy: str,
        *,
        replicas: dict[str, float],
        demand: dict[str, float],
        objectives: dict[str, bool],
    ) -> None:
        """Figures of one policy."""
        for kind, value in replicas.items():
            self._replicas.labels(namespace, policy, kind).set(value)
        for kind, value in demand.items():
            self._demand.labels(namespace, policy, kind).set(value)
        for name, met in objectives.items():
            self._objective.labels(namespace, policy, name).set(1 if met else 0)
