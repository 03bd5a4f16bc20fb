"""A person's newer value stands, during a run and while replicas follow."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from demo.stage import Stage
from tests.operator import kstatus
from tests.operator.acting import (
    BAD_CPU,
    CPU,
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
)
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

PERSONS_REPLICAS = 6


@dataclass(frozen=True)
class Case:
    """What a person does to a workload during a run on it, and how things stand afterwards."""

    name: str
    changes: list[JsonObject]
    during: str
    """Phase of the run in which the person acts."""
    deed: tuple[str, ...]
    """Arguments of kubectl."""
    phase: str
    reason: str
    """How the last reason of the run begins."""
    writes: int
    replicas: int = REPLICAS
    cpu: tuple[str, str] = (CPU, CPU)
    """Request and limit."""
    memory: str = "256Mi"
    restored: bool = field(default=False)


def scaled(name: str, count: int) -> tuple[str, ...]:
    """kubectl scale."""
    return "scale", "deployment", name, f"--replicas={count}"


def limited(name: str, limits: str) -> tuple[str, ...]:
    """kubectl set resources, of limits alone."""
    return "set", "resources", "deployment", name, "--containers=app", f"--limits={limits}"


STANDS = "; that newer value stands"
CASES = (
    Case("settling", to_replicas(GOOD_REPLICAS), "Settling", scaled("settling", PERSONS_REPLICAS), "Superseded",
         f"spec.replicas was set to {PERSONS_REPLICAS} by kubectl{STANDS}", 1, replicas=PERSONS_REPLICAS),
    Case("validating", to_replicas(GOOD_REPLICAS), "Validating", scaled("validating", PERSONS_REPLICAS), "Superseded",
         f"spec.replicas was set to {PERSONS_REPLICAS} by kubectl{STANDS}", 1, replicas=PERSONS_REPLICAS),
    Case("put-back", to_replicas(GOOD_REPLICAS), "Settling", scaled("put-back", REPLICAS), "Superseded",
         f"spec.replicas was set to {REPLICAS} by kubectl{STANDS}", 1, restored=True),
    Case("beside", to_cpu(BAD_CPU), "Settling", limited("beside", "memory=512Mi"), "Superseded",
         "the pod template was changed by kubectl-set during the trial", 2, memory="512Mi", restored=True),
    Case("one-of-two", to_cpu(GOOD_CPU), "Validating", limited("one-of-two", "cpu=2"), "Superseded",
         f"resources.limits.cpu was set to 2 by kubectl-set{STANDS}", 2, cpu=(CPU, "2")),
    Case("below", to_cpu(GOOD_CPU), "Validating", limited("below", "cpu=950m"), "Superseded",
         f"resources.limits.cpu was set to 950m by kubectl-set{STANDS}", 1, cpu=(GOOD_CPU, "950m")),
)  # fmt: skip
"""The last one: the request that was there before is above the person's limit, so that it cannot be put back."""


async def test_a_newer_value_stands_during_a_run(stage: Stage, audit: Audit) -> None:
    await play(stage, *(service(case.name, namespace=stage.namespace) for case in CASES))
    patient = {"duration": "60s", "failureLimit": 3}  # nothing ends before the person was there
    await stage.apply(*(policy(case.name, validation=patient) for case in CASES))
    stage.operator()
    await learned(stage, *(case.name for case in CASES))

    async def interfere(case: Case) -> None:
        await stage.create_run(case.name, case.name, changes=case.changes)
        await stage.in_phase(case.name, [case.during])
        await stage.kubectl(*case.deed)

    await asyncio.gather(*(interfere(case) for case in CASES))
    runs = {case.name: await stage.settled(case.name) for case in CASES}

    for case in CASES:
        run, size = runs[case.name], await resources(stage, case.name)
        assert run["status"]["phase"] == case.phase, case.name
        assert run["status"]["timeline"][-1]["reason"].startswith(case.reason), case.name
        assert run["status"]["rollback"].get("restored", False) == case.restored, case.name
        assert case.during in phases(run)
        assert await replicas(stage, case.name) == case.replicas, case.name
        assert (size["requests"], size["limits"]) == (
            {"cpu": case.cpu[0], "memory": "256Mi"},
            {"cpu": case.cpu[1], "memory": case.memory},
        ), case.name
    written = Counter({name: sum(done for (one, _), done in audit.done().items() if one == name) for name in runs})
    assert written == Counter({case.name: case.writes for case in CASES})
    last = (await stage.policy("settling"))["status"]["lastRun"]
    assert (last["name"], last["verdict"]) == ("settling", "Superseded")


