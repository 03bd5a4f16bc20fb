"""NAB with an isolation forest over the lags of a series: by itself, and as one more vote of the scorer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.nab import Curves, Profile, Recording, curves
from bench.nab_nested import p_values, published
from trimtab.analytics.isolation import grow
from trimtab.analytics.scoring import DEFAULT
from trimtab.analytics.scoring_ranks import Ranks
from trimtab.domain.series import FloatArray

AGAIN, NEWEST = 200, 1000
"""The forest is grown anew every so many samples, of so many."""
MEAN_OF = 12
MEMORY, READY = 3500, 150


def with_forest(corpus: Sequence[Recording], profile: Profile) -> dict[str, Curves]:
    """Curves of the forest alone, and of the scorer with its vote."""
    alone = [rarities(recording.values)[:, np.newaxis] for recording in corpus]
    votes = [
        np.sort(np.column_stack([p_values(recording, DEFAULT), forest]), axis=1)
        for recording, forest in zip(corpus, alone, strict=True)
    ]
    return {
        name: curves(corpus, [published(each, DEFAULT) for each in ways], profile)
        for name, ways in (("isolation forest alone", alone), ("with its vote", votes))
    }


def rarities(values: FloatArray) -> FloatArray:
    """p-value of each sample's score by a forest of the samples before, shape (n,), NaN until there are enough."""
    rows, ranks = lags(values), Ranks.start(1, MEMORY, READY)
    found = np.full(values.size, np.nan)
    for start in range(AGAIN, values.size, AGAIN):
        forest = grow(rows[max(start - NEWEST, 0) : start], seed=start)
        for row, score in enumerate(forest.scores(rows[start : start + AGAIN]).tolist(), start):
            found[row] = ranks.step(0, score)
    return found


def lags(values: FloatArray) -> FloatArray:
    """Value, the one before, the step between, the mean of the last 12, and the distance from it; shape (n, 5)."""
    before = np.concatenate([values[:1], values[:-1]])
    sums = np.cumsum(np.concatenate([np.zeros(1), values]))
    last = np.arange(1, values.size + 1)
    first = np.maximum(last - MEAN_OF, 0)
    means = (sums[last] - sums[first]) / (last - first)
    return np.column_stack([values, before, values - before, means, values - means])
