"""A fleet is not changed at once: trials take turns, failures and people stop new ones, and rollouts are rare."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from typing import Any, Final

import aiohttp
import pytest

from cluster.ports import free_port
from demo.stage import Stage
from tests.operator import kstatus
from tests.operator.acting import (
    BAD_CPU,
    CPU,
    FIXED,
    FOLLOWING,
    GOOD_REPLICAS,
    OWN_ONLY,
    REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    counted,
    decided,
    learned,
    own_run,
    play,
    policy,
    replicas,
    resources,
    rounds,
    service,
    to_cpu,
    to_replicas,
)
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject
from trimtab.adapters.resources import POLICIES, path

pytestmark = pytest.mark.cluster

LONG: Final = {"settle": "0s", "duration": "10m"}
SHORT: Final = {"settle": "0s", "duration": "4s", "failureLimit": 0}
TIGHT: Final = {"max": "65m"}
"""What four pods hold at the spare rate (57 ms) and the two that are planned do not (77 ms)."""
BOUND_SECONDS: Final = 5.0


async def shows(stage: Stage, port: int, name: str, value: float) -> None:
    """Wait until a metric of the operator without labels has a value."""

    async def look() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                return f"{name} {value}" in (await answer.text()).splitlines()
        except aiohttp.ClientConnectionError:
            return False  # it does not listen yet

    await stage.until(look, f"{name} {value}")


def most_at_once(audit: Audit, names: Iterable[str]) -> int:
    """Most workloads that were changed and not put back at a time: each is changed once, and perhaps put back."""
    wanted, changed, most = set(names), set[str](), 0
    for write in sorted(audit.writes(), key=lambda write: write.at):
        if write.done and write.name in wanted:
            changed ^= {write.name}
            most = max(most, len(changed))
    return most


async def ready_text(stage: Stage, name: str) -> str:
    """What a policy's Ready says."""
    seen = await stage.condition(name, "Ready")
    return str(seen["message"]) if seen else ""


async def says(stage: Stage, name: str, words: str) -> str:
    """What a policy's Ready says, once it has these words."""

    async def look() -> str | None:
        text = await ready_text(stage, name)
        return text if words in text else None

    return await stage.until(look, f"{name} to say {words!r}")


async def test_no_more_trials_are_open_than_allowed_and_the_others_wait_their_turn(stage: Stage, audit: Audit) -> None:
    """Seven policies want the same at once, three may; a person's run goes beside them, and counts."""
    names = [f"web-{number}" for number in range(7)]
    await play(stage, *(service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in (*names, "asked")))
    await stage.apply(*(policy(name, horizontal=FIXED, vertical=None, validation=LONG) for name in names))
    await stage.apply(policy("asked", validation=LONG))
    port = free_port()
    stage.operator(max_open_runs="3", metrics_port=port)
    await learned(stage, *names)
    begun = await stage.until(lambda: _begun(stage, 3), "three open runs")
    waiting = await stage.until(lambda: _that_waits(stage, names), "a policy that waits")
    assert re.search(r"openRuns: waits for its turn: 3 of 3 runs are open \(--max-open-runs\), place [1-4] of", waiting)
    assert "waits for its turn: 3 of 3 runs are open" in await stage.trimtab("get")
    for name, value in {"open_runs": 3.0, "open_runs_limit": 3.0, "runs_waiting": 4.0}.items():
        await shows(stage, port, f"trimtab_{name}", value)

    await stage.create_run("asked", "asked", changes=to_replicas(GOOD_REPLICAS))
    await stage.in_phase("asked", ["Settling", "Validating"])
    await _cancel(stage, begun[0])
    await rounds(stage, 3)
    assert len(await _begun(stage, 3) or ()) == 3, "the person's run counts, so that nobody takes the place"
    await _cancel(stage, "asked")
    await stage.until(lambda: _begun(stage, 4), "the next to begin")
    await shows(stage, port, "trimtab_open_runs", 3.0)
    assert most_at_once(audit, names) == 3


async def _begun(stage: Stage, least: int) -> list[str] | None:
    """Names of the operator's own runs that have changed their workload, once there are so many."""
    own = [run for run in await stage.runs() if run["spec"]["trigger"] != "Manual"]
    begun = [str(run["metadata"]["name"]) for run in own if (run.get("status") or {}).get("applied", {}).get("written")]
    return begun if len(begun) >= least else None


