"""The benchmark's short way to the published scores gives what the scorer publishes."""

from __future__ import annotations

import numpy as np
import pytest

from bench import nab_nested
from bench.nab import Recording
from bench.nab_nested import p_values, published
from trimtab.analytics.scoring import DEFAULT, Scorer, Settings


@pytest.mark.parametrize("settings", [DEFAULT, Settings(fade=0.7, nearest=2, share=0.25, unusual=0.95, quiet=5)])
def test_what_is_published(settings: Settings) -> None:
    values = np.random.default_rng(1).standard_normal(1500)
    recording = Recording("a/one.csv", np.arange(1500, dtype=np.float64), values, ())
    scorer = Scorer.start(1, 1.0, settings)
    expected = scorer.extend(recording.times, values[:, np.newaxis]).score[:, 0]
    assert expected.any()
    assert published(p_values(recording, settings), settings).tolist() == expected.tolist()


def test_the_grid_has_the_default() -> None:
    assert DEFAULT.fade in nab_nested.FADES
    assert DEFAULT.nearest in nab_nested.NEAREST
    assert DEFAULT.share in nab_nested.SHARES
    assert DEFAULT.unusual in nab_nested.UNUSUAL
    assert DEFAULT.quiet in nab_nested.QUIET
