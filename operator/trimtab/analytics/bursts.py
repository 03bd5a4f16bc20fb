"""Bursts: short stretches far above what lies around them, how often they come and at which hours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, tzinfo

import numpy as np

from trimtab.analytics.gaps import usable
from trimtab.analytics.level import MAD_TO_SIGMA
from trimtab.analytics.local_time import (
    DAY_SECONDS,
    DAY_TYPES,
    IntArray,
    clock,
    local_seconds,
    weekday_of,
    weekdays_text,
)
from trimtab.analytics.no_pattern import NoPattern
from trimtab.analytics.runs import runs
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.units import format_duration, format_number

FEWEST_BURSTS = 3
_FEWEST_SAMPLES = 60
_WINDOW_SECONDS = 6 * 3600.0
_WINDOW_BLOCKS = 25
_SIGMAS, _SHARE = 5.0, 0.3
"""A burst stands this many deviations, and this share of the level, above its surroundings."""
_MOST_TIME = 0.2
_FROM_NOTHING = 5000.0
"""Percent above the surroundings from which on a percentage says nothing."""
_CLUSTER_SECONDS = 3600.0
_REGULAR_SHARE, _COVERED, _CHANCE = 0.6, 0.8, 1e-3
_FEWEST_DAYS, _MOST_REGULAR = 3, 6


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst; times in unix seconds."""

    start: float
    end: float
    peak: float
    baseline: float
    """Level around it."""


@dataclass(frozen=True, slots=True)
class RegularBurst:
    """A time of day at which bursts come."""

    second_of_day: float
    """Local time, the earliest usual start."""
    weekdays: tuple[int, ...]
    """Days on which they come, Monday 0."""
    share_percent: int
    """Share of these days on which one came."""
    days: int
    """How many of these days were seen."""
    height_percent: int
    """Median peak above the baseline, in percent of it."""
    peak: float
    """Median peak, in the unit of the series."""
    duration_seconds: float

    @property
    def text(self) -> str:
        """When, in words."""
        return f"{weekdays_text(self.weekdays)} at about {clock(self.second_of_day)}"


@dataclass(frozen=True, slots=True)
class Bursts:
    """The bursts of a series."""

    count: int
    height_percent: int
    """Median of the peaks above the baseline, in percent of it."""
    duration_seconds: float
    """Median."""
    regular: tuple[RegularBurst, ...]
    """Times of day at which they come on most days; empty when they come at any time."""
    message: str


def bursts(series: Series, zone: tzinfo = UTC) -> Bursts | NoPattern:
    """Bursts over a moving median of six hours (an eighth of the series where that is less), at least 3 of them.

    A burst starts 5 robust deviations and 30 % above that baseline and lasts while it is half of that above it; what
    is longer than half the window is a level and not a burst. Hours are regular when bursts start within an hour of
    each other on most of the days of a kind, more often than the rate of bursts makes likely by chance.

    >>> values = np.full(480, 10.0)
    >>> values[30::120] = 50.0
    >>> found = bursts(Series(0.0, 60.0, values))
    >>> found.count, found.height_percent, found.duration_seconds
    (4, 400, 60.0)
    """
    values = usable(series.values)
    present = np.isfinite(values)
    if present.sum() < _FEWEST_SAMPLES:
        return NoPattern(f"{int(present.sum())} samples; at least {_FEWEST_SAMPLES} are needed to tell bursts")
    baseline = _baseline(series)
    over = np.where(present, values - baseline, 0.0)
    busy = present & (baseline >= 0.1 * float(np.quantile(baseline, 0.9)))
    busy = busy if busy.any() else present
    spread = MAD_TO_SIGMA * float(np.median(np.abs(over[busy])))
    usual = float(np.median(np.abs(values[present]))) / 10.0
    level = np.maximum(baseline, usual if usual > 0.0 else float(np.abs(values[present]).max()) / 20.0)
    limit = np.maximum(_SIGMAS * spread, _SHARE * level)
    if not float(limit.max()) > 0.0:
        return NoPattern("the series stands still at zero")
    longest = _window_steps(series) // 2
    short = [(low, high) for low, high in _above(over, limit) if high - low <= longest]
    if len(short) < FEWEST_BURSTS:
        return NoPattern(f"{len(short) or 'no'} bursts; {FEWEST_BURSTS} make a pattern")
    time_share = sum(high - low for low, high in short) / len(series)
    if time_share > _MOST_TIME:
        return NoPattern(
            f"the series is above its median {100 * time_share:.0f} % of the time: it is rough, not bursty"
        )
    step = series.step_seconds
    found = [
        Burst(
            series.start + low * step,
            series.start + (high - 1) * step,
            float(np.nanmax(values[low:high])),
            float(baseline[low]),
        )
        for low, high in short
    ]
    return _told(found, series, zone)


