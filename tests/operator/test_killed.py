"""Killed at any point and started again, the operator ends each run as if it had not been killed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.stage import FINAL_PHASES, Operator, Stage
from tests.operator.acting import (
    BAD_CPU,
    BAD_REPLICAS,
    CPU,
    GOOD_CPU,
    GOOD_REPLICAS,
    REPLICAS,
    counted,
    learned,
    phases,
    play,
    policy,
    replicas,
    resources,
    service,
    to_cpu,
    to_replicas,
    verdict,
)
from tests.operator.audit import Audit
from tests.operator.gate import Gate, Hold, Request, to_run_status, to_scale, to_template
from trimtab.adapters.kube import JsonObject
from trimtab.domain.status_types import parse_time

pytestmark = pytest.mark.cluster

GOOD, BAD = "good", "bad"


@dataclass
class Play:
    """Two workloads, a run on each: one that must be kept, one that must be undone."""

    stage: Stage
    gate: Gate
    kubeconfig: Path
    operator: Operator

    def start(self) -> None:
        """The operator again."""
        self.operator = self.stage.operator(kubeconfig=self.kubeconfig)

    async def both_in(self, phase: str) -> None:
        """Wait until both runs have been there; a bad one is not there for long."""
        for name in (BAD, GOOD):
            await self.stage.in_phase(name, [phase])


Kill = Callable[[Play], Awaitable[None]]
"""Finds the operator suspended and both runs made, so that neither is ahead of what the kill waits for."""


async def never(play: Play) -> None:
    """Undisturbed, for comparison."""
    play.operator.resume()


async def awaiting_approval(play: Play) -> None:
    """Approved while nobody listens."""
    play.operator.resume()
    await play.both_in("AwaitingApproval")
    play.operator.kill()
    for name in (GOOD, BAD):
        await play.stage.trimtab("approve", name)
    play.start()


def applying(done: bool) -> Kill:
    """With the change on record, and its write not made, or made and not heard of."""

    async def kill(play: Play) -> None:
        holds = [play.gate.hold(to_scale_of(name)) for name in (GOOD, BAD)]
        play.operator.resume()
        for hold in holds:
            await hold.caught()
        play.operator.kill()
        for hold in holds:
            await hold.settle(done)
        for name in (GOOD, BAD):
            assert (await play.stage.run(name))["status"]["phase"] == "Applying"
        play.start()

    return kill


def waiting_in(phase: str) -> Kill:
    """In a phase in which the operator waits."""

    async def kill(play: Play) -> None:
        play.operator.resume()
        await play.both_in(phase)
        play.operator.kill()
        play.start()

    return kill


async def away_for_the_whole_trial(play: Play) -> None:
    """Back only when the time of the last sample has passed."""
    play.operator.resume()
    await play.both_in("Validating")
    play.operator.kill()
    ends = []
    for name in (GOOD, BAD):
        applied = (await play.stage.run(name))["status"]["applied"]
        span = applied["validateIntervalSeconds"] * applied["measurements"]
        ends.append(parse_time(applied["validateFrom"]) + span)
    await asyncio.sleep(max(ends) - time.time())
    play.start()


def verdict_recorded(done: bool) -> Kill:
    """When the verdict of the bad run is written: not arrived, or arrived and not acted on."""

    async def kill(play: Play) -> None:
        hold = play.gate.hold(verdict_of_bad)
        play.operator.resume()
        await hold.caught()
        play.operator.kill()
        await hold.settle(done)
        status = (await play.stage.run(BAD))["status"]
        assert (status["phase"], "verdict" in status) == ("Validating", done)
        play.start()

    return kill


def verdict_of_bad(request: Request) -> bool:
    """The status with the verdict."""
    return to_run_status(request) and f"/{BAD}/" in request.path and b'"verdict"' in request.body


def undoing(done: bool, writes: Callable[[Request], bool]) -> Kill:
    """When the bad change is undone: the write not made, or made and not heard of."""

    async def kill(play: Play) -> None:
        play.operator.resume()
        await play.stage.in_phase(BAD, ["Settling", "Validating"])
        hold = play.gate.hold(writes)
        await hold.caught()
        play.operator.kill()
        await hold.settle(done)
        assert (await play.stage.run(BAD))["status"]["phase"] == "Validating"
        play.start()

    return kill


def to_scale_of(name: str) -> Callable[[Request], bool]:
    """Writes of one workload's replicas."""
    return lambda request: to_scale(request) and f"/{name}/" in request.path


