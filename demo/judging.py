"""Judging: whether what was promised happened, from what was recorded. Pure; arrays have shape (n,), times are Unix
seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trimtab.domain.series import FloatArray

TOLERANCE: Final = 0.05
"""A mean that differs by less says neither better nor worse."""
FEWEST_VIOLATED_SECONDS: Final = 5.0
"""What the reactive twin must at least break its objective for: less could be chance."""

REFUSAL: Final = "maximum cpu usage per Container is 4"
"""What the API server says of a pod with a container that is larger than the namespace takes."""
_BEFOREHAND_SECONDS: Final = 60.0
"""A patch that came longer before a rise was not for it."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise of the demonstration, and what was seen of it."""

    title: str
    evidence: tuple[str, ...]
    broken: tuple[str, ...] = ()
    """What was seen instead; nothing when it was kept."""

    @property
    def kept(self) -> bool:
        """Whether it was."""
        return not self.broken


@dataclass(frozen=True, slots=True)
class Track:
    """What was measured of one service, every second."""

    times: FloatArray
    demand: FloatArray
    """Requests/s sent to it, as the simulation knows them."""
    p99_seconds: FloatArray
    ready: FloatArray
    cpu_cores: FloatArray
    """CPU limit of a pod."""

    def mean(self, values: FloatArray, start: float, end: float) -> float:
        """Mean of ``values`` over [start, end]; NaN without any."""
        seen = values[(self.times >= start) & (self.times <= end)]
        seen = seen[np.isfinite(seen)]
        return float(seen.mean()) if seen.size else math.nan


@dataclass(frozen=True, slots=True)
class Patch:
    """One write of a replica count, as the API server's audit log has it."""

    at: float
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Lead:
    """How long before the demand passed what was there a patch came; ``passed_at`` None when it never did."""

    patch: Patch
    old_capacity: float
    passed_at: float | None

    @property
    def seconds(self) -> float:
        """Lead; negative when the patch came after."""
        return math.inf if self.passed_at is None else self.passed_at - self.patch.at


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one run, from its status."""

    name: str
    trigger: str
    phase: str
    change: str
    reason: str
    applied_at: float
    validate_from: float
    """NaN for a change that was never complete."""
    interval_seconds: float
    planned: int
    """How many measurements were to be taken."""
    effect_percent: str = ""
    lower_percent: str = ""
    upper_percent: str = ""
    message: str = ""
    restored: bool | None = None
    undone_at: float = math.nan
    measured_at: tuple[float, ...] = ()
    worst_seconds: float = math.nan
    """Largest value measured in the trial."""


@dataclass(frozen=True, slots=True)
class RawMeans:
    """What a judge who does not look at the load would compare: means before a change and while it was tried."""

    load: tuple[float, float]
    p99_seconds: tuple[float, float]

    @property
    def change(self) -> float:
        """Relative change of the p99: above 0 it got worse."""
        return self.p99_seconds[1] / self.p99_seconds[0] - 1

    def __str__(self) -> str:
        (load, later), (before, after) = self.load, (1000 * value for value in self.p99_seconds)
        return f"load {load:.0f}→{later:.0f} requests/s, raw p99 {before:.0f}→{after:.0f} ms"


@dataclass(frozen=True, slots=True)
class Killing:
    """The planted change and the operator that was killed over it."""

    killed_pid: int
    killed_at: float
    exit_signal: int
    """Signal that ended it; 0 when none did."""
    restarted_pid: int
    restarted_at: float
    spec_before: str
    """The Deployment's spec as JSON with sorted keys."""
    spec_tried: str
    spec_after: str
    measurements_before: int
    """How many measurements were on record at the kill."""
    phase_at_kill: str = ""
    others: Mapping[str, str] = field(default_factory=dict)
    """Phase that each other run was in at the kill, by its policy."""


def leads(patches: Sequence[Patch], times: FloatArray, demand: FloatArray, capacity_per_replica: float) -> list[Lead]:
    """How long before the demand passed the old capacity each patch that added replicas came.

    The time of passing is sought from the patch on until replicas are taken away again; or, where demand is beyond
    already, back to where it rose beyond.
    """
    found = []
    for index, patch in enumerate(patches):
        if patch.after <= patch.before:
            continue
        until = next((later.at for later in patches[index + 1 :] if later.after < later.before), math.inf)
        old_capacity = patch.before * capacity_per_replica
        found.append(Lead(patch, old_capacity, _passed_at(times, demand, old_capacity, patch.at, until)))
    return found


def _passed_at(times: FloatArray, demand: FloatArray, level: float, at: float, until: float) -> float | None:
    beyond = demand > level
    now = int(np.searchsorted(times, at, side="right")) - 1
    if now >= 0 and beyond[now]:
        below = np.flatnonzero(~beyond[:now])
        return float(times[below[-1] + 1]) if below.size else float(times[0])
    later = np.flatnonzero(beyond & (times > at) & (times < until))
    return float(times[later[0]]) if later.size else None


