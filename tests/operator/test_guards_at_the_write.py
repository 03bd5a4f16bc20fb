"""Policy and workload are read again right before a write, and a trial is held to what it was planned under."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cluster.prometheus import Prometheus
from demo.stage import Stage
from tests.operator import kstatus
from tests.operator.acting import (
    BAD_REPLICAS,
    CPU,
    FIXED,
    FOLLOWING,
    GOOD_CPU,
    GOOD_REPLICAS,
    REPLICAS,
    SPARE_RATE,
    counted,
    learned,
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
from tests.operator.deploying import client_apply, server_apply
from tests.operator.gate import Gate, Request
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

MORE_REPLICAS = 5
NO_FEWER: JsonObject = FIXED | {"minReplicas": REPLICAS}
"""The operator has nothing to plan by itself."""
CHANGES: dict[str, tuple[JsonObject, str]] = {
    "observed": ({"mode": "Observe"}, "spec.mode was lowered to Observe during the trial"),
    "recommended": ({"mode": "Recommend"}, "spec.mode was lowered to Recommend during the trial"),
    "paused": ({"paused": True}, "paused: spec.paused is true"),
    "lowered": (
        {"horizontal": {"maxReplicas": REPLICAS}},
        f"bounds: spec.replicas: {MORE_REPLICAS} is above horizontal.maxReplicas {REPLICAS}",
    ),
    "unpromised": ({"objectives": []}, "objective latency-p99 was removed during the trial"),
}
"""How a policy is changed between the record of a run's change and its write, and what the run then says."""


async def test_a_policy_changed_between_record_and_write_stops_a_run(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path
) -> None:
    await play(stage, *(service(name, namespace=stage.namespace) for name in CHANGES))
    await stage.apply(*(policy(name, horizontal=NO_FEWER) for name in CHANGES))
    stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, *CHANGES)

    async def change_between(name: str) -> JsonObject:
        hold = gate.hold(partial(begins, name))
        await stage.create_run(name, name, changes=to_replicas(MORE_REPLICAS))
        await hold.caught()
        await change(stage, name, CHANGES[name][0])
        await hold.let_go()
        return await stage.settled(name)

    runs = dict(zip(CHANGES, await asyncio.gather(*map(change_between, CHANGES)), strict=True))
    for name, (_, said) in CHANGES.items():
        status = runs[name]["status"]
        assert status["phase"] in ("Rejected", "Cancelled"), name
        assert said in status["timeline"][-1]["reason"], name
        assert f"{REPLICAS}→{MORE_REPLICAS}" in status["summary"]["change"], name
    assert not [write for write in audit.writes() if write.name in runs]


async def test_a_policy_changed_between_record_and_write_stops_following(
    stage: Stage, gate: Gate, gate_kubeconfig: Path
) -> None:
    """Following recorded 4→2; meanwhile the policy was set to Observe, or asks for three at least."""
    changes: dict[str, JsonObject] = {"observed": {"mode": "Observe"}, "raised": {"horizontal": {"minReplicas": 3}}}
    await play(stage, *(service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in changes))
    holds = {name: gate.hold(partial(steps, name)) for name in changes}
    await stage.apply(*(policy(name, horizontal=FOLLOWING, guardrails={"maxRunsPerDay": 1}) for name in changes))
    stage.operator(kubeconfig=gate_kubeconfig)
    for name, hold in holds.items():
        await hold.caught()
        await change(stage, name, changes[name])
        await hold.let_go()
    await counted(stage, "raised", 3)
    await stage.told("observed", "Ready", "True", "Observe")
    assert await replicas(stage, "observed") == REPLICAS
    assert [scaled_to(request) for request in gate.seen if request.writes_workload] == [3]


