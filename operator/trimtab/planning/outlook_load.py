"""The demand ahead as many possible courses, and the replicas that each of them will meet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trimtab.domain.series import FloatArray
from trimtab.forecasting.early_warning import BREACH_SAMPLES
from trimtab.forecasting.forecast import Forecast, NoForecast

COURSES = 256
MOST_POINTS = 96
"""Longer horizons are looked at every so many steps."""
MOST_NUMBERS = 150_000
"""Of one call for courses: fewer are drawn for a very long horizon, at least 64."""
_SEED = 20_240_601
"""Every round draws the same numbers, so that what changes between rounds is what was seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Points of the horizon that are looked at."""

    ahead_seconds: FloatArray
    """From now, shape (h,), rising, above 0."""
    stride: int
    """Steps of the series between two points."""
    run: int
    """Points in a row that make a breach."""
    seed: int = _SEED


@dataclass(frozen=True, slots=True)
class Following:
    """How replicas will follow the demand."""

    replicas: int
    """Now."""
    floor: int
    ceiling: int
    capacity: float
    """Load that a replica is given; NaN when it is not known: then nothing follows."""
    headroom: float
    quantile: float
    """Of the forecast, that capacity is provided for."""
    startup_seconds: float
    follows: bool


def grid(forecast: Forecast | NoForecast, now: float, step_seconds: float, horizon_seconds: float) -> Grid:
    """At most 96 points on the grid of the forecast up to the horizon (of the series, without a forecast)."""
    if isinstance(forecast, Forecast):
        times = forecast.times[forecast.times <= now + horizon_seconds + 1e-3 * step_seconds]
        ahead = (times if times.size else forecast.times[:1]) - now
    else:
        ahead = step_seconds * np.arange(1, max(1, int(horizon_seconds / step_seconds + 1e-6)) + 1, dtype=np.float64)
    stride = math.ceil(ahead.size / MOST_POINTS)
    kept = np.maximum(ahead[stride - 1 :: stride], 1e-3 * step_seconds)
    return Grid(kept, stride, max(1, math.ceil(BREACH_SAMPLES / stride)))


def load_courses(forecast: Forecast, points: Grid) -> FloatArray:
    """Courses of the demand, shape (p, h), with p of 64 to 256."""
    count = int(min(max(MOST_NUMBERS // forecast.times.size, 64), COURSES))
    last = points.stride * points.ahead_seconds.size
    return forecast.paths(count, points.seed)[:, points.stride - 1 : last : points.stride]


def replica_courses(
    load: FloatArray, load_now: float, forecast: Forecast, following: Following, points: Grid
) -> FloatArray:
    """Replicas that serve each course of the demand, shape (p, h).

    Until a pod that is ordered now can serve they are those of now. Then they are what following asks for at the larger
    of the demand foreseen, at its quantile, and the demand of the course one start-up time before, in its bounds.
    """
    now = float(max(following.replicas, 1))
    if not following.follows or not following.capacity > 0 or not math.isfinite(following.capacity):
        return np.full(load.shape, now)
    ahead = points.ahead_seconds
    step = float(ahead[1] - ahead[0]) if ahead.size > 1 else float(ahead[0])
    late = max(1, math.ceil(following.startup_seconds / step))
    seen = np.concatenate([np.full((len(load), min(late, ahead.size)), load_now), load[:, :-late]], axis=1)
    if forecast.reliable:
        last = points.stride * ahead.size
        foreseen = forecast.quantile(following.quantile)[points.stride - 1 : last : points.stride]
        seen = np.maximum(seen, foreseen[None, :])
    wanted = np.ceil(np.nan_to_num(seen) * (1.0 + following.headroom) / following.capacity - 1e-9)
    wanted = np.clip(wanted, following.floor, following.ceiling)
    return np.where(ahead[None, :] <= following.startup_seconds, now, wanted)
