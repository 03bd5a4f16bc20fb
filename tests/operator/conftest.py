"""The operator as a process of its own, with the rights that its chart gives it, against real servers."""

from __future__ import annotations

import base64
import fcntl
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
from trimtab.adapters.kube import KubeClient, KubeError
from trimtab.adapters.resources import RUNS, path

_ROOT: Final = Path(__file__).parents[2]
CHART: Final = _ROOT / "helm" / "trimtab"
ACCOUNT: Final = "trimtab"
"""What the chart calls the operator's service account."""
_PLACE: Final = "the-namespace-of-a-test"
_TOKEN_SECONDS: Final = 6 * 3600
ROLES: Final = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles"
_COLLECTIONS: Final = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Role": ROLES,
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


@dataclass(frozen=True)
class Access:
    """Kubeconfigs of people, and the audit log where the cluster lets us read it."""

    admin: Path
    person: Path
    audit_log: Path | None


@dataclass(frozen=True)
class Account:
    """An operator's service account, with the rights that the chart gives it."""

    kubeconfig: Path
    user: str
    """Its name in the audit log."""


def _kubectl(kubeconfig: Path, *arguments: str, given: str = "") -> str:
    command = [str(find_kubectl()), "--kubeconfig", str(kubeconfig), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def rights() -> str:
    """The account of a release that looks after its own namespace, `_PLACE`, and what it may do there."""
    command = [str(ensure(["helm"])["helm"]), "template", "trimtab", str(CHART), "--namespace", _PLACE, "--values", "-"]
    for template in ("serviceaccount", "rbac"):
        command += ["--show-only", f"templates/{template}.yaml"]
    values = yaml.safe_dump({"watchNamespaces": [_PLACE], "rbac": {"aggregateToDefaultRoles": False}})
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def access(control_plane: ControlPlane | ExistingCluster, tmp_path_factory: pytest.TempPathFactory) -> Access:
    """Who may do what; our definitions are installed once, by the first worker that asks."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    admin = control_plane.kubeconfig
    with (shared / "installing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = shared / "installed"
        if not installed.exists():
            _kubectl(admin, "apply", "--server-side", "--force-conflicts", "-f", str(_ROOT / "crds"))
            _kubectl(admin, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(_ROOT / "crds"))
            installed.touch()
    if isinstance(control_plane, ControlPlane):
        return Access(admin, control_plane.kubeconfig_for("alice"), control_plane.audit_log)
    log = admin.parent.parent / "audit.log"  # that of a cluster of `python -m cluster up`
    return Access(admin, admin, log if log.exists() else None)


@pytest.fixture(scope="session")
def admin_config(access: Access) -> str:
    """The administrator's kubeconfig, with everything in it."""
    return _kubectl(access.admin, "config", "view", "--raw", "--minify", "--flatten")


@pytest.fixture
async def account(access: Access, admin_config: str, rights: str, namespace: str, tmp_path: Path) -> Account:
    """The operator's account in the test's namespace, which it looks after and nothing else."""
    async with await KubeClient.connect(access.admin) as kube:
        for body in yaml.safe_load_all(rights.replace(_PLACE, namespace)):
            await kube.create(_COLLECTIONS[body["kind"]].format(namespace), body)
        asked = {"spec": {"expirationSeconds": _TOKEN_SECONDS}}
        accounts = _COLLECTIONS["ServiceAccount"].format(namespace)
        token = (await kube.create(f"{accounts}/{ACCOUNT}/token", asked))["status"]["token"]
    config = yaml.safe_load(admin_config)
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    kubeconfig = tmp_path / "operator.yaml"
    kubeconfig.write_text(yaml.safe_dump(config))
    return Account(kubeconfig, f"system:serviceaccount:{namespace}:{ACCOUNT}")


@pytest.fixture
async def stage(
    access: Access, account: Account, metrics: Metrics, namespace: str, tmp_path: Path
) -> AsyncIterator[Stage]:
    """A namespace, and the processes that act in it; all end with the test."""
    async with Stage(
        folder=tmp_path / "stage",
        kubeconfig=access.admin,
        namespace=namespace,
        prometheus_url=metrics.url,
        targets_dir=metrics.targets_dir,
        operator_kubeconfig=account.kubeconfig,
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
def audit(access: Access, account: Account, namespace: str) -> Audit:
    """What the operator wrote in the test's namespace; the test is skipped where no audit log can be read."""
    if access.audit_log is None:
        pytest.skip("needs the audit log of a cluster of our own")
    return Audit(access.audit_log, namespace, account.user)


@pytest.fixture
async def gate(account: Account, tmp_path: Path) -> AsyncIterator[Gate]:
    """A gate before the API server; an operator that goes through it needs ``gate_kubeconfig``."""
    cluster = yaml.safe_load(account.kubeconfig.read_text())["clusters"][0]["cluster"]
    ca_file = tmp_path / "ca.crt"
    data = cluster.get("certificate-authority-data")
    if data:
        ca_file.write_bytes(base64.b64decode(data))
    async with Gate(cluster["server"], ca_file if data else None) as made:
        yield made


@pytest.fixture
def gate_kubeconfig(gate: Gate, account: Account, tmp_path: Path) -> Path:
    """The operator's kubeconfig, through the gate."""
    return gate.kubeconfig(account.kubeconfig, tmp_path)
