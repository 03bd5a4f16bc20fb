"""Scoring of many series at once: a step of the scales of adjacent series, by array operations over (series, lags).

The series must have seen equally many samples. Then all that they hold ends at the same place, so that one slice of the
lags fits all, and the same ways of looking have a say. What comes out, and what is kept, is bit for bit what a step of
each series by itself gives.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.scoring_buffers import room
from trimtab.analytics.scoring_neighbours import LIMIT, Neighbours
from trimtab.analytics.scoring_ranks import DROPPED_BITS, Ranks
from trimtab.analytics.scoring_scales import Scale
from trimtab.domain.series import FloatArray


def scale_together(scale: Scale, rows: slice, values: FloatArray) -> FloatArray:
    """``Scale.step`` of finite ``values`` (r,) of the series ``rows``: p-values, shape (r, fades), NaN for none."""
    if scale.every == 1:
        return _measured(scale, rows, values)
    scale.total[rows] += values
    scale.filled[rows] += 1
    if scale.filled[rows.start] == scale.every:
        scale.held[rows] = _measured(scale, rows, scale.total[rows] / scale.every)
        scale.total[rows] = scale.filled[rows] = 0
    return scale.held[rows]


def ranks_together(ranks: Ranks, rows: slice, measures: FloatArray | NDArray[np.float32]) -> FloatArray:
    """``Ranks.step`` of ``measures`` (r,) of the series ``rows``: p-values, shape (r,), NaN until they are ready."""
    seen, end = int(ranks.seen[rows.start]), int(ranks.end[rows.start])
    past = ranks.past[rows]
    codes = (measures.astype(np.float32).view(np.uint32) >> DROPPED_BITS).astype(np.uint16)
    among = ranks.among(seen)
    larger = past[:, end - among : end] >= codes[:, np.newaxis]
    end = room(past, end)
    past[:, end] = codes
    ranks.end[rows], ranks.seen[rows] = end + 1, seen + 1
    if among < ranks.ready:
        return np.full(codes.size, math.nan)
    return np.array([(int(np.count_nonzero(each)) + 1) / (among + 1) for each in larger])


def _measured(scale: Scale, rows: slice, values: FloatArray) -> FloatArray:
    found = np.full((values.size, len(scale.ranks)), math.nan)
    distances = _distances(scale.neighbours, rows, values)
    if distances is not None:
        for way, ranks in enumerate(scale.ranks):
            found[:, way] = ranks_together(ranks, rows, distances[:, way])
    return found


def _distances(neighbours: Neighbours, rows: slice, values: FloatArray) -> NDArray[np.float32] | None:
    """``Neighbours.step`` of the series ``rows``: shape (r, fades); None while there are too few stretches."""
    seen, end = int(neighbours.seen[rows.start]), int(neighbours.end[rows.start])
    if seen == 0:
        neighbours.first[rows] = values
    moved = np.minimum(np.maximum(values - neighbours.first[rows], -LIMIT), LIMIT).astype(np.float32)
    past, reach = neighbours.past[rows], neighbours.distances.shape[2]
    lags = min(seen, reach)
    squares = past[:, end - lags : end] - moved[:, np.newaxis]
    squares *= squares
    usable = max(lags - neighbours.apart + 1, 0)
    stretches = np.empty((values.size, len(neighbours.fades), usable), dtype=np.float32)
    row = 0
    for way, fade in enumerate(neighbours.fades):
        distances = squares
        if fade > 0.0:
            distances = neighbours.distances[rows, row, reach - lags :]
            distances *= np.float32(fade)
            distances += squares
            row += 1
        stretches[:, way] = distances[:, :usable]
    end = room(past, end)
    past[:, end] = moved
    neighbours.end[rows], neighbours.seen[rows] = end + 1, seen + 1
    return _smallest(stretches, neighbours.nearest) if usable >= neighbours.nearest else None


def _smallest(stretches: NDArray[np.float32], rank: int) -> NDArray[np.float32]:
    """The ``rank``-th smallest along the last axis of ``stretches`` (r, fades, lags), which are overwritten."""
    series, ways, size = stretches.shape
    flat, line = stretches.reshape(-1, size), stretches.reshape(-1)
    starts = np.arange(0, line.size, size)
    for _ in range(rank - 1):
        line[starts + flat.argmin(axis=1)] = np.inf
    found: NDArray[np.float32] = line[starts + flat.argmin(axis=1)].reshape(series, ways)
    return found
