"""Each mode does what it says and no more; Approve waits for a person."""

from __future__ import annotations

from collections import Counter

import pytest
import yaml

from demo.stage import Stage
from tests.operator.acting import (
    FIXED,
    FOLLOWING,
    GOOD_REPLICAS,
    REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    decided,
    learned,
    own_run,
    play,
    policy,
    replicas,
    service,
    to_replicas,
)
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster


async def test_each_mode_does_what_it_says(stage: Stage, audit: Audit) -> None:
    """Too many replicas under each mode: shown, recommended, planned and waiting, or tried and kept."""
    modes = ("Observe", "Recommend", "Approve", "Auto")
    fixed = {mode.lower(): policy(mode.lower(), mode=mode, horizontal=FIXED) for mode in modes}
    quiet = {"observe-f": "Observe", "recommend-f": "Recommend"}
    following = {name: policy(name, mode=mode, horizontal=FOLLOWING) for name, mode in quiet.items()}
    names = (*fixed, *following)
    await play(stage, *(service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in names))
    await stage.apply(*(fixed | following).values())
    stage.operator()
    await learned(stage, *names)

    own, waiting = await own_run(stage, "auto"), await own_run(stage, "approve")
    await stage.in_phase(waiting, ["AwaitingApproval"])
    for name in ("observe", "observe-f", "recommend", "recommend-f"):
        await stage.create_run(f"{name}-asked", name, changes=to_replicas(GOOD_REPLICAS))
        refused = await stage.ended(f"{name}-asked")
        assert refused["status"]["phase"] == "Rejected"
    assert "spec.mode of policy recommend is Recommend" in await last_reason(stage, "recommend-asked")
    assert "spec.mode of policy observe is Observe" in await last_reason(stage, "observe-asked")

    for name in ("observe", "observe-f"):
        status = (await stage.policy(name))["status"]
        assert "recommendation" not in status
        assert status["current"]["replicas"] == REPLICAS
        assert (status["summary"]["replicas"], status["summary"]["objectives"]) == (str(REPLICAS), "1/1 met")
    for name in ("recommend", "recommend-f", "approve"):
        status = await recommending(stage, name)
        assert status["summary"]["replicas"] == f"{REPLICAS}→{WELL_REPLICAS}"
        explained = await stage.trimtab("explain", name)
        assert status["recommendation"]["reason"].split()[0] in explained
        assert copied(explained)["spec"]["replicas"] == WELL_REPLICAS

    kept = await stage.settled(own)
    assert (kept["spec"]["trigger"], kept["status"]["phase"]) == ("Cost", "Succeeded")
    assert await replicas(stage, "auto") == WELL_REPLICAS
    assert (await stage.run(waiting))["status"]["phase"] == "AwaitingApproval"
    assert audit.done() == Counter({("auto", "deployments/scale"): 1})

    explained = await stage.trimtab("explain", "recommend")
    await stage.kubectl("patch", "deployment", "recommend", "--patch", yaml.safe_dump(copied(explained)))
    assert await replicas(stage, "recommend") == WELL_REPLICAS


async def test_approve_waits_for_a_yes_to_the_plan_of_now(stage: Stage, audit: Audit) -> None:
    """A plan waits under its hash; a workload that a person changes meanwhile gets another plan, which waits again."""
    await play(stage, *(service(name, namespace=stage.namespace) for name in ("plain", "changed", "moot")))
    await stage.apply(*(policy(name, mode="Approve") for name in ("plain", "changed", "moot")))
    stage.operator()
    await learned(stage, "plain", "changed", "moot")
    for name in ("plain", "changed", "moot"):
        await stage.create_run(name, name, changes=to_replicas(GOOD_REPLICAS))
    waiting = {name: await stage.in_phase(name, ["AwaitingApproval"]) for name in ("plain", "changed", "moot")}
    first = plan_hash(waiting["changed"])
    assert [change["to"] for change in waiting["changed"]["status"]["plan"]["changes"]] == [str(GOOD_REPLICAS)]

    await stage.kubectl("scale", "deployment", "changed", "--replicas=5")
    await stage.kubectl("scale", "deployment", "moot", f"--replicas={GOOD_REPLICAS}")

    async def planned_anew() -> JsonObject | None:
        run = await stage.run("changed")
        return run if plan_hash(run) != first else None

    anew = await stage.until(planned_anew, "another plan")
    assert anew["status"]["phase"] == "AwaitingApproval"
    assert [(one["from"], one["to"]) for one in anew["status"]["plan"]["changes"]] == [("5", str(GOOD_REPLICAS))]
    await approve_hash(stage, "changed", first)
    assert (await stage.ended("moot"))["status"]["phase"] == "Superseded"

    assert "asked for by a person: 4→3" in await stage.trimtab("approve", "plain")
    await stage.in_phase("plain", ["Settling", "Validating", "Succeeded"])
    await decided(stage, "changed", 2)
    assert (await stage.run("changed"))["status"]["phase"] == "AwaitingApproval"
    assert audit.done() == Counter({("plain", "deployments/scale"): 1})

    await stage.trimtab("approve", "changed")
    for name, plan in (("plain", waiting["plain"]), ("changed", anew)):
        kept = await stage.settled(name)
        assert (kept["status"]["phase"], kept["spec"]["approval"]["planHash"]) == ("Succeeded", plan_hash(plan))
    counts = [await replicas(stage, name) for name in ("plain", "changed", "moot")]
    assert counts == [GOOD_REPLICAS] * 3
    assert audit.done() == Counter({(name, "deployments/scale"): 1 for name in ("plain", "changed")})