def to_template_of(name: str) -> Callable[[Request], bool]:
    """Writes of one workload's sizes."""
    return lambda request: to_template(request) and request.path.endswith(f"/{name}")


@pytest.mark.parametrize(
    ("kill", "mode"),
    [
        pytest.param(never, "Auto", id="undisturbed"),
        pytest.param(awaiting_approval, "Approve", id="AwaitingApproval"),
        pytest.param(applying(done=False), "Auto", id="Applying-before-the-write"),
        pytest.param(applying(done=True), "Auto", id="Applying-after-the-write"),
        pytest.param(waiting_in("Settling"), "Auto", id="Settling"),
        pytest.param(waiting_in("Validating"), "Auto", id="Validating"),
        pytest.param(away_for_the_whole_trial, "Auto", id="Validating-and-away-until-its-end"),
        pytest.param(verdict_recorded(done=False), "Auto", id="verdict-before-its-record"),
        pytest.param(verdict_recorded(done=True), "Auto", id="verdict-after-its-record"),
        pytest.param(undoing(False, to_scale_of(BAD)), "Auto", id="undoing-before-the-write"),
        pytest.param(undoing(True, to_scale_of(BAD)), "Auto", id="undoing-after-the-write"),
    ],
)
async def test_runs_end_as_if_it_had_not_been_killed(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path, kill: Kill, mode: str
) -> None:
    await play(stage, *(service(name, namespace=stage.namespace) for name in (GOOD, BAD)))
    await stage.apply(*(policy(name, mode=mode) for name in (GOOD, BAD)))
    acting = Play(stage, gate, gate_kubeconfig, stage.operator(kubeconfig=gate_kubeconfig))
    await learned(stage, GOOD, BAD)
    acting.operator.suspend()
    await stage.create_run(GOOD, GOOD, changes=to_replicas(GOOD_REPLICAS))
    await stage.create_run(BAD, BAD, changes=to_replicas(BAD_REPLICAS))
    await kill(acting)
    good, bad = await stage.settled(GOOD), await stage.settled(BAD)

    assert (good["status"]["phase"], verdict(good), await replicas(stage, GOOD)) == ("Succeeded", "Pass", GOOD_REPLICAS)
    assert (bad["status"]["phase"], verdict(bad), await replicas(stage, BAD)) == ("RolledBack", "Fail", REPLICAS)
    assert bad["status"]["rollback"]["restored"]
    assert sample_times(good) == planned_times(good)
    assert audit.done() == Counter({(GOOD, "deployments/scale"): 1, (BAD, "deployments/scale"): 2})


def sample_times(run: JsonObject) -> list[float]:
    """When the samples were taken that the verdict rests on."""
    return [parse_time(one["at"]) for one in run["status"]["measurements"]]


def planned_times(run: JsonObject) -> list[float]:
    """When they had to be taken by the record of the change."""
    applied = run["status"]["applied"]
    first, step = parse_time(applied["validateFrom"]), applied["validateIntervalSeconds"]
    return [first + index * step for index in range(applied["measurements"])]


async def test_killed_right_after_each_write(stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path) -> None:
    """Each process lives until its first write has landed, and never hears of it.

    A record of a change that is two intervals old is made anew before the change: starts must be quicker than that.
    """
    await play(stage, service(BAD, namespace=stage.namespace))
    await stage.apply(policy(BAD, validation={"failureLimit": 0}, analysis={"interval": "10s"}))
    operator = stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, BAD)
    lives = 0
    hold = gate.hold(of_run_or_workload)
    await stage.create_run(BAD, BAD, changes=to_replicas(BAD_REPLICAS))
    while (await hold_or_end(stage, hold)) is not None:
        operator.kill()
        await hold.settle(done=True)
        lives += 1
        hold = gate.hold(of_run_or_workload)
        operator = stage.operator(kubeconfig=gate_kubeconfig)
    bad = await stage.run(BAD)

    assert (bad["status"]["phase"], verdict(bad), await replicas(stage, BAD)) == ("RolledBack", "Fail", REPLICAS)
    assert phases(bad) == ["Applying", "Settling", "Validating", "RolledBack"]
    assert audit.done() == Counter({(BAD, "deployments/scale"): 2})
    assert lives >= 9, "finalizer, four phases, verdict, both writes of replicas, finalizer"


