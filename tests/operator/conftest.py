"""The operator as a process of its own, with the rights that its chart gives it, against real servers."""

from __future__ import annotations

import base64
import fcntl
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from cluster.build import ensure
from cluster.control_plane import ControlPlane
from cluster.environment import ExistingCluster
from cluster.tools import find_kubectl
from demo.stage import Stage
from tests.conftest import Metrics
from tests.operator.audit import Audit
from tests.operator.gate import Gate
from trimtab.adapters.kube import KubeError
from trimtab.adapters.resources import RUNS, path

_ROOT: Final = Path(__file__).parents[2]
CHART: Final = _ROOT / "helm" / "trimtab"
INSTALLED_IN: Final = "trimtab-system"
_RELEASE: Final = "trimtab"
ACCOUNT: Final = "trimtab"
"""What the chart calls the operator's service account."""


@dataclass(frozen=True)
class Access:
    """Kubeconfigs by whose they are, and the audit log where the cluster lets us read it."""

    admin: Path
    person: Path
    operator: Path
    audit_log: Path | None

    @property
    def operator_user(self) -> str:
        """The operator's name in the audit log."""
        return f"system:serviceaccount:{INSTALLED_IN}:{ACCOUNT}"


def _kubectl(kubeconfig: Path, *arguments: str, given: str = "") -> str:
    command = [str(find_kubectl()), "--kubeconfig", str(kubeconfig), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rights(namespace: str = INSTALLED_IN, *options: str) -> list[dict[str, Any]]:
    """The account that the chart makes for the operator in a namespace, and what it may do."""
    command = [str(ensure(["helm"])["helm"]), "template", _RELEASE, str(CHART), "--namespace", namespace, *options]
    for template in ("serviceaccount", "rbac"):
        command += ["--show-only", f"templates/{template}.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [body for body in yaml.safe_load_all(done.stdout) if body]


def account_kubeconfig(admin: Path, namespace: str, account: str, file: Path) -> Path:
    """A kubeconfig of a service account, with a new token."""
    config = yaml.safe_load(_kubectl(admin, "config", "view", "--raw", "--minify", "--flatten"))
    token = _kubectl(admin, "create", "token", account, "-n", namespace, "--duration", "6h").strip()
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    file.write_text(yaml.safe_dump(config))
    return file


def _install(admin: Path, folder: Path) -> Path:
    """Our definitions, and the account and rights that the chart gives the operator; its kubeconfig."""
    _kubectl(admin, "apply", "--server-side", "--force-conflicts", "-f", str(_ROOT / "crds"))
    _kubectl(admin, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(_ROOT / "crds"))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": INSTALLED_IN}}
    given = yaml.safe_dump_all([namespace, *rights()])
    _kubectl(admin, "apply", "--server-side", "--force-conflicts", "-f", "-", given=given)
    return account_kubeconfig(admin, INSTALLED_IN, ACCOUNT, folder / "operator.yaml")


@pytest.fixture(scope="session")
def access(control_plane: ControlPlane | ExistingCluster, tmp_path_factory: pytest.TempPathFactory) -> Access:
    """Who may do what; installed once, by the first worker that asks."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    admin = control_plane.kubeconfig
    with (shared / "installing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        operator = shared / "operator.yaml"
        if not operator.exists():
            _install(admin, shared)
    if isinstance(control_plane, ControlPlane):
        return Access(admin, control_plane.kubeconfig_for("alice"), operator, control_plane.audit_log)
    log = admin.parent.parent / "audit.log"  # that of a cluster of `python -m cluster up`
    return Access(admin, admin, operator, log if log.exists() else None)


@pytest.fixture
async def stage(access: Access, metrics: Metrics, namespace: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """A namespace, and the processes that act in it; all end with the test."""
    async with Stage(
        folder=tmp_path / "stage",
        kubeconfig=access.admin,
        namespace=namespace,
        prometheus_url=metrics.url,
        targets_dir=metrics.targets_dir,
        operator_kubeconfig=access.operator,
        person_kubeconfig=access.person,
    ) as made:
        yield made
        made.end_processes()
        await _let_go(made)


async def _let_go(stage: Stage) -> None:
    """Take finalizers off what the test left, which nobody would take off any more."""
    for run in await stage.runs():
        if run["metadata"].get("finalizers"):
            try:
                await stage.kube.merge_patch(
                    path(RUNS, stage.namespace, run["metadata"]["name"]), {"metadata": {"finalizers": None}}
                )
            except KubeError as error:
                if not error.not_found:
                    raise


@pytest.fixture
def audit(access: Access, namespace: str) -> Audit:
    """What the operator wrote in the test's namespace; the test is skipped where no audit log can be read."""
    if access.audit_log is None:
        pytest.skip("needs the audit log of a cluster of our own")
    return Audit(access.audit_log, namespace, access.operator_user)


@pytest.fixture
async def gate(access: Access, tmp_path: Path) -> AsyncIterator[Gate]:
    """A gate before the API server; an operator that goes through it needs ``gate_kubeconfig``."""
    cluster = yaml.safe_load(access.operator.read_text())["clusters"][0]["cluster"]
    ca_file = tmp_path / "ca.crt"
    data = cluster.get("certificate-authority-data")
    if data:
        ca_file.write_bytes(base64.b64decode(data))
    async with Gate(cluster["server"], ca_file if data else None) as made:
        yield made


@pytest.fixture
def gate_kubeconfig(gate: Gate, access: Access, tmp_path: Path) -> Path:
    """The operator's kubeconfig, through the gate."""
    return gate.kubeconfig(access.operator, tmp_path)
