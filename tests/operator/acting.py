"""What the tests of the operator share: services, policies, and what is looked at again and again.

The usual service: 100 requests/s, 4 pods of one core that carries 100 requests/s, so that a pod's p99 is
ln(100) / (100 - 25) = 61 ms. Three pods hold the objective of 250 ms (69 ms), one pod cannot (its queue grows).
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from demo.stage import Simulation, Stage
from trimtab.adapters.kube import JsonObject
from trimtab.domain.status_types import parse_time
from trimtab.simulation.arrivals import Constant
from trimtab.simulation.behaviour import Cliff, ServiceModel
from trimtab.simulation.scenario import Scenario, SimulatedService, manifest

SELECTOR: Final = '{namespace="$namespace",service="$target"}'
LOAD: Final = f"sum by (service) (rate(http_requests_total{SELECTOR}[$window]))"
P99: Final = (
    f"histogram_quantile(0.99, sum by (le, service) (rate(http_request_duration_seconds_bucket{SELECTOR}[$window])))"
)
REPLICAS, GOOD_REPLICAS, BAD_REPLICAS = 4, 3, 1
CPU, GOOD_CPU, BAD_CPU = "1", "900m", "500m"
CLIFF = Cliff(below_cpu_cores=0.6, slowdown=4.0)
OWN_ONLY: Final = {"containerPolicies": [{"containerName": "none-of-them"}]}
"""Nothing that the operator may change by itself; a person's own runs are not bound by it."""
FIXED: Final = {"minReplicas": 1, "maxReplicas": 8, "follow": False}
"""Only runs set replicas."""
FOLLOWING: Final = {
    "minReplicas": 1,
    "maxReplicas": 8,
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
}
"""Replicas follow at once, both ways."""
UNDONE_SECONDS: Final = 10.0
"""Within this after a verdict or an abort a change is undone."""
WHOLE_SECONDS: Final = 1.0
"""By so much two times on record may be off, as they are rounded."""
SPARE_RATE, WELL_REPLICAS = 80.0, 2
"""A load that needs so many pods: 92 requests/s with headroom, and 60 a pod until a capacity is learned."""


def service(
    name: str = "web",
    *,
    rate: float = 100.0,
    replicas: int = REPLICAS,
    cpu: str = CPU,
    kind: str = "Deployment",
    namespace: str,
    **model: Any,
) -> SimulatedService:
    """A service with a constant load, without noise."""
    behaviour: dict[str, Any] = {"requests_per_core": 100.0, "startup_seconds": 1.0, "cliff": CLIFF} | model
    return SimulatedService.model_validate(
        {
            "name": name,
            "namespace": namespace,
            "kind": kind,
            "arrivals": Constant(rate_per_second=rate),
            "model": ServiceModel.model_validate(behaviour),
            "replicas": replicas,
            "cpu": cpu,
            "memory": "256Mi",
        }
    )


def policy(name: str = "web", *, target: str | None = None, kind: str = "Deployment", **spec: Any) -> JsonObject:
    """A policy in compressed time: what takes an hour in production takes seconds here."""
    base: JsonObject = {
        "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": target or name},
        "mode": "Auto",
        "metrics": {"load": {"query": LOAD, "targetLabel": "service", "unit": "requests/s"}},
        "objectives": [{"name": "latency-p99", "query": P99, "targetLabel": "service", "max": "250m"}],
        "vertical": OWN_ONLY,
        "analysis": {"interval": "2s", "history": "10m"},
        "forecast": {"model": "None", "horizon": "20s"},
        "validation": {"settle": "2s", "interval": "4s", "duration": "16s", "failureLimit": 1},
        "guardrails": {
            "cooldown": "0s",
            "minHistory": "10s",
            "maxDataAge": "20s",
            "maxRolloutsPerDay": 100,
            "minHistoryToShrink": "10s",
            "minHistoryToShrinkMemory": "10s",
        },
    }
    merged = {name: {**base[name], **value} if name in _MERGED else value for name, value in spec.items()}
    body = {**base, **merged}
    body = {name: value for name, value in body.items() if value is not None}
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "PerformancePolicy",
        "metadata": {"name": name},
        "spec": body,
    }


