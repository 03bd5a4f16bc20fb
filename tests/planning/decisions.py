"""What is decided and stored for a set of workloads and series, as JSON: run as a program, once for each processor.

Series are exact, degenerate or rounded to ten digits, so that they are the same wherever they are made. Numbers have
nine digits, as those have that are kept with a plan: what intermediate results differ by is not of interest.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from tests.analytics.noise import autoregressive
from tests.planning.building import policy_spec
from tests.planning.mm1_support import MM1
from tests.planning.outlook_support import DAY, cut, day, inputs_of, service, spec
from tests.planning.test_plans import inputs
from tests.planning.trial_support import curve_of, trial
from trimtab.analytics.change_points import change_points
from trimtab.analytics.detection import detect
from trimtab.analytics.patterns import find_patterns
from trimtab.analytics.seasonality import seasons
from trimtab.analytics.trend import trend
from trimtab.domain.choices import Sensitivity
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting import drift
from trimtab.forecasting.forecast import Forecast, forecast
from trimtab.planning.outlook import look_ahead
from trimtab.planning.plans import Proposal, propose
from trimtab.planning.validation import verdict

STEP = 300.0
COUNT = 400


def exact() -> dict[str, FloatArray]:
    """Series by name: without noise, or with equal values and ties, as tests, batch jobs and gauges make them."""
    place = np.arange(COUNT)
    rng = np.random.default_rng(0)
    made = {
        "constant": np.full(COUNT, 0.1),
        "line": 0.1 * place + 0.3,
        "spikes": np.where(place % 100 == 50, 900.0, 20.0),
        "step": np.where(place >= 200, 0.3, 0.1),
        "steps": 10.0 + 10.0 * (place // 100),
        "pulse": np.where((place > 150) & (place < 200), 5.0, 1.0),
        "hinge": 0.1 * np.maximum(place - 200, 0) + 3.0,
        "saw": 0.1 * (place % 24),
        "square": np.where(place % 48 < 24, 0.1, 0.7),
        "triangle": np.abs(place % 40 - 20.0),
        "alternating": 10.0 + place % 2,
        "rare": (rng.random(COUNT) < 0.05) * 1.0,
        "wave": 10.0 + 4.0 * np.sin(2 * np.pi * place / 48),
        "wave with a step": 10.0 + 4.0 * np.sin(2 * np.pi * place / 48) + 20.0 * (place >= 200),
        "noise": 100.0 + autoregressive(COUNT, 0.5, 5.0, 1),
        "noise with a step": 100.0 + autoregressive(COUNT, 0.5, 5.0, 2) + 40.0 * (place >= 240),
        "noisy wave": 100.0 + 30.0 * np.sin(2 * np.pi * place / 48) + autoregressive(COUNT, 0.3, 5.0, 3),
    }
    return {name: np.array([float(f"{value:.10g}") for value in values]) for name, values in made.items()}


def plain(value: Any) -> Any:
    """``value`` as JSON, numbers with nine digits; what is smaller than 1e-9 is nothing."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float | np.floating):
        number = float(value)
        return f"{0.0 if abs(number) < 1e-9 else number:.9g}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, np.ndarray):
        return [plain(one) for one in value.tolist()]
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def of_series(values: FloatArray) -> dict[str, Any]:
    """What is told of one series, and forecast."""
    series = Series(0.0, STEP, values)
    found = seasons(series)
    periods = [one.period_seconds for one in found]
    ahead = forecast(series, now=series.end, horizon_seconds=20 * STEP)
    return {
        "changes": change_points(series, periods),
        "seasons": found,
        "direction": getattr(trend(series, periods), "direction", None),
        "patterns": find_patterns(series, found).told,
        "anomalies": detect(series, Sensitivity.HIGH).anomalies,
        "forecast": (ahead.reason, ahead.reliable, ahead.backtest, ahead.mean, ahead.upper)
        if isinstance(ahead, Forecast)
        else ahead,
    }


def of_workloads() -> Iterator[tuple[str, Any]]:
    """Curves as they are kept, plans with their hash, verdicts, drifts, and what lies ahead."""
    for seed, system in enumerate((MM1(), MM1(std=0.02), MM1(std=0.0))):
        curve = curve_of(seed, system)
        yield f"curve {seed}", curve.to_state().model_dump(mode="json")
        both = policy_spec(vertical={}, objectives=[{"name": "latency-p99", "query": "x", "max": "250m"}])
        for peak in (60.0, 300.0):
            given = inputs(
                both, peak=peak, curves={"latency-p99": curve},
                capacity_of=lambda sizes, curve=curve: curve.capacities(0.25, sizes, 0.9),
            )  # fmt: skip
            proposed = propose(given)
            told = proposed.plan.model_dump(mode="json") if isinstance(proposed, Proposal) else proposed
            yield f"plan {seed} {peak:.0f}", told
    for seed in range(3):
        for slower in (1.0, 1.3):
            decided = verdict(trial(seed, slower=slower), complete=True)
            yield f"verdict {seed} {slower}", getattr(decided, "result", decided)
    errors = autoregressive(600, 0.4, 1.0, 4) + 2.0 * (np.arange(600) >= 400)
    yield "drifts", drift.detect(errors)
    yield "drifts of a perfect forecast", drift.detect(np.where(np.arange(300) < 250, 0.0, 1.0))
    short = inputs_of(cut(service(day(3 * DAY), 3), 2 * DAY + 320), spec(3))
    outlook = look_ahead(short)
    yield "outlook", (outlook.warnings, outlook.reliability, outlook.performance)


def main() -> None:
    """Print the kernels that were taken, and all that was decided under them."""
    decided = {name: of_series(values) for name, values in exact().items()} | dict(of_workloads())
    kernels = sorted({one["architecture"] for one in threadpool_info() if one["user_api"] == "blas"})
    print(json.dumps({"kernels": kernels, "decided": {name: plain(told) for name, told in decided.items()}}))


if __name__ == "__main__":
    main()
