"""The anomalies of one series by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.analytics.detection import detect
from trimtab.domain.choices import AnomalyKind, Sensitivity
from trimtab.domain.series import FloatArray, Series


def daily(days: int = 8) -> FloatArray:
    times = np.arange(days * 288)
    wave = 200 + 100 * np.sin(2 * np.pi * times / 288)
    return np.asarray(wave + np.random.default_rng(1).normal(0, 8, times.size))


def test_a_usual_value_at_the_wrong_time_of_day() -> None:
    values = daily()
    night = 7 * 288 + 216
    values[night : night + 4] = 200.0
    found = detect(Series(0.0, 300.0, values, "requests/s"), Sensitivity.MEDIUM, "load")
    (one,) = (one for one in found.anomalies if one.start == night * 300.0)
    assert (one.signal, one.kind) == ("load", AnomalyKind.CONTEXTUAL)
    assert "the same time of the last 7 days" in one.evidence


def test_expected_follows_the_season_and_scores_are_shares() -> None:
    values = daily()
    found = detect(Series(0.0, 300.0, values), Sensitivity.MEDIUM)
    assert found.scores.shape == found.expected.shape == values.shape
    assert np.abs(found.expected[6 * 288 :] - values[6 * 288 :]).mean() < 9
    assert ((found.scores >= 0) & (found.scores <= 1)).all()


def test_no_sample_sees_the_future() -> None:
    """What was said up to a sample is the same whatever comes after."""
    values = daily(4)
    values[900] += 90
    whole = detect(Series(0.0, 300.0, values), Sensitivity.HIGH)
    for end in (50, 400, 903, 1000):
        part = detect(Series(0.0, 300.0, values[:end]), Sensitivity.HIGH)
        assert np.array_equal(part.scores, whole.scores[:end])
        assert np.array_equal(part.expected, whole.expected[:end])
        ended = [one for one in part.anomalies if one.end is not None]
        assert ended == list(whole.anomalies[: len(ended)])


@pytest.mark.parametrize("values", [np.empty(0), np.array([1.0]), np.full(30, np.nan), np.array([1.0, np.inf, 2.0])])
def test_too_little(values: FloatArray) -> None:
    found = detect(Series(0.0, 60.0, values), Sensitivity.HIGH)
    assert found.anomalies == ()
    assert found.scores.shape == values.shape


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=150), st.sampled_from(Sensitivity))
def test_anything_goes(values: list[float], sensitivity: Sensitivity) -> None:
    found = detect(Series(0.0, 60.0, np.array(values, dtype=np.float64)), sensitivity)
    missing = ~(np.abs(np.array(values, dtype=np.float64)) < 1e100)
    assert np.isnan(found.expected).tolist() == missing.tolist()
    for one in found.anomalies:
        assert 0 <= one.score <= 1
        assert np.isfinite([one.value, one.expected, one.start]).all()
