"""What a trial was and what was measured in it, sample by sample; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.choices import OnNoTraffic
from trimtab.domain.objectives import Objective
from trimtab.domain.policy import Validation
from trimtab.domain.run_status import Measurement
from trimtab.domain.series import FloatArray
from trimtab.domain.units import format_number
from trimtab.planning.badness import Badness
from trimtab.planning.effects import Effects, Window, baseline_of, effects_of
from trimtab.planning.performance_curve import NotLearned, PerformanceCurve

Result = Literal["Pass", "Fail", "NoTraffic", "Error"]
_IDLE_SHARE: Final = 1e-3
"""Load below this share of the largest seen is no traffic."""
_EXPECTED_TIMES: Final = 10.0
"""Traffic is expected where at least so many times as much is foreseen as counts as none."""


class Intent(StrEnum):
    """What a trial wants."""

    SAVE = "Save"
    """Cheaper; objectives must hold as the plan predicted."""
    IMPROVE = "Improve"
    """More capacity; objectives must get better, or hold."""
    OTHER = "Other"
    """A person's own change: as good as the curve expects, or no worse than before."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Measurements of a workload at ``at`` (unix seconds, rising); all arrays shape (n,), NaN where missing."""

    at: FloatArray
    load: FloatArray
    """Total, in the load's unit."""
    replicas: FloatArray
    """Ready."""
    cpu_size: FloatArray
    """Cores per pod; all NaN where a pod has neither request nor limit."""
    values: Mapping[str, FloatArray]
    """Value of each objective by its name."""
    covered: NDArray[np.bool_] | None = None
    """Whether all pods that were ready had samples; None stands for always."""

    def __post_init__(self) -> None:
        """Raise ValueError for arrays of different lengths."""
        lengths = {array.shape for array in (self.at, self.load, self.replicas, self.cpu_size, *self.values.values())}
        if len(lengths) > 1 or self.at.ndim != 1:
            raise ValueError(f"all samples must have one shape (n,), got {sorted(lengths)}")

    def __len__(self) -> int:
        return int(self.at.size)

    @property
    def load_per_replica(self) -> FloatArray:
        """Shape (n,); NaN without replicas."""
        return _per(self.load, self.replicas)

    def window(self, objective: str) -> Window:
        """One objective's measurements; all NaN for one that was not measured."""
        values = self.values.get(objective, np.full(len(self), np.nan))
        step = float(np.median(np.diff(self.at))) if len(self) > 1 else 0.0
        return Window(values, self.load_per_replica, _sizes(self.cpu_size), step)


@dataclass(frozen=True, slots=True)
class Former:
    """The operating point before the change, at the sample times after it."""

    replicas: FloatArray
    """Replicas that it would have had at each sample after the change, shape (n,)."""
    cpu_size: float
    """Cores per pod; NaN where unknown."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Where the plan is stressed most: the peak of the forecast, under the plan."""

    load_per_replica: float
    cpu_size: float


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything that a verdict rests on."""

    intent: Intent
    objectives: tuple[Objective, ...]
    curves: Mapping[str, PerformanceCurve | NotLearned]
    """By objective; fitted only on data from before the change."""
    before: Samples
    """The recent past before the change, at any spacing."""
    after: Samples
    """At the sample times fixed when the change was applied, as far as they have passed."""
    former: Former
    spec: Validation
    peak: Peak | None = None
    rescues: int = 0
    """Replicas that following had to add for objectives during the trial."""
    replicas: int | None = None
    """Ready replicas that a sample must have to count: those of the change; None where any number does."""
    least_load: float = math.nan
    """Least load that the forecast made before the change expects; NaN without one, and then the least seen in all
    samples before the change stands in."""
    guards: tuple[str, ...] = ()
    """Guards that were asked all the time, whatever the objectives say."""
    unanswered: tuple[str, ...] = ()
    """Guards that had too little to go by."""
    never_throttled: tuple[str, ...] = ()
    """Containers whose CPU throttling nothing exports."""

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Whether each sample after the change was taken of ready pods that are as many as it asks for, shape (n,)."""
        ready = np.nan_to_num(self.after.replicas)
        return ready > 0 if self.replicas is None else np.rint(ready) == self.replicas

    @property
    def idle_below(self) -> float:
        """Load at or below which there is no traffic."""
        seen = np.concatenate([self.before.load, self.after.load])
        seen = seen[np.isfinite(seen)]
        return _IDLE_SHARE * float(seen.max()) if seen.size else 0.0

    @property
    def traffic_expected(self) -> bool:
        """Whether no traffic contradicts what was foreseen before the change."""
        least = self.least_load
        if not math.isfinite(least):
            before = self.before.load[np.isfinite(self.before.load)]
            if before.size == 0:
                return True  # nothing says that it would be idle
            least = float(before.min())
        return least > 0.0 and least >= _EXPECTED_TIMES * self.idle_below

    @property
    def tolerance(self) -> float:
        """As a fraction of 1."""
        return self.spec.tolerance_percent / 100


