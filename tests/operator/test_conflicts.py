"""Another controller, a GitOps tool, an autoscaler or an older policy on the same field means hands off."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.stage import Stage
from tests.operator.acting import (
    FIXED,
    FOLLOWING,
    GOOD_REPLICAS,
    REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    counted,
    decided,
    learned,
    own_run,
    owner,
    play,
    policy,
    replicas,
    resources,
    rounds,
    service,
    to_replicas,
)
from tests.operator.audit import Audit
from tests.operator.gate import Gate, Request, to_scale
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.scenario import SimulatedService, manifest

pytestmark = pytest.mark.cluster

ARGO = "argocd-controller"
REPLICAS_FIELD = ("f:spec", "f:replicas")


async def test_what_a_gitops_tool_owns_is_left_to_it(stage: Stage, audit: Audit) -> None:
    """Replicas and sizes that Argo CD applied: a conflict with owner and remedy, and what would be done beside it."""
    specs: dict[str, JsonObject] = {
        "fixed": {"horizontal": FIXED},
        "following": {"horizontal": FOLLOWING},
        "sizes": {"vertical": {"containerPolicies": [{"containerName": "*"}]}},
    }
    services = [service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in specs]
    await applied_by_argo(stage, *services)
    await play(stage, *services, deploy=False)
    await stage.apply(*(policy(name, **spec) for name, spec in specs.items()))
    stage.operator()
    await learned(stage, *specs)
    for name in specs:
        conflict = await stage.told(name, "Conflicted", "True", "ClaimedByOther")
        says = f"owned by GitOps manager {ARGO!r}; "
        if name == "sizes":
            assert conflict["message"].startswith("resources.requests.cpu of container app, ")
            assert f" are {says}" in conflict["message"]
        else:
            assert conflict["message"].startswith(f"spec.replicas is {says}")
        assert "ignoreDifferences" in conflict["message"]
        assert await turns(stage, name) == {"Conflicted"}
    await stage.create_run("asked", "fixed", changes=to_replicas(3))
    refused = await stage.ended("asked")
    assert refused["status"]["phase"] == "Rejected"
    assert ARGO in refused["status"]["timeline"][-1]["reason"]

    for name in specs:
        await decided(stage, name, 2)
        assert await turns(stage, name) == {"Conflicted"}
    for name in ("fixed", "following"):
        assert (await stage.policy(name))["status"]["recommendation"]["replicas"] == WELL_REPLICAS
    advice = (await stage.policy("sizes"))["status"]["recommendation"]["containers"][0]["requests"]
    assert advice["cpu"] != (await resources(stage, "sizes"))["requests"]["cpu"]
    assert not [run for run in await stage.runs() if run["metadata"].get("ownerReferences")]
    assert audit.writes() == []


async def test_a_tool_that_writes_back_is_not_fought(stage: Stage, audit: Audit) -> None:
    """Replicas follow, and a tool sets them to what it holds for right: nobody sees them flap."""
    names = {ARGO: "gitops", "my-operator": "other"}
    made = {manager: service(name, rate=SPARE_RATE, namespace=stage.namespace) for manager, name in names.items()}
    await play(stage, *made.values())
    await stage.apply(*(policy(one.name, horizontal=FOLLOWING) for one in made.values()))
    stage.operator()
    for one in made.values():
        await counted(stage, one.name, WELL_REPLICAS)
    followed = Counter({(one.name, "deployments/scale"): 1 for one in made.values()})
    assert audit.done() == followed

    for manager, one in made.items():
        await applied(stage, manager, one)
    for manager, one in made.items():
        conflict = await stage.told(one.name, "Conflicted", "True", "ClaimedByOther")
        assert repr(manager) in conflict["message"]
        assert await turns(stage, one.name) == {"Conflicted"}
        await decided(stage, one.name)
        assert await replicas(stage, one.name) == REPLICAS
        assert (await stage.policy(one.name))["status"]["recommendation"]["replicas"] == WELL_REPLICAS
    assert audit.done() == followed


async def test_an_autoscaler_or_an_older_policy_goes_first(stage: Stage, audit: Audit) -> None:
    """Recommends only beside them, and acts once they are gone."""
    services = [service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in ("scaled", "shared")]
    await play(stage, *services)
    await stage.apply(autoscaler("scaled"))
    await stage.apply(policy("scaled", horizontal=FOLLOWING), policy("older", target="shared", horizontal=FIXED))
    await stage.apply(policy("younger", target="shared", horizontal={**FOLLOWING, "minReplicas": 3}))
    stage.operator()
    await learned(stage, "scaled", "older", "younger")
    conflict = await stage.told("scaled", "Conflicted", "True")
    assert conflict["message"].startswith("spec.replicas is owned by HorizontalPodAutoscaler scaled; remove it, or ")
    conflict = await stage.told("younger", "Conflicted", "True")
    assert conflict["message"].startswith("the whole workload is owned by policy older; it is older or tries ")
    told = await stage.told("older", "Conflicted", "False", "NoConflict")
    assert "policy younger on the same workload may change nothing meanwhile" in told["message"]
    for name in ("scaled", "younger"):
        assert await turns(stage, name) == {"Conflicted"}

    kept = await stage.settled(await own_run(stage, "older"))
    assert kept["status"]["phase"] == "Succeeded"
    await stage.told("older", "Conflicted", "False")
    assert (await stage.policy("scaled"))["status"]["recommendation"]["replicas"] == WELL_REPLICAS
    assert [await replicas(stage, name) for name in ("scaled", "shared")] == [REPLICAS, WELL_REPLICAS]
    assert audit.done() == Counter({("shared", "deployments/scale"): 1})

    await stage.kubectl("delete", "horizontalpodautoscaler", "scaled")
    await stage.kubectl("delete", "performancepolicy", "older")
    await counted(stage, "scaled", WELL_REPLICAS)
    await counted(stage, "shared", 3)
    for name in ("scaled", "younger"):
        await stage.told(name, "Conflicted", "False", "NoConflict")
        assert await turns(stage, name) == {"Conflicted", "ConflictEnded"}
    assert audit.done() == Counter({("shared", "deployments/scale"): 2, ("scaled", "deployments/scale"): 1})


async def test_an_autoscaler_that_is_gone_owns_nothing(stage: Stage) -> None:
    """The HPA's last count stays its own in managedFields; what counts is that it is there, or is not."""
    await play(stage, service("scaled", rate=SPARE_RATE, namespace=stage.namespace))
    await stage.apply(autoscaler("scaled", most=GOOD_REPLICAS))
    await counted(stage, "scaled", GOOD_REPLICAS)
    await stage.apply(policy("scaled", horizontal=FOLLOWING))
    stage.operator()
    await learned(stage, "scaled")
    conflict = await stage.told("scaled", "Conflicted", "True")
    assert conflict["message"].startswith("spec.replicas is owned by HorizontalPodAutoscaler scaled; remove it, or ")
    assert await replicas(stage, "scaled") == GOOD_REPLICAS

    await stage.kubectl("delete", "horizontalpodautoscaler", "scaled")
    assert ("kube-controller-manager", "Update", "scale") in owner(await stage.workload("scaled"), *REPLICAS_FIELD)
    await counted(stage, "scaled", WELL_REPLICAS)
    await stage.told("scaled", "Conflicted", "False", "NoConflict")


