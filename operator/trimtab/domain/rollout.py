"""How far a workload's controller has come with what its spec asks for, from its status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NO_DEADLINE_SECONDS: Final = 600.0
"""Kubernetes' own progress deadline of a Deployment, which stands in where a workload has none."""


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """Counts of pods as the workload's controller reports them."""

    observed: bool = True
    """The counts are of the present generation of the spec."""
    updated: int = 0
    """Pods of the present template."""
    ready: int = 0
    available: int = 0
    """Pods that have been ready for ``minReadySeconds``."""
    total: int = 0
    """Pods of any template; those that are about to end are not counted."""
    one_revision: bool = True
    """A StatefulSet's current revision is the one that it updates to."""
    held: str = ""
    """Why a change of the template reaches no pod, or not every one: paused, OnDelete, a partition."""
    scales: bool = True
    """Whether a change of the count still takes place where ``held``."""
    deadline_seconds: float = NO_DEADLINE_SECONDS
    """``progressDeadlineSeconds`` of a Deployment."""
    deadline_passed: str = ""
    """What a Deployment says once it has made no progress for so long."""
    deadline_passed_at: float = 0.0
    """Since when it says so, in unix seconds."""

    def remaining(self, wanted: int, *, of_template: bool) -> int:
        """Steps that are left until ``wanted`` pods are there and serve; 0 once a change is complete.

        A change of the template is complete when all pods are of it, one of the count alone when so many serve. Until
        the controller has seen the change, its counts are of what was before: then everything is left.

        >>> RolloutStatus(updated=1, ready=4, available=4, total=5).remaining(4, of_template=True)
        8
        >>> RolloutStatus(updated=0, ready=6, available=6, total=6).remaining(6, of_template=False)
        0
        >>> RolloutStatus(observed=False, updated=4, ready=4, available=4, total=4).remaining(4, of_template=True)
        25
        """
        if not self.observed:
            return 4 * wanted + 2 * self.total + 1
        left = abs(wanted - self.total) + max(0, wanted - self.ready) + max(0, wanted - self.available)
        if of_template:
            left += max(0, wanted - self.updated) + max(0, self.total - self.updated) + (not self.one_revision)
        return left

    def told(self, wanted: int, *, of_template: bool) -> str:
        """The counts in words.

        >>> RolloutStatus(updated=1, ready=4, available=3, total=5).told(4, of_template=True)
        '1 of 4 pods run the change, 4 are ready, 3 are available, 4 old ones are left'
        """
        if not self.observed:
            return "the controller has not seen the change yet"
        serve = f"{self.ready} are ready, {self.available} are available"
        if not of_template:
            return f"{self.total} pods of {wanted} are there, {serve}"
        return f"{self.updated} of {wanted} pods run the change, {serve}, {self.total - self.updated} old ones are left"
