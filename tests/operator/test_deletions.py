"""Workloads, runs and policies that go away half-way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    BAD_REPLICAS,
    GOOD_REPLICAS,
    REPLICAS,
    learned,
    play,
    policy,
    replicas,
    service,
    to_replicas,
)
from tests.operator.audit import Audit
from tests.operator.gate import Gate, to_scale
from trimtab.adapters.kube import JsonObject
from trimtab.adapters.resources import FINALIZER
from trimtab.simulation.scenario import manifest

pytestmark = pytest.mark.cluster

LONG = {"duration": "300s"}
"""A trial that does not end by itself while a test looks at it."""


async def test_a_workload_of_another_uid_is_never_touched(stage: Stage, audit: Audit) -> None:
    """Made again under the same name, with the very value that the run wrote: a rollback would look right."""
    names = ("gone", "again")
    await play(stage, *(service(name, namespace=stage.namespace) for name in names))
    await stage.apply(*(policy(name, validation=LONG) for name in names))
    operator = stage.operator()
    await learned(stage, *names)
    for name in names:
        await stage.create_run(name, name, changes=to_replicas(GOOD_REPLICAS))
    for name in names:
        await stage.in_phase(name, ["Validating"])
    before = await stage.workload("again")
    operator.suspend()
    await stage.kubectl("delete", "deployment", *names, "--wait=true")
    await stage.apply(manifest(service("again", replicas=GOOD_REPLICAS, namespace=stage.namespace)))
    operator.resume()
    runs = {name: await stage.settled(name) for name in names}

    assert {name: run["status"]["phase"] for name, run in runs.items()} == dict.fromkeys(names, "Superseded")
    assert "was deleted during the run" in _last_words(runs["gone"])
    assert "created again during the run; the new one is not touched" in _last_words(runs["again"])
    for name, run in runs.items():
        rollback = run["status"]["rollback"]
        assert not rollback.get("restored", False), name
        assert rollback["notRestored"] == ["spec.replicas: the workload was deleted"], name
    await stage.told("gone", "Ready", "False", "TargetNotFound")
    await stage.told("again", "Progressing", "False", "Idle")
    after = await stage.workload("again")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["metadata"]["generation"] == 1
    assert audit.done() == Counter({(name, "deployments/scale"): 1 for name in names})


async def test_a_run_that_is_deleted_half_way_is_undone_first(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path
) -> None:
    """The run stands until its change is taken back; one that has ended stands in nobody's way."""
    phases = {"settling": "Settling", "validating": "Validating"}
    await play(stage, *(service(name, namespace=stage.namespace) for name in (*phases, "finished")))
    await stage.apply(
        policy("settling", validation=LONG | {"settle": "300s"}),
        policy("validating", validation=LONG),
        policy("finished"),
    )
    stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, *phases, "finished")
    for name in (*phases, "finished"):
        await stage.create_run(name, name, changes=to_replicas(GOOD_REPLICAS))
    for name, phase in phases.items():
        run = await stage.in_phase(name, [phase])
        assert run["metadata"]["finalizers"] == [FINALIZER]
        assert await replicas(stage, name) == GOOD_REPLICAS
        undoing = gate.hold(lambda request, name=name: to_scale(request) and f"/{name}/" in request.path)  # type: ignore[misc]  # the name of the loop, bound now
        await stage.kubectl("delete", "orun", name, "--wait=false")
        await undoing.caught()
        run = await stage.run(name)
        assert run["metadata"]["finalizers"] == [FINALIZER]
        assert "deletionTimestamp" in run["metadata"]
        assert await replicas(stage, name) == GOOD_REPLICAS
        assert await undoing.let_go() == 200
        await stage.until(lambda name=name: _is_gone(stage, name), f"run {name} to be gone")  # type: ignore[misc]
        assert await replicas(stage, name) == REPLICAS

    run = await stage.settled("finished")
    assert (run["status"]["phase"], await replicas(stage, "finished")) == ("Succeeded", GOOD_REPLICAS)
    await stage.kubectl("delete", "orun", "finished", "--wait=true")
    events = {event["reason"] for event in await stage.events("validating")}
    assert "Cancelled" in events
    writes = {"settling": 2, "validating": 2, "finished": 1}
    assert audit.done() == Counter({(name, "deployments/scale"): count for name, count in writes.items()})


