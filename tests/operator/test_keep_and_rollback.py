"""A change that holds the objectives is kept, one that breaks them is undone exactly, whoever made the workload."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.build import ensure
from demo.stage import Stage
from tests.operator.acting import (
    BAD_CPU,
    BAD_REPLICAS,
    CPU,
    GOOD_CPU,
    GOOD_REPLICAS,
    REPLICAS,
    learned,
    owner,
    play,
    policy,
    replicas,
    resources,
    service,
    to_cpu,
    to_replicas,
    verdict,
)
from tests.operator.audit import Audit, managers
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.scenario import SimulatedService, manifest

pytestmark = pytest.mark.cluster


@dataclass(frozen=True)
class Case:
    """A change of a person's own to a workload of its own, and how it must end."""

    name: str
    changes: list[dict[str, Any]]
    phase: str
    verdict: str
    replicas: int
    cpu: str

    @property
    def undone(self) -> bool:
        """Whether the change must be taken back."""
        return self.phase == "RolledBack"

    @property
    def on_replicas(self) -> bool:
        """Whether the change is of replicas, and not of sizes."""
        return bool(self.changes[0]["path"] == "spec.replicas")


CASES = (
    Case("good-replicas", to_replicas(GOOD_REPLICAS), "Succeeded", "Pass", GOOD_REPLICAS, CPU),
    Case("bad-replicas", to_replicas(BAD_REPLICAS), "RolledBack", "Fail", REPLICAS, CPU),
    Case("good-cpu", to_cpu(GOOD_CPU), "Succeeded", "Pass", REPLICAS, GOOD_CPU),
    Case("bad-cpu", to_cpu(BAD_CPU), "RolledBack", "Fail", REPLICAS, CPU),
)


async def client_side_apply(stage: Stage, made: list[SimulatedService], folder: Path) -> None:
    """What most people do."""
    await stage.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(map(manifest, made)))


async def server_side_apply(stage: Stage, made: list[SimulatedService], folder: Path) -> None:
    """What careful people do."""
    await stage.kubectl("apply", "--server-side", "-f", "-", given=yaml.safe_dump_all(map(manifest, made)))


async def helm_install(stage: Stage, made: list[SimulatedService], folder: Path) -> None:
    """A chart of one template."""
    chart = folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "app", "version": "0.1.0"}))
    (chart / "templates" / "workloads.yaml").write_text(yaml.safe_dump_all(map(manifest, made)))
    command = [str(ensure(["helm"])["helm"]), "install", "app", str(chart), "--namespace", stage.namespace]
    home = {"HOME": str(folder), "PATH": os.environ["PATH"], "KUBECONFIG": str(stage.person_kubeconfig)}
    helm = await asyncio.create_subprocess_exec(*command, env=home)
    assert await helm.wait() == 0


@pytest.mark.parametrize(
    ("make", "kind", "manager"),
    [
        pytest.param(client_side_apply, "Deployment", "kubectl-client-side-apply", id="client-side-apply"),
        pytest.param(server_side_apply, "Deployment", "kubectl", id="server-side-apply"),
        pytest.param(helm_install, "Deployment", "helm", id="helm"),
        pytest.param(client_side_apply, "StatefulSet", "kubectl-client-side-apply", id="statefulset"),
    ],
)
async def test_changes_are_kept_or_undone(
    stage: Stage,
    audit: Audit,
    tmp_path: Path,
    make: Callable[[Stage, list[SimulatedService], Path], Awaitable[None]],
    kind: str,
    manager: str,
) -> None:
    plural = f"{kind.lower()}s"
    services = [service(case.name, kind=kind, namespace=stage.namespace) for case in CASES]
    await make(stage, services, tmp_path)
    before = {case.name: await stage.workload(case.name, plural) for case in CASES}
    assert all(owner(body, "f:spec", "f:replicas")[0][0] == manager for body in before.values())
    await play(stage, *services, deploy=False)
    await stage.apply(*(policy(case.name, kind=kind) for case in CASES))
    stage.operator()
    await learned(stage, *(case.name for case in CASES))
    for case in CASES:
        await stage.create_run(case.name, case.name, changes=case.changes)
    runs = {case.name: await stage.settled(case.name) for case in CASES}

    for case in CASES:
        run, after = runs[case.name], await stage.workload(case.name, plural)
        seen = (
            run["status"]["phase"],
            verdict(run),
            (run["status"].get("rollback") or {}).get("restored", False),
            await replicas(stage, case.name, plural),
            await resources(stage, case.name, plural),
        )
        assert seen == (case.phase, case.verdict, case.undone, case.replicas, sizes(case.cpu)), case.name
        if case.on_replicas:
            assert ("trimtab", "Update", "scale") in owner(after, "f:spec", "f:replicas")
            assert after["spec"]["template"] == before[case.name]["spec"]["template"]
        else:
            assert ("trimtab", "Update", "") in owner(after, *_CPU_LIMIT)
            assert after["spec"]["replicas"] == before[case.name]["spec"]["replicas"]
            assert without_resources(after) == without_resources(before[case.name])
    assert audit.done() == Counter(
        {(case.name, f"{plural}/scale" if case.on_replicas else plural): 1 + case.undone for case in CASES}
    )
    assert managers(audit.writes()) == {"trimtab"}


_CPU_LIMIT = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"app"}', "f:resources", "f:limits", "f:cpu")


def sizes(cpu: str) -> JsonObject:
    """Resources of the container with so much CPU."""
    size = {"cpu": cpu, "memory": "256Mi"}
    return {"requests": size, "limits": size}


def without_resources(workload: JsonObject) -> JsonObject:
    """The template but for what may change."""
    template: JsonObject = workload["spec"]["template"]
    containers = [
        {name: value for name, value in container.items() if name != "resources"}
        for container in template["spec"]["containers"]
    ]
    return {**template, "spec": {**template["spec"], "containers": containers}}
