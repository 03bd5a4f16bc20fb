"""A person's newer change stands, and following waits until a person says otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    CPU,
    GOOD_CPU,
    GOOD_REPLICAS,
    learned,
    play,
    policy,
    reached,
    replicas,
    resources,
    rounds,
    service,
    to_cpu,
    to_replicas,
)
from tests.operator.audit import Audit

pytestmark = pytest.mark.cluster

FOLLOWED = {
    "minReplicas": 1,
    "maxReplicas": 10,
    "follow": True,
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
}


async def test_a_newer_change_during_a_run_stands(stage: Stage, audit: Audit) -> None:
    names = ("scaled", "resized", "partly")
    await play(stage, *(service(name, namespace=stage.namespace) for name in names))
    await stage.apply(*(policy(name) for name in names))
    stage.operator()
    await learned(stage, *names)
    await stage.create_run("scaled", "scaled", changes=to_replicas(GOOD_REPLICAS))
    await stage.create_run("resized", "resized", changes=to_cpu(GOOD_CPU))
    await stage.create_run("partly", "partly", changes=[*to_replicas(GOOD_REPLICAS), *to_cpu(GOOD_CPU)])
    for name in names:
        await stage.in_phase(name, ["Settling", "Validating"])
    await stage.kubectl("scale", "deployment/scaled", "deployment/partly", "--replicas=6")
    await stage.kubectl("set", "resources", "deployment/resized", "--requests=cpu=2", "--limits=cpu=2")
    runs = {name: (await stage.settled(name))["status"] for name in names}

    assert {name: status["phase"] for name, status in runs.items()} == dict.fromkeys(names, "Superseded")
    assert not any(status["rollback"].get("restored", False) for status in runs.values())
    assert "spec.replicas was set to 6 by kubectl" in runs["scaled"]["rollback"]["reason"]
    assert await replicas(stage, "scaled") == await replicas(stage, "partly") == 6
    assert (await resources(stage, "resized"))["limits"]["cpu"] == "2"
    assert (await resources(stage, "partly"))["limits"]["cpu"] == CPU, "what nobody else touched is undone"
    assert audit.done() == Counter(
        {
            ("scaled", "deployments/scale"): 1,
            ("resized", "deployments"): 1,
            ("partly", "deployments/scale"): 1,
            ("partly", "deployments"): 2,
        }
    )


async def resume(stage: Stage) -> None:
    """What the message asks for."""
    await stage.trimtab("resume", "web")


async def change_the_policy(stage: Stage) -> None:
    """Says as much: the person has looked at it."""
    await stage.kubectl(
        "patch", "performancepolicy/web", "--type=merge", "-p", '{"spec":{"horizontal":{"maxReplicas":11}}}'
    )


@pytest.mark.parametrize("release", [resume, change_the_policy], ids=["resume", "policy-changed"])
async def test_following_waits_after_a_person_scaled(
    stage: Stage, audit: Audit, release: Callable[[Stage], Awaitable[None]]
) -> None:
    await play(stage, service(rate=200.0, replicas=2, namespace=stage.namespace))
    await stage.apply(policy(horizontal=FOLLOWED))
    stage.operator()
    await stage.until(lambda: reached(stage, 4), "4 replicas")
    await stage.kubectl("scale", "deployment/web", "--replicas=7")
    held = await stage.told("web", "Ready", "False", "HeldByPerson")
    assert "spec.replicas was set to 7 by kubectl; trimtab resume web to go on" in held["message"]
    await rounds(stage, 3)
    assert await replicas(stage) == 7
    assert (await stage.policy("web"))["status"]["hold"]["value"] == "7"
    reasons = [event["reason"] for event in await stage.events("web")]
    assert reasons.count("HeldByPerson") == 1
    await release(stage)
    await stage.until(lambda: reached(stage, 4), "4 replicas again")
    await stage.told("web", "Ready", "True")
    assert audit.done() == Counter({("web", "deployments/scale"): 2})
