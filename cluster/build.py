"""Builds what is missing from the cache, one build at a time on a machine's cache folder."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cluster.errors import BuildError
from cluster.progress import Progress
from cluster.recipes import ALL_TOOLS, group_of
from cluster.tools import cache_dir, cached_binary, find_go

_TICK_SECONDS = 0.2
_SHOWN_LINES = 30


def ensure(tools: Iterable[str] = ALL_TOOLS, stream: TextIO | None = None) -> dict[str, Path]:
    """Each tool's binary, built first where the cache lacks it; progress goes to `stream`, by default stderr.

    Raises ToolMissingError without Go, and BuildError with the compiler's last lines when a build fails.
    """
    binaries = {tool: cached_binary(tool) for tool in tools}
    if not _missing(binaries):
        return binaries
    with _exclusive(cache_dir(), stream or sys.stderr):
        missing = _missing(binaries)
        if missing:
            go = find_go()
            progress = Progress(stream or sys.stderr, total=len(missing))
            for tool in missing:
                progress.begin(tool)
                _build(go, tool, binaries[tool], progress)
                progress.done()
    return binaries


def _missing(binaries: dict[str, Path]) -> list[str]:
    return [tool for tool, path in binaries.items() if not path.exists()]


@contextmanager
def _exclusive(cache: Path, stream: TextIO) -> Iterator[None]:
    """Holds the cache's lock, so that of two builds the second finds what the first built."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another build is under way; waiting for it", file=stream, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(go: Path, tool: str, target: Path, progress: Progress) -> None:
    """Builds one tool beside its place and moves it there when it is whole."""
    group = group_of(tool)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{tool}-") as scratch:
        made = Path(scratch) / tool
        log = Path(scratch) / "log"
        command = [str(go), "build", *group.build_flags, "-o", str(made), group.packages[tool]]
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=group.folder, env=_environment(), stdout=output, stderr=output)
            _wait(process, progress)
        if process.returncode != 0:
            lines = log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
            raise BuildError(f"{tool} could not be built; `go build` in {group.folder} said:\n" + "\n".join(lines))
        os.replace(made, target)


def _wait(process: subprocess.Popen[bytes], progress: Progress) -> None:
    """Waits for the compiler, and ends it when the wait is interrupted."""
    try:
        while process.poll() is None:
            time.sleep(_TICK_SECONDS)
            progress.tick()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _environment() -> dict[str, str]:
    """The caller's environment, less what would make the binaries differ from one machine to another.

    `GOTOOLCHAIN=auto` lets Go fetch the patch release that a module asks for.
    """
    return {**os.environ, "GOTOOLCHAIN": "auto", "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}
