"""Metrics of the store."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class StoreTelemetry:
    """Gauges and counters of one store, in the operator's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge("trimtab_store_up", "0 while the analytics store cannot be used", registry=registry)
        self._up.set(1)  # until it is first used, which is when there is a policy
        self._bytes = Gauge("trimtab_store_size_bytes", "Size of the store's file", registry=registry)
        self._failures = Counter("trimtab_store_failures", "Reads and writes that failed", registry=registry)
        self._seconds = Histogram(
            "trimtab_store_time_seconds", "Time of reads and writes", ["operation"], registry=registry
        )

    def worked(self, operation: str, seconds: float, size: int) -> None:
        """A read or write was done."""
        self._up.set(1)
        self._bytes.set(size)
        self._seconds.labels(operation).observe(seconds)

    def failed(self) -> None:
        """A read or write could not be done."""
        self._failures.inc()

    def away(self) -> None:
        """The store cannot be used at present."""
        self._up.set(0)
