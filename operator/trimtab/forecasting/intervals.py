"""Intervals: quantiles of the forecast's error by lead, calibrated on the errors of the backtest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trimtab.analytics.algebra import ROUNDING, first_smallest
from trimtab.domain.series import FloatArray
from trimtab.forecasting.correction import SCALE_FLOOR, spaced

MOST_BUCKETS = 8
MOST_SCORES = 200
POWERS = (0.0, 0.5, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Bucket:
    """Errors of neighbouring leads."""

    lead: float
    """Geometric middle, in steps."""
    scores: FloatArray
    """Actual minus forecast over scale, sorted, shape (m,)."""
    independent: float
    """How many independent errors these are worth."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Errors of a backtest, small enough to keep between rounds (at most 8 x 200 numbers)."""

    buckets: tuple[Bucket, ...]
    power: float
    """Errors scale with the forecast to this power: 0 constant, 0.5 like counts, 1 in proportion."""
    mean: float
    """Mean forecast of the backtest, which floors the scale."""
    widening: float = 1.0
    """Factor on every width, for what the errors of a backtest do not show."""

    def quantile(self, forecast: FloatArray, leads: FloatArray, q: float) -> FloatArray:
        """The ``q``-quantile of the demand around ``forecast`` (h,) at ``leads`` (h,) in steps, shape (h,), never
        below 0.

        Above the median it is at least the forecast, below at most; it does not narrow with the lead, and grows with
        ``q``. Raises ValueError unless 0 < q < 1.
        """
        return np.asarray(self.quantiles(forecast, leads, (q,))[0], dtype=np.float64)

    def quantiles(self, forecast: FloatArray, leads: FloatArray, probabilities: Sequence[float]) -> FloatArray:
        """:meth:`quantile` of each of the ``probabilities`` (q,), shape (q, h)."""
        for q in probabilities:
            if not 0.0 < q < 1.0:
                raise ValueError(f"q must lie between 0 and 1, got {q}")
        if not self.buckets:
            return np.tile(np.maximum(forecast, 0.0), (len(probabilities), 1))
        normal = NormalDist()
        standard = [normal.inv_cdf(q) for q in probabilities]
        signs = np.array([[1.0 if q >= 0.5 else -1.0] for q in probabilities])
        reach = np.maximum(signs * np.transpose([_quantiles(bucket, standard) for bucket in self.buckets]), 0.0)
        weights = np.array([float(bucket.scores.size) for bucket in self.buckets])
        middles = np.log([bucket.lead for bucket in self.buckets])
        place = np.log(np.maximum(leads, 1.0))
        widths = np.stack([np.interp(place, middles, _never_falling(one, weights)) for one in reach])
        scale = scale_of(forecast, self.mean, self.power)
        return np.maximum(forecast + signs * (widths * self.widening) * scale, 0.0)


def calibrate(errors: FloatArray, forecasts: FloatArray) -> Calibration:
    """Learn from ``errors`` (origins, steps), actual minus forecast with NaN where unknown, in the order of the
    origins.

    Split conformal: the errors of forecasts that had not seen the outcome, by buckets of leads, each lead bucket on
    its own. They are scaled by the power of the forecast that makes their size independent of it. Sources: Vovk et al.
    2005; Lei et al. 2018 (locally weighted conformal).
    """
    known = np.isfinite(errors)
    if not known.any():
        return Calibration((), 0.0, 0.0)
    mean = float(forecasts[known].mean())
    sizes = np.abs(errors[known])
    power = 0.0
    if mean > 0 and float(np.ptp(forecasts[known])) > ROUNDING * mean and sizes.max() > 0:
        slopes = [abs(_slope(sizes / scale_of(forecasts[known], mean, p), forecasts[known])) for p in POWERS]
        power = POWERS[first_smallest(np.array(slopes), ROUNDING)]
    scores = errors / scale_of(forecasts, mean, power)
    buckets = []
    for low, high in _edges(errors.shape[1]):
        block = scores[:, low:high]
        kept = np.sort(block[np.isfinite(block)])
        if kept.size:
            independent = _independent(block)
            if kept.size > MOST_SCORES:
                kept = np.quantile(kept, np.arange(1, MOST_SCORES + 1) / (MOST_SCORES + 1.0))
            buckets.append(Bucket(float(np.sqrt((low + 1.0) * high)), kept, independent))
    return Calibration(tuple(buckets), power, mean)


