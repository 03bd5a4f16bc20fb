"""Where programs are found and how they are built; with stand-ins for Go and kubectl, so nothing real is built."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from cluster import build, recipes, tools
from cluster.environment import ExistingCluster, from_env
from cluster.errors import BuildError, ClusterError, ToolMissingError
from cluster.progress import Progress

FAKE_GO = """#!/bin/sh
if [ "$1" = env ]; then echo {version}; exit; fi
while [ "$1" != -o ]; do shift; done
/bin/sleep 0.3
{action}
"""
BUILDS = 'echo "$2" >> "$BUILDS"; echo binary > "$2"'


def install(folder: Path, name: str, script: str) -> Path:
    program = folder / name
    program.write_text(script)
    program.chmod(0o755)
    return program


def fake_kubectl(minor: str) -> str:
    return f"""#!/bin/sh\necho '{{"clientVersion": {{"minor": "{minor}"}}}}'\n"""


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder on PATH, empty."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the programs of the Python environment, empty."""
    folder = tmp_path / "environment"
    folder.mkdir()
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return folder


@pytest.mark.parametrize(
    ("path_minor", "wheel_minor", "served_by"),
    [
        pytest.param("37", None, "path", id="same minor on PATH"),
        pytest.param("36+", None, "path", id="one minor older on PATH, as some vendors write it"),
        pytest.param("37", "37", "path", id="PATH before the wheel"),
        pytest.param("32", "37", "environment", id="too old on PATH"),
        pytest.param(None, "37", "environment", id="none on PATH"),
        pytest.param("32", None, None, id="too old and no wheel"),
        pytest.param(None, None, None, id="none"),
    ],
)
def test_kubectl_is_within_one_minor_version(
    on_path: Path, environment: Path, path_minor: str | None, wheel_minor: str | None, served_by: str | None
) -> None:
    if path_minor is not None:
        install(on_path, "kubectl", fake_kubectl(path_minor))
    if wheel_minor is not None:
        install(environment, "kubectl", fake_kubectl(wheel_minor))
    if served_by is None:
        with pytest.raises(ToolMissingError, match="make setup"):
            tools.find_kubectl()
    else:
        assert tools.find_kubectl().parent.name == served_by


def test_go_of_the_environment_serves_when_that_on_path_is_too_old(on_path: Path, environment: Path) -> None:
    install(on_path, "go", FAKE_GO.format(version="go1.19.8", action=""))
    with pytest.raises(ToolMissingError, match="make setup"):
        tools.find_go()
    newer = install(environment, "go", FAKE_GO.format(version="go1.27.3", action=""))
    assert tools.find_go() == newer


def test_two_builds_at_once_build_each_tool_once(
    on_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(on_path, "go", FAKE_GO.format(version="go1.27.3", action=BUILDS))
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    results: list[dict[str, Path]] = []
    threads = [
        threading.Thread(target=lambda: results.append(build.ensure(["etcd", "helm"], io.StringIO()))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1]
    assert all(path.read_text() == "binary\n" for path in results[0].values())
    assert len((tmp_path / "builds").read_text().splitlines()) == 2


def test_a_failed_build_says_why_and_leaves_nothing(
    on_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(on_path, "go", FAKE_GO.format(version="go1.27.3", action="echo no such package; exit 1"))
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BuildError, match="no such package"):
        build.ensure(["etcd"], io.StringIO())
    assert os.listdir(tools.cached_binary("etcd").parent) == []


def test_a_changed_recipe_has_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    group = recipes.group_of("helm")
    before = tools.cached_binary("helm")
    changed = recipes.Group(group.name, group.module, group.packages, tags=("other",))
    monkeypatch.setattr(recipes, "GROUPS", (changed,))
    assert tools.cached_binary("helm") != before


@pytest.mark.parametrize("group", recipes.GROUPS, ids=lambda group: group.name)
def test_each_recipe_is_what_its_go_mod_says(group: recipes.Group) -> None:
    assert group.version.startswith("v")
    go_mod = (group.folder / "go.mod").read_text()
    assert all(package in go_mod for package in group.packages.values())


def test_progress_is_plain_lines_without_a_terminal() -> None:
    stream = io.StringIO()
    seconds = iter([0.0, 90.0])
    progress = Progress(stream, total=2, clock=lambda: next(seconds))
    progress.begin("etcd")
    progress.tick()
    progress.done()
    assert stream.getvalue() == "building etcd (1 of 2)\nbuilt etcd (1 of 2) in 90 s\n"


def test_progress_counts_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    seconds = iter([0.0, 0.0, 7.0, 9.0])
    progress = Progress(stream, total=2, clock=lambda: next(seconds))
    progress.begin("etcd")
    progress.tick()
    assert stream.getvalue().endswith("building etcd (1 of 2) 7 s")
    progress.done()
    assert stream.getvalue().endswith("built etcd (1 of 2) in 9 s\n")


def test_an_existing_cluster_is_used_only_when_asked_for(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.touch()
    named = {"KUBECONFIG": str(kubeconfig), "PROMETHEUS_URL": "http://prometheus"}
    assert from_env(named) is None
    asked = {**named, "TRIMTAB_USE_EXISTING_CLUSTER": "1"}
    assert from_env(asked) == ExistingCluster(kubeconfig, "http://prometheus")
    with pytest.raises(ClusterError, match="names no file"):
        from_env({**asked, "KUBECONFIG": str(tmp_path / "missing")})
