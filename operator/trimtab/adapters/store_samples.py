"""Samples as stored: chunks of a fixed number of steps, so that only the newest is written again. Pure."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from trimtab.domain.series import FloatArray, Series

CHUNK_STEPS: Final = 240
"""Steps of a chunk: four hours at one minute. Longer ones are written again more often, shorter ones are more rows."""
_VERSION: Final = b"\x01"
_LEVEL: Final = 1
_FARTHEST_CHUNK: Final = 2**53


class Chunk(NamedTuple):
    """The samples of one series over one chunk."""

    slot: str
    number: int
    step_seconds: float
    unit: str
    data: bytes


def index_of(time: float, step_seconds: float) -> int:
    """The chunk that a time lies in; far below all others for minus infinity.

    >>> index_of(14_400.0, 60.0), index_of(14_399.0, 60.0)
    (1, 1)
    """
    if math.isinf(time):
        return -_FARTHEST_CHUNK
    return round(time / step_seconds) // CHUNK_STEPS


def chunks_of(slot: str, series: Series, since: float) -> list[Chunk]:
    """The chunks of a series from the one on that ``since`` lies in; chunks without a sample are left out."""
    step = series.step_seconds
    first = round(series.start / step)
    low = max(index_of(since, step), first // CHUNK_STEPS)
    found = []
    for index in range(low, (first + len(series) - 1) // CHUNK_STEPS + 1 if len(series) else low):
        offset = index * CHUNK_STEPS - first
        values = np.full(CHUNK_STEPS, np.nan)
        begin, end = max(0, offset), min(len(series), offset + CHUNK_STEPS)
        values[begin - offset : end - offset] = series.values[begin:end]
        if np.isfinite(values).any():
            found.append(Chunk(slot, index, step, series.unit, pack(values)))
    return found


def series_of(chunks: Iterable[Chunk], step_seconds: float, since: float, until: float) -> dict[str, Series]:
    """The series by slot, from ``since`` to ``until`` at the most; what is infinite counts as missing.

    Chunks of another step are left out. Raises ValueError for a damaged one.
    """
    low, high = round(since / step_seconds), round(until / step_seconds)
    parts: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        inside = low // CHUNK_STEPS <= chunk.number <= high // CHUNK_STEPS
        if chunk.step_seconds == step_seconds and inside:
            parts.setdefault(chunk.slot, []).append(chunk)
    found: dict[str, Series] = {}
    for slot, ones in parts.items():
        start = max(low, min(one.number for one in ones) * CHUNK_STEPS)
        end = min(high + 1, (max(one.number for one in ones) + 1) * CHUNK_STEPS)
        values = np.full(max(end - start, 0), np.nan)
        for one in ones:
            offset = one.number * CHUNK_STEPS - start
            left, right = max(0, offset), min(values.size, offset + CHUNK_STEPS)
            if right > left:
                values[left:right] = unpack(one.data)[left - offset : right - offset]
        values[~np.isfinite(values)] = np.nan
        present = np.flatnonzero(np.isfinite(values))
        if present.size:
            first, last = int(present[0]), int(present[-1])
            kept = values[first : last + 1]
            found[slot] = Series((start + first) * step_seconds, step_seconds, kept, ones[-1].unit)
    return found


def pack(values: FloatArray) -> bytes:
    """The values of a chunk, shape (CHUNK_STEPS,), byte by byte of their numbers: like bytes compress well."""
    rows = values.astype("<f8").view(np.uint8).reshape(-1, 8)
    return _VERSION + zlib.compress(rows.T.tobytes(), _LEVEL)


def unpack(data: bytes) -> FloatArray:
    """The values of `pack`. Raises ValueError for anything else."""
    size = CHUNK_STEPS * 8
    try:
        inflate = zlib.decompressobj()
        content = inflate.decompress(data[1:], size + 1)
    except zlib.error as error:
        raise ValueError(f"damaged samples: {error}") from error
    if data[:1] != _VERSION or len(content) != size or not inflate.eof:
        raise ValueError(f"damaged samples: {len(content)} bytes of version {data[:1]!r}")
    rows = np.frombuffer(content, np.uint8).reshape(8, -1).T
    values: FloatArray = np.ascontiguousarray(rows).view("<f8").reshape(-1).astype(np.float64)
    return values
