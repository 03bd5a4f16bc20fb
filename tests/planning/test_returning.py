"""After an undo: whether the pods came back too, and what is said where they did not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planning.building import REPLICAS_4_TO_6, plan, policy, run, workload
from trimtab.domain.objects import Workload
from trimtab.domain.pods import PodsSeen, Told
from trimtab.domain.rollout import RolloutStatus
from trimtab.domain.run import Phase
from trimtab.domain.run_status import Applied, Rollback, RunStatus
from trimtab.domain.status import Snapshot
from trimtab.planning.lifecycle import next_step
from trimtab.planning.returning import watched_until
from trimtab.planning.steps import Record, RunFacts, Wait

UNDONE_AT, DEADLINE = 1000.0, 600.0
QUOTA = Told("FailedCreate", 'pods "a" is forbidden: exceeded quota: full', UNDONE_AT + 1.0)
PROBE = Told("Unhealthy", "Readiness probe failed", UNDONE_AT + 1.0)
LACKS_ONE = workload(4, rollout=RolloutStatus(updated=3, ready=3, available=3, total=3))
APPLIED = Applied(
    uid="uid-1",
    manager="trimtab",
    before=Snapshot(),
    after=Snapshot(),
    at=900.0,
    validate_interval_seconds=5,
    measurements=4,
)


def facts(live: Workload | None, *told: Told, until: float | None = UNDONE_AT + DEADLINE) -> RunFacts:
    """A run that was rolled back from 6 to 4 replicas."""
    rollback = Rollback(reason="worse", at=UNDONE_AT, restored=True, watched_until=until)
    status = RunStatus(phase=Phase.ROLLED_BACK, plan=plan(REPLICAS_4_TO_6), applied=APPLIED, rollback=rollback)
    return RunFacts(run(status), policy(), live, pods=PodsSeen(told=told))


def said(live: Workload | None, after: float, *told: Told) -> Rollback | None:
    """What is recorded so many seconds after the undo; None where it is waited."""
    step = next_step(facts(live, *told), UNDONE_AT + after)
    if isinstance(step, Wait):
        return None
    assert isinstance(step, Record)
    assert step.status.phase is Phase.ROLLED_BACK
    return step.status.rollback


CASES: dict[str, tuple[Workload | None, float, tuple[Told, ...], bool | None]] = {
    "back": (workload(4), 5.0, (), True),
    "on their way": (LACKS_ONE, 5.0, (), None),
    "refused a moment ago": (LACKS_ONE, 5.0, (QUOTA,), None),
    "refused for good": (LACKS_ONE, 31.0, (QUOTA,), False),
    "not ready yet": (LACKS_ONE, 599.0, (PROBE,), None),
    "not ready in time": (LACKS_ONE, 600.0, (PROBE,), False),
    "no word": (LACKS_ONE, 600.0, (), False),
    "changed since": (replace(LACKS_ONE, replicas=9), 600.0, (QUOTA,), True),
    "made anew": (replace(LACKS_ONE, uid="uid-2"), 600.0, (QUOTA,), True),
    "gone": (None, 600.0, (QUOTA,), True),
}


@pytest.mark.parametrize(("live", "after", "told", "restored"), CASES.values(), ids=CASES.keys())
def test_what_is_said_of_the_pods(live: Workload | None, after: float, told: Any, restored: bool | None) -> None:
    found = said(live, after, *told)
    assert (found.restored if found else None) is restored
    if found:
        assert found.watched_until is None, "it is said once"
        assert bool(found.not_restored) is not restored
    if restored is False:
        assert found is not None
        assert found.not_restored[0].startswith("pods: the spec is as before, and 3 pods of 4 are there")
        assert (told[0].message if told else "the API server gives no reason") in found.not_restored[0]


def test_a_run_that_ended_otherwise_is_left_alone() -> None:
    assert isinstance(next_step(facts(LACKS_ONE, QUOTA, until=None), UNDONE_AT + 999.0), Wait)


def test_pods_are_looked_for_until_a_rollout_would_have_failed() -> None:
    assert watched_until(facts(LACKS_ONE), 1000.0) == 1600.0
    assert watched_until(facts(workload(4)), 1000.0) is None
    assert watched_until(facts(workload(6)), 1000.0) is None
