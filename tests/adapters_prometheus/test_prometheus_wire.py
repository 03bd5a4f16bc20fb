"""Answers of the HTTP API, as servers of several makes give them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest

from trimtab.adapters.prometheus_wire import (
    FailureKind,
    QueryFailed,
    RangeAnswer,
    misplaced,
    parse_answer,
    parse_failure,
)


def body(*series: Mapping[str, object], **more: object) -> bytes:
    data = {"resultType": "matrix", "result": list(series)}
    return json.dumps({"status": "success", "data": data, **more}).encode()


def test_samples_and_labels() -> None:
    tricky = {"a": '","values":[[1,"2"]]', "b": "]]", "values": "x", "é": "ü"}
    answer = parse_answer(
        body(
            {"metric": tricky, "values": [[60, "1.5"], [120.5, "NaN"], [180, "+Inf"], [240, "-Inf"], [300, "1e-07"]]},
            {"metric": {}, "values": [[60, "-0"]]},
        )
    )
    assert isinstance(answer, RangeAnswer)
    assert answer.series[0].labels == tricky
    np.testing.assert_array_equal(answer.series[0].times, [60, 120.5, 180, 240, 300])
    np.testing.assert_array_equal(answer.series[0].values, [1.5, np.nan, np.inf, -np.inf, 1e-07])
    np.testing.assert_array_equal(answer.series[1].values, [0.0])


def test_no_series_and_series_without_floats() -> None:
    assert parse_answer(body()) == RangeAnswer(())
    histogram = {
        "metric": {"a": "b"},
        "histograms": [[60, {"count": "1", "sum": "2", "buckets": [[0, "1", "2", "1"]]}]],
    }
    answer = parse_answer(body(histogram, {"metric": {"c": "d"}, "values": []}, {"metric": {}, "values": [[1, "2"]]}))
    assert isinstance(answer, RangeAnswer)
    assert [series.values.tolist() for series in answer.series] == [[], [], [2.0]]


@pytest.mark.parametrize(
    ("more", "partial"),
    [
        ({}, ""),
        ({"warnings": ["store a is away", "store b is away"]}, "store a is away; store b is away"),
        ({"isPartial": True}, "isPartial"),
        ({"warnings": ["PromQL warning: quantile value should be between 0 and 1"]}, ""),
        ({"infos": ["PromQL info: metric might not be a counter"]}, ""),
    ],
    ids=["whole", "Thanos", "VictoriaMetrics", "remark on the query", "information"],
)
def test_partial(more: dict[str, object], partial: str) -> None:
    answer = parse_answer(body({"metric": {}, "values": [[1, "2"]]}, **more))
    assert isinstance(answer, RangeAnswer)
    assert answer.partial == partial


@pytest.mark.parametrize(
    "text",
    [
        b"<html>login</html>",
        b"",
        b"[]",
        b'{"status":"success"}',
        b'{"status":"success","data":{"resultType":"vector","result":[]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"a"]]}]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"]',
    ],
)
@pytest.mark.filterwarnings("ignore:string or file could not be read:DeprecationWarning")
def test_what_is_no_answer(text: bytes) -> None:
    outcome = parse_answer(text)
    assert isinstance(outcome, QueryFailed)
    assert outcome.kind is FailureKind.UNREACHABLE


FAILURES = {
    "syntax": (400, "bad_data", "parse error: unexpected end", FailureKind.BAD_QUERY, False),
    "on the data": (422, "execution", "found duplicate series for the match group", FailureKind.BAD_QUERY, True),
    "samples": (
        422,
        "execution",
        "query processing would load too many samples into memory",
        FailureKind.TOO_LARGE,
        True,
    ),
    "points": (
        400,
        "bad_data",
        "exceeded maximum resolution of 11,000 points per timeseries",
        FailureKind.TOO_LARGE,
        True,
    ),
    "Mimir's limit": (
        422,
        "execution",
        "the query exceeded the maximum number of series (limit: 100000 series) (err-mimir-max-series-per-query)",
        FailureKind.TOO_LARGE,
        True,
    ),
    "VictoriaMetrics' limit": (
        422,
        "422",
        "cannot select more than -search.maxSamplesPerQuery=1000000 samples",
        FailureKind.TOO_LARGE,
        True,
    ),
    "time": (503, "timeout", "query timed out in expression evaluation", FailureKind.TIMEOUT, False),
    "cancelled": (499, "canceled", "query was canceled", FailureKind.TIMEOUT, False),
    "internal": (500, "internal", "disk on fire", FailureKind.UNREACHABLE, False),
}


@pytest.mark.parametrize(
    ("status", "error_type", "message", "kind", "divisible"), FAILURES.values(), ids=FAILURES.keys()
)
def test_failures(status: int, error_type: str, message: str, kind: FailureKind, divisible: bool) -> None:
    text = json.dumps({"status": "error", "errorType": error_type, "error": message}).encode()
    assert parse_failure(status, text) == QueryFailed(kind, f"status {status}: {message}", divisible)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FailureKind.UNREACHABLE),
        (404, FailureKind.UNREACHABLE),
        (413, FailureKind.TOO_LARGE),
        (502, FailureKind.UNREACHABLE),
        (503, FailureKind.UNREACHABLE),
        (504, FailureKind.TIMEOUT),
    ],
)
def test_failures_of_proxies(status: int, kind: FailureKind) -> None:
    outcome = parse_failure(status, b"<html>no</html>")
    assert (outcome.kind, outcome.message) == (kind, f"status {status}: <html>no</html>")


@pytest.mark.parametrize(
    ("time", "right"), [("60", True), ("60.001", True), ("70", False), ("240", False), ("0", False)]
)
def test_samples_off_the_grid_are_not_taken(time: str, right: bool) -> None:
    answer = parse_answer(body({"metric": {}, "values": [[float(time), "1"]]}))
    assert isinstance(answer, RangeAnswer)
    assert (misplaced(answer, 60, 180, 60) is None) == right
