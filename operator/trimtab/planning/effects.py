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
class Baseline:
    """What was off the curve before the change already, and how noisy it was; learned from before the change only."""

    bias: float
    """Mean residual, shrunk by its noise."""
    bias_variance: float
    gradient: FloatArray
    """Share of the curve's own error that went into the bias, shape (p + 1,)."""
    variance: float
    """Of one residual."""
    dof: float
    rho: float
    """Autocorrelation of neighbours ``step_seconds`` apart."""
    pairs: int
    step_seconds: float


@dataclass(frozen=True, slots=True)
class Effects:
    """Effects of one objective's trial."""

    planned: Effect
    """Against the curve at the load, replicas and size seen."""
    former: Effect
    """Against what the curve expects of the former operating point at the same load."""
    level: Mean
    """Mean residual after the change, nothing taken off."""


def baseline_of(curve: PerformanceCurve, before: Window) -> Baseline:
    """The baseline from measurements before the change; the curve's own figures where there are fewer than three.

    The bias is the posterior mean under a normal prior of ten per cent: a slow day or a curve that has aged is told
    from noise as far as the measurements can.
    """
    residuals = before.residuals(curve)
    variance, dof = curve.residual_std**2, _LENT_DOF / 2
    if int(np.isfinite(residuals).sum()) < FEWEST:
        return Baseline(0.0, BIAS_STD**2, np.zeros(curve.theta.size + 1), variance, dof, 0.0, 0, 0.0)
    rho, pairs = lag_one(residuals)
    mean = mean_of(residuals, rho, variance, dof)
    shrink = BIAS_STD**2 / (BIAS_STD**2 + mean.variance)
    return Baseline(
        bias=shrink * mean.value,
        bias_variance=shrink * mean.variance,
        gradient=shrink * before.gradient(curve),
        variance=mean.variance * mean.effective_samples,
        dof=min(mean.dof, _LENT_DOF),
        rho=rho,
        pairs=pairs,
        step_seconds=before.step_seconds,
    )


def effects_of(curve: PerformanceCurve, base: Baseline, after: Window, former: Window) -> Effects | None:
    """Effects of a change, or None where fewer than three measurements have a residual.

    ``former`` holds the values after the change at the operating points that the former one would have had. Residuals
    cancel what load, replicas and size explain; the bias from before is taken off, as a difference in differences. The
    variance adds up: that of the mean, with samples counted by their autocorrelation; that of the bias; and that of the
    curve itself, of which only the difference between the two operating points counts. An interval is by Student's t.
    """
    residuals = after.residuals(curve)
    if int(np.isfinite(residuals).sum()) < FEWEST:
        return None
    rho = _pooled_rho(residuals, after.step_seconds, base)

    def effect(window: Window, mean: Mean) -> Effect:
        apart = window.gradient(curve) - base.gradient
        margin = mean.margin(CONFIDENCE, base.bias_variance + float(apart @ curve.doubt @ apart))
        value = mean.value - base.bias
        return Effect(value, value - margin, value + margin)

    level = mean_of(residuals, rho, base.variance, base.dof)
    former_residuals = former.residuals(curve)
    against = Effect(0.0, -math.inf, math.inf)
    if int(np.isfinite(former_residuals).sum()) >= FEWEST:
        against = effect(former, mean_of(former_residuals, rho, base.variance, base.dof))
    return Effects(effect(after, level), against, level)


def upper_at(curve: PerformanceCurve, effects: Effects, after: Window, load_per_replica: float, size: float) -> float:
    """Value of the objective at this operating point, scaled by the upper bound of what was seen after the change."""
    expected, gradient = curve.log_expected(load_per_replica, size)
    apart = gradient[0] - after.gradient(curve)
    margin = effects.level.margin(CONFIDENCE, float(apart @ curve.doubt @ apart))
    return float(curve.badness.value(expected + effects.level.value + margin)[0])


def _pooled_rho(after: FloatArray, step: float, base: Baseline) -> float:
    """Autocorrelation of neighbours after the change: few samples each, so pooled with that from before."""
    own, pairs = lag_one(after)
    if base.pairs == 0:
        return own
    ratio = step / base.step_seconds if step > 0 and base.step_seconds > 0 else 1.0
    return float((own * pairs + base.rho**ratio * base.pairs) / (pairs + base.pairs))
