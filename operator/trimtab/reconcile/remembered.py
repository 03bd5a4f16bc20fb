"""What the operator keeps in memory of a policy between rounds; all of it can be made again after a restart."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from trimtab.domain.status import PolicyStatus
from trimtab.planning.findings import Known
from trimtab.planning.following import Memory


@dataclass(slots=True)
class Remembered:
    """One policy's memory."""

    status: PolicyStatus
    """As it is known now; the operator is its only writer."""
    written: PolicyStatus = field(default_factory=PolicyStatus)
    """As it was last written by this process."""
    following: Memory = field(default_factory=Memory)
    known: Known | None = None
    failures: int = 0
    """Evaluations in a row that broke off."""
    evaluated_at: float = 0.0
    """When it was evaluated last, in this process."""
    insights_good_at: float | None = None
    """When insights were gained last, in this process."""
    no_insights_until: float = -math.inf
    """None are looked for until then."""
    unlisted_since: float = math.inf
    """Since when the workloads of its namespace cannot be listed."""
    written_at: float = -math.inf
    """When the status was last written."""
