"""A deploy never holds following, whatever replicas it brings; only a lone hand edit does, and that ends by itself."""

from __future__ import annotations

import asyncio

import pytest

from demo.stage import Stage
from tests.operator import kstatus
from tests.operator.acting import (
    FOLLOWING,
    REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    counted,
    decided,
    play,
    policy,
    replicas,
    service,
)
from tests.operator.deploying import (
    Deed,
    client_apply,
    first_version,
    helm_upgrade,
    restart,
    server_apply,
    set_image,
    undo,
)
from trimtab.domain.status_types import parse_time

pytestmark = pytest.mark.cluster

MANY = 6
DEEDS: dict[str, Deed] = {
    "client": client_apply(replicas=MANY),
    "server": server_apply(replicas=MANY),
    "helm": helm_upgrade(replicas=MANY),
    "sizes": client_apply(replicas=MANY, cpu="900m", image="sim"),
    "image": set_image,
    "restart": restart,
    "undo": undo,
}
AWAY: dict[str, Deed] = {"away": client_apply(replicas=MANY), "away-edit": client_apply(replicas=MANY, image="sim")}
"""What is done while the operator is not there: a deploy, and an edit of replicas alone."""


async def test_a_deploy_never_holds_following(stage: Stage) -> None:
    services = {name: service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in (*DEEDS, *AWAY)}
    await first_version(stage, *services.values())
    await play(stage, *services.values(), deploy=False)
    # CPU usage a request does not change with a version here; without objectives nothing but the demand sets replicas:
    # no run, and no rescue of what a rollout breaks for a moment, which is kept for an hour
    await stage.apply(*(policy(name, objectives=None, horizontal=FOLLOWING) for name in services))
    operator = stage.operator()
    for name in services:
        await counted(stage, name, WELL_REPLICAS)
    await decided(stage, "client", 1)

    await asyncio.gather(*(deed(stage, services[name]) for name, deed in DEEDS.items()))
    for name in DEEDS:
        await decided(stage, name, 2)
        await counted(stage, name, WELL_REPLICAS)
    operator.stop()
    await asyncio.gather(*(deed(stage, services[name]) for name, deed in AWAY.items()))
    stage.operator()
    await counted(stage, "away", WELL_REPLICAS)
    held = kstatus.condition(await stage.in_state("away-edit", "Held"), "Ready")
    assert held["message"].startswith(
        f"spec.replicas was set to {MANY} by kubectl-client-side-apply, which holds until "
    )
    for name in (*DEEDS, "away"):
        assert "hold" not in (await stage.policy(name))["status"], name
        assert "HeldByPerson" not in {event["reason"] for event in await stage.events(name)}, name


async def test_a_hold_ends_by_itself(stage: Stage) -> None:
    """Sooner by a deploy; until then status, condition and explain say when."""
    services = {name: service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in ("short", "deployed")}
    await play(stage, *services.values())
    hold_for = {"short": "20s", "deployed": "24h"}
    await stage.apply(
        *(
            policy(name, horizontal=FOLLOWING, guardrails={"maxRunsPerDay": 1, "holdFor": hold_for[name]})
            for name in services
        )
    )
    stage.operator()
    for name in services:
        await counted(stage, name, WELL_REPLICAS)
    await decided(stage, "short", 1)
    for name in services:
        await stage.kubectl("scale", "deployment", name, f"--replicas={REPLICAS}")
    for name in services:
        ready = kstatus.condition(await stage.in_state(name, "Held"), "Ready")
        hold = (await stage.policy(name))["status"]["hold"]
        assert parse_time(hold["until"]) - parse_time(hold["since"]) == {"short": 20, "deployed": 86_400}[name]
        assert f"spec.replicas was set to {REPLICAS} by kubectl, which holds until {hold['until']}" in ready["message"]
        assert await replicas(stage, name) == REPLICAS
    assert f"which holds until {hold['until']}" in " ".join((await stage.trimtab("explain", "deployed")).split())
    await client_apply(replicas=MANY)(stage, services["deployed"])
    for name in services:
        await counted(stage, name, WELL_REPLICAS)
        await stage.in_state(name, "Following")
        assert "hold" not in (await stage.policy(name))["status"]
    resumed = [event["message"] for event in await stage.events("short") if event["reason"] == "Resumed"]
    assert resumed == [f"follows again from {REPLICAS} replicas: the time of the hold is over"]
