"""Guards of a trial: what ends it whatever its objectives say, and without any model. Pure, and they fail closed.

A guard that trips over what it is given fails the trial as one that says no does. Patience is ``validation.settle``,
two steps of the samples and the time that a pod takes to start: a pod that is replaced has had the time to come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.objects import Workload
from trimtab.domain.pods import ContainerSeen, PodsSeen
from trimtab.domain.run_status import Applied, FieldChange
from trimtab.domain.series import FloatArray
from trimtab.domain.status_types import format_time
from trimtab.domain.units import format_duration

THROTTLED_SHARE: Final = 0.25
"""Share of the bandwidth periods with throttling up to which a trial goes on."""
THROTTLED_TIMES: Final = 2.0
"""It must also be more than so many times that from before the change."""
THROTTLED_SAMPLES: Final = 3
"""In so many samples, or in all of a trial that has fewer."""
FEWEST_KNOWN: Final = 0.5
"""Share of the samples that must have throttling for it to be known."""
THROTTLING: Final = "cpuThrottling"
_NODE_LOST: Final = frozenset({"ContainerStatusUnknown", "Unknown"})
"""Reasons of an end that tell of a node that was lost or started again."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Share of a container's CPU bandwidth periods in which it was throttled, 0 to 1, NaN where unknown."""

    container: str
    before: FloatArray
    """In the samples before the change, shape (m,)."""
    after: FloatArray
    """At the sample times of the trial that have passed, shape (n,)."""
    loaded: NDArray[np.bool_]
    """Whether the load was read at these times, shape (n,)."""
    read: bool = True
    """Whether Prometheus has answered for all of these times; what it never tells of then is not exported."""

    @property
    def never_measured(self) -> bool:
        """Whether nothing exports it, neither before the change nor since."""
        return self.read and not (np.isfinite(self.before).any() or np.isfinite(self.after).any())

    @property
    def lost(self) -> bool:
        """Whether most samples that have the load are without it, so that the load's absence is no excuse."""
        known = int((np.isfinite(self.after) & self.loaded).sum())
        return not self.never_measured and known < FEWEST_KNOWN * int(self.loaded.sum())

    @property
    def unanswered(self) -> bool:
        """Whether most samples are without it, for whatever reason."""
        known = int(np.isfinite(self.after).sum())
        return not self.never_measured and known < FEWEST_KNOWN * self.after.size


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """What the guards of a trial are asked about, read just now."""

    changes: tuple[FieldChange, ...]
    applied: Applied
    workload: Workload
    pods: PodsSeen
    throttled: tuple[Throttled, ...]
    """Of the containers with a CPU limit that it is looked for in."""
    patience_seconds: float
    now: float


TrialGuard = Callable[[TrialFacts], str]
"""Why the trial fails, or an empty string."""


def failed_guard(facts: TrialFacts, guards: Iterable[tuple[str, TrialGuard]] | None = None) -> str:
    """What the first guard that fails the trial says, with its name; empty while none does."""
    for name, guard in guards if guards is not None else TRIAL_GUARDS:
        try:
            why = guard(facts)
        except Exception as error:  # noqa: BLE001 - whatever a guard trips over, the trial must not go on
            why = f"could not be answered: {type(error).__name__}: {error}"
        if why:
            return f"guard {name}: {why}"
    return ""


def _ready_replicas(facts: TrialFacts) -> str:
    """Fewer ready pods than when the change was complete, and than are wanted now, for longer than the patience."""
    progress, wanted = facts.applied.progress, facts.workload.replicas
    if facts.applied.complete_at is None or progress is None:
        return ""
    ready = facts.workload.rollout.ready
    if ready == 0 and wanted > 0:
        return f"none of {wanted} replicas is ready"
    short_for = facts.now - progress.at
    if ready >= wanted or progress.remaining == 0 or short_for <= facts.patience_seconds:
        return ""
    return f"{ready} of {wanted} replicas are ready, for {format_duration(short_for, to=1)} without improvement"


def _restarts(facts: TrialFacts) -> str:
    """A container of a pod that runs the change has ended since; of changed containers only where sizes changed."""
    changed = {change.container for change in facts.changes if change.container}
    for pod in facts.pods.pods:
        if not pod.of_change or pod.disrupted:
            continue
        for container in pod.containers:
            if changed and container.name not in changed:
                continue
            if container.ended_at >= facts.applied.at and container.ended_reason not in _NODE_LOST:
                return f"container {container.name} of pod {pod.name} {_end(container)}"
    return ""


def _end(container: ContainerSeen) -> str:
    at = format_time(container.ended_at)
    if container.ended_reason == "OOMKilled":
        return f"was killed for memory (OOMKilled) at {at}"
    reason = f"{container.ended_reason}, " if container.ended_reason else ""
    return f"ended and was started again at {at} ({reason}exit code {container.exit_code})"


def _throttling(facts: TrialFacts) -> str:
    """CPU throttling well above what it was, in several samples; not knowing it in most of them fails the trial too."""
    for one in facts.throttled:
        seen = one.before[np.isfinite(one.before)]
        before = float(np.median(seen)) if seen.size else 0.0
        limit = max(THROTTLED_SHARE, THROTTLED_TIMES * before)
        beyond = one.after[np.isfinite(one.after) & (one.after > limit)]
        if beyond.size >= min(THROTTLED_SAMPLES, facts.applied.measurements):
            worst = float(beyond.max())
            return (
                f"container {one.container} was throttled in up to {worst:.0%} of its CPU periods, more than"
                f" {limit:.0%} in {beyond.size} measurements; before the change it was {before:.0%}"
            )
        if one.after.size >= facts.applied.measurements and one.lost:
            known, total = int(np.isfinite(one.after).sum()), one.after.size
            return (
                f"could not be answered: there was container_cpu_cfs_periods_total of container {one.container} in only"
                f" {known} of {total} measurements"
            )
    return ""


TRIAL_GUARDS: Final[tuple[tuple[str, TrialGuard], ...]] = (
    ("readyReplicas", _ready_replicas),
    ("restarts", _restarts),
    (THROTTLING, _throttling),
)
