"""NAB's scoring, by hand-worked arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.nab import Curves, Profile, Recording, count, curves
from trimtab.domain.series import FloatArray

STANDARD = Profile("standard", 1.0, 0.11, 1.0)


def recording(windows: tuple[tuple[int, int], ...], length: int = 100, name: str = "a/one.csv") -> Recording:
    return Recording(name, np.arange(length, dtype=np.float64), np.zeros(length), windows)


def detections(*rows: int, length: int = 100) -> FloatArray:
    scores = np.zeros(length)
    scores[list(rows)] = 1.0
    return scores


def weight(position: float) -> float:
    return 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((), -1.0),
        ((40,), 1.0),
        ((49,), weight(-0.1) / weight(-1.0)),
        ((44, 46, 49), weight(-0.6) / weight(-1.0)),
        ((30,), -1.0 - 0.11),
        ((52,), -1.0 + 0.11 * weight(3 / 9)),
        ((90,), -1.0 - 0.11),
        ((14,), -1.0),
        ((30, 40, 41), 1.0 - 0.11),
    ],
    ids=[
        "missed",
        "first row",
        "last row",
        "earliest counts",
        "before",
        "soon after",
        "far after",
        "probation",
        "both",
    ],
)
def test_score_of_a_recording(rows: tuple[int, ...], expected: float) -> None:
    # 100 rows, the first 15 for learning; a window of ten rows, 40 to 49.
    assert count(recording(((40, 49),)), detections(*rows), 0.5, STANDARD).score == pytest.approx(expected)


def test_counts_leave_probation_out() -> None:
    found = count(recording(((40, 49),)), detections(3, 41, 42, 60), 0.5, STANDARD)
    assert (found.true_positives, found.true_negatives, found.false_positives, found.false_negatives) == (2, 74, 1, 8)


@pytest.mark.parametrize(("length", "expected"), [(100, 15), (1127, 169), (5000, 750), (22695, 750)])
def test_probation(length: int, expected: int) -> None:
    assert recording((), length).probation == expected


def corpus() -> tuple[list[Recording], list[FloatArray]]:
    rng = np.random.default_rng(1)
    found = [
        recording(((30, 39), (70, 79)), name="a/one.csv"),
        recording(((50, 60),), name="b/two.csv"),
        recording((), name="b/three.csv"),
    ]
    return found, [np.round(rng.random(100), 2) for _ in found]


def test_curve_agrees_with_counting_at_every_threshold() -> None:
    recordings, scores = corpus()
    found = curves(recordings, scores, STANDARD)
    assert found.thresholds.size > 50
    for at, threshold in enumerate(found.thresholds):
        expected = sum(
            count(each, rows, threshold, STANDARD).score for each, rows in zip(recordings, scores, strict=True)
        )
        assert found.totals[:, at].sum() == pytest.approx(expected)


def test_null_has_0_and_perfect_100() -> None:
    recordings, scores = corpus()
    nothing = curves(recordings, [np.zeros(100) for _ in scores], STANDARD)
    assert nothing.best()[0] == 0.0
    perfect = curves(recordings, [detections(*(first for first, _ in each.windows)) for each in recordings], STANDARD)
    assert perfect.best()[0] == pytest.approx(100.0)
    assert perfect.held_out() == pytest.approx(100.0)


def test_held_out_takes_the_threshold_of_the_others() -> None:
    # The best threshold for b is the second, for a the first: a is scored with b's and b with a's.
    found = Curves(
        np.array([math.inf, 0.9, 0.5]),
        ("a", "b"),
        np.array([[-2.0, 2.0, 1.0], [-1.0, -0.5, 1.0]]),
        np.array([2.0, 1.0]),
        np.array([-2.0, -1.0]),
    )
    assert found.best()[0] == pytest.approx(100.0 * 5.0 / 6.0)
    assert found.best()[1] == 0.5
    assert found.held_out() == pytest.approx(100.0 * (1.0 - 0.5 + 3.0) / 6.0)
