"""What goes together among the signals of a workload, and how odd it is when they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab.analytics.algebra import ROUNDING
from trimtab.analytics.episodes import LONGEST_GAP
from trimtab.analytics.gaps import LARGEST_SAMPLE, BoolArray
from trimtab.analytics.isolation import Forest, grow
from trimtab.analytics.relations import LEAST_ROWS, Relations, relate
from trimtab.domain.series import FloatArray, Series

CENTRED: Final = 120
"""Newest samples whose middle is normal at first."""
_PRESENT: Final = 0.8
"""Share of the samples that must be there."""
_USUAL: Final = 0.99
"""Quantile up to which samples tell what is usual."""
_LOUDEST: Final = 8.0
"""Residuals count as at most so many standard deviations, scores as at least and at most so many."""
_LEAST, _MOST = -3.0, 8.0
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class JointModel:
    """Relations of the signals to their circumstances, and a forest over what these leave unexplained."""

    names: tuple[str, ...]
    """The d signals, then the c circumstances."""
    rows: int
    """Samples that it rests on."""
    relations: Relations
    forest: Forest
    means: FloatArray
    """Of the forest's scores of these samples, and of their largest residuals; shape (2,)."""
    widths: FloatArray
    """Standard deviations of both, and of the sum of what is left when they are divided by them; shape (3,)."""

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals."""
        return self.names[: self.relations.signals]

    def scores(self, residuals: FloatArray) -> FloatArray:
        """How odd residuals (n, d) are beside those it rests on, in standard deviations, -3 to 8; shape (n,).

        It is the sum of the forest's score and of the largest residual.
        """
        raw = (_raw(self.forest, residuals) - self.means) / self.widths[:2]
        scores: FloatArray = np.clip(raw.sum(axis=1) / self.widths[2], _LEAST, _MOST)
        return scores


def learn_together(
    names: Sequence[str], signals: int, rows: FloatArray, fresh: int = CENTRED
) -> tuple[JointModel, FloatArray] | None:
    """(model, what is normal of its residuals) of rows (n, d + c), the first d of them ``signals``; NaN for missing.

    Normal is the middle of the newest ``fresh`` rows, 120 at most: what goes together moves slowly.

    Left out are columns that are there in less than four samples of five, signals that stand still most of the time or
    are missing in the newest 20, and circumstances that never change. None without both, or with less than 400 complete
    samples.
    """
    if len(rows) < LEAST_ROWS:
        return None
    there = np.isfinite(rows)
    used = [
        column
        for column in np.flatnonzero(there.mean(axis=0) >= _PRESENT).tolist()
        if _moves(rows[there[:, column], column], mostly=column < signals)
        and (column >= signals or there[-LONGEST_GAP:, column].any())
    ]
    count = sum(column < signals for column in used)
    full: BoolArray = np.all(there[:, used], axis=1)
    complete = rows[full][:, used]
    if count in (0, len(used)) or len(complete) < LEAST_ROWS:
        return None
    relations = relate(complete, count)
    left = relations.residuals(complete)
    forest = grow(left)
    raw = _raw(forest, left)
    usual = raw[(raw <= np.quantile(raw, _USUAL, axis=0)).all(axis=1)]
    means, widths = usual.mean(axis=0), usual.std(axis=0) + _TINY
    both = float(((usual - means) / widths).sum(axis=1).std()) + _TINY
    chosen = tuple(names[column] for column in used)
    newest = left[len(left) - int(full[-min(max(fresh, 1), CENTRED) :].sum()) :]
    offsets: FloatArray = np.median(newest, axis=0) if len(newest) else np.zeros(count)
    return JointModel(chosen, len(complete), relations, forest, means, np.append(widths, both)), offsets


def _raw(forest: Forest, residuals: FloatArray) -> FloatArray:
    """The forest's score and the largest residual of each row, shape (n, 2)."""
    largest = np.minimum(np.abs(residuals).max(axis=1), _LOUDEST)
    return np.column_stack([forest.scores(residuals), largest])


def table(columns: Sequence[Series], start: float, step_seconds: float, count: int) -> FloatArray:
    """Values of all ``columns`` at ``count`` times from ``start`` on, shape (count, c), NaN where there is none."""
    rows = np.full((count, len(columns)), np.nan)
    for place, series in enumerate(columns):
        offset = round((start - series.start) / step_seconds)
        low, high = max(offset, 0), min(offset + count, len(series))
        if high > low:
            rows[low - offset : high - offset, place] = series.values[low:high]
    rows[~(np.abs(rows) < LARGEST_SAMPLE)] = np.nan
    return rows


def _moves(values: FloatArray, *, mostly: bool) -> bool:
    """Whether values change by more than rounding, most of the time or at all."""
    rounding = ROUNDING * float(np.abs(values).max())
    if mostly:
        return float(np.median(np.abs(values - np.median(values)))) > rounding
    return float(np.ptp(values)) > rounding
