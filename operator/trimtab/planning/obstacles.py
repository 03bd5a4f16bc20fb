"""Obstacles: what keeps a change from its pods, from what the API server says. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trimtab.domain.pods import PodsSeen

_LASTING: Final = ("exceeded quota", "forbidden")
"""Words of a refusal that stands until somebody changes a quota, a LimitRange or the change itself."""
_STARTING: Final = frozenset({"ContainerCreating", "PodInitializing"})
"""Why a container waits that is on its way."""
_IMAGE: Final = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why pods do not come up."""

    reason: str
    """The API server's word, such as FailedCreate or Unschedulable."""
    message: str
    lasting: bool = False
    """Whether waiting cannot help."""

    def __str__(self) -> str:
        """Reason and message."""
        return f"{self.reason}: {self.message}" if self.message else self.reason


def obstacle(seen: PodsSeen, since: float) -> Obstacle | None:
    """The first thing that keeps pods from being made, placed, started or ready since then; None without a word."""
    return next(_obstacles(seen, since), None)


def _obstacles(seen: PodsSeen, since: float) -> Iterator[Obstacle]:
    told = [one for one in seen.told if one.at >= since]
    for one in told:
        if one.reason == "FailedCreate":
            yield Obstacle(one.reason, one.message, any(word in one.message for word in _LASTING))
    pods = [pod for pod in seen.pods if pod.of_change and not pod.ready and not pod.disrupted]
    for pod in pods:
        if pod.unschedulable:
            yield Obstacle("Unschedulable", f"pod {pod.name}: {pod.unschedulable}")
    for image in (True, False):
        for pod in pods:
            for container in pod.containers:
                if container.waiting and container.waiting not in _STARTING and (container.waiting in _IMAGE) is image:
                    of = f"container {container.name} of pod {pod.name}"
                    yield Obstacle(container.waiting, f"{of}: {container.message}" if container.message else of)
    for pod in pods:
        for container in pod.containers:
            if not container.ready and not container.waiting and container.ended_at >= since and container.exit_code:
                of = f"container {container.name} of pod {pod.name}"
                yield Obstacle(container.ended_reason or "Error", f"{of} ended with exit code {container.exit_code}")
    for one in told:
        if one.reason != "FailedCreate":
            yield Obstacle(one.reason, one.message)
    for pod in pods:
        waits = ", ".join(container.name for container in pod.containers if not container.ready)
        yield Obstacle("NotReady", f"pod {pod.name} runs and is not ready{f' ({waits})' if waits else ''}")
