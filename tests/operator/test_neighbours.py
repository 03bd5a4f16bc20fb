"""One bad neighbour harms nobody: each fault on one policy, while another one follows its demand."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    BAD_REPLICAS,
    FOLLOWING,
    GOOD_REPLICAS,
    LOAD,
    REPLICAS,
    SPARE_RATE,
    UNDONE_SECONDS,
    WELL_REPLICAS,
    WHOLE_SECONDS,
    counted,
    decided,
    learned,
    play,
    policy,
    replicas,
    service,
    to_replicas,
    verdict,
    written_at,
)
from tests.operator.audit import Audit
from tests.operator.gate import Gate, Request
from tests.operator.sabotage import sabotage
from trimtab.adapters.kube import JsonObject
from trimtab.adapters.resources import RUNS, path

pytestmark = pytest.mark.cluster

HELD = LOAD.replace("{", '{held!="1",', 1)
"""The load by a query that a gate can tell from the others."""


def queries(request: Request) -> bool:
    """Queries of Prometheus."""
    return "/api/v1/query" in request.path


def held_queries(request: Request) -> bool:
    """Those of the policy that is to be slow."""
    return queries(request) and b"held" in request.body


async def test_a_run_is_undone_while_prometheus_hangs(stage: Stage, audit: Audit) -> None:
    """Nothing is read to end a trial: no query was answered from before the abort until after the undo."""
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(validation={"duration": "300s"}))
    async with Gate(stage.prometheus_url) as gate:
        stage.operator(prometheus_url=gate.url)
        await learned(stage, "web")
        await stage.create_run("aborted", "web", changes=to_replicas(GOOD_REPLICAS))
        await stage.in_phase("aborted", ["Settling", "Validating"])
        hanging = gate.hold(queries)
        await hanging.caught()
        await stage.trimtab("abort", "aborted")
        run = await stage.settled("aborted")
        assert run["status"]["phase"] == "Cancelled"
        assert run["status"]["rollback"]["restored"]
        assert await replicas(stage) == REPLICAS
        assert not hanging._fate.done(), "Prometheus hangs still"
        assert audit.last_done_at() - written_at(run, "f:spec", "f:cancelled") <= UNDONE_SECONDS + WHOLE_SECONDS
        told = await stage.told("web", "Degraded", "True", "EvaluationLate")
        assert "Prometheus has not answered the policy's queries within two intervals" in told["message"]
        hanging.drop()
        await stage.told("web", "Degraded", "False", "AsExpected")


async def test_queries_that_never_end_keep_no_other_policy_from_following(stage: Stage, audit: Audit) -> None:
    """Three policies with slow queries, and one that has to follow at once."""
    slow = [f"slow-{number}" for number in range(3)]
    await play(
        stage,
        service("prompt", rate=SPARE_RATE, namespace=stage.namespace),
        *(service(name, namespace=stage.namespace) for name in slow),
    )
    load = {"query": HELD, "targetLabel": "service", "unit": "requests/s"}
    async with Gate(stage.prometheus_url) as gate:
        hanging = gate.hold(held_queries)
        await stage.apply(*(policy(name, metrics={"load": load}) for name in slow))
        stage.operator(prometheus_url=gate.url)
        await hanging.caught()
        await stage.apply(policy("prompt", horizontal=FOLLOWING))
        await counted(stage, "prompt", WELL_REPLICAS)
        for name in slow:
            told = await stage.told(name, "Degraded", "True", "EvaluationLate")
            assert told["message"].startswith("it has not been evaluated yet: Prometheus has not answered ")
        assert not hanging._fate.done()
        assert {name for name, _ in audit.done()} == {"prompt"}
        hanging.drop()
        for name in slow:
            await stage.told(name, "DataAvailable", "True")


async def test_late_evaluations_end_quietly_with_their_policy_and_with_the_operator(stage: Stage) -> None:
    """Of a policy that is gone nothing is told any more; at the end nothing is said of queries that wait."""
    load = {"query": HELD, "targetLabel": "service", "unit": "requests/s"}
    slow = [f"slow-{number}" for number in range(3)]
    await play(stage, *(service(name, namespace=stage.namespace) for name in ("prompt", *slow)))
    async with Gate(stage.prometheus_url) as gate:
        hanging = gate.hold(held_queries)
        await stage.apply(*(policy(name, metrics={"load": load}) for name in slow))
        operator = stage.operator(prometheus_url=gate.url)
        await hanging.caught()
        await stage.apply(policy("prompt"))
        await learned(stage, "prompt")
        for name in slow:
            await stage.told(name, "Degraded", "True", "EvaluationLate")
        await stage.kubectl("delete", "performancepolicy", slow[0])
        await decided(stage, "prompt")
        assert "status not written" not in operator.log
        assert not hanging._fate.done()
        await asyncio.to_thread(operator.stop)
    assert "Traceback" not in operator.log
    assert "answer not understood" not in operator.log


@pytest.mark.parametrize(("status", "ends"), [(503, "Succeeded"), (403, "Cancelled")])
async def test_a_namespace_that_cannot_be_listed(
    stage: Stage, gate: Gate, gate_kubeconfig: Path, status: int, ends: str
) -> None:
    """It is told; a trial goes on after an outage, and is undone where the right was taken away."""
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(validation={"duration": "60s"}))
    stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, "web")
    await stage.create_run("good", "web", changes=to_replicas(GOOD_REPLICAS))
    await stage.in_phase("good", ["Validating"])
    refusal = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": "Odd"}
    with gate.answering(_lists_deployments, status, json.dumps(refusal | {"message": "not for you"}).encode()):
        told = await stage.told("web", "Degraded", "True", "EvaluationLate")
        assert "does not list the workloads of namespace" in told["message"]
        assert "not for you" in told["message"]
        if status == 403:
            assert (await stage.settled("good"))["status"]["rollback"]["restored"]
            assert await replicas(stage) == REPLICAS
        else:
            assert verdict(await stage.run("good")) == ""
    await stage.told("web", "Degraded", "False", "AsExpected")
    assert (await stage.settled("good"))["status"]["phase"] == ends


def _lists_deployments(request: Request) -> bool:
    return request.method == "GET" and request.path.endswith("/deployments")


INSIGHTS = """
from dataclasses import replace
from trimtab.adapters import workers
from trimtab.planning import assessment
workers.Workers.__init__.__defaults__ = (1.0,)
gain = assessment.gain_insights
def faulty(inputs, found, running):
    told, known = gain(inputs, found, running)
    if not os.path.exists(SWITCH):
        return told, known
    fault = open(SWITCH).read()
    if fault == "raise":
        raise ZeroDivisionError("no pattern")
    while fault == "hang":
        pass
    return replace(told, changed=float("nan"), health=replace(told.health, score=float("nan"))), known
