"""Issued: what was forecast and not yet seen, and how it fared once it was."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.forecast import Forecast
from trimtab.forecasting.models import demand
from trimtab.forecasting.remedy import naive_path

MOST_STEPS = 60
"""Steps ahead that are judged, at most."""
MOST_JUDGED = 240
RECENT = 120
LEAST_SCALE = 0.01
"""Of the forecast: errors below this share are taken for nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Issued:
    """Forecasts whose outcome is awaited, each shape (n, 7): at most 60 of the newest path, 120 of either other kind.

    Columns: time, lead in steps, mean, expected size of the error, and the mean, lower and upper end that were handed
    out.
    """

    near: FloatArray
    """The newest path."""
    middle: FloatArray
    """A few steps ahead: the square root of the lead that is judged."""
    far: FloatArray
    """At the lead that is judged."""

    @classmethod
    def none(cls) -> Issued:
        """Nothing was forecast."""
        return cls(np.empty((0, 7)), np.empty((0, 7)), np.empty((0, 7)))

    def issue(
        self, model: Forecast, handed_out: Forecast, now: float, step_seconds: float, steps: int, confidence: float
    ) -> Issued:
        """With the path of a new forecast, of which ``steps`` is the lead that is judged."""
        count = min(model.times.size, MOST_STEPS)
        size = (model.upper - model.lower)[:count] / (2.0 * NormalDist().inv_cdf((1.0 + confidence) / 2.0))
        mean = model.mean[:count]
        size = np.maximum(size, np.maximum(LEAST_SCALE * np.abs(mean), 1e-12))
        times = model.times[:count]
        lead = (times - now) / step_seconds
        outside = handed_out.mean[:count], handed_out.lower[:count], handed_out.upper[:count]
        path = np.column_stack([times, lead, mean, size, *outside])
        middle = _continued(self.middle, path, step_seconds, max(1, round(math.sqrt(steps))))
        return Issued(path, middle, _continued(self.far, path, step_seconds, steps))

    def outcome(self, times: FloatArray, step_seconds: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(near, middle, far) rows at ``times`` (k,), shape (k, 7) each, NaN where nothing was forecast."""
        near, middle, far = (_rows(rows, times, step_seconds) for rows in (self.near, self.middle, self.far))
        return near, middle, far

    def after(self, time: float) -> Issued:
        """Without what has come to pass."""
        near, middle, far = (rows[rows[:, 0] > time] for rows in (self.near, self.middle, self.far))
        return Issued(near, middle, far)


def _continued(rows: FloatArray, path: FloatArray, step_seconds: float, steps: int) -> FloatArray:
    """``rows`` (n, 7) and what of ``path`` (m, 7) is later than they and half to all of ``steps`` ahead."""
    newest = float(rows[-1, 0]) if len(rows) else -math.inf
    lead = path[:, 1]
    fresh = (path[:, 0] > newest + 0.5 * step_seconds) & (lead > 0.5 * steps) & (lead <= steps + 0.5)
    if not len(rows):
        fresh &= lead > steps - 1.0
    return np.concatenate([rows, path[fresh]])[-2 * MOST_STEPS :]


def _rows(rows: FloatArray, times: FloatArray, step_seconds: float) -> FloatArray:
    found = np.full((times.size, 7), np.nan)
    if len(rows):
        place = np.clip(np.searchsorted(rows[:, 0], times - 0.5 * step_seconds), 0, len(rows) - 1)
        there = np.abs(rows[place, 0] - times) < 0.5 * step_seconds
        found[there] = rows[place[there]]
    return found


@dataclass(frozen=True, slots=True)
class LiveAccuracy:
    """How forecasts fared on samples that came after them."""

    samples: int
    """Samples at the judged lead that this rests on, at most 120."""
    lead_seconds: float
    """The lead that is judged: the horizon, at most 60 steps."""
    error_percent_of_naive: int | None
    """Mean absolute error over that of the seasonal naive (the last value without a season); None when unknown."""
    coverage_percent: int | None
    """Share of the samples inside the interval."""
    confidence_percent: int
    """What that share should be."""


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """How what was issued fared, one row a sample, shape (n, 10), at most 240 rows.

    Columns: time; near error and its expected size; far error and its expected size; error handed out at the far lead;
    absolute errors at the far lead of the seasonal naive and of the last value; whether the near and the far interval
    held the sample. Errors are actual minus forecast, NaN where unknown.
    """

    rows: FloatArray

    @classmethod
    def none(cls) -> Records:
        """Nothing was judged."""
        return cls(np.empty((0, 10)))

    def judge(
        self, issued: Issued, series: Series, times: FloatArray, steps: int, period_seconds: float
    ) -> tuple[Records, FloatArray]:
        """(with the samples of ``series`` at ``times`` (k,), the new rows (k, 10))."""
        near, _, far = issued.outcome(times, series.step_seconds)
        actual = demand(np.array([series.at(time) for time in times]))
        ahead = steps * series.step_seconds
        naive, last = (
            np.array([naive_path(series, time - ahead, np.array([time]), period)[0] for time in times])
            for period in (period_seconds, 0.0)
        )
        rows = np.column_stack(
            [
                times, actual - near[:, 2], near[:, 3], actual - far[:, 2], far[:, 3], actual - far[:, 4],
                np.abs(actual - demand(naive)), np.abs(actual - demand(last)),
                _inside(actual, near), _inside(actual, far),
            ]
        )  # fmt: skip
        return Records(np.concatenate([self.rows, rows])[-MOST_JUDGED:]), rows

    def since(self, time: float) -> Records:
        """Only what was judged at ``time`` and after."""
        return Records(self.rows[self.rows[:, 0] >= time])

    def far_error(self, count: int) -> tuple[float, float, float, int]:
        """(mean absolute error, that of seasonal naive, that of the last value, samples) of the newest ``count``.

        At the far lead, of the samples for which the model and at least one of the others are known; NaN for none.
        """
        known = self.rows[np.isfinite(self.rows[:, 3]) & np.isfinite(self.rows[:, 7])][-count:]
        if not len(known):
            return math.nan, math.nan, math.nan, 0
        naive = float(known[:, 6].mean())
        return float(np.abs(known[:, 3]).mean()), naive, float(known[:, 7].mean()), len(known)

    def scaled_error(self, count: int) -> tuple[float, int]:
        """(mean absolute far error over its expected size, samples) of the newest ``count``."""
        known = self.rows[np.isfinite(self.rows[:, 3])][-count:]
        return (float((np.abs(known[:, 3]) / known[:, 4]).mean()), len(known)) if len(known) else (math.nan, 0)

    def coverage(self, count: int = RECENT) -> tuple[float, int]:
        """(share of the newest ``count`` samples inside the far interval, how many they are)."""
        inside = self.rows[np.isfinite(self.rows[:, 9]), 9][-count:]
        return (float(inside.mean()), int(inside.size)) if inside.size else (math.nan, 0)

    def accuracy(self, lead_seconds: float, confidence: float) -> LiveAccuracy:
        """For people to see."""
        known = self.rows[np.isfinite(self.rows[:, 5]) & np.isfinite(self.rows[:, 6])][-RECENT:]
        naive = float(known[:, 6].mean()) if len(known) else 0.0
        share, count = self.coverage()
        return LiveAccuracy(
            samples=count,
            lead_seconds=lead_seconds,
            error_percent_of_naive=round(100.0 * float(np.abs(known[:, 5]).mean()) / naive) if naive > 0 else None,
            coverage_percent=round(100.0 * share) if count else None,
            confidence_percent=round(100.0 * confidence),
        )

    def promoted(self, replacement: FloatArray) -> Records:
        """With the far errors of another model, rows (time, far error, size), where those are known."""
        rows = self.rows.copy()
        for time, error, size in replacement:
            place = np.searchsorted(rows[:, 0], time - 1e-6)
            if place < len(rows) and abs(rows[place, 0] - time) < 1e-3:
                rows[place, 3:5] = error, size
        return replace(self, rows=rows)


def _inside(actual: FloatArray, rows: FloatArray) -> FloatArray:
    held = (rows[:, 5] <= actual) & (actual <= rows[:, 6])
    return np.where(np.isfinite(actual) & np.isfinite(rows[:, 5]), held, np.nan)
