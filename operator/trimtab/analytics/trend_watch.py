"""The trend as data arrive: a bounded state of block medians that grows by new samples only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trimtab.analytics.blocks import MOST_BLOCKS, Blocks, blocks, width_for
from trimtab.analytics.change_points import ChangePoint, changes_of
from trimtab.analytics.trend import NoTrend, Trend, trend
from trimtab.domain.series import FloatArray, Series

_CADENCE = 64
"""Changes are looked for anew when the blocks have grown by one in so many."""
_FOR_EVER = 1e12
KEEP_SECONDS = 28 * 86400.0


@dataclass(frozen=True, slots=True, eq=False)
class TrendState:
    """What is known of a series' trend; at most 512 medians and one block of open samples, under 64 KiB together."""

    step_seconds: float
    width: int
    """Samples a block."""
    closed: Blocks = field(repr=False)
    open_start: float
    """Unix seconds of the first open sample."""
    open_values: FloatArray = field(repr=False)
    """Samples of the block that is not full yet, shape (less than width,)."""
    pending: int
    """Blocks that were closed since changes were last looked for."""
    periods_seconds: tuple[float, ...]
    """Seasons that were taken out when the changes were found."""
    changes: tuple[ChangePoint, ...]
    recent: Trend | NoTrend
    """Trend since the last change; over all when there was none."""


def follow_trend(
    series: Series,
    periods_seconds: Sequence[float] = (),
    previous: TrendState | None = None,
    *,
    keep_seconds: float = KEEP_SECONDS,
) -> TrendState:
    """The trend with the samples of ``series`` that are newer than ``previous``; it may hold older ones as well.

    Changes and slopes are those of the batch functions on the same closed blocks, exactly, as of the last time that
    one block in 64 was new or the seasons changed. Blocks older than ``keep_seconds`` are dropped. When there are more
    than 512, each two become their mean, which is their median up to a fraction of the noise within a block; a
    ``series`` that holds all of these samples, or has another step, is put into blocks anew instead.
    """
    periods = tuple(periods_seconds)
    kept = series.between(series.end - keep_seconds, series.end)
    if previous is None or previous.step_seconds != series.step_seconds or previous.width < width_for(len(kept)):
        return _looked(_begun(kept, keep_seconds), periods)
    newest = previous.open_start + previous.open_values.size * series.step_seconds
    fresh = series.between(newest - series.step_seconds / 2.0, series.end)
    if len(fresh) == 0:
        return previous
    opened = Series(previous.open_start, series.step_seconds, previous.open_values)
    state = _grown(previous, opened, fresh, keep_seconds)
    due = state.pending * _CADENCE >= state.closed.medians.size
    return _looked(state, periods) if due or (state.pending and periods != state.periods_seconds) else state


def _begun(series: Series, keep_seconds: float) -> TrendState:
    width, step = width_for(len(series)), series.step_seconds
    closed = Blocks(series.start, width * step, np.empty(0))
    nothing = NoTrend("no block of samples is full yet")
    state = TrendState(step, width, closed, series.start, np.empty(0), 0, (), (), nothing)
    return _grown(state, Series(series.start, step, np.empty(0)), series, keep_seconds)


def _grown(state: TrendState, opened: Series, fresh: Series, keep_seconds: float) -> TrendState:
    """The state with new samples after its open ones."""
    step, width = state.step_seconds, state.width
    samples = opened.joined(fresh, _FOR_EVER)
    first = round(samples.start / step)
    full = max((first + len(samples)) // width * width - first, 0)
    new = blocks(Series(samples.start, step, samples.values[:full]), width)
    old = state.closed if state.closed.medians.size else replace(new, medians=np.empty(0))
    medians = np.concatenate([old.medians, new.medians])
    dropped = max(0, math.floor((medians.size * width * step - keep_seconds) / (width * step)))
    grown = replace(
        state,
        closed=Blocks(old.start + dropped * old.step_seconds, old.step_seconds, medians[dropped:]),
        open_start=samples.start + full * step,
        open_values=samples.values[full:].copy(),
        pending=state.pending + new.medians.size,
    )
    while grown.closed.medians.size > MOST_BLOCKS:
        grown = _coarser(grown)
    return grown


def _coarser(state: TrendState) -> TrendState:
    """The state with blocks twice as wide; a last one without its pair is opened again, filled with its median."""
    closed, step = state.closed, state.step_seconds
    medians, first = closed.medians, round(closed.start / closed.step_seconds)
    medians, start = medians[first % 2 :], closed.start + first % 2 * closed.step_seconds
    alone = medians.size % 2
    pairs = medians[: medians.size - alone].reshape(-1, 2)
    present = np.isfinite(pairs)
    merged = np.where(present, pairs, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    merged[~present.any(axis=1)] = np.nan
    opened = np.concatenate([np.repeat(medians[medians.size - alone :], state.width), state.open_values])
    return replace(
        state,
        width=2 * state.width,
        closed=Blocks(start, 2 * closed.step_seconds, merged),
        open_start=state.open_start - alone * state.width * step,
        open_values=opened,
        pending=-(-state.pending // 2),
    )


def _looked(state: TrendState, periods: tuple[float, ...]) -> TrendState:
    """The state with changes and slopes looked for anew."""
    closed = state.closed
    series = Series(closed.start, closed.step_seconds, closed.medians)
    changes = changes_of(closed, periods)
    recent = trend(series, periods, since=changes[-1].time if changes else None)
    return replace(state, pending=0, periods_seconds=periods, changes=changes, recent=recent)
