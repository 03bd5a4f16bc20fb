"""Answers of the Prometheus HTTP API, also Thanos', Mimir's and VictoriaMetrics', as arrays or failures. Pure.

Nearly all of an answer are samples. They are cut out and parsed by numpy, series by series; only what is left is parsed
as JSON. So an answer costs a third of what ``json.loads`` takes, and other threads wait for milliseconds only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from trimtab.adapters.json_answers import parse_object, shown
from trimtab.domain.series import FloatArray


class FailureKind(StrEnum):
    """Why there are no samples."""

    UNREACHABLE = "Unreachable"
    """No answer, no permission, or an answer that is not Prometheus'."""
    TIMEOUT = "Timeout"
    BAD_QUERY = "BadQuery"
    """Prometheus refuses the query, or it fails on the data."""
    TOO_LARGE = "TooLarge"
    """More series, samples or bytes than a limit allows."""
    PARTIAL = "Partial"
    """A store behind the endpoint did not answer: what came may be too little."""
    MANY_SERIES = "ManySeries"
    """Several values at one time where one is wanted."""
    MANY_CLUSTERS = "ManyClusters"
    """Several clusters tell of one workload, and nothing says which is meant."""
    NO_DATA = "NoData"
    """The query gives nothing."""


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """Why there are no samples, for machines and for people."""

    kind: FailureKind
    message: str
    divisible: bool = False
    """Whether it depends on the data, so that the same query for fewer targets may succeed."""


@dataclass(frozen=True, slots=True)
class RangeSeries:
    """One series of an answer; both arrays have shape (n,)."""

    labels: dict[str, str]
    times: FloatArray = field(repr=False)
    """Unix seconds."""
    values: FloatArray = field(repr=False)


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """The series of a range query."""

    series: tuple[RangeSeries, ...]
    partial: str = ""
    """What a store behind the endpoint complained of; empty when the answer is whole."""
    samples_read: int = 0
    """Samples that the query loaded, where this was asked for."""


_VALUES = re.compile(rb'"values"\s*:\s*\[(?=\s*\[)')
_VALUES_END = re.compile(rb"\]\s*\]")
_DROPPED = b'[]" \t\r\n'
_QUERY_NOTE = "PromQL "
"""Remarks on the query itself begin so; they do not make an answer partial."""
_LIMIT = re.compile(
    r"too many samples|exceeded maximum resolution|too large|(exceed|hit|reach|greater|more than|over)\w*\b.*"
    r"(limit|max|-search\.)|limit.*(exceed|hit|reach)",
    re.IGNORECASE,
)
_SHOWN_CHARACTERS = 300
_MOST_LABEL_BYTES = 8 << 20
"""What is left of an answer without its samples: as Python objects it takes ten times as much."""
_ROUNDING_SECONDS = 0.002
"""Prometheus rounds times to the millisecond."""


def parse_answer(body: bytes | bytearray) -> RangeAnswer | QueryFailed:
    """The series in the body of an answer with status 200; a failure where it is not an answer to a range query."""
    try:
        rest, arrays = _cut_samples(body)
        if len(rest) > _MOST_LABEL_BYTES:
            message = f"the labels of the answer's series have more than {_MOST_LABEL_BYTES} bytes"
            return QueryFailed(FailureKind.TOO_LARGE, message, divisible=True)
        answer = parse_object(rest)
        if answer["status"] != "success" or answer["data"]["resultType"] != "matrix":
            raise ValueError("not a successful range query")
        series = tuple(_series(entry, arrays) for entry in answer["data"]["result"])
        return RangeAnswer(series, _partial(answer), _samples_read(answer))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        what = f"not an answer of the Prometheus API ({error}): {shown(body)}"
        return QueryFailed(FailureKind.UNREACHABLE, what)


def _cut_samples(body: bytes | bytearray) -> tuple[bytes, list[FloatArray]]:
    """The body with each series' samples replaced by their index, and the samples, each of shape (n, 2).

    The pattern cannot occur inside a label, where its quotes would be escaped.
    """
    rest: list[bytes] = []
    arrays: list[FloatArray] = []
    position = 0
    while found := _VALUES.search(body, position):
        end = _VALUES_END.search(body, found.end())
        if end is None:
            raise ValueError("samples without an end")
        pairs = bytes(body[found.end() : end.end()])
        samples = np.fromstring(pairs.translate(None, _DROPPED), dtype=np.float64, sep=",")
        if samples.size != 2 * pairs.count(b"["):
            raise ValueError("samples that are not numbers")
        rest += (bytes(body[position : found.end() - 1]), str(len(arrays)).encode())
        arrays.append(samples.reshape(-1, 2))
        position = end.end()
    return b"".join((*rest, body[position:])), arrays


def _series(entry: dict[str, Any], arrays: list[FloatArray]) -> RangeSeries:
    """One series; one of native histograms alone has no values to offer."""
    index = entry.get("values")
    samples = arrays[index] if isinstance(index, int) else np.empty((0, 2))
    labels = entry["metric"]
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("a series without labels")
    return RangeSeries(labels, samples[:, 0], samples[:, 1])


def misplaced(answer: RangeAnswer, start: float, end: float, step_seconds: float) -> QueryFailed | None:
    """A failure where a sample lies off the grid that was asked for, from ``start`` to ``end`` in unix seconds."""
    for series in answer.series:
        steps = (series.times - start) / step_seconds
        off = np.abs(steps - np.rint(steps)) * step_seconds > _ROUNDING_SECONDS
        if off.any() or series.times.min(initial=start) < start - 1 or series.times.max(initial=end) > end + 1:
            return QueryFailed(FailureKind.UNREACHABLE, "the server answered for other times than those asked for")
    return None


def _partial(answer: dict[str, Any]) -> str:
    warnings = [str(text) for text in answer.get("warnings") or () if not str(text).startswith(_QUERY_NOTE)]
    if answer.get("isPartial"):
        warnings.append("isPartial")
    return "; ".join(warnings)[:_SHOWN_CHARACTERS]


def _samples_read(answer: dict[str, Any]) -> int:
    samples = (answer["data"].get("stats") or {}).get("samples") or {}
    return int(samples.get("totalQueryableSamples", 0))


def parse_failure(status: int, body: bytes | bytearray) -> QueryFailed:
    """What an answer with another status than 200 means."""
    try:
        answer = parse_object(body)
        error_type, message = str(answer.get("errorType", "")), str(answer.get("error", ""))
    except (ValueError, RecursionError):
        error_type, message = "", bytes(body[:_SHOWN_CHARACTERS]).decode(errors="replace").strip()
    kind = _kind(status, error_type, message)
    divisible = kind is FailureKind.TOO_LARGE or (kind is FailureKind.BAD_QUERY and status == 422)
    return QueryFailed(kind, f"status {status}: {message[:_SHOWN_CHARACTERS]}", divisible)


def _kind(status: int, error_type: str, message: str) -> FailureKind:
    if status == 413 or (status in {400, 422, 500} and _LIMIT.search(message)):
        return FailureKind.TOO_LARGE
    if error_type in {"timeout", "canceled"} or status in {408, 504}:
        return FailureKind.TIMEOUT
    if status in {400, 422} or error_type in {"bad_data", "execution"}:
        return FailureKind.BAD_QUERY
    return FailureKind.UNREACHABLE
