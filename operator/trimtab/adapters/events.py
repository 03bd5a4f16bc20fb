"""Events on our objects: what happened and why, one object for each reason and message, counted when repeated."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from trimtab.adapters.kube import KubeClient, KubeError
from trimtab.domain.naming import shortened
from trimtab.domain.objects import Policy, Run
from trimtab.domain.policy import GROUP, VERSION
from trimtab.domain.printable import printable
from trimtab.domain.status_types import format_time

_LIMIT = 4096
_NAME_CHARACTERS = 200
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Posted:
    name: str
    count: int


class Events:
    """Posts Kubernetes Events; one that cannot be posted is logged and otherwise lost, as Events are."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self._posted: dict[str, _Posted] = {}

    async def post(
        self, about: Policy | Run, kind: Literal["Normal", "Warning"], reason: str, message: str, now: float
    ) -> None:
        """Say that something happened to a policy or a run; the same words again only raise the count."""
        key = hashlib.sha256(f"{about.uid}|{reason}|{message}".encode()).hexdigest()[:16]
        collection = f"/api/v1/namespaces/{about.namespace}/events"
        posted = self._posted.get(key)
        try:
            if posted is not None:
                posted.count += 1
                update = {"count": posted.count, "lastTimestamp": format_time(now)}
                await self._kube.merge_patch(f"{collection}/{posted.name}", update)
                return
            await self._kube.create(collection, self._body(about, kind, reason, message, now, key))
            self._remember(key, _name(about, key))
        except KubeError as error:
            if error.conflict:
                self._remember(key, _name(about, key))
            elif error.not_found:
                self._posted.pop(key, None)
            else:
                _log.warning("event not posted", reason=reason, about=about.name, error=str(error))

    def _remember(self, key: str, name: str) -> None:
        if len(self._posted) >= _LIMIT:
            self._posted.pop(next(iter(self._posted)))
        self._posted[key] = _Posted(name, 1)

    @staticmethod
    def _body(about: Policy | Run, kind: str, reason: str, message: str, now: float, key: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": about.namespace, "name": _name(about, key)},
            "involvedObject": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": "PerformancePolicy" if isinstance(about, Policy) else "OptimizationRun",
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "type": kind,
            "reason": reason,
            "message": printable(message)[:1024],
            "source": {"component": "trimtab"},
            "firstTimestamp": format_time(now),
            "lastTimestamp": format_time(now),
            "count": 1,
        }


def _name(about: Policy | Run, key: str) -> str:
    return f"{shortened(about.name, _NAME_CHARACTERS)}.{key}"
