"""Pool: the models that are tried on a series, by what was asked and which seasons it has."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.analytics.seasonality import SeasonFound
from trimtab.domain.series import Series
from trimtab.forecasting.lags import LagRegression
from trimtab.forecasting.linear import SeasonalLinear
from trimtab.forecasting.models import LastValue, Model, ModelName, SeasonalNaive
from trimtab.forecasting.smoothing import DampedTrend, Smoothing, Theta

AUTO = "Auto"
ASKED = (
    AUTO,
    ModelName.SEASONAL_NAIVE.value,
    ModelName.SEASONAL_LINEAR.value,
    ModelName.SMOOTHING.value,
    ModelName.THETA.value,
    ModelName.LAG_REGRESSION.value,
)
HOUR_SECONDS, DAY_SECONDS, WEEK_SECONDS = 3600.0, 86_400.0, 604_800.0
FEWEST_STEPS = 6
"""Of a period of the clock, for it to be tried."""
NEAR = 0.03


def clock_periods(series: Series, found: Sequence[SeasonFound]) -> tuple[float, ...]:
    """Hour, day or week in seconds, where the history is long enough for them to be tried though they did not show.

    People and their schedules live by the clock: of an hour six must have been seen, of a day or a week two; only the
    longest such period counts, and none that was found.
    """
    span = len(series) * series.step_seconds
    for period, seasons in ((WEEK_SECONDS, 2.0), (DAY_SECONDS, 2.0), (HOUR_SECONDS, 6.0)):
        if span >= seasons * period and period >= FEWEST_STEPS * series.step_seconds:
            taken = any(abs(one.period_seconds / period - 1.0) < NEAR for one in found)
            return () if taken else (period,)
    return ()


def candidates(asked: str, found: Sequence[SeasonFound], clock: Sequence[float] = ()) -> list[Model]:
    """Models that are tried, the simplest first, for the seasons that were found and periods of the ``clock``."""
    periods = tuple(sorted(one.period_seconds for one in found))
    naive: list[Model] = [SeasonalNaive(period, 1, corrected=False) for period in reversed(periods)]
    naive += [SeasonalNaive(period) for period in periods]
    linear: list[Model] = [SeasonalLinear(periods, levelled=True)] if periods else []
    linear.append(SeasonalLinear(periods))
    smoothing: list[Model] = [Smoothing(), DampedTrend()]
    lags: list[Model] = [LagRegression(period) for period in periods]
    lags += [LagRegression(), LagRegression(relative=True)]
    if asked == ModelName.SEASONAL_NAIVE:
        return naive or [LastValue()]
    if asked == ModelName.SEASONAL_LINEAR:
        return linear
    if asked == ModelName.SMOOTHING:
        return smoothing
    if asked == ModelName.THETA:
        return [Theta()]
    if asked == ModelName.LAG_REGRESSION:
        return lags
    by_clock: list[Model] = []
    for period in clock:
        by_clock += [SeasonalNaive(period, 1, corrected=False), SeasonalNaive(period), LagRegression(period)]
    return [LastValue(), *naive, *linear, *smoothing, Theta(), *lags, *by_clock]