async def _cancel(stage: Stage, run: str) -> None:
    """End a run, and wait until its change is taken back."""
    await stage.kubectl("patch", "orun", run, "--type=merge", "-p", '{"spec":{"cancelled":true}}')
    assert (await stage.settled(run))["status"]["rollback"]["restored"]


async def _that_waits(stage: Stage, names: list[str]) -> str | None:
    """What a policy says that waits for its turn."""
    for name in names:
        text = await ready_text(stage, name)
        if "waits for its turn: 3 of 3" in text:
            return text
    return None


async def test_too_many_failures_stop_new_trials_until_a_person_resumes(stage: Stage, audit: Audit) -> None:
    """Two trials fail, one after the other; the third is not begun, not by a restarted operator either."""
    names = ("first", "second", "third")
    await play(stage, *(service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in (*names, "asked")))
    tight = [{**policy("x")["spec"]["objectives"][0], **TIGHT}]
    await stage.apply(
        *(policy(name, horizontal=FIXED, vertical=None, validation=SHORT, objectives=tight) for name in names),
        policy("asked", validation=SHORT),
    )
    options = ["--pause-after-failures", "2"]
    port = free_port()
    operator = stage.operator(max_open_runs="1", options=options)

    async def paused_ones() -> list[str] | None:
        told = {name: await stage.condition(name, "FleetPaused") for name in names}
        return [name for name, one in told.items() if one and one["status"] == "True"] or None

    await stage.until(paused_ones, "the fleet to be paused", 90.0)
    runs = await stage.runs()
    assert [run["status"]["phase"] for run in runs] == ["RolledBack", "RolledBack"]
    (left,) = set(names) - {run["spec"]["policyRef"]["name"] for run in runs}
    operator.kill()
    stage.operator(max_open_runs="1", options=options, metrics_port=port)
    told = await stage.told(left, "FleetPaused", "True", "TooManyFailures")
    assert told["message"].startswith("no new trial begins: 2 of 2 trials failed in the hour before")
    assert f"{stage.namespace}/{runs[-1]['metadata']['name']}" in told["message"]
    await says(stage, left, "fleetPaused: 2 of 2 trials failed")
    assert any(event["reason"] == "FleetPaused" for event in await stage.events(left))
    await shows(stage, port, "trimtab_fleet_paused", 1.0)
    assert "no new trial begins: 2 of 2 trials failed" in (await stage.trimtab("get")).splitlines()[0]
    await stage.create_run("asked", "asked", changes=to_replicas(GOOD_REPLICAS))
    assert (await stage.settled("asked"))["status"]["phase"] == "Succeeded"
    assert len(await stage.runs(left)) == 0

    assert "new trials begin again" in await stage.trimtab("resume", "--fleet", "--switch-namespace", stage.namespace)
    await own_run(stage, left)
    await stage.told(left, "FleetPaused", "False")
    await shows(stage, port, "trimtab_fleet_paused", 0.0)
    assert {event["reason"] for event in await stage.events(left)} >= {"FleetPaused", "FleetResumed"}
    assert audit.done()["asked", "deployments/scale"] == 1


