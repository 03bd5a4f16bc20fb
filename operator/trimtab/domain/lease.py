"""Who acts: what a Lease says, how long it may be relied on, and when it may be taken. Pure; clocks are given."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

SWITCH_ANNOTATION: Final = "trimtab.dev/switch"
_RIVAL_DURATIONS: Final = 2.0
"""A lease of the other scope counts for so many durations after its last sign of life: its own standby goes first."""


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """Paces of the election in seconds, as in client-go."""

    duration: float = 10.0
    """Others may take the lease when it was not renewed for so long."""
    renew_deadline: float = 7.0
    """Who could not renew it for so long writes nothing more."""
    retry: float = 2.0
    """Between two attempts to renew it, or to take it."""

    def __post_init__(self) -> None:
        if not 0 < self.retry < self.renew_deadline < self.duration:
            given = f"{self.retry:g} s, {self.renew_deadline:g} s and {self.duration:g} s"
            raise ValueError(f"lease: retry < renew deadline < duration must hold, and it is {given}")

    @property
    def request(self) -> float:
        """Longest wait for one request about the lease."""
        return self.renew_deadline / 2

    @property
    def margin(self) -> float:
        """A write must have its answer so long before others may take the lease."""
        return (self.duration - self.renew_deadline) / 3


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment by two clocks: one that cannot be set, and one that counts while the machine is suspended."""

    ticking: float
    wall: float


def elapsed(since: Moment, now: Moment) -> float:
    """Seconds in between by the clock that counted more; a wall clock that was set back counts nothing.

    >>> elapsed(Moment(5.0, 100.0), Moment(6.0, 112.0)), elapsed(Moment(5.0, 100.0), Moment(6.0, 40.0))
    (12.0, 1.0)
    """
    return max(now.ticking - since.ticking, now.wall - since.wall)


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a Lease says."""

    namespace: str
    name: str
    resource_version: str
    holder: str = ""
    duration: float = 0.0
    acquired: str = ""
    renewed: str = ""
    transitions: int = 0
    switch: str = ""
    """Namespace and name of the switch that its holder reads."""

    def is_as(self, other: LeaseRecord) -> bool:
        """Whether nobody wrote the spec in between."""
        return replace(self, resource_version="") == replace(other, resource_version="")


def parse_lease(body: dict[str, Any]) -> LeaseRecord:
    """A record from the object that the API server returned."""
    meta, spec = body["metadata"], body.get("spec") or {}
    return LeaseRecord(
        namespace=meta["namespace"],
        name=meta["name"],
        resource_version=meta.get("resourceVersion", ""),
        holder=spec.get("holderIdentity") or "",
        duration=float(spec.get("leaseDurationSeconds") or 0),
        acquired=spec.get("acquireTime") or "",
        renewed=spec.get("renewTime") or "",
        transitions=int(spec.get("leaseTransitions") or 0),
        switch=(meta.get("annotations") or {}).get(SWITCH_ANNOTATION, ""),
    )


def lease_body(record: LeaseRecord) -> dict[str, Any]:
    """The object of a record, to be created or to replace the version that it names."""
    version = {"resourceVersion": record.resource_version} if record.resource_version else {}
    about = {"annotations": {SWITCH_ANNOTATION: record.switch}} if record.switch else {}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": record.namespace, "name": record.name, **version, **about},
        "spec": {
            "holderIdentity": record.holder,
            "leaseDurationSeconds": max(1, math.ceil(record.duration)),
            "acquireTime": record.acquired,
            "renewTime": record.renewed,
            "leaseTransitions": record.transitions,
        },
    }


@dataclass(frozen=True, slots=True)
class Sighting:
    """A record, and since when it has looked like this to us: no clock but our own is asked."""

    record: LeaseRecord
    since: float
    """By our ticking clock."""
    moved: bool
    """Whether we saw it change."""


def sighted(before: Sighting | None, record: LeaseRecord, now: Moment) -> Sighting:
    """What is known of a lease after it was read again."""
    if before is not None and before.record.is_as(record):
        return replace(before, record=record)
    return Sighting(record, now.ticking, moved=before is not None)


def is_free(seen: Sighting, now: Moment) -> bool:
    """Whether a lease may be taken: it was let go of, or not renewed for its duration as we saw it."""
    return not seen.record.holder or now.ticking - seen.since >= seen.record.duration


def is_alive(seen: Sighting, now: Moment) -> bool:
    """Whether somebody acts under a lease of the other scope, or a standby of his is about to."""
    if not seen.record.holder and not seen.moved:
        return False
    return now.ticking - seen.since < _RIVAL_DURATIONS * seen.record.duration


def why_wait(own: Sighting | None, rivals: Iterable[Sighting], identity: str, now: Moment) -> str:
    """Why the lease is not to be taken now; empty when it is. ``own`` is None while there is no such object."""
    for rival in rivals:
        if is_alive(rival, now):
            record = rival.record
            who = f", held by {record.holder}" if record.holder else ""
            return f"another operator acts under lease {record.namespace}/{record.name}{who}"
    if own is None or own.record.holder == identity or is_free(own, now):
        return ""
    return f"lease {own.record.namespace}/{own.record.name} is held by {own.record.holder}"


def taken(own: LeaseRecord, identity: str, duration: float, wall: float, switch: str) -> LeaseRecord:
    """The record with which we take a lease, or renew our own."""
    stamp = _stamp(wall)
    renewed = replace(own, duration=duration, renewed=stamp, switch=switch)
    if own.holder == identity:
        return renewed
    transitions = own.transitions + 1 if own.resource_version else 0
    return replace(renewed, holder=identity, acquired=stamp, transitions=transitions)


def let_go(own: LeaseRecord, wall: float) -> LeaseRecord:
    """The record with which we give a lease up."""
    return replace(own, holder="", renewed=_stamp(wall))


def _stamp(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
