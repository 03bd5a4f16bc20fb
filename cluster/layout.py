"""Where things are in a state folder."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory


def state_folder(given: Path | None) -> tuple[Path, TemporaryDirectory[str] | None]:
    """The state folder to use: the one that is given, or else a temporary one, which is to be cleaned up at the end."""
    if given is not None:
        return given.resolve(), None
    scratch = TemporaryDirectory(prefix="trimtab-")
    return Path(scratch.name), scratch


def kubeconfig(folder: Path, user: str) -> Path:
    """The kubeconfig of one user of the cluster in `folder`."""
    return folder / "kubeconfigs" / f"{user.replace(':', '-')}.yaml"


def audit_log(folder: Path) -> Path:
    """The API server's audit log."""
    return folder / "audit.log"


def component_log(folder: Path, name: str) -> Path:
    """What one component logs."""
    return folder / "logs" / f"{name}.log"


def prometheus_dir(folder: Path) -> Path:
    """The folder of the cluster's own Prometheus."""
    return folder / "prometheus"


def targets_dir(prometheus_folder: Path) -> Path:
    """The folder whose `*.json` files name what a Prometheus scrapes."""
    return prometheus_folder / "targets"
