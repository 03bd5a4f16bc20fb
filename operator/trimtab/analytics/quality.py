"""Data quality: whether a series is good enough to start a change from. Fails closed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from trimtab.domain.series import FloatArray, Series
from trimtab.domain.units import format_duration, format_number

LARGEST_MAGNITUDE = 1e15
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
    seen twice: a real surge of that size passes with its second sample. Comparisons are written so that a NaN
    anywhere, also in ``now`` or a limit, is a problem.

    >>> assess(Series(0.0, 60.0, np.full(61, 5.0)), 3620.0, max_age_seconds=300.0, min_history_seconds=3600.0).ok
    True
    >>> assess(Series(0.0, 60.0, np.full(61, 5.0)), 4000.0, max_age_seconds=300.0, min_history_seconds=3600.0).message
    'The newest sample is 6m40s old; the limit is 5m.'
    """
    finite = np.flatnonzero(np.isfinite(series.values))
    newest = series.last()
    if newest is None:
        what = f"none of {len(series)} samples is a number" if len(series) else "the series is empty"
        return Quality(DataProblem.NO_DATA, f"There are no data: {what}.", math.inf, 0.0, 100.0)
    age = now - newest[0]
    span = float(finite[-1] - finite[0]) * series.step_seconds
    window = series.between(series.end - min_history_seconds, series.end) if min_history_seconds >= 0 else series
    missing = 100.0 * (1.0 - window.present / max(len(window), 1))
    recent = series.between(min(newest[0], now - max_age_seconds), series.end).values if age >= 0 else series.values

    def problems() -> Iterator[tuple[DataProblem, str]]:
        if np.isinf(recent).any():
            yield (
                DataProblem.NOT_FINITE,
                f"{int(np.isinf(recent).sum())} of the newest samples are infinite; none may be.",
            )
        if not age <= max_age_seconds:
            yield DataProblem.STALE, f"The newest sample is {_span(age)} old; the limit is {_span(max_age_seconds)}."
        if not age >= -series.step_seconds:
            yield DataProblem.ABSURD, f"The newest sample lies {_span(-age)} in the future; the limit is one step."
        tail = len(series) - 1 - int(finite[-1])
        if tail >= TAIL_SAMPLES and not tail * series.step_seconds <= max_age_seconds / 2.0:
            limit = max(TAIL_SAMPLES - 1, int(max_age_seconds / 2.0 / series.step_seconds))
            yield DataProblem.NOT_FINITE, f"The newest {tail} samples are not numbers; at most {limit} may be missing."
        yield from ((DataProblem.ABSURD, text) for text in _absurd(series, recent, upper_bound, lower_bound))
        if not span + series.step_seconds >= min_history_seconds:
            yield (
                DataProblem.SHORT_HISTORY,
                f"There is {_span(span)} of history; at least {_span(min_history_seconds)} is needed.",
            )
        if not missing <= max_missing_percent:
            yield (
                DataProblem.GAPS,
                f"{missing:.0f} % of the newest {_span(min_history_seconds)} of samples are missing; "
                f"the limit is {max_missing_percent:.0f} %.",
            )

    problem, message = next(
        problems(), (None, f"The newest sample is {_span(age)} old, after {_span(span)} of history; nothing is wrong.")
    )
    return Quality(problem, message, age, span, missing)


def _absurd(series: Series, recent: FloatArray, upper: float | None, lower: float | None) -> Iterator[str]:
    """Sentences about recent values that cannot be."""
    values = recent[np.isfinite(recent)]
    largest, smallest = float(values.max()), float(values.min())
    unit = f" {series.unit}" if series.unit else ""
    if lower is not None and not smallest >= lower:
        yield f"A recent value is {format_number(smallest)}{unit}; it cannot be below {format_number(lower)}."
    limit = LARGEST_MAGNITUDE if upper is None else upper
    if not largest <= limit:
        yield f"A recent value is {largest:.4g}{unit}; it cannot be above {limit:.4g}."
    if not -smallest <= LARGEST_MAGNITUDE:
        yield f"A recent value is {smallest:.4g}{unit}; its size cannot be above {LARGEST_MAGNITUDE:.4g}."
    all_values = series.values[np.isfinite(series.values)]
    if all_values.size > JUMP_HISTORY:
        before, newest = float(np.abs(all_values[:-1]).max()), float(all_values[-1])
        highest = JUMP_FACTOR * max(before, JUMP_FLOOR)
        if not abs(newest) <= highest:
            yield (
                f"The newest value is {newest:.4g}{unit}, seen once, and the largest before it was {before:.4g}; "
                f"above {highest:.4g} it must be seen twice."
            )


def _span(seconds: float) -> str:
    if not math.isfinite(seconds):
        return str(seconds)
    return format_duration(round(seconds, 0 if abs(seconds) >= 10 else 1)) if seconds >= 0 else f"-{_span(-seconds)}"
