"""The rights that the chart gives are all that the operator needs: cluster-wide, or in the namespaces it watches."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from demo.stage import Stage
from tests.operator.acting import (
    BAD_CPU,
    CPU,
    FOLLOWING,
    GOOD_REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    counted,
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
from tests.operator.conftest import ACCOUNT, Access, account_kubeconfig, rights

pytestmark = pytest.mark.cluster


async def in_its_namespaces(stage: Stage, access: Access, folder: Path) -> tuple[Path, str]:
    """A release that watches the test's namespace alone: a Role there, and no ClusterRole."""
    values = folder / "values.yaml"
    values.write_text(
        yaml.safe_dump({"watchNamespaces": [stage.namespace], "rbac": {"aggregateToDefaultRoles": False}})
    )
    bodies = rights(stage.namespace, "--values", str(values))
    assert {body["kind"] for body in bodies} == {"ServiceAccount", "Role", "RoleBinding"}
    await stage.apply(*bodies)
    kubeconfig = account_kubeconfig(access.admin, stage.namespace, ACCOUNT, folder / "own.yaml")
    return kubeconfig, f"system:serviceaccount:{stage.namespace}:{ACCOUNT}"


@pytest.mark.parametrize("namespaced", [False, True], ids=["cluster-role", "role-in-watched-namespaces"])
async def test_what_the_chart_grants_suffices(
    stage: Stage, access: Access, audit: Audit, tmp_path: Path, namespaced: bool
) -> None:
    kubeconfig, user = access.operator, access.operator_user
    if namespaced:
        kubeconfig, user = await in_its_namespaces(stage, access, tmp_path)
    rates = {"kept": 100.0, "undone": 100.0, "followed": SPARE_RATE}
    await play(stage, *(service(name, rate=rate, namespace=stage.namespace) for name, rate in rates.items()))
    await stage.apply(policy("kept"), policy("undone"), policy("followed", horizontal=FOLLOWING))
    operator = stage.operator(kubeconfig=kubeconfig)
    await learned(stage, *rates)
    await stage.create_run("kept", "kept", changes=to_replicas(GOOD_REPLICAS))
    await stage.create_run("undone", "undone", changes=to_cpu(BAD_CPU))
    kept, undone = await stage.settled("kept"), await stage.settled("undone")
    await counted(stage, "followed", WELL_REPLICAS)

    assert (kept["status"]["phase"], undone["status"]["phase"]) == ("Succeeded", "RolledBack")
    assert await replicas(stage, "kept") == GOOD_REPLICAS
    assert (await resources(stage, "undone"))["limits"]["cpu"] == CPU
    done = Counter(write.what for write in audit.writes(user) if write.done)
    assert done == Counter({"deployments/scale": 2, "deployments": 2})
    assert "orbidden" not in operator.log
    assert {event["reason"] for event in await stage.events()} >= {"Succeeded", "RolledBack", "ScaledDown"}
