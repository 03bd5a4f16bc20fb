"""The anomalies of one series by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.analytics import detection
from trimtab.analytics.detection import Detector, detect
from trimtab.analytics.scoring import Scorer
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
        assert np.array_equal(part.since, whole.since[:end], equal_nan=True)
        ended = [one for one in part.anomalies if one.end is not None]
        assert ended == list(whole.anomalies[: len(ended)])


def test_the_scores_are_those_of_the_scorer() -> None:
    values = daily(4)
    values[700:720], values[900] = np.nan, 500.0
    found = detect(Series(0.0, 300.0, values), Sensitivity.MEDIUM)
    scored = Scorer.start(1, 300.0).extend(300.0 * np.arange(values.size, dtype=np.float64), values[:, np.newaxis])
    assert np.array_equal(found.scores, scored.score[:, 0])


def test_what_goes_on_at_each_sample() -> None:
    values = 200 + np.random.default_rng(1).normal(0, 8, 1000)
    values[900:905] += 90
    detector = Detector.start(300.0, Sensitivity.MEDIUM, "requests/s", "load")
    judged = [detector.update(300.0 * place, value) for place, value in enumerate(values[:905].tolist())]
    assert {one.since for one in judged[900:]} == {900 * 300.0}
    going_on = detector.going_on()
    assert going_on is not None
    assert (going_on.signal, going_on.start, going_on.end) == ("load", 900 * 300.0, None)
    ended = [detector.update(300.0 * place, value).ended for place, value in enumerate(values[905:].tolist(), 905)]
    assert [(one.start, one.end) for one in ended if one is not None] == [(900 * 300.0, 904 * 300.0)]
    assert detector.going_on() is None


def test_a_sample_that_never_came_is_a_gap() -> None:
    values = daily(4)
    values[400:460] = np.nan
    values[500] = np.nan
    whole = detect(Series(0.0, 300.0, values), Sensitivity.MEDIUM)
    detector = Detector.start(300.0, Sensitivity.MEDIUM)
    there = np.flatnonzero(np.isfinite(values))
    judged = [detector.update(300.0 * place, float(values[place])) for place in there.tolist()]
    assert [one.score for one in judged] == whole.scores[there].tolist()
    assert [one.expected for one in judged[:-1]] == pytest.approx(whole.expected[there[:-1]].tolist())


def test_time_runs_forwards() -> None:
    detector = Detector.start(60.0, Sensitivity.MEDIUM)
    detector.update(600.0, 1.0)
    with pytest.raises(ValueError, match="a sample at 600"):
        detector.update(600.0, 1.0)


def test_seasons_are_looked_for_in_the_newest_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A season that begins later than the oldest sample that is kept is found as if it had always been there."""
    values = np.concatenate([np.random.default_rng(2).normal(200, 8, 3000), daily(12)])
    monkeypatch.setattr(detection, "MOST_SAMPLES", 2016)
    detector = Detector.start(300.0, Sensitivity.MEDIUM)
    for place, value in enumerate(values.tolist()):
        detector.update(300.0 * place, value)
    assert len(detector.past) == 2016
    assert [one.period_seconds for one in detector.watch.expectation.seasons] == [86_400.0]
    peak = 300.0 * (values.size - 1 + 72)
    assert detector.watch.expectation.seasons[0].at(peak) == pytest.approx(100, abs=25)


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
