"""NAB with nothing chosen on what is scored: settings and threshold of each category from the other categories."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.nab import Curves, Profile, Recording, curves
from trimtab.analytics.scoring import DEFAULT, Scorer, Settings
from trimtab.domain.series import FloatArray

FADES = (0.7, 0.8, 0.9)
NEAREST = (2, 3, 5)
UNUSUAL = (0.98, 0.985, 0.99, 0.995)
QUIET = (25, 50, 100)


@dataclass(frozen=True, slots=True)
class Nested:
    """Score with the settings of each category chosen on the others, and which those were."""

    score: float
    chosen: dict[str, Settings]
    searched: int


def nested(corpus: Sequence[Recording], profile: Profile) -> Nested:
    """Search the grid once for each category. The distances are worked out once for each pair that shapes them."""
    found: list[tuple[Settings, Curves]] = []
    for settings in grid():
        if not found or (settings.fade, settings.nearest) != (found[-1][0].fade, found[-1][0].nearest):
            rarities = [rarity(recording, settings) for recording in corpus]
        scores = [onsets(each, settings.unusual, settings.quiet) for each in rarities]
        found.append((settings, curves(corpus, scores, profile)))
    total, chosen = 0.0, {}
    for category in found[0][1].categories:
        settings, best = max(found, key=lambda each: each[1].without(category)[0])
        total += best.without(category)[1]
        chosen[category] = settings
    return Nested(found[0][1].normalised(total), chosen, len(found))


def grid() -> Iterator[Settings]:
    """Every combination; those that differ only after the distances follow each other."""
    for fade, nearest, unusual, quiet in itertools.product(FADES, NEAREST, UNUSUAL, QUIET):
        yield replace(DEFAULT, fade=fade, nearest=nearest, unusual=unusual, quiet=quiet)


def rarity(recording: Recording, settings: Settings) -> FloatArray:
    """Rarity of each row, shape (n,)."""
    scorer = Scorer.start(1, recording.step_seconds, settings)
    return scorer.extend(recording.times, recording.values[:, np.newaxis]).rarity[:, 0]


def onsets(rarities: FloatArray, unusual: float, quiet: int) -> FloatArray:
    """What a scorer publishes for ``rarities`` (n,): the first row of each episode, else 0."""
    scores = np.zeros(rarities.size)
    rows = np.flatnonzero(rarities >= unusual)
    first = rows[np.diff(rows, prepend=-np.inf) > quiet]
    scores[first] = rarities[first]
    return scores
