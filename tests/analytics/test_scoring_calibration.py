"""The rarity of a sample means what it says on streams without anomalies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from trimtab.analytics.scoring import Scorer
from trimtab.domain.series import FloatArray

LENGTH, SEEDS, FIRST = 6000, 4, 1000


def white(seed: int) -> FloatArray:
    return np.random.default_rng(seed).standard_normal(LENGTH)


def persistent(seed: int) -> FloatArray:
    return autoregressive(LENGTH, 0.9, 1.0, seed)


def heavy(seed: int) -> FloatArray:
    return np.random.default_rng(seed).standard_t(3, LENGTH)


def seasonal(seed: int) -> FloatArray:
    return 10.0 * np.sin(2 * np.pi * np.arange(LENGTH) / 288) + white(seed)


@pytest.mark.parametrize(
    ("stream", "least", "most"),
    [(white, 0.7, 1.4), (persistent, 0.6, 1.8), (heavy, 0.7, 1.4), (seasonal, 0.4, 2.6)],
    ids=["white noise", "AR(1) 0.9", "Student 3", "season and noise"],
)
def test_share_of_rare_samples(stream: Callable[[int], FloatArray], least: float, most: float) -> None:
    values = np.column_stack([stream(seed) for seed in range(SEEDS)])
    rarity = Scorer.start(SEEDS, 60.0).extend(np.arange(LENGTH, dtype=np.float64), values).rarity[FIRST:]
    for tail in (0.1, 0.05, 0.01):
        assert least * tail <= (rarity >= 1.0 - tail).mean() <= most * tail
