"""The anomaly scorer on the Numenta Anomaly Benchmark: 58 recordings, one value at a time, NAB's own scoring.

``--quick`` leaves out the nested search and other detectors. docs/anomaly-scores.md says what the figures mean.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.nab import Curves, Profile, Recording, curves, profiles, recordings
from bench.nab_nested import nested
from bench.nab_published import differing, normalising_error, published
from bench.nab_votes import other_votes
from bench.traces import DEFAULT, VARIABLE
from trimtab.analytics.scoring import Scorer
from trimtab.domain.series import FloatArray

WARM, MEASURED = 4200, 200
"""Samples before the cost of many series is measured, and while it is."""
STANDARD, LOW_FP, LOW_FN = "standard", "reward_low_FP_rate", "reward_low_FN_rate"


def main(arguments: Sequence[str]) -> int:
    """Score the corpus, print the table; the last line has the figures."""
    root = Path(os.environ.get(VARIABLE, DEFAULT)) / "nab"
    try:
        corpus, costs = recordings(root), profiles(root)
    except OSError as error:
        print(f"anomaly: no NAB data; set {VARIABLE} to the folder that has nab/: {error}", file=sys.stderr)
        return 2
    check(root, corpus, costs)
    scores, microseconds = stream(corpus)
    found = {name: curves(corpus, scores, profile) for name, profile in costs.items()}
    table(root, found)
    categories(found[STANDARD])
    figures = {
        "nab_standard": found[STANDARD].best()[0],
        "nab_low_fp": found[LOW_FP].best()[0],
        "nab_low_fn": found[LOW_FN].best()[0],
        "nab_standard_heldout": found[STANDARD].held_out(),
    }
    costs_of_many = ", ".join(f"{many(series):.1f} ({series})" for series in (1, 4, 16, 64, 256))
    print(f"\nMicroseconds a sample and series, with so many series at once: {costs_of_many}")
    if "--quick" not in arguments:
        print("\nOther detectors, standard score, threshold in sample / from the other categories:")
        for name, both in other_votes(corpus, costs[STANDARD]).items():
            alone, joined = (f"{each.best()[0]:.1f} / {each.held_out():.1f}" for each in both)
            print(f"  {name:18} alone {alone}   as a fifth vote {joined}")
        honest = nested(corpus, costs[STANDARD])
        print(f"\nSettings and threshold chosen without the category, out of {honest.searched} settings:")
        for category, settings in honest.chosen.items():
            print(f"  {category:22} {settings}")
        figures["nab_standard_nested"] = honest.score
    figures["us_per_sample"] = microseconds
    print("\n" + " ".join(f"{name}={value:.1f}" for name, value in figures.items()))
    return 0


def check(root: Path, corpus: Sequence[Recording], costs: dict[str, Profile]) -> None:
    """Hold the scoring against what is published."""
    wrong, compared = differing(root, corpus, costs.values())
    print(f"Scoring: {compared - wrong} of {compared} published results of the windowed Gaussian come out the same.")
    error = normalising_error(root, sum(len(recording.windows) for recording in corpus), costs.values())
    print(f"Scale: published sums by file give the published scores within {error:.1e}.\n")


def stream(corpus: Sequence[Recording]) -> tuple[list[FloatArray], float]:
    """(scores of each recording, CPU microseconds a sample), one value after the other."""
    scores: list[FloatArray] = []
    started = time.process_time()
    for recording in corpus:
        scorer = Scorer.start(1, recording.step_seconds)
        rows = zip(recording.times.tolist(), recording.values[:, np.newaxis], strict=True)
        scores.append(np.array([scorer.update(at, value).score[0] for at, value in rows]))
    seconds = time.process_time() - started
    return scores, 1e6 * seconds / sum(recording.values.size for recording in corpus)


def many(series: int) -> float:
    """CPU microseconds a sample and series when ``series`` are scored at once by ``update``, all memories full."""
    rng = np.random.default_rng(1)
    waves = 100.0 + 40.0 * np.sin(2 * np.pi * np.arange(WARM + MEASURED) / 288)[:, np.newaxis]
    values = waves + 3.0 * rng.standard_normal((WARM + MEASURED, series))
    scorer = Scorer.start(series, 60.0)
    scorer.extend(np.arange(WARM, dtype=np.float64), values[:WARM])
    started = time.process_time()
    for row in range(WARM, WARM + MEASURED):
        scorer.update(float(row), values[row])
    return 1e6 * (time.process_time() - started) / (MEASURED * series)


def table(root: Path, found: dict[str, Curves]) -> None:
    """This scorer among the published ones, best first."""
    rows = {
        name: [scores[profile] for profile in (STANDARD, LOW_FP, LOW_FN)] for name, scores in published(root).items()
    }
    rows["Trimtab"] = [found[profile].best()[0] for profile in (STANDARD, LOW_FP, LOW_FN)]
    print(f"{'detector':20} {'standard':>9} {'low FP':>9} {'low FN':>9}   (threshold fitted in sample, as published)")
    for name, (standard, low_fp, low_fn) in sorted(rows.items(), key=lambda row: -row[1][0]):
        print(f"{name:20} {standard:9.1f} {low_fp:9.1f} {low_fn:9.1f}{'   <' if name == 'Trimtab' else ''}")
    held = [found[profile].held_out() for profile in (STANDARD, LOW_FP, LOW_FN)]
    print(
        f"{'Trimtab, held out':20} {held[0]:9.1f} {held[1]:9.1f} {held[2]:9.1f}   (threshold from other categories)\n"
    )


def categories(found: Curves) -> None:
    """What each category contributes at the threshold of the table."""
    at = int(np.argmax(found.totals.sum(axis=0)))
    print(f"{'category':22} {'score':>7} {'perfect':>8}")
    for name, score, perfect in zip(found.categories, found.totals[:, at], found.perfect, strict=True):
        print(f"{name:22} {score:7.1f} {perfect:8.0f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
