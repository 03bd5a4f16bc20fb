"""Using a cluster that exists already, in place of one started here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ClusterError

SWITCH = "TRIMTAB_USE_EXISTING_CLUSTER"


@dataclass(frozen=True)
class ExistingCluster:
    """How to reach a cluster that someone else looks after; `prometheus_url` is None when none was named."""

    kubeconfig: Path
    prometheus_url: str | None


def from_env(environ: Mapping[str, str] = os.environ) -> ExistingCluster | None:
    """The cluster that `KUBECONFIG` and `PROMETHEUS_URL` name if `TRIMTAB_USE_EXISTING_CLUSTER=1`, else None.

    Raises ClusterError when the switch is on and `KUBECONFIG` names no file.

    >>> from_env({"KUBECONFIG": "/home/me/.kube/config"}) is None
    True
    """
    if environ.get(SWITCH) != "1":
        return None
    named = environ.get("KUBECONFIG", "")
    kubeconfig = Path(named).expanduser()
    if not named or not kubeconfig.is_file():
        raise ClusterError(f"{SWITCH}=1, but KUBECONFIG={named!r} names no file: set it to a kubeconfig's path")
    return ExistingCluster(kubeconfig, environ.get("PROMETHEUS_URL") or None)
