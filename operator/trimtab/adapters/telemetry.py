"""Metrics of the operator itself, under the names that people graph for controllers, and figures of policies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_CONTROLLER = "performancepolicy"

Figures = Mapping[str, Mapping[str, float]]
"""Values of one policy by gauge, each by its own label's value; by ``""`` where a gauge has no label of its own."""

GAUGES: Final[dict[str, tuple[str, str]]] = {
    "replicas": ("Replicas by kind: current, wanted", "kind"),
    "demand": ("Demand by kind: now, peak foreseen", "kind"),
    "objective_met": ("1 while the objective is met", "objective"),
    "health_score": ("Health of the workload, 0 to 100", ""),
    "anomalies_active": ("Anomalies that go on, by severity", "severity"),
    "forecast_error_percent_of_naive": ("Backtest error of the forecast over that of the naive one", ""),
    "forecast_drifted": ("1 while the demand has left what the model learned, by kind of drift", "kind"),
    "reliability_percent": ("Probability that the objective holds over the horizon", "objective"),
    "performance_score": ("Margin to the objectives expected over the horizon, 0 to 100", ""),
    "seconds_to_breach": ("Time until a breach is expected; absent without an early warning", "objective"),
    "error_budget_remaining_percent": ("Share of the error budget that is left", "objective"),
    "error_budget_burn_rate": (
        "Speed at which the budget is spent over about an hour; 1 lasts one window",
        "objective",
    ),
    "advised_monthly_saving": ("Saving a month that is advised, by kind of advice", "kind"),
}
"""Help and own label of each gauge. Its full name is ``trimtab_`` and the key; its labels: namespace, policy, this."""


class Telemetry:
    """Counters and gauges of one operator process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._policies = _Policies()
        self.registry.register(self._policies)
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
        self._anomalies = Counter(
            "trimtab_anomalies", "Anomalies that began", ["namespace", "kind", "severity"], registry=self.registry
        )
        self._model_changes = Counter(
            "trimtab_model_changes", "Forecast models that were replaced", ["namespace"], registry=self.registry
        )
        self._open = Gauge("trimtab_open_runs", "Trials that are open", registry=self.registry)
        self._open_limit = Gauge("trimtab_open_runs_limit", "Trials that may be open", registry=self.registry)
        self._waiting = Gauge("trimtab_runs_waiting", "Policies that wait to begin a trial", registry=self.registry)
        self._fleet_paused = Gauge(
            "trimtab_fleet_paused", "1 while no trial begins, as too many failed", registry=self.registry
        )
        self._paused = Gauge("trimtab_paused", "1 while the switch stops every new write", registry=self.registry)
        self._switch_unread = Gauge(
            "trimtab_switch_unread", "1 while the switch cannot be read", registry=self.registry
        )
        self._leader = Gauge(
            "trimtab_leader",
            "1 while this process holds the lease of a namespace; * stands for all of them",
            ["namespace"],
            registry=self.registry,
        )
        self._watches_ended = Counter(
            "trimtab_watches_ended", "Watches of the API server that broke off", registry=self.registry
        )
        self._insights_failed = Counter(
            "trimtab_insights_failed", "Insights that could not be gained", ["namespace"], registry=self.registry
        )
        self._late = Gauge("trimtab_policies_late", "Policies that wait for late metrics", registry=self.registry)
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

    def watches_ended(self) -> None:
        """The watches broke off, and are begun again."""
        self._watches_ended.inc()

    def insights_failed(self, namespace: str) -> None:
        """Insights of a policy could not be gained."""
        self._insights_failed.labels(namespace).inc()

    def late(self, policies: int) -> None:
        """So many policies wait for metrics that come late."""
        self._late.set(policies)

    def beat(self, now: float) -> None:
        """The scheduler is alive."""
        self._heartbeat.set(now)

    def leader(self, namespace: str, holds: Callable[[], bool]) -> None:
        """From now on, whether this process may act in a namespace is asked whenever somebody reads the metrics."""
        self._leader.labels(namespace).set_function(lambda: float(holds()))

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

    def fleet(
        self, *, open_runs: int, limit: int, waiting: int, fleet_paused: bool, paused: bool, switch_unread: bool
    ) -> None:
        """Trials of all policies, and what stops new ones."""
        self._open.set(open_runs)
        self._open_limit.set(limit)
        self._waiting.set(waiting)
        self._fleet_paused.set(fleet_paused)
        self._paused.set(paused)
        self._switch_unread.set(switch_unread)

    def anomaly_began(self, namespace: str, kind: str, severity: str) -> None:
        """An anomaly was called."""
        self._anomalies.labels(namespace, kind, severity).inc()

    def model_changed(self, namespace: str) -> None:
        """A forecast model was replaced."""
        self._model_changes.labels(namespace).inc()

    def show(self, namespace: str, policy: str, figures: Figures) -> None:
        """Figures of one policy, instead of those shown before. Raises KeyError for one that `GAUGES` does not have."""
        unknown = figures.keys() - GAUGES.keys()
        if unknown:
            raise KeyError(f"no such gauge: {', '.join(sorted(unknown))}")
        self._policies.figures[namespace, policy] = figures

    def keep_only(self, policies: Iterable[tuple[str, str]]) -> None:
        """Forget the figures of policies that are not among these (namespace, name)."""
        wanted = set(policies)
        self._policies.figures = {key: value for key, value in self._policies.figures.items() if key in wanted}


class _Policies(Collector):
    """The newest figures of each policy; one that is gone leaves nothing behind."""

    def __init__(self) -> None:
        self.figures: dict[tuple[str, str], Figures] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        seen = list(self.figures.items())
        for name, (text, label) in GAUGES.items():
            labels = ["namespace", "policy", *([label] if label else [])]
            family = GaugeMetricFamily(f"trimtab_{name}", text, labels=labels)
            for key, figures in seen:
                for own, value in figures.get(name, {}).items():
                    if math.isfinite(value):
                        family.add_metric([*key, own] if label else [*key], value)
            yield family
