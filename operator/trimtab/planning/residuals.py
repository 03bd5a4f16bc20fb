"""How much a mean of autocorrelated residuals is worth. Arrays in, plain numbers out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len
from scipy.special import stdtrit

from trimtab.analytics.algebra import ROUNDING
from trimtab.analytics.level import MAD_TO_SIGMA
from trimtab.domain.series import FloatArray

_STRONGEST = 0.95
"""Autocorrelation beyond this is taken as this: a short window cannot tell it from a trend."""


def robust_std(values: FloatArray) -> float:
    """Standard deviation about the median by the median absolute deviation; 0.0 for fewer than two values.

    Where most values are equal (which makes that zero), the plain standard deviation.

    >>> round(robust_std(np.array([1.0, 2.0, 3.0, 4.0, 500.0])), 4)
    1.4826
    """
    if values.size < 2:
        return 0.0
    off = np.abs(values - np.median(values))
    spread = MAD_TO_SIGMA * float(np.median(off))
    return spread if spread > ROUNDING * float(off.max()) else float(np.std(values))


def winsorised(values: FloatArray, width: float = 3.0) -> FloatArray:
    """Values pulled in to ``width`` robust standard deviations about their median, shape (n,).

    A single absurd measurement then moves a mean by no more than a bad one does.
    """
    if values.size < 3:
        return values
    centre, spread = float(np.median(values)), robust_std(values)
    return np.clip(values, centre - width * spread, centre + width * spread)


def correlation_time(residuals: FloatArray) -> float:
    """Integrated autocorrelation time in samples, at least 1: n of these are worth n over this.

    Sum of the autocorrelations up to the first that is not clearly positive (initial positive sequence: Geyer 1992,
    "Practical Markov chain Monte Carlo"). ``residuals`` in order of time, shape (n,), without NaN.

    >>> correlation_time(np.array([1.0, -1.0] * 50))
    1.0
    """
    n = residuals.size
    centred = residuals - residuals.mean() if n else residuals
    power = float(np.sum(centred * centred))  # a dot product of this size would wake BLAS threads
    if n < 8 or power <= 1e-12 * n:
        return 1.0
    length = next_fast_len(2 * n, real=True)
    spectrum = np.fft.rfft(centred, length)
    correlation = np.fft.irfft(spectrum * np.conj(spectrum), length)[: n // 4] / power
    low = np.flatnonzero(correlation < 0.05)
    end = int(low[0]) if low.size else correlation.size
    return float(np.clip(1.0 + 2.0 * correlation[1:end].sum(), 1.0, n / 4))


def lag_one(residuals: FloatArray) -> tuple[float, int]:
    """(autocorrelation of neighbours, pairs it rests on) of residuals in order of time, shape (n,), NaN for gaps.

    Corrected for the bias of short series about an unknown mean, E[r] = rho - (1 + 3 rho)/n (Marriott and Pope 1954).
    """
    present = np.isfinite(residuals)
    centred = residuals - (residuals[present].mean() if present.any() else 0.0)
    both = present[:-1] & present[1:]
    pairs = int(both.sum())
    power = float(np.sum(centred[present] ** 2))
    if pairs < 4 or power <= 1e-18:
        return 0.0, 0
    raw = float(centred[:-1][both] @ centred[1:][both]) / pairs * int(present.sum()) / power
    return float(np.clip((pairs * raw + 1.0) / (pairs - 3.0), 0.0, _STRONGEST)), pairs


def _inflation(n: int, rho: float) -> float:
    lags = np.arange(1, n)
    return 1.0 + 2.0 * float(np.sum((1.0 - lags / n) * rho**lags))


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean of a window of residuals with what it is worth."""

    value: float
    variance: float
    """Square of the standard error of ``value``."""
    dof: float
    """Degrees of freedom of ``variance``."""
    effective_samples: float

    def margin(self, confidence: float, extra_variance: float = 0.0) -> float:
        """One-sided margin of error at this confidence, with a further known variance added."""
        quantile = float(stdtrit(self.dof, confidence))
        return quantile * float(np.sqrt(self.variance + max(extra_variance, 0.0)))


def mean_of(residuals: FloatArray, rho: float, prior_variance: float = 0.0, prior_dof: float = 0.0) -> Mean:
    """Mean of residuals that follow an AR(1) process of autocorrelation ``rho``; shape (n,), n >= 1, NaN skipped.

    The variance of one residual is that of the window (corrected for autocorrelation) pooled with a known one that
    counts ``prior_dof`` degrees of freedom: ten samples with autocorrelation 0.5 are worth three, too few to know their
    own spread. Effective samples: n over 1 + 2 sum (1 - k/n) rho^k (Bayley and Hammersley 1946).
    """
    values = winsorised(residuals[np.isfinite(residuals)])
    n = values.size
    inflation = _inflation(n, rho)
    effective = n / inflation
    own_dof = max(effective - 1.0, 0.0)
    own = float(np.sum((values - values.mean()) ** 2)) / max(n - inflation, 0.5) if n > 1 else 0.0
    dof = own_dof + prior_dof
    variance = (own_dof * own + prior_dof * prior_variance) / dof if dof > 0 else own
    return Mean(float(values.mean()), variance / effective, max(dof, 1.0), effective)
