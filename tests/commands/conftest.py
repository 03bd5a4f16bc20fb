"""Files of time,value, and the command line as people call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from trimtab.cli import app

START = 1_767_225_600  # 2026-01-01T00:00:00Z
STEP = 600


@pytest.fixture
def run() -> Callable[..., Result]:
    """Calls `trimtab` with arguments, and text on its standard input."""

    def call(*arguments: str, text: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=text)

    return call


@pytest.fixture
def wave(tmp_path: Path) -> Path:
    """Three days of a daily wave at ten minutes, with a burst in the third."""
    rng = np.random.default_rng(7)
    times = START + STEP * np.arange(3 * 144)
    values = 100 + 40 * np.sin(2 * np.pi * times / 86_400) + rng.standard_normal(times.size)
    values[360:364] += 150
    file = tmp_path / "wave.csv"
    rows = [f"{time},{value:.3f}" for time, value in zip(times.tolist(), values.tolist(), strict=True)]
    file.write_text("\n".join(["timestamp,requests", *rows]) + "\n")
    return file
