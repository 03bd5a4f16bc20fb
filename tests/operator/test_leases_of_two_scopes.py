"""An operator for all namespaces and one for a single namespace never act side by side."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cluster.control_plane import ControlPlane
from cluster.ports import free_port
from cluster.tools import find_kubectl
from demo.stage import Stage
from tests.conftest import Metrics
from tests.operator.acting import policy
from tests.operator.test_one_actor import said, stands_by
from trimtab.adapters.lease_keeper import CLUSTER_LEASE, NAMESPACE_LEASE

pytestmark = pytest.mark.cluster

LEASE: Final = ("3s", "2s", "300ms")
ALL: Final = ("--all-namespaces", "--lease-namespace", "default")
_CRDS: Final = Path(__file__).parents[2] / "crds"


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[ControlPlane]:
    """A cluster with no other operators: those of other tests would be in the way of one for all namespaces."""
    with ControlPlane(tmp_path / "plane", startup_seconds=0.5) as plane:
        for name in ("shop", "bank"):
            plane.client().post("/api/v1/namespaces", {"metadata": {"name": name}})
        for arguments in (["apply", "--server-side", "-f"], ["wait", "--for=condition=Established", "-f"]):
            command = [str(find_kubectl()), "--kubeconfig", str(plane.kubeconfig), *arguments, str(_CRDS)]
            subprocess.run(command, check=True, capture_output=True)
        yield plane


async def test_neither_acts_beside_the_other(own_cluster: ControlPlane, metrics: Metrics, tmp_path: Path) -> None:
    shop, bank = (
        Stage(tmp_path / name, own_cluster.kubeconfig, name, metrics.url, metrics.targets_dir)
        for name in ("shop", "bank")
    )
    async with shop, bank:
        await shop.apply(policy("in-shop"))
        await bank.apply(policy("in-bank"))
        ports = {name: free_port() for name in ("shop", "all", "bank")}
        in_shop = shop.operator(name="in-shop", lease=LEASE, health_port=ports["shop"])
        await shop.until(lambda: said(ports["shop"], "acts"), "the operator of shop to act")
        of_all = shop.operator(
            name="of-all", lease=LEASE, scope=ALL, health_port=ports["all"], metrics_port=free_port()
        )
        why = await stands_by(shop, ports["all"])
        assert f"all namespaces: stands by: another operator acts under lease shop/{NAMESPACE_LEASE}, held by" in why
        assert "another operator acts under lease shop" in of_all.log
        await shop.told("in-shop", "DataAvailable", "False")
        assert "status" not in await bank.policy("in-bank")

        in_shop.stop()
        await bank.told("in-bank", "DataAvailable", "False")
        assert "all namespaces: acts" in (await said(ports["all"], "acts") or "")

        bank.operator(name="in-bank", lease=LEASE, health_port=ports["bank"])
        why = await stands_by(shop, ports["bank"])
        assert f"namespace bank: stands by: another operator acts under lease default/{CLUSTER_LEASE}, held by" in why
        of_all.stop()
        await bank.until(lambda: said(ports["bank"], "namespace bank: acts"), "the operator of bank to act")
