"""What must hold after any fault: each broken promise is a violation."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

from demo.stage import FINAL_PHASES
from tests.faults.scene import BAD, GOOD, RUNS, STEADY, STEADY_LEAST, Scene
from tests.operator.acting import BAD_REPLICAS, GOOD_REPLICAS, REPLICAS, replicas, verdict
from tests.operator.gate import to_scale
from trimtab.adapters.kube import JsonObject

WANTED = {GOOD: GOOD_REPLICAS, BAD: BAD_REPLICAS}


async def broken_promises(scene: Scene, *, good_is_kept: bool) -> list[str]:
    """Promises that the scene broke, once its runs have ended; ``good_is_kept``: nothing hides that it is good."""
    found = []
    for name in scene.runs:
        run = await scene.stage.settled(name, 240.0)
        found += [f"{name}: {text}" for text in _of_run(run, name, await replicas(scene.stage, name), scene)]
        if name == GOOD and good_is_kept and run["status"]["phase"] != "Succeeded":
            found.append(f"good: ended {run['status']['phase']}, not Succeeded: {_last(run)}")
    found += _of_follower(scene)
    found += await policies_are_well(scene)
    return found


def _of_run(run: JsonObject, name: str, live: int, scene: Scene) -> Iterator[str]:
    status = run["status"]
    phase, writes = status["phase"], scene.audit.done()[name, "deployments/scale"]
    if phase not in FINAL_PHASES:
        yield f"is {phase}"
    kept = phase == "Succeeded"
    if kept and (verdict(run) != "Pass" or name == BAD):
        yield f"was kept with verdict {verdict(run)}: {_last(run)}"
    if name == GOOD and verdict(run) == "Fail":
        yield f"was found bad: {_last(run)}"
    if live != (WANTED[name] if kept else REPLICAS):
        yield f"ended {phase} with {live} replicas: {_last(run)}"
    if writes not in ((1,) if kept else (0, 2)):
        yield f"ended {phase} after {writes} writes"
    rollback = status.get("rollback")
    if writes == 2 and not (rollback and rollback.get("restored")):
        yield f"was undone and does not say so: {rollback}"


def _of_follower(scene: Scene) -> Iterator[str]:
    """No step of the follower goes below what its load needs."""
    for request in scene.api.seen:
        if to_scale(request) and f"/{STEADY}/" in request.path:
            for operation in json.loads(request.body):
                if operation["op"] == "replace" and int(operation["value"]) < STEADY_LEAST:
                    yield f"steady: was to be set to {operation['value']} replicas; its load needs {STEADY_LEAST}"


async def policies_are_well(scene: Scene, held: Collection[str] = ()) -> list[str]:
    """The operator is well again: it evaluates each policy anew, and no fault is taken for a person or a conflict."""
    found = []
    for name in (*RUNS, STEADY):
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
