"""Limits around workloads: ResourceQuotas of namespaces and what the nodes have, read seldom and never missed badly."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from trimtab.adapters.kube import JsonObject, KubeClient, KubeError
from trimtab.domain.units import parse_quantity
from trimtab.forecasting.capacity_plan import NodeRoom, Quota, Room, Unknown

KEPT_SECONDS: Final = 300.0
_PARALLEL_LISTS: Final = 4
_SAME: Final = {
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "count/pods": "pods",
    "requests.cpu": "requests.cpu",
    "requests.memory": "requests.memory",
    "limits.cpu": "limits.cpu",
    "limits.memory": "limits.memory",
    "pods": "pods",
}
"""Resources of a quota that bind a workload, by the name that they are told under."""
_OUR_SCOPES: Final = frozenset({"NotTerminating", "NotBestEffort"})
"""Scopes that pods of a Deployment or StatefulSet with requests fall under; a quota of another scope is not theirs."""


@dataclass(frozen=True, slots=True)
class LimitsSeen:
    """Limits as they were read last."""

    quotas: Mapping[str, tuple[Quota, ...] | Unknown] = field(default_factory=dict)
    """By namespace."""
    nodes: NodeRoom | Unknown = field(default_factory=lambda: Unknown("nodes were not read"))

    def room(self, namespace: str) -> Room:
        """What is known of the limits around a workload of this namespace."""
        return Room(self.quotas.get(namespace, Unknown("quotas were not read")), self.nodes)


class Limits:
    """Reads limits, and keeps each answer for five minutes, a refusal too; what cannot be read is unknown, with why."""

    def __init__(self, kube: KubeClient, clock: Callable[[], float]) -> None:
        self._kube = kube
        self._clock = clock
        self._quotas: dict[str, tuple[float, tuple[Quota, ...] | Unknown]] = {}
        self._nodes: tuple[float, NodeRoom | Unknown] | None = None
        self._slots = asyncio.Semaphore(_PARALLEL_LISTS)

    async def seen(self, namespaces: Iterable[str]) -> LimitsSeen:
        """Limits of these namespaces and of the nodes: one request each where the last answer is old. Never raises
        KubeError."""
        now = self._clock()
        wanted = set(namespaces)
        self._quotas = {name: kept for name, kept in self._quotas.items() if _fresh(kept[0], now)}

        async def one(namespace: str) -> None:
            async with self._slots:
                self._quotas[namespace] = (now, await self._read_quotas(namespace))

        await asyncio.gather(*(one(name) for name in wanted - self._quotas.keys()))
        if self._nodes is None or not _fresh(self._nodes[0], now):
            self._nodes = (now, await self._read_nodes())
        return LimitsSeen({name: self._quotas[name][1] for name in wanted}, self._nodes[1])

    async def _read_quotas(self, namespace: str) -> tuple[Quota, ...] | Unknown:
        try:
            bodies = await self._kube.list(f"/api/v1/namespaces/{namespace}/resourcequotas")
        except KubeError as error:
            return Unknown(_why(error, "resourcequotas"))
        found = (parse_quota(body) for body in bodies)
        return tuple(quota for quota in found if quota is not None)

    async def _read_nodes(self) -> NodeRoom | Unknown:
        try:
            return parse_nodes(await self._kube.list("/api/v1/nodes"))
        except KubeError as error:
            return Unknown(_why(error, "nodes"))


def parse_quota(body: JsonObject) -> Quota | None:
    """The quota, or None when it binds no pod that runs for good and has requests."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    if not set(spec.get("scopes") or []) <= _OUR_SCOPES or (spec.get("scopeSelector") or {}).get("matchExpressions"):
        return None
    hard = _amounts(status.get("hard") or spec.get("hard") or {})
    return Quota(body["metadata"]["name"], hard, _amounts(status.get("used") or {})) if hard else None


def parse_nodes(bodies: Iterable[JsonObject]) -> NodeRoom | Unknown:
    """What the nodes that take any pod have in all: ready, not cordoned, without a taint that keeps pods off."""
    chosen = [(body.get("status") or {}).get("allocatable") or {} for body in bodies if _takes_pods(body)]
    if not chosen:
        return Unknown("no node takes pods")

    def total(resource: str) -> float:
        return sum(_amount(allocatable.get(resource, "0")) for allocatable in chosen)

    return NodeRoom(len(chosen), total("cpu"), total("memory"), total("pods"))


def _takes_pods(body: JsonObject) -> bool:
    spec = body.get("spec") or {}
    if spec.get("unschedulable"):
        return False
    if any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in spec.get("taints") or []):
        return False
    conditions = (body.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _amounts(entries: JsonObject) -> dict[str, float]:
    """Amounts that can be read, by resource; of two names for one resource the smaller."""
    found: dict[str, float] = {}
    for name, text in entries.items():
        resource, amount = _SAME.get(name), _amount(text)
        if resource is not None and math.isfinite(amount):
            found[resource] = min(amount, found.get(resource, math.inf))
    return found


def _amount(text: object) -> float:
    try:
        return parse_quantity(str(text))
    except ValueError:
        return math.nan


def _fresh(read_at: float, now: float) -> bool:
    return 0.0 <= now - read_at < KEPT_SECONDS


def _why(error: KubeError, what: str) -> str:
    if error.status in (401, 403):
        return f"the operator may not list {what}"
    return f"{what} could not be read: {error}"
