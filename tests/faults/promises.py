"""What must hold after any fault: each broken promise is a violation."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from demo.stage import FINAL_PHASES
from tests.faults.scene import BAD, GOOD, RUNS, STEADY, Scene
from tests.operator.acting import BAD_REPLICAS, GOOD_REPLICAS, REPLICAS, replicas, verdict
from tests.operator.gate import to_scale
from trimtab.adapters.kube import JsonObject

BROKEN_PROMISE: Final = ("promise", "broken")
"""A property of the report of a case that found one."""
WANTED: Final = {GOOD: GOOD_REPLICAS, BAD: BAD_REPLICAS}


class BrokenPromiseError(AssertionError):
    """The operator did what it never does; anything else that goes wrong in a case is an error of the case."""


def keeps(broken: Iterable[str]) -> None:
    """Raises BrokenPromiseError where anything is broken."""
    if told := list(broken):
        raise BrokenPromiseError("\n".join(told))


async def broken_promises(scene: Scene, *, good_is_kept: bool) -> list[str]:
    """Promises that the scene broke, once its runs have ended; ``good_is_kept``: nothing hides that it is good."""
    found: list[str] = []
    for name in scene.runs:
        run = await scene.stage.settled(name, 240.0)
        found += of_run(run, name, await replicas(scene.stage, name), REPLICAS)
        found += _of_writes(run, name, scene)
        if name == GOOD and good_is_kept and run["status"]["phase"] != "Succeeded":
            found.append(f"good: ended {run['status']['phase']}, not Succeeded: {_last(run)}")
    found += of_followers(scene)
    found += await policies_are_well(scene)
    return found


def of_run(run: JsonObject, name: str, live: int, before: int) -> Iterator[str]:
    """What a run that has ended broke; ``before``: replicas that stand where it is not kept."""
    phase = run["status"]["phase"]
    if phase not in FINAL_PHASES:
        yield f"{name}: is {phase}"
    kept = phase == "Succeeded"
    if kept and (verdict(run) != "Pass" or name == BAD):
        yield f"{name}: was kept with verdict {verdict(run)}: {_last(run)}"
    if name == GOOD and verdict(run) == "Fail":
        yield f"{name}: was found bad: {_last(run)}"
    if live != (WANTED[name] if kept else before):
        yield f"{name}: ended {phase} with {live} replicas: {_last(run)}"


def _of_writes(run: JsonObject, name: str, scene: Scene) -> Iterator[str]:
    """Written once for what is kept, twice for what is undone, and the run says so."""
    status, writes = run["status"], scene.audit.done()[name, "deployments/scale"]
    if writes not in ((1,) if status["phase"] == "Succeeded" else (0, 2)):
        yield f"{name}: ended {status['phase']} after {writes} writes"
    rollback = status.get("rollback")
    if writes == 2 and not (rollback and rollback.get("restored")):
        yield f"{name}: was undone and does not say so: {rollback}"


def of_followers(scene: Scene) -> Iterator[str]:
    """No step of a follower leaves what its load calls for."""
    for request in filter(to_scale, scene.api.seen):
        for name, need in scene.needs.items():
            if name in request.path.split("/"):
                asked = [int(one["value"]) for one in json.loads(request.body) if one["op"] == "replace"]
                for count in asked:
                    if not need.least <= count <= need.most:
                        yield f"{name}: was to be set to {count}; its load calls for {need.least} to {need.most}"


async def policies_are_well(scene: Scene, *more: str, held: Collection[str] = ()) -> list[str]:
    """The operator is well again: it evaluates each policy anew, and no fault is taken for a person or a conflict."""
    found = []
    for name in (*RUNS, STEADY, *more):
        await scene.stage.told(name, "DataAvailable", "True", seconds=120.0)
        status = (await scene.stage.policy(name))["status"]
        if status.get("hold") and name not in held:
            found.append(f"{name}: is held: {status['hold']}")
        conditions = {one["type"]: one for one in status["conditions"]}
        if conditions["Conflicted"]["status"] != "False":
            found.append(f"{name}: is conflicted: {conditions['Conflicted']['message']}")
    return found


def _last(run: JsonObject) -> str:
    return str(run["status"]["timeline"][-1]["reason"])