def scale_of(forecast: FloatArray, mean: float, power: float) -> FloatArray:
    """Size that errors of ``forecast`` are measured in, shape of ``forecast``."""
    if power == 0.0 or not mean > 0:
        return np.ones_like(forecast)
    scale: FloatArray = mean * (np.maximum(forecast, SCALE_FLOOR * mean) / mean) ** power
    return scale


def _edges(steps: int) -> list[tuple[int, int]]:
    """Buckets of columns [low, high), wider with the lead: 1, 2, 3-4, 5-8, ... of ``steps``."""
    ends = spaced(steps, min(MOST_BUCKETS, steps))
    return list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))


def _slope(sizes: FloatArray, forecasts: FloatArray) -> float:
    """Correlation of the errors' size with the forecast."""
    spread = float(sizes.std() * forecasts.std())
    return float(((sizes - sizes.mean()) * (forecasts - forecasts.mean())).mean()) / spread if spread > 0 else 0.0


def _independent(block: FloatArray) -> float:
    """Independent errors in ``block`` (origins, leads), from the correlation of neighbouring origins; at least 3."""
    column = block[:, block.shape[1] // 2]
    column = column[np.isfinite(column)]
    if column.size < 4 or column.std() <= ROUNDING * np.abs(column).max():
        return max(3.0, float(column.size))
    centred = column - column.mean()
    correlation = float((centred[1:] * centred[:-1]).sum() / (centred**2).sum())
    correlation = min(max(correlation + (1.0 + 4.0 * correlation) / column.size, 0.0), 0.98)
    return max(3.0, column.size * (1.0 - correlation) / (1.0 + correlation))


def _quantiles(bucket: Bucket, standard: Sequence[float]) -> list[float]:
    """Quantiles of the scores, drawn on past the outermost ones, and widened when they are few.

    ``standard`` are those of the standard normal distribution. Plain numbers: arrays cost more at a few dozen.
    """
    normal, count = NormalDist(), bucket.scores.size
    freedom = max(bucket.independent - 1.0, 2.0)
    first, last = (normal.inv_cdf((rank + 1.0) / (count + 1.0)) for rank in (0, count - 1))
    lowest, highest = float(bucket.scores[0]), float(bucket.scores[-1])
    found = []
    for score in standard:
        wanted = score * (1.0 + (score**2 + 1.0) / (4.0 * freedom))
        if count == 1:
            found.append(lowest * abs(wanted))
        elif wanted <= first:
            found.append(lowest * wanted / first)
        elif wanted >= last:
            found.append(highest * wanted / last)
        else:
            rank = normal.cdf(wanted) * (count + 1.0) - 1.0
            left = min(int(rank), count - 2)
            below, above = float(bucket.scores[left]), float(bucket.scores[left + 1])
            found.append((above - below) * (rank - left) + below)
    return found


def _never_falling(widths: FloatArray, weights: FloatArray) -> FloatArray:
    """The closest widths that never fall from one bucket to the next (pool adjacent violators), shape (b,)."""
    pools: list[tuple[float, float, int]] = []
    for width, weight in zip(widths.tolist(), weights.tolist(), strict=True):
        pools.append((width, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (first, heavy, many), (second, light, more) = pools[-2], pools[-1]
            pools[-2:] = [((first * heavy + second * light) / (heavy + light), heavy + light, many + more)]
    return np.concatenate([np.full(many, width) for width, _, many in pools])
