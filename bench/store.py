"""What the analytics store costs: 1,000 policies with a week at one minute and 7 series each.

Bytes on disk a policy, the time to write what one round adds, and the time to restore all after a restart. The load of
each policy is a daily wave with noise in every digit, which compresses as badly as real measurements do; replicas and
CPU size are whole steps. What was learned is that of `bench.assess`. Runs on SQLite in a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast, get_type_hints

import numpy as np
from prometheus_client import CollectorRegistry

from bench.assess import SAMPLES, STEP, history
from trimtab.adapters.codec import encode
from trimtab.adapters.metrics_cache import MetricsCache
from trimtab.adapters.signals_results import FetchResult
from trimtab.adapters.store import Store
from trimtab.adapters.store_engine import size_bytes
from trimtab.adapters.store_telemetry import StoreTelemetry
from trimtab.analytics.watch import watch
from trimtab.domain.choices import Sensitivity
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objects import Policy
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import Series
from trimtab.domain.status import PolicyStatus
from trimtab.planning.assessment import assess
from trimtab.planning.findings import AssessInputs, Known
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.remembering import Remembering
from trimtab.reconcile.services import Services, StorePace

START, ROUNDS, WINDOW_SECONDS = 1_800_000_000.0 // STEP * STEP, 9, 300.0
SPEC = PolicySpec.model_validate(
    {
        "targetRef": {"kind": "Deployment", "name": "web"},
        "metrics": {"load": {"query": "sum(hits)"}},
        "objectives": [
            {"name": "latency-p99", "query": "p99", "max": "250m"},
            {"name": "errors", "query": "errors", "max": "10m"},
        ],
    }
)


class Adapters:
    """The services that are used, with a clock that is set."""

    def __init__(self, file: Path) -> None:
        self.now = START
        self.metrics = MetricsCache()
        self.pace = StorePace(STEP, 5 * STEP)
        self.store = Store(f"sqlite:///{file}", StoreTelemetry(CollectorRegistry()), self.clock, 90 * 86_400.0)

    def clock(self) -> float:
        """Unix seconds."""
        return self.now


class Process:
    """One operator process, as far as the store sees it."""

    def __init__(self, file: Path) -> None:
        self.services = Adapters(file)
        self.memory: dict[str, Remembered] = {}
        self.remembering = Remembering(cast(Services, self.services), self.memory)

    async def restore(self, policies: list[Policy]) -> None:
        """Bring back what is stored."""
        await self.remembering.restore(
            policies, lambda policy: self.memory.setdefault(policy.uid, Remembered(PolicyStatus()))
        )

    def read(self, policies: list[Policy], seen: list[WorkloadHistory], known: Known) -> None:
        """Take the newest samples of each policy, as a round does."""
        for number, policy in enumerate(policies):
            cache = self.services.metrics
            request = cache.request(policy.uid, policy.namespace, SPEC, self.services.now, WINDOW_SECONDS)
            start = min(request.resumed.values(), default=request.since)
            cache.absorb(request, FetchResult(_until(seen[number % len(seen)], start, request.until)))
            self.memory[policy.uid].known = known

    async def save(self) -> None:
        """Store, and wait for it."""
        await self.remembering.save()
        if self.remembering._writing is not None:
            await self.remembering._writing


def _until(seen: WorkloadHistory, start: float, until: float) -> WorkloadHistory:
    """A recorded week as if it went on for ever, from ``start`` to ``until``."""
    count = round((until - start) / STEP) + 1
    place = (round(start / STEP) + np.arange(count)) % SAMPLES

    def cut(series: Series) -> Series:
        return Series(start, STEP, series.values[place], series.unit)

    latency = seen.objectives["latency-p99"]
    return WorkloadHistory(
        load=cut(seen.load),
        replicas=cut(seen.replicas),
        cpu_size=cut(seen.cpu_size),
        cpu_cores={"app": cut(seen.cpu_cores["app"])},
        memory_bytes={"app": cut(replace(seen.load, values=np.round(1e6 * seen.load.values)))},
        objectives={"latency-p99": cut(latency), "errors": cut(replace(latency, values=latency.values / 7.0))},
        startup_seconds=20.0,
    )


async def measure(count: int, file: Path) -> str:
    """Store a week of each policy, then some rounds, then restore; the figures as one line."""
    seen = [history(seed) for seed in range(8)]
    now = SAMPLES * STEP
    known = assess(AssessInputs(spec=SPEC, history=seen[0], failures={}, now=now)).known
    watched = watch(seen[0], previous=None, sensitivity=Sensitivity.MEDIUM, seasons={}, changes=(), now=now)
    known = replace(known, watched=watched.state)
    policies = [_policy(number) for number in range(count)]
    first = Process(file)
    await first.restore(policies)
    first.read(policies, seen, known)
    first.services.now += STEP
    began = time.perf_counter()
    await first.save()
    whole = time.perf_counter() - began
    writes = []
    for _ in range(ROUNDS):
        first.services.now += STEP
        first.read(policies, seen, known)
        began = time.perf_counter()
        await first.save()
        writes.append(time.perf_counter() - began)
    await first.services.store.close()
    size = size_bytes(file)
    second = Process(file)
    second.services.now = first.services.now + STEP
    began, computed = time.perf_counter(), time.process_time()
    await second.restore(policies)
    restored, computed = time.perf_counter() - began, time.process_time() - computed
    back = second.services.metrics.memory_bytes
    assert back == first.services.metrics.memory_bytes, "all samples came back"
    assert all(memory.known is not None for memory in second.memory.values()), "and all that was learned"
    await second.services.store.close()
    parts = {one.name: len(encode(getattr(known, one.name), get_type_hints(Known)[one.name])) for one in fields(Known)}
    print(f"{count} policies, {SAMPLES} samples of 7 series each: {back / count:.0f} bytes a policy in memory")
    print(f"what was learned of a policy, in bytes: {parts}")
    print(f"the first writing of all: {whole:.1f} s; a round's: {', '.join(f'{one:.2f} s' for one in writes)}")
    print(f"restoring all: {restored:.1f} s, of which {computed:.1f} s on a processor")
    return (
        f"bytes_per_policy={size / count:.0f} write_ms_per_policy={1000 * sorted(writes)[ROUNDS // 2] / count:.2f}"
        f" restore_ms_per_policy={1000 * restored / count:.2f}"
    )


def _policy(number: int) -> Policy:
    made: Any = {"namespace": "shop", "name": f"web-{number}", "uid": f"{number:08}-0000-4000-8000-000000000000"}
    return Policy(**made, generation=1, created_at=0.0, spec=SPEC, status=PolicyStatus())


def main() -> None:
    """Print a table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=1000)
    count = parser.parse_args().policies
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(measure(count, Path(folder) / "trimtab.db")))


if __name__ == "__main__":
    main()