def rises(times: FloatArray, demand: FloatArray, low: float, high: float) -> list[float]:
    """Times at which the demand rose beyond ``high`` after it was below ``low``.

    >>> rises(np.arange(6.0), np.array([1.0, 9.0, 1.0, 5.0, 9.0, 9.0]), 2.0, 8.0)
    [1.0, 4.0]
    """
    found, armed = [], False
    for time, value in zip(times.tolist(), demand.tolist(), strict=True):
        if value < low:
            armed = True
        elif armed and value > high:
            found.append(time)
            armed = False
    return found


def violated_seconds(track: Track, threshold_seconds: float, start: float = -math.inf, end: float = math.inf) -> float:
    """For how many seconds the p99 was beyond its threshold, one sample a second."""
    inside = (track.times >= start) & (track.times <= end)
    return float(np.count_nonzero(track.p99_seconds[inside] > threshold_seconds))


def raw_means(track: Track, trial: Trial) -> RawMeans:
    """Means over as long before the change as its measurements took, and over these measurements."""
    span = trial.planned * trial.interval_seconds
    before = trial.applied_at - span, trial.applied_at
    after = trial.validate_from, trial.validate_from + span - trial.interval_seconds
    return RawMeans(
        (track.mean(track.demand, *before), track.mean(track.demand, *after)),
        (track.mean(track.p99_seconds, *before), track.mean(track.p99_seconds, *after)),
    )


def ahead_of_demand(
    following: Sequence[Lead],
    reacting: Sequence[Lead],
    risen_at: Sequence[float],
    startup_seconds: float,
    violated: tuple[float, float],
) -> Promise:
    """Promise 1; ``violated`` are seconds beyond the threshold of the forecasting service and of its reactive twin."""
    needed = [lead for lead in following if lead.passed_at is not None]
    late = [lead for lead in needed if lead.seconds < startup_seconds]
    served = [at for at in risen_at if any(at - _BEFOREHAND_SECONDS <= lead.patch.at < at for lead in needed)]
    broken = [f"{_told(lead)}: less than the {startup_seconds:g} s a pod needs to start" for lead in late]
    if not risen_at:
        broken.append("demand never rose beyond the old capacity")
    if missed := len(risen_at) - len(served):
        broken.append(f"{missed} of {len(risen_at)} rises of the demand were not patched for beforehand")
    if violated[1] < FEWEST_VIOLATED_SECONDS:
        broken.append(f"without a forecast the objective was broken for only {violated[1]:.0f} s")
    if violated[0] >= violated[1]:
        broken.append(f"with a forecast the objective was broken for {violated[0]:.0f} s, no less than without")
    shortest = min((lead.seconds for lead in needed), default=math.nan)
    behind = min((lead.seconds for lead in reacting if lead.passed_at is not None), default=math.nan)
    evidence = (
        f"{len(needed)} patches over {len(risen_at)} rises, each {shortest:.1f} s or more before demand passed the old"
        f" capacity (a pod starts in {startup_seconds:g} s)",
        f"the same load without a forecast: up to {-behind:.1f} s after",
        f"p99 beyond its threshold for {violated[0]:.0f} s, without a forecast for {violated[1]:.0f} s",
    )
    return Promise("replicas before the load, not after", evidence, tuple(broken))


def good_kept(trial: Trial | None, raw: RawMeans | None, spec_before: str, spec_after: str) -> Promise:
    """Promise 2: a good change kept while load rises, which raw means would have undone."""
    title = "a good change kept while load rises"
    if trial is None or raw is None:
        return Promise(title, (), ("the operator made no run that was measured",))
    broken = []
    if trial.phase != "Succeeded":
        broken.append(f"run {trial.name} ended {trial.phase}: {trial.message}")
    if trial.trigger not in ("Forecast", "Objective"):
        broken.append(f"run {trial.name} was triggered by {trial.trigger}, not by demand")
    if spec_after == spec_before:
        broken.append("the Deployment's spec is what it was before")
    if not raw.load[1] > raw.load[0] * (1 + TOLERANCE):
        broken.append(f"load did not rise: {raw}")
    if not raw.change > TOLERANCE:
        broken.append(f"{raw}: these alone would have judged as well")
    evidence = (
        f"{trial.name} ({trial.trigger}): {trial.change}",
        f"{raw}: before and after alone {'would have undone it' if raw.change > TOLERANCE else 'say the same'}",
        f"at equal load {_effect(trial)}: {trial.phase}",
    )
    return Promise(title, evidence, tuple(broken))


