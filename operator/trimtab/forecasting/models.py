"""Models: what every model offers, and the two simplest, last value and seasonal naive."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from trimtab.analytics.algebra import ROUNDING
from trimtab.analytics.gaps import LONGEST_BRIDGE_STEPS
from trimtab.analytics.level import MAD_TO_SIGMA
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.units import format_duration
from trimtab.forecasting.correction import SCALE_FLOOR, Correction, IndexArray, fit_correction

SEASONS_AVERAGED = 5
OUTLIER_SIGMAS = 4.0
LARGEST_DEMAND, SMALLEST_DEMAND = 1e30, 1e-30


class ModelName(StrEnum):
    """Name of a model."""

    SEASONAL_NAIVE = "SeasonalNaive"
    SEASONAL_LINEAR = "SeasonalLinear"
    LAST_VALUE = "LastValue"
    SMOOTHING = "ExponentialSmoothing"
    DAMPED_TREND = "DampedTrend"
    THETA = "Theta"
    LAG_REGRESSION = "LagRegression"
    COMBINATION = "Combination"


class Fitted(ABC):
    """A model with its parameters; steps count from the first sample of the series that it was fitted to."""

    values: FloatArray

    def predict(self, steps: int) -> FloatArray:
        """Forecast of the ``steps`` steps after the last sample, shape (steps,), finite, never below 0."""
        path: FloatArray = self.paths(self.values, np.array([self.values.size - 1]), steps)[0]
        return path

    @abstractmethod
    def paths(self, values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
        """Forecasts of 1 to ``steps`` steps after each of ``origins``, shape (len(origins), steps).

        ``values`` (n,) continues the series of the fit. Each row knows the values up to its origin and the parameters
        of the fit, nothing more.
        """


class Model(ABC):
    """A model before it has seen data."""

    name: ModelName

    @property
    def label(self) -> str:
        """Name for people, with the period where there is one."""
        return self.name.value

    @abstractmethod
    def fit(self, series: Series) -> Fitted:
        """Learn from a series. Raises ValueError when it has no finite sample."""


def span(seconds: float) -> str:
    """A period in words.

    >>> span(86_400.0), span(90.0)
    ('24h', '90 s')
    """
    return format_duration(seconds, to=1) if seconds >= 600 else f"{seconds:.4g} s"


def demand(samples: FloatArray) -> FloatArray:
    """``samples`` with NaN for what cannot be a demand: negatives, infinities, above 1e30; what is below 1e-30 is 0.

    Squares then neither overflow nor vanish.
    """
    possible = np.where((samples >= 0) & (samples <= LARGEST_DEMAND), samples, np.nan)
    return np.where(possible < SMALLEST_DEMAND, 0.0, possible)


def clean(series: Series) -> FloatArray:
    """Values that can be a demand, NaN elsewhere. Raises ValueError when nothing is left."""
    values = demand(series.values)
    if not np.isfinite(values).any():
        raise ValueError(f"no forecast from {len(series)} samples, none of which is a number")
    return values


def nothing(values: FloatArray) -> float:
    """Size of a mean error that is none, for a demand of ``values`` (n,), NaN where unknown: rounding makes such."""
    known = values[np.isfinite(values)]
    return ROUNDING * float(known.mean()) if known.size else 0.0


@dataclass(frozen=True, slots=True)
class LastValue(Model):
    """The newest value goes on for ever.

    >>> LastValue().fit(Series(0.0, 60.0, np.array([1.0, 2.0, np.nan]))).predict(2).tolist()
    [2.0, 2.0]
    """

    name: ModelName = field(default=ModelName.LAST_VALUE, init=False)

    def fit(self, series: Series) -> Fitted:
        """Nothing is learned."""
        return _FittedLast(clean(series))


@dataclass(frozen=True, slots=True)
class _FittedLast(Fitted):
    values: FloatArray

    def paths(self, values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
        return np.repeat(held(values, origins)[:, None], steps, axis=1)


@dataclass(frozen=True, slots=True)
class SeasonalNaive(Model):
    """The same phase of the last seasons, averaged, and corrected by the recent errors.

    With ``seasons_averaged=1`` and ``corrected=False`` it is the textbook's seasonal naive. Values that stand out of
    the same phase of the other seasons by more than 4 sigma are cut to that. A period need not be a whole number of
    steps.

    >>> wave = Series(0.0, 60.0, np.tile([1.0, 2.0, 3.0, 4.0], 4))
    >>> SeasonalNaive(240.0).fit(wave).predict(5).round(6).tolist()
    [1.0, 2.0, 3.0, 4.0, 1.0]
    """

    period_seconds: float
    seasons_averaged: int = SEASONS_AVERAGED
    corrected: bool = True
    name: ModelName = field(default=ModelName.SEASONAL_NAIVE, init=False)

    @property
    def label(self) -> str:
        """Name and period; the textbook's is told from the averaged and corrected one."""
        textbook = "" if self.corrected or self.seasons_averaged > 1 else ", textbook"
        return f"{self.name} {span(self.period_seconds)}{textbook}"

    def fit(self, series: Series) -> Fitted:
        """Learn the spread of a phase and the weights of the correction."""
        values = clean(series)
        period = self.period_seconds / series.step_seconds
        floor = SCALE_FLOOR * float(np.nanmean(values))
        fitted = _FittedNaive(values, period, self.seasons_averaged, floor, math.inf, None)
        if self.seasons_averaged > 1 and fitted.floor > 0:
            base = fitted.base(values, values.size, 1)
            errors = np.abs(values - base) / np.maximum(base, fitted.floor)
            errors = errors[np.isfinite(errors)]
            if errors.size:
                fitted = replace(fitted, reach=OUTLIER_SIGMAS * MAD_TO_SIGMA * float(np.median(errors)))
        if not self.corrected:
            return fitted
        base = fitted.base(values, values.size, 1)
        return replace(fitted, correction=fit_correction(values, base, windows_of(values.size, period)))


