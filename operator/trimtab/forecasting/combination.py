"""Combination: several models at once, weighed by how they did in the backtest."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.correction import IndexArray
from trimtab.forecasting.models import Fitted, Model, ModelName

MOST_MEMBERS = 5
LEAST_SHARE = 0.08


@dataclass(frozen=True, slots=True)
class Combination(Model):
    """The weighted mean of its members' forecasts; weights are above 0 and add up to 1.

    Source: Bates and Granger 1969; that simple weights do better than estimated ones, Stock and Watson 2004.

    >>> from trimtab.forecasting.models import LastValue, SeasonalNaive
    >>> wave = Series(0.0, 60.0, np.tile([1.0, 2.0, 3.0, 4.0], 4))
    >>> Combination((LastValue(), SeasonalNaive(240.0)), (0.5, 0.5)).fit(wave).predict(2).round(6).tolist()
    [2.5, 3.0]
    """

    members: tuple[Model, ...]
    weights: tuple[float, ...]
    name: ModelName = field(default=ModelName.COMBINATION, init=False)

    def fit(self, series: Series) -> Fitted:
        """Fit every member."""
        members = tuple(one.fit(series) for one in self.members)
        return _FittedCombination(members[0].values, members, self.weights)


@dataclass(frozen=True, slots=True)
class _FittedCombination(Fitted):
    values: FloatArray
    members: tuple[Fitted, ...]
    weights: tuple[float, ...]

    def paths(self, values: FloatArray, origins: IndexArray, steps: int) -> FloatArray:
        total = np.zeros((origins.size, steps))
        for member, weight in zip(self.members, self.weights, strict=True):
            total += weight * member.paths(values, origins, steps)
        return total


def weights_of(errors: FloatArray, horizons: float, prior: FloatArray) -> FloatArray:
    """Weights (m,) of models by their mean ``errors`` (m,), measured over so many independent ``horizons``.

    Errors of a size that is unknown, over ``horizons`` independent ones, have a likelihood that falls with their mean
    to this power: the more was measured, the more the best one counts. It multiplies the ``prior`` (m,), above 0. At
    most five models keep a weight, each at least 8 %. Models without any error share all of it.

    >>> weights_of(np.array([1.0, 1.1, 3.0]), 4.0, np.ones(3)).round(2).tolist()
    [0.59, 0.41, 0.0]
    """
    least = float(errors.min())
    likelihood = np.where(errors <= 0, 1.0, 0.0) if least <= 0 else (least / errors) ** max(horizons, 1.0)
    weights = prior * likelihood
    weights[np.argsort(-weights, kind="stable")[MOST_MEMBERS:]] = 0.0
    weights /= weights.sum()
    weights = np.where(weights >= min(LEAST_SHARE, float(weights.max())), weights, 0.0)
    shares: FloatArray = weights / weights.sum()
    return shares
