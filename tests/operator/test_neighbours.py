"""One bad neighbour harms nobody: each fault on one policy, while another one follows its demand."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    BAD_REPLICAS,
    FOLLOWING,
    GOOD_REPLICAS,
    LOAD,
    REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    counted,
    learned,
    play,
    policy,
    replicas,
    service,
    to_replicas,
    verdict,
)
from tests.operator.audit import Audit
from tests.operator.gate import Gate, Request
from tests.operator.sabotage import sabotage

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
            await stage.told(name, "Degraded", "True", "EvaluationLate")
        assert not hanging._fate.done()
        assert {name for name, _ in audit.done()} == {"prompt"}
        hanging.drop()
        for name in slow:
            await stage.told(name, "DataAvailable", "True")


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
        "hang": "OverBudgetError: took more than 1 s",
        "nan": "ValueError",
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
