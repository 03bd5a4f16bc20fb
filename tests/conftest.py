"""Fixtures for tests that need a real API server or a real Prometheus.

One control plane and one Prometheus serve the whole run, whatever the number of pytest-xdist's workers. The process
that was called as pytest owns them: it starts them when the first test asks, and ends them at its own end, and the
kernel ends them with it should it be killed.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from kubernetes import client, config
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

from cluster.control_plane import ControlPlane
from cluster.environment import ExistingCluster, from_env
from cluster.prometheus import Prometheus

_SHARED_FOLDER = "TRIMTAB_TESTS_SHARED_FOLDER"
_WANTED, _READY, _FAILED = "wanted", "ready.json", "failed.txt"
_POLL_SECONDS = 0.1
_EACH_BY_ITSELF = ("operator", "faults")
_TO_ONE_WORKER = ("adapters_prometheus", "chart")

settings.register_profile("untimed", deadline=None)  # how long an example takes says what else the machine does
settings.load_profile("untimed")


class _Keeper:
    """Starts what all workers share when one of them asks for it, by a file in the shared folder."""

    def __init__(self) -> None:
        self._scratch = TemporaryDirectory(prefix="trimtab-tests-")
        self.folder = Path(self._scratch.name)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End everything."""
        self._stopping.set()
        self._thread.join()
        self._scratch.cleanup()

    def _keep(self) -> None:
        while not (self.folder / _WANTED).exists():
            if self._stopping.wait(_POLL_SECONDS):
                return
        try:
            with ExitStack() as stack:
                plane = stack.enter_context(ControlPlane(self.folder / "control-plane", startup_seconds=1.0))
                prometheus = stack.enter_context(Prometheus(self.folder / "prometheus", lookback_delta="5s"))
                told = {
                    "control_plane": str(plane.state_dir),
                    "prometheus_url": prometheus.url,
                    "targets_dir": str(prometheus.targets_dir),
                }
                _write(self.folder / _READY, json.dumps(told))
                self._stopping.wait()
        except Exception:  # noqa: BLE001 - told to the workers, whose tests fail with it
            _write(self.folder / _FAILED, traceback.format_exc())


def _write(file: Path, text: str) -> None:
    scratch = file.with_suffix(".tmp")
    scratch.write_text(text)
    scratch.rename(file)


_KEEPER = pytest.StashKey[_Keeper]()


def pytest_configure(config: pytest.Config) -> None:
    """The process that owns the run keeps what its workers share; asked to end, it ends as if it was interrupted."""
    if not hasattr(config, "workerinput"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        config.stash[_KEEPER] = _Keeper()
        os.environ[_SHARED_FOLDER] = str(config.stash[_KEEPER].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends it, after an interrupted run too."""
    if _KEEPER in config.stash:
        config.stash[_KEEPER].stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the operator wait the longest, and come first."""
    items.sort(key=lambda item: item.path.parent.name not in _EACH_BY_ITSELF)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """What `pytest -n` hands to its workers, whatever `--dist` says; the order of collection is kept."""
    config.option.loadscopereorder = False
    return _Scheduling(config, log)


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Each test of the operator by itself, other tests by their file, and folders with a costly fixture as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        folder = file.parent.name
        if folder in _EACH_BY_ITSELF:
            return nodeid
        return folder if folder in _TO_ONE_WORKER else str(file)


@dataclass(frozen=True)
class Metrics:
    """A Prometheus that scrapes every second and forgets a target after five, and the folder that names its targets."""

    url: str
    targets_dir: Path


@dataclass(frozen=True)
class _Shared:
    control_plane: ControlPlane
    metrics: Metrics


@pytest.fixture(scope="session")
def _shared() -> _Shared:
    """What the owner of the run keeps, started by now."""
    folder = Path(os.environ[_SHARED_FOLDER])
    (folder / _WANTED).touch()
    while not (folder / _READY).exists():
        if (folder / _FAILED).exists():
            pytest.fail((folder / _FAILED).read_text())
        time.sleep(_POLL_SECONDS)
    told = json.loads((folder / _READY).read_text())
    plane = ControlPlane.reach(Path(told["control_plane"]))
    return _Shared(plane, Metrics(told["prometheus_url"], Path(told["targets_dir"])))


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> ControlPlane | ExistingCluster:
    """A cluster with a `.kubeconfig`, one a run: the one that the environment names, or else one started here."""
    existing = from_env()
    if existing is not None:
        return existing
    shared: _Shared = request.getfixturevalue("_shared")
    return shared.control_plane


@pytest.fixture(scope="session")
def own_control_plane(control_plane: ControlPlane | ExistingCluster) -> ControlPlane:
    """The same for tests that need its users, audit log or simulated nodes; they are skipped on another cluster."""
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("needs a cluster started by the tests")
    return control_plane


@pytest.fixture(scope="session")
def metrics(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metrics]:
    """A Prometheus: the environment's if it names one and its targets' folder, or else one started here."""
    existing = from_env()
    if existing is None:
        shared: _Shared = request.getfixturevalue("_shared")
        yield shared.metrics
        return
    targets_dir = os.environ.get("PROMETHEUS_TARGETS_DIR")
    if existing.prometheus_url and targets_dir:
        yield Metrics(existing.prometheus_url, Path(targets_dir))
        return
    with Prometheus(tmp_path_factory.mktemp("prometheus"), lookback_delta="5s") as started:
        yield Metrics(started.url, started.targets_dir)


@pytest.fixture
def namespace(control_plane: ControlPlane | ExistingCluster) -> Iterator[str]:
    """A fresh namespace, ready for pods, and deleted after the test."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    with config.new_client_from_config(str(control_plane.kubeconfig)) as connection:
        core = client.CoreV1Api(connection)
        core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
        while not core.list_namespaced_service_account(name).items:
            time.sleep(0.02)
        yield name
        with suppress(client.ApiException):  # the test may have deleted it
            core.delete_namespace(name)


@pytest.fixture
def prometheus_factory(tmp_path: Path) -> Iterator[Callable[..., Prometheus]]:
    """Makes and starts a Prometheus for each call, with the options of `Prometheus`; all end with the test."""
    with ExitStack() as stack:

        def make(**options: object) -> Prometheus:
            number = len(list(tmp_path.glob("prometheus-*")))
            folder = tmp_path / f"prometheus-{number}"
            folder.mkdir()
            return stack.enter_context(Prometheus(folder, **options))  # type: ignore[arg-type]  # checked at run time

        yield make
