"""Contenders: the champion that forecasts, and challengers whose forecasts are only judged."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.forecast import Forecast, NoForecast, forecast
from trimtab.forecasting.issued import MOST_JUDGED, Issued
from trimtab.forecasting.models import demand
from trimtab.forecasting.remedy import Training
from trimtab.forecasting.state import FittedState

MARGIN = 0.05
"""By how much the error of a challenger on samples that it had not seen must be lower."""
CLEARLY = 0.2
ENOUGH, FEW = 24, 12


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model, the history it learns from, and what it has forecast."""

    training: Training
    fitted: FittedState | None
    """None until the next full selection."""
    issued: Issued
    pairs: FloatArray
    """Of a challenger: time; errors of the champion and of the challenger one step ahead, a few steps ahead and at the
    judged lead; expected size of the latter. Shape (n, 8), at most 240 rows."""

    @property
    def label(self) -> str:
        """Its model and, unless that is the whole history, what it learned from."""
        name = "none" if self.fitted is None else self.fitted.model.name.value
        if self.training.mends:
            return f"{name} on the mended history"
        return name if self.training.since is None else f"{name} on the history since the drift"

    @classmethod
    def on(cls, training: Training) -> Contender:
        """One that has not forecast yet."""
        return cls(training, None, Issued.none(), np.empty((0, 8)))


def ask(
    one: Contender, series: Series, now: float, horizon_seconds: float, model: str, confidence: float
) -> Forecast | NoForecast:
    return forecast(
        one.training.of(series),
        now=now,
        horizon_seconds=horizon_seconds,
        model=model,
        confidence=confidence,
        previous=one.fitted,
    )


def paired(one: Contender, champion: Issued, series: Series, times: FloatArray) -> Contender:
    """A challenger with its errors at ``times`` (k,) beside those of the champion from the same moments."""
    actual = demand(np.array([series.at(time) for time in times]))
    columns = [times]
    for theirs, ours in zip(
        champion.outcome(times, series.step_seconds), one.issued.outcome(times, series.step_seconds), strict=True
    ):
        same = np.where(np.abs(theirs[:, 1] - ours[:, 1]) < 0.5, 0.0, np.nan)
        columns += [actual - theirs[:, 2] + same, actual - ours[:, 2] + same]
        size = ours[:, 3]
    pairs = np.concatenate([one.pairs, np.column_stack([*columns, size])])[-MOST_JUDGED:]
    return replace(one, issued=one.issued.after(float(times[-1])), pairs=pairs)


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much a challenger erred less than the champion."""

    share: float
    """Of the champion's error, over the leads that were judged; below 0 when it erred more."""
    samples: int
    """Samples a few steps ahead."""
    far_samples: int
    """Samples at the judged lead."""

    @property
    def clear(self) -> bool:
        """Whether to promote: 5 % on 24 samples at the judged lead, or 20 % on 12 samples at any."""
        enough = self.far_samples >= ENOUGH and self.share >= MARGIN
        return enough or (self.samples >= FEW and self.share >= CLEARLY)


def gain_of(one: Contender) -> Gain:
    """How a challenger fares; leads count alike, and one that errs 5 % more one step ahead gains nothing."""
    ratios, counts = [], []
    for column in (1, 3, 5):
        both = np.abs(one.pairs[:, column : column + 2])
        both = both[np.isfinite(both).all(axis=1)]
        theirs, ours = (float(value) for value in both.sum(axis=0))
        counts.append(len(both))
        ratios.append(ours / theirs if theirs > 0 else 1.0)
    if ratios[0] > 1.0 + MARGIN or counts[1] < FEW:
        return Gain(0.0, counts[1], counts[2])
    judged = ratios[1:] if counts[2] >= FEW else ratios[1:2]
    return Gain(1.0 - sum(judged) / len(judged), counts[1], counts[2])
