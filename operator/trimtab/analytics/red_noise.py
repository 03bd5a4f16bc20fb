"""Red noise: how much of a series is white, how much wanders and how persistently; and a filter that whitens it.

The wandering is what change points must not be mistaken for. It is read from differences at several lags, whose medians
a handful of level shifts cannot move. Sources: Chakar, Lebarbier, Lévy-Leduc and Robin 2017 (robust autoregression
under shifts); Romano, Rigaill, Runge and Fearnhead 2022 (DeCAFS: wandering and noise are told apart by the variogram).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimtab.analytics.level import MAD_TO_SIGMA
from trimtab.domain.series import FloatArray

_LAGS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64])
_PERSISTENCES = np.array([0.0, 0.3, 0.5, 0.7, 0.8, 0.87, 0.92, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998])


@dataclass(frozen=True, slots=True)
class RedNoise:
    """White noise over an autoregressive one; variances in the unit of the series, squared."""

    white: float
    wandering: float
    """Variance of the autoregressive part."""
    persistence: float
    """Its correlation from one sample to the next."""

    def innovation(self) -> tuple[float, float]:
        """(moving-average weight, variance of the innovations) of the equal ARMA(1, 1)."""
        rho = self.persistence
        fresh = self.wandering * (1.0 - rho**2)
        own, next_one = fresh + self.white * (1.0 + rho**2), -rho * self.white
        if own <= 0.0:
            return 0.0, 0.0
        ratio = next_one / own
        weight = 0.0 if ratio == 0.0 else (1.0 - np.sqrt(max(1.0 - 4.0 * ratio**2, 0.0))) / (2.0 * ratio)
        return float(weight), own / (1.0 + float(weight) ** 2)


def red_noise(values: FloatArray, most_lag: int = 64) -> RedNoise:
    """The noise of ``values`` (n,), all finite, n >= 8, whatever level shifts and lines lie under it.

    >>> white = np.random.default_rng(0).normal(size=500)
    >>> _, variance = red_noise(white + 20.0 * (np.arange(500) > 250)).innovation()
    >>> 0.8 < variance < 1.25
    True
    """
    lags = _LAGS[min(max(values.size // 8, 2), most_lag) >= _LAGS]
    spread = np.array([_variance(values[lag:] - values[:-lag]) / 2.0 for lag in lags])
    weights = 1.0 / np.sqrt(lags)
    best, least = RedNoise(float(spread[0]), 0.0, 0.0), float("inf")
    scale = max(float(spread.max()), 1e-300)
    for rho in _PERSISTENCES:
        shape = 1.0 - rho**lags
        for white, wandering in _fits(shape, spread, weights):
            off = float((weights * ((white + wandering * shape - spread) / scale) ** 2).sum())
            if off < least * (1.0 - 1e-9):
                best, least = RedNoise(white, wandering, float(rho)), off
    return best


def _fits(shape: FloatArray, spread: FloatArray, weights: FloatArray) -> list[tuple[float, float]]:
    """Least-squares (white, wandering), none below 0, for spread = white + wandering * shape."""
    total, first, second = float(weights.sum()), float((weights * shape).sum()), float((weights * shape**2).sum())
    level, moment = float((weights * spread).sum()), float((weights * shape * spread).sum())
    determinant = total * second - first**2
    found = [(level / total, 0.0), (0.0, moment / second)]
    if determinant > 1e-12 * total * second:
        white = (level * second - first * moment) / determinant
        wandering = (total * moment - first * level) / determinant
        if white >= 0.0 and wandering >= 0.0:
            found.append((white, wandering))
    return found


def _variance(differences: FloatArray) -> float:
    off = np.abs(differences - np.median(differences))
    return float((MAD_TO_SIGMA * np.median(off)) ** 2)
