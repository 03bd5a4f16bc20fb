"""What schema and CEL cannot see is told in the status, and changes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    GOOD_REPLICAS,
    LOAD,
    REPLICAS,
    learned,
    play,
    policy,
    replicas,
    service,
    to_replicas,
)
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster


@dataclass(frozen=True)
class Fault:
    """A query that the API server takes, where it stands, and what is said of it after the name of the field."""

    name: str
    query: str
    says: str
    of_load: bool = False

    @property
    def message(self) -> str:
        """What the status says."""
        return f"spec.{'metrics.load' if self.of_load else 'objectives[latency-p99]'}.query: {self.says}"

    @property
    def spec(self) -> JsonObject:
        """The faulty part of a spec."""
        if self.of_load:
            return {"metrics": {"load": {"query": self.query}}}
        return {"objectives": [{"name": "latency-p99", "query": self.query, "max": "250m"}]}


HITS = 'http_requests_total{service="$target"}'
FAULTS = (
    Fault(
        "bracket",
        f"sum(rate({HITS}[5m+])",
        "line 1, column 51, at '+])': unexpected character inside brackets: '+'",
        of_load=True,
    ),
    Fault(
        "range", f"({HITS}[5m])", "is a range vector; wrap it in a function over time such as rate() or avg_over_time()"
    ),
    Fault("string", '"250m"', "is a string; write a query that gives numbers"),
    Fault(
        "end",
        f"sum({HITS} @ end())",
        "`@ end()` changes with the range that is read; use offset, or @ with a fixed time",
    ),
    Fault("window", 'sum(hits{over="$window"})', "$window must stand in brackets, as in [$window]"),
    Fault("target", "sum($target)", '$target must stand in a string, as in label="$target"'),
    Fault("pods", 'sum(up{pod="$pods"})', '$pods is a regular expression: match it as label=~"$pods"'),
)
RAISED = {"minReplicas": 2, "maxReplicas": 4}
"""One replica is too few whatever the metrics say."""


async def test_a_faulty_query_is_told_and_changes_nothing(stage: Stage, audit: Audit) -> None:
    """With field, fault and remedy; corrected, the policy acts at once."""
    names = [fault.name for fault in FAULTS]
    await play(stage, *(service(name, rate=20.0, replicas=1, namespace=stage.namespace) for name in names))
    await stage.apply(*(policy(one.name, horizontal=RAISED, vertical=None, **one.spec) for one in FAULTS))
    await stage.create_run("asked", FAULTS[0].name, changes=to_replicas(GOOD_REPLICAS))
    stage.operator()
    for fault in FAULTS:
        ready = await stage.told(fault.name, "Ready", "False", "InvalidSpec")
        assert ready["message"] == fault.message
        event = await stage.until(lambda name=fault.name: _event(stage, name), f"an Event about {fault.name}")  # type: ignore[misc]  # the name of the loop, bound now
        assert (event["type"], event["message"]) == ("Warning", ready["message"])
    asked = await stage.settled("asked")
    assert asked["status"]["phase"] == "Failed"
    assert FAULTS[0].message in asked["status"]["timeline"][-1]["reason"]
    assert audit.writes() == []

    await stage.apply(*(policy(name, horizontal=RAISED, vertical=None) for name in names))
    for name in names:
        ready = await stage.told(name, "Ready", "True")
        assert ready["observedGeneration"] == 2
        await stage.until(lambda name=name: _raised(stage, name), f"2 replicas of {name}")  # type: ignore[misc]
    assert audit.done() == Counter({(name, "deployments/scale"): 1 for name in names})


async def test_a_trial_under_a_policy_made_faulty_is_taken_back(stage: Stage, audit: Audit) -> None:
    """Nobody could say how it goes."""
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(validation={"duration": "300s"}))
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("trial", "web", changes=to_replicas(GOOD_REPLICAS))
    await stage.in_phase("trial", ["Settling", "Validating"])
    await stage.apply(policy(validation={"duration": "300s"}, **FAULTS[1].spec))
    await stage.told("web", "Ready", "False", "InvalidSpec")
    trial = await stage.settled("trial")

    assert trial["status"]["phase"] == "Cancelled"
    assert FAULTS[1].message in trial["status"]["rollback"]["reason"]
    assert trial["status"]["rollback"]["restored"]
    assert await replicas(stage) == REPLICAS
    assert audit.done() == Counter({("web", "deployments/scale"): 2})


PER_CODE = LOAD.replace("by (service)", "by (service, code)")
NOBODY = LOAD.replace("http_requests_total", "http_requests_of_nobody_total")


async def test_a_query_that_gives_nothing_or_too_much_is_told(stage: Stage, audit: Audit) -> None:
    """In a sentence with the query as it was asked."""
    loads = {"load-of-many": (PER_CODE, "gives several series"), "load-of-nobody": (NOBODY, "returned nothing")}
    objectives = {"many": (PER_CODE, "gives several series"), "nobody": (NOBODY, "returned nothing")}
    names = [*loads, *objectives]
    await play(stage, *(service(name, rate=50.0, replicas=6, namespace=stage.namespace) for name in names))
    bounds = {"minReplicas": 1, "maxReplicas": 10, "follow": False}

    def metric(query: str) -> JsonObject:
        return {"query": query, "targetLabel": "service"}

    await stage.apply(
        *(policy(n, horizontal=bounds, vertical=None, metrics={"load": metric(q)}) for n, (q, _) in loads.items()),
        *(
            policy(n, horizontal=bounds, vertical=None, objectives=[{"name": "errors", "max": "1", **metric(q)}])
            for n, (q, _) in objectives.items()
        ),
    )
    stage.operator()
    for name, (_, says) in loads.items():
        for kind in ("DataAvailable", "Ready"):
            told = await _told(stage, name, kind, says)
            assert told["status"] == ("True" if kind == "Ready" else "False")
            assert "spec.metrics.load.query" in told["message"]
            assert f'service="{name}"' in told["message"]
    for name, (_, says) in objectives.items():
        await stage.told(name, "DataAvailable", "True")
        told = await _told(stage, name, "ObjectivesMet", says)
        assert (told["status"], told["reason"]) == ("Unknown", "NoData")
        assert "spec.objectives[errors].query" in told["message"]
        assert f'service="{name}"' in told["message"]
    assert audit.writes() == []
    assert await stage.runs() == []


async def _told(stage: Stage, name: str, kind: str, says: str) -> JsonObject:
    """A condition once its message has these words."""

    async def look() -> JsonObject | None:
        seen = await stage.condition(name, kind)
        return seen if seen is not None and says in seen["message"] else None

    return await stage.until(look, f"{kind} of {name} to say {says!r}")


async def _event(stage: Stage, about: str) -> JsonObject | None:
    found = [event for event in await stage.events(about) if event["reason"] == "InvalidSpec"]
    return found[0] if found else None


async def _raised(stage: Stage, name: str) -> bool:
    return await replicas(stage, name) == 2
