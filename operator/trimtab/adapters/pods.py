"""Pods of a workload on trial, and the API server's reasons why some do not come up: listed, never watched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from trimtab.adapters.kube import JsonObject, KubeClient, KubeError
from trimtab.adapters.workloads import REVISION_ANNOTATION
from trimtab.domain.choices import TargetKind
from trimtab.domain.objects import Workload
from trimtab.domain.pods import ContainerSeen, PodSeen, PodsSeen, PodsUnread, Told
from trimtab.domain.status_types import parse_time

_MOST_PODS_ASKED: Final = 3
"""Pods whose Events are read: what keeps one from coming up keeps the others too."""
_DISRUPTED: Final = frozenset({"Evicted", "Preempting", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"})
_REVISION_LABEL: Final = "controller-revision-hash"


class Pods:
    """Reads what runs for one workload."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def seen(self, workload: Workload, *, why: bool) -> PodsSeen | PodsUnread:
        """The pods of a workload; with ``why`` also what the API server says of those that are missing or not ready.

        Never raises KubeError. Two lists, and with ``why`` up to four more.
        """
        try:
            return await self._seen(workload, why)
        except KubeError as error:
            if error.status in (401, 403):
                return PodsUnread("the operator may not list pods or replicasets; install its roles", again=False)
            return PodsUnread(str(error), again=error.status in (0, 429) or error.status >= 500)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return PodsUnread(f"pods as the API server has them make no sense: {error!r}", again=False)

    async def _seen(self, workload: Workload, why: bool) -> PodsSeen:
        makers = await self._makers(workload)
        newest = {maker["metadata"]["uid"]: _of_change(workload, maker) for maker in makers}
        bodies = await self._kube.list(_path(workload, "pods"), labelSelector=workload.selector)
        owned = [(body, owner) for body in bodies if (owner := _owner(body)) in newest]
        pods = tuple(_pod(body, of_change=_updated(workload, body, newest[owner])) for body, owner in owned)
        if not why:
            return PodsSeen(pods)
        told = [one for maker in makers if newest[maker["metadata"]["uid"]] for one in _conditions(maker)]
        lagging = {pod.name for pod in pods if pod.of_change and not pod.ready}
        makers_uids = [uid for uid, of_change in newest.items() if of_change]
        about = [body["metadata"]["uid"] for body, _ in owned if body["metadata"]["name"] in lagging]
        uids = [*makers_uids, *about[:_MOST_PODS_ASKED]]
        try:
            found = await asyncio.gather(*(self._events(workload, uid) for uid in uids))
        except KubeError as error:
            return PodsSeen(pods, tuple(told), f"Events could not be read: {error}")
        return PodsSeen(pods, (*told, *(one for events in found for one in events)))

    async def _makers(self, workload: Workload) -> list[JsonObject]:
        """What makes the pods: the ReplicaSets of a Deployment, or the StatefulSet itself."""
        if workload.kind is TargetKind.STATEFUL_SET:
            return [{"metadata": {"uid": workload.uid}}]
        path = f"/apis/apps/v1/namespaces/{workload.namespace}/replicasets"
        found = await self._kube.list(path, labelSelector=workload.selector)
        return [body for body in found if _owner(body) == workload.uid]

    async def _events(self, workload: Workload, uid: str) -> Iterable[Told]:
        """Warnings about one object."""
        bodies = await self._kube.list(
            _path(workload, "events"), fieldSelector=f"involvedObject.uid={uid},type=Warning"
        )
        return sorted((_told(body) for body in bodies), key=lambda one: -one.at)


def _path(workload: Workload, plural: str) -> str:
    return f"/api/v1/namespaces/{workload.namespace}/{plural}"


def _owner(body: JsonObject) -> str:
    """UID of the controller; empty without one."""
    owners = body["metadata"].get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _of_change(workload: Workload, maker: JsonObject) -> bool:
    """Whether a ReplicaSet is the newest of its Deployment; a StatefulSet makes pods of both kinds."""
    if workload.kind is TargetKind.STATEFUL_SET:
        return True
    return (maker["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION) == workload.revision


def _updated(workload: Workload, pod: JsonObject, of_change: bool) -> bool:
    if workload.kind is TargetKind.STATEFUL_SET:
        return (pod["metadata"].get("labels") or {}).get(_REVISION_LABEL) == workload.revision
    return of_change


def _conditions(maker: JsonObject) -> Iterator[Told]:
    for one in (maker.get("status") or {}).get("conditions") or []:
        if one.get("type") == "ReplicaFailure" and one.get("status") == "True":
            yield Told(one.get("reason", ""), one.get("message", ""), parse_time(one["lastTransitionTime"]))


def _told(event: JsonObject) -> Told:
    series = event.get("series") or {}
    at = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or 0.0
    message = str(event.get("message", "")).removeprefix("(combined from similar events): ")
    return Told(event.get("reason", ""), message, parse_time(at))


def _pod(body: JsonObject, *, of_change: bool) -> PodSeen:
    meta, status = body["metadata"], body.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    placed = conditions.get("PodScheduled") or {}
    inits, statuses = status.get("initContainerStatuses") or [], status.get("containerStatuses") or []
    sidecars = {
        one["name"]
        for one in (body.get("spec") or {}).get("initContainers") or []
        if one.get("restartPolicy") == "Always"
    }
    return PodSeen(
        name=meta["name"],
        of_change=of_change,
        ready=(conditions.get("Ready") or {}).get("status") == "True",
        disrupted="deletionTimestamp" in meta
        or status.get("reason") in _DISRUPTED
        or (conditions.get("DisruptionTarget") or {}).get("status") == "True",
        unschedulable=placed.get("message", "") if placed.get("status") == "False" else "",
        containers=(
            *(_container(one, may_end=one["name"] not in sidecars) for one in inits),
            *(_container(one) for one in statuses),
        ),
    )


def _container(status: JsonObject, *, may_end: bool = False) -> ContainerSeen:
    """A container; one that may end, as an init container does, has only ended where it failed."""
    state, last = status.get("state") or {}, status.get("lastState") or {}
    ends = [one for one in (state.get("terminated"), last.get("terminated")) if one]
    if may_end and (state.get("terminated") or {}).get("exitCode") == 0:
        ends = []  # it has done what it was to do, however often it tried
    ended: JsonObject = next((one for one in ends if not may_end or one.get("exitCode")), {})
    waiting = state.get("waiting") or {}
    finished = ended.get("finishedAt")
    return ContainerSeen(
        name=status["name"],
        ready=bool(status.get("ready")),
        ended_at=parse_time(finished) if finished else 0.0,
        ended_reason=ended.get("reason", ""),
        exit_code=ended.get("exitCode", 0),
        waiting=waiting.get("reason", ""),
        message=waiting.get("message", ""),
    )
