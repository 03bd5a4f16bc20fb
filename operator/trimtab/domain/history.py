"""What was measured of one workload: its signals as series on one grid."""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab.domain.series import Series, empty


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
    objectives: dict[str, Series] = field(default_factory=dict)
    """Value of each objective by its name."""
    startup_seconds: float | None = None
    """Time from creation to Ready of a recent pod; None when it was never seen."""


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
        objectives={name: bare(series) for name, series in history.objectives.items()},
        startup_seconds=history.startup_seconds,
    )
