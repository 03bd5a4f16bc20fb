"""Watching: what the services do now, from Prometheus and the API server, once a second."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

import aiohttp

from demo.policies import SCRAPES
from demo.stage import Stage
from trimtab.adapters.kube import JsonObject, KubeError

_TREND_POINTS: Final = 24
_SAID_LIMIT: Final = 400


@dataclass(frozen=True, slots=True)
class Row:
    """One service as it is now."""

    name: str
    demand: float = math.nan
    """Requests/s."""
    p99_seconds: float = math.nan
    wanted: int = 0
    ready: int = 0
    cpu: str = ""
    """CPU limit of the pod template."""
    run: str = ""
    """Phase of the run under way, if any."""
    said: str = ""
    """What the operator said last."""
    trend: tuple[float, ...] = ()
    """Demand of the last seconds, oldest first."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, ``at`` in seconds since life began."""

    at: float
    about: str
    text: str
    by_operator: bool = True


@dataclass(slots=True)
class Watch:
    """Looks at a stage again and again, and keeps what was seen; use as an async context manager."""

    stage: Stage
    services: tuple[str, ...]
    begins_at: float
    rows: dict[str, Row] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    _seen: set[tuple[str, int]] = field(default_factory=set)
    _trends: dict[str, deque[float]] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)
    _session: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5.0))
        self.rows = {name: Row(name) for name in self.services}
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @property
    def seconds(self) -> float:
        """Since life began."""
        return time.time() - self.begins_at

    def tell(self, about: str, text: str) -> None:
        """Note something that the story itself did."""
        self.notes.append(Note(self.seconds, about, text, by_operator=False))

    async def look(self) -> None:
        """See what is now; what cannot be read for a moment stays as it was."""
        try:
            await self._look()
        except (aiohttp.ClientError, TimeoutError, KubeError):
            return

    async def _look(self) -> None:
        namespace = self.stage.namespace
        demand, p99, deployments, runs, events = await asyncio.gather(
            self.instant(demand_query(namespace)),
            self.instant(p99_query(namespace)),
            self.stage.kube.list(f"/apis/apps/v1/namespaces/{namespace}/deployments"),
            self.stage.runs(),
            self.stage.events(),
        )
        self._hear(events, {run["metadata"]["name"]: run["spec"]["policyRef"]["name"] for run in runs})
        live = {body["metadata"]["name"]: body for body in deployments}
        for name in self.services:
            trend = self._trends.setdefault(name, deque(maxlen=_TREND_POINTS))
            trend.append(demand.get(name, math.nan))
            self.rows[name] = replace(
                _row(name, live[name], runs),
                demand=demand.get(name, math.nan),
                p99_seconds=p99.get(name, math.nan),
                said=self._said.get(name, ""),
                trend=tuple(trend),
            )

    def _hear(self, events: list[JsonObject], policy_of: Mapping[str, str]) -> None:
        """Note the Events that are new; one that is repeated is new as well."""
        for event in sorted(events, key=lambda event: (event["lastTimestamp"], event["metadata"]["creationTimestamp"])):
            key = (event["metadata"]["uid"], event.get("count", 1))
            if key in self._seen:
                continue
            self._seen.add(key)
            name = event["involvedObject"]["name"]
            about = policy_of.get(name, name)
            text = f"{event['reason']}: {event['message']}"[:_SAID_LIMIT]
            self._said[about] = text
            self.notes.append(Note(self.seconds, about, text))

    async def instant(self, query: str) -> dict[str, float]:
        """Values of a query now, by the label ``service``."""
        found = await ask(self._session, self.stage.prometheus_url, "query", {"query": query})
        return {one["metric"].get("service", ""): float(one["value"][1]) for one in found}


def demand_query(namespace: str, window: str = SCRAPES) -> str:
    """Requests/s by service."""
    return f'sum by (service) (rate(http_requests_total{{namespace="{namespace}"}}[{window}]))'


def p99_query(namespace: str, window: str = SCRAPES) -> str:
    """99th percentile of the latency in seconds by service."""
    selector = f'http_request_duration_seconds_bucket{{namespace="{namespace}"}}'
    return f"histogram_quantile(0.99, sum by (le, service) (rate({selector}[{window}])))"


async def ask(session: aiohttp.ClientSession, url: str, kind: str, query: Mapping[str, str]) -> list[JsonObject]:
    """The result of a Prometheus query; ``kind`` is query or query_range. Raises aiohttp.ClientError."""
    async with session.get(f"{url}/api/v1/{kind}", params=query) as answer:
        answer.raise_for_status()
        result: list[JsonObject] = (await answer.json())["data"]["result"]
        return result


def _row(name: str, deployment: JsonObject, runs: list[JsonObject]) -> Row:
    resources = deployment["spec"]["template"]["spec"]["containers"][0].get("resources", {})
    phases = [
        (run.get("status") or {}).get("phase", "Pending") for run in runs if run["spec"]["policyRef"]["name"] == name
    ]
    return Row(
        name,
        wanted=deployment["spec"].get("replicas", 1),
        ready=deployment.get("status", {}).get("readyReplicas", 0),
        cpu=resources.get("limits", {}).get("cpu", ""),
        run=phases[-1] if phases else "",
    )
