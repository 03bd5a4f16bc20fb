"""Change points: when a series took another level or another slope, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trimtab.analytics.blocks import Blocks, blocks
from trimtab.analytics.piecewise import Piece, Pieces, pieces
from trimtab.analytics.trend import without_seasons
from trimtab.domain.series import FloatArray, Series

FEWEST_BLOCKS = 24
MOST_CHANGES = 8
_THRESHOLD = 24.0
_LEAST_SHARE = 0.02
"""Changes of less than this share of the level are not worth naming."""
_CHANCE, _CHANCE_SCALE = 0.2, 13.0
"""Share of simulated noises in which something saves ``g`` variances: about 0.2 exp(-g / 13)."""


class ChangeKind(StrEnum):
    """What changed."""

    LEVEL = "Level"
    SLOPE = "Slope"


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """One lasting change of a series."""

    time: float
    """Unix seconds from which it holds."""
    kind: ChangeKind
    before: float
    """Level just before it, in the unit of the series and never outside it; for a change of slope the slope before it,
    a unit an hour."""
    after: float
    confidence_percent: int
    """100 less the chance, in percent, that noise alone shows a change as clear as this anywhere in the series."""
    within_seconds: float
    """How exactly the time is known: it lies this near with a probability of about 95 %."""


def change_points(series: Series, periods_seconds: Sequence[float] = ()) -> tuple[ChangePoint, ...]:
    """The lasting changes of level and slope of ``series`` without the seasons ``periods_seconds``, in order of time.

    The series is looked at as at most 512 block medians. At most 8 changes; none for fewer than 24 blocks, for what
    lasts less than a fiftieth of the series (or 6 blocks), and for less than 2 % of the level. See
    :mod:`trimtab.analytics.piecewise` for the method.

    >>> rng = np.random.default_rng(0)
    >>> moved = Series(0.0, 60.0, 100.0 + rng.normal(0, 5, 500) + 40.0 * (np.arange(500) >= 300))
    >>> [(one.kind.value, one.time, round(one.before), round(one.after)) for one in change_points(moved)]
    [('Level', 18000.0, 100, 140)]
    """
    return changes_of(blocks(series), periods_seconds)


def changes_of(found: Blocks, periods_seconds: Sequence[float] = ()) -> tuple[ChangePoint, ...]:
    """:func:`change_points` of a series that is already in blocks; seasons shorter than two blocks are in them."""

    def solved_without(line: FloatArray) -> Pieces:
        """The pieces when seasons are taken from the medians less ``line``: a shift is not to spoil a profile."""
        rest = Series(found.start, found.step_seconds, found.medians - line)
        seasonless = without_seasons(rest, periods_seconds, robust=True)
        return pieces((seasonless + line)[places] / scale, _THRESHOLD, MOST_CHANGES)

    places = np.flatnonzero(np.isfinite(found.medians))
    values = found.medians[places]
    scale = float(np.abs(values).max(initial=0.0))
    if values.size < FEWEST_BLOCKS or float(np.ptp(values)) <= 1e-9 * scale:
        return ()
    solved = solved_without(np.zeros(found.medians.size))
    if solved.changes and periods_seconds:
        inside = np.interp(np.arange(found.medians.size), places, solved.line(places.size) * scale)
        solved = solved_without(inside)
    level = float(np.median(np.abs(values))) / scale
    told = [
        _told(solved, index, found, places, scale)
        for index, piece in enumerate(solved.changes)
        if _moves(piece, solved.changes[index + 1 :], values.size) >= _LEAST_SHARE * level
    ]
    return tuple(told)


def _moves(piece: Piece, later: Sequence[Piece], count: int) -> float:
    """How far the change moves the series until the next one."""
    lasts = (later[0].index if later else count) - piece.index
    return abs(piece.size) * (lasts if piece.bend else 1)


def _told(solved: Pieces, which: int, found: Blocks, places: NDArray[np.intp], scale: float) -> ChangePoint:
    piece = solved.changes[which]
    if piece.bend:
        per_hour = scale * 3600.0 / found.step_seconds
        before = solved.slope + sum(other.size for other in solved.changes[:which] if other.bend)
        before, after = before * per_hour, (before + piece.size) * per_hour
    else:
        after = float(solved.line(piece.index + 1)[-1])
        lowest, highest = float(np.nanmin(found.medians)), float(np.nanmax(found.medians))
        before, after = (min(max(one * scale, lowest), highest) for one in (after - piece.size, after))
    chance = _CHANCE * math.exp(-piece.gain / _CHANCE_SCALE)
    return ChangePoint(
        time=found.start + int(places[piece.index]) * found.step_seconds,
        kind=ChangeKind.SLOPE if piece.bend else ChangeKind.LEVEL,
        before=before,
        after=after,
        confidence_percent=min(99, math.floor(100 * (1.0 - chance))),
        within_seconds=max(piece.reach, 0.5) * found.step_seconds,
    )
