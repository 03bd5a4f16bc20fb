"""NAB: the recordings of the Numenta Anomaly Benchmark, and its scoring, written from its published description.

A detection inside a labelled window earns more the earlier it comes, only the best of a window counts, a window that is
missed costs, and a detection outside costs less the closer it follows a window. The sum over the corpus is scaled so
that a detector without detections has 0 and one that detects the first row of every window has 100 (Lavin and Ahmad,
"Evaluating Real-time Anomaly Detection Algorithms", 2015).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from trimtab.domain.series import FloatArray

PROBATION_SHARE, PROBATION_ROWS = 0.15, 750
"""The first rows of a recording are for learning: they are not scored."""
STEEPNESS, FAR = 5.0, 3.0
"""Slope of the sigmoid, and the windows after the end of one from which a detection is plainly false."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a detection is worth, and what a false one and a missed window cost."""

    name: str
    true_positive: float
    false_positive: float
    false_negative: float


@dataclass(frozen=True)
class Recording:
    """One file of the corpus."""

    name: str
    times: FloatArray
    """Unix seconds, shape (n,), as in the file: some repeat or step back."""
    values: FloatArray
    windows: tuple[tuple[int, int], ...]
    """First and last row of each labelled window."""

    @property
    def category(self) -> str:
        """The folder of the file."""
        return self.name.split("/")[0]

    @property
    def step_seconds(self) -> float:
        """Median seconds between rows."""
        return float(np.median(np.diff(self.times)))

    @property
    def probation(self) -> int:
        """How many rows at the start are not scored."""
        return min(int(PROBATION_SHARE * self.values.size), PROBATION_ROWS)

    @cached_property
    def window_of(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Number of the window of each row, -1 outside, shape (n,)."""
        found = np.full(self.values.size, -1, dtype=np.int64)
        for number, (first, last) in enumerate(self.windows):
            found[first : last + 1] = number
        return found

    @cached_property
    def worth(self) -> FloatArray:
        """What a detection at each row is worth before the profile's weights, shape (n,): 1 down to 0 inside a window,
        0 down to -1 outside."""
        rows = np.arange(self.values.size)
        result = np.full(self.values.size, -1.0)
        for first, last in self.windows:
            width = last - first + 1
            after = rows > last
            result[after] = sigmoid((rows[after] - last) / max(width - 1, 1))
            inside = slice(first, last + 1)
            result[inside] = sigmoid(-(last - rows[inside] + 1) / width) / sigmoid(np.array([-1.0]))
        return result


def sigmoid(position: FloatArray) -> FloatArray:
    """Worth of a detection at ``position`` windows from the end of a window: near 1 at -1, 0 at 0, -1 far behind."""
    result: FloatArray = np.where(position > FAR, -1.0, 2.0 / (1.0 + np.exp(STEEPNESS * position)) - 1.0)
    return result


def profiles(root: Path) -> dict[str, Profile]:
    """The profiles by name, from ``config/profiles.json``."""
    found = json.loads((root / "config" / "profiles.json").read_text())
    return {
        name: Profile(name, costs["tpWeight"], costs["fpWeight"], costs["fnWeight"])
        for name, costs in ((name, entry["CostMatrix"]) for name, entry in found.items())
    }


def recordings(root: Path) -> tuple[Recording, ...]:
    """The recordings below ``root``, in the order of their names. Raises OSError when files are missing."""
    labels: Mapping[str, Sequence[tuple[str, str]]] = json.loads(
        (root / "labels" / "combined_windows.json").read_text()
    )
    return tuple(_recording(root, name, labels[name]) for name in sorted(labels))


def _recording(root: Path, name: str, labels: Sequence[tuple[str, str]]) -> Recording:
    with (root / "data" / name).open(newline="") as lines:
        rows = [(_seconds(row["timestamp"]), float(row["value"])) for row in csv.DictReader(lines)]
    times, values = np.array(rows).T
    windows = []
    for start, end in labels:
        inside = np.flatnonzero((times >= _seconds(start)) & (times <= _seconds(end)))
        windows.append((int(inside[0]), int(inside[-1])))
    return Recording(name, np.ascontiguousarray(times), np.ascontiguousarray(values), tuple(windows))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of one recording after probation, by label and detection, and what they come to."""

    true_positives: int
    true_negatives: int
    false_positives: int
    false_negatives: int
    score: float


def count(recording: Recording, scores: FloatArray, threshold: float, profile: Profile) -> Counts:
    """Score of one recording when every row with ``scores`` (n,) at or above ``threshold`` is a detection."""
    scored = np.arange(recording.values.size) >= recording.probation
    detected, inside = scored & (scores >= threshold), recording.window_of >= 0
    total = profile.false_positive * float(recording.worth[detected & ~inside].sum())
    for number in range(len(recording.windows)):
        hits = recording.worth[detected & (recording.window_of == number)]
        total += profile.true_positive * float(hits.max()) if hits.size else -profile.false_negative
    return Counts(
        int((detected & inside).sum()),
        int((scored & ~detected & ~inside).sum()),
        int((detected & ~inside).sum()),
        int((scored & ~detected & inside).sum()),
        total,
    )


@dataclass(frozen=True)
class Curves:
    """Sum of the score of each category at every threshold that changes anything."""

    thresholds: FloatArray
    """Falling, shape (k,); the first is above every score."""
    categories: tuple[str, ...]
    totals: FloatArray
    """Shape (categories, k)."""
    perfect: FloatArray
    """Score of the detector that knows the windows, shape (categories,)."""
    null: FloatArray
    """Score of the detector that detects nothing, shape (categories,)."""

    def normalised(self, totals: float) -> float:
        """A sum over the corpus on the scale from null (0) to perfect (100)."""
        return 100.0 * (totals - float(self.null.sum())) / float(self.perfect.sum() - self.null.sum())

    def best(self) -> tuple[float, float]:
        """(score, threshold) with the threshold that is best for the whole corpus, as published scores have it."""
        corpus = self.totals.sum(axis=0)
        at = int(np.argmax(corpus))
        return self.normalised(float(corpus[at])), float(self.thresholds[at])

    def held_out(self) -> float:
        """Score when each category has the threshold that is best on all the others."""
        return self.normalised(sum(self.without(category)[1] for category in self.categories))

    def without(self, category: str) -> tuple[float, float]:
        """(best sum over the other categories, sum of this category at the threshold of that)."""
        here = self.totals[self.categories.index(category)]
        others = self.totals.sum(axis=0) - here
        at = int(np.argmax(others))
        return float(others[at]), float(here[at])


def curves(corpus: Sequence[Recording], scores: Sequence[FloatArray], profile: Profile) -> Curves:
    """Scores of ``corpus`` at all thresholds, from the scores of its rows, one array (n,) a recording.

    Walks down the sorted scores: a row outside the windows adds what it costs; a row inside adds what it is worth more
    than the best row of its window with a higher score.
    """
    categories = tuple(sorted({recording.category for recording in corpus}))
    levels: list[FloatArray] = []
    gains: list[FloatArray] = []
    owners: list[FloatArray] = []
    null = np.zeros(len(categories))
    windows = np.zeros(len(categories))
    for recording, of_rows in zip(corpus, scores, strict=True):
        owner = categories.index(recording.category)
        windows[owner] += len(recording.windows)
        null[owner] -= profile.false_negative * len(recording.windows)
        for level, gain in _gains(recording, of_rows, profile):
            levels.append(level)
            gains.append(gain)
            owners.append(np.full(level.size, owner, dtype=np.float64))
    level, gain, of = np.concatenate(levels), np.concatenate(gains), np.concatenate(owners)
    order = np.argsort(-level, kind="stable")
    level, gain, of = level[order], gain[order], of[order]
    ends = np.flatnonzero(np.append(level[1:] != level[:-1], True)) if level.size else np.zeros(0, dtype=np.int64)
    totals = np.empty((len(categories), ends.size + 1))
    for owner in range(len(categories)):
        totals[owner, 0] = null[owner]
        totals[owner, 1:] = null[owner] + np.cumsum(np.where(of == owner, gain, 0.0))[ends]
    return Curves(np.concatenate([[np.inf], level[ends]]), categories, totals, profile.true_positive * windows, null)


def _gains(recording: Recording, scores: FloatArray, profile: Profile) -> list[tuple[FloatArray, FloatArray]]:
    """(scores, what the sum changes by when the threshold falls to each) outside the windows and in each."""
    counted = (np.arange(scores.size) >= recording.probation) & (scores > 0.0)
    outside = np.flatnonzero(counted & (recording.window_of < 0))
    parts = [(scores[outside], profile.false_positive * recording.worth[outside])]
    for number in range(len(recording.windows)):
        rows = np.flatnonzero(counted & (recording.window_of == number))
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        best = profile.true_positive * np.maximum.accumulate(recording.worth[rows])
        parts.append((scores[rows], np.diff(best, prepend=-profile.false_negative)))
    return parts
