"""Samples in chunks: what is cut is put together again, and only what changed is written."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.adapters import store_samples
from trimtab.adapters.store_samples import CHUNK_STEPS, Chunk, chunks_of, pack, series_of, unpack
from trimtab.domain.series import Series

STEP = 30.0
EVER = 1e12


def series(first: int, count: int, seed: int = 0) -> Series:
    """Samples from grid point ``first`` on, a tenth of them missing, the first and the last not."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(count) < 0.1, np.nan, rng.normal(size=count))
    values[[0, -1]] = 1.0
    return Series(first * STEP, STEP, values, "requests/s")


@settings(max_examples=50, deadline=None)
@given(st.integers(-1000, 10**8), st.integers(1, 1500))
def test_a_series_comes_back_from_its_chunks(first: int, count: int) -> None:
    whole = series(first, count)
    back = series_of(chunks_of("a", whole, -math.inf), STEP, -EVER, EVER)["a"]
    assert (back.start, back.step_seconds, back.unit) == (whole.start, STEP, "requests/s")
    assert back.values.tobytes() == whole.values.tobytes()


def test_only_chunks_from_a_time_on() -> None:
    whole = series(0, 3 * CHUNK_STEPS + 10)
    numbers = [chunk.number for chunk in chunks_of("a", whole, whole.end - 5 * STEP)]
    assert numbers == [3]
    assert [chunk.number for chunk in chunks_of("a", whole, 2.5 * CHUNK_STEPS * STEP)] == [2, 3]


def test_times_that_are_not_wanted_are_left_out() -> None:
    whole = series(0, 1000)
    back = series_of(chunks_of("a", whole, -math.inf), STEP, 100 * STEP, 300 * STEP)["a"]
    assert back.start >= 100 * STEP
    assert back.end <= 300 * STEP


def test_what_is_infinite_is_missing() -> None:
    chunk = Chunk("a", 0, STEP, "", pack(np.where(np.arange(CHUNK_STEPS) < 2, [[math.inf] * CHUNK_STEPS], 1.0)[0]))
    back = series_of([chunk], STEP, 0.0, EVER)["a"]
    assert back.start == 2 * STEP
    assert np.isfinite(back.values).all()


def test_a_chunk_of_an_absurd_time_or_another_step_is_left_out() -> None:
    good = chunks_of("a", series(0, 10), -math.inf)
    far = good[0]._replace(number=2**60)
    other = good[0]._replace(step_seconds=60.0, number=1)
    back = series_of([*good, far, other], STEP, 0.0, EVER)["a"]
    assert len(back) == 10


@pytest.mark.parametrize(
    "data", [b"", b"\x02abc", b"\x01nothing", pack(np.zeros(CHUNK_STEPS))[:-2], pack(np.zeros(8))], ids=range(5)
)
def test_damage_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged samples"):
        unpack(data)


def test_examples() -> None:
    assert doctest.testmod(store_samples).failed == 0
