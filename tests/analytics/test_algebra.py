"""Products in blocks are the products."""

from __future__ import annotations

import numpy as np
import pytest

from trimtab.analytics.algebra import inner, line, weighted_sum


@pytest.mark.parametrize(
    ("rows", "columns", "length"), [(1, 1, 0), (3, 1, 20_000), (50, 50, 700), (60, 1, 433), (200, 200, 9)]
)
def test_blocks_leave_nothing_out(rows: int, columns: int, length: int) -> None:
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(rows, length)), rng.normal(size=(columns, length))
    assert inner(left, right) == pytest.approx(left @ right.T)
    assert weighted_sum(left[:, 0] if length else np.zeros(rows), left) == pytest.approx(
        left[:, 0] @ left if length else np.empty(0)
    )


@pytest.mark.parametrize(
    ("place", "heights", "expected"),
    [([0, 1, 2], [1, 1, 4], (1.5, 0.5)), ([4], [7], (0.0, 7.0)), ([2, 2], [1, 3], (0.0, 2.0))],
    ids=["hand-worked", "one point", "one place"],
)
def test_line(place: list[float], heights: list[float], expected: tuple[float, float]) -> None:
    assert line(np.array(place, dtype=float), np.array(heights, dtype=float)) == pytest.approx(expected)
