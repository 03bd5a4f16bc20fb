"""The pods of a workload, and what the API server says of those that do not come up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContainerSeen:
    """A container as its pod's status has it."""

    name: str
    ready: bool = True
    ended_at: float = 0.0
    """When it ended last, in unix seconds; 0 for one that never did, and for an init container that never failed."""
    ended_reason: str = ""
    """Such as OOMKilled or Error."""
    exit_code: int = 0
    waiting: str = ""
    """Why it does not run, such as ImagePullBackOff."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod of the workload."""

    name: str
    of_change: bool = True
    """It is of the present template."""
    ready: bool = True
    disrupted: bool = False
    """It ends, or was evicted, preempted or lost with its node: nothing that happens to it tells of the change."""
    unschedulable: str = ""
    """What the scheduler says of it."""
    containers: tuple[ContainerSeen, ...] = ()
    """Init containers and native sidecars first."""


@dataclass(frozen=True, slots=True)
class Told:
    """An Event, or a condition, that says what goes wrong."""

    reason: str
    """Such as FailedCreate or Unhealthy."""
    message: str
    at: float
    """In unix seconds."""


@dataclass(frozen=True, slots=True)
class PodsSeen:
    """Everything that was read of a workload's pods."""

    pods: tuple[PodSeen, ...] = ()
    told: tuple[Told, ...] = ()
    """What tells most first; read only while a change is not complete."""
    untold: str = ""
    """Why the reasons could not be read."""


@dataclass(frozen=True, slots=True)
class PodsUnread:
    """Why the pods could not be read."""

    reason: str
    again: bool
    """Whether asking again may help; a refusal stands."""
