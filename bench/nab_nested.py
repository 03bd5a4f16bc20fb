"""NAB with nothing chosen on what is scored: settings and threshold of each category from the other categories."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.nab import Curves, Profile, Recording, curves
from trimtab.analytics.scoring import DEFAULT, Scorer, Settings, votes
from trimtab.domain.series import FloatArray

WAYS = 4
FADES = (0.7, 0.8, 0.9)
NEAREST = (2, 3, 5)
SHARES = (0.25, 0.5, 0.75)
UNUSUAL = (0.98, 0.985, 0.99, 0.995)
QUIET = (25, 50, 100)


@dataclass(frozen=True, slots=True)
class Nested:
    """Score with the settings of each category chosen on the others, and which those were."""

    score: float
    chosen: dict[str, Settings]
    searched: int


def nested(corpus: Sequence[Recording], profile: Profile) -> Nested:
    """Search the grid for each category. The p-values are worked out once for the settings that shape them."""
    found: list[tuple[Settings, Curves]] = []
    for fade, nearest in itertools.product(FADES, NEAREST):
        core = replace(DEFAULT, fade=fade, nearest=nearest)
        ways = [p_values(recording, core) for recording in corpus]
        for share, unusual, quiet in itertools.product(SHARES, UNUSUAL, QUIET):
            settings = replace(core, share=share, unusual=unusual, quiet=quiet)
            found.append((settings, curves(corpus, [published(each, settings) for each in ways], profile)))
    total, chosen = 0.0, {}
    for category in found[0][1].categories:
        settings, best = max(found, key=lambda each: each[1].without(category)[0])
        total += best.without(category)[1]
        chosen[category] = settings
    return Nested(found[0][1].normalised(total), chosen, len(found))


def p_values(recording: Recording, settings: Settings) -> FloatArray:
    """p-values of each row, rarest first, NaN after those that there are; shape (n, WAYS)."""
    scorer = Scorer.start(1, recording.step_seconds, settings)
    found = np.full((recording.values.size, WAYS), np.nan)
    for row, value in enumerate(recording.values.tolist()):
        ways = scorer.p_values(0, value)
        found[row, : len(ways)] = ways
    return np.sort(found, axis=1)


def published(ways: FloatArray, settings: Settings) -> FloatArray:
    """What a scorer publishes for p-values as of ``p_values``: the first row of each episode, else 0."""
    needed = np.array([votes(known, settings.share) for known in range(ways.shape[1] + 1)])
    known = ways.shape[1] - np.isnan(ways).sum(axis=1)
    agreed = ways[np.arange(known.size), needed[known] - 1]
    rows = np.flatnonzero(1.0 - agreed >= settings.unusual)
    first = rows[np.diff(rows, prepend=-np.inf) > settings.quiet]
    scores = np.zeros(agreed.size)
    scores[first] = 1.0 - agreed[first]
    return scores
