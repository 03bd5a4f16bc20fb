"""Drift: whether the errors of a forecast are still what they were; a stream, one error at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from trimtab.domain.series import FloatArray

LEARNED = 100
"""Errors that the first reference is learned from; nothing is tested before."""
WINDOW = 128
"""Newest errors that a change may lie in; older ones belong to the reference."""
MEMORY = 2000.0
"""Errors that the reference remembers."""
LAGS = 2
"""Order of the autoregression that whitens the errors."""
FEWEST = 8
"""Errors after a change, at the least: a spike of a few samples is an anomaly, not a drift."""
CLIP = 4.0
"""Innovations count up to this many sigmas."""
BLOCKS_A_PERIOD = 48
HARMONICS = 2
LEAST_SIZE = 0.05
"""Errors below this share of their expected size are taken for nothing."""

SHIFT = 1.0
"""Change of level that is tested for, in sigmas of the errors: the least that matters; larger ones show sooner."""
SPREAD = 2.0
"""Change of variance that is tested for, as a factor."""
LEVEL_LIMIT = 9.5
SPREAD_LIMIT = 8.0
SEASON_LIMIT = 15.0
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
class Reference:
    """Moments of the errors before any drift, with a fading memory."""

    weight: float
    """Errors that it is worth, at most 2,000."""
    mean: float
    covariances: FloatArray
    """At lags 0 to 2, shape (3,)."""
    square: float
    """Mean of the squared, clipped innovations in units of their variance; 1 for a normal distribution."""
    square_covariances: FloatArray
    """Of these squares at lags 0 and 1, shape (2,)."""

    def whitening(self) -> tuple[float, float, float]:
        """(phi 1, phi 2, sigma of the innovations): Yule-Walker, corrected for the bias of short histories."""
        size = float(self.covariances[0])
        if not size > LEAST_SIZE**2:
            return 0.0, 0.0, LEAST_SIZE
        one, two = (float(value) / size for value in self.covariances[1:])
        one = min(max(one + (1.0 + 3.0 * one) / self.weight, -0.95), 0.95)
        two = min(max(two + (1.0 + 3.0 * two) / self.weight, 2.0 * one**2 - 0.98), 0.98)
        second = (two - one**2) / (1.0 - one**2)
        first = one * (1.0 - second)
        if first + second > 0.95:
            first, second = one, 0.0
        left = max(1.0 - first * one - second * two, 1e-3)
        return first, second, math.sqrt(size * left)


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """Innovations summed over blocks of a period, to see errors that depend on the phase."""

    period: float
    """Steps."""
    block: int
    """Steps of a block."""
    learned: int
    """Blocks that the reference holds."""
    reference: FloatArray
    """Mean of block times cosine and sine of each harmonic, shape (4,)."""
    blocks: FloatArray
    """Newest blocks over the square root of their size, shape (b,), at most 96."""
    steps: FloatArray
    """Their first steps, shape (b,)."""
    sum: float
    count: int
    first: float
    """Of the block that is being filled."""


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
    def start(cls, period_steps: float | None = None) -> DriftDetector:
        """A detector that has seen nothing; ``period_steps`` is the season that errors may depend on, if any."""
        season = None
        if period_steps is not None and math.isfinite(period_steps) and period_steps >= 4.0:
            block = math.ceil(period_steps / BLOCKS_A_PERIOD)
            none = np.empty(0)
            season = Season(period_steps, block, 0, np.zeros(2 * HARMONICS), none, none, 0.0, 0, 0.0)
        return cls(np.empty(0), np.empty(0), None, season)

    def update(self, step: float, error: float) -> tuple[DriftDetector, DriftTest]:
        """One more ``error`` in units of its expected size, seen at ``step`` (steps from any origin, rising).

        An error that is not finite changes nothing.
        """
        if not (math.isfinite(error) and math.isfinite(step)):
            return self, QUIET
        error = min(max(error, -1e6), 1e6)
        errors, steps = np.append(self.errors, error), np.append(self.steps, step)
        if self.reference is None:
            if errors.size < LEARNED:
                return replace(self, errors=errors, steps=steps), QUIET
            return replace(self, errors=errors[-LAGS:], steps=steps[-LAGS:], reference=_learn(errors)), QUIET
        reference = self.reference
        if errors.size > WINDOW + LAGS:
            reference = _remember(reference, errors[: LAGS + 1])
            errors, steps = errors[1:], steps[1:]
        first, second, sigma = reference.whitening()
        away = errors - reference.mean
        innovations = (away[2:] - first * away[1:-1] - second * away[:-2]) / sigma
        clipped = np.clip(innovations, -CLIP, CLIP)
        season = None if self.season is None else _fill(self.season, step, float(clipped[-1]))
        after = replace(self, errors=errors, steps=steps, reference=reference, season=season)
        return after, _test(reference, clipped, steps[LAGS:], season)

    def restarted(self, since: float, period_steps: float | None = None) -> DriftDetector:
        """A detector that learns anew, from the errors at ``since`` and after."""
        kept = self.steps >= since
        return replace(
            DriftDetector.start(period_steps),
            errors=self.errors[kept][-LEARNED + 1 :],
            steps=self.steps[kept][-LEARNED + 1 :],
        )


def detect(
    errors: Sequence[float] | FloatArray, period_steps: float | None = None
) -> tuple[tuple[int, DriftTest], ...]:
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


def _learn(errors: FloatArray) -> Reference:
    """The first reference; wild errors are cut to six sigmas first."""
    middle = float(np.median(errors))
    reach = 6.0 * 1.4826 * float(np.median(np.abs(errors - middle)))
    cut = np.clip(errors, middle - reach, middle + reach) if reach > 0 else errors
    away = cut - cut.mean()
    covariances = np.array([float(away[lag:] @ away[: away.size - lag]) / away.size for lag in range(LAGS + 1)])
    reference = Reference(float(errors.size), float(cut.mean()), covariances, 1.0, np.array([2.0, 0.0]))
    first, second, sigma = reference.whitening()
    squares = np.minimum(((away[2:] - first * away[1:-1] - second * away[:-2]) / sigma) ** 2, CLIP**2)
    beyond = squares - squares.mean()
    spread = np.array([float((beyond**2).mean()), float((beyond[1:] * beyond[:-1]).mean())])
    return replace(reference, square=float(squares.mean()), square_covariances=spread)


def _remember(reference: Reference, errors: FloatArray) -> Reference:
    """The reference with the newest of three consecutive ``errors`` that left the window."""
    first, second, sigma = reference.whitening()
    weight = min(reference.weight + 1.0, MEMORY)
    share = 1.0 / weight
    reach = 6.0 * math.sqrt(float(reference.covariances[0]))
    away = np.clip(errors - reference.mean, -reach, reach) if reach > 0 else errors - reference.mean
    newest = float(away[-1])
    covariances = reference.covariances + share * (newest * away[::-1] - reference.covariances)
    innovation = (newest - first * float(away[-2]) - second * float(away[-3])) / sigma
    beyond = min(innovation**2, CLIP**2) - reference.square
    square = reference.square + share * beyond
    old = reference.square_covariances
    spread = old + share * (np.array([beyond**2, float(old[1])]) - old)
    return Reference(weight, reference.mean + share * newest, covariances, square, spread)


def _test(reference: Reference, innovations: FloatArray, steps: FloatArray, season: Season | None) -> DriftTest:
    """The strongest of the three statistics over their limits."""
    if innovations.size < FEWEST:
        return QUIET
    level, spread = _ratios(reference, innovations)
    joint = np.maximum(level / LEVEL_LIMIT, spread / SPREAD_LIMIT)[FEWEST - 1 :]
    strength, seasonal, since = max(float(joint.max()), 0.0), 0.0, math.nan
    if season is not None:
        seasonal, since = _seasonal(season)
    if max(strength, seasonal) < WARNING:
        return DriftTest(max(strength, seasonal), None, math.nan)
    if seasonal > strength:
        return DriftTest(seasonal, DriftKind.SEASONAL, since)
    kind, count = _located(reference, innovations)
    return DriftTest(strength, kind, float(steps[-count]))


def _located(reference: Reference, innovations: FloatArray) -> tuple[DriftKind, int]:
    """The likelier change, of level or of spread by any amount, and how many innovations it lasts."""
    newest = innovations[::-1]
    counts = np.arange(1.0, newest.size + 1.0)
    level = 0.5 * np.cumsum(newest) ** 2 / (counts + counts**2 / reference.weight)
    ratio = np.maximum(np.cumsum(newest**2) / counts / max(reference.square, 1e-9), 1.0)
    spread = 0.5 * counts * _freedom(reference) * (ratio - 1.0 - np.log(ratio)) / (1.0 + counts / reference.weight)
    kind, statistic = max(
        ((DriftKind.MEAN, level), (DriftKind.VARIANCE, spread)), key=lambda pair: float(pair[1].max())
    )
    return kind, int(np.argmax(statistic)) + 1


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
    spread = share * 0.5 * _freedom(reference) * gain
    return level, spread


def _freedom(reference: Reference) -> float:
    """Degrees of freedom that one square is worth: 1 for a normal distribution, less with heavy tails or clusters."""
    size, next_to = (float(value) for value in reference.square_covariances)
    if not size > 0:
        return 1.0
    correlation = min(max(next_to / size, 0.0), 0.9)
    return min(2.0 * reference.square**2 / size, 1.0) * (1.0 - correlation) / (1.0 + correlation)


def _fill(season: Season, step: float, innovation: float) -> Season:
    """``season`` with one more innovation; a full block joins the reference at first, the newest blocks later."""
    if season.count and step - season.first >= season.block:
        season = _close(season)
    if season.count == 0:
        season = replace(season, first=step)
    season = replace(season, sum=season.sum + innovation, count=season.count + 1)
    return _close(season) if season.count >= season.block else season


def _close(season: Season) -> Season:
    value = season.sum / math.sqrt(season.count)
    period = season.period / season.block
    emptied = replace(season, sum=0.0, count=0)
    if season.learned < period:
        return _absorb(emptied, value, season.first)
    blocks, steps = np.append(season.blocks, value), np.append(season.steps, season.first)
    if blocks.size > 2.0 * period:
        emptied = _absorb(emptied, float(blocks[0]), float(steps[0]))
        blocks, steps = blocks[1:], steps[1:]
    return replace(emptied, blocks=blocks, steps=steps)


def _absorb(season: Season, value: float, step: float) -> Season:
    learned = season.learned + 1
    share = max(1.0 / learned, season.block / MEMORY)
    wave = _waves(season, np.array([step]))[:, 0]
    return replace(season, learned=learned, reference=season.reference + share * (value * wave - season.reference))


def _waves(season: Season, steps: FloatArray) -> FloatArray:
    """Cosines and sines of the harmonics at ``steps`` (n,), shape (4, n)."""
    phase = 2.0 * np.pi * np.arange(1, HARMONICS + 1)[:, None] * steps / season.period
    return np.concatenate([np.cos(phase), np.sin(phase)])


def _seasonal(season: Season) -> tuple[float, float]:
    """(strength, step since when) of errors that depend on the phase, over one period and two."""
    best, since = 0.0, math.nan
    period = season.period / season.block
    products = season.blocks * _waves(season, season.steps)
    for count in (round(period), math.floor(2.0 * period)):
        if season.blocks.size < count:
            break
        away = products[:, -count:].sum(axis=1) - count * season.reference
        uncertain = count + count**2 / min(season.learned, MEMORY / season.block)
        strength = float(away @ away) / uncertain / SEASON_LIMIT
        if strength > best:
            best, since = strength, float(season.steps[-count])
    return best, since
