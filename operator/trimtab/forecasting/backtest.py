"""Backtest: how each model that was tried did on the newest part of the history, for people to see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trimtab.analytics.algebra import ROUNDING
from trimtab.domain.series import FloatArray
from trimtab.forecasting.intervals import calibrate

CONFIDENCE = 0.9
FEWEST_ORIGINS = 12
LEARNED = 2.0 / 3.0
CHOSEN, MOST_WIDENING = 1.03, 1.7


@dataclass(frozen=True, slots=True)
class ModelScore:
    """One model in the backtest."""

    model: str
    """Its name, with the period in words where it has one."""
    error_percent_of_naive: int | None
    """Mean absolute error over that of seasonal naive (last value without a season); None when that made none."""
    share: float
    """Weight in the forecast, 0 for a model that is not used."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a selection found; at most a few dozen models."""

    scores: tuple[ModelScore, ...]
    """In the order in which they were tried; empty where no backtest was possible."""
    origins: int
    steps: int
    """Steps of the model that were forecast from each origin, fewer near the end of the history."""
    coverage_percent: float | None
    """Outcomes of the newest third of the origins inside of the 90 % intervals that the older ones give."""


NO_BACKTEST = Backtest((), 0, 0, None)


def held_out(errors: FloatArray, forecasts: FloatArray) -> tuple[float | None, float]:
    """(coverage in percent, None with too few origins; factor by which intervals are to be widened).

    Both arguments (origins, steps), in the order of the origins. Intervals are calibrated on the older two thirds and
    meet the outcomes of the newest one. The factor is the root of what would have made them hold 90 % there, at most
    1.3 (half of what is seen so is chance), times 1.03, as the model was chosen for the very errors that the intervals
    are calibrated on.
    """
    count, steps = errors.shape
    cut = round(count * LEARNED)
    newest, made = errors[cut:], forecasts[cut:]
    known = np.isfinite(newest)
    if count < FEWEST_ORIGINS or not known.any():
        return None, CHOSEN
    calibration = calibrate(errors[:cut], forecasts[:cut])
    leads = np.tile(np.arange(1.0, steps + 1), len(made))
    ends = calibration.quantiles(made.ravel(), leads, ((1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0))
    low, high = ends.reshape(2, *made.shape)
    miss = newest[known]
    width = np.where(newest >= 0, high - made, made - low)[known]
    least = max(ROUNDING * float(np.abs(miss).max()), 1e-300)
    reach = float(np.quantile(np.abs(miss) / np.maximum(width, least), CONFIDENCE)) if width.any() else 1.0
    coverage = 100.0 * float((np.abs(miss) <= width * (1.0 + ROUNDING)).mean())
    return round(coverage, 1), CHOSEN * math.sqrt(min(max(reach, 1.0), MOST_WIDENING))
