"""The switch that stops every new write: a ConfigMap that people set, asked right before each write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from trimtab.adapters.fence import Admission, Outgoing, Purpose
from trimtab.adapters.kube import TIMEOUT_SECONDS, FencedError, JsonObject, KubeClient, KubeError
from trimtab.domain.status_types import parse_time

SWITCH: Final = "trimtab-switch"
SWITCH_NAMESPACE: Final = "trimtab"
"""Where it is looked for by people's commands, unless they say otherwise."""
UNREAD: Final = "everything is paused, as the switch"
"""How it begins to say that it is not known yet whether it is on."""
PAUSED, REASON, BY, AT, RESUMED = "paused", "reason", "by", "at", "fleetResumedAt"
_FRESH_SECONDS: Final = 1.0
_OLDEST_SECONDS: Final = 3.0
_HELD: Final = frozenset({Purpose.START, Purpose.CHANGE})
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SwitchState:
    """What the switch says."""

    paused: str = ""
    """Who paused everything, and why; empty while nothing is paused."""
    resumed_at: float = 0.0
    """Unix time at which a person let trials go on after too many failed."""


def switch_path(namespace: str, name: str | None = SWITCH) -> str:
    """URL path of the ConfigMap, or of a namespace's ConfigMaps."""
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def parse_switch(body: JsonObject) -> SwitchState:
    """The state in a ConfigMap; what is neither true nor false counts as paused."""
    data = body.get("data") or {}
    text = str(data.get(PAUSED, "")).strip().lower()
    try:
        resumed_at = parse_time(data[RESUMED]) if data.get(RESUMED) else 0.0
    except ValueError:
        resumed_at = 0.0
    if text in ("", "false"):
        return SwitchState("", resumed_at)
    if text != "true":
        name, where = body["metadata"]["name"], body["metadata"]["namespace"]
        wrong = f"ConfigMap {where}/{name} has paused: {data[PAUSED]!r}, which counts as true; write true or false"
        return SwitchState(wrong, resumed_at)
    who = f" by {data[BY]}" if data.get(BY) else ""
    since = f" since {data[AT]}" if data.get(AT) else ""
    why = f": {data[REASON]}" if data.get(REASON) else ""
    return SwitchState(f"everything is paused{who}{since}{why}; trimtab resume --all to go on", resumed_at)


class Switch:
    """Reads the switch, and as a fence holds what it stops: new runs and changes, never an undo.

    One that cannot be read stays as it was last seen, and is on until it was seen; one that is not there is off.
    """

    def __init__(self, namespace: str, name: str = SWITCH, clock: Callable[[], float] = time.monotonic) -> None:
        self.where = f"{namespace}/{name}"
        """Its namespace and name."""
        self._path = switch_path(namespace, name)
        self._clock = clock
        self._kube: KubeClient | None = None
        self._reading = asyncio.Lock()
        self._asked_at: float | None = None
        self._seen = False
        self.trouble = ""
        """Why it cannot be read now; empty while it can."""
        self.state = SwitchState(f"{UNREAD} {self.where} has not been read yet")

    def use(self, kube: KubeClient) -> None:
        """Read through this client from now on; its writes may be fenced by this switch."""
        self._kube = kube

    async def read(self) -> SwitchState:
        """What the switch says now, or said within the last second."""
        async with self._reading:
            if self._asked_at is None or self._clock() - self._asked_at >= _FRESH_SECONDS:
                asked_at = self._clock()
                await self._ask()
                self._asked_at = asked_at
        return self.state

    async def admit(self, write: Outgoing) -> Admission:
        """Raises FencedError for what a switch that is on stops."""
        if write.purpose not in _HELD:
            return Admission(TIMEOUT_SECONDS, lambda: None)
        await self.read()
        self._check()
        return Admission(TIMEOUT_SECONDS, self._check)

    def _check(self) -> None:
        if self.state.paused:
            raise FencedError(self.state.paused)
        if self._asked_at is None or self._clock() - self._asked_at > _OLDEST_SECONDS:
            raise FencedError("the write waited so long that the switch has to be asked again")

    async def _ask(self) -> None:
        assert self._kube is not None, "given before the first read"
        try:
            self.state = parse_switch(await self._kube.get(self._path))
        except KubeError as error:
            if error.not_found:
                self.state = SwitchState()
            else:
                self._unread(error)
                return
        self._seen, self.trouble = True, ""

    def _unread(self, error: KubeError) -> None:
        remedy = "; let the operator get it, as the chart's roles do" if error.status == 403 else ""
        trouble = f"{error}{remedy}"
        if not self._seen:  # nobody could stop what begins
            self.state = SwitchState(f"{UNREAD} {self.where} could not be read yet: {trouble}")
        if trouble != self.trouble:
            _log.warning("switch not read", paused=self.state.paused, error=trouble)
        self.trouble = trouble


async def write_switch(kube: KubeClient, namespace: str, data: dict[str, str | None]) -> bool:
    """Set entries of the switch, None to take one away; whether it had to be made. Raises KubeError."""
    try:
        await kube.merge_patch(switch_path(namespace), {"data": data})
    except KubeError as error:
        if not error.not_found:
            raise
        entries = {key: value for key, value in data.items() if value is not None}
        meta = {"name": SWITCH, "labels": {"app.kubernetes.io/name": "trimtab"}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": entries}
        await kube.create(switch_path(namespace, None), body)
        return True
    return False


async def who_am_i(kube: KubeClient) -> str:
    """Name of the user that the API server takes this client for; raises KubeError."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await kube.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    return str((answer.get("status") or {}).get("userInfo", {}).get("username", ""))
