"""Arrivals: shapes of load as pure functions of time, seconds in and requests/s out.

Time counts from the origin that the caller subtracts. With the default origin, the Unix epoch, a `Diurnal`
shape follows the UTC clock and calendar. Nothing here keeps state or reads a clock.
"""

import math
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Literal, Protocol, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, model_validator

from trimtab.domain.series import FloatArray
from trimtab.simulation.csvtrace import Playback, read_trace
from trimtab.simulation.noise import normal

EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday (Monday is 0)."""


class Arrivals(Protocol):
    """Anything that knows the rate of requests at a time."""

    def rate(self, seconds: FloatArray) -> FloatArray:
        """Requests/s at `seconds` since the origin, same shape as `seconds`, >= 0."""
        ...


class Shape(BaseModel):
    """What every shape has: relative noise, constant within each bucket of `noise_seconds`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise: float = Field(0.0, ge=0, le=1, description="standard deviation, as a share of the rate")
    noise_seconds: int = Field(1, ge=1, description="how long one draw of the noise lasts")
    seed: int = 0

    @abstractmethod
    def smooth(self, seconds: FloatArray) -> FloatArray:
        """The rate before noise, requests/s."""

    def rate(self, seconds: FloatArray) -> FloatArray:
        """Requests/s at `seconds` since the origin, same shape, never negative."""
        seconds = np.asarray(seconds, dtype=np.float64)
        rates = self.smooth(seconds)
        if self.noise:
            rates = rates * (1 + self.noise * normal(self.seed, np.floor(seconds / self.noise_seconds)))
        return np.maximum(rates, 0.0)


class Constant(Shape):
    """The same rate all the time."""

    kind: Literal["Constant"] = "Constant"
    rate_per_second: float = Field(ge=0)

    def smooth(self, seconds: FloatArray) -> FloatArray:
        return np.full(np.shape(seconds), self.rate_per_second)


class Ramp(Shape):
    """From one rate to another on a line; constant before and after.

    >>> Ramp(start=10, end=20, duration_seconds=10).rate(np.array([-1.0, 5.0, 99.0]))
    array([10., 15., 20.])
    """

    kind: Literal["Ramp"] = "Ramp"
    start: float = Field(ge=0, description="requests/s before the ramp")
    end: float = Field(ge=0, description="requests/s after the ramp")
    begin_seconds: float = 0.0
    duration_seconds: float = Field(gt=0)

    def smooth(self, seconds: FloatArray) -> FloatArray:
        done = np.clip((seconds - self.begin_seconds) / self.duration_seconds, 0.0, 1.0)
        return self.start + (self.end - self.start) * done


class Step(Shape):
    """One rate before `at_seconds` and another from then on."""

    kind: Literal["Step"] = "Step"
    before: float = Field(ge=0)
    after: float = Field(ge=0)
    at_seconds: float

    def smooth(self, seconds: FloatArray) -> FloatArray:
        return np.where(seconds < self.at_seconds, self.before, self.after)


class Diurnal(Shape):
    """A sinusoid from `low` to `high`, its peak at `peak_seconds` into each period, times a factor for the weekday.

    The factors apply to periods as days: with `period_seconds: 1440` a week passes in 168 minutes.
    """

    kind: Literal["Diurnal"] = "Diurnal"
    low: float = Field(ge=0)
    high: float = Field(ge=0)
    period_seconds: float = Field(86_400.0, gt=0)
    peak_seconds: float = Field(50_400.0, description="time of the peak within a period; default 14:00 of a day")
    weekday_factors: tuple[float, ...] = Field((1.0,) * 7, min_length=7, max_length=7, description="Monday first")
    first_weekday: int = Field(EPOCH_WEEKDAY, ge=0, le=6, description="weekday of the origin, Monday is 0")

    def smooth(self, seconds: FloatArray) -> FloatArray:
        phase = 2 * math.pi * (seconds - self.peak_seconds) / self.period_seconds
        day = np.floor(seconds / self.period_seconds).astype(np.int64) + self.first_weekday
        swing = (self.high - self.low) * (1 + np.cos(phase)) / 2
        factors: FloatArray = np.array(self.weekday_factors)
        return (self.low + swing) * factors[day % 7]


