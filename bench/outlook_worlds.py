"""Seeded workloads whose objectives hold or break in known ways, for the benchmark of the outlook."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import FloatArray, Series

STEP, DAY, HORIZON = 60.0, 1440, 60
WARM_DAYS, PLAYED, TAIL = 3, 720, 180
"""Days of history before the first round, samples that are then played, and what comes after."""
SERVICE = 60.0
"""Requests/s that a pod can serve at most."""


@dataclass(frozen=True)
class World:
    """One workload, its whole course, on a step of a minute; arrays of shape (n,)."""

    kind: str
    load: FloatArray
    replicas: FloatArray
    value: FloatArray
    maximum: int

    def history(self, end: int) -> WorkloadHistory:
        """What was seen up to sample ``end`` (exclusive)."""

        def series(values: FloatArray) -> Series:
            return Series(0.0, STEP, values[:end])

        return WorkloadHistory(
            load=series(self.load),
            replicas=series(self.replicas),
            cpu_size=series(np.full(self.load.size, 0.5)),
            objectives={"latency-p99": series(self.value)},
            startup_seconds=40.0,
        )

    def spec(self) -> PolicySpec:
        """The policy: p99 of at most 250 ms, an hour ahead, replicas follow."""
        return PolicySpec.model_validate(
            {
                "targetRef": {"kind": "Deployment", "name": "web"},
                "mode": "Auto",
                "horizontal": {"minReplicas": 2, "maxReplicas": self.maximum},
                "objectives": [
                    {"name": "latency-p99", "query": "up", "max": "250m", "slo": {"targetPercent": "99.5"}},
                ],
            }
        )


def _ar1(rng: np.random.Generator, n: int, sigma: float, rho: float) -> FloatArray:
    shocks = rng.normal(size=n) * sigma * math.sqrt(1 - rho * rho)
    noise = np.empty(n)
    noise[0] = rng.normal() * sigma
    for i in range(1, n):
        noise[i] = rho * noise[i - 1] + shocks[i]
    return noise


def _wave(rng: np.random.Generator, n: int, level: float) -> FloatArray:
    """A day that differs from seed to seed, with noise that lasts minutes."""
    t = np.arange(n) / DAY
    swing, second, shift = rng.uniform(0.25, 0.6), rng.uniform(0.0, 0.2), rng.uniform(0, 1)
    day = 1 + swing * np.sin(2 * np.pi * (t + shift)) + second * np.sin(4 * np.pi * (t + rng.uniform(0, 1)))
    noise = np.exp(_ar1(rng, n, rng.uniform(0.02, 0.08), rng.uniform(0.5, 0.95)))
    wave: FloatArray = np.maximum(level * day * noise, 1.0)
    return wave


def _followed(load: FloatArray, maximum: int) -> FloatArray:
    """Replicas as following keeps them: a learned capacity of 40 requests/s, two minutes late, slow to fall."""
    late = np.concatenate([np.full(2, load[0]), load[:-2]])
    wanted = np.clip(np.ceil(1.15 * late / 40.0), 2, maximum)
    return np.array([wanted[max(0, i - 5) : i + 1].max() for i in range(wanted.size)])


def _latency(rng: np.random.Generator, load: FloatArray, replicas: FloatArray, sigma: float) -> FloatArray:
    """p99 in seconds of a service that queues; no exact M/M/1, and capped where its queue is cut."""
    rho = np.minimum(load / replicas / SERVICE, 0.985)
    value = 0.03 + 0.035 / (1 - rho) ** 1.15
    latency: FloatArray = np.minimum(value * np.exp(_ar1(rng, load.size, sigma, rng.uniform(0.2, 0.8))), 10.0)
    return latency


def _served(rng: np.random.Generator, load: FloatArray, maximum: int) -> tuple[FloatArray, FloatArray]:
    replicas = _followed(load, maximum)
    return replicas, _latency(rng, load, replicas, rng.uniform(0.06, 0.18))


def healthy(rng: np.random.Generator, n: int) -> World:
    """Replicas to spare: it never breaks but by noise."""
    load = _wave(rng, n, rng.uniform(150, 600))
    maximum = 60
    return World("healthy", load, *_served(rng, load, maximum), maximum)


def daily_peak(rng: np.random.Generator, n: int) -> World:
    """The daily peak goes beyond what maxReplicas can carry, by a little or by much, or just not."""
    load = _wave(rng, n, rng.uniform(150, 600))
    maximum = max(int(np.quantile(load, 0.995) / SERVICE / rng.uniform(0.75, 1.15)), 2)
    return World("daily peak", load, *_served(rng, load, maximum), maximum)


def ramp(rng: np.random.Generator, n: int) -> World:
    """A rise that was never seen, over one to five hours, to or beyond the limit."""
    load = _wave(rng, n, rng.uniform(150, 400))
    maximum = max(int(np.quantile(load, 0.995) * 1.3 / SERVICE), 3)
    start, hours = n - PLAYED - TAIL + int(rng.integers(60, 300)), rng.uniform(1, 5)
    rise = np.clip((np.arange(n) - start) / (60 * hours), 0, 1) * rng.uniform(0.3, 1.6)
    load = load * (1 + rise)
    return World("ramp", load, *_served(rng, load, maximum), maximum)


def wandering(rng: np.random.Generator, n: int) -> World:
    """A load without seasons that wanders about what maxReplicas can carry."""
    slow = _ar1(rng, n, rng.uniform(0.15, 0.35), 1 - 1 / rng.uniform(100, 600))
    load = 300 * np.exp(slow + _ar1(rng, n, 0.04, 0.6))
    maximum = max(int(np.quantile(load, rng.uniform(0.85, 1.0)) / 50), 2)
    return World("wandering", load, *_served(rng, load, maximum), maximum)


def leak(rng: np.random.Generator, n: int) -> World:
    """The service gets slower and slower, whatever the load; sometimes it stops before the threshold."""
    load = _wave(rng, n, rng.uniform(150, 600))
    replicas, value = _served(rng, load, 60)
    start, hours = n - PLAYED - TAIL + int(rng.integers(60, 240)), rng.uniform(2, 8)
    slower = np.clip((np.arange(n) - start) / (60 * hours), 0, 1) * math.log(rng.uniform(1.3, 5))
    return World("leak", load, replicas, value * np.exp(slower), 60)


def incident(rng: np.random.Generator, n: int) -> World:
    """It breaks from one minute to the next: nothing tells of it before."""
    load = _wave(rng, n, rng.uniform(150, 600))
    replicas, value = _served(rng, load, 60)
    start = n - PLAYED - TAIL + int(rng.integers(60, 600))
    value = value.copy()
    value[start : start + int(rng.integers(10, 90))] *= rng.uniform(3, 8)
    return World("incident", load, replicas, value, 60)


def spikes(rng: np.random.Generator, n: int) -> World:
    """Single wild samples, several an hour, which are no breach."""
    load = _wave(rng, n, rng.uniform(150, 600))
    replicas, value = _served(rng, load, 60)
    wild = rng.random(n) < rng.uniform(0.01, 0.06)
    return World("spikes", load, replicas, np.where(wild, value * rng.uniform(3, 8, n), value), 60)


def nightly(rng: np.random.Generator, n: int) -> World:
    """An objective that has nothing to do with load: a job of every day, near or beyond the threshold."""
    load = _wave(rng, n, rng.uniform(150, 600))
    t = (np.arange(n) / DAY + rng.uniform(0, 1)) % 1.0
    job = np.exp(-(((t - 0.5) / rng.uniform(0.02, 0.08)) ** 2)) * rng.uniform(0.6, 1.6)
    value = 0.08 * np.exp(job + _ar1(rng, n, rng.uniform(0.04, 0.15), rng.uniform(0.3, 0.9)))
    return World("nightly", load, _followed(load, 60), value, 60)


WORLDS: Final[tuple[Callable[[np.random.Generator, int], World], ...]] = (
    healthy, daily_peak, ramp, wandering, leak, incident, spikes, nightly,
)  # fmt: skip


def world(place: int, seed: int) -> World:
    """The world of one kind and seed."""
    return WORLDS[place](np.random.default_rng([seed, place]), WARM_DAYS * DAY + PLAYED + TAIL)
