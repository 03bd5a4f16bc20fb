"""One scale for all objectives: the logarithm of how bad a value is, so that differences are relative changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray

Kind = Literal["value", "loss", "inverse"]
_KINDS: dict[str, Kind] = {"value": "value", "loss": "loss", "inverse": "inverse"}


@dataclass(frozen=True, slots=True)
class Badness:
    """How a value becomes log badness, and back.

    - ``value``: an upper bound (latency, queue length): the value itself.
    - ``loss``: a lower bound on a share (success ratio of 0 to 1, or of 0 to 100 %): the share that is missing.
      A tolerance of 5 % of an availability of 99.9 % would be fifty times its error budget; of the loss it is what
      people mean.
    - ``inverse``: any other lower bound (throughput): one over the value.

    ``floor`` is added, so that what is far too small to matter (a quarter of the error budget, a hundredth of the
    threshold) does not look like a large relative change.

    >>> latency = Badness.of(True, 0.25, np.array([0.1, 0.2]))
    >>> float(np.exp(latency.log(np.array([0.3])) - latency.log(np.array([0.2])))[0].round(3))
    1.5
    """

    kind: Kind
    floor: float
    full: float

    @staticmethod
    def of(higher_is_worse: bool, threshold: float | None, values: FloatArray) -> Badness:
        """The scale for an objective with this threshold, judged by the values seen, shape (n,), NaN allowed.

        Without a threshold 99.9 % is taken for a share, and the median for any other value.
        """
        finite = values[np.isfinite(values)]
        if threshold is None:
            median = float(np.median(finite)) if finite.size else 1.0
            share = next((full for full in (1.0, 100.0) if 0.5 * full < median <= full), None)
            threshold = median if higher_is_worse or share is None else 0.999 * share
        if higher_is_worse:
            # Zeros are normal for queue lengths and error rates, and absurd for a latency.
            zeros = finite.size > 0 and float(np.mean(finite <= 0)) > 0.02
            return Badness("value", abs(threshold) / 100 if zeros else 0.0, 1.0)
        top = float(finite.max()) if finite.size else threshold
        for full in (1.0, 100.0):
            if 0.5 * full < threshold < full and top <= full * (1 + 1e-9):
                return Badness("loss", (1 - threshold / full) / 4, full)
        return Badness("inverse", 0.0, 1.0)

    @staticmethod
    def of_kind(kind: str, floor: float, full: float) -> Badness:
        """The scale that is written as ``kind``; ValueError for an unknown one."""
        if kind not in _KINDS:
            raise ValueError(f"unknown kind {kind!r}")
        return Badness(_KINDS[kind], floor, full)

    def log(self, values: FloatArray) -> FloatArray:
        """Log badness, shape (n,); NaN where a value is missing or has none (a latency of zero)."""
        match self.kind:
            case "value":
                bad = values + self.floor
            case "loss":
                bad = np.maximum(1.0 - values / self.full, 0.0) + self.floor
            case "inverse":
                bad = values
        logs = np.full(np.shape(bad), np.nan)
        usable = np.isfinite(bad) & (bad > 0)
        np.log(bad, out=logs, where=usable)
        return -logs if self.kind == "inverse" else logs

    def beyond(self, values: FloatArray, threshold: float, tolerance: float) -> NDArray[np.bool_]:
        """Whether each value, shape (n,), is beyond the threshold by more than the relative tolerance; NaN is not."""
        with np.errstate(invalid="ignore"):
            match self.kind:
                case "value":
                    return values > threshold + tolerance * abs(threshold)
                case "loss":
                    return self.full - values > (self.full - threshold) * (1 + tolerance) + 1e-12 * self.full
                case "inverse":
                    return values < threshold - tolerance * abs(threshold)

    def value(self, log_badness: FloatArray) -> FloatArray:
        """The value of this log badness, shape (n,); finite for any finite input."""
        bad = np.exp(np.clip(log_badness, -700.0, 700.0))
        match self.kind:
            case "value":
                return bad - self.floor
            case "loss":
                return np.clip(1.0 - (bad - self.floor), 0.0, 1.0) * self.full
            case "inverse":
                return 1.0 / bad