_MERGED = frozenset({"analysis", "validation", "guardrails", "forecast"})


def to_replicas(count: int) -> list[JsonObject]:
    """A person's own change of replicas, for a run."""
    return [{"path": "spec.replicas", "to": count}]


def to_cpu(amount: str) -> list[JsonObject]:
    """A person's own change of CPU, request and limit."""
    return [{"path": f"resources.{group}.cpu", "container": "app", "to": amount} for group in ("requests", "limits")]


async def play(stage: Stage, *services: SimulatedService, deploy: bool = True) -> Simulation:
    """Deploy services and run them."""
    scenario = Scenario(services=list(services))
    if deploy:
        await stage.apply(*(manifest(one) for one in services))
    return await stage.simulate(scenario, in_thread=True)


async def learned(stage: Stage, *names: str) -> None:
    """Wait until the operator has seen enough of each policy's workload to act on it."""
    for name in names:
        await stage.told(name, "DataAvailable", "True")


async def rounds(stage: Stage, count: int) -> None:
    """Wait until the operator has gone through so many more rounds; it logs the end of each."""
    target = stage.rounds + count
    await stage.until(lambda: stage.rounds >= target, f"{count} more rounds")


async def decided(stage: Stage, name: str, count: int = 3) -> None:
    """Wait until the operator has decided so many times more about one policy, whatever the others do.

    A dry run ends at the start of a round, so that the one after it says that the round is over.
    """
    for _ in range(count + 1):
        run = f"round-{secrets.token_hex(4)}"
        await stage.create_run(run, name, dryRun=True, changes=to_replicas(7))
        await stage.ended(run)


async def replicas(stage: Stage, name: str = "web", plural: str = "deployments") -> int:
    """Replicas asked for."""
    return int((await stage.workload(name, plural))["spec"]["replicas"])


async def reached(stage: Stage, wanted: int, name: str = "web") -> bool:
    """Whether so many replicas are asked for."""
    return await replicas(stage, name) == wanted


async def counted(stage: Stage, name: str, count: int, seconds: float = 90.0) -> None:
    """Wait until so many replicas are asked for."""

    async def look() -> int | None:
        seen = await replicas(stage, name)
        return seen if seen == count else None

    await stage.until(look, f"{count} replicas of {name}", seconds)


async def own_run(stage: Stage, name: str, seconds: float = 90.0) -> str:
    """Name of the first run that the operator makes under a policy, once it is there."""

    async def look() -> str | None:
        owned = (run for run in await stage.runs(name) if run["metadata"].get("ownerReferences"))
        return next((str(run["metadata"]["name"]) for run in owned), None)

    return await stage.until(look, f"a run that the operator makes under {name}", seconds)


async def resources(stage: Stage, name: str = "web", plural: str = "deployments") -> JsonObject:
    """Requests and limits of the container ``app``."""
    body = await stage.workload(name, plural)
    containers: list[JsonObject] = body["spec"]["template"]["spec"]["containers"]
    return next(dict(one["resources"]) for one in containers if one["name"] == "app")


def phases(run: JsonObject) -> list[str]:
    """The phases that a run went through."""
    return [entry["phase"] for entry in run["status"].get("timeline", [])]


def verdict(run: JsonObject) -> str:
    """Pass, Fail or Inconclusive; empty without a verdict."""
    return str((run["status"].get("verdict") or {}).get("result", ""))


def owner(workload: JsonObject, *keys: str) -> list[tuple[str, str, str]]:
    """(manager, operation, subresource) of the owners of a field, by the path of its ``f:`` keys."""
    return [(entry["manager"], entry["operation"], entry.get("subresource", "")) for entry in _owning(workload, keys)]


def written_at(body: JsonObject, *keys: str) -> float:
    """When a field was written last, as the API server has it."""
    return max(parse_time(entry["time"]) for entry in _owning(body, keys))


def _owning(body: JsonObject, keys: tuple[str, ...]) -> list[JsonObject]:
    """The entries of managedFields that have a field."""
    found = []
    for entry in body["metadata"]["managedFields"]:
        fields: Any = entry.get("fieldsV1") or {}
        for key in keys:
            fields = fields.get(key) if isinstance(fields, dict) else None
        if fields is not None:
            found.append(entry)
    return found
