"""What advice on replicas rests on: the peaks of the demand, and what a replica carries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab.analytics.quality import LARGEST_MAGNITUDE
from trimtab.domain.series import FloatArray
from trimtab.domain.units import format_number
from trimtab.forecasting.forecast import Forecast
from trimtab.planning.advice import RecommendInputs, confidence, span_text

DAY: Final = 86400.0
WEEK: Final = 7 * DAY
_LEAST_CAPACITY: Final = 1e-12
_STATIC_VALUES: Final = 2
"""Replica counts in a day above which something scales the workload already."""


@dataclass(frozen=True, slots=True)
class Need:
    """Replicas that the demand asks for."""

    peak: float
    """Demand at the peaks that capacity is to be there for."""
    replicas: float
    """Replicas for it with headroom, not rounded."""
    source: str
    foreseen: float
    """Peak of the forecast; NaN without a reliable one."""

    @property
    def rounded(self) -> int:
        """Whole replicas."""
        return whole(self.replicas)


def whole(replicas: float) -> int:
    """Whole replicas that are enough."""
    return math.ceil(replicas - 1e-9)


def carried(inputs: RecommendInputs) -> float:
    """Load that a replica carries; NaN when it is not known."""
    capacity = inputs.capacity_per_replica
    return capacity if _LEAST_CAPACITY <= capacity <= LARGEST_MAGNITUDE else math.nan


def replicas_for(inputs: RecommendInputs, demand: float) -> float:
    """Replicas for a demand with headroom, not rounded; NaN when not known."""
    return min(demand * (1.0 + inputs.strategy.headroom) / carried(inputs), 1e6)


def needed(inputs: RecommendInputs) -> Need | None:
    """What the daily peaks of the history, and the peak foreseen, ask for."""
    if not math.isfinite(carried(inputs)):
        return None
    load = inputs.history.load
    peaks = _daily_peaks(inputs)
    quantile = inputs.strategy.demand_quantile
    found: list[tuple[float, str]] = []
    if peaks.size:
        found.append((float(np.quantile(peaks, quantile)), f"the {100 * quantile:.0f} % quantile of the daily peaks"))
    foreseen, ahead = math.nan, inputs.forecast
    if isinstance(ahead, Forecast) and ahead.reliable:
        foreseen, _ = ahead.peak(float(ahead.times[-1]), quantile)
        found.append((foreseen, f"the {100 * quantile:.0f} % quantile of the peak foreseen"))
    found = [(peak, source) for peak, source in found if math.isfinite(peak) and peak >= 0.0]
    if not found:
        return None
    peak, source = max(found)
    return Need(peak, replicas_for(inputs, peak), f"{source} over {span_text(load)}", foreseen)


def _daily_peaks(inputs: RecommendInputs) -> FloatArray:
    load = inputs.history.load
    finite = np.abs(load.values) <= LARGEST_MAGNITUDE
    if not finite.any():
        return np.empty(0)
    day = ((load.times[finite] - load.end) // DAY).astype(np.intp)
    _, start = np.unique(day, return_index=True)
    peaks: FloatArray = np.maximum.reduceat(load.values[finite], start)
    return peaks


def scaled_already(inputs: RecommendInputs) -> bool:
    """Whether something moves the replicas: then their number now says nothing of the peaks, or of what they cost."""
    series = inputs.history.replicas
    recent = series.between(inputs.now - DAY, inputs.now).values
    return np.unique(recent[np.isfinite(recent) & (recent > 0)]).size > _STATIC_VALUES


def sureness(inputs: RecommendInputs, wanted_seconds: float) -> int:
    """Confidence in advice that rests on the load and on what a replica carries."""
    return confidence(inputs.history.load, wanted_seconds, 1.0 if inputs.capacity_learned else 0.7)


def carried_text(inputs: RecommendInputs) -> str:
    """What a replica carries, in words."""
    how = "learned from the objectives" if inputs.capacity_learned else "by the utilisation target, none is learned yet"
    return f"a replica carries {format_number(carried(inputs))}{inputs.unit} ({how})"


def scale_command(inputs: RecommendInputs, replicas: int) -> str:
    """A command that sets the replicas, or the run that tries them where the policy may change them."""
    if inputs.by_runs and inputs.spec.horizontal is not None:
        return f'an OptimizationRun with spec.changes: [{{path: spec.replicas, to: "{replicas}"}}]'
    return f"kubectl scale {inputs.target} --replicas={replicas}"
