"""What others have published on NAB, and a published detector by which the scoring here is checked."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.nab import Profile, Recording, count
from trimtab.domain.series import FloatArray

CHECKED = "windowedGaussian"
"""Simple enough to be written again from its description, and published file by file."""
WINDOW, BATCH = 6400, 100
"""It knows the last 6400 rows; once full, they move on by 100 rows at a time."""
DIGITS = 12
"""Published scores have so many."""


def published(root: Path) -> dict[str, dict[str, float]]:
    """Normalised score of each detector by profile, from ``results/final_results.json``."""
    found: dict[str, dict[str, float]] = json.loads((root / "results" / "final_results.json").read_text())
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a published result."""

    threshold: float
    score: float
    counts: tuple[int, int, int, int]
    """True positives, true negatives, false positives, false negatives."""


def results(root: Path, detector: str, profile: str) -> dict[str, Row]:
    """Published result of ``detector`` by file."""
    path = root / "results" / detector / f"{detector}_{profile}_scores.csv"
    with path.open(newline="") as lines:
        return {
            line["File"]: Row(
                float(line["Threshold"]),
                float(line["Score"]),
                (int(line["TP"]), int(line["TN"]), int(line["FP"]), int(line["FN"])),
            )
            for line in csv.DictReader(lines)
            if line["File"]
        }


def windowed_gaussian(values: FloatArray) -> FloatArray:
    """How far each value is in the tail of a normal distribution fitted to the rows before it, shape (n,)."""
    scores = np.zeros(values.size)
    known, fitted = 0, -1
    mean, deviation = 0.0, 1.0
    for row, value in enumerate(values.tolist()):
        known = row if row <= WINDOW else WINDOW + BATCH * ((row - WINDOW) // BATCH)
        if known != fitted and row > 0:
            before = values[max(known - WINDOW, 0) : known]
            mean, deviation, fitted = float(before.mean()), float(before.std()) or 1e-6, known
        if row > 0:
            # 1.4142 and not the root of 2 is what was published.
            scores[row] = 1.0 - 0.5 * math.erfc(abs(value - mean) / deviation / 1.4142)
    return np.round(scores, DIGITS)


def differing(root: Path, corpus: Iterable[Recording], profiles: Iterable[Profile]) -> tuple[int, int]:
    """(files whose published score or counts the scoring here does not give, files compared)."""
    wrong = compared = 0
    all_published = {profile: results(root, CHECKED, profile.name) for profile in profiles}
    for recording in corpus:
        scores = windowed_gaussian(recording.values)
        for profile, rows in all_published.items():
            row = rows[recording.name]
            found = count(recording, scores, row.threshold, profile)
            compared += 1
            counts = (found.true_positives, found.true_negatives, found.false_positives, found.false_negatives)
            wrong += counts != row.counts or abs(found.score - row.score) > 1e-9
    return wrong, compared


def normalising_error(root: Path, windows: int, profiles: Iterable[Profile]) -> float:
    """Largest difference between the published normalised scores and those that the published sums by file give."""
    worst = 0.0
    for detector, scores in published(root).items():
        for profile in profiles:
            rows = results(root, detector, profile.name)
            if detector == "random":
                continue  # its results by file cover part of the corpus only
            null = -profile.false_negative * windows
            perfect = profile.true_positive * windows
            total = sum(row.score for row in rows.values())
            worst = max(worst, abs(100.0 * (total - null) / (perfect - null) - scores[profile.name]))
    return worst