async def test_approve_follows_only_under_an_approved_operating_point(stage: Stage, audit: Audit) -> None:
    """Whether a person brings the operating point or the operator proposes the one that it learned."""
    names = ("brought", "proposed", "unapproved")
    await play(stage, *(service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in names))
    await stage.apply(*(policy(name, mode="Approve", horizontal=FOLLOWING) for name in names))
    await stage.create_run("brought", "brought", changes=[{"path": "operatingPoint.loadPerReplica", "to": 40}])
    stage.operator()
    await learned(stage, *names)
    proposed, unapproved = await own_run(stage, "proposed"), await own_run(stage, "unapproved")
    for run in ("brought", proposed, unapproved):
        waiting = await stage.in_phase(run, ["AwaitingApproval"])
        assert [change["path"] for change in waiting["status"]["plan"]["changes"]] == ["operatingPoint.loadPerReplica"]
    for name in names:
        await decided(stage, name, 1)
        assert await replicas(stage, name) == REPLICAS
    assert audit.done() == Counter()

    await stage.trimtab("approve", "brought")
    await stage.trimtab("approve", proposed)
    for run in ("brought", proposed):
        assert (await stage.settled(run))["status"]["phase"] == "Succeeded"
    # 80 requests/s and 15 % of headroom: 40 a replica make 3, 60 % of a core that carries 100 make 2
    assert [await replicas(stage, name) for name in names] == [3, WELL_REPLICAS, REPLICAS]
    point = (await stage.policy("brought"))["status"]["operatingPoint"]
    assert (point["loadPerReplica"], point["from"]) == ("40", "brought")
    assert audit.done() == Counter({(name, "deployments/scale"): 1 for name in ("brought", "proposed")})
    assert (await stage.run(unapproved))["status"]["phase"] == "AwaitingApproval"


async def recommending(stage: Stage, name: str) -> JsonObject:
    """The status of a policy once it recommends what the service needs."""

    async def look() -> JsonObject | None:
        status: JsonObject = (await stage.policy(name))["status"]
        return status if (status.get("recommendation") or {}).get("replicas") == WELL_REPLICAS else None

    return await stage.until(look, f"{WELL_REPLICAS} replicas recommended for {name}")


async def last_reason(stage: Stage, run: str) -> str:
    """Why a run is where it is."""
    return str((await stage.run(run))["status"]["timeline"][-1]["reason"])


async def test_an_approval_that_is_taken_back_ends_the_trial(stage: Stage) -> None:
    """Another plan's hash in its place: what happened is said, and the mode that nobody changed is not blamed."""
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(mode="Approve", validation={"duration": "10m"}))
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("asked", "web", changes=to_replicas(GOOD_REPLICAS))
    plan = plan_hash(await stage.in_phase("asked", ["AwaitingApproval"]))
    await stage.trimtab("approve", "asked")
    await stage.in_phase("asked", ["Validating"])
    await approve_hash(stage, "asked", "0123456789ab")
    undone = (await stage.settled("asked"))["status"]
    said = f"the approval of plan {plan} was taken back during the trial: 0123456789ab is approved now"
    assert (undone["phase"], undone["timeline"][-1]["reason"]) == ("Cancelled", said)
    assert undone["rollback"]["restored"]
    assert undone["rollback"]["reason"] == said
    assert await replicas(stage) == REPLICAS


def plan_hash(run: JsonObject) -> str:
    """What an approval must name."""
    return str(run["status"]["plan"]["hash"])


async def approve_hash(stage: Stage, run: str, value: str) -> None:
    """Approve as somebody does who looked at the run a while ago."""
    patch = yaml.safe_dump({"spec": {"approval": {"planHash": value}}})
    await stage.kubectl("patch", "optimizationrun", run, "--type=merge", "--patch", patch)


def copied(explained: str) -> JsonObject:
    """The YAML that ``trimtab explain`` shows."""
    lines = explained.partition("YAML to copy\n")[2].splitlines()
    end = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
    body: JsonObject = yaml.safe_load("\n".join(lines[:end]))
    return body
