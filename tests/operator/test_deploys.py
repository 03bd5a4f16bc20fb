"""A deploy during a trial ends it inconclusive: what it brings stands, and what is still ours is undone."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    BAD_REPLICAS,
    CPU,
    GOOD_CPU,
    GOOD_REPLICAS,
    REPLICAS,
    learned,
    phases,
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
from tests.operator.gate import Gate, Request
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

NEW_CPU, NEW_REPLICAS = "800m", 6


@dataclass(frozen=True)
class Case:
    """A deploy during a run, and how things stand afterwards."""

    name: str
    changes: list[JsonObject]
    deed: Deed
    manager: str
    restored: bool = True
    cpu: str = CPU
    replicas: int = REPLICAS


CASES = (
    Case("client", to_cpu(GOOD_CPU), client_apply(cpu=NEW_CPU), "kubectl-client-side-apply", False, NEW_CPU),
    Case("same", to_cpu(GOOD_CPU), client_apply(cpu=GOOD_CPU), "kubectl-client-side-apply", False, GOOD_CPU),
    Case("server", to_cpu(GOOD_CPU), server_apply(), "ci"),
    Case("helm", to_replicas(GOOD_REPLICAS), helm_upgrade(replicas=NEW_REPLICAS), "helm", False, replicas=NEW_REPLICAS),
    Case("image", to_cpu(GOOD_CPU), set_image, "kubectl-set"),
    Case("restart", to_replicas(GOOD_REPLICAS), restart, "kubectl-rollout"),
    Case("undo", to_replicas(GOOD_REPLICAS), undo, "kubectl"),
)
"""A new version that brings a size of its own, or states the very size on trial, stands; so does its replica count."""


@pytest.mark.parametrize("phase", ["Settling", "Validating"])
async def test_a_deploy_ends_a_trial_inconclusive(stage: Stage, audit: Audit, phase: str) -> None:
    services = {case.name: service(case.name, namespace=stage.namespace) for case in CASES}
    await first_version(stage, *services.values())
    await play(stage, *services.values(), deploy=False)
    patient = {"settle": "60s" if phase == "Settling" else "2s", "duration": "60s", "failureLimit": 3}
    await stage.apply(*(policy(name, validation=patient | {"onInconclusive": "Keep"}) for name in services))
    stage.operator()
    await learned(stage, *services)

    async def deploy(case: Case) -> None:
        await stage.create_run(case.name, case.name, changes=case.changes)
        await stage.in_phase(case.name, [phase])
        await case.deed(stage, services[case.name])

    await asyncio.gather(*map(deploy, CASES))
    for case in CASES:
        run = await stage.settled(case.name)
        await ended_by_deploy(stage, case, run)
        assert phase in phases(run)
    undone = {case.name for case in CASES if case.name in ("image", "restart", "undo")}
    for name in services:
        assert sum(done for (one, _), done in audit.done().items() if one == name) == 1 + (name in undone), name


@pytest.mark.parametrize("arrives", [False, True], ids=["before-the-write", "after-the-write"])
async def test_a_deploy_between_record_and_write_ends_the_run(
    stage: Stage, gate: Gate, gate_kubeconfig: Path, arrives: bool
) -> None:
    """A write that was on its way when the deploy came is undone; one that never arrived is not made any more."""
    cases = [case for case in CASES if case.name != "same"]  # where nothing of ours is different, nothing is tried
    services = {case.name: service(case.name, namespace=stage.namespace) for case in cases}
    await first_version(stage, *services.values())
    await play(stage, *services.values(), deploy=False)
    await stage.apply(*(policy(name, validation={"duration": "60s"}) for name in services))
    stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, *services)

    async def deploy(case: Case) -> None:
        hold = gate.hold(lambda request: writes(request, case.name))
        await stage.create_run(case.name, case.name, changes=case.changes)
        await hold.caught()
        assert (await stage.run(case.name))["status"]["phase"] == "Applying"
        await case.deed(stage, services[case.name])
        if arrives:
            await hold.let_go()
        else:
            hold.drop()

    await asyncio.gather(*map(deploy, cases))
    for case in cases:
        await ended_by_deploy(stage, case, await stage.settled(case.name))


async def test_a_deploy_while_a_plan_waits_for_a_person(stage: Stage, audit: Audit) -> None:
    """The plan is made anew for what runs now, and the yes to the old one changes nothing."""
    services = {case.name: service(case.name, namespace=stage.namespace) for case in CASES}
    await first_version(stage, *services.values())
    await play(stage, *services.values(), deploy=False)
    await stage.apply(*(policy(name, mode="Approve") for name in services))
    stage.operator()
    await learned(stage, *services)
    for case in CASES:
        await stage.create_run(case.name, case.name, changes=case.changes)
        old = (await stage.in_phase(case.name, ["AwaitingApproval"]))["status"]["plan"]["hash"]
        await case.deed(stage, services[case.name])
        if case.name == "restart":
            continue  # the same version runs: the plan is still good
        if await stage.until(partial(planned_anew, stage, case.name, old), f"{case.name} planned anew") == "Waits":
            approval = {"spec": {"approval": {"planHash": old, "by": "somebody"}}}
            await stage.kubectl("patch", "optimizationrun", case.name, "--type=merge", "-p", json.dumps(approval))
    await rounds(stage, 2)
    for case in CASES:
        run = await stage.run(case.name)
        assert run["status"]["phase"] in ("AwaitingApproval", "Superseded"), run["status"]
        assert "applied" not in run["status"]
    assert audit.done() == {}


async def test_a_deploy_during_the_undo(stage: Stage, gate: Gate, gate_kubeconfig: Path) -> None:
    """The undo is on its way when somebody deploys: what the deploy says stands, and what is ours is still undone."""
    cases = [case for case in CASES if case.name in ("client", "server", "helm", "image", "restart")]
    services = {case.name: service(case.name, namespace=stage.namespace) for case in cases}
    await first_version(stage, *services.values())
    await play(stage, *services.values(), deploy=False)
    await stage.apply(*(policy(name) for name in services))
    stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, *services)

    async def deploy(case: Case) -> None:
        await stage.create_run(case.name, case.name, changes=to_replicas(BAD_REPLICAS))
        await stage.in_phase(case.name, ["Validating"])
        hold = gate.hold(lambda request: writes(request, case.name))
        await hold.caught()
        await case.deed(stage, services[case.name])
        await hold.let_go()

    await asyncio.gather(*map(deploy, cases))
    for case in cases:
        status = (await stage.settled(case.name))["status"]
        assert status["phase"] in ("RolledBack", "Superseded"), (case.name, status)
        assert await replicas(stage, case.name) == case.replicas, (case.name, status)


async def planned_anew(stage: Stage, name: str, old: str) -> str | None:
    """What became of a run that waited with a plan: it waits with another one, or is no longer called for."""
    status = (await stage.run(name))["status"]
    if status["phase"] == "Superseded":
        return "Ended"
    return "Waits" if status["plan"]["hash"] != old else None


def writes(request: Request, name: str) -> bool:
    """A write of one workload."""
    return request.writes_workload and name in request.path.split("/") and request.method == "PATCH"


async def ended_by_deploy(stage: Stage, case: Case, run: JsonObject) -> None:
    """The run says who deployed; what the deploy brought stands, and nothing else of ours."""
    status, size = run["status"], await resources(stage, case.name)
    message = f"the pod template was changed by {case.manager} during the trial"
    assert (status["phase"], verdict(run)) == ("Superseded", "Inconclusive"), case.name
    assert status["verdict"]["interrupted"]
    assert status["verdict"]["message"].startswith(message), case.name
    assert status["timeline"][-1]["reason"].startswith(message), case.name
    assert status["rollback"].get("restored", False) == case.restored, case.name
    assert bool(status["rollback"].get("notRestored")) != case.restored, case.name
    assert (size["requests"]["cpu"], size["limits"]["cpu"]) == (case.cpu, case.cpu), case.name
    assert await replicas(stage, case.name) == case.replicas, case.name

    async def told() -> JsonObject | None:
        status = (await stage.policy(case.name))["status"]
        return status if status.get("lastRun", {}).get("name") == case.name else None

    policy_status: JsonObject = await stage.until(told, f"run {case.name} told as the last of its policy")
    assert "hold" not in policy_status
    assert policy_status["lastRun"]["verdict"] == "Superseded"
