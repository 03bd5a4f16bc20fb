"""`python -m cluster` as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import state
from cluster.processes import ProcessIdentity

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cluster", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_up_status_and_down(tmp_path: Path) -> None:
    up = run("up", "--name", "one", "--state", tmp_path, "--nodes", "1")
    assert up.returncode == 0, up.stderr
    exports = dict(line.removeprefix("export ").split("=", 1) for line in up.stdout.splitlines())
    assert set(exports) == {"KUBECONFIG", "PROMETHEUS_URL", "PROMETHEUS_TARGETS_DIR"}
    identities = [component.identity for component in state.load("one", tmp_path).components]
    assert len(identities) == 6

    try:
        again = run("up", "--name", "one", "--state", tmp_path)
        assert again.returncode == 1
        assert "runs already" in again.stderr
        assert run("status", "--name", "one", "--state", tmp_path).returncode == 0
        alice = run("kubeconfig", "--name", "one", "--state", tmp_path, "--user", "alice").stdout.strip()
        assert Path(alice).is_file()
    finally:
        down = run("down", "--name", "one", "--state", tmp_path)
    assert down.returncode == 0, down.stderr
    assert not any(identity.alive() for identity in identities)
    assert not (tmp_path / "one").exists()
    assert "no cluster 'one'" in run("status", "--name", "one", "--state", tmp_path).stderr


def test_a_component_that_dies_at_start_is_named_and_nothing_stays(tmp_path: Path) -> None:
    up = run("up", "--state", tmp_path, "--scrape-interval", "never")
    assert up.returncode == 1
    assert "prometheus ended at start" in up.stderr
    assert "not a valid duration" in up.stderr
    assert not (tmp_path / "default").exists()
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in running


def test_down_spares_a_process_that_took_over_a_pid(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    with subprocess.Popen(["sleep", "60"]) as bystander:
        identity = ProcessIdentity.of(bystander.pid)
        stored = {"name": "etcd", "pid": identity.pid, "start_ticks": identity.start_ticks - 1, "log": "etcd.log"}
        content = {"server": "", "prometheus_url": None, "processes": [stored]}
        (folder / "cluster.json").write_text(json.dumps(content))
        assert run("down", "--name", "old", "--state", tmp_path).returncode == 0
        assert bystander.poll() is None
        bystander.kill()


def test_up_touches_no_folder_that_is_not_a_clusters(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    up = run("up", "--name", "mine", "--state", tmp_path)
    assert up.returncode == 1
    assert "no cluster's state" in up.stderr
    assert (tmp_path / "mine").exists()
    assert run("down", "--name", "../mine", "--state", tmp_path).returncode == 2