Release = Callable[[Stage, str], Awaitable[object]]


async def resume(stage: Stage, name: str) -> None:
    """The word for it."""
    assert "goes on" in await stage.trimtab("resume", name)


async def raise_max(stage: Stage, name: str) -> None:
    """A change of the policy."""
    await change(stage, name, '{"horizontal": {"maxReplicas": 9}}')


async def follow_no_more(stage: Stage, name: str) -> None:
    """A change of the policy after which nothing is left to hold."""
    await change(stage, name, '{"horizontal": {"follow": false}}')


RELEASES: dict[str, Release] = {"resumed": resume, "changed": raise_max, "unfollowed": follow_no_more}


async def test_a_persons_count_holds_following(stage: Stage, audit: Audit) -> None:
    """Until they say so, or change the policy; another count of theirs holds it again."""
    names = (*RELEASES, "undisturbed")
    await play(stage, *(service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in names))
    await stage.apply(*(policy(name, horizontal=FOLLOWING, guardrails={"maxRunsPerDay": 1}) for name in names))
    stage.operator()
    for name in names:
        await counted(stage, name, WELL_REPLICAS)
    for name in RELEASES:
        await stage.kubectl(*scaled(name, PERSONS_REPLICAS))
    for name in RELEASES:
        await held(stage, name)
        await decided(stage, name, 2)
        assert await replicas(stage, name) == PERSONS_REPLICAS
    assert audit.done() == Counter({(name, "deployments/scale"): 1 for name in names})

    for name, release in RELEASES.items():
        await release(stage, name)
    for name in ("resumed", "changed"):
        await counted(stage, name, WELL_REPLICAS)
        assert "Resumed" in [event["reason"] for event in await stage.events(name)]
    for name in RELEASES:
        await stage.in_state(name, "Following")
    await stage.kubectl(*scaled("resumed", PERSONS_REPLICAS))
    await held(stage, "resumed")
    kept = await stage.settled(await own_run(stage, "unfollowed"))
    assert kept["status"]["phase"] == "Succeeded"
    assert await replicas(stage, "unfollowed") == PERSONS_REPLICAS // 2
    assert await replicas(stage, "resumed") == PERSONS_REPLICAS
    assert audit.done() == Counter(
        {(name, "deployments/scale"): 2 for name in RELEASES} | {("undisturbed", "deployments/scale"): 1}
    )


async def held(stage: Stage, name: str) -> None:
    """Wait until the policy says that it stands back, and how to go on."""
    ready = kstatus.condition(await stage.in_state(name, "Held"), "Ready")
    until = (await stage.policy(name))["status"]["hold"]["until"]
    text = f"spec.replicas was set to {PERSONS_REPLICAS} by kubectl, which holds until {until}"
    assert ready["status"] == "True"
    assert ready["message"] == f"{text}; trimtab resume {name} to go on"
    said = [event for event in await stage.events(name) if event["reason"] == "HeldByPerson"]
    assert (said[-1]["type"], said[-1]["message"]) == (
        "Warning",
        f"{text}: following waits for that or trimtab resume {name}",
    )


async def change(stage: Stage, name: str, spec: str) -> None:
    """Change the spec of a policy."""
    await stage.kubectl("patch", "performancepolicy", name, "--type=merge", "--patch", f'{{"spec": {spec}}}')