assessment.gain_insights = faulty
"""


@pytest.mark.parametrize("fault", ["raise", "hang", "nan"])
async def test_decisions_go_on_without_insights(
    stage: Stage, audit: Audit, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bad trial is rolled back, and another policy follows; the status says what is missing."""
    switch = sabotage(monkeypatch, tmp_path / "sabotage", INSIGHTS)
    await play(
        stage, service(namespace=stage.namespace), service("follows", rate=SPARE_RATE, namespace=stage.namespace)
    )
    await stage.apply(policy(), policy("follows", horizontal=FOLLOWING, paused=True))
    stage.operator(workers=1)
    await learned(stage, "web", "follows")
    switch.write_text(fault)
    told = await stage.told("web", "Degraded", "True", "InsightsFailed")
    reason = {
        "raise": "ZeroDivisionError: no pattern",
        "hang": "OverBudgetError: took more",
        "nan": "ValidationError",
    }
    assert reason[fault] in told["message"] or "they took too long before" in told["message"]
    assert "decisions go on without insights, those shown are of 20" in told["message"]
    await stage.apply(policy("follows", horizontal=FOLLOWING))
    await stage.create_run("bad", "web", changes=to_replicas(BAD_REPLICAS))
    await counted(stage, "follows", WELL_REPLICAS)
    run = await stage.settled("bad")
    assert (run["status"]["phase"], verdict(run)) == ("RolledBack", "Fail")
    assert await replicas(stage) == REPLICAS
    assert (await stage.policy("web"))["status"]["health"], "the last good insights stand"
    await stage.told("web", "Degraded", "True", "InsightsFailed")
    switch.unlink()
    if fault != "hang":  # those that hung are left out for a while
        await stage.told("web", "Degraded", "False", "AsExpected")


