"""Drift of the season: errors that depend on the phase, seen in sums over blocks of a period."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from trimtab.domain.series import FloatArray
from trimtab.forecasting.drift_reference import MEMORY

BLOCKS_A_PERIOD, MOST_BLOCKS = 48, 96
HARMONICS = 2


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


def start_season(period_steps: float) -> Season | None:
    """A season that has seen nothing; None for a period of less than 4 steps, as 0 for none."""
    if not 4.0 <= period_steps < math.inf:
        return None
    block = math.ceil(period_steps / BLOCKS_A_PERIOD)
    none = np.empty(0)
    return Season(period_steps, block, 0, np.zeros(2 * HARMONICS), none, none, 0.0, 0, 0.0)


def fill(season: Season, step: float, innovation: float) -> Season:
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
    if season.learned < max(period, BLOCKS_A_PERIOD):
        return _absorb(emptied, value, season.first)
    blocks, steps = np.append(season.blocks, value), np.append(season.steps, season.first)
    if blocks.size > MOST_BLOCKS:
        emptied = _absorb(emptied, float(blocks[0]), float(steps[0]))
        blocks, steps = blocks[1:], steps[1:]
    return replace(emptied, blocks=blocks, steps=steps)


def _absorb(season: Season, value: float, step: float) -> Season:
    learned = season.learned + 1
    share = max(1.0 / learned, season.block / MEMORY)
    wave = waves(season.period, np.array([step]))[:, 0]
    return replace(season, learned=learned, reference=season.reference + share * (value * wave - season.reference))


def waves(period: float, steps: FloatArray) -> FloatArray:
    """Cosines and sines of the harmonics at ``steps`` (n,), shape (4, n)."""
    phase = 2.0 * np.pi * np.arange(1, HARMONICS + 1)[:, None] * steps / period
    return np.concatenate([np.cos(phase), np.sin(phase)])


def seasonal_ratio(season: Season) -> tuple[float, float]:
    """(log-likelihood ratio of two harmonics over none, step since when), over 1, 2, 4, ... periods that are known."""
    best, since = 0.0, math.nan
    period = season.period / season.block
    products = season.blocks * waves(season.period, season.steps)
    for doubled in range(math.floor(math.log2(MOST_BLOCKS / period)) + 1):
        count = math.floor(period * 2.0**doubled + 0.5)
        if season.blocks.size < count:
            break
        away = products[:, -count:].sum(axis=1) - count * season.reference
        uncertain = count + count**2 / min(season.learned, MEMORY / season.block)
        ratio = float((away * away).sum()) / uncertain
        if ratio > best:
            best, since = ratio, float(season.steps[-count])
    return best, since
