"""Drift: whether the errors of a forecast are still what they were; a stream, one error at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from trimtab.analytics.algebra import first_largest
from trimtab.domain.series import FloatArray
from trimtab.forecasting.drift_reference import CLIP, LAGS, LEAST_SIZE, Reference, freedom, learn, remember
from trimtab.forecasting.drift_season import Season, fill, seasonal_ratio, start_season

LEARNED = 100
"""Errors that the first reference is learned from; nothing is tested before."""
WINDOW = 128
"""Newest errors that a change may lie in; older ones belong to the reference."""
LIMIT = 1e6
"""Larger errors count as this."""
FEWEST = 8
"""Errors after a change, at the least: a spike of a few samples is an anomaly, not a drift."""

SHIFT = 1.0
"""Change of level that is tested for, in sigmas of the errors: the least that matters; larger ones show sooner."""
SPREAD = 2.0
"""Change of variance that is tested for, as a factor."""
YOUTH = 40.0
"""Errors whose weight is taken off the evidence, since a short history says little about the noise."""
LEVEL_LIMIT = 9.0
ANY_LEVEL_LIMIT = 10.5
"""For a shift of any size: one that is large and soon fades, as where a model corrects itself, shows here first."""
SPREAD_LIMIT = 7.0
SEASON_LIMIT = 14.5
"""Log-likelihood ratios in nats at which errors have drifted; found by simulation (docs/drift.md)."""
WARNING = 0.7
"""Share of the limit from which on it is a warning."""


class DriftKind(StrEnum):
    """What has changed about the errors."""

    MEAN = "Mean"
    VARIANCE = "Variance"
    SEASONAL = "Seasonal"


@dataclass(frozen=True, slots=True)
class DriftTest:
    """What one more error says."""

    strength: float
    """The largest statistic over its limit: a drift from 1 on, a warning from 0.7 on; 0 while learning."""
    kind: DriftKind | None
    """What has changed; None below a warning."""
    since: float
    """Most likely step of the first error after the change; NaN below a warning."""

    @property
    def drifted(self) -> bool:
        """Whether the errors are no longer those of the reference."""
        return self.strength >= 1.0

    @property
    def warns(self) -> bool:
        """Whether a drift is likely, and not yet sure."""
        return WARNING <= self.strength < 1.0


QUIET = DriftTest(0.0, None, math.nan)


@dataclass(frozen=True, slots=True, eq=False)
class DriftDetector:
    """Streaming test of scaled errors for a change of level, of spread, or of the pattern over a period.

    Errors are whitened by an autoregression that is fitted to a reference of older errors, so that the autocorrelation
    of real errors is not taken for a drift. Generalised likelihood ratios over all change points in the newest 128
    errors are compared with limits that were found by simulation. The reference is itself uncertain, which the ratios
    allow for. Below 4 kB. Sources: Page 1954, Lorden 1971 and Willsky & Jones 1976 (CUSUM and GLR); Apley & Shi 1999
    (GLR on whitened errors).

    >>> rng = np.random.default_rng(1)
    >>> errors = rng.standard_normal(400)
    >>> errors[300:] += 2.0
    >>> detector = DriftDetector.start()
    >>> for step, error in enumerate(errors):
    ...     detector, test = detector.update(step, error)
    ...     if test.drifted:
    ...         break
    >>> test.kind.value, round(test.since)
    ('Mean', 300)
    """

    errors: FloatArray
    """Newest errors, shape (n,): at most 100 while learning, then at most 130."""
    steps: FloatArray
    """When they were seen, shape (n,)."""
    reference: Reference | None
    """None while learning."""
    season: Season | None

    @classmethod
    def start(cls, period_steps: float = 0.0) -> DriftDetector:
        """A detector that has seen nothing; ``period_steps`` is the season that errors may depend on, 0 for none."""
        return cls(np.empty(0), np.empty(0), None, start_season(period_steps))

    def update(self, step: float, error: float) -> tuple[DriftDetector, DriftTest]:
        """One more ``error`` in units of its expected size, seen at ``step`` (steps from any origin, rising).

        An error that is not finite changes nothing.
        """
        if not (math.isfinite(error) and math.isfinite(step)):
            return self, QUIET
        error = min(max(error, -LIMIT), LIMIT)
        errors, steps = np.append(self.errors, error), np.append(self.steps, step)
        if self.reference is None:
            if errors.size < LEARNED:
                return replace(self, errors=errors, steps=steps), QUIET
            return replace(self, errors=errors[-LAGS:], steps=steps[-LAGS:], reference=learn(errors)), QUIET
        reference = self.reference
        if errors.size > WINDOW + LAGS:
            reference = remember(reference, errors[: LAGS + 1])
            errors, steps = errors[1:], steps[1:]
        first, second, sigma = reference.whitening()
        away = errors - reference.mean
        innovations = (away[2:] - first * away[1:-1] - second * away[:-2]) / sigma
        clipped = np.clip(innovations, -CLIP, CLIP)
        season = None if self.season is None else fill(self.season, step, float(clipped[-1]))
        after = replace(self, errors=errors, steps=steps, reference=reference, season=season)
        return after, _test(reference, clipped, steps[LAGS:], season)

    def restarted(self, since: float, period_steps: float = 0.0) -> DriftDetector:
        """A detector that learns anew, from the errors at ``since`` and after."""
        kept = self.steps >= since
        return replace(
            DriftDetector.start(period_steps),
            errors=self.errors[kept][-LEARNED + 1 :],
            steps=self.steps[kept][-LEARNED + 1 :],
        )


def detect(errors: Sequence[float] | FloatArray, period_steps: float = 0.0) -> tuple[tuple[int, DriftTest], ...]:
    """Every drift in ``errors`` (n,): (index at which it was seen, test); exactly what updates one by one find.

    After each drift the detector learns anew from the errors since the change.
    """
    detector, found = DriftDetector.start(period_steps), []
    for index, error in enumerate(errors):
        detector, test = detector.update(float(index), float(error))
        if test.drifted:
            found.append((index, test))
            detector = detector.restarted(test.since, period_steps)
    return tuple(found)


def _test(reference: Reference, innovations: FloatArray, steps: FloatArray, season: Season | None) -> DriftTest:
    """The strongest of the three statistics over their limits."""
    if innovations.size < FEWEST:
        return QUIET
    level, spread = _ratios(reference, innovations)
    level = np.maximum(level / LEVEL_LIMIT, _any_level(reference, innovations) / ANY_LEVEL_LIMIT)
    joint = np.maximum(level, spread / SPREAD_LIMIT)[FEWEST - 1 :]
    sure = reference.weight / (reference.weight + YOUTH)
    strength, seasonal, since = sure * max(float(joint.max()), 0.0), 0.0, math.nan
    if season is not None:
        ratio, since = seasonal_ratio(season)
        seasonal = sure * ratio / SEASON_LIMIT
    if max(strength, seasonal) < WARNING:
        return DriftTest(max(strength, seasonal), None, math.nan)
    if seasonal > strength:
        return DriftTest(seasonal, DriftKind.SEASONAL, since)
    kind, count = located(reference, innovations)
    return DriftTest(strength, kind, float(steps[-count]))


def located(reference: Reference, innovations: FloatArray) -> tuple[DriftKind, int]:
    """The likelier change, of level or of spread by any amount, and how many innovations it lasts, at least 3."""
    newest = innovations[::-1]
    counts = np.arange(1.0, newest.size + 1.0)
    level = _any_level(reference, innovations)
    ratio = np.maximum(np.cumsum(newest**2) / counts / max(reference.square, 1e-9), 1.0)
    spread = 0.5 * counts * freedom(reference) * (ratio - 1.0 - np.log(ratio)) / (1.0 + counts / reference.weight)
    kind, statistic = max(
        ((DriftKind.MEAN, level), (DriftKind.VARIANCE, spread)), key=lambda pair: float(pair[1][2:].max())
    )
    return kind, first_largest(statistic[2:]) + 3


def _any_level(reference: Reference, innovations: FloatArray) -> FloatArray:
    """Log-likelihood ratios of a shift of any size over none, shape (w,), by the age of the change."""
    counts = np.arange(1.0, innovations.size + 1.0)
    ratio: FloatArray = 0.5 * np.cumsum(innovations[::-1]) ** 2 / (counts + counts**2 / reference.weight)
    return ratio


def _ratios(reference: Reference, innovations: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log-likelihood ratios of a shift by 1 sigma of the errors and of twice the variance, each (w,), over none.

    Entry ``k`` is for a change ``k + 1`` innovations ago.
    """
    first, second, sigma = reference.whitening()
    newest = innovations[::-1]
    counts = np.arange(1.0, newest.size + 1.0)
    size = max(math.sqrt(float(reference.covariances[0])), LEAST_SIZE)
    shift = SHIFT * (1.0 - first - second) * size / sigma
    share = 1.0 / (1.0 + counts / reference.weight)
    level = share * shift * (np.abs(np.cumsum(newest)) - 0.5 * counts * shift)
    ratio = np.cumsum(newest**2) / max(reference.square, 1e-9)
    gain = ratio * (1.0 - 1.0 / SPREAD) - counts * math.log(SPREAD)
    spread = share * 0.5 * freedom(reference) * gain
    return level, spread
