"""Data quality: which data may start a change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.analytics.quality import DataProblem, Quality, assess, plausible
from trimtab.domain.series import FloatArray, Series, empty

HOUR = np.full(61, 5.0)


def judged(values: FloatArray, age: float = 20.0, **limits: Any) -> Quality:
    """Assess samples a minute apart, the last of which is ``age`` seconds old."""
    series = Series(0.0, 60.0, values, "requests/s")
    return assess(series, series.end + age, **{"max_age_seconds": 300.0, "min_history_seconds": 3600.0} | limits)


def with_tail(*tail: float) -> FloatArray:
    """An hour of fives that ends with ``tail``."""
    return np.concatenate([np.full(61 - len(tail), 5.0), tail])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        pytest.param(HOUR, None, id="an hour of data"),
        pytest.param(np.zeros(61), None, id="no traffic is data"),
        pytest.param(np.empty(0), DataProblem.NO_DATA, id="empty"),
        pytest.param(np.full(61, np.nan), DataProblem.NO_DATA, id="all missing"),
        pytest.param(np.full(61, np.inf), DataProblem.NO_DATA, id="all infinite"),
        pytest.param(with_tail(math.nan), None, id="one missed scrape"),
        pytest.param(with_tail(math.nan, math.nan), None, id="two missed scrapes"),
        pytest.param(with_tail(math.nan, math.nan, math.nan), DataProblem.NOT_FINITE, id="three without a number"),
        pytest.param(with_tail(math.inf), DataProblem.NOT_FINITE, id="newest is infinite"),
        pytest.param(with_tail(math.inf, 5.0), DataProblem.NOT_FINITE, id="a recent one is infinite"),
        pytest.param(with_tail(-math.inf, *[5.0] * 20), None, id="an old infinity is a missing sample"),
        pytest.param(with_tail(-0.1), DataProblem.ABSURD, id="negative"),
        pytest.param(with_tail(-3.0, *[5.0] * 20), None, id="an old negative is past"),
        pytest.param(with_tail(2e15), DataProblem.ABSURD, id="beyond any measure"),
        pytest.param(with_tail(4999.0), None, id="a surge of 1,000 times"),
        pytest.param(with_tail(5001.0), DataProblem.ABSURD, id="above 1,000 times, seen once"),
        pytest.param(with_tail(5001.0, 5001.0), None, id="above 1,000 times, seen twice"),
        pytest.param(np.append(np.full(60, 0.001), 60.0), None, id="an idle service wakes up"),
        pytest.param(np.append(np.zeros(60), 900.0), None, id="first traffic ever"),
        pytest.param(np.full(59, 5.0), DataProblem.SHORT_HISTORY, id="58 minutes of history"),
        pytest.param(np.full(60, 5.0), None, id="59 minutes and the step that runs"),
        pytest.param(
            np.append([math.nan] * 30, np.full(31, 5.0)), DataProblem.SHORT_HISTORY, id="the grid began early"
        ),
        pytest.param(np.where(np.arange(61) % 3 == 1, math.nan, 5.0), DataProblem.GAPS, id="each third is missing"),
        pytest.param(np.where(np.arange(61) % 4 == 1, math.nan, 5.0), None, id="each fourth is missing"),
    ],
)
def test_problem(values: FloatArray, problem: DataProblem | None) -> None:
    quality = judged(values)
    assert quality.problem is problem
    assert quality.ok == (problem is None)
    assert quality.message.endswith(".")
    assert quality.message.count(". ") == 0


@pytest.mark.parametrize(
    ("age", "problem"),
    [
        pytest.param(0.0, None, id="this moment"),
        pytest.param(300.0, None, id="at the limit"),
        pytest.param(301.0, DataProblem.STALE, id="past the limit"),
        pytest.param(-59.0, None, id="clocks a little apart"),
        pytest.param(-61.0, DataProblem.ABSURD, id="from the future"),
        pytest.param(math.nan, DataProblem.STALE, id="no clock"),
        pytest.param(math.inf, DataProblem.STALE, id="endless age"),
        pytest.param(-math.inf, DataProblem.ABSURD, id="endless future"),
    ],
)
def test_age(age: float, problem: DataProblem | None) -> None:
    assert judged(HOUR, age).problem is problem


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        pytest.param({"upper_bound": 5.0}, None, id="at the upper bound"),
        pytest.param({"upper_bound": 4.9}, DataProblem.ABSURD, id="above the upper bound"),
        pytest.param({"lower_bound": 6.0}, DataProblem.ABSURD, id="below the lower bound"),
        pytest.param({"lower_bound": None}, None, id="no lower bound"),
        pytest.param({"upper_bound": math.nan}, DataProblem.ABSURD, id="upper bound is NaN"),
        pytest.param({"lower_bound": math.nan}, DataProblem.ABSURD, id="lower bound is NaN"),
        pytest.param({"max_age_seconds": math.nan}, DataProblem.STALE, id="age limit is NaN"),
        pytest.param({"min_history_seconds": math.nan}, DataProblem.STALE, id="history limit is NaN"),
        pytest.param({"max_missing_percent": math.nan}, DataProblem.GAPS, id="gap limit is NaN"),
        pytest.param({"max_age_seconds": math.inf}, None, id="any age"),
        pytest.param({"min_history_seconds": math.inf}, DataProblem.SHORT_HISTORY, id="endless history"),
    ],
)
def test_limits_fail_closed(limits: dict[str, Any], problem: DataProblem | None) -> None:
    assert judged(HOUR, **limits).problem is problem


@pytest.mark.parametrize(
    ("values", "age", "message"),
    [
        (HOUR, 400.0, "The newest sample is 6m40s old; the limit is 5m."),
        (np.full(30, 5.0), 20.0, "There is 29m20s of history; at least 1h is needed."),
        (with_tail(-2.0), 20.0, "A recent value is -2 requests/s; it cannot be below 0."),
        (
            with_tail(8000.0),
            20.0,
            "The newest value is 8000 requests/s, seen once, and the largest before it was 5; "
            "above 5000 it must be seen twice.",
        ),
        (
            np.where(np.arange(61) % 2 == 1, math.nan, 5.0),
            20.0,
            "49 % of the samples in the newest 1h are missing; the limit is 30 %.",
        ),
    ],
    ids=["stale", "short", "negative", "jump", "gaps"],
)
def test_message_names_value_and_limit(values: FloatArray, age: float, message: str) -> None:
    assert judged(values, age).message == message


def test_figures() -> None:
    quality = judged(with_tail(math.nan), age=20.0)
    assert quality.age_seconds == 80.0
    assert quality.span_seconds == 59 * 60.0
    assert quality.missing_percent == pytest.approx(100 / 61)


def test_no_data_has_no_age() -> None:
    quality = assess(empty(60.0), 0.0, max_age_seconds=1.0, min_history_seconds=0.0)
    assert (quality.age_seconds, quality.span_seconds, quality.missing_percent) == (math.inf, 0.0, 100.0)


def test_compressed_time() -> None:
    series = Series(0.0, 2.0, np.full(60, 5.0))
    limits = {"max_age_seconds": 10.0, "min_history_seconds": 60.0}
    assert assess(series, series.end + 9.0, **limits).ok
    assert assess(series, series.end + 11.0, **limits).problem is DataProblem.STALE


@given(
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=40),
    now=st.floats(allow_nan=True, allow_infinity=True),
    limit=st.floats(allow_nan=True, allow_infinity=True),
)
def test_anything_is_judged_and_ok_means_fresh_and_finite(values: list[float], now: float, limit: float) -> None:
    series = Series(0.0, 60.0, np.array(values, dtype=np.float64))
    quality = assess(series, now, max_age_seconds=limit, min_history_seconds=0.0)
    if quality.ok:
        newest = series.last()
        assert newest is not None
        assert now - newest[0] <= limit
        assert newest[1] >= 0


@pytest.mark.parametrize("times", [1, 2, 20, 500])
def test_what_cannot_be_is_absurd_however_often_it_is_seen(times: int) -> None:
    values = np.concatenate([HOUR, np.full(times, 1e12)])
    quality = judged(values)
    assert quality.problem is DataProblem.ABSURD
    assert quality.message == "A recent value is 1e+12 requests/s; it cannot be above 1e+11."
    assert plausible(Series(0.0, 60.0, values)).present == len(HOUR)


def test_a_batch_that_comes_after_hours_without_load_can_be() -> None:
    """In bytes, and each night."""
    day = np.concatenate([np.zeros(600), np.full(60, 5e9)])
    assert judged(np.concatenate([day, day])).problem is None
