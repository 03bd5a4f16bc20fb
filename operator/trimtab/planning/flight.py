"""Blind flight: how many replicas the forecast made last asks for while nothing is seen. Upwards only, and pure.

A forecast is kept with each round that sees the demand whole, and flown by when nothing is seen any more: along the
upper end of its interval, for as far as it reaches. Nothing is flown by that was not reliable when it was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trimtab.analytics.quality import DataProblem, Quality
from trimtab.domain.choices import OnStaleData
from trimtab.domain.series import FloatArray
from trimtab.forecasting.forecast import Forecast, NoForecast

BLIND: Final = (DataProblem.NO_DATA, DataProblem.STALE, DataProblem.NOT_FINITE)
"""Problems of a demand that is not seen. One that is seen and cannot be, or is not ours, is nothing to fly by."""


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """What was foreseen when the demand was last seen; arrays of shape (h,)."""

    issued_at: float
    """Unix seconds."""
    times: FloatArray = field(repr=False)
    upper: FloatArray = field(repr=False)
    """Upper end of the demand's interval at each time, in the demand's unit."""

    def peak(self, now: float, until: float) -> tuple[float, float] | None:
        """(largest upper end from ``now`` to ``until``, its time); None beyond what was foreseen.

        >>> flight = Flight(0.0, np.array([60.0, 120.0, 180.0]), np.array([1.0, 3.0, 2.0]))
        >>> flight.peak(70.0, 180.0), flight.peak(130.0, 500.0), flight.peak(181.0, 500.0)
        ((3.0, 120.0), (2.0, 180.0), None)
        """
        ahead = np.flatnonzero((self.times >= now) & (self.times <= until))
        if ahead.size == 0:
            ahead = np.flatnonzero(self.times >= now)[:1]
        if ahead.size == 0:
            return None
        top = int(ahead[np.argmax(self.upper[ahead])])
        return float(self.upper[top]), float(self.times[top])


def kept(before: Flight | None, forecast: Forecast | NoForecast, quality: Quality, now: float) -> Flight | None:
    """What to fly by from now on: the forecast of a round whose data are good, else what was kept before.

    Data that are only about to be stale give no forecast any more; one that is not reliable is nothing to fly by.
    """
    if not quality.ok or isinstance(forecast, NoForecast):
        return before
    return Flight(now, forecast.times, forecast.upper) if forecast.reliable else None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The demand that is flown by."""

    peak: float
    at: float
    issued_at: float
    ends_at: float


def foreseen(
    on_stale_data: OnStaleData, flight: Flight | None, quality: Quality, now: float, until: float
) -> Foreseen | None:
    """The demand to provide for up to ``until`` while nothing is seen; None where nothing may be flown by."""
    match on_stale_data:
        case OnStaleData.HOLD:
            return None
        case OnStaleData.FOLLOW_FORECAST:
            if flight is None or quality.problem not in BLIND or (found := flight.peak(now, until)) is None:
                return None
            return Foreseen(*found, flight.issued_at, float(flight.times[-1]))
