"""The switch holds what is new while nobody could turn it on, and pausing says whether an operator hears of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from cluster.ports import free_port
from demo.stage import Stage, StageError
from tests.operator import kstatus
from tests.operator.acting import (
    BAD_CPU,
    CPU,
    FOLLOWING,
    GOOD_REPLICAS,
    REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    counted,
    decided,
    learned,
    play,
    policy,
    replicas,
    resources,
    service,
    to_cpu,
    to_replicas,
)
from tests.operator.audit import Audit
from tests.operator.conftest import ROLES, Account
from tests.operator.test_one_actor import said
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def reading(stage: Stage, account: Account, expected: bool) -> Callable[[], Awaitable[bool]]:
    """Whether the API server lets the operator read its switch by now, or no more."""
    attributes = {"namespace": stage.namespace, "verb": "get", "resource": "configmaps", "name": "trimtab-switch"}
    body: JsonObject = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": account.user, "resourceAttributes": attributes},
    }

    async def look() -> bool:
        return bool((await stage.kube.create(REVIEWS, body))["status"]["allowed"]) is expected

    return look


async def test_a_switch_that_may_not_be_read_lets_nothing_begin_and_undo_goes_on(
    stage: Stage, account: Account, audit: Audit
) -> None:
    """An operator under roles that lack the right begins nothing; what another one tried is undone."""
    await play(
        stage,
        *(service(name, namespace=stage.namespace) for name in ("undone", "asked")),
        service("followed", rate=SPARE_RATE, namespace=stage.namespace),
    )
    await stage.apply(policy("undone"), policy("asked"))
    first = stage.operator(name="first")
    await learned(stage, "undone", "asked")
    await stage.create_run("undone", "undone", changes=to_cpu(BAD_CPU))
    await stage.in_phase("undone", ["Settling", "Validating"])
    first.kill()
    role = f"{ROLES.format(stage.namespace)}/{stage.namespace}-trimtab-own"
    rules = (await stage.kube.get(role))["rules"]
    without = [rule for rule in rules if rule["resources"] != ["configmaps"]]
    await stage.kube.merge_patch(role, {"rules": without})
    await stage.until(reading(stage, account, False), "the right to be gone")

    health, metrics = free_port(), free_port()
    stage.operator(name="second", health_port=health, metrics_port=metrics)
    await stage.apply(policy("followed", horizontal=FOLLOWING))
    await stage.create_run("asked", "asked", changes=to_replicas(GOOD_REPLICAS))
    undone = await stage.settled("undone")
    assert (undone["status"]["phase"], (await resources(stage, "undone"))["limits"]["cpu"]) == ("RolledBack", CPU)
    told = kstatus.condition(await stage.in_state("asked", "Paused"), "Ready")["message"]
    switch = f"{stage.namespace}/trimtab-switch"
    assert told.startswith(f"everything is paused, as the switch {switch} could not be read yet: 403 Forbidden: ")
    assert told.endswith("; let the operator get it, as the chart's roles do")
    await decided(stage, "followed")
    assert ((await stage.run("asked")).get("status") or {}).get("phase", "Pending") == "Pending"
    assert await replicas(stage, "followed") == REPLICAS
    assert audit.done() == {("undone", "deployments"): 2}
    assert await said(health, f"the switch {switch} is not read: 403 Forbidden")
    assert await said(metrics, "trimtab_switch_unread 1.0", "metrics")
    assert await said(metrics, "trimtab_paused 1.0", "metrics")
    header = await stage.trimtab("get", "--switch-namespace", stage.namespace)
    assert header.startswith(f"everything is paused, as the switch {switch} could not be read yet")

    await stage.kube.merge_patch(role, {"rules": rules})
    assert (await stage.settled("asked"))["status"]["phase"] == "Succeeded"
    await counted(stage, "followed", WELL_REPLICAS)
    assert await said(metrics, "trimtab_switch_unread 0.0", "metrics")


async def test_pausing_fails_where_no_operator_reads_the_switch(stage: Stage) -> None:
    """It is set nevertheless, for an operator that comes; and where one reads it, it says so."""
    elsewhere = f"{stage.namespace}-elsewhere"
    await stage.kube.create("/api/v1/namespaces", {"metadata": {"name": elsewhere}})
    await stage.apply(policy("web"))
    operator = stage.operator()
    await stage.told("web", "Ready", "False", "TargetNotFound")
    try:
        for _ in range(2):  # the second time it is there
            with pytest.raises(StageError, match="nothing is paused: no operator reads ConfigMap") as refused:
                await stage.trimtab("pause", "--all", "--switch-namespace", elsewhere)
            assert "those that act read " in str(refused.value)
            assert f"{stage.namespace}/trimtab-switch" in str(refused.value)
        there = await stage.kube.get(f"/api/v1/namespaces/{elsewhere}/configmaps/trimtab-switch")
        assert there["data"]["paused"] == "true"
        with pytest.raises(StageError, match="nothing goes on by that: no operator reads ConfigMap"):
            await stage.trimtab("resume", "--all", "--switch-namespace", elsewhere)
        told = await stage.trimtab("pause", "--all", "--switch-namespace", stage.namespace)
        assert told.startswith(f"everything is paused by ConfigMap {stage.namespace}/trimtab-switch; ")
        operator.stop()
        with pytest.raises(StageError, match=f"no operator reads ConfigMap {stage.namespace}/trimtab-switch"):
            await stage.trimtab("pause", "--all", "--switch-namespace", stage.namespace)
    finally:
        await stage.kube.delete(f"/api/v1/namespaces/{elsewhere}")
