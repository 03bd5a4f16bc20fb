"""Buffers whose newest entries are a slice, and that are moved once in so many entries and not at each."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

SLACK = 32
"""Room beside the entries that are kept."""


def room(past: NDArray[Any], end: int) -> int:
    """Where the next entry goes along the last axis of ``past``, whose entries end before ``end``.

    A full buffer is moved by ``SLACK``, so that the oldest go.
    """
    if end < past.shape[-1]:
        return end
    past[..., :-SLACK] = past[..., SLACK:]
    return end - SLACK
