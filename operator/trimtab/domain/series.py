"""Series: the values of one signal on a regular grid of times, with gaps as NaN."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_SLACK = 1e-3
"""Share of a step by which a time may miss a grid point: unix seconds with fractions are not exact."""


@dataclass(frozen=True, slots=True)
class Series:
    """Samples at ``start + i * step_seconds``; shape (n,), missing samples are NaN.

    >>> s = Series(start=0.0, step_seconds=60.0, values=np.array([1.0, np.nan, 3.0]), unit="requests/s")
    >>> s.end, len(s), s.present
    (120.0, 3, 2)
    """

    start: float
    step_seconds: float
    values: FloatArray = field(repr=False)
    unit: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a grid that cannot be."""
        if not self.step_seconds > 0:
            raise ValueError(f"step_seconds must be above 0, got {self.step_seconds}")
        if self.values.ndim != 1:
            raise ValueError(f"values must have shape (n,), got {self.values.shape}")

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def end(self) -> float:
        """Time of the last sample in unix seconds (``start`` when there is none)."""
        return self.start + max(len(self) - 1, 0) * self.step_seconds

    @property
    def times(self) -> FloatArray:
        """Unix seconds of each sample, shape (n,)."""
        return self.start + np.arange(len(self), dtype=np.float64) * self.step_seconds

    @property
    def present(self) -> int:
        """How many samples are finite."""
        return int(np.isfinite(self.values).sum())

    def last(self) -> tuple[float, float] | None:
        """(time, value) of the newest finite sample, or None when there is none."""
        finite = np.flatnonzero(np.isfinite(self.values))
        if finite.size == 0:
            return None
        index = int(finite[-1])
        return self.start + index * self.step_seconds, float(self.values[index])

    def between(self, start: float, end: float) -> Series:
        """The samples whose times lie in [start, end]."""
        low = max(0, math.ceil((start - self.start) / self.step_seconds - _SLACK))
        high = min(len(self), math.floor((end - self.start) / self.step_seconds + _SLACK) + 1)
        kept = self.values[low : max(low, high)]
        return Series(self.start + low * self.step_seconds, self.step_seconds, kept, self.unit)

    def at(self, time: float) -> float:
        """Value of the grid point nearest to ``time``; NaN outside the series."""
        index = round((time - self.start) / self.step_seconds)
        return float(self.values[index]) if 0 <= index < len(self) else math.nan

    def joined(self, newer: Series, keep_seconds: float) -> Series:
        """This series continued by ``newer`` (which wins where both have a sample), cut to ``keep_seconds``.

        Both must lie on the same grid; points that neither has are NaN. Raises ValueError on another step.
        """
        if not math.isclose(newer.step_seconds, self.step_seconds):
            raise ValueError(f"cannot join a step of {newer.step_seconds} s to one of {self.step_seconds} s")
        if len(newer) == 0:
            return self
        if len(self) == 0:
            return newer
        offset = round((newer.start - self.start) / self.step_seconds)
        low = min(0, offset)
        values = np.full(max(len(self), offset + len(newer)) - low, np.nan)
        values[-low : -low + len(self)] = self.values
        values[offset - low : offset - low + len(newer)] = newer.values
        joined = Series(self.start + low * self.step_seconds, self.step_seconds, values, self.unit or newer.unit)
        return joined.between(joined.end - keep_seconds, joined.end)


def empty(step_seconds: float, unit: str = "") -> Series:
    """A series without samples."""
    return Series(0.0, step_seconds, np.empty(0), unit)
