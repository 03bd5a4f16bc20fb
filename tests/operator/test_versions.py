"""Capacity is learned per version: after a deploy no plan rests on what another version showed."""

from __future__ import annotations

import secrets

import pytest

from demo.stage import Stage
from tests.operator.acting import FIXED, play, policy, service, to_replicas
from tests.operator.deploying import restart, set_image
from trimtab.adapters.kube import JsonObject
from trimtab.domain.status_types import parse_time
from trimtab.simulation.arrivals import Diurnal

pytestmark = pytest.mark.cluster


async def test_a_deploy_has_capacity_learned_anew(stage: Stage) -> None:
    varied = Diurnal(low=60.0, high=150.0, period_seconds=12.0)
    web = service("web", namespace=stage.namespace).model_copy(update={"arrivals": varied})
    await play(stage, web)
    await stage.apply(policy(mode="Recommend", horizontal=FIXED, analysis={"interval": "1s"}))
    stage.operator()
    first = await curves_of(stage, learned=True)
    assert first["samples"] >= 30
    await restart(stage, web)
    assert (await curves_of(stage, learned=True))["samples"] >= first["samples"], "a restart is no other version"

    await set_image(stage, web)

    async def alone() -> JsonObject | None:
        seen: JsonObject = (await stage.policy("web"))["status"].get("version") or {}
        return seen if "since" in seen and not seen.get("rolling") else None

    version = await stage.until(alone, "the new version alone")
    assert await curves_of(stage, learned=False) == {}
    again = await curves_of(stage, learned=True)
    assert again["samples"] < first["samples"] + 60
    plan = (await stage.runs("web"))[-1]["status"]["plan"]
    assert plan["version"] == version["digest"]
    created = parse_time((await stage.runs("web"))[-1]["metadata"]["creationTimestamp"])
    assert again["samples"] <= created - parse_time(version["since"]) + 3
    assert "runs since" in await stage.trimtab("explain", "web")


async def curves_of(stage: Stage, *, learned: bool) -> JsonObject:
    """The curve that a plan rests on now, as dry runs show it, once one is learned (or once none is)."""

    async def look() -> JsonObject | None:
        name = f"look-{secrets.token_hex(4)}"
        await stage.create_run(name, "web", dryRun=True, changes=to_replicas(7))
        plan = (await stage.ended(name))["status"].get("plan") or {}
        found: list[JsonObject] = plan.get("curves") or []
        return (found[0] if found else {}) if bool(found) == learned else None

    return await stage.until(look, "a curve" if learned else "no curve", 120.0)
