"""The isolation forest, beside scikit-learn's."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from trimtab.analytics.isolation import SAMPLES, TREES, grow
from trimtab.domain.series import FloatArray


def normal(seed: int, rows: int, columns: int = 4) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((rows, columns))


def test_it_scores_as_the_reference_does() -> None:
    rows, new = normal(1, 2000), 1.5 * normal(2, 800)
    ours = np.mean([grow(rows, seed).scores(new) for seed in range(8)], axis=0)
    reference = IsolationForest(n_estimators=8 * TREES, max_samples=SAMPLES, random_state=3).fit(rows)
    theirs = -reference.score_samples(new)
    assert np.abs(ours - theirs).mean() < 0.02
    assert np.corrcoef(ours, theirs)[0, 1] > 0.97


def test_what_is_far_in_several_columns_scores_higher() -> None:
    forest = grow(normal(1, 1000))
    far = forest.scores(3.0 * np.array(list(product((-1.0, 1.0), repeat=4))))
    assert float(far.min()) > float(np.quantile(forest.scores(normal(2, 1000)), 0.95))


def test_one_row_scores_as_it_does_among_many() -> None:
    forest, rows = grow(normal(1, 300)), normal(2, 50)
    assert [float(forest.scores(row[np.newaxis])[0]) for row in rows] == forest.scores(rows).tolist()


@given(st.integers(0, 2**31), st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 1e6, 1e30, 1e300]))
def test_any_rows_give_scores_between_0_and_1(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    rows = size * rng.integers(0, 3, (SAMPLES, 2)).astype(np.float64)
    scores = grow(rows, seed).scores(size * rng.standard_normal((20, 2)))
    assert ((scores > 0.0) & (scores <= 1.0)).all()


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=f"a forest needs {SAMPLES} rows, got 10"):
        grow(normal(1, 10))
