"""What of an objective its curve does not explain: how it repeats, wanders, drifts and scatters, and how it may go on.

Residuals are log badness, so that all objectives look alike. What is slow to learn (the profile over a season, noise,
wandering) is kept for an hour; level and slope are those of the newest samples at every round. A local level with a
damped slope (Gardner and McKenzie 1985), noise by a Gaussian copula with the autocorrelation and the quantiles seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trimtab.domain.series import FloatArray
from trimtab.planning.outlook_load import Grid
from trimtab.planning.residuals import lag_one, robust_std

PHASES = 48
"""Parts of a season that have a mean of their own."""
LEAST_EXPLAINED = 0.1
"""Share of the variance of the second half that a profile of the first must explain."""
FEWEST_SAMPLES = 8
SHORT = 12
"""Newest samples that tell of a shift of level."""
KEPT_SECONDS = 3600.0
_LEVELS = np.linspace(0.5 / 48, 1 - 0.5 / 48, 48)
_SPOTS = ndtri(_LEVELS)


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The slow part; below 1 kB."""

    at: float
    origin: str
    """What the residuals are of; of another curve or threshold they are to be learned anew."""
    period_seconds: float
    """0 without a season."""
    profile: FloatArray
    """Mean residual by phase, shape (48,), about a mean of 0; empty without a season."""
    sigma: float
    """Spread of one sample about the local level."""
    rho: float
    """Autocorrelation of neighbouring samples about the local level."""
    wander: float
    """Standard deviation by which the local level moves in one step."""
    noise: FloatArray
    """48 quantiles of samples about the local level."""

    def seasonal(self, times: FloatArray) -> FloatArray:
        """The profile at ``times``, same shape."""
        if self.period_seconds <= 0:
            return np.zeros(times.shape)
        phase = np.mod(times / self.period_seconds, 1.0) * PHASES - 0.5
        heights = np.concatenate([self.profile[-1:], self.profile, self.profile[:1]])
        seasonal: FloatArray = np.interp(phase, np.arange(-1, PHASES + 1), heights)
        return seasonal

    def outdated(self, origin: str, now: float) -> bool:
        """Whether to learn it again."""
        return self.origin != origin or not 0.0 <= now - self.at < KEPT_SECONDS


