"""A namespace that is deleted while no operator runs: its end waits for our finalizer, and there is a way out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from demo.stage import Stage, StageError
from tests.operator.acting import GOOD_REPLICAS, learned, play, policy, service, to_replicas
from trimtab.adapters.kube import JsonObject, KubeError

pytestmark = pytest.mark.cluster

WayOut = Callable[[Stage], Awaitable[None]]


async def by_command(stage: Stage) -> None:
    """What docs/operations.md says first."""
    told = await stage.trimtab("release")
    assert told == "asked is let go; its change was not proven and is not undone: 4→3 on Deployment web\n"
    assert "no run in namespace" in await stage.trimtab("release")


async def by_kubectl(stage: Stage) -> None:
    """What it says for those who have no trimtab at hand."""
    patch = '[{"op":"remove","path":"/metadata/finalizers"}]'
    await stage.kubectl("patch", "orun", "asked", "--type=json", "-p", patch)


@pytest.mark.parametrize("way_out", [by_command, by_kubectl], ids=lambda one: str(one.__name__))
async def test_a_namespace_deleted_without_an_operator_has_a_way_out(stage: Stage, way_out: WayOut) -> None:
    await play(stage, service("web", namespace=stage.namespace))
    await stage.apply(policy("web", validation={"duration": "5m"}))
    operator = stage.operator()
    await learned(stage, "web")
    await stage.create_run("asked", "web", changes=to_replicas(GOOD_REPLICAS))
    await stage.in_phase("asked", ["Settling", "Validating"])
    with pytest.raises(StageError, match="run asked is not being deleted; kubectl delete orun asked"):
        await stage.trimtab("release", "asked")
    operator.kill()
    await stage.kubectl("delete", "namespace", stage.namespace, "--wait=false")

    async def waits() -> bool:
        body = await stage.kube.get(f"/api/v1/namespaces/{stage.namespace}")
        told = {one["type"]: one for one in body["status"].get("conditions") or []}
        left = told.get("NamespaceFinalizersRemaining", {"status": "", "message": ""})
        return left["status"] == "True" and "trimtab.dev/undo in 1 resource instances" in left["message"]

    await stage.until(waits, "the namespace to wait for the run")
    await way_out(stage)
    await stage.until(lambda: _is_gone(stage), "the namespace to be gone")


async def _is_gone(stage: Stage) -> bool:
    try:
        body: JsonObject = await stage.kube.get(f"/api/v1/namespaces/{stage.namespace}")
    except KubeError as error:
        return error.not_found
    return not body