def bad_undone(
    trial: Trial | None, raw: RawMeans | None, spec_before: str, spec_after: str, threshold_seconds: float
) -> Promise:
    """Promise 3: a bad change undone while load falls, which raw means would have kept."""
    title = "a bad change undone while load falls"
    if trial is None or raw is None:
        return Promise(title, (), ("the operator made no run that was measured",))
    broken = []
    if trial.phase != "RolledBack":
        broken.append(f"run {trial.name} ended {trial.phase}: {trial.message}")
    if trial.trigger != "Cost":
        broken.append(f"run {trial.name} was triggered by {trial.trigger}, not by cost")
    if not trial.restored or spec_after != spec_before:
        broken.append("the Deployment's spec is not what it was")
    if not raw.load[1] < raw.load[0] * (1 - TOLERANCE):
        broken.append(f"load did not fall: {raw}")
    if not raw.change < -TOLERANCE:
        broken.append(f"{raw}: these alone would have judged as well")
    within = (
        f", no measurement beyond {1000 * threshold_seconds:.0f} ms" if trial.worst_seconds <= threshold_seconds else ""
    )
    evidence = (
        f"{trial.name} ({trial.trigger}): {trial.change}",
        f"{raw}{within}: before and after alone {'would have kept it' if raw.change < -TOLERANCE else 'say the same'}",
        f"at equal load {_effect(trial)} than planned: {trial.phase}",
    )
    return Promise(title, evidence, tuple(broken))


def survived(trial: Trial | None, killing: Killing | None, signal_number: int = 9) -> Promise:
    """Promise 4: the planted change rolled back exactly, by an operator that was killed over it and started again."""
    title = "a planted bad change rolled back exactly, through SIGKILL"
    if trial is None or killing is None:
        return Promise(title, (), ("the planted change was never being validated",))
    broken = []
    if trial.phase != "RolledBack":
        broken.append(f"run {trial.name} ended {trial.phase}: {trial.message}")
    if not trial.restored or killing.spec_after != killing.spec_before:
        broken.append("the Deployment's spec is not what it was")
    if killing.spec_tried == killing.spec_before:
        broken.append("the planted change was never on the Deployment")
    if killing.exit_signal != signal_number:
        broken.append(f"the operator ended by signal {killing.exit_signal}, not by {signal_number}")
    if killing.phase_at_kill != "Validating" or not 0 < killing.measurements_before < trial.planned:
        broken.append(f"{killing.measurements_before} measurements were taken at the kill, in {killing.phase_at_kill}")
    fixed = {round(trial.validate_from + index * trial.interval_seconds, 3) for index in range(trial.planned)}
    stray = [at for at in trial.measured_at if round(at, 3) not in fixed]
    if stray:
        broken.append(f"{len(stray)} measurements were not at the times fixed when the change was complete")
    missed = [at for at in trial.measured_at if killing.killed_at < at < killing.restarted_at]
    if not missed:
        broken.append("no measurement fell into the time in which no operator ran")
    evidence = (
        f"{trial.name} ({trial.trigger}): {trial.change}",
        f"operator killed after {killing.measurements_before} of {trial.planned} measurements, started again"
        f" {killing.restarted_at - killing.killed_at:.0f} s later; {len(missed)} measurements of that time read then",
        f"{trial.phase}: the Deployment's spec is {'' if killing.spec_after == killing.spec_before else 'not '}"
        f"what it was, in all its {len(killing.spec_before)} bytes",
    )
    return Promise(title, evidence, tuple(broken))


def impossible_undone(trial: Trial | None, track: Track, replicas: int, spec_before: str, spec_after: str) -> Promise:
    """Promise 5: a change that cannot roll out is never measured, and undone with the API server's reason."""
    title = "a change that cannot roll out undone with the API server's reason"
    if trial is None:
        return Promise(title, (), ("the change was never written",))
    broken = []
    if trial.phase != "RolledBack":
        broken.append(f"run {trial.name} ended {trial.phase}: {trial.message}")
    if REFUSAL not in trial.message:
        broken.append(f"the verdict does not say why: {trial.message}")
    if trial.measured_at or math.isfinite(trial.validate_from):
        broken.append("it was measured, although no pod ran the change")
    if not trial.restored or spec_after != spec_before:
        broken.append("the Deployment's spec is not what it was")
    tried = (track.times >= trial.applied_at) & (track.times <= trial.undone_at)
    fewest = float(np.nanmin(track.ready[tried])) if np.isfinite(track.ready[tried]).any() else math.nan
    evidence = (
        f"{trial.name} ({trial.trigger}): {trial.change}",
        f"undone after {trial.undone_at - trial.applied_at:.0f} s, with {fewest:.0f} of {replicas} pods or more ready",
        trial.message,
    )
    return Promise(title, evidence, tuple(broken))


def _told(lead: Lead) -> str:
    patch = lead.patch
    return f"{patch.before}→{patch.after} came {lead.seconds:.1f} s before demand passed {lead.old_capacity:.0f}"


def _effect(trial: Trial) -> str:
    if not trial.effect_percent:
        return trial.message
    texts = (trial.effect_percent, trial.lower_percent, trial.upper_percent)
    effect, low, high = (float(text or "nan") for text in texts)
    if effect < 0:
        return f"{-effect:.0f} % better ({-high:.0f} to {-low:.0f} %)"
    return f"{effect:.0f} % worse ({low:.0f} to {high:.0f} %)"
