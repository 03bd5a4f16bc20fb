"""How the controllers of Deployments and StatefulSets replace pods, simplified: pure plans over what is there.

Deployments follow `RollingUpdate` (surge rounded up, unavailable rounded down; kubernetes.io, "Deployments",
rolling update). StatefulSets follow `OrderedReady` with one pod at a time. Terminating takes no time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Member:
    """A pod as its controller sees it; in a Deployment the ordinal is the order of creation."""

    name: str
    ordinal: int
    current: bool
    ready: bool


@dataclass(frozen=True)
class Plan:
    """Names of pods to delete and ordinals of pods to create, at once."""

    delete: tuple[str, ...] = ()
    create: tuple[int, ...] = ()


def plan_deployment(
    members: Sequence[Member], replicas: int, next_ordinal: int, max_surge: float, max_unavailable: float
) -> Plan:
    """The next moves towards `replicas` current pods; `max_surge` and `max_unavailable` are shares of the replicas.

    Of surplus pods those that are not ready go first, then the youngest; new ones count from `next_ordinal`.

    >>> old = [Member(f"p{i}", i, current=False, ready=True) for i in range(4)]
    >>> plan_deployment(old, 4, 9, 0.25, 0.25)
    Plan(delete=('p0',), create=(9, 10))
    """
    surge, unavailable = math.ceil(replicas * max_surge), math.floor(replicas * max_unavailable)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    current = [member for member in members if member.current]
    outdated = [member for member in members if not member.current]
    if len(current) > replicas:
        surplus = sorted(current, key=lambda member: (member.ready, -member.ordinal))
        return Plan(delete=tuple(member.name for member in surplus[: len(current) - replicas]))
    spare = max(0, sum(member.ready for member in members) - (replicas - unavailable))
    healthy = sorted((member for member in outdated if member.ready), key=lambda member: member.ordinal)
    delete = [member.name for member in outdated if not member.ready] + [member.name for member in healthy[:spare]]
    room = replicas + surge - (len(members) - len(delete))
    count = max(0, min(replicas - len(current), room))
    return Plan(tuple(delete), tuple(range(next_ordinal, next_ordinal + count)))


def plan_statefulset(members: Sequence[Member], replicas: int) -> Plan:
    """The next move: remove the highest ordinal above `replicas`, fill the lowest gap, or replace an outdated pod.

    The outdated pod with the highest ordinal goes first. While a pod is not ready, only outdated pods that are not
    ready either are replaced.
    """
    surplus = [member for member in members if member.ordinal >= replicas]
    if surplus:
        return Plan(delete=(max(surplus, key=lambda member: member.ordinal).name,))
    outdated = [member for member in members if not member.current]
    waiting = [member for member in members if not member.ready]
    if waiting:
        stuck = [member for member in waiting if not member.current]
        return Plan(tuple(member.name for member in stuck), tuple(member.ordinal for member in stuck))
    present = {member.ordinal for member in members}
    gaps = [ordinal for ordinal in range(replicas) if ordinal not in present]
    if gaps:
        return Plan(create=(gaps[0],))
    if outdated:
        last = max(outdated, key=lambda member: member.ordinal)
        return Plan((last.name,), (last.ordinal,))
    return Plan()
