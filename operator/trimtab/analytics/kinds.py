"""Kinds: what an unusual stretch of a signal looks like, and how much it matters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from trimtab.domain.choices import AnomalyKind, Severity
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray

SHORT: Final = 8
"""Fewer samples than this are a spike, a dip or contextual; more are a change that lasts."""
LASTING: Final = 15
"""Samples from which on an anomaly weighs more for its length alone."""
UNREMARKABLE: Final = 3.5
"""Sigma up to which a sample is nothing by itself."""
USUAL: Final = 2.0
"""Samples within so many sigma are odd only together."""
SWING_SHARE: Final = 0.25
"""A value is contextual when it is usual at another phase, and away by at least this share of the season's swing."""


class Sign(StrEnum):
    """Which statistic spoke."""

    POINT = "point"
    SHIFT = "shift"
    WILD = "wild"
    CALM = "calm"
    ORDER = "order"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class Stretch:
    """The samples of an episode so far, without its last usual ones, around what was expected at its start."""

    sign: Sign
    deviations: FloatArray
    """In sigma, shape (n,), from the onset on."""
    values: FloatArray
    """Shape (n,), in the unit of the signal."""
    seasonal: FloatArray
    """Shape (n,): what the seasons were expected to add, in sigma."""
    usual_low: float
    """Lowest of what is expected over a whole season, in the unit of the signal."""
    usual_high: float
    swing: float
    """Height of the seasons from lowest to highest, in sigma; 0 without any."""
    persistence: float
    """Correlation of usual deviations with those before."""
    jump: float
    """Largest surprise around the onset to the side of the offset, in sigma of a sample given the one before."""


def classify(stretch: Stretch) -> AnomalyKind:
    """The kind that explains the stretch best; it may change as the stretch grows.

    Flat lines and lost order are Collective by the chart that found them, and so are alternating samples, a missing
    season, and samples of which none is beyond 2 sigma. Then, in this order: neighbours that differ far more than
    usual around no clear offset (VarianceChange); a core of up to 7 samples (Spike, Dip, or Contextual where the value
    is usual at another phase); a deviation that grows (TrendChange); values of another phase (Contextual); an offset
    (LevelShift).
    """
    kinds = AnomalyKind
    away, count = stretch.deviations, stretch.deviations.size
    if stretch.sign is Sign.FLAT or count == 0:
        return kinds.COLLECTIVE
    if stretch.sign is Sign.CALM:
        return kinds.VARIANCE_CHANGE
    offset, width = float(away.mean()), float(away.std())
    aside = abs(offset) > 1.2 * max(width, 1.0)
    if stretch.sign is Sign.ORDER and not aside and float(np.abs(away).max()) < UNREMARKABLE:
        return kinds.COLLECTIVE
    if count >= SHORT and (season_lost(stretch) or alternates(away)):
        return kinds.COLLECTIVE
    wild = stretch.sign is Sign.WILD or (count >= SHORT and _restless(away, stretch.persistence))
    if wild and not aside:  # noise in proportion grows with a shift, and is still that of a shift
        return kinds.VARIANCE_CHANGE
    if float(np.abs(away).max()) < USUAL:
        return kinds.COLLECTIVE
    core = heart(away)
    if core.stop - core.start < SHORT:
        if _of_another_phase(stretch, core):
            return kinds.CONTEXTUAL
        return kinds.SPIKE if float(away[int(np.abs(away).argmax())]) > 0 else kinds.DIP
    if stretch.sign is Sign.ORDER and not aside:
        return kinds.COLLECTIVE
    if _slopes(stretch):
        return kinds.TREND_CHANGE
    return kinds.CONTEXTUAL if _of_another_phase(stretch, core) else kinds.LEVEL_SHIFT


def heart(away: FloatArray) -> slice:
    """The part that stands more than a sigma to the side of the largest deviation: the segment of the largest sum.

    >>> heart(np.array([0.2, 4.0, 5.0, 0.5, -1.0, 1.2]))
    slice(1, 3, None)
    """
    direction = math.copysign(1.0, float(away[int(np.abs(away).argmax())]))
    sums = np.concatenate([[0.0], np.cumsum(direction * away - 1.0)])
    stop = int((sums[1:] - np.minimum.accumulate(sums[:-1])).argmax()) + 1
    return slice(int(sums[:stop].argmin()), stop)