async def test_pause_all_stops_every_new_write_within_its_bound_and_undo_goes_on(stage: Stage, audit: Audit) -> None:
    """Replicas are pulled to and fro all the time; after the pause nothing follows, begins or is applied."""
    await play(stage, *(service(name, namespace=stage.namespace) for name in ("followed", "undone", "asked")))
    await stage.apply(policy("followed", horizontal=FOLLOWING, vertical=OWN_ONLY), policy("undone"), policy("asked"))
    stage.operator()
    await learned(stage, "followed", "undone", "asked")
    await stage.create_run("undone", "undone", changes=to_cpu(BAD_CPU))
    await stage.in_phase("undone", ["Settling", "Validating"])
    pulling = asyncio.create_task(_pull(stage, "followed"))
    await stage.until(lambda: _followed(audit) >= 2, "following to follow")

    told = await stage.trimtab("pause", "--all", "--reason", "incident 7", "--switch-namespace", stage.namespace)
    paused_at = time.time()
    assert f"ConfigMap {stage.namespace}/trimtab-switch" in told
    await stage.create_run("asked", "asked", changes=to_replicas(GOOD_REPLICAS))
    undone = await stage.settled("undone")
    paused = kstatus.condition(await stage.in_state("asked", "Paused"), "Ready")
    await decided(stage, "followed")

    assert (undone["status"]["phase"], (await resources(stage, "undone"))["limits"]["cpu"]) == ("RolledBack", CPU)
    assert paused["message"].startswith("everything is paused by alice since ")
    assert paused["message"].endswith(": incident 7; trimtab resume --all to go on")
    header = await stage.trimtab("get", "--switch-namespace", stage.namespace)
    assert header.splitlines()[0] == paused["message"]
    assert (await stage.trimtab("get")).splitlines()[0] == paused["message"], "also where the switch is not to be read"
    assert ((await stage.run("asked")).get("status") or {}).get("phase", "Pending") == "Pending"
    since = [(write.name, write.at - paused_at) for write in audit.writes() if write.done and write.at > paused_at]
    assert {name for name, seconds in since if seconds > BOUND_SECONDS} <= {"undone"}, since
    assert audit.done()["undone", "deployments"] == 2
    assert not pulling.done()

    followed = _followed(audit)
    await stage.trimtab("resume", "--all", "--switch-namespace", stage.namespace)
    assert (await stage.settled("asked"))["status"]["phase"] == "Succeeded"
    await stage.until(lambda: _followed(audit) > followed, "following to go on")
    pulling.cancel()


async def _pull(stage: Stage, name: str) -> None:
    """Ask for more and fewer replicas by turns, for ever."""
    while True:
        for least in (6, 5):
            body = {"spec": {"horizontal": {"minReplicas": least}}}
            await stage.kube.merge_patch(path(POLICIES, stage.namespace, name), body)
            await asyncio.sleep(1.0)


def _followed(audit: Audit) -> int:
    return audit.done()["followed", "deployments/scale"]


async def test_lowering_and_rollouts_wait_as_the_policy_says(stage: Stage, audit: Audit) -> None:
    """A second rollout waits for the next day, and the first step down for a day of history; each says so."""
    allowed = {"containerPolicies": [{"containerName": "app", "controlledResources": ["cpu"]}]}
    await play(
        stage,
        service("rolled", rate=40.0, replicas=2, cpu="2", namespace=stage.namespace, cliff=None),
        service("young", rate=SPARE_RATE, namespace=stage.namespace),
    )
    await stage.apply(
        policy("rolled", vertical=allowed, validation=SHORT, guardrails={"maxRolloutsPerDay": 1}),
        policy("young", horizontal=FIXED, vertical=None, validation=SHORT, guardrails={"minHistoryToShrink": "9m"}),
    )
    stage.operator()
    await learned(stage, "rolled", "young")
    first = await stage.settled(await own_run(stage, "rolled"))
    assert first["status"]["phase"] == "Succeeded"
    text = await says(stage, "rolled", "maxRolloutsPerDay: 1 rollouts in the last 24 h; at most 1 may begin")
    assert "so the next not before " in text
    text = await says(stage, "young", "minHistoryToShrink: spec.replicas is lowered after 9m of history")
    assert "not before " in text
    assert (await stage.policy("young"))["status"]["recommendation"]["replicas"] == WELL_REPLICAS
    assert await replicas(stage, "young") == REPLICAS
    assert (len(await stage.runs("rolled")), len(await stage.runs("young"))) == (1, 0)

    await stage.trimtab("undo", "rolled")
    undone = await stage.until(lambda: _with_rollback(stage, first["metadata"]["name"]), "the run to be undone")
    assert undone["status"]["rollback"]["restored"]
    assert (await resources(stage, "rolled"))["requests"]["cpu"] == "2"
    await stage.kube.merge_patch(
        path(POLICIES, stage.namespace, "young"), {"spec": {"guardrails": {"minHistoryToShrink": "10s"}}}
    )
    await own_run(stage, "young")
    await counted(stage, "young", WELL_REPLICAS)
    assert audit.done()["rolled", "deployments"] == 2


async def _with_rollback(stage: Stage, name: str) -> JsonObject | None:
    run: dict[str, Any] = await stage.run(name)
    return run if run["status"].get("rollback") else None
