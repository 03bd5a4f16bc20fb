"""What a change did, in relative terms and for the load that came: means of log residuals with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab.domain.series import FloatArray
from trimtab.planning.performance_curve import PerformanceCurve
from trimtab.planning.residuals import Mean, lag_one, mean_of

CONFIDENCE: Final = 0.95
"""Each bound of an interval holds with this probability: two one-sided tests at 5 % (Schuirmann 1987)."""
FEWEST: Final = 3
"""Measurements below which no effect is told."""
BIAS_STD: Final = 0.10
"""How far a curve learned over days is usually off on a given one, in log badness."""
_LENT_DOF: Final = 10.0
"""Degrees of freedom that the spread seen before the change lends to the spread after it."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A change of log badness: 0.1 is ten per cent worse; ``lower`` and ``upper`` hold with 95 % each."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Window:
    """Measurements of one objective at known operating points, all shape (n,), in order of time, NaN where missing."""

    values: FloatArray
    load_per_replica: FloatArray
    cpu_size: FloatArray
    step_seconds: float

    def residuals(self, curve: PerformanceCurve) -> FloatArray:
        """Log badness over the expected one, shape (n,); NaN where value or load is missing."""
        residuals = curve.log_residuals(self.values, self.load_per_replica, self.cpu_size)
        return np.where(self.load_per_replica > 0, residuals, np.nan)

    def gradient(self, curve: PerformanceCurve) -> FloatArray:
        """Mean gradient over the measurements that have a residual, shape (p + 1,)."""
        used = np.isfinite(self.residuals(curve))
        mean: FloatArray = curve.log_expected(self.load_per_replica[used], self.cpu_size[used])[1].mean(axis=0)
        return mean


@dataclass(frozen=True, slots=True)
class Effects:
    """Effects of one objective's trial."""

    planned: Effect
    """Against the curve at the load, replicas and size seen."""
    former: Effect
    """Against what the curve expects of the former operating point at the same load."""
    level: Mean
    """Mean residual after the change, nothing taken off."""
    bias: float
    """What was off the curve before the change already, shrunk by its noise."""


def effects_of(curve: PerformanceCurve, before: Window, after: Window, former: Window) -> Effects | None:
    """Effects of a change, or None where fewer than three measurements have a residual.

    ``former`` holds the values after the change at the operating points that the former one would have had. Residuals
    cancel what load, replicas and size explain. What was off the curve already before the change (a slow day, a curve
    that has aged) is taken off, shrunk by its own noise (the posterior mean under a normal prior of ten per cent), as a
    difference in differences. The variance adds up: that of the mean, with samples counted by their autocorrelation;
    that of the bias; and that of the curve itself, of which only the difference between the two operating points
    counts. An interval is by Student's t.
    """
    residuals = after.residuals(curve)
    if int(np.isfinite(residuals).sum()) < FEWEST:
        return None
    earlier = before.residuals(curve)
    rho, rho_before = _correlations(residuals, earlier, after.step_seconds, before.step_seconds)
    variance, dof = curve.residual_std**2, _LENT_DOF / 2
    shrink, bias, bias_variance, base_gradient = 0.0, 0.0, BIAS_STD**2, np.zeros(curve.theta.size + 1)
    if int(np.isfinite(earlier).sum()) >= FEWEST:
        base = mean_of(earlier, rho_before, variance, dof)
        base_gradient = before.gradient(curve)
        shrink = BIAS_STD**2 / (BIAS_STD**2 + base.variance)
        bias, bias_variance = shrink * base.value, shrink * base.variance
        variance, dof = base.variance * base.effective_samples, min(base.dof, _LENT_DOF)

    def effect(window: Window, mean: Mean) -> Effect:
        apart = window.gradient(curve) - shrink * base_gradient
        margin = mean.margin(CONFIDENCE, bias_variance + float(apart @ curve.doubt @ apart))
        value = mean.value - bias
        return Effect(value, value - margin, value + margin)

    level = mean_of(residuals, rho, variance, dof)
    former_residuals = former.residuals(curve)
    against = Effect(0.0, -math.inf, math.inf)
    if int(np.isfinite(former_residuals).sum()) >= FEWEST:
        against = effect(former, mean_of(former_residuals, rho, variance, dof))
    return Effects(effect(after, level), against, level, bias)


def upper_at(curve: PerformanceCurve, effects: Effects, after: Window, load_per_replica: float, size: float) -> float:
    """Value of the objective at this operating point, scaled by the upper bound of what was seen after the change."""
    expected, gradient = curve.log_expected(load_per_replica, size)
    apart = gradient[0] - after.gradient(curve)
    margin = effects.level.margin(CONFIDENCE, float(apart @ curve.doubt @ apart))
    return float(curve.badness.value(expected + effects.level.value + margin)[0])


def _correlations(after: FloatArray, before: FloatArray, step: float, step_before: float) -> tuple[float, float]:
    """(autocorrelation after, and before) of neighbours: few samples each, so pooled, allowing for the spacing."""
    own, pairs = lag_one(after)
    earlier, pairs_before = lag_one(before)
    if pairs_before == 0:
        return own, own
    ratio = step / step_before if step > 0 and step_before > 0 else 1.0
    pooled = (own * pairs + earlier**ratio * pairs_before) / (pairs + pairs_before)
    return pooled, earlier