BROKEN_RUN = """
from trimtab.reconcile import proposing
requested = proposing.requested
def faulty(inputs, changes, **more):
    if any(change.to == 7 for change in changes):
        raise OverflowError("cannot convert float infinity to integer")
    return requested(inputs, changes, **more)
proposing.requested = faulty
"""


async def test_a_run_that_cannot_be_evaluated_ends_alone(
    stage: Stage, audit: Audit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It says why; its policy goes on, and so does the next run."""
    sabotage(monkeypatch, tmp_path / "sabotage", BROKEN_RUN)
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy())
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("odd", "web", changes=to_replicas(7))
    odd = await stage.settled("odd")
    assert odd["status"]["phase"] == "Failed"
    why = "run odd cannot be evaluated: OverflowError: cannot convert float infinity to integer"
    assert odd["status"]["timeline"][-1]["reason"] == why
    await stage.create_run("sound", "web", changes=to_replicas(GOOD_REPLICAS))
    assert verdict(await stage.settled("sound")) == "Pass"
    assert {name for name, _ in audit.done()} == {"web"}
    await stage.told("web", "Degraded", "False", "AsExpected")


BROKEN_EVALUATION = """
from trimtab.planning import assessment
quality_of = assessment.quality_of
def faulty(spec, *given, **named):
    if spec.target_ref.name == "web" and os.path.exists(SWITCH):
        raise KeyError("no such sample")
    return quality_of(spec, *given, **named)
assessment.quality_of = faulty
"""


async def test_a_run_whose_status_a_hand_wrote_ends_alone(stage: Stage, audit: Audit) -> None:
    """What can be read of its record is undone, the rest is named, and its policy goes on."""
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy())
    stage.operator()
    await learned(stage, "web")
    odd: JsonObject = {"path": "resources.x", "container": "app", "from": "1", "to": "2"}
    count: JsonObject = {"path": "spec.replicas", "container": "", "from": str(REPLICAS), "to": str(GOOD_REPLICAS)}
    cases: dict[str, tuple[list[JsonObject] | None, str]] = {
        "empty": (None, "status.plan is missing, or cannot be read"),
        "year": ([count], "status.applied is missing, or cannot be read"),
        "banana": ([count | {"from": "banana"}], "from of spec.replicas cannot be read: 'banana' is not a quantity"),
        "path": ([odd, count], "resources.x is no field that a run changes"),
    }
    scaled = {"spec": {"replicas": GOOD_REPLICAS}}
    ours = ("--subresource=scale", "--field-manager=trimtab", "--type=merge", "--patch", json.dumps(scaled))
    await stage.kubectl("patch", "deployment", "web", *ours)
    for name, (changes, fault) in cases.items():
        await stage.create_run(name, "web", dryRun=True, changes=to_replicas(2))
        status = (await stage.ended(name))["status"]
        target = f"{path(RUNS, stage.namespace, name)}/status"
        written: JsonObject = {"phase": "Applying", "timeline": None, "plan": None}
        if changes is not None:
            uid = (await stage.workload("web"))["metadata"]["uid"]
            plan = status["plan"] | {"changes": changes}
            written = {"phase": "Validating", "plan": plan, "applied": APPLIED | {"uid": uid}}
        if name == "year":
            written["applied"]["at"] = "0000-01-01T00:00:00Z"
        await stage.kube.merge_patch(target, {"status": written})
        ended = await stage.ended(name)
        said = ended["status"]["timeline"][-1]
        assert said["phase"] == "Failed"
        assert said["reason"].startswith(f"run {name} cannot be evaluated: ")
        assert fault in said["reason"]
        assert not ended["status"]["rollback"].get("restored")
        assert ended["status"]["rollback"]["notRestored"]
    assert await replicas(stage) == REPLICAS, "as the last of them says that it was"
    assert audit.done() == Counter({("web", "deployments/scale"): 1})
    await stage.create_run("next", "web", changes=to_replicas(GOOD_REPLICAS))
    assert (await stage.settled("next"))["status"]["phase"] == "Succeeded"
    await stage.told("web", "Degraded", "False", "AsExpected")


APPLIED: JsonObject = {
    "kind": "Deployment",
    "name": "web",
    "manager": "trimtab",
    "before": {"replicas": REPLICAS},
    "after": {"replicas": GOOD_REPLICAS},
    "at": "2026-01-01T00:00:00Z",
    "validateIntervalSeconds": 4,
    "measurements": 4,
}
"""The record of a change, but for the workload's uid."""


async def test_an_evaluation_that_fails_is_told_and_undoes_what_is_on_trial(
    stage: Stage, audit: Audit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing says any more how the trial does; another policy follows all the while."""
    switch = sabotage(monkeypatch, tmp_path / "sabotage", BROKEN_EVALUATION)
    await play(
        stage, service(namespace=stage.namespace), service("follows", rate=SPARE_RATE, namespace=stage.namespace)
    )
    await stage.apply(policy(validation={"duration": "300s"}), policy("follows", horizontal=FOLLOWING, paused=True))
    stage.operator()
    await learned(stage, "web", "follows")
    await stage.create_run("trial", "web", changes=to_replicas(GOOD_REPLICAS))
    await stage.in_phase("trial", ["Settling", "Validating"])
    switch.touch()
    told = await stage.told("web", "Ready", "False", "EvaluationFailed")
    assert told["message"].endswith("KeyError: 'no such sample'")
    await stage.told("web", "Degraded", "True", "EvaluationFailed")
    await stage.apply(policy("follows", horizontal=FOLLOWING))
    await counted(stage, "follows", WELL_REPLICAS)
    run = await stage.settled("trial")
    assert run["status"]["rollback"]["restored"]
    assert "its evaluation failed 3 times in a row: KeyError" in run["status"]["timeline"][-1]["reason"]
    assert await replicas(stage) == REPLICAS
    assert "EvaluationFailed" in [event["reason"] for event in await stage.events("web")]
    switch.unlink()
    await stage.told("web", "Ready", "True")
    await stage.told("web", "Degraded", "False", "AsExpected")


DEAR_FIRST_LOOKS = """
import time
from trimtab.planning import assessment
learn = assessment.quality_of
def dear(spec, *given, **named):
    if spec.target_ref.name != "known":
        time.sleep(0.3)
    return learn(spec, *given, **named)
assessment.quality_of = dear
"""


async def test_many_new_policies_are_looked_at_in_slices(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Sixty at 0.3 s each: the one that is known is evaluated between the slices, and not after all of them."""
    sabotage(monkeypatch, tmp_path / "sabotage", DEAR_FIRST_LOOKS)
    await play(stage, service("known", namespace=stage.namespace))
    await stage.apply(policy("known"))
    operator = stage.operator(workers=1)
    await learned(stage, "known")
    seldom = {"interval": "5m", "history": "10m"}  # so that nobody but the known one is due a second time
    new = [policy(f"new-{number:02}", mode="Recommend", horizontal=None, analysis=seldom) for number in range(60)]
    await stage.apply(*new)
    await stage.until(lambda: _first_looks(operator.log) >= 61, "a first look at each", 120.0)
    first, *_, last = _slices(operator.log)[1:]  # the first of all was that of the known one
    between = _ended(operator.log)[first + 1 : last]
    rounds = sum(one["event"] == "round ended" for one in between)
    slices = sum(one["event"] != "round ended" for one in between)
    assert rounds > slices + 1, "the known one had its turn, beside the round of each slice"


def _ended(log: str) -> list[dict[str, Any]]:
    """The ends of rounds and of slices, as they were logged."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") in ("round ended", "slice of first looks ended")]


def _first_looks(log: str) -> int:
    """How many policies were looked at for the first time."""
    return sum(_ended(log)[place]["policies"] for place in _slices(log))


def _slices(log: str) -> list[int]:
    """Places of slices among the ends."""
    return [place for place, line in enumerate(_ended(log)) if line["event"].startswith("slice")]
