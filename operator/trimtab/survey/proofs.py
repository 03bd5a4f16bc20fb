"""Proof that no score and no forecast saw a later sample: made again from what was there at the time. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trimtab.analytics.detection import detect
from trimtab.domain.choices import Sensitivity
from trimtab.domain.series import Series
from trimtab.domain.status_types import format_time
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.survey.origins import Asked, Origin


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether what was made of the whole is what was made of each part."""

    holds: bool
    compared: int
    message: str


def prove_detection(
    series: Series, sensitivity: Sensitivity, tell: Callable[[int, int], None] = lambda _done, _all: None
) -> Proof:
    """Whether the scores of each beginning of ``series``, from one sample on, are those of the whole, bit by bit."""
    whole = detect(series, sensitivity).scores
    for count in range(1, len(series) + 1):
        part = detect(Series(series.start, series.step_seconds, series.values[:count], series.unit), sensitivity).scores
        different = np.flatnonzero(part != whole[:count])
        if different.size:
            place = int(different[0])
            time = format_time(series.start + place * series.step_seconds)
            message = (
                f"the score at {time} is {whole[place]:.6g}, and {part[place]:.6g} when only {count} samples are known"
            )
            return Proof(False, count, message)
        tell(count, len(series))
    return Proof(True, len(series), f"{len(series)} samples fed one at a time gave the scores of the whole file")


def prove_forecasts(series: Series, asked: Asked, made: list[Origin]) -> Proof:
    """Whether forecasts from the past are the same when later samples are there, which must not be looked at."""
    for origin in made:
        steps = 1 if isinstance(origin.ahead, NoForecast) else origin.ahead.times.size
        again = asked.of(series, origin.time, steps * series.step_seconds)
        if not _same(origin.ahead, again):
            message = f"the forecast from {format_time(origin.time)} is another one when later samples are there"
            return Proof(False, len(made), message)
    return Proof(
        True, len(made), f"{len(made)} forecasts made from the samples before them alone are those of the file"
    )


def _same(one: Forecast | NoForecast, other: Forecast | NoForecast) -> bool:
    if isinstance(one, NoForecast) or isinstance(other, NoForecast):
        return one == other
    pairs = ((one.times, other.times), (one.mean, other.mean), (one.lower, other.lower), (one.upper, other.upper))
    return one.model == other.model and all(np.array_equal(left, right) for left, right in pairs)
