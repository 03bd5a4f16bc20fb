"""What is drawn of a workload, thinned so that a report of a thousand stays small."""

from __future__ import annotations

from typing import Final

import numpy as np

from trimtab.domain.history import WorkloadHistory
from trimtab.domain.series import FloatArray
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.planning.learning import on_grid
from trimtab.reporting.analysis import Plot

MOST_POINTS: Final = 400
MOST_USAGE, MOST_AHEAD = 200, 100
"""Usage is drawn half as wide."""


def plot(history: WorkloadHistory, ahead: Forecast | NoForecast) -> Plot:
    """Demand of at most 400 points, usage a pod of 200, forecast of 100; a point is the largest of its samples."""
    load = history.load
    stride, usage_stride = (max(1, -(-len(load) // most)) for most in (MOST_POINTS, MOST_USAGE))
    pods = np.maximum(on_grid(load, history.replicas), 1.0)
    cpu = _summed([on_grid(load, series) for series in history.cpu_cores.values()], len(load)) / pods
    memory = _summed([on_grid(load, series) for series in history.memory_bytes.values()], len(load))
    path = ahead if isinstance(ahead, Forecast) else None
    nothing = np.empty(0)
    ahead_stride = 1 if path is None else max(1, -(-path.times.size // MOST_AHEAD))
    return Plot(
        start=load.start + (stride - 1) / 2 * load.step_seconds,
        step_seconds=stride * load.step_seconds,
        demand=largest(load.values, stride),
        usage_start=load.start + (usage_stride - 1) / 2 * load.step_seconds,
        usage_step_seconds=usage_stride * load.step_seconds,
        cpu=largest(cpu, usage_stride),
        memory=largest(memory, usage_stride),
        ahead_start=float(path.times[0]) if path is not None else 0.0,
        ahead_step_seconds=ahead_stride * load.step_seconds,
        mean=path.mean[::ahead_stride] if path is not None else nothing,
        lower=path.lower[::ahead_stride] if path is not None else nothing,
        upper=path.upper[::ahead_stride] if path is not None else nothing,
    )


def largest(values: FloatArray, stride: int) -> FloatArray:
    """The largest of each ``stride`` values, NaN where none is a number; shape (ceil(n / stride),).

    >>> largest(np.array([1.0, 3.0, np.nan, np.nan, 2.0]), 2).tolist()
    [3.0, nan, 2.0]
    """
    padded = np.full(-(-values.size // stride) * stride, -np.inf)
    padded[: values.size] = np.where(np.isfinite(values), values, -np.inf)
    tops = padded.reshape(-1, stride).max(axis=1)
    result: FloatArray = np.where(np.isfinite(tops), tops, np.nan)
    return result


def _summed(parts: list[FloatArray], size: int) -> FloatArray:
    """Sum of what is there, NaN where nothing is."""
    if not parts:
        return np.full(size, np.nan)
    stacked = np.stack(parts)
    return np.where(np.isfinite(stacked).any(axis=0), np.nansum(stacked, axis=0), np.nan)
