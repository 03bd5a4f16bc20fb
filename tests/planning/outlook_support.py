"""Simulated workloads and the inputs of their outlook."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from tests.planning.mm1_support import MM1
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.capacity_plan import PodSize
from trimtab.forecasting.forecast import forecast
from trimtab.planning.learning import learn
from trimtab.planning.outlook import OutlookInputs
from trimtab.planning.strategies import STRATEGIES

STEP, DAY = 60.0, 1440
QUEUE = MM1()
"""120 requests/s for half a core: p99 reaches 250 ms at 100 requests/s a pod."""


def spec(maximum: int = 20, **changed: Any) -> PolicySpec:
    given: dict[str, Any] = {
        "targetRef": {"kind": "Deployment", "name": "checkout"},
        "mode": "Auto",
        "horizontal": {"minReplicas": 1, "maxReplicas": maximum},
        "objectives": [{"name": "latency-p99", "query": "up", "max": "250m", "slo": {"targetPercent": "99"}}],
    }
    return PolicySpec.model_validate({**given, **changed})


def service(load: FloatArray, maximum: int, seed: int = 1, slower: FloatArray | float = 1.0) -> WorkloadHistory:
    """A queue whose replicas follow a load, up to a ceiling."""
    rng = np.random.default_rng(seed)
    replicas = np.clip(np.ceil(np.roll(load, 2) / 70.0), 1, maximum)
    latency = QUEUE.p99(load / replicas, 0.5) * np.exp(0.1 * rng.standard_normal(load.size)) * slower

    def series(values: FloatArray) -> Series:
        return Series(0.0, STEP, np.asarray(values, dtype=np.float64))

    return WorkloadHistory(
        load=series(load),
        replicas=series(replicas),
        cpu_size=series(np.full(load.size, 0.5)),
        objectives={"latency-p99": series(latency)},
        startup_seconds=30.0,
    )


def day(samples: int, seed: int = 2, level: float = 300.0) -> FloatArray:
    t = np.arange(samples) / DAY
    noise = 1 + 0.03 * np.random.default_rng(seed).standard_normal(samples)
    return np.asarray(level * (1 - 0.5 * np.cos(2 * np.pi * t)) * noise)


def cut(history: WorkloadHistory, end: int) -> WorkloadHistory:
    def until(series: Series) -> Series:
        return Series(series.start, series.step_seconds, series.values[:end])

    return replace(
        history,
        load=until(history.load),
        replicas=until(history.replicas),
        cpu_size=until(history.cpu_size),
        objectives={name: until(series) for name, series in history.objectives.items()},
    )


def inputs_of(history: WorkloadHistory, policy: PolicySpec, **changed: Any) -> OutlookInputs:
    now = history.load.end
    curves = learn(history, tuple(policy.objectives), {}, None, now).curves
    probability = STRATEGIES[policy.strategy].capacity_probability
    carried = min((one.capacity(0.25, 0.5, probability) for one in curves.values()), default=math.nan)
    given: dict[str, Any] = {
        "spec": policy,
        "history": history,
        "forecast": forecast(history.load, now=now, horizon_seconds=3600.0),
        "curves": curves,
        "replicas": int(history.replicas.values[-1]) if len(history.replicas) else 1,
        "pod": PodSize(0.5, 2.0**28),
        "startup_seconds": 30.0,
        "now": now,
        "capacity_per_replica": carried,
    }
    return OutlookInputs(**{**given, **changed})
