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


async def hide(simulation: Simulation, namespace: str, pods: list[str]) -> None:
    """No exporter shows the usage of these pods any more."""
    labels = ({"namespace": namespace, "pod": pod} for pod in pods)
    await simulation.faults(
        {"faults": [{"kind": "empty", "metric": metric, "labels": one} for one in labels for metric in USAGE]}
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


async def _has(stage: Stage, name: str, count: int) -> bool | None:
    return True if await replicas(stage, name) == count else None


def _policy(name: str, **spec: Any) -> JsonObject:
    return policy(name, **({"metrics": None, "objectives": None, "horizontal": BOUNDS, "vertical": None} | spec))
