"""A Prometheus that tests can stop, kill, suspend and start again, with targets that come and go.

Use it as a context manager:

    with Prometheus(scrape_interval="1s") as prometheus:
        prometheus.register("shop", ["127.0.0.1:8000"], {"namespace": "shop"})
        requests.get(f"{prometheus.url}/api/v1/query", params={"query": "up"})
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from cluster import layout
from cluster.build import ensure
from cluster.errors import ClusterError, StateError
from cluster.ports import HOST, is_listening, with_free_port
from cluster.processes import Component, spawn, stop_all, wait_until

_START_SECONDS = 120.0
_SHOWN_LINES = 15
# Larger than any history, so that promtool reads its input twice only, and not once for every two hours.
_BLOCK_DURATION = "8760h"


def backfill(openmetrics_file: Path, data_dir: Path) -> None:
    """Writes the samples of an OpenMetrics file into the data folder of a Prometheus that does not run.

    Every sample needs a timestamp, and the file must end with `# EOF`. Samples must be older than those that will be
    scraped. Raises ClusterError with promtool's last lines when it refuses the file.
    """
    promtool = ensure(["promtool"])["promtool"]
    data_dir.mkdir(parents=True, exist_ok=True)
    command = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    command += [f"--max-block-duration={_BLOCK_DURATION}", str(openmetrics_file), str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-_SHOWN_LINES:])
        raise ClusterError(f"{openmetrics_file} could not be backfilled; promtool said:\n{said}")


class Prometheus:
    """One Prometheus with its data in `state_dir`, which is a temporary folder when none is given.

    Durations are written as Prometheus does: `1s`, `5m`. `backfilled` are OpenMetrics files of history, written before
    the first start. With `die_with_parent` it ends when this process does, however that comes about. `on_spawn` is
    called with its process as soon as it runs.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        scrape_interval: str = "1s",
        lookback_delta: str = "5m",
        retention: str = "1y",
        backfilled: Sequence[Path] = (),
        die_with_parent: bool = True,
        on_spawn: Callable[[Component], None] | None = None,
    ) -> None:
        self.state_dir, self._scratch = layout.state_folder(state_dir)
        self._scrape_interval = scrape_interval
        self._lookback_delta = lookback_delta
        self._retention = retention
        self._backfilled = tuple(backfilled)
        self._die_with_parent = die_with_parent
        self._on_spawn = on_spawn
        self._port: int | None = None
        self._component: Component | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._scratch is not None:
            self._scratch.cleanup()

    @property
    def url(self) -> str:
        """The base URL; it stays the same over stops and starts."""
        if self._port is None:
            raise StateError("Prometheus has no address before its first start: call start()")
        return f"http://{HOST}:{self._port}"

    @property
    def component(self) -> Component:
        """The process; its `pid` may be sent any signal."""
        if self._component is None:
            raise StateError("Prometheus does not run: call start()")
        return self._component

    @property
    def pid(self) -> int:
        """The process id."""
        return self.component.pid

    @property
    def data_dir(self) -> Path:
        """The folder of the samples."""
        return self.state_dir / "data"

    @property
    def targets_dir(self) -> Path:
        """The folder whose `*.json` files name what to scrape, as Prometheus's file discovery has them."""
        return layout.targets_dir(self.state_dir)

    def start(self) -> None:
        """Starts it, at the same address as before if there was one, and returns when it answers queries."""
        binary = ensure(["prometheus"])["prometheus"]
        if self._port is not None:
            self._start(binary, self._port)
            return
        self.targets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.state_dir / "prometheus.yml").write_text(yaml.safe_dump(self._configuration(), sort_keys=False))
        for file in self._backfilled:
            backfill(file, self.data_dir)
        with_free_port(lambda port: self._start(binary, port))

    def stop(self) -> None:
        """Ends it in good order; its data stays until a temporary state folder is left by `with`."""
        if self._component is not None:
            stop_all([self._component], grace_seconds=60)
            self._component = None

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.component.send(signal.SIGKILL)
        stop_all([self.component])
        self._component = None

    def restart(self) -> None:
        """Ends it in good order and starts it at the same address with the same data."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Makes it hang: it takes connections but answers nothing until `resume`."""
        self.component.suspend()

    def resume(self) -> None:
        """Lets it go on after `suspend`."""
        self.component.resume()

    def register(self, name: str, addresses: Sequence[str], labels: Mapping[str, str] | None = None) -> None:
        """Scrapes `addresses` (`host:port`) from now on, in place of those that had the same `name`."""
        self.targets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = self.targets_dir / f"{name}.tmp"
        scratch.write_text(json.dumps([{"targets": list(addresses), "labels": dict(labels or {})}]))
        os.replace(scratch, self.targets_dir / f"{name}.json")

    def unregister(self, name: str) -> None:
        """Scrapes them no more."""
        (self.targets_dir / f"{name}.json").unlink(missing_ok=True)

    def _start(self, binary: Path, port: int) -> None:
        self._port = port
        log = layout.component_log(self.state_dir, "prometheus")
        command = self._command(binary, port)
        self._component = spawn("prometheus", command, log, die_with_parent=self._die_with_parent)
        if self._on_spawn is not None:
            self._on_spawn(self._component)
        try:
            wait_until([self._component], self._is_ready, _START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _command(self, binary: Path, port: int) -> list[str]:
        return [
            str(binary),
            f"--config.file={self.state_dir / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.data_dir}",
            f"--storage.tsdb.retention.time={self._retention}",
            f"--web.listen-address={HOST}:{port}",
            "--web.enable-lifecycle",
            f"--query.lookback-delta={self._lookback_delta}",
            # How long it gathers changes of targets before it follows them; five seconds by default.
            "--scrape.discovery-reload-interval=1s",
            "--log.level=warn",
        ]

    def _configuration(self) -> dict[str, object]:
        return {
            "global": {"scrape_interval": self._scrape_interval, "scrape_timeout": self._scrape_interval},
            "scrape_configs": [
                {
                    "job_name": "registered",
                    "honor_labels": True,
                    "file_sd_configs": [{"files": [f"{self.targets_dir}/*.json"], "refresh_interval": "1s"}],
                }
            ],
        }

    def _is_ready(self) -> bool:
        if self._port is None or not is_listening(self.pid, self._port):
            return False
        connection = http.client.HTTPConnection(HOST, self._port, timeout=5)
        with closing(connection):
            try:
                connection.request("GET", "/-/ready")
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False
