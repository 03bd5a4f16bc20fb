"""Guards of a trial: each alone, what is excepted, and that one that trips fails the trial."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.planning.building import CPU_UP, REPLICAS_4_TO_6, workload
from trimtab.domain.pods import ContainerSeen, PodSeen, PodsSeen
from trimtab.domain.rollout import RolloutStatus
from trimtab.domain.run_status import Applied, Progress
from trimtab.domain.status import Snapshot
from trimtab.planning.trial_guards import Throttled, TrialFacts, failed_guard

COMPLETE = Applied(
    uid="uid-1",
    manager="trimtab",
    before=Snapshot(),
    after=Snapshot(),
    at=100.0,
    progress=Progress(at=110.0, wanted=4, remaining=0),
    complete_at=110.0,
    validate_from=130.0,
    validate_interval_seconds=10,
    measurements=4,
)


def facts(**changed: Any) -> TrialFacts:
    """Of a healthy trial of another CPU size: four pods, complete at 110 s, with a patience of 30 s."""
    given: dict[str, Any] = {
        "changes": (CPU_UP,),
        "applied": COMPLETE,
        "workload": workload(4),
        "pods": PodsSeen((PodSeen("web-1", containers=(ContainerSeen("app"), ContainerSeen("side"))),)),
        "throttled": (),
        "patience_seconds": 30.0,
        "now": 200.0,
    }
    return TrialFacts(**{**given, **changed})


def test_a_healthy_trial_goes_on() -> None:
    assert failed_guard(facts()) == ""


def short(ready: int, since: float, wanted: int = 4, **changed: Any) -> TrialFacts:
    """Of a trial with so many ready pods since then."""
    progress = Progress(at=since, wanted=wanted, remaining=2 * (wanted - ready))
    rollout = RolloutStatus(updated=wanted, ready=ready, available=ready, total=wanted)
    return facts(
        workload=workload(wanted, rollout=rollout),
        applied=COMPLETE.model_copy(update={"progress": progress, **changed}),
    )


@pytest.mark.parametrize(
    ("given_facts", "said"),
    [
        pytest.param(short(3, since=199.0), "", id="one short for a second"),
        pytest.param(short(3, since=170.0), "", id="one short for all of the patience"),
        pytest.param(short(3, since=169.0), "3 of 4 replicas are ready, for 31s", id="one short for longer"),
        pytest.param(short(0, since=199.0), "none of 4 replicas is ready", id="none"),
        pytest.param(short(0, since=100.0, complete_at=None), "", id="none, before the change was complete"),
        pytest.param(short(4, since=100.0), "", id="all"),
    ],
)
def test_ready_replicas(given_facts: TrialFacts, said: str) -> None:
    why = failed_guard(given_facts)
    assert (said in why) if said else why == ""
    assert not said or why.startswith("guard readyReplicas: ")


def ended(reason: str = "Error", at: float = 150.0, container: str = "app", **pod: Any) -> PodsSeen:
    """A pod whose container ended and was started again."""
    seen = ContainerSeen(container, ended_at=at, ended_reason=reason, exit_code=1)
    return PodsSeen((PodSeen("web-0"), PodSeen("web-1", containers=(seen,), **pod)))


@pytest.mark.parametrize(
    ("given_facts", "said"),
    [
        pytest.param(facts(pods=ended()), "container app of pod web-1 ended", id="a restart"),
        pytest.param(facts(pods=ended("OOMKilled")), "killed for memory (OOMKilled)", id="killed for memory"),
        pytest.param(facts(pods=ended(at=99.0)), "", id="before the change"),
        pytest.param(facts(pods=ended(container="side")), "", id="a container that was not changed"),
        pytest.param(
            facts(pods=ended(container="side"), changes=(REPLICAS_4_TO_6,)), "container side", id="another count, any"
        ),
        pytest.param(
            facts(pods=ended("OOMKilled", container="proxy"), changes=(REPLICAS_4_TO_6,)),
            "container proxy of pod web-1 was killed for memory",
            id="another count, a native sidecar killed for memory",
        ),
        pytest.param(facts(pods=ended(of_change=False)), "", id="a pod of the former size"),
        pytest.param(facts(pods=ended(disrupted=True)), "", id="evicted, preempted, or lost with its node"),
        pytest.param(facts(pods=ended("ContainerStatusUnknown")), "", id="the node was lost"),
    ],
)
def test_restarts(given_facts: TrialFacts, said: str) -> None:
    why = failed_guard(given_facts)
    assert (said in why) if said else why == ""
    assert not said or why.startswith("guard restarts: ")


NAN = math.nan


def throttled(before: list[float], after: list[float], *, loaded: int | None = None, read: bool = True) -> Throttled:
    """Throttling of the container on trial, with the load in the first ``loaded`` samples, by default in all."""
    with_load = np.arange(len(after)) < (len(after) if loaded is None else loaded)
    return Throttled("app", np.array(before), np.array(after), with_load, read)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param([0.1, 0.1], [0.3, 0.3, 0.3], "in up to 30% of its CPU periods, more than 25% in 3", id="beyond"),
        pytest.param([0.1, 0.1], [0.3, 0.2, 0.3, 0.3], "in 3 measurements", id="three of four"),
        pytest.param([0.1, 0.1], [0.3, 0.2, 0.3], "", id="two"),
        pytest.param([0.1, 0.1], [0.25, 0.25, 0.25, 0.25], "", id="not beyond a quarter"),
        pytest.param([0.2, 0.2], [0.39, 0.39, 0.39, 0.39], "", id="not twice as much"),
        pytest.param([0.2, 0.2], [0.41, 0.41, 0.41], "more than 40%", id="twice as much"),
        pytest.param([NAN, NAN], [0.3, 0.3, 0.3], "before the change it was 0%", id="no limit before"),
        pytest.param([0.1], [NAN, NAN, NAN], "", id="not there yet"),
        pytest.param([0.1], [NAN, NAN, NAN, NAN], "of container app in only 0 of 4 measurements", id="vanished"),
        pytest.param([0.1], [0.9, NAN, NAN, NAN], "in only 1 of 4 measurements", id="known in less than half"),
        pytest.param([NAN], [0.9, NAN, NAN, NAN], "in only 1 of 4 measurements", id="less than half, none before"),
        pytest.param([0.1], [0.9, 0.1, NAN, NAN], "", id="known in half"),
        pytest.param([NAN], [NAN, NAN, NAN, NAN], "", id="never measured"),
    ],
)
def test_throttling(before: list[float], after: list[float], said: str) -> None:
    why = failed_guard(facts(throttled=(throttled(before, after),)))
    assert (said in why) if said else why == ""
    assert not said or why.startswith("guard cpuThrottling: ")


def test_a_guard_that_trips_fails_the_trial() -> None:
    def trips(_: TrialFacts) -> str:
        raise KeyError("status")

    assert failed_guard(facts(), [("odd", trips)]) == "guard odd: could not be answered: KeyError: 'status'"


def test_a_trial_of_few_samples_fails_where_all_are_throttled() -> None:
    given = facts(applied=COMPLETE.model_copy(update={"measurements": 2}), throttled=(throttled([0.0], [0.9, 0.9]),))
    assert "more than 25% in 2 measurements" in failed_guard(given)


def test_an_unread_answer_is_not_one_that_nothing_exports() -> None:
    """What was refused all the time could have been anything."""
    unread = throttled([NAN], [NAN] * 4, read=False)
    assert (unread.never_measured, unread.unanswered, unread.lost) == (False, True, True)
    assert failed_guard(facts(throttled=(unread,))).startswith("guard cpuThrottling: could not be answered: ")
    absent = replace(unread, read=True)
    assert (absent.never_measured, absent.unanswered, absent.lost) == (True, False, False)
    assert not replace(absent, before=np.array([0.1])).never_measured


@pytest.mark.parametrize(("loaded", "lost"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
def test_samples_without_the_load_too_fail_no_trial_but_prove_nothing(loaded: int, lost: bool) -> None:
    """One of four has throttling: nothing was read in the others, as in an outage, or all was read but throttling."""
    seen = throttled([0.1], [0.1, NAN, NAN, NAN], loaded=loaded)
    assert (seen.lost, seen.unanswered) == (lost, True)
    assert bool(failed_guard(facts(throttled=(seen,)))) is lost
