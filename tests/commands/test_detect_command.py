"""`trimtab detect`: JSON with the promised names, a score a row, a page of 80 columns, and the proof of streaming."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from tests.commands.conftest import START, STEP
from trimtab.analytics.detection import Detection, detect
from trimtab.domain.choices import Sensitivity
from trimtab.domain.series import Series
from trimtab.domain.status_types import parse_time
from trimtab.survey import proofs

Run = Callable[..., Result]
BURST = START + 360 * STEP


def test_json_has_the_promised_names_and_a_score_a_row(run: Run, wave: Path) -> None:
    result = run("detect", str(wave), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == ["anomalies", "scores"]
    assert len(found["scores"]) == 432
    assert all(0 <= score <= 1 for score in found["scores"])
    burst = next(one for one in found["anomalies"] if parse_time(one["start"]) == BURST)
    assert {"start", "end", "kind", "severity", "score", "expected", "value", "evidence", "signal"} <= burst.keys()
    assert burst["signal"] == "requests"
    assert burst["value"] > burst["expected"] + 100
    assert found["scores"][360] > 0.9


def test_rows_that_are_missing_or_twice_have_a_score_each(run: Run, wave: Path) -> None:
    lines = wave.read_text().splitlines()
    lines = [*lines[:100], *lines[130:200], lines[200], lines[200], *lines[201:]]
    lines[50] = lines[50].split(",")[0] + ","
    result = run("detect", "-", "--json", text="\n".join(lines))
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)["scores"]) == len(lines) - 1


def test_the_page_fits_80_columns_and_tells_of_the_burst(run: Run, wave: Path) -> None:
    result = run("detect", str(wave))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    plot = [line for line in lines if any("\u2800" <= character <= "\u28ff" for character in line)]
    assert max(map(len, plot)) <= 80
    assert any(line.startswith("2026-01-03 12:00") for line in lines)


def test_nothing_odd_is_said_as_such(run: Run) -> None:
    result = run("detect", "-", text="\n".join(f"{60 * i},5" for i in range(50)))
    assert result.exit_code == 0
    assert "no anomaly was found" in result.stdout


def test_streaming_proves_it(run: Run, wave: Path) -> None:
    short = "\n".join(wave.read_text().splitlines()[:200])
    result = run("detect", "-", "--json", "--streaming", text=short)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["streaming"]["identical"] is True
    assert "beginnings of the series, of 1 to 199 samples, gave the same" in result.stderr


def test_a_score_that_saw_the_future_is_found_out(run: Run, wave: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def peeking(series: Series, sensitivity: Sensitivity) -> Detection:
        found = detect(series, sensitivity)
        after = np.append(series.values[1:], 0.0)
        return Detection(found.anomalies, np.clip(after / 1000, 0, 1), found.expected)

    monkeypatch.setattr(proofs, "detect", peeking)
    result = run("detect", str(wave), "--streaming")
    assert result.exit_code == 1
    assert "when only 1 samples are there" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(("--sensitivity", "Extreme"), 2, "--sensitivity", id="sensitivity"),
        pytest.param(("--step", "soon"), 2, "--step", id="step"),
        pytest.param(("--step", "1ms"), 1, "at most 5000000", id="a step that makes too many points"),
    ],
)
def test_wrong_usage(run: Run, wave: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    result = run("detect", str(wave), *arguments)
    assert result.exit_code == code
    assert words in result.stderr
