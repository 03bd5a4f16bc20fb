"""Seasonality: the periods in which a series repeats itself, of any length that was seen at least twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimtab.analytics.algebra import ROUNDING, line
from trimtab.analytics.folding import Folded, fold, locking
from trimtab.analytics.gaps import BoolArray, bridge
from trimtab.analytics.spectrum import SHORTEST_STEPS, autocorrelation, candidates, hill_near, sharpen
from trimtab.domain.series import FloatArray, Series

MOST_SEASONS = 2
SHORTEST_SERIES = 12
HARMONIC_RATIO = 4
MOST_SEASONS_TO_SHARPEN = 60
CLOCK_SECONDS = (3600.0, 86400.0, 604800.0)
LEAST_GAIN = 0.002


@dataclass(frozen=True, slots=True)
class SeasonFound:
    """A period and how much of the movement around the trend it explains."""

    period_seconds: float
    strength_percent: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    period_steps: float
    folded: Folded


def seasons(series: Series, limit: int = MOST_SEASONS) -> tuple[SeasonFound, ...]:
    """The seasons of the series, strongest first, at most ``limit``; empty for a flat series or noise.

    A period counts from 4 steps to half of the length. Peaks of the periodogram and hills of the autocorrelation are
    tried; each must explain enough of the variance around its own trend, and its seasons must agree in phase better
    than when they are shifted at random. Multiples and fractions of a period by up to 4 are not seasons of their own;
    a week over a day is. Raise ``limit`` to see an hour, a day and a week at once. Strength is the share of variance
    around the trend that the season's profile explains, in percent.

    >>> t = np.arange(300)
    >>> day = Series(0.0, 2.0, 100.0 + 40.0 * np.sin(2 * np.pi * t / 60.0))
    >>> seasons(day)
    (SeasonFound(period_seconds=120.0, strength_percent=100),)
    """
    filled = bridge(series)
    if filled.known.sum() < SHORTEST_SERIES:
        return ()
    values = levelled(filled.values, filled.known)
    scale = float(np.abs(filled.values).max())
    if float(np.abs(values).max()) <= 1e-9 * scale:
        return ()
    found: list[_Candidate] = []
    movement = 0.0
    while len(found) < limit:
        best = _best(values, filled.known, [one.period_steps for one in found], series.step_seconds)
        if best is None:
            break
        moved = float(best.folded.seasonal[filled.known].var())
        if found and moved < 0.05 * movement:
            break
        found.append(best)
        movement = movement or moved + float(best.folded.remainder[filled.known].var())
        values = np.where(filled.known, values - best.folded.seasonal, 0.0)
    found.sort(key=lambda one: -one.folded.strength)
    return tuple(
        SeasonFound(
            period_seconds=round(one.period_steps * series.step_seconds, 6),
            strength_percent=int(np.clip(round(100 * one.folded.strength), 0, 100)),
        )
        for one in found
    )


def levelled(values: FloatArray, known: BoolArray) -> FloatArray:
    """Values without a straight line and without the outermost hundredth on either side; 0 where unknown."""
    low, high = np.quantile(values[known], [0.01, 0.99])
    clipped = np.clip(values, low, high)
    place = np.linspace(-1.0, 1.0, values.size)
    slope, level = line(place[known], clipped[known])
    return np.where(known, clipped - level - slope * place, 0.0)


def _best(values: FloatArray, known: BoolArray, taken: list[float], step_seconds: float) -> _Candidate | None:
    """The season to report next: the shortest of the strong ones, or a multiple of it that explains much more."""
    correlation = autocorrelation(values, known)
    accepted: list[_Candidate] = []
    for suggested in candidates(values, correlation):
        period = hill_near(correlation, suggested)
        if period is None or not SHORTEST_STEPS * 0.97 <= period <= values.size * 0.515:
            continue
        if any(_related(period, other) for other in taken):
            continue
        rough = _by_the_clock(values, known, _Candidate(period, fold(values, known, period)), step_seconds, 1.0)
        if _holds(values, known, rough.period_steps, rough.folded):
            accepted.append(rough)
    if not accepted:
        return None
    accepted.sort(key=lambda one: one.period_steps)
    strongest = max(one.folded.strength for one in accepted)
    best = _exact(values, known, next(one for one in accepted if one.folded.strength >= 0.6 * strongest), step_seconds)
    for longer in accepted:
        if _is_a_day(best.period_steps * step_seconds):
            break
        if longer.period_steps > 1.15 * best.period_steps and _related(longer.period_steps, best.period_steps):
            rest = np.where(known, values - best.folded.seasonal, 0.0)
            folded = fold(rest, known, longer.period_steps)
            if float(folded.seasonal.var()) > LEAST_GAIN * float(best.folded.seasonal.var()) and _holds(
                rest, known, longer.period_steps, folded
            ):
                best = _exact(values, known, longer, step_seconds)
    return best if SHORTEST_STEPS - 0.05 <= best.period_steps <= values.size / 2 + 0.5 else None


def _exact(values: FloatArray, known: BoolArray, rough: _Candidate, step_seconds: float) -> _Candidate:
    """The candidate with its period sharpened, on the newest part when there are very many seasons, or the clock's.

    A search that went astray explains less than the rough period, which then stays.
    """
    newest = slice(max(0, values.size - int(MOST_SEASONS_TO_SHARPEN * rough.period_steps)), None)
    period = sharpen(values[newest], known[newest], rough.period_steps)
    sharpened = _Candidate(period, fold(values, known, period))
    best = sharpened if sharpened.folded.strength >= rough.folded.strength - ROUNDING else rough
    return _by_the_clock(values, known, best, step_seconds)


def _is_a_day(seconds: float) -> bool:
    """Whether the period is a day of the clock: nobody lives by two, three or four of them."""
    return abs(seconds / CLOCK_SECONDS[1] - 1.0) < 1e-6


def _by_the_clock(
    values: FloatArray, known: BoolArray, best: _Candidate, step_seconds: float, leniency: float = 1.2
) -> _Candidate:
    """The hour, day or week instead of a period close to it, when that explains almost as much: people live by them."""
    for clock_seconds in CLOCK_SECONDS:
        period = clock_seconds / step_seconds
        if abs(best.period_steps / period - 1.0) < 0.03:
            folded = fold(values, known, period)
            if 1.0 - folded.strength <= leniency * (1.0 - best.folded.strength):
                return _Candidate(period, folded)
    return best


def _related(period: float, other: float) -> bool:
    """Whether one period is the other, or a small multiple of it."""
    ratio = max(period, other) / min(period, other)
    return ratio < 1.15 or (ratio < HARMONIC_RATIO + 0.5 and abs(ratio / round(ratio) - 1.0) < 0.04)


def _holds(values: FloatArray, known: BoolArray, period: float, folded: Folded) -> bool:
    """Whether a period stands out of what noise does by chance.

    Limits from simulated noise, white to random walk, 60 to 3,000 samples: slow noise that is seen for only two or
    three turns agrees in up to 70 % of its variance, ten turns in up to 40 %. So few turns must agree almost wholly;
    the more there are, the weaker a season may be.
    """
    count = values.size / period
    if folded.strength < (0.1 if count >= 6.0 else min(0.85, 0.1 + 1.9 / count)):
        return False
    agreed = locking(np.where(known, values - folded.trend, 0.0), known, period)
    wanted = min(0.72 * int(count + 0.06), 4.2 + 0.3 * max(count - 6.0, 0.0), 8.0)
    return agreed.ratio >= wanted and agreed.p_value <= (0.02 if count >= 3.0 else 0.1)
