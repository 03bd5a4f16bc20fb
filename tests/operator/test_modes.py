"""How far each mode goes: Observe shows, Recommend proposes, Approve waits for a person, Auto acts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from demo.stage import Stage
from tests.operator.acting import learned, play, policy, reached, replicas, rounds, service, verdict
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject
from trimtab.adapters.resources import POLICIES, path

pytestmark = pytest.mark.cluster

OVERSIZED, SMALLER = 6, 3
"""100 requests/s on six pods: two would do, and one run halves at most."""


def saving(name: str, mode: str) -> JsonObject:
    """A policy under which a run would make replicas fewer, once."""
    horizontal = {"minReplicas": 1, "maxReplicas": 10, "follow": False}
    return policy(name, mode=mode, horizontal=horizontal, vertical=None, guardrails={"cooldown": "1h"})


async def run_of(stage: Stage, name: str) -> str:
    """The run that the operator made for a policy, once it did."""

    async def look() -> str | None:
        runs = await stage.runs(name)
        return str(runs[0]["metadata"]["name"]) if runs else None

    return await stage.until(look, f"a run of {name}")


async def test_observe_recommend_and_auto(stage: Stage, audit: Audit) -> None:
    names = {"observed": "Observe", "recommended": "Recommend", "automatic": "Auto"}
    await play(stage, *(service(name, replicas=OVERSIZED, namespace=stage.namespace) for name in names))
    await stage.apply(*(saving(name, mode) for name, mode in names.items()))
    stage.operator()
    await learned(stage, *names)
    run = await stage.ended(await run_of(stage, "automatic"))

    assert (run["status"]["phase"], verdict(run), run["spec"]["trigger"]) == ("Succeeded", "Pass", "Cost")
    assert [await replicas(stage, name) for name in names] == [OVERSIZED, OVERSIZED, SMALLER]
    assert [len(await stage.runs(name)) for name in names] == [0, 0, 1]
    recommended = (await stage.policy("recommended"))["status"]
    assert recommended["recommendation"]["replicas"] == SMALLER
    assert recommended["summary"]["replicas"] == f"{OVERSIZED}→{SMALLER}"
    observed = (await stage.policy("observed"))["status"]
    assert "recommendation" not in observed
    assert observed["objectives"][0]["state"] == "Met"
    assert audit.done() == Counter({("automatic", "deployments/scale"): 1})


async def test_a_run_by_hand_is_refused_where_the_mode_only_recommends(stage: Stage, audit: Audit) -> None:
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(mode="Recommend"))
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("try", "web", changes=[{"path": "spec.replicas", "to": 3}])
    run = await stage.ended("try")
    assert run["status"]["phase"] == "Rejected"
    assert "spec.mode of policy web is Recommend" in run["status"]["timeline"][-1]["reason"]
    assert not audit.writes()


async def test_approve_waits_for_a_yes_to_exactly_this_plan(stage: Stage, audit: Audit) -> None:
    await play(stage, service(replicas=OVERSIZED, namespace=stage.namespace))
    await stage.apply(saving("web", "Approve"))
    stage.operator()
    name = await run_of(stage, "web")
    first = await stage.in_phase(name, ["AwaitingApproval"])
    assert first["status"]["plan"]["changes"] == [{"path": "spec.replicas", "from": "6", "to": "3"}]
    await stage.kubectl("scale", "deployment/web", "--replicas=8")

    async def planned_anew() -> JsonObject | None:
        run = await stage.run(name)
        return run if run["status"]["plan"]["hash"] != first["status"]["plan"]["hash"] else None

    second = await stage.until(planned_anew, "another plan")
    assert second["status"]["plan"]["changes"] == [{"path": "spec.replicas", "from": "8", "to": "4"}]
    await approve(stage, name, first["status"]["plan"]["hash"])
    await rounds(stage, 3)
    assert (await stage.run(name))["status"]["phase"] == "AwaitingApproval"
    assert not audit.writes()
    assert "approved" in await stage.trimtab("approve", name)
    run = await stage.ended(name)
    assert (run["status"]["phase"], await replicas(stage)) == ("Succeeded", 4)
    assert audit.done() == Counter({("web", "deployments/scale"): 1})


async def approve(stage: Stage, run: str, plan_hash: str) -> None:
    """A person's yes to a plan, by kubectl."""
    body = f'{{"spec":{{"approval":{{"planHash":"{plan_hash}"}}}}}}'
    await stage.kubectl("patch", "optimizationrun", run, "--type=merge", "-p", body)


async def test_nothing_follows_before_a_person_approved_an_operating_point(stage: Stage, audit: Audit) -> None:
    await play(stage, service(rate=200.0, replicas=2, namespace=stage.namespace))
    horizontal = {"minReplicas": 1, "maxReplicas": 10, "follow": True}
    await stage.apply(policy(mode="Approve", horizontal=horizontal))
    stage.operator()
    name = await run_of(stage, "web")
    run = await stage.in_phase(name, ["AwaitingApproval"])
    assert [change["path"] for change in run["status"]["plan"]["changes"]] == ["operatingPoint.loadPerReplica"]
    await rounds(stage, 3)
    assert (await recommendation(stage))["replicas"] == 4
    assert await replicas(stage) == 2
    assert not audit.writes()
    await stage.trimtab("approve", name)
    await stage.until(lambda: reached(stage, 4), "4 replicas")
    assert (await stage.ended(name))["status"]["phase"] == "Succeeded"
    assert audit.done() == Counter({("web", "deployments/scale"): 1})


async def recommendation(stage: Stage) -> dict[str, Any]:
    """What the policy's status recommends."""
    body: JsonObject = await stage.kube.get(path(POLICIES, stage.namespace, "web"))
    return dict(body["status"]["recommendation"])
