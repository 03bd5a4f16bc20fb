"""A change that holds the objectives is kept, one that breaks them is undone exactly, whoever made the workload."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
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

_MEMORY = "256Mi"


@dataclass(frozen=True)
class Case:
    """A change of a person's own, and how it must end."""

    changes: list[dict[str, Any]]
    phase: str
    verdict: str
    replicas: int
    cpu: str


CASES = [
    pytest.param(Case(to_replicas(GOOD_REPLICAS), "Succeeded", "Pass", GOOD_REPLICAS, CPU), id="good-replicas-kept"),
    pytest.param(Case(to_replicas(BAD_REPLICAS), "RolledBack", "Fail", REPLICAS, CPU), id="bad-replicas-undone"),
    pytest.param(Case(to_cpu(GOOD_CPU), "Succeeded", "Pass", REPLICAS, GOOD_CPU), id="good-cpu-kept"),
    pytest.param(Case(to_cpu(BAD_CPU), "RolledBack", "Fail", REPLICAS, CPU), id="bad-cpu-undone"),
]


async def client_side_apply(stage: Stage, made: SimulatedService, folder: Path) -> None:
    """What most people do."""
    await stage.kubectl("apply", "-f", "-", given=yaml.safe_dump(manifest(made)))


async def server_side_apply(stage: Stage, made: SimulatedService, folder: Path) -> None:
    """What careful people do."""
    await stage.kubectl("apply", "--server-side", "-f", "-", given=yaml.safe_dump(manifest(made)))


async def helm_install(stage: Stage, made: SimulatedService, folder: Path) -> None:
    """A chart of one template."""
    chart = folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "app", "version": "0.1.0"}))
    (chart / "templates" / "workload.yaml").write_text(yaml.safe_dump(manifest(made)))
    command = [str(ensure(["helm"])["helm"]), "install", "app", str(chart), "--namespace", stage.namespace]
    home = {"HOME": str(folder), "PATH": os.environ["PATH"], "KUBECONFIG": str(stage.person_kubeconfig)}
    done = subprocess.run(command, env=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


MAKERS = {
    "client-side": (client_side_apply, "Deployment"),
    "server-side": (server_side_apply, "Deployment"),
    "helm": (helm_install, "Deployment"),
    "statefulset": (client_side_apply, "StatefulSet"),
}


def sizes(cpu: str) -> JsonObject:
    """Resources of the container with so much CPU."""
    size = {"cpu": cpu, "memory": _MEMORY}
    return {"requests": size, "limits": size}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("maker", list(MAKERS))
async def test_a_change_is_kept_or_undone(stage: Stage, audit: Audit, tmp_path: Path, maker: str, case: Case) -> None:
    make, kind = MAKERS[maker]
    plural = f"{kind.lower()}s"
    web = service(kind=kind, namespace=stage.namespace)
    await make(stage, web, tmp_path)
    before = await stage.workload("web", plural)
    await play(stage, web, deploy=False)
    await stage.apply(policy(kind=kind))
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("try", "web", changes=case.changes)
    run = await stage.ended("try")

    told = run["status"]
    assert (told["phase"], verdict(run)) == (case.phase, case.verdict), told
    assert await replicas(stage, "web", plural) == case.replicas
    assert await resources(stage, "web", plural) == sizes(case.cpu)
    undone = case.phase == "RolledBack"
    assert (told.get("rollback") or {}).get("restored", False) is undone
    on_replicas = case.changes[0]["path"] == "spec.replicas"
    what = f"{plural}/scale" if on_replicas else plural
    assert audit.done() == Counter({("web", what): 2 if undone else 1})
    assert managers(audit.writes()) == {"trimtab"}
    after = await stage.workload("web", plural)
    if on_replicas:
        assert ("trimtab", "Update", "scale") in owner(after, "f:spec", "f:replicas")
        assert after["spec"]["template"] == before["spec"]["template"]
    else:
        path = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"app"}', "f:resources", "f:limits")
        assert ("trimtab", "Update", "") in owner(after, *path, "f:cpu")
        assert after["spec"]["replicas"] == before["spec"]["replicas"]
        assert without_resources(after) == without_resources(before)
    assert run["metadata"].get("finalizers") is None


def without_resources(workload: JsonObject) -> JsonObject:
    """The template but for what may change."""
    template: JsonObject = workload["spec"]["template"]
    containers = [
        {name: value for name, value in container.items() if name != "resources"}
        for container in template["spec"]["containers"]
    ]
    return {**template, "spec": {**template["spec"], "containers": containers}}
