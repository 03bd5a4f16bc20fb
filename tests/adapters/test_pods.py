"""Pods as the API server has them: which are of the change, what befell them, and why some do not come up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planning.building import workload
from trimtab.adapters.kube import JsonObject, KubeError
from trimtab.adapters.pods import Pods
from trimtab.domain.choices import TargetKind
from trimtab.domain.pods import PodsSeen, PodsUnread

AT, UNIX = "2026-01-01T00:00:10Z", 1767225610.0


def pod(name: str, owner: str, *, ready: bool = True, **more: Any) -> JsonObject:
    """A pod of a ReplicaSet."""
    conditions = [{"type": "Ready", "status": str(ready)}, *more.pop("conditions", [])]
    meta = {"name": name, "uid": f"uid-{name}", "ownerReferences": [{"uid": owner, "controller": True}]}
    meta |= more.pop("metadata", {})
    return {"metadata": meta, "status": {"conditions": conditions, **more}}


def replica_set(uid: str, revision: str, owner: str = "uid-1", **status: Any) -> JsonObject:
    """A ReplicaSet of the Deployment."""
    annotations = {"deployment.kubernetes.io/revision": revision}
    owners = [{"uid": owner, "controller": True}]
    return {"metadata": {"uid": uid, "annotations": annotations, "ownerReferences": owners}, "status": status}


class Answers:
    """Lists, by the end of their path."""

    def __init__(self, **lists: list[JsonObject] | KubeError) -> None:
        self.lists = lists
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def list(self, path: str, **query: str) -> list[JsonObject]:
        kind = path.rpartition("/")[2]
        self.asked.append((kind, query))
        answer = self.lists.get(kind, [])
        if isinstance(answer, KubeError):
            raise answer
        return answer


async def seen(answers: Answers, *, why: bool = False, **changed: Any) -> PodsSeen | PodsUnread:
    """What is seen of a Deployment at revision 2."""
    return await Pods(answers).seen(workload(2, revision="2", **changed), why=why)  # type: ignore[arg-type]


async def test_pods_of_the_newest_replica_set_run_the_change_and_others_are_not_ours() -> None:
    sets = [replica_set("new", "2"), replica_set("old", "1"), replica_set("foreign", "2", owner="uid-9")]
    pods = [pod("a", "new"), pod("b", "old", ready=False), pod("c", "foreign")]
    found = await seen(Answers(replicasets=sets, pods=pods))
    assert isinstance(found, PodsSeen)
    assert [(one.name, one.of_change, one.ready) for one in found.pods] == [("a", True, True), ("b", False, False)]


async def test_pods_of_a_stateful_set_are_told_apart_by_their_label() -> None:
    pods = [
        pod(f"db-{index}", "uid-1", metadata={"labels": {"controller-revision-hash": revision}})
        for index, revision in enumerate(("1", "2"))
    ]
    found = await seen(Answers(pods=pods), kind=TargetKind.STATEFUL_SET)
    assert isinstance(found, PodsSeen)
    assert [one.of_change for one in found.pods] == [False, True]


async def test_what_befell_a_pod() -> None:
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": AT}}
    killed = [{"name": "app", "ready": True, "state": {"running": {}}, "lastState": last}]
    waits = [{"name": "app", "ready": False, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no"}}}]
    scheduled = [{"type": "PodScheduled", "status": "False", "message": "3 Insufficient cpu"}]
    pods = [
        pod("killed", "new", containerStatuses=killed),
        pod("waits", "new", ready=False, containerStatuses=waits),
        pod("pending", "new", ready=False, conditions=scheduled),
        pod("evicted", "new", reason="Evicted"),
        pod("preempted", "new", conditions=[{"type": "DisruptionTarget", "status": "True"}]),
        pod("ends", "new", metadata={"deletionTimestamp": AT}),
    ]
    found = await seen(Answers(replicasets=[replica_set("new", "2")], pods=pods))
    assert isinstance(found, PodsSeen)
    by_name = {one.name: one for one in found.pods}
    container = by_name["killed"].containers[0]
    assert (container.ended_at, container.ended_reason, container.exit_code) == (UNIX, "OOMKilled", 137)
    assert (by_name["waits"].containers[0].waiting, by_name["waits"].containers[0].message) == (
        "ImagePullBackOff",
        "no",
    )
    assert by_name["pending"].unschedulable == "3 Insufficient cpu"
    assert [name for name, one in by_name.items() if one.disrupted] == ["evicted", "preempted", "ends"]


FAILED = {"terminated": {"reason": "Error", "exitCode": 2, "finishedAt": AT}}
DONE = {"terminated": {"reason": "Completed", "exitCode": 0, "finishedAt": AT}}
RUNS: JsonObject = {"running": {}}


@pytest.mark.parametrize(
    ("state", "last", "is_sidecar", "ended"),
    [
        pytest.param(DONE, {}, False, (0.0, "", 0), id="done, as it should be"),
        pytest.param(FAILED, {}, False, (UNIX, "Error", 2), id="failed"),
        pytest.param({"waiting": {"reason": "CrashLoopBackOff"}}, FAILED, False, (UNIX, "Error", 2), id="fails"),
        pytest.param(DONE, FAILED, False, (0.0, "", 0), id="failed, was started again, and is done"),
        pytest.param(RUNS, {}, True, (0.0, "", 0), id="a sidecar that runs"),
        pytest.param(RUNS, DONE, True, (UNIX, "Completed", 0), id="a sidecar that ended, which it never should"),
        pytest.param(RUNS, FAILED, True, (UNIX, "Error", 2), id="a sidecar that failed"),
    ],
)
async def test_what_befell_an_init_container(
    state: JsonObject, last: JsonObject, is_sidecar: bool, ended: tuple[float, str, int]
) -> None:
    status = {"name": "setup", "ready": state is not FAILED, "state": state, "lastState": last}
    app = {"name": "app", "ready": True, "state": RUNS}
    body = pod("a", "new", initContainerStatuses=[status], containerStatuses=[app])
    body["spec"] = {"initContainers": [{"name": "setup", **({"restartPolicy": "Always"} if is_sidecar else {})}]}
    found = await seen(Answers(replicasets=[replica_set("new", "2")], pods=[body]))
    assert isinstance(found, PodsSeen)
    init, other = found.pods[0].containers
    assert (init.name, other.name) == ("setup", "app")
    assert (init.ended_at, init.ended_reason, init.exit_code) == ended
    assert init.waiting == state.get("waiting", {}).get("reason", "")
    assert other.ended_at == 0.0


@pytest.mark.parametrize("reason", ["Evicted", "Preempting", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"])
async def test_pods_that_end_with_their_node_or_for_others_are_disrupted(reason: str) -> None:
    bodies = [pod("a", "new", reason=reason), pod("b", "new", reason="DeadlineExceeded")]
    found = await seen(Answers(replicasets=[replica_set("new", "2")], pods=bodies))
    assert isinstance(found, PodsSeen)
    assert [one.disrupted for one in found.pods] == [True, False]


async def test_reasons_come_from_conditions_then_events_of_what_lags() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    newest = replica_set("new", "2", conditions=[{**failure, "lastTransitionTime": AT}])
    event = {"reason": "Unhealthy", "message": "(combined from similar events): HTTP 500", "lastTimestamp": AT}
    pods = [pod("a", "new"), pod("b", "new", ready=False), pod("c", "old", ready=False)]
    answers = Answers(replicasets=[newest, replica_set("old", "1")], pods=pods, events=[event])
    found = await seen(answers, why=True)
    assert isinstance(found, PodsSeen)
    assert [(one.reason, one.message, one.at) for one in found.told][:2] == [
        ("FailedCreate", "exceeded quota", UNIX),
        ("Unhealthy", "HTTP 500", UNIX),
    ]
    asked = [query["fieldSelector"] for kind, query in answers.asked if kind == "events"]
    assert asked == ["involvedObject.uid=new,type=Warning", "involvedObject.uid=uid-b,type=Warning"]
    assert all(query["labelSelector"] == "app=checkout" for kind, query in answers.asked if kind != "events")


async def test_pods_that_cannot_be_read_are_not_seen() -> None:
    refused = await seen(Answers(replicasets=KubeError(403, "Forbidden", "no")))
    away = await seen(Answers(pods=KubeError(503, "Unavailable", "later")))
    senseless = {"metadata": pod("x", "new")["metadata"], "status": "odd"}
    odd = await seen(Answers(replicasets=[replica_set("new", "2")], pods=[senseless]))
    assert isinstance(refused, PodsUnread)
    assert isinstance(away, PodsUnread)
    assert (refused.again, away.again) == (False, True)
    assert isinstance(odd, PodsUnread)
    assert not odd.again, "a guard that cannot be answered fails the trial"


async def test_events_that_cannot_be_read_hide_no_pods() -> None:
    answers = Answers(replicasets=[replica_set("new", "2")], pods=[], events=KubeError(403, "Forbidden", "no"))
    found = await seen(answers, why=True)
    assert isinstance(found, PodsSeen)
    assert "Events could not be read" in found.untold
