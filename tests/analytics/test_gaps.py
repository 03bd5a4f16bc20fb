"""Which gaps a line bridges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trimtab.analytics.gaps import bridge, longest_bridge
from trimtab.domain.series import Series


@pytest.mark.parametrize(
    ("step_seconds", "steps"),
    [(1.0, 20), (60.0, 20), (180.0, 20), (300.0, 12), (3600.0, 1), (86400.0, 1)],
)
def test_longest_bridge_is_an_hour_or_twenty_steps(step_seconds: float, steps: int) -> None:
    assert longest_bridge(step_seconds) == steps


@pytest.mark.parametrize(("missing", "bridged"), [(1, True), (12, True), (13, False)])
def test_an_hour_is_bridged_and_no_more(missing: int, bridged: bool) -> None:
    values = np.concatenate([[0.0], np.full(missing, math.nan), [missing + 1.0]])
    filled = bridge(Series(0.0, 300.0, values))
    assert filled.known[1:-1].all() == bridged
    assert filled.values[1] == (1.0 if bridged else 0.0)


def test_ends_and_infinities_stay_unknown() -> None:
    filled = bridge(Series(0.0, 60.0, np.array([math.nan, 1.0, math.inf, 3.0, math.nan])))
    assert filled.known.tolist() == [False, True, True, True, False]
    assert filled.values.tolist() == [0.0, 1.0, 2.0, 3.0, 0.0]


def test_nothing_to_bridge() -> None:
    filled = bridge(Series(0.0, 60.0, np.full(3, math.nan)))
    assert not filled.known.any()
    assert filled.values.tolist() == [0.0, 0.0, 0.0]