async def test_killed_before_it_lets_go_of_a_run_without_a_policy(
    stage: Stage, gate: Gate, gate_kubeconfig: Path
) -> None:
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy())
    operator = stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, "web")
    await stage.create_run("try", "web", changes=to_replicas(GOOD_REPLICAS))
    await stage.in_phase("try", ["Settling", "Validating"])
    hold = gate.hold(lambda request: request.path.endswith("/optimizationruns/try") and request.method == "PATCH")
    await stage.kubectl("delete", "performancepolicy/web")
    await hold.caught()
    operator.kill()
    await hold.settle(done=False)
    stage.operator(kubeconfig=gate_kubeconfig)
    run = await stage.settled("try")
    assert (run["status"]["phase"], await replicas(stage)) == ("Cancelled", REPLICAS)


def of_run_or_workload(request: Request) -> bool:
    """A write of the run or of the workload."""
    return request.writes_workload or (request.method == "PATCH" and "/optimizationruns/" in request.path)


async def hold_or_end(stage: Stage, hold: Hold) -> Request | None:
    """The request that was held, or None when the run has ended and nothing is left to write."""

    async def ended() -> bool:
        run = await stage.run(BAD)
        finished = run.get("status", {}).get("phase") in FINAL_PHASES
        return hold.has_caught or (finished and not run["metadata"].get("finalizers"))

    await stage.until(ended, "the next write, or the end", 120.0)
    return await hold.caught() if hold.has_caught else None


FOLLOWED = {"minReplicas": 1, "maxReplicas": 12, "follow": True}


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(never, id="undisturbed"),
        pytest.param(waiting_in("Settling"), id="Settling"),
        pytest.param(waiting_in("Validating"), id="Validating"),
        pytest.param(undoing(False, to_template_of(BAD)), id="undoing-before-the-write"),
        pytest.param(undoing(True, to_template_of(BAD)), id="undoing-after-the-write"),
    ],
)
async def test_runs_end_alike_while_replicas_follow(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path, kill: Kill
) -> None:
    await play(stage, *(service(name, rate=200.0, namespace=stage.namespace) for name in (GOOD, BAD)))
    await stage.apply(*(policy(name, horizontal=FOLLOWED) for name in (GOOD, BAD)))
    acting = Play(stage, gate, gate_kubeconfig, stage.operator(kubeconfig=gate_kubeconfig))
    await learned(stage, GOOD, BAD)
    acting.operator.suspend()
    await stage.create_run(GOOD, GOOD, changes=to_cpu(GOOD_CPU))
    await stage.create_run(BAD, BAD, changes=to_cpu(BAD_CPU))
    await kill(acting)
    good, bad = await stage.settled(GOOD), await stage.settled(BAD)

    assert (good["status"]["phase"], verdict(good)) == ("Succeeded", "Pass")
    assert (bad["status"]["phase"], verdict(bad), bad["status"]["rollback"]["restored"]) == ("RolledBack", "Fail", True)
    assert (await resources(stage, GOOD))["limits"]["cpu"] == GOOD_CPU
    assert (await resources(stage, BAD))["limits"]["cpu"] == CPU
    sized = {(name, what): count for (name, what), count in audit.done().items() if what == "deployments"}
    assert sized == {(GOOD, "deployments"): 1, (BAD, "deployments"): 2}
    await every_step_is_told(stage, audit, GOOD, BAD)
    assert audit.done()[BAD, "deployments/scale"] > 0


@pytest.mark.parametrize("done", [False, True], ids=["before-the-write", "after-the-write"])
async def test_a_step_of_following_is_made_and_told_once(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path, done: bool
) -> None:
    await play(stage, service(rate=200.0, replicas=2, namespace=stage.namespace))
    hold = gate.hold(to_scale)
    operator = stage.operator(kubeconfig=gate_kubeconfig)
    await stage.apply(policy(horizontal=FOLLOWED))
    await hold.caught()
    operator.kill()
    await hold.settle(done)
    pending = (await stage.policy("web"))["status"]["scaling"]["pending"]
    assert pending["from"] == 2
    assert await replicas(stage) == (pending["to"] if done else 2)
    stage.operator(kubeconfig=gate_kubeconfig)
    await counted(stage, "web", 4)
    await every_step_is_told(stage, audit, "web")
    assert (await stage.policy("web"))["status"].get("hold") is None


async def every_step_is_told(stage: Stage, audit: Audit, *names: str) -> None:
    """Wait until the policies' status counts as many steps as the API server has seen writes of replicas."""

    async def told() -> bool:
        for name in names:
            scaling = (await stage.policy(name))["status"].get("scaling", {})
            today = scaling.get("today", {})
            steps = today.get("ups", 0) + today.get("downs", 0)
            if "pending" in scaling or steps != audit.done()[name, "deployments/scale"]:
                return False
        return True

    await stage.until(told, f"every write of {', '.join(names)} counted", 30.0)
