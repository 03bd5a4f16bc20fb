"""Robust fit of a curve's shape to measured log badness: binning, deterministic start, uncertainty of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression, least_squares

from trimtab.analytics.algebra import ROUNDING, first_smallest
from trimtab.domain.series import FloatArray
from trimtab.planning import curve_shapes as shapes
from trimtab.planning.residuals import correlation_time, robust_std

_MOST_BINS = 96
_FLOOR_STD = 0.01
"""Spread of a log value that is taken for granted: no metric is read more exactly than one per cent."""
_SAME_VALLEY = 1e-4
"""Share by which the costs of two solutions differ at least; the solver ends at a millionth."""
_EXPONENT, _EXPONENT_STD = 1.0, 0.15
"""Capacity is taken to grow in proportion to CPU, with this much doubt, until sizes that were tried say otherwise."""
KNOTS = 6

Model = Callable[[FloatArray, FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class Points:
    """Cleaned samples in order of time, all shape (n,): load per replica, CPU in cores per pod, log badness."""

    load: FloatArray
    cpu_size: FloatArray
    log_bad: FloatArray


@dataclass(frozen=True, slots=True)
class Fitted:
    """Parameters, their covariance, and spread and effective number of the samples."""

    theta: FloatArray
    covariance: FloatArray
    residual_std: float
    effective_samples: float


@dataclass(frozen=True, slots=True)
class Bins:
    """Neighbouring samples taken together, all shape (b,)."""

    load: FloatArray
    cpu_size: FloatArray
    log_bad: FloatArray
    count: FloatArray


def binned(points: Points) -> Bins:
    """Medians of neighbours by size and load: as good as all samples for a smooth curve, and robust."""
    sizes = np.round(np.log(points.cpu_size) / 0.02)
    order = np.lexsort((points.load, sizes))
    n = order.size
    per_bin = max(1, -(-n // _MOST_BINS))
    first_of_size = np.flatnonzero(np.diff(sizes[order], prepend=np.nan) != 0)
    since = np.arange(n) - np.repeat(first_of_size, np.diff(np.append(first_of_size, n)))
    starts = np.flatnonzero(since % per_bin == 0)
    count = np.diff(np.append(starts, n))
    by_value = order[np.lexsort((points.log_bad[order], np.repeat(np.arange(starts.size), count)))]
    low, high = starts + (count - 1) // 2, starts + count // 2
    return Bins(
        load=points.load[order[low]],
        cpu_size=points.cpu_size[order[low]],
        log_bad=0.5 * (points.log_bad[by_value[low]] + points.log_bad[by_value[high]]),
        count=count.astype(np.float64),
    )


def ceiling_of(log_bad: FloatArray) -> float:
    """Log value at which the metric is cut off (last histogram bucket, timeout); infinite where it is not.

    A cut-off shows as several samples within one per cent of the largest, far above the usual.
    """
    top = float(log_bad.max())
    at_top = int((log_bad > top - 0.01).sum())
    return top - 0.01 if at_top >= 3 and top > float(np.median(log_bad)) + 1.0 else float("inf")


def fit_shape(
    model: Model, starts: list[FloatArray], prior: tuple[FloatArray, FloatArray], points: Points, bins: Bins
) -> Fitted:
    """Parameters of ``model`` by soft-L1 least squares on log badness, with weak normal priors (means, stds).

    The best of several starts is taken. The priors keep what the samples do not tell (capacity, when load never came
    near it) finite and its uncertainty large. Covariance is the Gauss-Newton one, for samples counted by their
    autocorrelation and scaled by how much worse than its noise the curve fits (quasi-likelihood), so that a wrong
    shape widens intervals as noise does.
    """
    ceiling = ceiling_of(points.log_bad)
    mean, std = prior

    def miss(theta: FloatArray) -> FloatArray:
        off = bins.log_bad - model(theta, bins.load, bins.cpu_size)[0]
        # A value at the ceiling says only that the true one is at least that.
        return np.where((bins.log_bad >= ceiling) & (off < 0), 0.0, off)

    def solve(theta: FloatArray, std_of_bin: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        def rows(t: FloatArray) -> FloatArray:
            return np.concatenate([miss(t) / std_of_bin, (t - mean) / std])

        def slopes(t: FloatArray) -> FloatArray:
            gradient = model(t, bins.load, bins.cpu_size)[1]
            gradient = np.where((miss(t) == 0.0)[:, None], 0.0, gradient)
            return np.concatenate([-gradient / std_of_bin[:, None], np.diag(1.0 / std)])

        # A trial step may overflow; the solver takes a shorter one then.
        with np.errstate(all="ignore"):
            found = least_squares(rows, theta, slopes, loss="soft_l1", f_scale=1.5, max_nfev=40, ftol=1e-6, xtol=1e-6)
        best: FloatArray = found.x
        jacobian = slopes(best)
        return float(found.cost), best, np.asarray(np.linalg.inv(jacobian.T @ jacobian), dtype=np.float64)

    first = points.log_bad - model(starts[0], points.load, points.cpu_size)[0]
    spread = max(robust_std(first), _FLOOR_STD)
    std_of_bin = spread * np.sqrt(correlation_time(first) / bins.count)
    solved = [solve(start, std_of_bin) for start in starts]
    # Two starts that meet in one valley differ by what the solver leaves undone: then the first counts.
    costs = np.array([cost for cost, _, _ in solved])
    _, theta, _ = solved[first_smallest(costs, _SAME_VALLEY * float(costs.min()))]

    residuals = points.log_bad - model(theta, points.load, points.cpu_size)[0]
    time = correlation_time(np.clip(residuals, -4 * spread, 4 * spread))
    spread = max(robust_std(residuals), _FLOOR_STD)
    std_of_bin = spread * np.sqrt(time / bins.count)
    misfit = max(1.0, robust_std(miss(theta) / std_of_bin))
    _, theta, covariance = solve(theta, std_of_bin * misfit)
    return _measured(model, theta, covariance, points, ceiling)


def _measured(model: Model, theta: FloatArray, covariance: FloatArray, points: Points, ceiling: float) -> Fitted:
    residuals = points.log_bad - model(theta, points.load, points.cpu_size)[0]
    kept = (points.log_bad < ceiling) | (residuals > 0)
    residuals, u = residuals[kept], (points.load / points.cpu_size)[kept]
    spread = max(robust_std(residuals), _FLOOR_STD)
    time = correlation_time(np.clip(residuals, -4 * spread, 4 * spread))
    # The curve is used where load is high: noise that grows with load counts as it is there.
    busy = robust_std(residuals[u >= np.median(u)])
    return Fitted(theta, covariance, max(spread, busy), residuals.size / time)


def fit_queueing(points: Points, bins: Bins) -> Fitted:
    """base + k/(a size^g - x), started from capacities of a grid: the best one above all load seen, and below."""
    log_ref = float(np.median(np.log(points.cpu_size)))
    load = bins.load * np.exp(_EXPONENT * (log_ref - np.log(bins.cpu_size)))
    bad = np.exp(bins.log_bad)
    top, lowest = float(load.max()), float(bad.min())
    weight = np.sqrt(bins.count)

    def start(factors: FloatArray) -> FloatArray:
        best: tuple[float, FloatArray] | None = None
        for mu in top * factors:
            growth = shapes.hyperbola(load / mu)[0]
            # Least squares of relative error, with base and wait kept positive.
            columns = np.stack([weight / bad, weight * growth / bad], axis=1)
            base, wait = np.maximum(np.linalg.lstsq(columns, weight, rcond=ROUNDING)[0], 0.01 * lowest)
            error = float(np.average(np.abs(bins.log_bad - np.log(base + wait * growth)), weights=bins.count))
            if best is None or error < best[0] * (1.0 - ROUNDING):
                best = error, np.array([np.log(base), np.log(wait * mu), np.log(mu), _EXPONENT])
        assert best is not None, "the grid is not empty"
        return best[1]

    starts = [start(np.geomspace(1.02, 6.0, 16)), start(np.geomspace(0.4, 0.98, 8))]
    usual, wide = float(np.quantile(points.log_bad, 0.1)) + np.log(0.5), np.log(1.5 * top)
    prior = np.array([usual, usual + wide, wide, _EXPONENT]), np.array([1.5, 1.5, 1.0, _EXPONENT_STD])

    def model(theta: FloatArray, x: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
        return shapes.queueing(theta, x, size / np.exp(log_ref))

    return _at_unit_size(fit_shape(model, starts, prior, points, bins), log_ref, 2)


def fit_loss(points: Points, bins: Bins) -> Fitted:
    """base + max(0, 1 - a size^g / x): start from the capacity of a grid that fits best."""
    log_ref = float(np.median(np.log(points.cpu_size)))
    load = bins.load * np.exp(_EXPONENT * (log_ref - np.log(bins.cpu_size)))
    top = float(load.max())
    base = float(np.quantile(bins.log_bad, 0.25))
    ones = np.ones_like(load)

    def error(log_capacity: float) -> float:
        off = bins.log_bad - shapes.loss(np.array([base, log_capacity, 0.0]), load, ones)[0]
        return float(np.average(np.abs(off), weights=bins.count))

    tried = np.log(top * np.geomspace(0.5, 1.5, 16))
    start = np.array([base, tried[first_smallest(np.array([error(one) for one in tried]), ROUNDING)], _EXPONENT])
    prior = np.array([base, np.log(1.5 * top), _EXPONENT]), np.array([2.0, 0.5, _EXPONENT_STD])

    def model(theta: FloatArray, x: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
        return shapes.loss(theta, x, size / np.exp(log_ref))

    return _at_unit_size(fit_shape(model, [start], prior, points, bins), log_ref, 1)


def _at_unit_size(fitted: Fitted, log_ref: float, at: int) -> Fitted:
    """The same curve with log a (parameter ``at``, followed by g) meant at one core instead of at the usual size."""
    change = np.eye(fitted.theta.size)
    change[at, at + 1] = -log_ref
    return Fitted(
        change @ fitted.theta, change @ fitted.covariance @ change.T, fitted.residual_std, fitted.effective_samples
    )


def fit_monotone(points: Points, bins: Bins) -> tuple[FloatArray, Fitted]:
    """(knots of load per core shape (k,), heights): isotonic regression on bins, thinned to a few knots.

    Pool-adjacent-violators (Barlow et al. 1972); the covariance is that of means of a k-th of the samples each.
    """
    u = bins.load / bins.cpu_size
    order = np.argsort(u, kind="stable")
    rising = np.asarray(isotonic_regression(bins.log_bad[order], weights=bins.count[order]).x)
    ranks = np.linspace(0.0, 1.0, KNOTS)
    knots = np.quantile(u, ranks)
    # Quantiles alone would leave the steep end to one line: half-way to equal distances.
    knots = 0.5 * knots + 0.5 * (u.min() + ranks * (u.max() - u.min()))
    heights = np.maximum.accumulate(np.interp(knots, u[order], rising))

    def model(theta: FloatArray, x: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
        return shapes.monotone(knots, theta, x, size)

    found = _measured(model, heights, np.eye(KNOTS), points, float("inf"))
    return knots, Fitted(
        heights, monotone_covariance(found.residual_std, found.effective_samples), found.residual_std,
        found.effective_samples,
    )  # fmt: skip


def monotone_covariance(residual_std: float, effective_samples: float) -> FloatArray:
    """Covariance of the heights at the knots, shape (k, k)."""
    return np.eye(KNOTS) * residual_std**2 * KNOTS / max(effective_samples, 1.0)
