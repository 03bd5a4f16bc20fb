"""A change that cannot come to its pods, or whose pods are lost, is never proven and ends undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from tests.faults.cases import cases
from tests.faults.promises import keeps
from tests.faults.scene import GOOD, Scene, When
from tests.operator.acting import (
    CPU,
    GOOD_CPU,
    REPLICAS,
    learned,
    play,
    policy,
    replicas,
    resources,
    service,
    to_cpu,
    verdict,
)
from tests.operator.test_rollouts import DEADLINE, HUGE, LARGER, all_pods_die, container_ends, deploy
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

Happens = Callable[[Scene], Awaitable[None]]
_LONG: Final = 6.0
"""Seconds that a pod needs to start, so that a rollout is under way for a while."""
_SURGE: Final = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
"""No pod goes before a new one is there: all that is measured is well while the change does not come to its pods."""
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
    case
    for fault, (_, _, whens) in ROLLOUTS.items()
    for case in cases([f"rollout-{fault}"], whens, short={("rollout-paused", When.SETTLING)})
]


@pytest.mark.parametrize(("fault", "when"), _CASES)
async def test_rollout(bare_scene: Scene, fault: str, when: When) -> None:
    scene = bare_scene
    happens, cpu, _ = ROLLOUTS[fault.removeprefix("rollout-")]
    made = service(GOOD, startup_seconds=_LONG, namespace=scene.stage.namespace)
    await deploy(scene.stage, made, strategy=_SURGE, progressDeadlineSeconds=3 * DEADLINE["progressDeadlineSeconds"])
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
    keeps(await _broken(scene, run, remedy=f"kubectl rollout resume deployment/{GOOD}" if happens is paused else ""))


async def _broken(scene: Scene, run: JsonObject, remedy: str) -> list[str]:
    """What a run broke whose change did not take place; pods that its undoing does not reach need the ``remedy``."""
    broken, status = [], run["status"]
    if status["phase"] == "Succeeded" or verdict(run) == "Pass":
        broken.append(f"was kept: {status['phase']}, {status.get('verdict')}")
    if (live := (await resources(scene.stage, GOOD))["limits"]["cpu"]) != CPU:
        broken.append(f"ended {status['phase']} with cpu {live}, not {CPU}")
    if (count := await replicas(scene.stage, GOOD)) != REPLICAS:
        broken.append(f"ended {status['phase']} with {count} replicas, not {REPLICAS}")
    rollback = status.get("rollback") or {"restored": "applied" not in status}
    if not rollback["restored"] and not (remedy and remedy in rollback.get("notRestored", [""])[0]):
        broken.append(f"was undone and does not say so: {rollback}")
    return broken
