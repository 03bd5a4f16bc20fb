"""Half of the pods without samples is not half of the demand (kubernetes/kubernetes#99394, #105187)."""

from __future__ import annotations

from typing import Any

import pytest

from demo.stage import Simulation, Stage
from tests.operator.acting import GOOD_REPLICAS, learned, play, policy, replicas, rounds, service, to_replicas, verdict
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

REPLICAS = 6
BOUNDS: JsonObject = {"minReplicas": 2, "maxReplicas": 12, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}
OWN_LOAD = 'sum(rate(container_cpu_usage_seconds_total{namespace="$namespace",pod=~"$pods",container!=""}[$window]))'
USAGE = ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes")


async def pods_of(stage: Stage, name: str) -> list[str]:
    """Names of the pods of a workload that are there."""
    found = await stage.kube.list(f"/api/v1/namespaces/{stage.namespace}/pods")
    return sorted(pod["metadata"]["name"] for pod in found if pod["metadata"]["name"].startswith(f"{name}-"))


async def hide(simulation: Simulation, namespace: str, pods: list[str], metrics: tuple[str, ...] = USAGE) -> None:
    """No exporter shows these metrics of some pods any more; of their usage, if nothing else is said."""
    labels = ({"namespace": namespace, "pod": pod} for pod in pods)
    await simulation.faults(
        {"faults": [{"kind": "empty", "metric": metric, "labels": one} for one in labels for metric in metrics]}
    )


async def test_half_of_the_pods_unseen_removes_nothing(stage: Stage, audit: Audit) -> None:
    """By the default signals and by a query that selects pods; with more than was thought seen, replicas go up."""
    names = ("default", "own", "grows")
    rates = {"default": 300.0, "own": 300.0, "grows": 300.0}
    simulation = await play(
        stage, *(service(name, rate=rates[name], replicas=REPLICAS, namespace=stage.namespace) for name in names)
    )
    await stage.apply(
        _policy("default"),
        _policy("own", metrics={"load": {"query": OWN_LOAD, "unit": "cores"}}),
        _policy("grows", mode="Recommend"),
    )
    stage.operator()
    await learned(stage, *names)
    hidden = [pod for name in names for pod in (await pods_of(stage, name))[:3]]
    await hide(simulation, stage.namespace, hidden)
    for name in names:
        told = await stage.told(name, "DataAvailable", "False", "PodsMissing")
        assert "3 of 6 pods have no samples of cpu" in told["message"]
    own = await stage.told("own", "DataAvailable", "False", "PodsMissing")
    assert "3 of 6 pods have no samples of load" in own["message"]
    await stage.create_run("asked", "own", changes=[{"path": "operatingPoint.headroomPercent", "to": 5}])
    asked = await stage.settled("asked")
    assert asked["status"]["phase"] == "Rejected"
    assert "3 of 6 pods have no samples" in asked["status"]["timeline"][-1]["reason"]
    await rounds(stage, 15)  # more than the window of the rate: the half is all that it knows of by now
    assert {name: await replicas(stage, name) for name in names} == dict.fromkeys(names, REPLICAS)
    assert audit.writes() == []

    await stage.apply(_policy("grows", objectives=[], horizontal=BOUNDS | {"minReplicas": 7}))
    await stage.until(lambda: _has(stage, "grows", 7), "7 replicas of grows")
    await simulation.mend()
    for name in ("default", "own"):
        await stage.told(name, "DataAvailable", "True")


READINESS, OWNERS = "kube_pod_status_ready", "kube_pod_owner"
SHARDS = {"shard": (READINESS, OWNERS), "owner": (OWNERS,), "ready": (READINESS,)}


async def test_half_of_what_is_told_of_the_pods_removes_nothing(stage: Stage, audit: Audit) -> None:
    """As when one of two shards of kube-state-metrics is down: the workload is told of whole, and half of its pods."""
    services = (service(name, rate=300.0, replicas=REPLICAS, namespace=stage.namespace) for name in SHARDS)
    simulation = await play(stage, *services)
    await stage.apply(*(_policy(name) for name in SHARDS))
    stage.operator()
    await learned(stage, *SHARDS)
    assert {name: await replicas(stage, name) for name in SHARDS} == dict.fromkeys(SHARDS, REPLICAS)
    faults = [
        {"kind": "empty", "metric": metric, "labels": {"namespace": stage.namespace, "pod": pod}}
        for name, metrics in SHARDS.items()
        for pod in (await pods_of(stage, name))[:3]
        for metric in metrics
    ]
    await simulation.faults({"faults": faults})
    for name in SHARDS:
        told = await stage.told(name, "DataAvailable", "False", "PodsMissing")
        assert "3 of 6 ready pods are not told of by kube-state-metrics" in told["message"]
    await rounds(stage, 15)
    assert {name: await replicas(stage, name) for name in SHARDS} == dict.fromkeys(SHARDS, REPLICAS)
    assert audit.writes() == []
    await simulation.mend()
    for name in SHARDS:
        await stage.told(name, "DataAvailable", "True")


async def test_what_is_seen_may_ask_for_more(stage: Stage) -> None:
    """One pod of six is not seen, and the load of the other five alone needs more than six."""
    simulation = await play(stage, service(rate=540.0, replicas=REPLICAS, namespace=stage.namespace))
    bounds = BOUNDS | {"minReplicas": REPLICAS}
    await stage.apply(_policy("web", mode="Recommend", horizontal=bounds))
    stage.operator()
    await learned(stage, "web")
    await hide(simulation, stage.namespace, (await pods_of(stage, "web"))[:1])
    told = await stage.told("web", "DataAvailable", "False", "PodsMissing")
    assert "1 of 6 pods have no samples of cpu" in told["message"]
    await rounds(stage, 3)  # more than the window of the rate
    await stage.apply(_policy("web", horizontal=bounds))
    await stage.until(lambda: _more(stage, "web", REPLICAS), "more replicas")


async def test_a_trial_does_not_pass_on_a_part_of_the_pods(stage: Stage, audit: Audit) -> None:
    """The change is good, and half of the pods that prove it are not seen."""
    simulation = await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(validation={"duration": "16s", "consecutiveErrorLimit": 1}))
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("good", "web", changes=to_replicas(GOOD_REPLICAS))
    await stage.in_phase("good", ["Settling"])
    await hide(simulation, stage.namespace, (await pods_of(stage, "web"))[:2])
    run = await stage.settled("good")
    assert (run["status"]["phase"], verdict(run)) == ("RolledBack", "Inconclusive")
    assert {one["result"] for one in run["status"]["measurements"][1:]} == {"Error"}


async def _more(stage: Stage, name: str, count: int) -> bool:
    return await replicas(stage, name) > count


async def _has(stage: Stage, name: str, count: int) -> bool | None:
    return True if await replicas(stage, name) == count else None


def _policy(name: str, **spec: Any) -> JsonObject:
    return policy(name, **({"metrics": None, "objectives": None, "horizontal": BOUNDS, "vertical": None} | spec))