@dataclass(frozen=True, slots=True)
class Evidence:
    """One objective's measurements, sorted."""

    objective: Objective
    curve: PerformanceCurve | None
    why_not_learned: str
    badness: Badness
    results: tuple[Result, ...]
    contradicted: int
    """Measurements without traffic although the forecast expects some."""
    uncounted: int
    """Measurements at times at which the pods were not ready, or not as many as the change asks for."""
    violated: int
    """Measurements beyond the threshold, whoever is to blame."""
    effects: Effects | None
    after: Window

    @property
    def failed(self) -> int:
        """Measurements that the trial has to answer for."""
        return self.results.count("Fail")

    @property
    def excused(self) -> int:
        """Measurements beyond the threshold where the former operating point would have been as well."""
        return self.violated - self.failed

    @property
    def usable(self) -> int:
        """Measurements that say something: with a value, or without traffic where that counts as met."""
        met = self.objective.on_no_traffic is OnNoTraffic.MET
        return len(self.results) - self.results.count("Error") - (0 if met else self.results.count("NoTraffic"))

    @property
    def measured(self) -> int:
        """Measurements with a value."""
        return int(np.isfinite(self.after.values).sum())

    @property
    def errors_in_a_row(self) -> int:
        """Longest run of measurements without data."""
        longest = run = 0
        for result in self.results:
            run = run + 1 if result == "Error" else 0
            longest = max(longest, run)
        return longest


def evidence_of(trial: Trial, objective: Objective) -> Evidence:
    """Sorts one objective's measurements and weighs them against its curve."""
    learned = trial.curves.get(objective.name, NotLearned(f"{objective.name} has no curve"))
    curve = learned if isinstance(learned, PerformanceCurve) else None
    before, after = trial.before.window(objective.name), trial.after.window(objective.name)
    after = replace(after, values=np.where(trial.counted, after.values, np.nan))
    former_size = np.full(len(trial.after), trial.former.cpu_size)
    former = Window(
        after.values, _per(trial.after.load, trial.former.replicas), _sizes(former_size), after.step_seconds
    )
    # What a sample counts for must not depend on later ones: scale and bias come from before the change.
    badness = curve.badness if curve else Badness.of(objective.max is not None, objective.threshold, before.values)
    beyond = badness.beyond(after.values, objective.threshold, trial.tolerance)
    to_blame, effects = beyond, None
    if curve is not None and len(trial.after):
        base = baseline_of(curve, before)
        effects = effects_of(curve, base, after, former)
        level = badness.value(curve.log_expected(former.load_per_replica, former.cpu_size)[0] + base.bias)
        to_blame = beyond & ~badness.beyond(level, objective.threshold, trial.tolerance)
    return Evidence(
        objective=objective,
        curve=curve,
        why_not_learned="" if curve else learned.reason if isinstance(learned, NotLearned) else "",
        badness=badness,
        results=_results(trial, after, to_blame),
        contradicted=int((_idle(trial, after) & trial.counted).sum()) if trial.traffic_expected else 0,
        uncounted=int((~trial.counted).sum()),
        violated=int(beyond.sum()),
        effects=effects,
        after=after,
    )


def measurements(trial: Trial, limit: int = 40) -> list[Measurement]:
    """What was measured, in order of time, at most ``limit``: of longer trials failures first, then evenly spread."""
    found: list[Measurement] = []
    for objective in trial.objectives:
        seen = evidence_of(trial, objective)
        expected = (
            seen.curve.expected(seen.after.load_per_replica, seen.after.cpu_size)
            if seen.curve
            else np.full(len(trial.after), np.nan)
        )
        found.extend(
            Measurement(
                at=float(at),
                objective=objective.name,
                value=format_number(float(value)),
                expected=format_number(float(wanted)),
                load_per_replica=format_number(float(load)),
                result=result,
            )
            for at, value, wanted, load, result in zip(
                trial.after.at, seen.after.values, expected, seen.after.load_per_replica, seen.results, strict=True
            )
        )
    if len(found) > limit:
        spread = {round(index) for index in np.linspace(0, len(found) - 1, limit)}
        order = sorted(range(len(found)), key=lambda i: (found[i].result != "Fail", i not in spread, i))
        found = [found[i] for i in sorted(order[:limit])]
    return sorted(found, key=lambda one: one.at)


def _results(trial: Trial, after: Window, to_blame: NDArray[np.bool_]) -> tuple[Result, ...]:
    met_by_idleness = _idle(trial, after) & trial.counted & (not trial.traffic_expected)
    results: list[Result] = []
    covered = trial.after.covered if trial.after.covered is not None else np.ones(len(trial.after), dtype=np.bool_)
    for value, idle, blamed, whole in zip(after.values, met_by_idleness, to_blame, covered, strict=True):
        if np.isfinite(value) and (blamed or whole):
            results.append("Fail" if blamed else "Pass")
        elif not whole:
            results.append("Error")  # what half of the pods say proves nothing for all
        else:
            results.append("NoTraffic" if idle else "Error")
    return tuple(results)


def _idle(trial: Trial, after: Window) -> NDArray[np.bool_]:
    """Measurements without a value at a time without traffic, shape (n,)."""
    idle: NDArray[np.bool_] = ~np.isfinite(after.values) & (trial.after.load <= trial.idle_below)
    return idle


def _per(load: FloatArray, replicas: FloatArray) -> FloatArray:
    share = np.full(load.shape, np.nan)
    np.divide(load, replicas, out=share, where=np.isfinite(load) & np.isfinite(replicas) & (replicas > 0))
    return share


def _sizes(cpu_size: FloatArray) -> FloatArray:
    """One core where no size is known at all, as the fit takes it."""
    return cpu_size if np.isfinite(cpu_size).any() else np.ones_like(cpu_size)