async def test_what_is_on_trial_is_nobody_elses_to_change(stage: Stage, gate: Gate, gate_kubeconfig: Path) -> None:
    """Whatever becomes of its policy, before its undo is written: the next policy begins from what was proven."""
    kinds = ("deleted", "invalid", "retargeted")
    others: dict[str, JsonObject] = {name: {**FOLLOWING, "minReplicas": 6} for name in kinds} | {"deleted": FIXED}
    await play(stage, *(service(name, namespace=stage.namespace) for name in kinds))
    await stage.apply(*(policy(f"older-{name}", target=name, validation={"duration": "10m"}) for name in kinds))
    await stage.apply(*(policy(f"younger-{name}", target=name, horizontal=others[name]) for name in kinds))
    stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, *(f"older-{name}" for name in kinds))
    for name in kinds:
        await stage.create_run(name, f"older-{name}", changes=to_replicas(GOOD_REPLICAS))
    for name in kinds:
        await stage.in_phase(name, ["Validating"])
    with gate.answering(undoes, 503):
        await stage.kubectl("delete", "performancepolicy", "older-deleted", "--wait=false")
        faulty = {"objectives": [{"name": "p99", "query": "up[", "max": "1"}]}
        await patched(stage, "older-invalid", faulty)
        await patched(stage, "older-retargeted", {"targetRef": {"name": "elsewhere"}})
        await stage.create_run("next", "younger-deleted", changes=to_replicas(6))
        for name in ("deleted", "retargeted"):
            await names_run(stage, f"younger-{name}", name)
        await stage.told("older-invalid", "Ready", "False", "InvalidSpec")
        await rounds(stage, 5)
        assert [await replicas(stage, name) for name in kinds] == [GOOD_REPLICAS] * len(kinds)
        assert (await stage.run("next")).get("status", {}).get("phase", "Pending") == "Pending"
    for name in kinds:
        undone = (await stage.settled(name))["status"]
        assert (undone["phase"], undone["rollback"]["restored"]) == ("Cancelled", True)
    for name in ("invalid", "retargeted"):
        await counted(stage, name, 6)
    begun = (await stage.in_phase("next", ["Settling", "Validating", "Succeeded"]))["status"]
    assert begun["plan"]["reason"] == f"asked for by a person: {REPLICAS}→6"
    for name in kinds:
        await stage.told(f"younger-{name}", "Conflicted", "False", "NoConflict")


