"""A change that cannot come to its pods, or whose pods are lost, is never proven and ends undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from tests.faults.cases import cases
from tests.faults.scene import GOOD, Scene, When
from tests.operator.acting import CPU, GOOD_CPU, REPLICAS, learned, play, policy, resources, service, to_cpu, verdict
from tests.operator.test_rollouts import DEADLINE, HUGE, LARGER, all_pods_die, container_ends, deploy

pytestmark = pytest.mark.cluster

Happens = Callable[[Scene], Awaitable[None]]
_LONG: Final = 6.0
"""Seconds that a pod needs to start, so that a rollout is under way for a while."""
_UNDER_WAY: Final = (When.APPLYING, When.SETTLING, When.VALIDATING)


async def quota(scene: Scene) -> None:
    """No room for what is larger than before."""
    hard = {"limits.cpu": "4200m"}
    body: Any = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": hard}}
    await scene.stage.apply(body)


async def limit_range(scene: Scene) -> None:
    """Containers of the new size are forbidden."""
    limits = [{"type": "Container", "max": {"cpu": CPU}}]
    body: Any = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}}
    await scene.stage.apply(body)


async def paused(scene: Scene) -> None:
    """Somebody stops the rollout."""
    await scene.stage.kubectl("rollout", "pause", f"deployment/{GOOD}")


async def pods_die(scene: Scene) -> None:
    """None is left, and none may come."""
    await all_pods_die(scene.stage, GOOD)


def ends(reason: str, code: int) -> Happens:
    """A changed container ends by itself."""

    async def happens(scene: Scene) -> None:
        await container_ends(reason, code, run=GOOD)(scene.stage, GOOD)

    return happens


async def nothing(_scene: Scene) -> None:
    """The change itself is more than any node has."""


ROLLOUTS: Final[dict[str, tuple[Happens, str, tuple[When, ...]]]] = {
    "quota": (quota, LARGER, (When.APPLYING, When.SETTLING)),
    "limit-range": (limit_range, LARGER, (When.APPLYING, When.SETTLING)),
    "no-node": (nothing, HUGE, (When.APPLYING,)),
    "paused": (paused, GOOD_CPU, _UNDER_WAY),
    "pods-die": (pods_die, GOOD_CPU, (When.SETTLING, When.VALIDATING)),
    "oom-kill": (ends("OOMKilled", 137), GOOD_CPU, (When.VALIDATING,)),
    "crash": (ends("Error", 3), GOOD_CPU, (When.VALIDATING,)),
}
"""What happens, the CPU that the run asks for, and when it can happen."""
_CASES: Final = [
    case for fault, (_, _, whens) in ROLLOUTS.items() for case in cases([f"rollout-{fault}"], whens, short=())
]


@pytest.mark.parametrize(("fault", "when"), _CASES)
async def test_rollout(bare_scene: Scene, fault: str, when: When) -> None:
    scene = bare_scene
    happens, cpu, _ = ROLLOUTS[fault.removeprefix("rollout-")]
    made = service(GOOD, startup_seconds=_LONG, namespace=scene.stage.namespace)
    await deploy(scene.stage, made, progressDeadlineSeconds=3 * DEADLINE["progressDeadlineSeconds"])
    scene.simulation = await play(scene.stage, made, deploy=False)
    await scene.stage.apply(policy(GOOD, validation={"duration": "40s"}))
    scene.operator = scene.start()
    await learned(scene.stage, GOOD)
    if when is When.APPLYING:
        await happens(scene)
    await scene.stage.create_run(GOOD, GOOD, changes=to_cpu(cpu))
    if when is not When.APPLYING:
        await scene.stage.in_phase(GOOD, [when.value])
        await happens(scene)
    run = await scene.stage.settled(GOOD, 300.0)
    live = await resources(scene.stage, GOOD)
    assert (run["status"]["phase"] == "Succeeded", verdict(run) == "Pass", live["limits"]["cpu"]) == (False, False, CPU)
    assert (await scene.stage.workload(GOOD))["spec"]["replicas"] == REPLICAS
    rollback = run["status"].get("rollback") or {"restored": "applied" not in run["status"]}
    if happens is paused and "notRestored" in rollback:
        assert not rollback["restored"]
        assert f"kubectl rollout resume deployment/{GOOD}" in rollback["notRestored"][0]
    else:
        assert rollback["restored"]
