"""pause, resume, undo, abort, dry runs, and how many runs are kept."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from dataclasses import dataclass

import pytest

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
    WELL_REPLICAS,
    counted,
    decided,
    learned,
    own_run,
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
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster


async def test_pause_changes_nothing_more_but_ends_a_trial(stage: Stage, audit: Audit) -> None:
    names = ("fixed", "following", "good", "bad")
    horizontal = {"fixed": FIXED, "following": FOLLOWING}
    rates = dict.fromkeys(horizontal, SPARE_RATE)
    await play(stage, *(service(name, rate=rates.get(name, 100.0), namespace=stage.namespace) for name in names))
    patient = {"duration": "20s", "failureLimit": 3}
    await stage.apply(*(policy(name, horizontal=horizontal.get(name), validation=patient) for name in names))
    for name in ("fixed", "following"):
        assert f"trimtab resume {name} -n {stage.namespace}" in await stage.trimtab("pause", name)
    stage.operator()
    await learned(stage, *names)
    await asyncio.gather(pause_in_trial(stage, "good", GOOD_REPLICAS), pause_in_trial(stage, "bad", BAD_REPLICAS))
    for name in names:
        told = kstatus.condition(await stage.in_state(name, "Paused"), "Ready")
        assert (told["status"], told["message"]) == ("True", f"paused: trimtab resume {name} to go on")
    await stage.create_run("asked", "fixed", changes=to_replicas(GOOD_REPLICAS))
    refused = await stage.ended("asked")
    assert refused["status"]["phase"] == "Rejected"
    assert refused["status"]["timeline"][-1]["reason"] == "paused: spec.paused is true; trimtab resume to go on"
    for name in ("fixed", "following"):
        await decided(stage, name, 2)
        assert await replicas(stage, name) == REPLICAS

    good, bad = await stage.settled("good"), await stage.settled("bad")
    done = (good["status"]["phase"], verdict(good), await replicas(stage, "good"))
    assert done == ("Succeeded", "Pass", GOOD_REPLICAS)
    undone = (bad["status"]["phase"], verdict(bad), await replicas(stage, "bad"))
    assert undone == ("RolledBack", "Fail", REPLICAS)
    trials = {("good", "deployments/scale"): 1, ("bad", "deployments/scale"): 2}
    assert audit.done() == Counter(trials)

    for name in ("fixed", "following"):
        assert await stage.trimtab("resume", name) == f"{name} goes on\n"
    await counted(stage, "following", WELL_REPLICAS)
    await stage.in_phase(await own_run(stage, "fixed"), ["Applying", "Settling", "Validating", "Succeeded"])
    await counted(stage, "fixed", WELL_REPLICAS)
    assert audit.done() == Counter(trials | {(name, "deployments/scale"): 1 for name in horizontal})


async def test_abort_and_undo_put_back_exactly_what_was(stage: Stage, audit: Audit) -> None:
    """A trial is aborted, a kept change undone, a waiting run called off; a wrong word is answered with a right one."""
    changes = {
        "abort-count": to_replicas(GOOD_REPLICAS),
        "abort-size": to_cpu(GOOD_CPU),
        "undo-count": to_replicas(GOOD_REPLICAS),
        "undo-size": to_cpu(GOOD_CPU),
        "waiting": to_replicas(GOOD_REPLICAS),
        # a request above its limit: the count is written first, the size is refused, and the count put back
        "refused": [*to_replicas(GOOD_REPLICAS), {**to_cpu("2")[0]}],
    }
    await play(stage, *(service(name, namespace=stage.namespace) for name in changes))
    modes, spans = {"waiting": "Approve"}, {"abort-count": "90s", "abort-size": "90s"}
    for name in changes:
        span = {"duration": spans.get(name, "16s")}
        await stage.apply(policy(name, mode=modes.get(name, "Auto"), validation=span))
    before = {name: (await stage.workload(name))["spec"] for name in changes}
    stage.operator()
    await learned(stage, *changes)
    for name, wanted in changes.items():
        await stage.create_run(f"{name}-run", name, changes=wanted)

    await asyncio.gather(
        abort(stage, "waiting-run", "AwaitingApproval"),
        abort(stage, "abort-count-run", "Settling", "Validating"),
        abort(stage, "abort-size-run", "Settling", "Validating"),
        undo(stage, "undo-count"),
        undo(stage, "undo-size"),
    )
    for name in ("waiting", "abort-count", "abort-size"):
        run = await stage.settled(f"{name}-run")
        assert (run["status"]["phase"], phases(run)[-1]) == ("Cancelled", "Cancelled")
        assert run["status"]["timeline"][-1]["reason"] == "cancelled by a person"
        assert (run["status"].get("rollback") or {}).get("restored", False) == (name != "waiting")
    refused = await stage.settled("refused-run")
    assert (refused["status"]["phase"], refused["status"]["rollback"]["restored"]) == ("Failed", True)
    assert "must be less than or equal to cpu limit" in refused["status"]["timeline"][-1]["reason"]
    for name in changes:
        assert (await stage.workload(name))["spec"] == before[name], name
    written = {name: "deployments" if name.endswith("size") else "deployments/scale" for name in changes}
    del written["waiting"]
    assert audit.done() == Counter(dict.fromkeys(written.items(), 2))

    commands = ("approve", "abort", "undo", "pause", "resume", "explain")
    for answer in await asyncio.gather(*(asked(stage, command, "nobody") for command in commands)):
        assert answer.refused_with("nobody", "trimtab get")


async def test_dry_runs_history_and_what_get_prints(stage: Stage, audit: Audit) -> None:
    """A dry run plans and changes nothing; old runs go, but never the one that made the present operating point."""
    services = [service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in ("kept", "planned")]
    await play(stage, *services)
    await stage.apply(policy("kept", runHistoryLimit=2), policy("planned", mode="Recommend", horizontal=FIXED))
    assert f"no PerformancePolicy in namespace {stage.namespace}-x" in (await asked(stage, "get", space="-x")).out
    assert "not evaluated yet" in await stage.trimtab("get")
    stage.operator()
    await learned(stage, "kept", "planned")
    await stage.create_run("kept-run", "kept", changes=to_replicas(GOOD_REPLICAS))
    await stage.create_run("dry-asked", "planned", dryRun=True, changes=to_cpu(GOOD_CPU))
    await stage.create_run("dry-own", "planned", dryRun=True)
    for name, change in (("dry-asked", f"cpu {CPU}→{GOOD_CPU}"), ("dry-own", f"{REPLICAS}→{WELL_REPLICAS}")):
        dry = await stage.settled(name)
        assert (dry["status"]["phase"], dry["status"]["summary"]["change"]) == ("Succeeded", change)
        assert dry["status"]["plan"]["predicted"]["cost"]["to"] < dry["status"]["plan"]["predicted"]["cost"]["from"]
        assert "nothing was changed" in dry["status"]["timeline"][-1]["reason"]
        assert "applied" not in dry["status"]
    assert (await asked(stage, "undo", "planned")).refused_with("no run of planned has a kept change")
    assert (await resources(stage, "planned"))["requests"]["cpu"] == CPU
    assert await replicas(stage, "planned") == REPLICAS

    assert (await stage.settled("kept-run"))["status"]["phase"] == "Succeeded"
    for number in range(5):
        await stage.create_run(f"later-{number}", "kept", dryRun=True, changes=to_replicas(REPLICAS + number))
        assert (await stage.ended(f"later-{number}"))["status"]["phase"] == "Succeeded"

    async def collected() -> list[str] | None:
        names = [run["metadata"]["name"] for run in await stage.runs("kept")]
        return names if len(names) <= 3 else None

    assert await stage.until(collected, "old runs deleted") == ["kept-run", "later-3", "later-4"]
    assert (await stage.policy("kept"))["status"]["operatingPoint"]["from"] == "kept-run"

    for everywhere in ((), ("-A",)):
        shown = await stage.trimtab("get", *everywhere)
        lines = [line for line in shown.splitlines() if not everywhere or stage.namespace in line or "└─" in line]
        assert any("deployment/kept" in line and "Auto" in line and "1/1 met" in line for line in lines), shown
        assert any("deployment/planned" in line and f"{REPLICAS}→{WELL_REPLICAS}" in line for line in lines)
        assert any("└─ kept-run  Succeeded  4→3" in line and "kept: " in line for line in lines), shown
        assert any("└─ dry-own  Succeeded  4→2" in line for line in lines)
        assert not any("later-0" in line for line in lines)
    assert await stage.trimtab("undo", "kept") == "run kept-run is being undone: 4→3\n"
    await counted(stage, "kept", REPLICAS)
    assert audit.done() == Counter({("kept", "deployments/scale"): 2})


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended."""

    code: int
    out: str
    complaint: str

    def refused_with(self, *parts: str) -> bool:
        """Whether it said no in one line that has these parts."""
        assert (self.code, self.out) == (1, ""), self
        assert self.complaint.startswith("trimtab: "), self
        assert len(self.complaint.splitlines()) == 1, self
        missing = [part for part in parts if part not in self.complaint]
        assert not missing, f"{missing} not in {self.complaint}"
        return True