@lru_cache(maxsize=8)
def normals(count: int, points: int, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Standard normal draws, (p, h), (p, h) and (p,): the same at every round, so they are kept for a while."""
    rng = np.random.default_rng(seed)
    drawn = (rng.standard_normal((count, points)), rng.standard_normal((count, points)), rng.standard_normal(count))
    for draws in drawn:
        draws.flags.writeable = False
    return drawn


def learn_background(
    times: FloatArray, residuals: FloatArray, period_seconds: float, block: int, origin: str, now: float
) -> Background | None:
    """The slow part from residuals (n,), NaN for gaps, in order of time; None with fewer than 8.

    ``block`` is the horizon in steps: wandering is measured between means of so many samples. Of a random walk these
    differ by two thirds of what it moves in between.
    """
    known = np.isfinite(residuals)
    if int(known.sum()) < FEWEST_SAMPLES:
        return None
    profile = _profile(times, residuals, period_seconds)
    background = Background(now, origin, period_seconds if profile.size else 0.0, profile, 0.0, 0.0, 0.0, np.zeros(48))
    rest = residuals - background.seasonal(times)
    local = max(min(30, int(known.sum()) // 4), 4)
    about = _about_level(rest, local)
    finite = about[np.isfinite(about)]
    sigma = min(max(robust_std(finite), 0.5 * float(np.std(finite))), 3.0)
    rho, _ = lag_one(about[-4000:])
    block = max(min(block, rest.size // 4), 4)
    means = _means(rest, block)
    steps = np.diff(means)
    steps = steps[np.isfinite(steps)]
    wander = 0.0
    if steps.size >= 3:
        of_noise = 2.0 * sigma**2 * _inflation(rho) / block
        moved = min(robust_std(np.concatenate([steps, -steps])), 3.0)
        wander = math.sqrt(max(1.5 * (moved**2 - of_noise), 0.0) / block)
    noise = np.quantile(finite, _LEVELS)
    return Background(
        now, origin, background.period_seconds, profile, sigma, rho, wander, noise - float(np.median(finite))
    )


def residual_courses(
    background: Background,
    times: FloatArray,
    residuals: FloatArray,
    now: float,
    points: Grid,
    step_seconds: float,
    draws: tuple[FloatArray, FloatArray, FloatArray],
) -> FloatArray:
    """Courses of the residual, shape (p, h), from the newest samples (n,), NaN for gaps.

    ``draws`` are :func:`normals` for noise (p, h), for wandering (p, h) and for the slope (p,).
    """
    rest = residuals - background.seasonal(times)
    known = np.flatnonzero(np.isfinite(rest))
    steps_ahead = points.ahead_seconds / step_seconds
    sigma, rho = background.sigma, background.rho
    level, slope, doubt, newest = _local(rest, known, background, (now - times[-1]) / step_seconds)
    window = float(times.size)
    reach = window * (1.0 - np.exp(-steps_ahead / window))
    persistence = rho ** np.diff(steps_ahead, prepend=0.0)
    z = np.empty_like(draws[0])
    before = np.full(len(z), float(ndtri(np.interp(newest, _strictly(background.noise), _LEVELS))))
    for k, keep in enumerate(persistence.tolist()):
        before = keep * before + math.sqrt(max(1.0 - keep * keep, 0.0)) * draws[0][:, k]
        z[:, k] = before
    scatter = np.interp(z, _SPOTS, background.noise) if sigma > 0 else np.zeros_like(z)
    moved = background.wander * np.sqrt(np.diff(steps_ahead, prepend=0.0))
    walk = np.cumsum(draws[1] * moved, axis=1)
    drift = (slope + doubt * draws[2])[:, None] * reach[None, :]
    seasonal = background.seasonal(now + points.ahead_seconds)
    courses: FloatArray = level + drift + walk + scatter + seasonal
    return courses


def _local(
    rest: FloatArray, known: NDArray[np.intp], background: Background, late: float
) -> tuple[float, float, float, float]:
    """(level now, slope a step, its standard error, newest sample about the level)."""
    if known.size < FEWEST_SAMPLES:
        return 0.0 if known.size == 0 else float(np.median(rest[known])), 0.0, 0.0, 0.0
    values = rest[known]
    inflation = _inflation(background.rho)
    place = known.astype(np.float64)
    n = known.size
    parts = np.array_split(np.arange(n), min(24, n))
    at = np.array([place[part].mean() for part in parts])
    heights = np.array([np.median(values[part]) for part in parts])
    first, second = np.triu_indices(at.size, 1)
    slope = float(np.median((heights[second] - heights[first]) / (at[second] - at[first])))
    span = max(float(place[-1] - place[0]), 1.0)
    error = math.sqrt(12.0 * background.sigma**2 * inflation / (n * span**2) + 1.2 * background.wander**2 / span)
    kept = 1.0 - error**2 / slope**2 if abs(slope) > 2.0 * error else 0.0
    slope, error = kept * slope, kept * error
    end = rest.size - 1 + max(late, 0.0)
    level = float(np.median(heights - slope * at)) + slope * end
    short = float(np.median(values[-SHORT:]))
    middle = level - slope * (end - float(place[-SHORT:].mean()))
    limit = 3.0 * background.sigma * math.sqrt(inflation / SHORT)
    if abs(short - middle) > limit:
        level, slope, error = level + short - middle if slope else short, slope, error
    return level, slope, error, float(values[-1]) - level


def _inflation(rho: float) -> float:
    """By how much autocorrelation widens the variance of a mean."""
    return (1.0 + rho) / (1.0 - min(rho, 0.98))


def _strictly(quantiles: FloatArray) -> FloatArray:
    """Quantiles that rise, so that they can be looked up."""
    return quantiles + 1e-9 * np.arange(quantiles.size)


def _profile(times: FloatArray, residuals: FloatArray, period_seconds: float) -> FloatArray:
    """Mean by phase of the season where the first half of the time foretells the second; empty else."""
    none = np.empty(0)
    if not period_seconds > 0 or times[-1] - times[0] < 1.9 * period_seconds:
        return none
    known = np.isfinite(residuals)
    phases = np.minimum((np.mod(times / period_seconds, 1.0) * PHASES).astype(np.int64), PHASES - 1)
    half = times < (times[0] + times[-1]) / 2.0

    def means(chosen: NDArray[np.bool_]) -> FloatArray:
        count = np.bincount(phases[chosen], minlength=PHASES)
        values = residuals[chosen]
        total = np.bincount(phases[chosen], weights=values - values.mean(), minlength=PHASES)
        found: FloatArray = total / (count + 2.0)
        return found

    if int((known & half).sum()) < PHASES or int((known & ~half).sum()) < PHASES:
        return none
    later = known & ~half
    values = residuals[later] - residuals[later].mean()
    power = float(np.sum(values**2))
    left = float(np.sum((values - means(known & half)[phases[later]]) ** 2))
    if power <= 0 or left > (1.0 - LEAST_EXPLAINED) * power:
        return none
    profile = means(known)
    return np.asarray(profile - profile.mean())


def _means(values: FloatArray, block: int) -> FloatArray:
    """Means of blocks that end with the newest sample; NaN where fewer than half of the samples are there."""
    count = values.size // block
    cut = values[values.size - count * block :].reshape(count, block)
    finite = np.isfinite(cut)
    present = finite.sum(axis=1)
    sums = np.where(finite, cut, 0.0).sum(axis=1)
    return np.where(2 * present >= block, sums / np.maximum(present, 1), np.nan)


def _about_level(values: FloatArray, block: int) -> FloatArray:
    """Values about the median of their block of so many samples, newest blocks whole; shape (m,), m <= n."""
    count = values.size // block
    cut = values[values.size - count * block :].reshape(count, block)
    finite = np.isfinite(cut)
    rows = finite.any(axis=1)
    ordered = np.sort(cut[rows], axis=1)
    present = finite[rows].sum(axis=1)
    index = np.arange(len(ordered))
    median = (ordered[index, (present - 1) // 2] + ordered[index, present // 2]) / 2.0
    # A block's own median takes a part of the spread with it.
    scale = math.sqrt(block / (block - 1.0))
    about: FloatArray = ((cut[rows] - median[:, None]) * scale).ravel()
    return about
