"""Who may speak to the API server: the token file, and a kubeconfig for each of its users."""

from __future__ import annotations

import base64
import csv
import io
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

MASTERS = "system:masters"
PEOPLE = "trimtab:people"
OPERATOR = "trimtab:operator"

#: The users that every cluster has. People are cluster administrators through RBAC; the operator has no rights of its
#: own, so that a test shows what its chart's rules give it.
USERS: dict[str, tuple[str, ...]] = {
    "admin": (MASTERS,),
    "operator": (OPERATOR,),
    "alice": (PEOPLE,),
    "bob": (PEOPLE,),
}

#: The users that the components are, so that they are told apart in the audit log.
COMPONENT_USERS: dict[str, tuple[str, ...]] = {
    "system:kube-controller-manager": (MASTERS,),
    "system:kube-scheduler": (MASTERS,),
    "kwok": (MASTERS,),
}

#: Makes the people cluster administrators.
PEOPLE_BINDING: dict[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": PEOPLE},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": PEOPLE}],
}


def new_tokens(users: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """A fresh secret token for each user."""
    return {user: secrets.token_urlsafe(24) for user in users}


def token_file(users: Mapping[str, Sequence[str]], tokens: Mapping[str, str]) -> str:
    """The text of the API server's `--token-auth-file`: token, user, uid, and the groups in one quoted column."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for user, groups in users.items():
        rows.writerow([tokens[user], user, user, ",".join(groups)])
    return text.getvalue()


def tokens_in(token_file: str) -> dict[str, str]:
    """The token of each user in the text of a token file."""
    return {row[1]: row[0] for row in csv.reader(io.StringIO(token_file))}


def server_in(kubeconfig: Path) -> str:
    """The address of the API server that a kubeconfig names."""
    return str(yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])


def write_kubeconfig(path: Path, server: str, ca_file: Path, user: str, token: str) -> Path:
    """Writes a kubeconfig that stands alone, readable by its owner only, and returns its path."""
    authority = base64.b64encode(ca_file.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "trimtab", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "trimtab", "context": {"cluster": "trimtab", "user": user}}],
        "current-context": "trimtab",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, yaml.safe_dump(config, sort_keys=False))
    return path


def last_certificate(chain: str) -> str:
    """The last certificate of a PEM file, which is the authority's."""
    start = chain.rfind("-----BEGIN CERTIFICATE-----")
    return chain[start:] if start >= 0 else ""


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text)