def _of_another_phase(stretch: Stretch, core: slice) -> bool:
    """Whether the values are usual, only not now."""
    if stretch.swing < 4.0:
        return False
    middle = float(np.median(stretch.values[core]))
    away = abs(float(np.median(stretch.deviations[core])))
    return stretch.usual_low <= middle <= stretch.usual_high and away >= SWING_SHARE * stretch.swing


def season_lost(stretch: Stretch) -> bool:
    """Whether the stretch is what is left when the seasons' movement is taken away."""
    if stretch.deviations.size < 2 * SHORT or stretch.seasonal.std() < 1.5:
        return False
    seasonal = stretch.seasonal - stretch.seasonal.mean()
    away = stretch.deviations - stretch.deviations.mean()
    share = -float((seasonal * away).sum()) / float((seasonal**2).sum())
    left = float(((away + share * seasonal) ** 2).sum()) / max(float((away**2).sum()), 1e-12)
    return 0.6 <= share <= 1.4 and left < 0.4


def _restless(away: FloatArray, persistence: float) -> bool:
    """Whether neighbours differ far more than they do; an offset and a slope leave their differences alone."""
    usual = math.sqrt(2.0 * (1.0 - persistence))
    ratio = float(np.median(np.abs(np.diff(away)))) / (0.6745 * usual)
    return ratio > (1.8 if away.size >= 16 else 2.2)


def alternates(away: FloatArray) -> bool:
    """Whether neighbours stand on opposite sides almost always."""
    around = away - away.mean()
    return away.size >= 12 and float((around[1:] * around[:-1]).sum()) < -0.6 * float((around**2).sum())


def _slopes(stretch: Stretch) -> bool:
    """Whether the deviation grows all along, without a jump at the onset that would explain it.

    The slope must make up most of the offset. It must also stand out of its standard error, widened for
    autocorrelation, unless the onset has less than half of the jump that an offset of this size would begin with.
    """
    away, rho = stretch.deviations, stretch.persistence
    count, offset = away.size, float(away.mean())
    place = np.arange(count) - (count - 1) / 2.0
    across = float((place**2).sum())
    slope = float((place * away).sum()) / across
    if slope * offset <= 0 or abs(slope) * count < 0.8 * abs(offset):
        return False
    left = away - offset - slope * place
    error = math.sqrt(max(float((left**2).sum()) / (count - 2), 0.05) / across * (1.0 + rho) / (1.0 - rho))
    smooth = math.copysign(1.0, offset) * stretch.jump < 0.5 * abs(offset) / math.sqrt(1.0 - rho * rho)
    return abs(slope) > 4.0 * error or (smooth and count >= 2 * SHORT)


def severity(sigmas: float, samples: int, kind: AnomalyKind, objective: Objective | None, beyond: bool) -> Severity:
    """How much an anomaly matters, from its largest deviation in sigma (signed) and its length in samples.

    One point from 5 sigma and one more from 8 (a changed trend, spread or order counts as 5), one for lasting 15
    samples. Three are Critical, two a Warning. An objective that was ``beyond`` its threshold is a Warning, and
    Critical with two points or when the policy calls it critical; one that moved to its good side is Info.

    >>> severity(9.0, 20, AnomalyKind.LEVEL_SHIFT, None, False).value
    'Critical'
    """
    away = abs(sigmas)
    if kind in (AnomalyKind.VARIANCE_CHANGE, AnomalyKind.COLLECTIVE, AnomalyKind.TREND_CHANGE):
        away = max(away, 5.0)
    points = (away >= 5.0) + (away >= 8.0) + (samples >= LASTING)
    if objective is not None:
        if beyond:
            return Severity.CRITICAL if objective.critical or points >= 2 else Severity.WARNING
        if (sigmas > 0) is (objective.max is None):
            return Severity.INFO
    if points >= 3:
        return Severity.CRITICAL
    return Severity.WARNING if points >= 2 else Severity.INFO