def _window_steps(series: Series) -> int:
    return max(9, min(int(_WINDOW_SECONDS / series.step_seconds), len(series) // 8)) | 1


def _baseline(series: Series) -> FloatArray:
    """Moving median (n,), over the medians of blocks where the window has very many samples.

    It is the highest around, so that the edge of a square wave is not above it.
    """
    from scipy.ndimage import maximum_filter, median_filter

    window = _window_steps(series)
    width = max(1, window // _WINDOW_BLOCKS)
    values = usable(series.values)
    if width > 1:
        cut = -(-len(series) // width)
        padded = np.full(cut * width, np.nan)
        padded[: len(series)] = values
        rows = padded.reshape(cut, width)
        some = np.isfinite(rows).any(axis=1)
        heights = np.full(cut, np.nan)
        heights[some] = np.nanmedian(rows[some], axis=1)
    else:
        heights = values
    known = np.flatnonzero(np.isfinite(heights))
    filled = np.interp(np.arange(heights.size), known, heights[known])
    smooth = median_filter(filled, size=max(3, window // width) | 1, mode="nearest")
    smooth = maximum_filter(smooth, size=3 if width == 1 else 5, mode="nearest")
    middle = (np.arange(smooth.size) + 0.5) * width - 0.5
    lined: FloatArray = np.interp(np.arange(len(series)), middle, smooth)
    return lined


def _above(over: FloatArray, limit: FloatArray) -> list[tuple[int, int]]:
    """[low, high) of stretches that are above half the limit and somewhere above all of it; gaps of 2 are bridged."""
    joined: list[tuple[int, int]] = []
    for start, end in runs(over > limit / 2.0):
        if joined and start - joined[-1][1] <= 2:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return [(start, end) for start, end in joined if bool((over[start:end] > limit[start:end]).any())]


def _told(found: list[Burst], series: Series, zone: tzinfo) -> Bursts:
    days = max(len(series) * series.step_seconds / DAY_SECONDS, 1e-9)
    heights = [_height(one) for one in found]
    lengths = [one.end - one.start + series.step_seconds for one in found]
    regular = _regular(found, series, zone)
    height, length = float(np.median(heights)), float(np.median(lengths))
    rate = len(found) / days
    often = f"{rate:.1f} bursts a day" if rate >= 1 else f"{7 * rate:.1f} bursts a week"
    when = "; ".join(one.text for one in regular) or "at no particular time"
    peak = format_number(float(np.median([one.peak for one in found])))
    above = f"{height:.0f} % above their surroundings" if height < _FROM_NOTHING else f"from next to nothing to {peak}"
    message = f"{often}, {above} for {format_duration(length, to=1)}, {when}."
    return Bursts(len(found), _percent(height), length, regular, message)


def _height(burst: Burst) -> float:
    base = max(abs(burst.baseline), 1e-3 * abs(burst.peak), 1e-300)
    return 100.0 * (burst.peak - burst.baseline) / base


def _percent(share: float) -> int:
    return int(min(max(round(share), 0), 1_000_000))


def _regular(found: list[Burst], series: Series, zone: tzinfo) -> tuple[RegularBurst, ...]:
    """Times of day with bursts on most days of a kind, the earliest first."""
    local = local_seconds(np.array([one.start for one in found]), zone)
    edges = local_seconds(np.array([series.start, series.end]), zone)
    seen = np.arange(math.ceil(edges[0] / DAY_SECONDS), math.floor(edges[1] / DAY_SECONDS) + 1)
    if seen.size < _FEWEST_DAYS:
        return ()
    rate = len(found) / max((edges[1] - edges[0]) / DAY_SECONDS, 1.0)
    chance = 1.0 - math.exp(-rate * _CLUSTER_SECONDS / DAY_SECONDS)
    regular: list[RegularBurst] = []
    left = np.arange(len(found))
    while left.size >= _FEWEST_DAYS and len(regular) < _MOST_REGULAR:
        after = (local[left][None, :] - local[left][:, None]) % DAY_SECONDS
        near = after < _CLUSTER_SECONDS
        anchor = int(np.argmax(near.sum(axis=1)))
        members = left[near[anchor]]
        told = _cluster(local, members, seen, chance, found, series.step_seconds)
        if told is None:
            break
        regular.append(told)
        left = left[~near[anchor]]
    return tuple(sorted(regular, key=lambda one: one.second_of_day))


def _cluster(
    local: FloatArray, members: IntArray, seen: IntArray, chance: float, found: list[Burst], step_seconds: float
) -> RegularBurst | None:
    """The regular burst that these ones are, or None where chance may do as much."""
    from scipy.stats import binom

    hit = np.unique((local[members] // DAY_SECONDS).astype(np.intp))
    best: tuple[float, int, int, tuple[int, ...]] = (0.0, 0, 0, ())
    for days in DAY_TYPES:
        of_type = seen[np.isin(weekday_of(seen), days)]
        hits = np.intersect1d(hit, of_type).size
        if of_type.size < _FEWEST_DAYS or hits < max(_REGULAR_SHARE * of_type.size, _COVERED * hit.size):
            continue
        if 24.0 * float(binom.sf(hits - 1, of_type.size, chance)) <= _CHANCE:
            best = max(best, (hits / of_type.size * hits / hit.size, hits, of_type.size, days), key=lambda one: one[0])
    _, hits, count, days = best
    if not days:
        return None
    chosen = [found[index] for index in members]
    seconds = local[members] % DAY_SECONDS
    first = float(seconds[0] + np.quantile((seconds - seconds[0] + 43200.0) % DAY_SECONDS - 43200.0, 0.1))
    return RegularBurst(
        second_of_day=first % DAY_SECONDS,
        weekdays=days,
        share_percent=min(100, round(100.0 * hits / count)),
        days=count,
        height_percent=_percent(float(np.median([_height(one) for one in chosen]))),
        peak=float(np.median([one.peak for one in chosen])),
        duration_seconds=float(np.median([one.end - one.start for one in chosen])) + step_seconds,
    )
