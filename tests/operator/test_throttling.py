"""CPU throttling in a trial: looked at wherever nothing else tells; a trial in which it is not known fails."""

from __future__ import annotations

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    CPU,
    GOOD_CPU,
    P99,
    learned,
    play,
    policy,
    replicas,
    resources,
    service,
    to_cpu,
    to_replicas,
    verdict,
)
from tests.operator.gate import Gate, Request
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

SMALL, FEW, MANY = "300m", 2, 4
"""At 50 requests/s of 10 ms, four pods of this size seldom want more than their share, two in two of five periods."""
GUARDED = {"withoutObjectives": "GuardsOnly"}


def why(run: JsonObject) -> str:
    """What the verdict says."""
    return str((run["status"].get("verdict") or {}).get("message", ""))


def asks_for_throttling(request: Request) -> bool:
    """The query for CPU throttling, and no other."""
    return b"cfs_throttled" in request.body


async def test_throttling_fails_a_trial_whose_objective_holds(stage: Stage) -> None:
    """A pod of 300m wants more than its share in two of five periods: its 25 requests/s of 10 ms each come unevenly."""
    await play(stage, service(namespace=stage.namespace, cliff=None))
    slow = {"name": "latency-p99", "query": P99, "targetLabel": "service", "max": "20"}
    await stage.apply(policy(objectives=[slow], validation={"duration": "60s"}))
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("try", "web", changes=to_cpu(SMALL))
    run = await stage.settled("try")
    assert (run["status"]["phase"], verdict(run)) == ("RolledBack", "Fail")
    assert why(run).startswith("guard cpuThrottling: container app was throttled in up to ")
    assert "more than 25% in 3 measurements; before the change it was 0%" in why(run)
    assert (await resources(stage))["limits"]["cpu"] == CPU


async def test_under_guards_alone_fewer_replicas_that_throttle_are_not_kept(stage: Stage) -> None:
    """Nothing else tells that two are too few: they are ready, and none restarts."""
    await play(stage, service(rate=50.0, replicas=MANY, cpu=SMALL, namespace=stage.namespace, cliff=None))
    await stage.apply(policy(objectives=None, validation={**GUARDED, "duration": "40s"}))
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("few", "web", changes=to_replicas(FEW))
    run = await stage.settled("few")
    assert (run["status"]["phase"], verdict(run)) == ("RolledBack", "Fail"), why(run)
    assert why(run).startswith("guard cpuThrottling: container app was throttled in up to ")
    assert await replicas(stage) == MANY


async def test_a_trial_whose_throttling_cannot_be_read_is_undone(stage: Stage) -> None:
    """Its query alone is refused. What is answered again before the patience ends is no reason to fail."""
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy())
    async with Gate(stage.prometheus_url) as gate:
        stage.operator(prometheus_url=gate.url)
        await learned(stage, "web")
        with gate.answering(asks_for_throttling, 500, b"no"):
            await stage.create_run("blind", "web", changes=to_cpu(GOOD_CPU))
            blind = await stage.settled("blind")
            assert (blind["status"]["phase"], verdict(blind)) == ("RolledBack", "Fail"), why(blind)
            lacks = "there was container_cpu_cfs_periods_total of container app in only 0 of 4 measurements"
            assert why(blind) == f"guard cpuThrottling: could not be answered: {lacks}"
            assert (await resources(stage))["limits"]["cpu"] == CPU
            assert [one["result"] for one in blind["status"]["measurements"]] == ["Pass"] * 4, "all else was read"
            await stage.create_run("seen", "web", changes=to_cpu(GOOD_CPU))
            await stage.in_phase("seen", ["Validating"])
        seen = await stage.settled("seen")
    assert (seen["status"]["phase"], verdict(seen)) == ("Succeeded", "Pass"), why(seen)
