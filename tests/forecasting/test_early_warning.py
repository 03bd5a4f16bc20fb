"""Breaches, their probability and time, and warnings that do not flap."""

from __future__ import annotations

import numpy as np
import pytest

from trimtab.forecasting.early_warning import Alertness, alerted, breaches, crossing, in_breach, told


def marks(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.array([one == "x" for one in text])


@pytest.mark.parametrize(
    ("beyond", "run", "begins"),
    [
        ("..xxx..", 3, "..x...."),
        ("..xx.xx", 3, "......."),
        ("xxxx...", 3, "xx....."),
        ("......x", 1, "......x"),
        ("xx", 3, "x."),
        ("", 3, ""),
    ],
    ids=["a run", "too short", "a long run", "single samples count", "shorter than a run", "nothing"],
)
def test_where_breaches_begin(beyond: str, run: int, begins: str) -> None:
    assert breaches(marks(beyond), run).tolist() == marks(begins).tolist()


def test_probability_is_a_share_of_courses_and_the_time_their_median() -> None:
    courses = np.stack([marks(text) for text in ("xxx...", ".xxx..", "..xxx.", "......")])
    found = crossing(courses, np.linspace(60.0, 360.0, 6))
    assert (found.probability, found.seconds) == (0.75, 120.0)
    assert np.isnan(crossing(courses[3:], np.linspace(60.0, 360.0, 6)).seconds)


@pytest.mark.parametrize(
    ("percents", "active"),
    [
        ([90], [False]),
        ([90, 90], [False, False]),
        ([90, 90, 90], [False, False, True]),
        ([90, 90, 10, 90, 90, 10], [False] * 6),
        ([49] * 5, [False] * 5),
        ([90, 90, 90, 20, 20, 20, 20], [False, False, True, True, True, True, True]),
        ([90, 90, 90, 10, 10, 90, 10, 10, 10], [False, False, True, True, True, True, True, True, False]),
    ],
    ids=["one round", "not yet", "two minutes", "flapping", "below the level", "between the levels", "quiet at last"],
)
def test_hysteresis(percents: list[float], active: list[bool]) -> None:
    state: Alertness | None = None
    seen = []
    for place, percent in enumerate(percents):
        state = alerted(state, percent, 60.0 * place, 120.0)
        seen.append(state.active)
    assert seen == active


def test_two_rounds_are_needed_however_rare_they_are() -> None:
    assert not alerted(None, 100, 0.0, 0.0).active
    assert alerted(alerted(None, 100, 0.0, 60.0), 100, 3600.0, 60.0).active


def test_a_warning_remembers_when_it_was_raised() -> None:
    state = alerted(alerted(alerted(None, 90, 0.0, 60.0), 90, 60.0, 60.0), 70, 120.0, 60.0)
    assert state == Alertness(True, 60.0)


@pytest.mark.parametrize(
    ("seen", "broken"),
    [("." * 27 + "xxx", True), ("xxx" + "." * 27, True), ("xxx" + "." * 28, False), ("xx", False), ("", False)],
    ids=["now", "a moment ago", "held since", "too few", "nothing"],
)
def test_a_breach_is_over_when_it_held_for_a_while(seen: str, broken: bool) -> None:
    assert in_breach(marks(seen)) is broken


def test_times_are_told_as_coarsely_as_they_are_known() -> None:
    assert [told(seconds) for seconds in (0.0, 95.0, 7300.0, 86_500.0)] == ["1m", "2m", "2h", "24h"]
