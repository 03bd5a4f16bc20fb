"""What the analysis of one workload costs: a week at one minute, one objective; the first round and those after it."""

from __future__ import annotations

import statistics
import time

import numpy as np

from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import FloatArray, Series
from trimtab.planning.assessment import AssessInputs, Known, assess

WORKLOADS, ROUNDS, SAMPLES, STEP = 8, 12, 10_080, 60.0


def history(seed: int) -> WorkloadHistory:
    """A daily wave on a queue whose replicas follow it."""
    rng = np.random.default_rng(seed)
    times = np.arange(SAMPLES) * STEP
    load = 100 + 60 * np.sin(2 * np.pi * times / 86_400) + 5 * rng.standard_normal(SAMPLES)
    replicas = np.ceil(load / 40)
    latency = 0.02 + 4.6 / (50 - np.minimum(load / replicas, 45)) * np.exp(0.1 * rng.standard_normal(SAMPLES))

    def series(values: FloatArray) -> Series:
        return Series(0.0, STEP, values)

    return WorkloadHistory(
        load=series(load),
        replicas=series(replicas),
        cpu_size=series(np.full(SAMPLES, 0.5)),
        cpu_cores={"app": series(load / 100)},
        memory_bytes={"app": series(np.full(SAMPLES, 2e8))},
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
        seen, known, now = history(seed), None, SAMPLES * STEP
        for round_number in range(ROUNDS):
            known, seconds = timed(spec, seen, known, now + round_number * STEP)
            (later if round_number else first).append(seconds)
    print(f"{WORKLOADS} workloads, {SAMPLES} samples each, {ROUNDS} rounds, one process")
    mean_later = 1000 * statistics.fmean(later)
    print(
        f"first_round_ms={1000 * statistics.median(first[1:]):.1f} later_round_ms={1000 * statistics.median(later):.1f}"
        f" later_round_mean_ms={mean_later:.1f} workloads_a_minute_a_core={60_000 / mean_later:.0f}"
    )


def timed(spec: PolicySpec, seen: WorkloadHistory, known: Known | None, now: float) -> tuple[Known, float]:
    """What a round learned, and its seconds."""
    started = time.perf_counter()
    found = assess(AssessInputs(spec=spec, history=seen, failures={}, now=now, previous=known))
    return found.known, time.perf_counter() - started


if __name__ == "__main__":
    main()
