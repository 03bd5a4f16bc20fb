"""What a replica of a given size can carry, learned from history: load per replica and size to an objective's value.

A latency-like objective follows a queue, base + k/(a size - x) with x the load per replica; a success ratio loses what
exceeds capacity, 1 - a size/x; anything else is only assumed to get no better with load. Shapes and their sources are
in :mod:`curve_shapes`, the robust fit in :mod:`curve_fit`, the result in :mod:`performance_curve`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from trimtab.domain.series import FloatArray
from trimtab.domain.units import format_number
from trimtab.planning import curve_fit, curve_shapes
from trimtab.planning.badness import Badness
from trimtab.planning.curve_shapes import Shape
from trimtab.planning.performance_curve import NotLearned, PerformanceCurve
from trimtab.planning.residuals import robust_std

__all__ = ["NotLearned", "PerformanceCurve", "fit"]

_FEWEST_SAMPLES: Final = 30
_FEWEST_EFFECTIVE: Final = 8.0
_LEAST_VARIATION: Final = 1.2
"""Ratio of the 95th to the 5th percentile of load per core below which no curve can be told."""
_WIDEST_SPREAD: Final = 1.0
"""Spread of a log value beyond which the objective does not follow load."""
_SAME_SIZE: Final = 0.05
"""Sizes within five per cent are one."""
_CLEARLY_WORSE: Final = 1.5
"""A parametric shape that lies this much farther from the medians by load than a monotone curve is the wrong one."""


def fit(
    objective_name: str,
    higher_is_worse: bool,
    load: FloatArray,
    replicas: FloatArray,
    cpu_size: FloatArray,
    values: FloatArray,
    *,
    threshold: float | None = None,
) -> PerformanceCurve | NotLearned:
    """Learn an objective's curve from history; all arrays shape (n,), in order of time on one grid, NaN allowed.

    ``load`` is the total over the workload, ``cpu_size`` cores per pod (all NaN when it has neither request nor limit),
    ``threshold`` the objective's, which tells what differences matter (without one, 99.9 % of a share is assumed).
    Latency-like objectives get a queueing curve, a success ratio with a minimum a loss curve, and whatever fits those
    badly a monotone one. Deterministic.
    """
    points, sizes_known = _cleaned(higher_is_worse, load, replicas, cpu_size, values, threshold)
    if (n := points.load.size) < _FEWEST_SAMPLES:
        return NotLearned(f"{objective_name}: {n} samples with load and a value, {_FEWEST_SAMPLES} are needed")
    u = points.load / points.cpu_size
    low, high = (float(edge) for edge in np.quantile(u, [0.05, 0.95]))
    if high < _LEAST_VARIATION * low:
        return NotLearned(
            f"{objective_name}: load per core moved only between {format_number(low)} and {format_number(high)},"
            " too little to tell how the objective depends on it"
        )
    badness = Badness.of(higher_is_worse, threshold, values)
    shape, fitted, knots = _best(badness, points)
    if fitted.effective_samples < _FEWEST_EFFECTIVE:
        return NotLearned(
            f"{objective_name}: {n} samples move together so much that they are worth {fitted.effective_samples:.0f}"
        )
    if fitted.residual_std > _WIDEST_SPREAD:
        return NotLearned(
            f"{objective_name}: does not follow load, samples lie a factor {math.exp(fitted.residual_std):.1f} off"
        )
    log_sizes = np.log(points.cpu_size)
    exponent = 1.0 if shape is Shape.MONOTONE else float(fitted.theta[-1])
    return PerformanceCurve(
        objective=objective_name, shape=shape, badness=badness, theta=fitted.theta, covariance=fitted.covariance,
        knots=knots, residual_std=fitted.residual_std, effective_samples=fitted.effective_samples, samples=n,
        seen=float(np.quantile(points.load * np.exp(-exponent * log_sizes), 0.99)),
        size_assumed=not sizes_known or float(np.ptp(np.quantile(log_sizes, [0.01, 0.99]))) < _SAME_SIZE,
    )  # fmt: skip


def _cleaned(
    higher_is_worse: bool,
    load: FloatArray,
    replicas: FloatArray,
    cpu_size: FloatArray,
    values: FloatArray,
    threshold: float | None,
) -> tuple[curve_fit.Points, bool]:
    """Samples that can teach something, and whether sizes are known."""
    sizes_known = bool(np.isfinite(cpu_size).any())
    size = cpu_size if sizes_known else np.ones_like(load)
    log_bad = Badness.of(higher_is_worse, threshold, values).log(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = load / replicas
        usable = np.isfinite(x) & (x > 0) & (replicas > 0) & np.isfinite(size) & (size > 0) & np.isfinite(log_bad)
    return curve_fit.Points(x[usable], size[usable], log_bad[usable]), sizes_known


def _best(badness: Badness, points: curve_fit.Points) -> tuple[Shape, curve_fit.Fitted, FloatArray]:
    """The parametric shape, unless the metric's medians by load lie clearly nearer to a monotone one."""
    bins = curve_fit.binned(points)
    shape, fitted = (
        (Shape.LOSS, curve_fit.fit_loss(points, bins))
        if badness.kind == "loss"
        else (Shape.QUEUEING, curve_fit.fit_queueing(points, bins))
    )
    model = curve_shapes.loss if shape is Shape.LOSS else curve_shapes.queueing
    knots, free = curve_fit.fit_monotone(points, bins)
    off = robust_std(bins.log_bad - model(fitted.theta, bins.load, bins.cpu_size)[0])
    off_free = robust_std(bins.log_bad - curve_shapes.monotone(knots, free.theta, bins.load, bins.cpu_size)[0])
    if (
        badness.kind == "inverse"
        or (badness.floor > 0 and shape is Shape.QUEUEING)
        or off > _CLEARLY_WORSE * off_free + 0.02
    ):
        return Shape.MONOTONE, free, knots
    return shape, fitted, np.empty(0)