class Spikes(Shape):
    """Bursts of `height` requests/s that return every `every_seconds`, zero between; to be added to others by `Sum`."""

    kind: Literal["Spikes"] = "Spikes"
    height: float = Field(ge=0)
    width_seconds: float = Field(gt=0)
    every_seconds: float = Field(gt=0)
    first_seconds: float = 0.0

    def smooth(self, seconds: FloatArray) -> FloatArray:
        since_first = seconds - self.first_seconds
        inside = np.mod(since_first, self.every_seconds) < self.width_seconds
        return np.where(inside & (since_first >= 0), self.height, 0.0)


class Trace(Shape):
    """A recorded series from a CSV file (`csvtrace.read_trace` lists the forms), played at `speed`, repeated for ever.

    A relative path counts from the `folder` of the validation context, else from the working directory.
    Construction reads the file: a bad row raises a validation error that names file, line and value.
    """

    kind: Literal["Trace"] = "Trace"
    path: Path
    speed: float = Field(1.0, gt=0, description="60 plays an hour in a minute; rates stay as they are")
    scale: float = Field(1.0, ge=0, description="multiplies the rates")
    peak: float | None = Field(None, gt=0, description="requests/s of the largest value played, before `scale`")
    value_column: str | None = None
    interval_seconds: float | None = Field(None, gt=0, description="values are counts over so many seconds")
    offset_seconds: float = Field(0.0, ge=0, description="trace time at which to start")
    duration_seconds: float | None = Field(None, gt=0, description="trace time to play before it repeats")

    _playback: Playback = PrivateAttr()

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> Self:
        path = Path((info.context or {}).get("folder", ".")) / self.path
        try:
            playback = read_trace(path, self.value_column, self.interval_seconds)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from error
        playback = playback.window(self.offset_seconds, self.duration_seconds)
        self._playback = playback if self.peak is None else playback.normalised(self.peak)
        return self

    def smooth(self, seconds: FloatArray) -> FloatArray:
        return self.scale * self._playback.rate(seconds, self.speed)


class Sum(Shape):
    """Several shapes added."""

    kind: Literal["Sum"] = "Sum"
    of: list["AnyShape"] = Field(min_length=1)

    def smooth(self, seconds: FloatArray) -> FloatArray:
        total: FloatArray = np.sum([shape.rate(seconds) for shape in self.of], axis=0)
        return total


class Scaled(Shape):
    """Another shape times a factor."""

    kind: Literal["Scaled"] = "Scaled"
    of: "AnyShape"
    factor: float = Field(ge=0)

    def smooth(self, seconds: FloatArray) -> FloatArray:
        return self.factor * self.of.rate(seconds)


class Pause(BaseModel):
    """A time without any traffic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    begin_seconds: float
    duration_seconds: float = Field(gt=0)


class Paused(Shape):
    """Another shape, silenced during pauses."""

    kind: Literal["Paused"] = "Paused"
    of: "AnyShape"
    pauses: list[Pause] = Field(min_length=1)

    def smooth(self, seconds: FloatArray) -> FloatArray:
        rates = self.of.rate(seconds)
        for pause in self.pauses:
            since = seconds - pause.begin_seconds
            rates = np.where((since >= 0) & (since < pause.duration_seconds), 0.0, rates)
        return rates


AnyShape = Annotated[
    Constant | Ramp | Step | Diurnal | Spikes | Trace | Sum | Scaled | Paused, Field(discriminator="kind")
]
"""The shapes as one type, told apart by `kind`."""

for _shape in (Sum, Scaled, Paused):
    _shape.model_rebuild()
