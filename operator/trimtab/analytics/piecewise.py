"""Piecewise lines under red noise: which steps and bends a series needs.

Steps are suggested by PELT (exact for any number of levels), bends by forward selection; from all of them those that
the series does not need are dropped one by one, the least needed first. All of it in the whitened series, so that
wandering noise needs neither. Sources: Killick, Fearnhead and Eckley 2012 (PELT); Truong, Oudre and Vayatis 2020
(ruptures); Yao 1988 (penalty in log n).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trimtab.analytics.algebra import ROUNDING, first_largest, first_smallest, levels_of, rounded
from trimtab.analytics.level import MAD_TO_SIGMA, MEAN_TO_SIGMA
from trimtab.analytics.red_noise import RedNoise, red_noise
from trimtab.analytics.whitening import Candidate, Frame, gains_of, left_by, orthonormal
from trimtab.domain.series import FloatArray

MOST_STEPS, MOST_BENDS = 14, 3
_BEND_GRID = 48
_SUGGESTED_GAIN = 8.0
_LINE_GAIN = 4.0
_NO_GAIN = 1e-6
"""Variances of the noise that two gains must differ by: of changes that save nothing, rounding must not choose one."""
_STILL = 1e-6
"""Share of what a series moves in all that its noise is taken to be at the least: residuals are exact to fewer digits
than the values, and what is left of them by rounding is no noise to measure changes by."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One change of a piecewise line."""

    index: int
    """First sample after it."""
    bend: bool
    """A change of slope; else one of level."""
    size: float
    """Step in the unit of the values; change of slope in that unit a sample."""
    gain: float
    """Squared residuals that it saves, in variances of the noise."""
    reach: int
    """Samples around ``index`` in which it lies with a probability of about 95 %."""


class Pieces(NamedTuple):
    """A piecewise line: ``level + slope * i``, and what each piece adds from its index on."""

    level: float
    slope: float
    changes: tuple[Piece, ...]
    """In order of their index."""

    def line(self, count: int) -> FloatArray:
        """The line at samples 0 to ``count`` - 1."""
        index = np.arange(count, dtype=np.float64)
        values = np.full(count, self.level) + self.slope * index
        for piece in self.changes:
            values += piece.size * (np.maximum(index - piece.index, 0) if piece.bend else index >= piece.index)
        return values


class _Solution(NamedTuple):
    """The changes found under one idea of the noise."""

    frame: Frame
    answer: FloatArray
    """Whitened values over their spread."""
    spread: float
    kept: list[Candidate]
    sloped: bool
    cost: float
    """Twice the negative log-likelihood, and what the changes cost."""

    @property
    def rows(self) -> FloatArray:
        """Rows (k, n) of level, slope and changes."""
        return np.concatenate([self.frame.base(self.sloped), self.frame.columns(self.kept)])

    @property
    def weights(self) -> FloatArray:
        """Level, slope over all samples where there is one, and sizes of the changes."""
        fitted = np.linalg.lstsq(self.rows.T, self.answer, rcond=None)[0].astype(np.float64)
        return fitted * self.spread


def pieces(values: FloatArray, threshold: float, most: int) -> Pieces:
    """The steps and bends of ``values`` (n,), all finite, n >= 24, that save at least ``threshold`` variances each.

    At most ``most`` of them, each at least :func:`shortest` samples from the next and from the ends. A shift and a
    slow wander look alike, so both are tried: noise read from all of the series, and noise read from what the changes
    leave that one would see under noise of short memory. The likelier counts, its changes paid for.
    """
    centre = float(np.median(values))
    calm = _without_spikes(values - centre, shortest(values.size))
    floor = max(_STILL * float(np.abs(calm).max()), 1e-12 * float(np.abs(values).max()), 1e-300)
    wandering = _solved(calm, red_noise(calm), threshold, most, floor)
    first = _solved(calm, red_noise(calm, most_lag=1), threshold, most, floor)
    found = [wandering]
    if first.kept:
        line = _pieces(first, centre, with_gains=False).line(values.size) - centre
        found.append(_solved(calm, red_noise(calm - line), threshold, most, floor))
    return _pieces(found[first_smallest(np.array([one.cost for one in found]), _NO_GAIN)], centre, with_gains=True)


