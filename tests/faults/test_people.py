"""Somebody deploys, edits or deletes during a change: theirs stands, ours is undone where it is still there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from demo.stage import StageError
from tests.faults.cases import cases
from tests.faults.promises import keeps, of_followers, of_run, policies_are_well
from tests.faults.scene import BAD, RUNS, Scene, When
from tests.operator import deploying
from tests.operator.acting import REPLICAS, replicas, rounds, verdict

pytestmark = pytest.mark.cluster

Act = Callable[[Scene, str], Awaitable[object]]
_THEIRS: Final = 6
_BEFORE: Final = "sim:0"
"""The image of the first of two revisions."""
_PHASES: Final = tuple(when for when in When if when is not When.FOLLOWING)


def deploys(deed: deploying.Deed) -> Act:
    """A new version of the service."""

    async def act(scene: Scene, name: str) -> object:
        return await deed(scene.stage, scene.player(name))

    return act


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
        if name != BAD or "has ended already: RolledBack" not in str(error):
            raise
        return str(error)


ACTS: Final[dict[str, tuple[Act, int]]] = {
    "set-image": (deploys(deploying.set_image), REPLICAS),
    "rollout-restart": (deploys(deploying.restart), REPLICAS),
    "rollout-undo": (deploys(deploying.undo), REPLICAS),
    "apply": (deploys(deploying.client_apply(replicas=_THEIRS)), _THEIRS),
    "apply-server-side": (deploys(deploying.server_apply(replicas=_THEIRS)), _THEIRS),
    "helm-upgrade": (deploys(deploying.helm_upgrade(replicas=_THEIRS)), _THEIRS),
    "scale": (scale, _THEIRS),
    "mode-observe": (observe, REPLICAS),
    "delete-run": (delete_run, REPLICAS),
    "abort": (abort, REPLICAS),
}
"""What is done, and the replicas that stand in the end where no run is kept."""
_ENDS_RUNS: Final = frozenset({"mode-observe", "delete-run", "abort"})


@pytest.mark.parametrize(("act", "when"), cases(ACTS, _PHASES, short={("apply", When.VALIDATING)}))
async def test_person(bare_scene: Scene, act: str, when: When) -> None:
    """Before a trial begins a deploy or a count is what it begins from; later it ends the trial.

    What is being undone is so whatever is done to it, and the good trial beside it, to which nothing is done, goes on.
    """
    scene, (done, stands) = bare_scene, ACTS[act]
    touched = [BAD] if when is When.UNDOING else list(RUNS)
    await scene.stage.apply(*(deploying.next_version(scene.player(name), image=_BEFORE) for name in RUNS))
    await scene.open("Approve" if when is When.AWAITING_APPROVAL else "Auto")
    await scene.reach(when)

    async def begin() -> None:
        for name in touched:
            await done(scene, name)

    async def end() -> None:
        """What was done stays."""

    await scene.suffer(begin, end)
    broken = list(of_followers(scene))
    if when is When.AWAITING_APPROVAL:
        await rounds(scene.stage, 3)
        broken += await _untouched(scene, stands)
    else:
        trial_follows = when is When.PENDING and act not in _ENDS_RUNS
        for name in RUNS:
            may_be_kept = name not in touched or trial_follows
            before = stands if name in touched else REPLICAS
            deleted = act == "delete-run" and name in touched
            broken += await _of_end(scene, name, before, may_be_kept=may_be_kept, deleted=deleted)
    may_hold = act == "scale" and when not in (When.PENDING, When.AWAITING_APPROVAL)
    keeps(broken + await policies_are_well(scene, held=touched if may_hold else ()))


async def _untouched(scene: Scene, stands: int) -> list[str]:
    """What a workload broke that nobody let the operator change."""
    broken = []
    for name in RUNS:
        if any(write.name == name for write in scene.audit.writes()):
            broken.append(f"{name} was written without a person's yes")
        if (live := await replicas(scene.stage, name)) != stands:
            broken.append(f"{name} has {live} replicas, not {stands}")
    return broken


async def _of_end(scene: Scene, name: str, before: int, *, may_be_kept: bool, deleted: bool) -> list[str]:
    """What a run broke, once nothing more happens to it; of one that was deleted only its workload is left."""

    async def gone() -> bool:
        return name not in [run["metadata"]["name"] for run in await scene.stage.runs()]

    if deleted:
        await scene.stage.until(gone, f"run {name} gone", 120.0)
        live = await replicas(scene.stage, name)
        return [] if live == before else [f"{name} was deleted with {live} replicas, not {before}"]
    run = await scene.stage.settled(name, 240.0)
    broken = list(of_run(run, name, await replicas(scene.stage, name), before))
    if not may_be_kept and (run["status"]["phase"] == "Succeeded" or verdict(run) == "Pass"):
        broken.append(f"{name} was kept: {run['status']}")
    return broken