async def test_a_trial_is_held_to_what_it_was_planned_under(stage: Stage) -> None:
    """A mode lowered, or an objective removed or loosened, ends it undone; a tightened one does not judge it."""
    ends: dict[str, tuple[JsonObject, str]] = {
        "observed": ({"mode": "Observe"}, "spec.mode was lowered to Observe during the trial"),
        "unapproved": (
            {"mode": "Approve"},
            "spec.mode was lowered to Approve during the trial, and nobody approved the plan",
        ),
        "removed": ({"objectives": []}, "objective latency-p99 was removed during the trial"),
        "loosened": (bound("500m"), "objective latency-p99 was loosened: max 0.25 is 0.5 now during the trial"),
    }
    names = (*ends, "tightened", "approved")
    await play(stage, *(service(name, namespace=stage.namespace) for name in names))
    modes = dict.fromkeys(names, "Auto") | {"approved": "Approve"}
    patient = {"settle": "30s"}  # nothing ends before the policies are changed
    await stage.apply(*(policy(name, mode=mode, validation=patient) for name, mode in modes.items()))
    await stage.create_run("approved", "approved", changes=to_replicas(GOOD_REPLICAS))
    stage.operator()
    await learned(stage, *names)
    await stage.in_phase("approved", ["AwaitingApproval"])
    for name in names[:-1]:
        await stage.create_run(name, name, changes=to_replicas(GOOD_REPLICAS))
    await stage.trimtab("approve", "approved")
    for name in names:
        await stage.in_phase(name, ["Settling", "Validating"])
    for name, (spec, _) in ends.items():
        await change(stage, name, spec)
    await change(stage, "tightened", bound("1m"))  # no pod holds that: under it the trial would fail
    await change(stage, "approved", {"mode": "Auto"})
    for name, (_, said) in ends.items():
        status = (await stage.settled(name))["status"]
        assert (status["phase"], status["rollback"]["restored"]) == ("Cancelled", True), name
        assert status["timeline"][-1]["reason"] == said
        assert await replicas(stage, name) == REPLICAS
    for name in ("tightened", "approved"):
        status = (await stage.settled(name))["status"]
        assert (status["phase"], status["verdict"]["result"]) == ("Succeeded", "Pass"), name


async def test_a_trial_survives_what_was_said_when_it_began(stage: Stage) -> None:
    """More is allowed in its midst, or more than all: a change that never holds is not kept for that."""
    limits = {"loosened": 1, "all": 6}
    await play(stage, *(service(name, namespace=stage.namespace) for name in limits))
    await stage.apply(
        *(policy(name, validation={"duration": "24s", "failureLimit": limit}) for name, limit in limits.items())
    )
    stage.operator()
    await learned(stage, *limits)
    for name in limits:
        await stage.create_run(name, name, changes=to_replicas(BAD_REPLICAS))
    await stage.in_phase("loosened", ["Settling"])
    validation = {"failureLimit": 1000, "consecutiveErrorLimit": 1000, "onInconclusive": "Keep"}
    patch = json.dumps({"spec": {"validation": validation}})
    await stage.kubectl("patch", "performancepolicy", "loosened", "--type=merge", "-p", patch)
    for name, allowed in (("loosened", "1 are allowed"), ("all", "3 are allowed")):
        run = await stage.settled(name)
        assert (run["status"]["phase"], verdict(run)) == ("RolledBack", "Fail")
        assert allowed in run["status"]["verdict"]["message"]
        assert await replicas(stage, name) == REPLICAS


async def test_a_run_beyond_the_bounds_needs_a_word(stage: Stage) -> None:
    one_core = {"minAllowed": {"cpu": "1"}, "maxAllowed": {"cpu": "1"}, "controlledResources": ["cpu"]}
    bounded = {"containerPolicies": [{"containerName": "*", **one_core}]}
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(
        policy(horizontal={**NO_FEWER, "maxReplicas": 4}, vertical=bounded, guardrails={"maxRunsPerDay": 9})
    )
    stage.operator()
    await learned(stage, "web")
    asked: dict[str, tuple[list[JsonObject], str]] = {
        "count": (to_replicas(5), "spec.replicas: 5 is above horizontal.maxReplicas 4"),
        "size": (to_cpu("2")[:1], "resources.requests.cpu of container app: 2 is above maxAllowed.cpu 1"),
    }
    for name, (changes, said) in asked.items():
        await stage.create_run(name, "web", changes=changes)
        refused = (await stage.settled(name))["status"]
        assert refused["phase"] == "Rejected"
        remedy = "ask for a value within it, change the policy, or set allowBeyondBounds on another run"
        assert refused["timeline"][-1]["reason"] == f"spec.changes: {said}; {remedy}"
    await stage.create_run("word", "web", changes=to_replicas(5), allowBeyondBounds=True)
    await stage.in_phase("word", ["Settling", "Validating", "Succeeded"])
    assert await replicas(stage) == 5
    with pytest.raises(Exception, match="spec cannot be changed after creation"):
        await stage.kubectl(
            "patch", "optimizationrun", "word", "--type=merge", "-p", '{"spec":{"allowBeyondBounds":false}}'
        )


