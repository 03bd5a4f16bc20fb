"""What is known of the clusters that `python -m cluster up` started: one folder each, with a `cluster.json`."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from cluster import layout
from cluster.errors import StateError
from cluster.processes import Component, from_json, stop_all, to_json

DEFAULT_BASE = Path(".cluster")
_FILE = "cluster.json"


@dataclass(frozen=True)
class ClusterState:
    """One cluster: its folder, its processes, and how to reach it. `prometheus_url` is None when it has none."""

    folder: Path
    components: tuple[Component, ...] = ()
    server: str = ""
    prometheus_url: str | None = None

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.folder.name

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the user `admin`."""
        return layout.kubeconfig(self.folder, "admin")

    @property
    def audit_log(self) -> Path:
        """The API server's audit log."""
        return layout.audit_log(self.folder)

    @property
    def targets_dir(self) -> Path:
        """The folder whose files name what Prometheus scrapes."""
        return layout.targets_dir(layout.prometheus_dir(self.folder))

    def with_component(self, component: Component) -> ClusterState:
        """The same with a component in the place of an earlier one of its name."""
        others = tuple(other for other in self.components if other.name != component.name)
        return replace(self, components=(*others, component))

    def dead(self) -> list[Component]:
        """The components that no longer run."""
        return [component for component in self.components if not component.alive()]

    def exports(self) -> list[str]:
        """Shell lines that point programs at this cluster."""
        lines = [f"export KUBECONFIG={shlex.quote(str(self.kubeconfig))}"]
        if self.prometheus_url is not None:
            lines.append(f"export PROMETHEUS_URL={self.prometheus_url}")
            lines.append(f"export PROMETHEUS_TARGETS_DIR={shlex.quote(str(self.targets_dir))}")
        return lines


def save(state: ClusterState) -> None:
    """Writes `cluster.json`, whole or not at all."""
    content = {
        "server": state.server,
        "prometheus_url": state.prometheus_url,
        "processes": [to_json(component) for component in state.components],
    }
    scratch = state.folder / f"{_FILE}.tmp"
    scratch.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(scratch, state.folder / _FILE)


def load(name: str, base: Path = DEFAULT_BASE) -> ClusterState:
    """The cluster of that name; raises StateError when none was started under `base`."""
    folder = base.resolve() / name
    try:
        content = json.loads((folder / _FILE).read_text())
    except FileNotFoundError:
        raise StateError(f"no cluster {name!r} in {base}: start it with `python -m cluster up --name {name}`") from None
    return ClusterState(
        folder=folder,
        components=tuple(from_json(stored) for stored in content["processes"]),
        server=content["server"],
        prometheus_url=content["prometheus_url"],
    )


def remove(state: ClusterState) -> None:
    """Ends the cluster's processes, those and no others, and removes its folder."""
    stop_all(state.components)
    shutil.rmtree(state.folder)


def clear_remains(name: str, base: Path = DEFAULT_BASE) -> Path:
    """The folder for a new cluster of that name, free of what an ended one left.

    Raises StateError when one of that name still runs, or when the folder is something else than a cluster's.
    """
    folder = base.resolve() / name
    if not folder.exists():
        return folder
    try:
        remains = load(name, base)
    except StateError:
        raise StateError(f"{folder} is no cluster's state: choose another --name or --state, or remove it") from None
    if len(remains.dead()) < len(remains.components):
        raise StateError(f"cluster {name!r} runs already: end it with `python -m cluster down --name {name}`")
    shutil.rmtree(folder)
    return folder
