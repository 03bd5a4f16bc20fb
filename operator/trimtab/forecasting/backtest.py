"""Backtest: how each model that was tried did on the newest part of the history, for people to see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimtab.domain.series import FloatArray
from trimtab.forecasting.intervals import calibrate

CONFIDENCE = 0.9
FEWEST_ORIGINS = 12
LEARNED = 2.0 / 3.0


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


def coverage_percent(errors: FloatArray, forecasts: FloatArray) -> float | None:
    """Share of held-out outcomes inside of their 90 % interval, in percent; None with too few of them.

    Both (origins, steps), in the order of the origins. The newest third is held out; of the older errors only those
    count whose outcome was known before it begins.
    """
    count, steps = errors.shape
    cut = round(count * LEARNED)
    if count < FEWEST_ORIGINS:
        return None
    calibration = calibrate(errors[:cut], forecasts[:cut])
    held_out, made = errors[cut:], forecasts[cut:]
    known = np.isfinite(held_out)
    if not known.any():
        return None
    leads = np.tile(np.arange(1.0, steps + 1), len(made))
    low, high = (
        calibration.quantile(made.ravel(), leads, q).reshape(made.shape)
        for q in ((1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0)
    )
    outcome = made + held_out
    inside = (low <= outcome) & (outcome <= high)
    return round(100.0 * float(inside[known].mean()), 1)
