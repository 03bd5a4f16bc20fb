"""The chart as it is by default: an operator for all namespaces under its ClusterRole, which has what it asks for."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from cluster.build import ensure
from cluster.control_plane import ControlPlane
from demo.stage import Operator, Stage
from tests.conftest import Metrics
from tests.operator.acting import (
    BAD_CPU,
    CPU,
    FIXED,
    FOLLOWING,
    GOOD_CPU,
    REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    counted,
    decided,
    learned,
    own_run,
    play,
    policy,
    replicas,
    resources,
    service,
    to_cpu,
    to_replicas,
)
from tests.operator.audit import Asked, asked
from tests.operator.conftest import ACCOUNT, CHART
from trimtab.adapters.kube import JsonObject
from trimtab.adapters.lease_keeper import API, CLUSTER_LEASE
from trimtab.adapters.resources import POLICIES, path

pytestmark = pytest.mark.cluster

SYSTEM: Final = "trimtab-system"
USER: Final = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
RARE: Final = {
    Asked("list", "autoscaling.k8s.io", "verticalpodautoscalers"),
    Asked("list", "keda.sh", "scaledobjects"),
    Asked("delete", "trimtab.dev", "optimizationruns"),
    Asked("patch", "", "events"),
}
"""What needs other definitions, a day of runs, or the same Event twice."""


@dataclass(frozen=True)
class Installed:
    """A cluster of its own with the chart in it, and its operator at work on two namespaces."""

    plane: ControlPlane
    shop: Stage
    bank: Stage
    operator: Operator


def _install(kubeconfig: Path) -> None:
    command = [str(ensure(["helm"])["helm"]), "install", "trimtab", str(CHART), "--kubeconfig", str(kubeconfig)]
    command += ["--namespace", SYSTEM, "--create-namespace", "--set", "replicas=0", "--wait", "--timeout", "90s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
async def installed(metrics: Metrics, tmp_path: Path) -> AsyncIterator[Installed]:
    """Helm installs all but the pod; the operator is a process here, with the account's rights."""
    async with AsyncExitStack() as stack:
        plane = stack.enter_context(ControlPlane(tmp_path / "plane", startup_seconds=0.5, audited=[USER]))
        _install(plane.kubeconfig)
        stages = []
        for name in ("shop", "bank"):
            plane.client().post("/api/v1/namespaces", {"metadata": {"name": name}})
            stage = Stage(tmp_path / name, plane.kubeconfig, name, metrics.url, metrics.targets_dir)
            stages.append(await stack.enter_async_context(stage))
        shop, bank = stages
        shop.switch_namespace = SYSTEM
        scope = ("--all-namespaces", "--lease-namespace", SYSTEM)
        account = plane.service_account_kubeconfig(SYSTEM, ACCOUNT)
        yield Installed(plane, shop, bank, shop.operator(kubeconfig=account, scope=scope))


async def test_the_default_installation_acts_with_the_rights_it_has_and_uses_each(installed: Installed) -> None:
    """A change is kept and one undone in a namespace, replicas follow in another, all is paused and goes on."""
    shop, bank, operator = installed.shop, installed.bank, installed.operator
    kinds = {"kept": "StatefulSet", "undone": "Deployment", "followed": "Deployment", "followed-set": "StatefulSet"}
    await play(
        shop,
        *(service(name, kind=kinds[name], namespace="shop") for name in ("kept", "undone")),
        service("planned", rate=SPARE_RATE, namespace="shop"),
    )
    await play(
        bank,
        *(service(name, kind=kinds[name], rate=SPARE_RATE, namespace="bank") for name in ("followed", "followed-set")),
    )
    await shop.apply(*(policy(name, kind=kinds[name]) for name in ("kept", "undone")))
    await shop.apply(policy("planned", mode="Approve", horizontal=FIXED, vertical=None))
    await bank.apply(*(policy(name, kind=kinds[name], horizontal=FOLLOWING) for name in ("followed", "followed-set")))
    await learned(shop, "kept", "undone")
    await shop.create_run("kept", "kept", changes=to_cpu(GOOD_CPU))
    await shop.create_run("undone", "undone", changes=to_cpu(BAD_CPU))
    kept, undone = await shop.settled("kept"), await shop.settled("undone")
    assert (kept["status"]["phase"], undone["status"]["phase"]) == ("Succeeded", "RolledBack")
    assert (await resources(shop, "kept", "statefulsets"))["limits"]["cpu"] == GOOD_CPU
    assert (await resources(shop, "undone"))["limits"]["cpu"] == CPU
    await counted(bank, "followed", WELL_REPLICAS)
    await bank.until(lambda: _reached(bank, "followed-set"), "the StatefulSet to follow")
    await own_run(shop, "planned")
    lease = await shop.kube.get(f"{API}/namespaces/{SYSTEM}/leases/{CLUSTER_LEASE}")
    assert lease["spec"]["holderIdentity"]

    await bank.trimtab("pause", "--all", "--reason", "incident 7", "--switch-namespace", SYSTEM)
    await bank.in_state("followed", "Paused")
    await bank.kube.merge_patch(path(POLICIES, "bank", "followed"), {"spec": {"horizontal": {"minReplicas": REPLICAS}}})
    await shop.create_run("asked", "undone", changes=to_replicas(REPLICAS - 1))
    await decided(bank, "followed")
    assert await replicas(bank, "followed") == WELL_REPLICAS
    assert ((await shop.run("asked")).get("status") or {}).get("phase", "Pending") == "Pending"
    await bank.trimtab("resume", "--all", "--switch-namespace", SYSTEM)
    await counted(bank, "followed", REPLICAS)
    assert (await shop.settled("asked"))["status"]["phase"] == "Succeeded"

    operator.stop()
    assert "orbidden" not in operator.log
    seen = asked(installed.plane.audit_log, USER)
    assert {one: statuses for one, statuses in seen.items() if 403 in statuses} == {}
    granted = await _granted(installed)
    assert granted - seen.keys() == RARE


async def _reached(stage: Stage, name: str) -> bool:
    return await replicas(stage, name, "statefulsets") == WELL_REPLICAS


async def _granted(installed: Installed) -> set[Asked]:
    """What the chart's roles give to the operator's account."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    kube = installed.shop.kube
    bodies: list[JsonObject] = [
        await kube.get(f"{rbac}/clusterroles/{SYSTEM}-trimtab"),
        *await kube.list(f"{rbac}/namespaces/{SYSTEM}/roles"),
    ]
    return {
        Asked(verb, group, resource)
        for body in bodies
        for rule in body["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
