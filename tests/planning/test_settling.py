"""How far a change has come: what is progress, and for how long a rollout may stand still, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planning.building import plan, policy, policy_spec, run, workload
from trimtab.domain.pods import PodsSeen, Told
from trimtab.domain.rollout import RolloutStatus
from trimtab.domain.run import Phase
from trimtab.domain.run_status import Applied, Progress, RunStatus
from trimtab.domain.status import Snapshot
from trimtab.planning.settling import moved, not_complete
from trimtab.planning.steps import RunFacts

LAST = Progress(at=100.0, wanted=4, remaining=5)
DONE = Progress(at=100.0, wanted=4, remaining=0)


@pytest.mark.parametrize(
    ("before", "wanted", "remaining", "news"),
    [
        pytest.param(None, 4, 5, True, id="first look"),
        pytest.param(LAST, 4, 4, True, id="nearer"),
        pytest.param(LAST, 4, 5, False, id="as far"),
        pytest.param(LAST, 4, 6, False, id="a pod that comes and goes"),
        pytest.param(LAST, 5, 6, True, id="asked for anew"),
        pytest.param(DONE, 4, 1, True, id="no longer complete"),
        pytest.param(DONE, 4, 0, False, id="complete still"),
    ],
)
def test_what_is_progress(before: Progress | None, wanted: int, remaining: int, news: bool) -> None:
    assert moved(before, Progress(at=200.0, wanted=wanted, remaining=remaining)) is news


STUCK = RolloutStatus(updated=1, ready=3, available=3, total=4, deadline_seconds=60.0)
SAYS_SO = replace(STUCK, deadline_passed="has timed out progressing", deadline_passed_at=150.0)
QUOTA = PodsSeen(told=(Told("FailedCreate", "forbidden: exceeded quota: full", at=101.0),))
WEBHOOK = PodsSeen(told=(Told("FailedCreate", "failed calling webhook", at=101.0),))


@pytest.mark.parametrize(
    ("rollout", "pods", "stood", "said"),
    [
        pytest.param(STUCK, PodsSeen(), 59.0, "", id="within the deadline"),
        pytest.param(STUCK, PodsSeen(), 60.0, "the API server gives no reason", id="past the deadline"),
        pytest.param(replace(STUCK, deadline_seconds=5.0), PodsSeen(), 9.0, "", id="settle is longer"),
        pytest.param(replace(STUCK, deadline_seconds=5.0), PodsSeen(), 10.0, "did not reach its pods", id="settle"),
        pytest.param(SAYS_SO, PodsSeen(), 11.0, "has timed out progressing", id="the Deployment says so"),
        pytest.param(replace(SAYS_SO, deadline_passed_at=99.0), PodsSeen(), 11.0, "", id="it said so before"),
        pytest.param(replace(SAYS_SO, observed=False), PodsSeen(), 11.0, "", id="it has not seen the change"),
        # settle 10 s, two steps of 5 s and a start-up of 3 s
        pytest.param(STUCK, QUOTA, 22.0, "", id="refused, within the patience"),
        pytest.param(STUCK, QUOTA, 23.0, "FailedCreate: forbidden: exceeded quota: full", id="refused for good"),
        pytest.param(STUCK, WEBHOOK, 23.0, "", id="refused, and it may pass"),
        pytest.param(STUCK, WEBHOOK, 60.0, "FailedCreate: failed calling webhook", id="and does not"),
    ],
)
def test_how_long_a_rollout_may_stand_still(rollout: RolloutStatus, pods: PodsSeen, stood: float, said: str) -> None:
    given: dict[str, Any] = {"uid": "uid-1", "manager": "trimtab", "before": Snapshot(), "after": Snapshot()}
    applied = Applied(at=100.0, validate_interval_seconds=5, measurements=3, progress=LAST, **given)
    facts = RunFacts(
        run=run(RunStatus(phase=Phase.SETTLING, plan=plan(), applied=applied)),
        policy=policy(),
        workload=workload(4, rollout=rollout),
        pods=pods,
        step_seconds=5.0,
        startup_seconds=3.0,
    )
    seen = Progress(at=100.0 + stood, wanted=4, remaining=5, message="1 of 4 pods run the change")
    why = not_complete(applied, seen, policy_spec(), facts)
    assert (said in why) if said else why == ""


def test_a_rollout_that_the_controller_has_not_seen_yet_is_the_least_advanced() -> None:
    """Its counts are of the old pods, and would look nearer to the end than any rollout is before its end."""
    unseen = RolloutStatus(observed=False, updated=20, ready=20, available=20, total=20)
    begun = RolloutStatus(updated=5, ready=15, available=15, total=25)
    on = RolloutStatus(updated=10, ready=15, available=15, total=25)
    left = [one.remaining(20, of_template=True) for one in (unseen, begun, on)]
    assert left == sorted(left, reverse=True)
    seen = [Progress(at=0.0, wanted=20, remaining=count, message="") for count in left]
    assert moved(seen[0], seen[1])
    assert moved(seen[1], seen[2])
