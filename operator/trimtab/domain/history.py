"""What was measured of one workload: its signals as series on one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trimtab.domain.series import Series, empty

LISTED_PODS: Final = "pods"
"""Name of the coverage of the ready replicas by pods that are told of one by one, on which all other counts rest."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many pods a signal speaks for, on the history's grid; NaN where it was not counted."""

    ready: Series
    """Pods that have been ready for two windows; for `LISTED_PODS` the workload's ready replicas."""
    seen: Series
    """Those of them that have samples of the signal."""
    window_seconds: float
    """A rate looks back so far: what went unseen within it is missing from the rate still."""

    def missing(self, time: float) -> tuple[int, int] | None:
        """(missing, ready) pods by the newest count in the window up to ``time`` that misses any; None where none does.

        >>> import numpy as np
        >>> three = Coverage(Series(0, 60, np.array([6.0, 6.0])), Series(0, 60, np.array([3.0, 6.0])), 90.0)
        >>> three.missing(60.0), three.missing(120.0)
        ((3, 6), None)
        """
        ready = self.ready.between(time - self.window_seconds + self.ready.step_seconds / 2, time)
        for at, count in zip(ready.times[::-1], ready.values[::-1], strict=True):
            seen = self.seen.at(float(at))
            if seen < count:
                return round(count - seen), round(count)
        return None

    def joined(self, newer: Coverage, keep_seconds: float) -> Coverage:
        """This count continued by ``newer``, cut to ``keep_seconds``."""
        if newer.ready.step_seconds != self.ready.step_seconds:
            return newer
        return Coverage(
            self.ready.joined(newer.ready, keep_seconds),
            self.seen.joined(newer.seen, keep_seconds),
            newer.window_seconds,
        )


@dataclass(frozen=True, slots=True)
class WorkloadHistory:
    """Signals of one workload, all on one grid; a signal that was never seen is an empty series."""

    load: Series
    """Demand in the load's unit; CPU usage in cores where the policy names no load."""
    replicas: Series
    """Ready replicas."""
    cpu_size: Series
    """CPU in cores that one pod may use: its limits, or its requests where there is no limit."""
    cpu_cores: dict[str, Series] = field(default_factory=dict)
    """CPU usage in cores by container, summed over the pods."""
    memory_bytes: dict[str, Series] = field(default_factory=dict)
    """Memory working set in bytes by container, largest pod."""
    throttled: dict[str, Series] = field(default_factory=dict)
    """Share of CPU bandwidth periods with throttling by container, 0 to 1; read only while a trial asks for it."""
    objectives: dict[str, Series] = field(default_factory=dict)
    """Value of each objective by its name."""
    startup_seconds: float | None = None
    """Time from creation to Ready of a recent pod; None when it was never seen."""
    coverage: dict[str, Coverage] = field(default_factory=dict)
    """How many pods each signal speaks for, by its name (``cpu``, ``memory``, ``load``, ``objective/p99``), lately and
    as far back as a trial reaches; signals that are not counted by pod are not here."""
    read_to: Mapping[str, float] = field(default_factory=dict)
    """Time up to which each signal was read, by its name; one that was never answered is not here."""


def without_samples(history: WorkloadHistory) -> WorkloadHistory:
    """The same signals without their samples; units and start-up time stay."""

    def bare(series: Series) -> Series:
        return empty(series.step_seconds, series.unit)

    return WorkloadHistory(
        load=bare(history.load),
        replicas=bare(history.replicas),
        cpu_size=bare(history.cpu_size),
        cpu_cores={name: bare(series) for name, series in history.cpu_cores.items()},
        memory_bytes={name: bare(series) for name, series in history.memory_bytes.items()},
        throttled={name: bare(series) for name, series in history.throttled.items()},
        objectives={name: bare(series) for name, series in history.objectives.items()},
        startup_seconds=history.startup_seconds,
    )