async def test_a_policy_that_is_deleted_half_way_takes_back_what_is_unproven(stage: Stage, audit: Audit) -> None:
    """A person's run stays and says why; the operator's own goes with its policy. What was kept before stays kept."""
    await play(
        stage,
        service("asked", namespace=stage.namespace),
        service("planned", rate=50.0, replicas=6, namespace=stage.namespace),
    )
    bounds = {"minReplicas": 1, "maxReplicas": 10, "follow": False}
    await stage.apply(
        policy("asked", validation={"duration": "8s"}),
        policy("planned", validation=LONG, horizontal=bounds, vertical=None),
    )
    stage.operator()
    await learned(stage, "asked", "planned")
    await stage.create_run("kept", "asked", changes=to_replicas(GOOD_REPLICAS))
    assert (await stage.settled("kept"))["status"]["phase"] == "Succeeded"
    await stage.kubectl("patch", "perf", "asked", "--type=merge", "-p", '{"spec":{"validation":{"duration":"300s"}}}')
    await stage.create_run("unproven", "asked", changes=to_replicas(BAD_REPLICAS + 1))
    await stage.in_phase("unproven", ["Settling", "Validating"])
    planned = await stage.until(lambda: _run_of(stage, "planned"), "a run that the operator makes")
    await stage.in_phase(planned, ["Settling", "Validating"])
    assert await replicas(stage, "planned") < 6
    await stage.kubectl("delete", "perf", "asked", "planned", "--wait=true")

    unproven = await stage.settled("unproven")
    assert unproven["status"]["phase"] == "Cancelled"
    assert "policy asked is gone" in unproven["status"]["rollback"]["reason"]
    assert unproven["status"]["rollback"]["restored"]
    assert await replicas(stage, "asked") == GOOD_REPLICAS
    await stage.until(lambda: _is_gone(stage, planned), f"run {planned} to be gone")
    assert await replicas(stage, "planned") == 6
    kept = await stage.run("kept")
    assert kept["status"]["phase"] == "Succeeded"
    assert not kept["metadata"].get("finalizers")
    assert audit.done() == Counter({("asked", "deployments/scale"): 3, ("planned", "deployments/scale"): 2})


async def test_a_workload_that_is_missing_is_told(stage: Stage, audit: Audit) -> None:
    """Missing from the start, made, and deleted again: the policy follows what there is."""
    web = service("web", namespace=stage.namespace)
    await stage.apply(policy("web"))
    stage.operator()
    told = await stage.told("web", "Ready", "False", "TargetNotFound")
    where = f"Deployment web is not in namespace {stage.namespace}"
    assert told["message"] == f"{where}; create it or correct spec.targetRef"
    await stage.create_run("early", "web", changes=to_replicas(GOOD_REPLICAS))
    await stage.until(lambda: _event(stage, "web", "TargetNotFound"), "an Event that says so")
    assert not (await stage.run("early")).get("status", {}).get("plan")
    await play(stage, web)
    early = await stage.settled("early")
    assert (early["status"]["phase"], _last_words(early)[:6]) == ("Rejected", "data: ")
    await learned(stage, "web")
    await stage.create_run("later", "web", changes=to_replicas(GOOD_REPLICAS))
    assert (await stage.settled("later"))["status"]["phase"] == "Succeeded"
    await stage.kubectl("delete", "deployment", "web")
    await stage.told("web", "Ready", "False", "TargetNotFound")
    assert audit.done() == Counter({("web", "deployments/scale"): 1})


def _last_words(run: JsonObject) -> str:
    return str(run["status"]["timeline"][-1]["reason"])


async def _is_gone(stage: Stage, name: str) -> bool:
    return all(run["metadata"]["name"] != name for run in await stage.runs())


async def _run_of(stage: Stage, policy_name: str) -> str | None:
    """The first run of a policy."""
    return next((str(run["metadata"]["name"]) for run in await stage.runs(policy_name)), None)


async def _event(stage: Stage, about: str, reason: str) -> bool:
    return any(event["reason"] == reason for event in await stage.events(about))