async def asked(stage: Stage, *arguments: str, space: str = "") -> Answer:
    """The command line's answer, whatever it is."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trimtab.cli", *arguments, "--namespace", stage.namespace + space),
        env={**os.environ, "KUBECONFIG": str(stage.person_kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await process.communicate()
    return Answer(process.returncode or 0, out.decode(), complaint.decode())


async def pause_in_trial(stage: Stage, name: str, count: int) -> None:
    """Begin a trial and pause its policy before it ends."""
    await stage.create_run(name, name, changes=to_replicas(count))
    await stage.in_phase(name, ["Settling", "Validating"])
    await stage.trimtab("pause", name)
    assert (await stage.run(name))["status"]["phase"] in ("Settling", "Validating")


async def abort(stage: Stage, run: str, *during: str) -> None:
    """Abort a run while it is in one of these phases; one in a trial cannot be approved, which the message says."""
    await stage.in_phase(run, during)
    if "AwaitingApproval" not in during:
        why = "only a run that is AwaitingApproval can be approved"
        assert (await asked(stage, "approve", run)).refused_with(f"run {run} is ", why, f"trimtab abort {run}")
    assert await stage.trimtab("abort", run) == f"{run} is being aborted\n"


async def undo(stage: Stage, name: str) -> None:
    """Undo a kept run of a policy, which then has none any more."""
    run = f"{name}-run"
    assert (await stage.settled(run))["status"]["phase"] == "Succeeded"
    ended = await asked(stage, "abort", run)
    assert ended.refused_with(f"run {run} has ended already: Succeeded", f"trimtab undo {name}")
    assert f"run {run} is being undone" in await stage.trimtab("undo", name)

    async def look() -> JsonObject | None:
        seen = await stage.run(run)
        return None if seen["status"]["phase"] == "Succeeded" else seen

    undone = (await stage.until(look, f"{run} undone"))["status"]
    assert (undone["phase"], undone["rollback"]["restored"]) == ("RolledBack", True)
    assert undone["timeline"][-1]["reason"] == "undone by a person"
    nothing = await asked(stage, "undo", name)
    assert nothing.refused_with(f"no run of {name} has a kept change", f"trimtab get -n {stage.namespace}")
