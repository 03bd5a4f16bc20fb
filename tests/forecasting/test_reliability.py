"""Probabilities that are corrected by how they came true, and the scores made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.forecasting.reliability import (
    Diagram,
    NoPerformance,
    NoReliability,
    ObjectiveMargin,
    Performance,
    Reliability,
    judged,
    performance,
    reliability,
)


def seen(true_of: float, outcomes: int, seed: int = 1) -> Diagram:
    """A record of probabilities p that came true as often as ``p ** true_of``."""
    rng = np.random.default_rng(seed)
    diagram = Diagram()
    for p in rng.uniform(0.05, 0.95, outcomes).tolist():
        diagram = diagram.with_outcome(p, bool(rng.random() < p**true_of))
    return diagram


def test_without_outcomes_nothing_is_corrected() -> None:
    assert Diagram().corrected(0.8) == pytest.approx(0.8)


def test_few_outcomes_move_little() -> None:
    diagram = Diagram().with_outcome(0.95, False)
    assert 0.85 < diagram.corrected(0.95) < 0.95


@pytest.mark.parametrize("p", [0.3, 0.5, 0.8])
def test_probabilities_that_came_true_are_left_alone(p: float) -> None:
    assert seen(1.0, 600).corrected(p) == pytest.approx(p, abs=0.08)


@pytest.mark.parametrize("p", [0.5, 0.7, 0.9])
def test_probabilities_that_were_too_high_are_lowered(p: float) -> None:
    corrected = seen(3.0, 600).corrected(p)
    assert corrected < p - 0.05
    assert corrected == pytest.approx(p**3, abs=0.2)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_a_correction_keeps_the_order_and_stays_a_probability(
    outcomes: list[tuple[float, bool]], p: float, q: float
) -> None:
    diagram = Diagram()
    for probability, held in outcomes:
        diagram = diagram.with_outcome(probability, held)
    low, high = sorted((p, q))
    assert 0.0 <= diagram.corrected(low) <= diagram.corrected(high) <= 1.0
    assert diagram.issued.sum() <= 200.0


def test_the_score_is_the_probability_that_all_hold() -> None:
    latency = np.array([True, True, True, False])
    errors = np.array([True, False, True, True])
    found = reliability({"latency": latency, "errors": errors}, Diagram(), 3600.0, "")
    assert isinstance(found, Reliability)
    assert found.score == 50
    assert [round(one.probability_percent) for one in found.objectives] == [75, 75]


def test_without_objectives_there_is_no_score() -> None:
    assert reliability({}, Diagram(), 3600.0, "no objectives") == NoReliability("no objectives")
    assert performance([], "no objectives") == NoPerformance("no objectives")


@pytest.mark.parametrize(
    ("beyond", "known", "held"),
    [
        ("....", "xxxx", True),
        (".xxx", "xxxx", False),
        ("xx.xx", "xxxxx", True),
        ("xx.x.......", "xx.xxxxxxxx", False),
        (".......", "xxx....", None),
        ("", "", None),
    ],
    ids=["holds", "breaks", "no run", "a gap within a run", "too little is known", "nothing"],
)
def test_what_came_of_it(beyond: str, known: str, held: bool | None) -> None:
    as_bool = [np.array([one == "x" for one in text], dtype=np.bool_) for text in (beyond, known)]
    assert judged(as_bool[0], as_bool[1]) is held


@pytest.mark.parametrize(
    ("margins", "score"),
    [([(0.0, 1)], 50), ([(50.0, 1)], 100), ([(90.0, 1)], 100), ([(-80.0, 1)], 0), ([(50.0, 3), (0.0, 1)], 88)],
    ids=["at the threshold", "half of it", "far inside", "far beyond", "by weight"],
)
def test_performance_score(margins: list[tuple[float, int]], score: int) -> None:
    found = performance([ObjectiveMargin("o", margin, margin, weight) for margin, weight in margins], "")
    assert isinstance(found, Performance)
    assert found.score == score
