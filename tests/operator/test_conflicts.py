"""Fields that a GitOps tool or another controller claims are left to it, with a message that says what to do."""

from __future__ import annotations

import pytest
import yaml

from demo.stage import Stage
from tests.operator.acting import learned, play, policy, reached, replicas, rounds, service, to_replicas
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.scenario import manifest

pytestmark = pytest.mark.cluster

FOLLOWED = {"minReplicas": 1, "maxReplicas": 10, "follow": True}
ARGO = "argocd-controller"


async def sync(stage: Stage, body: JsonObject) -> None:
    """What Argo CD does."""
    options = ("--server-side", "--force-conflicts", f"--field-manager={ARGO}")
    await stage.kubectl("apply", *options, "-f", "-", given=yaml.safe_dump(body))


async def test_a_field_of_a_gitops_tool_is_left_to_it(stage: Stage, audit: Audit) -> None:
    """By following and by runs, from the start."""
    services = [service(name, rate=200.0, replicas=2, namespace=stage.namespace) for name in ("follow", "run")]
    for one in services:
        await sync(stage, manifest(one))
    await play(stage, *services, deploy=False)
    await stage.apply(policy("follow", horizontal=FOLLOWED), policy("run"))
    stage.operator()
    await learned(stage, "follow", "run")
    told = await stage.told("follow", "Conflicted", "True", "ClaimedByOther")
    assert f"spec.replicas is owned by GitOps manager '{ARGO}'" in told["message"]
    assert "ignoreDifferences" in told["message"]
    await stage.create_run("run", "run", changes=to_replicas(3))
    run = await stage.ended("run")
    assert run["status"]["phase"] == "Rejected"
    assert ARGO in run["status"]["timeline"][-1]["reason"]
    await rounds(stage, 2)
    status = (await stage.policy("follow"))["status"]
    assert status["recommendation"]["replicas"] == 4
    assert [event["reason"] for event in await stage.events("follow")].count("Conflicted") == 1
    assert not audit.writes()


async def test_writing_back_after_us_is_a_conflict(stage: Stage, audit: Audit) -> None:
    web = service(rate=200.0, replicas=2, namespace=stage.namespace)
    await play(stage, web)
    await stage.apply(policy(horizontal=FOLLOWED))
    stage.operator()
    await stage.until(lambda: reached(stage, 4), "4 replicas")
    await sync(stage, manifest(web))
    told = await stage.told("web", "Conflicted", "True", "ClaimedByOther")
    assert f"spec.replicas is owned by GitOps manager '{ARGO}'" in told["message"]
    await rounds(stage, 3)
    assert await replicas(stage) == 2
    assert len(audit.writes()) == 1


async def test_an_autoscaler_on_the_same_target_is_a_conflict_until_it_is_gone(stage: Stage, audit: Audit) -> None:
    await play(stage, service(rate=200.0, replicas=2, namespace=stage.namespace))
    await stage.kubectl("autoscale", "deployment/web", "--min=1", "--max=9", "--cpu=80%", "--name=theirs")
    await stage.apply(policy(horizontal=FOLLOWED))
    stage.operator()
    told = await stage.told("web", "Conflicted", "True", "ClaimedByOther")
    assert "HorizontalPodAutoscaler theirs scales the same workload; remove it" in told["message"]
    await learned(stage, "web")
    await rounds(stage, 2)
    assert (await stage.policy("web"))["status"]["recommendation"]["replicas"] == 4
    assert not audit.writes()
    await stage.kubectl("delete", "hpa/theirs")
    await stage.told("web", "Conflicted", "False")
    await stage.until(lambda: reached(stage, 4), "4 replicas")


async def test_of_two_policies_on_one_workload_the_older_acts(stage: Stage, audit: Audit) -> None:
    await play(stage, service(rate=200.0, replicas=2, namespace=stage.namespace))
    await stage.apply(policy("older", target="web", horizontal={**FOLLOWED, "maxReplicas": 3}))

    async def a_second_later() -> bool:
        """Creation times are whole seconds."""
        answer = await stage.kubectl("create", "configmap", "clock", "-o", "json", "--dry-run=server")
        older = (await stage.policy("older"))["metadata"]["creationTimestamp"]
        return bool(yaml.safe_load(answer)["metadata"]["creationTimestamp"] != older)

    await stage.until(a_second_later, "another second")
    await stage.apply(policy("younger", target="web", horizontal=FOLLOWED))
    stage.operator()
    told = await stage.told("younger", "Conflicted", "True", "ClaimedByOther")
    assert told["message"] == "policy older on the same workload is older and acts; remove one of the two"
    await stage.until(lambda: reached(stage, 3), "3 replicas, as the older policy has it")
    await rounds(stage, 3)
    assert await replicas(stage) == 3
    await stage.kubectl("delete", "performancepolicy/older")
    await stage.told("younger", "Conflicted", "False")
    await stage.until(lambda: reached(stage, 4), "4 replicas, as the younger policy has it")