async def test_the_value_that_we_wrote_becomes_theirs_by_an_apply(stage: Stage, audit: Audit) -> None:
    """Who applies the very value on trial owns it: it is not undone, and the run says what it left."""
    deeds = {
        "client": client_apply(cpu=GOOD_CPU, image="sim"),
        "server": server_apply(cpu=GOOD_CPU, image="sim"),
        "replicas": server_apply(replicas=GOOD_REPLICAS, image="sim"),
    }
    services = {name: service(name, namespace=stage.namespace) for name in (*deeds, "scaled")}
    await play(stage, *services.values())
    await stage.apply(*(policy(name, validation={"duration": "60s"}) for name in services))
    stage.operator()
    await learned(stage, *services)
    for name in services:
        on_replicas = name in ("replicas", "scaled")
        await stage.create_run(name, name, changes=to_replicas(GOOD_REPLICAS) if on_replicas else to_cpu(GOOD_CPU))
    for name in services:
        await stage.in_phase(name, ["Settling", "Validating"])
    for name, deed in deeds.items():
        await deed(stage, services[name])
    await stage.kubectl("scale", "deployment", "scaled", f"--replicas={GOOD_REPLICAS}")  # leaves no trace
    for name in deeds:
        status = (await stage.settled(name))["status"]
        assert (status["phase"], status["rollback"].get("restored", False)) == ("Superseded", False), name
        field = "spec.replicas" if name == "replicas" else "resources.requests.cpu"
        assert status["rollback"]["notRestored"][0].startswith(field)
        assert await replicas(stage, name) == (GOOD_REPLICAS if name == "replicas" else REPLICAS)
        cpu = (await resources(stage, name))["requests"]["cpu"]
        assert cpu == (CPU if name == "replicas" else GOOD_CPU)
    await stage.trimtab("abort", "scaled")
    undone = (await stage.settled("scaled"))["status"]
    assert (undone["phase"], undone["rollback"]["restored"]) == ("Cancelled", True)
    assert audit.done() == Counter(
        {("client", "deployments"): 1, ("server", "deployments"): 1, ("replicas", "deployments/scale"): 1}
        | {("scaled", "deployments/scale"): 2}
    )


async def test_without_data_bounds_are_set_once_and_said(
    stage: Stage, audit: Audit, prometheus_factory: Callable[..., Prometheus]
) -> None:
    """Prometheus is unreachable from the start: bounds of a policy that is new or changed are set, and nothing else."""
    nowhere = prometheus_factory()
    nowhere.stop()
    await play(stage, *(service(name, namespace=stage.namespace) for name in ("above", "below", "within")))
    await stage.apply(
        policy("above", horizontal={**FOLLOWING, "maxReplicas": 3}),
        policy("below", horizontal={**FOLLOWING, "minReplicas": 5}),
        policy("within", horizontal=FOLLOWING),
    )
    operator = stage.operator(prometheus_url=nowhere.url)
    await counted(stage, "above", 3)
    await counted(stage, "below", 5)
    said = [event["message"] for event in await stage.events("above") if event["reason"] == "ScaledDown"]
    assert said == [
        "4→3: 4 replicas are beyond maxReplicas 3, which the policy as it is now asks for whatever the demand"
    ]
    await rounds(stage, 2)
    operator.stop()
    for name in ("above", "below", "within"):
        count = {"above": 5, "below": 4, "within": 9}[name]
        await stage.kubectl("scale", "deployment", name, f"--replicas={count}")
    stage.operator(prometheus_url=nowhere.url)
    await rounds(stage, 3)
    assert [await replicas(stage, name) for name in ("above", "below", "within")] == [5, 4, 9]
    assert audit.done() == Counter({("above", "deployments/scale"): 1, ("below", "deployments/scale"): 1})
    said_within = kstatus.condition(await stage.in_state("within", "NoData"), "Ready")
    assert said_within["message"].startswith("nothing is changed: ")
    await change(stage, "above", {"horizontal": {"maxReplicas": 2}})
    await counted(stage, "above", 2)


def begins(name: str, request: Request) -> bool:
    """The status that records the change of a run before its write."""
    return (
        request.method == "PATCH"
        and request.path.endswith(f"/optimizationruns/{name}/status")
        and b'"Applying"' in request.body
    )


def steps(name: str, request: Request) -> bool:
    """The status that records a step of following before its write."""
    return (
        request.method == "PATCH"
        and request.path.endswith(f"/performancepolicies/{name}/status")
        and b'"pending": {' in request.body.replace(b'"pending":{', b'"pending": {')
    )


def scaled_to(request: Request) -> int:
    """Replicas that a patch of the scale asks for."""
    return int(next(one["value"] for one in json.loads(request.body) if one["op"] == "replace"))


def bound(amount: str) -> JsonObject:
    """The usual objective with another bound."""
    objective: JsonObject = policy()["spec"]["objectives"][0]
    return {"objectives": [{**objective, "max": amount}]}


async def change(stage: Stage, name: str, spec: JsonObject) -> None:
    """Change the spec of a policy."""
    patch = json.dumps({"spec": spec})
    await stage.kubectl("patch", "performancepolicy", name, "--type=merge", "--patch", patch)
