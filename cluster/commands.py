"""The command line of each component; pure functions from paths and ports to arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster import kwok
from cluster.ports import HOST

_WRITES = ["create", "update", "patch", "delete", "deletecollection"]

#: What the API server's audit log tells of, one JSON object a line: who wrote workloads and Trimtab's own resources.
#: Writes of a scale or of a pod's size come with their bodies, the others without.
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": _WRITES,
            "resources": [
                {"group": "apps", "resources": ["deployments/scale", "statefulsets/scale", "replicasets/scale"]},
                {"group": "", "resources": ["pods/resize"]},
            ],
        },
        {
            "level": "Metadata",
            "verbs": _WRITES,
            "resources": [{"group": "apps"}, {"group": "trimtab.dev"}, {"group": "*", "resources": ["*/scale"]}],
        },
        {"level": "None"},
    ],
}


def audit_policy(users: Sequence[str]) -> dict[str, Any]:
    """AUDIT_POLICY, and in it every request of these users."""
    everything = [{"level": "Metadata", "users": list(users)}] if users else []
    return {**AUDIT_POLICY, "rules": [*everything, *AUDIT_POLICY["rules"]]}


def etcd(binary: Path, data_dir: Path, port: int) -> list[str]:
    """etcd that forgets on a crash of the machine, and is the faster for it."""
    url = f"http://{HOST}:{port}"
    peer_url = f"http://{HOST}:0"
    return [
        str(binary),
        "--name=default",
        f"--data-dir={data_dir}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(
    binary: Path, *, etcd_port: int, port: int, pki_dir: Path, token_file: Path, audit_policy: Path, audit_log: Path
) -> list[str]:
    """The API server with RBAC, tokens from a file, service accounts and an audit log.

    It makes its own certificate in `pki_dir` before it reads the keys of service accounts, and the certificate's key
    serves for those too.
    """
    key = pki_dir / "apiserver.key"
    return [
        str(binary),
        f"--etcd-servers=http://{HOST}:{etcd_port}",
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        f"--secure-port={port}",
        f"--cert-dir={pki_dir}",
        f"--token-auth-file={token_file}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={key}",
        f"--service-account-key-file={key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        "--profiling=false",
        f"--audit-policy-file={audit_policy}",
        f"--audit-log-path={audit_log}",
        "--v=0",
    ]


def controller_manager(binary: Path, *, kubeconfig: Path, pki_dir: Path) -> list[str]:
    """The controller manager, alone and without a port."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",
        f"--root-ca-file={pki_dir / 'ca.crt'}",
        f"--service-account-private-key-file={pki_dir / 'apiserver.key'}",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--v=0",
    ]


def scheduler(binary: Path, *, kubeconfig: Path) -> list[str]:
    """The scheduler, alone and without a port."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--v=0",
    ]


def simulator(binary: Path, *, kubeconfig: Path, configuration: Path) -> list[str]:
    """kwok, for the nodes that are marked as its own."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--config={configuration}",
        f"--manage-nodes-with-annotation-selector={kwok.NODE_SELECTOR}",
        "--node-lease-duration-seconds=40",
        "--node-port=0",
        "--v=WARN",
    ]
