"""The benchmark's short way to the published scores gives what the scorer publishes."""

from __future__ import annotations

import numpy as np
import pytest

from bench.nab import Recording
from bench.nab_nested import grid, onsets, rarity
from trimtab.analytics.scoring import DEFAULT, Scorer, Settings


@pytest.mark.parametrize("settings", [DEFAULT, Settings(fade=0.7, nearest=2, unusual=0.9, quiet=5)])
def test_onsets_are_what_is_published(settings: Settings) -> None:
    values = np.random.default_rng(1).standard_normal(1500)
    recording = Recording("a/one.csv", np.arange(1500, dtype=np.float64), values, ())
    scorer = Scorer.start(1, 60.0, settings)
    published = scorer.extend(recording.times, values[:, np.newaxis]).score[:, 0]
    assert published.any()
    assert onsets(rarity(recording, settings), settings.unusual, settings.quiet).tolist() == published.tolist()


def test_the_grid_has_the_default() -> None:
    assert DEFAULT in list(grid())
