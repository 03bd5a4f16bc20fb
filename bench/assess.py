"""What the analysis of one workload costs: a week at one minute, one objective; the first round and those after it."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import numpy as np

from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.status import Amounts, ContainerSize
from trimtab.planning.assessment import assess
from trimtab.planning.findings import AssessInputs, Known, Running

WORKLOADS, ROUNDS, SAMPLES, STEP = 8, 12, 10_080, 60.0
POD = (ContainerSize(name="app", requests=Amounts(cpu="500m", memory="256Mi"), limits=Amounts(cpu="500m")),)


def history(seed: int) -> WorkloadHistory:
    """A daily wave on a queue whose replicas follow it."""
    rng = np.random.default_rng(seed)
    times = np.arange(SAMPLES + ROUNDS) * STEP
    load = 100 + 60 * np.sin(2 * np.pi * times / 86_400) + 5 * rng.standard_normal(times.size)
    replicas = np.ceil(load / 40)
    latency = 0.02 + 4.6 / (50 - np.minimum(load / replicas, 45)) * np.exp(0.1 * rng.standard_normal(times.size))

    def series(values: FloatArray) -> Series:
        return Series(0.0, STEP, values)

    return WorkloadHistory(
        load=series(load),
        replicas=series(replicas),
        cpu_size=series(np.full(times.size, 0.5)),
        cpu_cores={"app": series(load / 100)},
        memory_bytes={"app": series(2e8 + 1e6 * rng.standard_normal(times.size))},
        objectives={"latency-p99": series(latency)},
        startup_seconds=20.0,
    )


def main() -> None:
    """Time every round of every workload; print the medians."""
    spec = PolicySpec.model_validate(
        {
            "targetRef": {"kind": "Deployment", "name": "web"},
            "objectives": [{"name": "latency-p99", "query": "up", "max": "250m"}],
        }
    )
    first: list[float] = []
    later: list[float] = []
    for seed in range(WORKLOADS):
        seen, known = history(seed), None
        for round_number in range(ROUNDS):
            now = (SAMPLES - 1 + round_number) * STEP
            known, seconds = timed(spec, until(seen, now), known, now)
            (later if round_number else first).append(seconds)
    print(f"{WORKLOADS} workloads, {SAMPLES} samples each, {ROUNDS} rounds, one process")
    mean_later = 1000 * statistics.fmean(later)
    print(
        f"first_round_ms={1000 * statistics.median(first[1:]):.1f} later_round_ms={1000 * statistics.median(later):.1f}"
        f" later_round_mean_ms={mean_later:.1f} workloads_a_minute_a_core={60_000 / mean_later:.0f}"
    )


def until(seen: WorkloadHistory, now: float) -> WorkloadHistory:
    """The newest samples of a history at ``now``, as many as are kept."""

    def cut(series: Series) -> Series:
        return series.between(now - (SAMPLES - 1) * STEP, now)

    return replace(
        seen,
        load=cut(seen.load),
        replicas=cut(seen.replicas),
        cpu_size=cut(seen.cpu_size),
        cpu_cores={name: cut(series) for name, series in seen.cpu_cores.items()},
        memory_bytes={name: cut(series) for name, series in seen.memory_bytes.items()},
        objectives={name: cut(series) for name, series in seen.objectives.items()},
    )


def timed(spec: PolicySpec, seen: WorkloadHistory, known: Known | None, now: float) -> tuple[Known, float]:
    """What a round learned, and its seconds."""
    started = time.perf_counter()
    running = Running("deployment/web", 3, 3, POD, policy="web")
    found = assess(AssessInputs(spec=spec, history=seen, failures={}, now=now, previous=known, running=running))
    return found.known, time.perf_counter() - started


if __name__ == "__main__":
    main()
