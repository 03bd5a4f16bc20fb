"""Data quality: whether a series is good enough to start a change from. Fails closed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from trimtab.domain.series import FloatArray, Series
from trimtab.domain.units import format_duration

LARGEST_MAGNITUDE = 1e15
BELIEVABLE_FACTOR, BELIEVABLE_FLOOR = 1e6, 1e11
JUMP_FACTOR = 1000.0
JUMP_HISTORY = 10
JUMP_FLOOR = 1.0
TAIL_SAMPLES = 3


class DataProblem(StrEnum):
    """Why data must not start a change; the first that applies is reported."""

    NO_DATA = "NoData"
    STALE = "Stale"
    NOT_FINITE = "NotFinite"
    ABSURD = "Absurd"
    SEVERAL_CLUSTERS = "SeveralClusters"
    PODS_MISSING = "PodsMissing"
    SHORT_HISTORY = "ShortHistory"
    GAPS = "Gaps"


@dataclass(frozen=True, slots=True)
class Quality:
    """The verdict on a series."""

    problem: DataProblem | None
    message: str
    """One sentence: what is wrong, its value and the limit."""
    age_seconds: float
    """Age of the newest finite sample; infinite when there is none."""
    span_seconds: float
    """Time from the first finite sample to the newest."""
    missing_percent: float
    """Missing samples in the newest ``min_history_seconds`` of the grid."""

    @property
    def ok(self) -> bool:
        """Whether the data may start a change."""
        return self.problem is None


def assess(
    series: Series,
    now: float,
    *,
    max_age_seconds: float,
    min_history_seconds: float,
    upper_bound: float | None = None,
    lower_bound: float | None = 0.0,
    max_missing_percent: float = 30.0,
) -> Quality:
    """Judge ``series`` at ``now`` (unix seconds); bounds are in the unit of the series, None for no bound.

    A NaN is a missing sample: one or two are a missed scrape, a run of at least three that fills half of
    ``max_age_seconds`` is a source that answers without a number. An infinity never is a measurement. Bounds and
    magnitude are asked of every sample younger than ``max_age_seconds``. A jump is absurd when the newest sample is
    above 1,000 times all before it (and above 1,000 in the unit, so that an idle service may wake up) and has not been
    seen twice: a real surge of that size passes with its second sample. What is above a million times what nine
    tenths of the samples are above (and above 1e11 in the unit) is absurd however often it is seen. Comparisons are
    written so that a NaN anywhere, also in ``now`` or a limit, is a problem.

    >>> assess(Series(0.0, 60.0, np.full(61, 5.0)), 3620.0, max_age_seconds=300.0, min_history_seconds=3600.0).ok
    True
    >>> assess(Series(0.0, 60.0, np.full(61, 5.0)), 4000.0, max_age_seconds=300.0, min_history_seconds=3600.0).message
    'The newest sample is 6m40s old; the limit is 5m.'
    """
    limits = _Limits(max_age_seconds, min_history_seconds, upper_bound, lower_bound, max_missing_percent)
    newest = series.last()
    if newest is None:
        what = f"none of {len(series)} samples is a number" if len(series) else "the series is empty"
        return Quality(DataProblem.NO_DATA, f"There are no data: {what}.", math.inf, 0.0, 100.0)
    finite = np.flatnonzero(np.isfinite(series.values))
    span = float(finite[-1] - finite[0]) * series.step_seconds
    if any(math.isnan(number) for number in (now, max_age_seconds, min_history_seconds)):
        return Quality(
            DataProblem.STALE, "The age of the data is unknown: a time or limit is not a number.", math.inf, span, 100.0
        )
    age = now - newest[0]
    window = series.between(max(series.start, series.end - min_history_seconds), series.end)
    missing = 100.0 * (1.0 - window.present / max(len(window), 1))
    since = min(newest[0] - series.step_seconds / 2.0, now - max_age_seconds)
    recent = series.between(max(series.start, since), series.end)
    problem, message = next(
        _problems(series, recent.values, age, span, missing, limits),
        (None, f"The newest sample is {_span(age)} old, after {_span(span)} of history; nothing is wrong."),
    )
    return Quality(problem, message, age, span, missing)


def plausible(series: Series, lower_bound: float | None = 0.0) -> Series:
    """``series`` with NaN for values that cannot be: infinite, below the bound, or of absurd size.

    Where there is a bound, a size is absurd beside the others too.

    `assess` says no for as long as such a value is recent; what is learned from the history must never see it.

    >>> plausible(Series(0.0, 60.0, np.array([5.0, 1e18, -1.0]))).values.tolist()
    [5.0, nan, nan]
    """
    wrong = np.abs(series.values) > LARGEST_MAGNITUDE
    if lower_bound is not None:
        wrong |= (series.values < lower_bound) | (series.values > _believable(series))
    return replace(series, values=np.where(wrong, np.nan, series.values)) if wrong.any() else series


def _believable(series: Series) -> float:
    """The largest value that can be, by the lowest decile without zeros: of a short history most may be wrong soon."""
    busy = series.values[np.isfinite(series.values) & (series.values > 0.0)]
    usual = float(np.quantile(busy, 0.1, method="lower")) if busy.size else 0.0
    return min(max(BELIEVABLE_FACTOR * usual, BELIEVABLE_FLOOR), LARGEST_MAGNITUDE)


@dataclass(frozen=True, slots=True)
class _Limits:
    max_age_seconds: float
    min_history_seconds: float
    upper_bound: float | None
    lower_bound: float | None
    max_missing_percent: float


def _problems(
    series: Series, recent: FloatArray, age: float, span: float, missing: float, limits: _Limits
) -> Iterator[tuple[DataProblem | None, str]]:
    """Problems and sentences about them, the most basic first."""
    infinite = int(np.isinf(recent).sum())
    if infinite:
        yield DataProblem.NOT_FINITE, f"{infinite} of the newest {recent.size} samples are infinite; none may be."
    if not age <= limits.max_age_seconds:
        limit = _span(limits.max_age_seconds)
        yield DataProblem.STALE, f"The newest sample is {_span(age)} old; the limit is {limit}."
    if not age >= -series.step_seconds:
        yield DataProblem.ABSURD, f"The newest sample lies {_span(-age)} in the future; the limit is one step."
    tail = len(series) - 1 - int(np.flatnonzero(np.isfinite(series.values))[-1])
    allowed = max(TAIL_SAMPLES - 1.0, limits.max_age_seconds / 2.0 / series.step_seconds)
    if not tail <= allowed:
        yield (
            DataProblem.NOT_FINITE,
            f"The newest {tail} samples are not numbers; at most {allowed:.0f} may be missing.",
        )
    yield from ((DataProblem.ABSURD, sentence) for sentence in _absurd(series, recent, limits))
    if not span + age + series.step_seconds >= limits.min_history_seconds:
        least = _span(limits.min_history_seconds)
        yield DataProblem.SHORT_HISTORY, f"There is {_span(span + age)} of history; at least {least} is needed."
    if not missing <= limits.max_missing_percent:
        yield (
            DataProblem.GAPS,
            f"{missing:.0f} % of the samples in the newest {_span(limits.min_history_seconds)} are missing; "
            f"the limit is {limits.max_missing_percent:.0f} %.",
        )


def _absurd(series: Series, recent: FloatArray, limits: _Limits) -> Iterator[str]:
    """Sentences about recent values that cannot be."""
    values = recent[np.isfinite(recent)]
    largest, smallest = float(values.max()), float(values.min())
    unit = f" {series.unit}" if series.unit else ""
    if limits.lower_bound is not None and not smallest >= limits.lower_bound:
        yield f"A recent value is {smallest:.4g}{unit}; it cannot be below {limits.lower_bound:.4g}."
    upper = _believable(series) if limits.upper_bound is None else limits.upper_bound
    if not largest <= upper:
        yield f"A recent value is {largest:.4g}{unit}; it cannot be above {upper:.4g}."
    if not smallest >= -LARGEST_MAGNITUDE:
        yield f"A recent value is {smallest:.4g}{unit}; its size cannot be above {LARGEST_MAGNITUDE:.4g}."
    seen = series.values[np.isfinite(series.values)]
    if seen.size > JUMP_HISTORY:
        before, newest = float(np.abs(seen[:-1]).max()), float(seen[-1])
        highest = JUMP_FACTOR * max(before, JUMP_FLOOR)
        if not abs(newest) <= highest:
            yield (
                f"The newest value is {newest:.4g}{unit}, seen once, and the largest before it was {before:.4g}; "
                f"above {highest:.4g} it must be seen twice."
            )


def _span(seconds: float) -> str:
    if not abs(seconds) < 1e12:
        return f"{seconds:.3g} s"
    return format_duration(round(seconds, 0 if abs(seconds) >= 10 else 1)) if seconds >= 0 else f"-{_span(-seconds)}"
