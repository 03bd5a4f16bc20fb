"""A fleet is not changed at once: how many trials may be open, whose turn it is, and when failures stop new ones."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trimtab.domain.objects import Run
from trimtab.domain.run import Phase, RunSpec, Trigger, VerdictResult
from trimtab.domain.run_status import GuardResult
from trimtab.domain.status_types import format_time

LEAST_OPEN: Final = 3
"""Open trials that a share of the policies never comes below."""
_HOUR: Final = 3600.0
_DAY: Final = 86400.0
_LIMIT: Final = re.compile(r"^([0-9]{1,6})(%?)$")
_JITTER_INTERVALS: Final = 3
_RANK: Final = {Trigger.OBJECTIVE: 0, Trigger.FORECAST: 1, Trigger.COST: 2, Trigger.MANUAL: 0}
_ENDED: Final = frozenset({Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.FAILED})
_NAMED: Final = 3
WAITS: Final = frozenset({"pausedAll", "fleetPaused", "openRuns"})
"""Guards that say not now, rather than no: what they hold stays pending."""


@dataclass(frozen=True, slots=True)
class OpenLimit:
    """How many trials may be open at once, under the operator and in each namespace."""

    count: int
    percent: bool

    @classmethod
    def parse(cls, text: str) -> OpenLimit:
        """From ``20`` or ``5%``; ValueError says what would be right.

        >>> OpenLimit.parse("5%").of(1000), OpenLimit.parse("5%").of(8), OpenLimit.parse("2").of(1000)
        (50, 3, 2)
        """
        match = _LIMIT.match(text.strip())
        if match is None or int(match[1]) == 0 or (match[2] and int(match[1]) > 100):
            raise ValueError(f"{text!r} is not a number of open runs; write a count from 1, or a share from 1% to 100%")
        return cls(int(match[1]), bool(match[2]))

    def of(self, policies: int) -> int:
        """The limit for so many policies that may act: a share is rounded up, and at least 3."""
        return max(LEAST_OPEN, math.ceil(policies * self.count / 100)) if self.percent else self.count


@dataclass(frozen=True, slots=True)
class Fleet:
    """What all the others mean for one policy that wants to begin a trial."""

    open_runs: int = 0
    """Trials of other policies that are open under this operator."""
    limit: int = LEAST_OPEN
    open_in_namespace: int = 0
    limit_in_namespace: int = LEAST_OPEN
    ahead: int = 0
    """Policies that wait, could begin now, and go first."""
    ahead_in_namespace: int = 0
    place: int = 1
    """Place in the queue, from 1."""
    waiting: int = 0
    """Policies that wait."""
    begins_at: float = 0.0
    """Not before this time, so that not all begin at once."""
    failures: str = ""
    """Too many trials failed: which, and what to do; empty while new ones may begin."""
    paused: str = ""
    """Everything is paused: by whom and why; empty while nothing is."""


def why_wait(fleet: Fleet, now: float) -> str:
    """Why it is not a policy's turn to begin a trial; empty when it is."""
    queue = f"place {fleet.place} of {max(fleet.waiting, fleet.place)} that wait"
    if fleet.open_runs >= fleet.limit:
        return f"waits for its turn: {fleet.open_runs} of {fleet.limit} runs are open (--max-open-runs), {queue}"
    if fleet.open_in_namespace >= fleet.limit_in_namespace:
        here = f"{fleet.open_in_namespace} of {fleet.limit_in_namespace} runs are open in the namespace"
        return f"waits for its turn: {here} (--max-open-runs), {queue}"
    if (
        fleet.open_runs + fleet.ahead >= fleet.limit
        or fleet.open_in_namespace + fleet.ahead_in_namespace >= fleet.limit_in_namespace
    ):
        return f"waits for its turn: others go first, {queue}"
    if now < fleet.begins_at:
        return f"begins at {format_time(fleet.begins_at)}, so that not all begin at once"
    return ""


def jitter(uid: str, interval_seconds: float) -> float:
    """Seconds by which a policy begins later than it could: the same each time, spread over three intervals.

    >>> 0 <= jitter("b7c1", 60.0) < 180 and jitter("b7c1", 60.0) == jitter("b7c1", 60.0)
    True
    """
    share = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4]) / 2**32
    return share * _JITTER_INTERVALS * interval_seconds


def rank(trigger: Trigger) -> int:
    """Who goes first in the queue: a broken objective, then a demand foreseen, then a saving."""
    return _RANK[trigger]


def only_waits(guards: Iterable[GuardResult]) -> bool:
    """Whether what the guards hold may begin later by itself: each that says no says not now."""
    said_no = [guard.name for guard in guards if guard.result == "Blocked"]
    return bool(said_no) and WAITS.issuperset(said_no)


@dataclass(frozen=True, slots=True)
class EndedTrial:
    """A trial of the operator's own that has ended by itself."""

    at: float
    failed: bool
    name: str
    """Namespace and name of its run."""


def ended_trial(run: Run) -> EndedTrial | None:
    """What a run counts for; None for one that is open, changed nothing, or was a person's or stopped by one."""
    if run.phase not in _ENDED or run.status.applied is None or not isinstance(run.spec, RunSpec):
        return None
    if run.spec.trigger is Trigger.MANUAL or run.spec.cancelled:
        return None
    at = run.status.timeline[-1].at if run.status.timeline else run.status.applied.at
    verdict = run.status.verdict
    undecided = verdict is not None and verdict.result is VerdictResult.INCONCLUSIVE
    failed = run.phase is not Phase.SUCCEEDED and not undecided  # what proves nothing speaks against nobody's metrics
    return EndedTrial(at, failed, f"{run.namespace}/{run.name}")


def too_many_failures(ended: Iterable[EndedTrial], resumed_at: float, now: float, least: int) -> str:
    """Why no new trial begins; empty while they may.

    So many failures within an hour, and more than half of the trials that ended in it: then none begins until a person
    resumes, or for a day. Only what ended after ``resumed_at`` counts. It rests on the runs alone, so that a restarted
    operator finds the same.
    """
    recent = sorted((one for one in ended if max(resumed_at, now - _DAY) < one.at), key=lambda one: one.at)
    for index, last in enumerate(recent):
        within = [one for one in recent[: index + 1] if one.at > last.at - _HOUR]
        failed = [one for one in within if one.failed]
        if last.failed and len(failed) >= least and 2 * len(failed) > len(within):
            names = ", ".join(one.name for one in failed[-_NAMED:])
            return (
                f"{len(failed)} of {len(within)} trials failed in the hour before {format_time(last.at)}, the last of"
                f" them {names}; look at them, then trimtab resume --fleet"
            )
    return ""
