"""Stopped between its last look and its write, while a person edits: the API server refuses the write."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from demo.stage import Stage
from tests.operator.acting import (
    CPU,
    FOLLOWING,
    GOOD_CPU,
    GOOD_REPLICAS,
    REPLICAS,
    counted,
    learned,
    play,
    policy,
    replicas,
    resources,
    rounds,
    service,
    to_cpu,
    to_replicas,
    verdict,
)
from tests.operator.audit import Audit
from tests.operator.gate import Gate, Request, to_scale, writes_to
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.scenario import manifest

pytestmark = pytest.mark.cluster

PERSONS_REPLICAS, PERSONS_CPU = 6, "2"
REFUSED = 422


async def test_a_write_of_a_run_is_refused_when_what_matters_has_changed(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path
) -> None:
    changes = {
        "scaled": to_replicas(GOOD_REPLICAS),
        "resized": to_cpu(GOOD_CPU),
        "recreated": to_replicas(GOOD_REPLICAS),
        "labelled": to_cpu(GOOD_CPU),
        "untouched": to_replicas(GOOD_REPLICAS),
    }
    services = {name: service(name, namespace=stage.namespace) for name in changes}
    await play(stage, *services.values())
    await stage.apply(*(policy(name) for name in changes))
    operator = stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, *changes)
    holds = {name: gate.hold(writes_to(name)) for name in changes}
    await stage.kubectl("create", "-f", "-", given=yaml.safe_dump_all(run(name, changes[name]) for name in changes))
    for hold in holds.values():
        await hold.caught()
    operator.suspend()
    await stage.kubectl("scale", "deployment/scaled", f"--replicas={PERSONS_REPLICAS}")
    size = (f"--requests=cpu={PERSONS_CPU}", f"--limits=cpu={PERSONS_CPU}")
    await stage.kubectl("set", "resources", "deployment/resized", *size)
    await stage.kubectl("delete", "deployment/recreated")
    await stage.apply(manifest(services["recreated"]))
    await stage.kubectl("set", "env", "deployment/labelled", "COLOUR=blue")
    answers = {name: await hold.let_go() for name, hold in holds.items()}
    operator.resume()
    ended = {name: await stage.settled(name) for name in changes}

    refused = {"scaled": REFUSED, "resized": REFUSED, "recreated": REFUSED}
    assert answers == {**refused, "labelled": 200, "untouched": 200}
    ends = {name: (one["status"]["phase"], verdict(one)) for name, one in ended.items()}
    stood, deployed, kept = ("Superseded", ""), ("Superseded", "Inconclusive"), ("Succeeded", "Pass")
    assert ends == {**dict.fromkeys(refused, stood), "labelled": deployed, "untouched": kept}
    assert await replicas(stage, "scaled") == PERSONS_REPLICAS
    assert await resources(stage, "resized") == {group: {"cpu": PERSONS_CPU, "memory": "256Mi"} for group in GROUPS}
    assert await replicas(stage, "recreated") == REPLICAS
    labelled = container(await stage.workload("labelled"))
    assert (labelled["resources"]["limits"]["cpu"], labelled["env"]) == (
        CPU,
        [{"name": "COLOUR", "value": "blue"}],
    )
    assert (await resources(stage, "scaled"))["limits"]["cpu"] == CPU
    done = Counter({("labelled", "deployments"): 2, ("untouched", "deployments/scale"): 1})  # made, and undone
    assert audit.done() == done
    assert {write.name for write in audit.writes() if write.status == REFUSED} == set(refused)


GROUPS = ("requests", "limits")


def run(name: str, changes: list[JsonObject]) -> JsonObject:
    """A person's run under the policy of the same name."""
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "OptimizationRun",
        "metadata": {"name": name},
        "spec": {"policyRef": {"name": name}, "changes": changes},
    }


def container(workload: JsonObject) -> JsonObject:
    """The container of a workload."""
    found: JsonObject = workload["spec"]["template"]["spec"]["containers"][0]
    return found


async def test_a_step_of_following_is_refused_and_waits_for_the_person(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path
) -> None:
    """One replica at a time, so that the second step comes when the first is on record."""
    await play(stage, service(rate=200.0, replicas=2, namespace=stage.namespace))
    slowly = {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 5}]}}
    operator = stage.operator(kubeconfig=gate_kubeconfig)
    hold = gate.hold(second_step)
    await stage.apply(policy(horizontal={**FOLLOWING, "behavior": slowly}))
    await hold.caught()
    operator.suspend()
    await stage.kubectl("scale", "deployment/web", f"--replicas={PERSONS_REPLICAS}")
    assert await hold.let_go() == REFUSED
    operator.resume()
    await stage.in_state("web", "Held")
    await rounds(stage, 3)
    assert await replicas(stage) == PERSONS_REPLICAS
    assert [write.status for write in audit.writes()] == [200, REFUSED]
    assert "ScaleRefused" in {event["reason"] for event in await stage.events("web")}
    await stage.trimtab("resume", "web")
    await stage.in_state("web", "Following")


def second_step(request: Request) -> bool:
    """From three replicas on."""
    return to_scale(request) and any(
        operation.get("value") == 3 for operation in yaml.safe_load(request.body) if operation["op"] == "test"
    )


async def test_a_rollback_is_refused_when_a_person_has_set_another_value(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path
) -> None:
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy())
    operator = stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, "web")
    await stage.create_run("try", "web", changes=to_replicas(GOOD_REPLICAS))
    await stage.in_phase("try", ["Settling", "Validating"])
    hold = gate.hold(to_scale)
    await stage.trimtab("abort", "try")
    await hold.caught()
    operator.suspend()
    await stage.kubectl("scale", "deployment/web", f"--replicas={PERSONS_REPLICAS}")
    assert await hold.let_go() == REFUSED
    operator.resume()
    run = await stage.settled("try")
    assert (run["status"]["phase"], run["status"]["rollback"].get("restored", False)) == ("Superseded", False)
    await counted(stage, "web", PERSONS_REPLICAS)
    assert [write.status for write in audit.writes()] == [200, REFUSED]
