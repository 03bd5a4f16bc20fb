"""What keeps a change from its pods: the first thing that the API server names, of pods of the change alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trimtab.domain.pods import ContainerSeen, PodSeen, PodsSeen, Told
from trimtab.planning.obstacles import obstacle

QUOTA = Told("FailedCreate", 'pods "web-1" is forbidden: exceeded quota: full', at=100.0)
LIMIT = Told("FailedCreate", 'pods "web-1" is forbidden: maximum cpu usage per Container is 2', at=100.0)
WEBHOOK = Told("FailedCreate", "Internal error occurred: failed calling webhook", at=100.0)
PROBE = Told("Unhealthy", "Readiness probe failed: HTTP 500", at=100.0)
PENDING = PodSeen("web-1", ready=False, unschedulable="0/3 nodes are available: 3 Insufficient cpu")


def waiting(reason: str, message: str = "") -> PodSeen:
    """A pod with a container that does not run."""
    return PodSeen(
        "web-1", ready=False, containers=(ContainerSeen("app", ready=False, waiting=reason, message=message),)
    )


FAILING = ContainerSeen("setup", ready=False, ended_at=100.0, ended_reason="Error", exit_code=2)
ENDED = PodSeen("web-1", ready=False, containers=(FAILING, ContainerSeen("app", ready=False)))
RUNS = PodSeen("web-1", ready=False, containers=(ContainerSeen("app", ready=False), ContainerSeen("side")))


@pytest.mark.parametrize(
    ("seen", "said", "lasting"),
    [
        pytest.param(PodsSeen(told=(QUOTA,)), f"FailedCreate: {QUOTA.message}", True, id="quota"),
        pytest.param(PodsSeen(told=(LIMIT,)), f"FailedCreate: {LIMIT.message}", True, id="LimitRange"),
        pytest.param(PodsSeen(told=(WEBHOOK,)), f"FailedCreate: {WEBHOOK.message}", False, id="webhook"),
        pytest.param(PodsSeen((PENDING,)), "Unschedulable: pod web-1: 0/3 nodes are available", False, id="nodes"),
        pytest.param(
            PodsSeen((waiting("ImagePullBackOff", "no such image"),)),
            "ImagePullBackOff: container app of pod web-1: no such image",
            False,
            id="image",
        ),
        pytest.param(
            PodsSeen((waiting("CrashLoopBackOff"),), (PROBE,)),
            "CrashLoopBackOff: container app of pod web-1",
            False,
            id="crash before probe",
        ),
        pytest.param(
            PodsSeen((ENDED,), (PROBE,)),
            "Error: container setup of pod web-1 ended with exit code 2",
            False,
            id="ended",
        ),
        pytest.param(PodsSeen((RUNS,), (PROBE,)), f"Unhealthy: {PROBE.message}", False, id="probe"),
        pytest.param(PodsSeen((waiting("ContainerCreating"),)), "NotReady: pod web-1", False, id="starting"),
        pytest.param(
            PodsSeen((replace(ENDED, containers=(replace(FAILING, ended_at=99.0),)),)),
            "NotReady: pod web-1 runs and is not ready (setup)",
            False,
            id="ended before the change",
        ),
        pytest.param(PodsSeen((RUNS,)), "NotReady: pod web-1 runs and is not ready (app)", False, id="not ready"),
    ],
)
def test_the_reason(seen: PodsSeen, said: str, lasting: bool) -> None:
    found = obstacle(seen, since=100.0)
    assert found is not None
    assert str(found).startswith(said)
    assert found.lasting is lasting


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(PodsSeen(), id="nothing"),
        pytest.param(PodsSeen(told=(replace(QUOTA, at=99.0),)), id="told before the change"),
        pytest.param(PodsSeen((replace(PENDING, of_change=False),)), id="an old pod"),
        pytest.param(PodsSeen((replace(PENDING, disrupted=True),)), id="a pod that ends"),
        pytest.param(PodsSeen((PodSeen("web-1"),)), id="ready"),
    ],
)
def test_no_reason(seen: PodsSeen) -> None:
    assert obstacle(seen, since=100.0) is None
