"""The API server fails for a while: runs end as they would have, and each write is made once."""

from __future__ import annotations

from typing import Final

import pytest

from tests.faults import proxies
from tests.faults.cases import cases
from tests.faults.promises import broken_promises, keeps, policies_are_well
from tests.faults.scene import STEADY, STEADY_NEED, STEADY_REPLICAS, UNAPPROVED, Need, Scene, When
from tests.operator.acting import FIXED, FOLLOWING, counted, learned, own_run, play, policy, replicas, service, verdict
from tests.operator.gate import to_scale
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

API: Final = {
    "conflict-409": proxies.refused(409, "Conflict"),
    "gone-410": proxies.refused(410, "Expired"),
    "test-failed-422": proxies.refused(422, "Invalid"),
    "throttled-429": proxies.refused(429, "TooManyRequests"),
    "error-500": proxies.refused(500, "InternalError"),
    "unavailable-503": proxies.refused(503, "ServiceUnavailable"),
    "cut": proxies.cut,
    "cut-after": proxies.cut_after,
    "slow": proxies.slow,
    "html": proxies.html,
    "nested": proxies.nested,
}
_WRITING: Final = (When.FOLLOWING, When.PENDING, When.APPLYING, When.UNDOING)
"""Phases in whose first seconds a workload is written."""
_FOR_GOOD: Final = frozenset({"gone-410"})
"""Answers to a write that say it is never taken, so that a run ends undone."""
_RAISED: Final = STEADY_REPLICAS + 1
_STEPS: Final = (STEADY, "deployments/scale")
_PLANS: Final = "plans"
"""A service with more replicas than a run of the operator's own leaves it."""
_TOO_MANY, _ENOUGH = 6, 3


@pytest.mark.parametrize(("fault", "when"), cases(API, UNAPPROVED, short={("cut-after", When.UNDOING)}))
async def test_api_server(scene: Scene, fault: str, when: When) -> None:
    """Every request meets with the fault, those for leases too; what stood at the gate first."""
    await scene.reach(when)
    await _api_server_fails(scene, fault, when)
    keeps(await broken_promises(scene, good_is_kept=not (fault in _FOR_GOOD and when is When.APPLYING)))


@pytest.mark.parametrize(("fault", "when"), cases(API, _WRITING, short={("test-failed-422", When.APPLYING)}))
async def test_api_server_at_writes(scene: Scene, fault: str, when: When) -> None:
    """Writes of workloads and new runs alone meet with the fault: the operator holds its lease and reads all."""
    scene.api.endangers = proxies.changes
    if when is When.FOLLOWING:
        await _to_write(scene)
    await scene.reach(when)
    steps = scene.audit.done()[_STEPS]
    await _api_server_fails(scene, fault, when)
    broken = await broken_promises(scene, good_is_kept=fault not in _FOR_GOOD)
    if when is When.FOLLOWING:
        broken += await _of_written(scene, steps)
    keeps(broken)


async def _api_server_fails(scene: Scene, fault: str, when: When) -> None:
    """The fault, for eight seconds from when it has harmed what it is for."""
    gate = scene.api
    stood = [await hold.caught() for hold in scene.held]

    async def begin() -> None:
        gate.harm = API[fault]
        if when is When.FOLLOWING and gate.endangers is proxies.changes:
            await scene.stage.apply(_following_more(), _planning(paused=False))

    async def end() -> None:
        gate.harm = None

    def harmed() -> bool:
        if when is When.FOLLOWING and gate.endangers is proxies.changes:
            return any(map(to_scale, gate.harmed)) and any(map(proxies.makes_run, gate.harmed))
        return bool(gate.harmed)

    await scene.suffer(begin, end, until=harmed)
    assert all(request in gate.harmed for request in stood), "what stood at the gate meets with the fault"


async def _to_write(scene: Scene) -> None:
    """One more service, for which the operator makes a run of its own as soon as it may."""
    made = service(_PLANS, rate=50.0, replicas=_TOO_MANY, namespace=scene.stage.namespace)
    await play(scene.stage, made)
    await scene.stage.apply(_planning(paused=True))
    await learned(scene.stage, _PLANS)
    scene.needs[STEADY] = Need(STEADY_NEED.least, _RAISED)


def _planning(*, paused: bool) -> JsonObject:
    return policy(_PLANS, horizontal=FIXED, vertical=None, paused=paused)


def _following_more() -> JsonObject:
    return policy(STEADY, horizontal=FOLLOWING | {"minReplicas": _RAISED})


async def _of_written(scene: Scene, steps: int) -> list[str]:
    """What was to be written in spite of the fault is written once: one step, one run."""
    await counted(scene.stage, STEADY, _RAISED)
    run = await scene.stage.settled(await own_run(scene.stage, _PLANS), 240.0)
    broken = await policies_are_well(scene, _PLANS)
    done = scene.audit.done()
    if (written := done[_STEPS] - steps) != 1:
        broken.append(f"{STEADY}: was written {written} times, not once")
    live, writes = await replicas(scene.stage, _PLANS), done[_PLANS, "deployments/scale"]
    if (seen := (run["status"]["phase"], verdict(run), live, writes)) != ("Succeeded", "Pass", _ENOUGH, 1):
        broken.append(f"{_PLANS}: ended {seen}")
    if len(made := await scene.stage.runs(_PLANS)) != 1:
        broken.append(f"{_PLANS}: {len(made)} runs were made, not one")
    return broken