def _solved(calm: FloatArray, noise: RedNoise, threshold: float, most: int, floor: float) -> _Solution:
    count, gap = calm.size, shortest(calm.size)
    frame = Frame.of(noise, count)
    plain = frame.whitened(calm)
    spread = max(frame.sigma, floor)
    answer = plain / spread
    bends = _bends(frame, answer, gap)
    flat = left_by(frame.base(sloped=False), answer)
    bent = left_by(np.concatenate([frame.base(sloped=True), frame.columns(bends)]), answer)
    steps = sorted({*_steps(flat, gap), *_steps(bent, gap)})
    kept = [*bends, *(Candidate(index, False) for index in steps)]
    left = left_by(np.concatenate([frame.base(sloped=True), frame.columns(kept)]), answer)
    freedom = math.sqrt(count / max(count - len(kept) - 2, 1))
    spread *= max(1.0, freedom * MAD_TO_SIGMA * float(np.median(np.abs(left))))
    kept, sloped = _fewest(frame, plain / spread, kept, threshold, most)
    left = left_by(np.concatenate([frame.base(sloped), frame.columns(kept)]), plain / spread)
    spread *= _redness(left, gap, len(kept) + 2)
    answer = plain / spread
    kept, sloped = _fewest(frame, answer, kept, threshold, most)
    for _ in range(2):
        kept = [_moved(frame, answer, kept, place, sloped, gap)[0] for place in range(len(kept))]
    kept, sloped = _fewest(frame, answer, _apart(frame, answer, kept, sloped, gap), threshold, most)
    left = left_by(np.concatenate([frame.base(sloped), frame.columns(kept)]), plain)
    likelihood = count * math.log(max(float((left**2).mean()), floor**2)) - 2.0 * math.log(frame.start)
    cost = likelihood + threshold * len(kept) + _LINE_GAIN * sloped
    return _Solution(frame, answer, spread, kept, sloped, cost)


