"""NAB with nothing chosen on what is scored: settings and threshold of each category from the other categories."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.nab import Curves, Profile, Recording, curves
from trimtab.analytics.scoring import DEFAULT, Scorer, Settings
from trimtab.domain.series import FloatArray

FADES = (0.7, 0.8, 0.9)
NEAREST = (2, 3, 5)
VOTES = (1, 2, 3)
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
        for votes, unusual, quiet in itertools.product(VOTES, UNUSUAL, QUIET):
            settings = replace(core, votes=votes, unusual=unusual, quiet=quiet)
            found.append((settings, curves(corpus, [published(each, settings) for each in ways], profile)))
    total, chosen = 0.0, {}
    for category in found[0][1].categories:
        settings, best = max(found, key=lambda each: each[1].without(category)[0])
        total += best.without(category)[1]
        chosen[category] = settings
    return Nested(found[0][1].normalised(total), chosen, len(found))


def p_values(recording: Recording, settings: Settings) -> FloatArray:
    """How rare each row is in each way, rarest first, shape (n, ways)."""
    scorer = Scorer.start(1, recording.step_seconds, settings)
    return np.sort([scorer.p_values(0, value) for value in recording.values.tolist()], axis=1)


def published(ways: FloatArray, settings: Settings) -> FloatArray:
    """What a scorer publishes for p-values ``ways`` (n, ways): the first row of each episode, else 0."""
    strange = 1.0 - ways[:, settings.votes - 1]
    rows = np.flatnonzero(strange >= settings.unusual)
    first = rows[np.diff(rows, prepend=-np.inf) > settings.quiet]
    scores = np.zeros(strange.size)
    scores[first] = strange[first]
    return scores
