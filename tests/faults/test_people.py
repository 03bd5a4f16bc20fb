"""Somebody deploys, edits or deletes during a change: theirs stands, ours is undone where it is still there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import pytest
import yaml

from demo.stage import StageError
from tests.faults.cases import cases
from tests.faults.promises import policies_are_well
from tests.faults.scene import RUNS, Scene, When
from tests.operator.acting import REPLICAS, replicas, service, verdict
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.scenario import manifest

pytestmark = pytest.mark.cluster

Act = Callable[[Scene, str], Awaitable[object]]
_THEIRS: Final = 6
_NEXT_IMAGE: Final = "registry.example/app:next"
_UNDER_WAY: Final = (When.APPLYING, When.SETTLING, When.VALIDATING)


async def set_image(scene: Scene, name: str) -> object:
    """A deploy that says nothing of replicas."""
    return await scene.stage.kubectl("set", "image", f"deployment/{name}", f"*={_NEXT_IMAGE}")


async def restart(scene: Scene, name: str) -> object:
    """The same version anew."""
    return await scene.stage.kubectl("rollout", "restart", f"deployment/{name}")


async def deploy(scene: Scene, name: str, *how: str) -> object:
    """A manifest with another image and replicas of its own."""
    body = manifest(service(name, replicas=_THEIRS, namespace=scene.stage.namespace))
    body["spec"]["template"]["spec"]["containers"][0]["image"] = _NEXT_IMAGE
    return await scene.stage.kubectl("apply", *how, "-f", "-", given=yaml.safe_dump(body))


async def deploy_on_the_server(scene: Scene, name: str) -> object:
    """The same by server-side apply, as CI does."""
    return await deploy(scene, name, "--server-side", "--force-conflicts", "--field-manager=ci")


async def scale(scene: Scene, name: str) -> object:
    """A person's own count."""
    return await scene.stage.kubectl("scale", f"deployment/{name}", f"--replicas={_THEIRS}")


async def observe(scene: Scene, name: str) -> object:
    """Nothing may be changed any more."""
    patch = '{"spec": {"mode": "Observe"}}'
    return await scene.stage.kubectl("patch", f"performancepolicy/{name}", "--type=merge", "-p", patch)


async def delete_run(scene: Scene, name: str) -> object:
    """The trial is unwanted."""
    return await scene.stage.kubectl("delete", f"optimizationrun/{name}", "--wait=false")


async def abort(scene: Scene, name: str) -> object:
    """The command for it; a bad trial may have ended by itself a moment before, which it says."""
    try:
        return await scene.stage.trimtab("abort", name)
    except StageError as error:
        if "has ended already: RolledBack" not in str(error):
            raise
        return str(error)


ACTS: Final[dict[str, tuple[Act, int]]] = {
    "set-image": (set_image, REPLICAS),
    "rollout-restart": (restart, REPLICAS),
    "apply": (deploy, _THEIRS),
    "apply-server-side": (deploy_on_the_server, _THEIRS),
    "scale": (scale, _THEIRS),
    "mode-observe": (observe, REPLICAS),
    "delete-run": (delete_run, REPLICAS),
    "abort": (abort, REPLICAS),
}
"""What is done, and the replicas that stand in the end."""


@pytest.mark.parametrize(("act", "when"), cases(ACTS, _UNDER_WAY, short={("apply", When.VALIDATING)}))
async def test_person(scene: Scene, act: str, when: When) -> None:
    done, stands = ACTS[act]
    await scene.reach(when)

    async def begin() -> None:
        for name in RUNS:
            await done(scene, name)

    async def end() -> None:
        """What was done stays."""

    await scene.suffer(begin, end)
    broken = []
    for name in RUNS:
        run = await _end(scene, name, deleted=act == "delete-run")
        if run["status"]["phase"] == "Succeeded" or verdict(run) == "Pass":
            broken.append(f"{name} was kept: {run['status']}")
        if (live := await replicas(scene.stage, name)) != stands:
            broken.append(f"{name} ended {run['status']['phase']} with {live} replicas, not {stands}")
    held = () if act != "scale" else RUNS
    assert broken + await policies_are_well(scene, held=held) == []


async def _end(scene: Scene, name: str, *, deleted: bool) -> JsonObject:
    """The run once nothing more happens to it; its last state where it was deleted."""

    async def gone() -> bool:
        return name not in [run["metadata"]["name"] for run in await scene.stage.runs()]

    if deleted:
        await scene.stage.until(gone, f"run {name} gone", 120.0)
        return {"status": {"phase": "deleted"}}
    return await scene.stage.settled(name, 240.0)