def shortest(count: int) -> int:
    """Samples that a level or slope must last to count: a fiftieth of all, at least 6."""
    return max(6, count // 50)


def _without_spikes(values: FloatArray, gap: int) -> FloatArray:
    """Values of which those that stand far off their neighbourhood's median are that median (Hampel's filter)."""
    from scipy.ndimage import median_filter

    middle = median_filter(values, size=2 * (gap // 2) + 1, mode="nearest")
    off = np.abs(values - middle)
    spread = MAD_TO_SIGMA * float(np.median(off))
    if spread <= ROUNDING * float(np.abs(values).max()):
        spread = MEAN_TO_SIGMA * float(off.mean())  # most samples equal their neighbours: their median says nothing
    return np.where(off > 5.0 * spread, middle, values)


def _bends(frame: Frame, answer: FloatArray, gap: int) -> list[Candidate]:
    """Bends on a grid, the most useful first, each beside those before it."""
    count = answer.size
    places = np.unique(np.linspace(gap, count - gap, min(_BEND_GRID, count - 2 * gap + 1)).astype(np.intp))
    grid = [Candidate(int(place), True) for place in places]
    rows, fixed = frame.columns(grid), frame.base(sloped=True)
    found: list[Candidate] = []
    for _ in range(MOST_BENDS):
        gains = gains_of(rows, fixed, answer)
        best = first_largest(gains, _NO_GAIN)
        if gains[best] < _SUGGESTED_GAIN:
            break
        found.append(grid[best])
        fixed = np.concatenate([fixed, rows[best : best + 1]])
    return found


def _steps(left: FloatArray, gap: int) -> list[int]:
    """Where PELT would cut: cheaply at first, dearer until it is content with few cuts."""
    from ruptures.detection import KernelCPD

    # On a straight stretch many cuts cost alike: without their last digits it is always the same one that is taken.
    search = KernelCPD(kernel="linear", min_size=gap).fit(rounded(left)[:, None])
    penalty = _SUGGESTED_GAIN
    while len(found := search.predict(pen=penalty)) > MOST_STEPS:
        penalty *= 1.5
    return [int(index) for index in found[:-1]]


def _redness(left: FloatArray, gap: int, freedom: int) -> float:
    """How much more than white noise the whitened residuals ``left`` (n,) still wander: a factor >= 1 on their spread.

    A wandering slower than the lags from which the noise is read would otherwise pass for changes.
    """
    most = 1.0
    for width in (gap, 2 * gap):
        means = left[: left.size // width * width].reshape(-1, width).mean(axis=1)
        if means.size >= freedom + 6:
            most = max(most, width * float((means**2).sum()) / (means.size - freedom))
    return math.sqrt(most)


def _fewest(
    frame: Frame, answer: FloatArray, kept: list[Candidate], threshold: float, most: int
) -> tuple[list[Candidate], bool]:
    """The cheaper of what is left with a slope that stays to the end and with one that may go early.

    A flight of steps makes a slope look superfluous, and a slope makes a single step look so.
    """

    def cost(choice: tuple[list[Candidate], bool]) -> float:
        changes, sloped = choice
        left = left_by(np.concatenate([frame.base(sloped), frame.columns(changes)]), answer)
        return float((left**2).sum()) + threshold * len(changes) + _LINE_GAIN * sloped

    choices = [_needed(frame, answer, kept, threshold, most, early) for early in (False, True)]
    return choices[first_smallest(np.array([cost(one) for one in choices]), _NO_GAIN)]


def _needed(
    frame: Frame, answer: FloatArray, kept: list[Candidate], threshold: float, most: int, early: bool
) -> tuple[list[Candidate], bool]:
    """The changes left when the least needed is dropped again and again, and whether a slope is; ``early`` lets the
    slope go before a change does."""
    kept, sloped = list(kept), True
    while True:
        rows = np.concatenate([frame.base(sloped), frame.columns(kept)])
        fixed = 2 if sloped else 1
        basis, triangle, independent = orthonormal(rows)
        if not independent[fixed:].all():
            del kept[int(np.argmin(independent[fixed:]))]
            continue
        # Not from products of the rows with each other, which lose half of the digits: without noise, the rest.
        inverse = np.linalg.inv(triangle)
        gains = (inverse @ (basis.T @ answer)) ** 2 / (inverse**2).sum(axis=1)
        shares = gains[fixed:] / threshold
        weakest = first_smallest(shares, _NO_GAIN) if shares.size else -1
        least = float(shares[weakest]) if shares.size else math.inf
        flat = sloped and gains[1] < _LINE_GAIN
        if flat and early and gains[1] / _LINE_GAIN <= least:
            sloped = False
        elif shares.size and (least < 1.0 or shares.size > most):
            del kept[weakest]
        elif flat:
            sloped = False
        else:
            return kept, sloped


def _moved(
    frame: Frame, answer: FloatArray, kept: list[Candidate], place: int, sloped: bool, gap: int
) -> tuple[Candidate, float, int]:
    """(the change where it saves most, what it saves there, how far around it saves almost as much)."""
    here, count = kept[place], answer.size
    far = max(gap, count // _BEND_GRID if here.bend else 0)
    around = [
        Candidate(index, here.bend)
        for index in range(max(gap, here.index - far), min(count - gap, here.index + far) + 1)
    ]
    others = [one for index, one in enumerate(kept) if index != place]
    gains = gains_of(frame.columns(around), np.concatenate([frame.base(sloped), frame.columns(others)]), answer)
    best, stay = first_largest(gains, _NO_GAIN), here.index - around[0].index
    if gains[stay] >= gains[best] - max(ROUNDING * float(gains[best]), _NO_GAIN):
        best = stay
    near = np.flatnonzero(gains >= gains[best] - 4.0)
    return around[best], float(gains[best]), int(max(best - near[0], near[-1] - best))


def _apart(frame: Frame, answer: FloatArray, kept: list[Candidate], sloped: bool, gap: int) -> list[Candidate]:
    """Of changes nearer than ``gap`` to each other the one that saves more."""
    gains = np.array([_moved(frame, answer, kept, place, sloped, gap)[1] for place in range(len(kept))])
    alike = max(ROUNDING * float(gains.max(initial=0.0)), _NO_GAIN)
    found: list[Candidate] = []
    for place in np.argsort(-levels_of(gains, alike), kind="stable"):
        one = kept[place]
        if all(abs(one.index - other.index) >= gap for other in found):
            found.append(one)
    return found


def _pieces(found: _Solution, centre: float, with_gains: bool) -> Pieces:
    """The solution in the unit of the values."""
    weights, count = found.weights, found.answer.size
    fixed, gap = 2 if found.sloped else 1, shortest(count)
    changes = []
    for place, one in enumerate(found.kept):
        gain, reach = math.nan, 0
        if with_gains:
            _, gain, reach = _moved(found.frame, found.answer, found.kept, place, found.sloped, gap)
        size = float(weights[fixed + place])
        changes.append(Piece(one.index, one.bend, size / count if one.bend else size, gain, reach))
    slope = float(weights[1]) / count if found.sloped else 0.0
    return Pieces(centre + float(weights[0]), slope, tuple(sorted(changes, key=lambda one: one.index)))