@dataclass(frozen=True, slots=True)
class _FittedNaive(Fitted):
    values: FloatArray
    period: float
    averaged: int
    floor: float
    """Least size that deviations are relative to."""
    reach: float
    """How far a season may stand off the median of the averaged ones, relative to it."""
    correction: Correction | None

    def base(self, values: FloatArray, length: int, back: int) -> FloatArray:
        """Mean of the same phase ``back`` seasons ago and before, shape (length,); NaN where none was seen."""
        place = np.arange(float(length)) - self.period * np.arange(back, back + self.averaged)[:, None]
        rows = interpolated(values, place)
        if self.averaged == 1:
            return np.asarray(rows[0], dtype=np.float64)
        seen = np.isfinite(rows).sum(axis=0)
        ordered, column = np.sort(rows, axis=0), np.arange(length)
        middle = (ordered[np.maximum(seen - 1, 0) // 2, column] + ordered[seen // 2, column]) / 2.0
        if math.isfinite(self.reach):
            reach = self.reach * np.maximum(middle, self.floor)
            rows = np.clip(rows, middle - reach, middle + reach)
        total = np.where(np.isfinite(rows), rows, 0.0).sum(axis=0)
        return np.where(seen > 0, total / np.maximum(seen, 1), np.nan)

    def paths(self, values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
        def base(back: int) -> FloatArray:
            return self.base(values, values.size + steps, back)

        return corrected_paths(values, origins, steps, self.period, base, self.correction)


def corrected_paths(
    values: FloatArray,
    origins: IndexArray,
    steps: int,
    period: float,
    base: Callable[[int], FloatArray],
    correction: Correction | None,
) -> FloatArray:
    """Paths (o, steps) from ``base``, which forecasts each of the ``n + steps`` steps from ``back`` seasons before it.

    A lead takes the newest seasons that are known at its origin: one season back up to one period, then two, and so on.
    """
    leads = np.arange(1, steps + 1)
    backs = np.ceil(leads / period - 1e-9).astype(int)
    nearest = base(1)
    paths = np.empty((origins.size, steps))
    for back in np.unique(backs):
        columns = leads[backs == back]
        paths[:, columns - 1] = (nearest if back == 1 else base(int(back)))[origins[:, None] + columns]
    paths = completed(paths, held(values, origins))
    return paths if correction is None else correction.correct(values, nearest[: values.size], origins, paths)


def windows_of(length: int, period: float) -> tuple[int, ...]:
    """Windows of the correction in steps: now, a part of a season, a season."""
    return 1, max(3, round(min(period, length) / 12.0)), max(4, round(min(period, length)))


def interpolated(values: FloatArray, place: FloatArray) -> FloatArray:
    """``values`` (n,) at ``place`` in steps, by lines between neighbours; NaN outside or beside a NaN."""
    left = np.floor(place + 1e-6).astype(np.intp)
    share = np.clip(place - left, 0.0, 1.0)
    share[share < 1e-6] = 0.0
    padded = np.concatenate([values, [np.nan, np.nan]])
    index = np.where((left >= 0) & (left < values.size), left, values.size)
    right = np.where(share > 0, padded[index + 1], 0.0)
    line: FloatArray = padded[index] * (1.0 - share) + right * share
    return line


def held(values: FloatArray, origins: IndexArray) -> FloatArray:
    """Newest known value at each origin; the first known one where there is none before."""
    known = np.isfinite(values)
    newest = np.maximum.accumulate(np.where(known, np.arange(values.size), -1))[origins]
    held: FloatArray = np.where(newest >= 0, values[newest], values[known][0])
    return held


def outcomes(values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
    """What came 1 to ``steps`` steps after each of ``origins`` (o,), shape (o, steps); NaN after the end."""
    targets = origins[:, None] + np.arange(1, steps + 1)
    return np.where(targets < values.size, values[np.minimum(targets, values.size - 1)], np.nan)


def completed(paths: FloatArray, held: FloatArray) -> FloatArray:
    """Paths with up to 20 unknown steps bridged from their neighbours; longer ones take ``held`` (o,)."""
    known = np.isfinite(paths)
    steps = np.arange(paths.shape[1])
    for row in np.flatnonzero(~known.all(axis=1)):
        seen = steps[known[row]]
        if not seen.size:
            paths[row] = held[row]
            continue
        after = np.searchsorted(seen, steps)
        width = seen[np.minimum(after, seen.size - 1)] - seen[np.maximum(after - 1, 0)]
        line = np.interp(steps, seen, paths[row, seen])
        paths[row] = np.where(known[row] | (width <= LONGEST_BRIDGE_STEPS + 1), line, held[row])
    return paths
