"""Remedy: histories that are mended after a drift, and the simplest forecasts to fall back to."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.algebra import ROUNDING, first_smallest
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.units import format_duration
from trimtab.forecasting.forecast import Forecast
from trimtab.forecasting.intervals import calibrate
from trimtab.forecasting.models import ModelName, demand, nothing, outcomes

SEASONS_COMPARED = 5
STEPS_WITHOUT_A_SEASON = 64
LEAST_GAIN = 0.1
"""Share by which a mended history must describe the new samples better than the old one."""
BINS = 96
CUTS = 9
"""Times of the change that are tried."""
FEWEST = 4
ORIGINS = 100
LEADS = 60
MOST_MENDS = 3


class MendKind(StrEnum):
    """What maps the demand before a change to the one after it."""

    OFFSET = "Offset"
    FACTOR = "Factor"
    PHASE = "Phase"


@dataclass(frozen=True, slots=True)
class Mend:
    """How samples before a change are to be changed so that they look like those after it."""

    kind: MendKind
    change: float
    """Unix seconds of the first sample after the change."""
    amount: float
    """Offset in the unit of the series, factor, or seconds by which the pattern comes earlier."""

    def apply(self, series: Series) -> Series:
        """``series`` with its samples before the change mended; of the same grid."""
        old = int(np.searchsorted(series.times, self.change - 1e-3 * series.step_seconds))
        values = series.values.copy()
        match self.kind:
            case MendKind.OFFSET:
                values[:old] = np.maximum(values[:old] + self.amount, 0.0)
            case MendKind.FACTOR:
                values[:old] = values[:old] * self.amount
            case MendKind.PHASE:
                place = np.arange(old) + round(self.amount / series.step_seconds)
                inside = (place >= 0) & (place < old)
                values[:old] = np.where(inside, series.values[np.clip(place, 0, max(old - 1, 0))], np.nan)
        return replace(series, values=values)

    def describe(self) -> str:
        """In the words of a person."""
        match self.kind:
            case MendKind.OFFSET:
                return f"the level moved by {self.amount:+.3g}"
            case MendKind.FACTOR:
                return f"the demand is {self.amount:.2f} times what it was"
            case MendKind.PHASE:
                when = "earlier" if self.amount > 0 else "later"
                return f"the pattern comes {format_duration(abs(self.amount), to=1)} {when}"


@dataclass(frozen=True, slots=True)
class Training:
    """Which history a model learns from."""

    since: float | None = None
    """Only samples at and after this time; None for all."""
    mends: tuple[Mend, ...] = ()
    """Applied in this order, at most 3."""

    def of(self, series: Series) -> Series:
        """What is to be learned from ``series``."""
        kept = series if self.since is None else series.between(self.since, series.end)
        for mend in self.mends:
            if kept.start < mend.change:
                kept = mend.apply(kept)
        return kept

    def mended(self, mend: Mend) -> Training:
        """This training with one more mend; of more than 3 the oldest is dropped."""
        return replace(self, mends=(*self.mends, mend)[-MOST_MENDS:])


def find_mend(series: Series, change: float, period_seconds: float, latest: float | None = None) -> Mend | None:
    """What makes the samples before ``change`` resemble those of the season after it best; None when nothing helps.

    With ``latest`` the change lies anywhere from ``change`` to then, and its time is found as well. Offsets and factors
    are tried, and with a season (``period_seconds`` > 0) also shifts of its pattern, once a quarter of it was seen.
    Each must lower the absolute error of the same phase of up to five seasons before by 10 %, and a shift must do so
    against an offset as well.
    """
    values, step = demand(series.values), series.step_seconds
    first, last = (int(np.searchsorted(series.times, at - 1e-3 * step)) for at in (change, latest or change))
    period = period_seconds / step
    seen = math.ceil(period) if period >= 2.0 else STEPS_WITHOUT_A_SEASON
    index = np.arange(first, min(max(last, first) + seen, values.size))
    base = _same_phase(values, first, index, period)
    both = np.isfinite(values[index]) & np.isfinite(base)
    index, base = index[both], base[both]
    actual = values[index]
    unmended = np.abs(actual - base)
    cuts = np.unique(np.searchsorted(index, np.round(np.linspace(first, max(last, first), CUTS))))
    cuts = cuts[cuts <= index.size - FEWEST]
    if not cuts.size:
        return None
    candidates = [one for cut in cuts for one in _level_mends(series, index, actual, base, int(cut))]
    best = candidates[first_smallest(np.array([error for error, _ in candidates]))]
    waiting = cuts[index.size - cuts >= period / 4.0]
    if period >= 4.0 and waiting.size:
        error, shift, cut = _best_shift(values, first, index, unmended, waiting, period)
        if error < (1.0 - LEAST_GAIN) * best[0]:
            best = error, Mend(MendKind.PHASE, series.start + float(index[cut]) * step, shift * step)
    erred = float(unmended.sum()) > nothing(values) * index.size
    return best[1] if erred and best[0] < (1.0 - LEAST_GAIN) * float(unmended.sum()) else None


def _level_mends(
    series: Series, index: NDArray[np.intp], actual: FloatArray, base: FloatArray, cut: int
) -> list[tuple[float, Mend]]:
    """(absolute error in all, mend) of an offset and of a factor from place ``cut`` on."""
    at = series.start + float(index[cut]) * series.step_seconds
    old, new, expected = float(np.abs(actual - base)[:cut].sum()), actual[cut:], base[cut:]
    offset = float(np.median(new - expected))
    found = [(old + float(np.abs(new - expected - offset).sum()), Mend(MendKind.OFFSET, at, offset))]
    if expected.sum() > 0 and new.sum() > 0:
        factor = float(new.sum() / expected.sum())
        found.append((old + float(np.abs(new - factor * expected).sum()), Mend(MendKind.FACTOR, at, factor)))
    return found


def _same_phase(values: FloatArray, old: int, index: NDArray[np.intp], period: float) -> FloatArray:
    """Mean of the same phase in up to five seasons that ended before ``old``; of the newest samples without one."""
    if period < 2.0:
        newest = values[max(old - 4 * STEPS_WITHOUT_A_SEASON, 0) : old]
        finite = newest[np.isfinite(newest)]
        return np.full(index.size, float(np.median(finite)) if finite.size else np.nan)
    first = np.ceil((index - old + 1) / period)
    back = first + np.arange(SEASONS_COMPARED)[:, None]
    place = index - np.round(back * period).astype(np.intp)
    rows = np.where(place >= 0, values[np.maximum(place, 0)], np.nan)
    known = np.isfinite(rows)
    counts = known.sum(axis=0)
    sums = np.where(known, rows, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _best_shift(
    values: FloatArray,
    old: int,
    index: NDArray[np.intp],
    unmended: FloatArray,
    cuts: NDArray[np.intp],
    period: float,
) -> tuple[float, int, int]:
    """(absolute error in all, steps, place) of the shift of the old pattern from one of ``cuts`` on that fits best."""
    half, stride = int(period // 2), max(1, round(period / BINS))
    best = _least(values, old, index, unmended, cuts, period, np.arange(-half, half + 1, stride))
    if stride == 1:
        return best
    return _least(values, old, index, unmended, cuts, period, np.arange(best[1] - stride, best[1] + stride + 1))


def _least(
    values: FloatArray,
    old: int,
    index: NDArray[np.intp],
    unmended: FloatArray,
    cuts: NDArray[np.intp],
    period: float,
    shifts: NDArray[np.int_],
) -> tuple[float, int, int]:
    before = np.concatenate([[0.0], np.cumsum(unmended)])[cuts]
    best = math.inf, 0, int(cuts[0])
    for shift in shifts:
        gap = np.abs(values[index] - _same_phase(values, old, index + int(shift), period))
        known = np.isfinite(gap)
        sums = np.cumsum(np.where(known, gap, 0.0)[::-1])[::-1][cuts]
        counts = np.cumsum(known[::-1])[::-1][cuts]
        sizes = index.size - cuts
        errors = np.where(2 * counts > sizes, before + sums * sizes / np.maximum(counts, 1), np.inf)
        place = first_smallest(errors) if np.isfinite(errors).any() else 0
        if errors[place] < best[0] * (1.0 - ROUNDING):
            best = float(errors[place]), int(shift), int(cuts[place])
    return best


def naive_path(series: Series, origin: float, times: FloatArray, period_seconds: float) -> FloatArray:
    """Seasonal naive at ``times`` (h,) from what was known at ``origin``; the last value without a season.

    Shape (h,); NaN where the season before was not seen.
    """
    if period_seconds < 2.0 * series.step_seconds:
        known = series.between(origin - LEADS * series.step_seconds, origin + 1e-3).last()
        return np.full(times.size, math.nan if known is None else known[1])
    back = np.maximum(np.ceil((times - origin) / period_seconds - 1e-9), 1.0)
    place = np.round((times - back * period_seconds - series.start) / series.step_seconds).astype(np.intp)
    inside = (place >= 0) & (place < len(series))
    return np.where(inside, series.values[np.clip(place, 0, max(len(series) - 1, 0))], np.nan)


def fallen_back(
    champion: Forecast, series: Series, now: float, since: float, period_seconds: float, confidence: float
) -> Forecast | None:
    """``champion`` replaced by the seasonal naive (or the last value with period 0); None when that is not known.

    Intervals are calibrated on the errors that it made from origins since ``since``, at most the newest 100.
    """
    known = Series(series.start, series.step_seconds, demand(series.between(series.start, now + 1e-3).values))
    mean = naive_path(known, now, champion.times, period_seconds)
    if not np.isfinite(mean).any():
        return None
    at = np.flatnonzero(np.isfinite(mean))
    mean = np.interp(np.arange(mean.size), at, mean[at])
    steps = min(LEADS, champion.times.size)
    origins = [time for time in known.times[-ORIGINS:].tolist() if time >= since]
    ahead = np.arange(1, steps + 1) * known.step_seconds
    paths = np.array([naive_path(known, origin, origin + ahead, period_seconds) for origin in origins])
    came = outcomes(known.values, np.arange(len(known) - len(origins), len(known)), steps)
    calibration = calibrate(came - paths, np.nan_to_num(paths))
    leads = np.maximum((champion.times - now) / known.step_seconds, 1.0)
    lower, upper = calibration.quantiles(mean, leads, ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0))
    name = ModelName.SEASONAL_NAIVE if period_seconds else ModelName.LAST_VALUE
    return replace(
        champion,
        model=name.value,
        mean=mean,
        lower=lower,
        upper=upper,
        reason=f"{name.value} stands in since the demand drifted: it erred less than {champion.model} lately",
        state=replace(champion.state, calibration=calibration),
        leads=leads,
    )
