"""More replicas that do not help are not ordered for ever."""

from __future__ import annotations

from collections import Counter

import pytest

from demo.stage import Stage
from tests.operator.acting import learned, play, policy, replicas, rounds, service
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

UP_ONLY: JsonObject = {"minReplicas": 4, "maxReplicas": 20}


async def test_steps_that_do_not_help_end(stage: Stage, audit: Audit) -> None:
    """A slow dependency: after two steps it holds and says so, and says when it is over."""
    simulation = await play(stage, service(rate=1000.0, requests_per_core=1000.0, namespace=stage.namespace))
    await stage.apply(policy(mode="Recommend", horizontal=UP_ONLY, vertical=None))
    stage.operator()
    await learned(stage, "web")
    await stage.told("web", "ObjectivesMet", "True", "Met")
    await stage.apply(policy(horizontal=UP_ONLY, vertical=None))
    await stage.told("web", "Ready", "True", "Auto")
    await simulation.faults({"faults": [{"kind": "slow", "service": "web", "factor": 60}]})
    told = await stage.told("web", "ObjectivesMet", "False", "NotCapacity", seconds=120.0)
    assert "latency-p99" in told["message"]
    assert "2 steps up did not improve it: the trouble is not capacity" in told["message"]
    reached = await replicas(stage)
    assert audit.done() == Counter({("web", "deployments/scale"): 2})
    assert reached > 5
    await rounds(stage, 5)

    told = await stage.told("web", "ObjectivesMet", "False", "NotCapacity")
    assert await replicas(stage) == reached
    assert (await stage.policy("web"))["status"]["recommendation"]["replicas"] == reached
    events = [event for event in await stage.events("web") if event["reason"] == "NotCapacity"]
    assert [(event["type"], event["count"]) for event in events] == [("Warning", 1)]
    assert "the trouble is not capacity" in events[0]["message"]

    cleared = await _cleared(stage)
    await simulation.mend()
    await stage.told("web", "ObjectivesMet", "True", "Met")
    assert await _cleared(stage) == cleared + 1
    await rounds(stage, 5)
    assert await replicas(stage) == reached, "stabilised for five minutes"
    assert audit.done() == Counter({("web", "deployments/scale"): 2})


async def _cleared(stage: Stage) -> int:
    """How often it was said that the objectives are met again."""
    return sum(event["count"] for event in await stage.events("web") if event["reason"] == "ObjectivesMet")
