"""Seasonal linear regression: level, fading trend and Fourier terms, in the unit or relative to the running level."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.correction import Correction, IndexArray, fit_correction
from trimtab.forecasting.models import Fitted, Model, ModelName, clean, corrected_paths, span, windows_of
from trimtab.forecasting.regression import Basis

FEWEST_FOR_A_TREND = 20
HELD_BACK = 0.4
"""Share of the history whose errors are forecast by a fit to the rest, to learn how errors persist."""
LEVEL_SEASONS = 3
LEVEL_FLOOR = 0.05


@dataclass(frozen=True, slots=True)
class SeasonalLinear(Model):
    """Robust ridge regression on Fourier terms, corrected by the recent errors.

    In the unit of the series (``levelled=False``) it has a level and a trend that fades; without periods it is just
    these. ``levelled=True`` regresses the series over its running level instead, and forecasts from the level of the
    last three seasons: for a demand whose waves grow and shrink as a whole. It needs a period.

    >>> t = np.arange(240.0)
    >>> wave = Series(0.0, 60.0, 10.0 + 4.0 * np.sin(2 * np.pi * t / 48))
    >>> round(float(SeasonalLinear((2880.0,)).fit(wave).predict(13)[12]), 2)
    14.0
    """

    periods_seconds: tuple[float, ...] = ()
    levelled: bool = False
    name: ModelName = field(default=ModelName.SEASONAL_LINEAR, init=False)

    @property
    def label(self) -> str:
        """Name, periods, and whether it is relative to the running level."""
        periods = " and ".join(span(period) for period in self.periods_seconds)
        return f"{self.name} {periods}".strip() + (", levelled" if self.levelled else "")

    def fit(self, series: Series) -> Fitted:
        """Learn the weights of the terms, then those of the correction."""
        values = clean(series)
        periods = tuple(period / series.step_seconds for period in self.periods_seconds)
        return _fit_levelled(values, periods) if self.levelled and periods else _fit_plain(values, periods)


@dataclass(frozen=True, slots=True)
class _Plain(Fitted):
    values: FloatArray
    basis: Basis
    weights: FloatArray
    correction: Correction

    def paths(self, values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
        base = self.basis.evaluate(self.weights, np.arange(float(values.size + steps)))
        paths = base[origins[:, None] + np.arange(1, steps + 1)]
        return self.correction.correct(values, base[: values.size], origins, paths)


def _fit_plain(values: FloatArray, periods: tuple[float, ...]) -> Fitted:
    known = np.isfinite(values)
    place = np.arange(float(values.size))
    basis = Basis(values.size, periods, trend=int(known.sum()) >= FEWEST_FOR_A_TREND)
    weights = basis.fit(values)
    base = basis.evaluate(weights, place)
    early = Basis(int(values.size * (1.0 - HELD_BACK)), periods, basis.trend)
    if (
        early.length >= 2.0 * max(periods, default=FEWEST_FOR_A_TREND)
        and known[: early.length].sum() > 2 * weights.size
    ):
        base = early.evaluate(early.fit(values[: early.length], rounds=2), place)
        base[: early.length] = np.nan
    shortest = min(periods, default=values.size / 4.0)
    return _Plain(values, basis, weights, fit_correction(values, base, windows_of(values.size, shortest)))


@dataclass(frozen=True, slots=True)
class _Levelled(Fitted):
    values: FloatArray
    basis: Basis
    weights: FloatArray
    correction: Correction | None

    def base(self, values: FloatArray, shape: FloatArray, back: int) -> FloatArray:
        """``shape`` (m,) times the level of the three seasons that ended ``back`` seasons before; NaN over less than
        one.
        """
        period = min(self.basis.periods)
        end = np.floor(np.arange(shape.size) - back * period + 1e-6).astype(np.intp) + 1
        high = np.clip(end, 0, values.size)
        low = np.clip(end - round(LEVEL_SEASONS * period), 0, values.size)
        level = _level(values, shape[: values.size], low, high)
        return np.where(high - low >= 0.8 * period, shape * level, np.nan)

    def paths(self, values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
        shape = self.basis.evaluate(self.weights, np.arange(float(values.size + steps)))

        def base(back: int) -> FloatArray:
            return self.base(values, shape, back)

        return corrected_paths(values, origins, steps, min(self.basis.periods), base, self.correction)


def _fit_levelled(values: FloatArray, periods: tuple[float, ...]) -> Fitted:
    basis = Basis(values.size, periods)
    index, width = np.arange(values.size), round(max(periods))
    low, high = np.maximum(index - width // 2, 0), np.minimum(index + width - width // 2, values.size)
    floor = LEVEL_FLOOR * float(np.nanmean(values))
    shape, weights = np.ones(values.size), np.zeros(basis.roughness.size)
    for rounds in (1, 3) if floor > 0 else ():
        level = np.maximum(np.nan_to_num(_level(values, shape, low, high)), floor)
        weights = basis.fit(values / level, rounds)
        shape = basis.evaluate(weights, index.astype(np.float64))
    fitted = _Levelled(values, basis, weights, None)
    windows = windows_of(values.size, min(periods))
    return replace(fitted, correction=fit_correction(values, fitted.base(values, shape, 1), windows))


def _level(values: FloatArray, shape: FloatArray, low: IndexArray, high: IndexArray) -> FloatArray:
    """Sum of the known values over that of the shape from ``low`` to ``high`` (both (m,)), shape (m,); NaN over
    nothing.
    """
    known = np.isfinite(values)
    seen = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    due = np.concatenate([[0.0], np.cumsum(np.where(known, shape, 0.0))])
    expected = due[high] - due[low]
    return np.where(expected > 0, (seen[high] - seen[low]) / np.where(expected > 0, expected, 1.0), np.nan)
