"""Faults inside the operator's own process: code that it runs first, as a bug in it would be there."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest


def sabotage(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> Path:
    """Operators started from now on run this code first; it may look at the file returned as SWITCH."""
    folder.mkdir(parents=True, exist_ok=True)
    switch = folder / "switch"
    (folder / "sitecustomize.py").write_text(
        f"import os, sys\nSWITCH = {str(switch)!r}\n"
        'if any(part in ("trimtab.cli", "--multiprocessing-fork") for part in sys.orig_argv):\n'
        + "".join(f"    {line}\n" for line in dedent(code).strip().splitlines())
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return switch
