"""Starts a cluster whose processes go on after this one, and records it for `status` and `down`."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cluster import layout, state
from cluster.control_plane import ControlPlane
from cluster.errors import StateError
from cluster.processes import Component
from cluster.prometheus import Prometheus


@dataclass(frozen=True)
class Options:
    """What kind of cluster; durations of Prometheus as it writes them."""

    nodes: int = 3
    startup_seconds: float = 3.0
    prometheus: bool = True
    scrape_interval: str = "1s"
    lookback_delta: str = "5m"
    backfilled: tuple[Path, ...] = ()


def start(name: str, base: Path, options: Options) -> state.ClusterState:
    """Starts the cluster `name` under the folder `base`.

    Each process is recorded as soon as it runs, so that `down` ends a cluster whose start was cut short too. Raises
    StateError when one of that name runs or is being started. When anything fails, nothing stays behind.
    """
    with _exclusive(base, name):
        folder = state.clear_remains(name, base)
        cluster = state.ClusterState(folder)

        def record(component: Component) -> None:
            nonlocal cluster
            cluster = cluster.with_component(component)
            state.save(cluster)

        control_plane = ControlPlane(
            folder,
            nodes=options.nodes,
            startup_seconds=options.startup_seconds,
            die_with_parent=False,
            on_spawn=record,
        )
        prometheus = Prometheus(
            layout.prometheus_dir(folder),
            scrape_interval=options.scrape_interval,
            lookback_delta=options.lookback_delta,
            backfilled=options.backfilled,
            die_with_parent=False,
            on_spawn=record,
        )
        try:
            control_plane.start()
            if options.prometheus:
                prometheus.start()
                cluster = replace(cluster, prometheus_url=prometheus.url)
            cluster = replace(cluster, server=control_plane.server)
            state.save(cluster)
        except BaseException:
            prometheus.stop()
            control_plane.stop()
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return cluster


@contextmanager
def _exclusive(base: Path, name: str) -> Iterator[None]:
    """Holds the name while a cluster of it is started; raises StateError when another process does."""
    base.mkdir(parents=True, exist_ok=True)
    with (base / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(f"cluster {name!r} is being started by another process: wait for it") from None
        yield