def undoes(request: Request) -> bool:
    """A write that sets replicas to what they were."""
    return to_scale(request) and f'"value":{REPLICAS}'.encode() in request.body.replace(b" ", b"")


async def patched(stage: Stage, name: str, spec: JsonObject) -> None:
    """A policy with another spec."""
    await stage.kubectl("patch", "performancepolicy", name, "--type=merge", "-p", json.dumps({"spec": spec}))


async def names_run(stage: Stage, name: str, run: str) -> None:
    """Wait until a policy's conflict names a run."""

    async def look() -> bool:
        told = await stage.condition(name, "Conflicted")
        return told is not None and f"owned by run {run} of another policy; " in told["message"]

    await stage.until(look, f"Conflicted of {name} names run {run}")


async def applied(stage: Stage, manager: str, *services: SimulatedService) -> None:
    """Workloads as a tool's server-side apply makes them, or puts them back."""
    arguments = ("apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-")
    await stage.kubectl(*arguments, given=yaml.safe_dump_all(map(manifest, services)))


async def applied_by_argo(stage: Stage, *services: SimulatedService) -> None:
    """The same by Argo CD."""
    await applied(stage, ARGO, *services)


def autoscaler(name: str, most: int = 8) -> JsonObject:
    """An HPA of a workload's CPU; nothing answers its metrics, so that it only keeps to its bounds."""
    target = {"type": "Utilization", "averageUtilization": 80}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


async def turns(stage: Stage, name: str) -> set[str]:
    """The Events that say that a conflict began or ended."""
    return {event["reason"] for event in await stage.events(name)} & {"Conflicted", "ConflictEnded"}


async def test_an_older_policy_that_changes_nothing_is_in_nobody_s_way(stage: Stage) -> None:
    """One that only recommends, and one that cannot be used."""
    faulty = [{"name": "p99", "query": "up[", "max": 1}]
    older: dict[str, JsonObject] = {"recommends": {"mode": "Recommend"}, "invalid": {"objectives": faulty}}
    await play(stage, *(service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in older))
    specs: dict[str, Any] = {n: {"target": n, "horizontal": FOLLOWING} | spec for n, spec in older.items()}
    await stage.apply(*(policy(f"older-{name}", **spec) for name, spec in specs.items()))
    stage.operator()
    await stage.told("older-invalid", "Ready", "False", "InvalidSpec")
    await asyncio.sleep(1.1)  # a creation's time has whole seconds
    await stage.apply(*(policy(f"younger-{name}", target=name, horizontal=FOLLOWING) for name in older))
    for name in older:
        await counted(stage, name, WELL_REPLICAS)
        await stage.told(f"younger-{name}", "Conflicted", "False", "NoConflict")
