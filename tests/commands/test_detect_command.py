"""`trimtab detect`: JSON with the promised names, a score a row, a page of 80 columns, and the proof of streaming."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from tests.commands.conftest import START, STEP
from trimtab.analytics.detection import Detection, Detector, Judged, detect
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
    assert json.loads(result.stdout)["streaming"] == {"identical": True, "compared": 199, "beginnings": 79}
    assert "streaming: 199 samples fed one by one and 79 beginnings: identical" in result.stderr


def peeking(series: Series, sensitivity: Sensitivity) -> Detection:
    """A score that looks one sample ahead."""
    found = detect(series, sensitivity)
    after = np.append(series.values[1:], 0.0)
    return replace(found, scores=np.clip(after / 1000, 0, 1))


def test_a_score_that_saw_the_future_is_found_out(run: Run, wave: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "detect", peeking)
    result = run("detect", str(wave), "--streaming")
    assert result.exit_code == 1
    assert "when only 1 samples are there" in result.stderr


def test_a_detector_that_knew_the_file_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fed sample by sample it says what it says of the whole, but not of a beginning."""
    series = Series(0.0, 60.0, np.random.default_rng(3).uniform(0, 1000, 90))
    whole = peeking(series, Sensitivity.MEDIUM)

    class Knowing(Detector):
        def update(self, time: float, value: float) -> Judged:
            return replace(Detector.update(self, time, value), score=float(whole.scores[self.seen - 1]))

    monkeypatch.setattr(proofs, "detect", peeking)
    monkeypatch.setattr(proofs, "Detector", Knowing)
    proof = proofs.prove_detection(series, Sensitivity.MEDIUM)
    assert (proof.holds, proof.compared, proof.beginnings) == (False, 90, 1)


@pytest.mark.parametrize("which", ["expected", "since"])
def test_nothing_else_may_look_ahead(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    series = Series(0.0, 60.0, 100.0 + np.random.default_rng(3).normal(0, 5, 40))

    def changed(series: Series, sensitivity: Sensitivity) -> Detection:
        found = detect(series, sensitivity)
        told = getattr(found, which).copy()
        told[30:] = 7.0
        return replace(found, **{which: told})

    monkeypatch.setattr(proofs, "detect", changed)
    proof = proofs.prove_detection(series, Sensitivity.MEDIUM)
    assert (proof.holds, proof.compared) == (False, 31)
    assert "at 1970-01-01T00:30:00Z is 7, and" in proof.message


def test_an_anomaly_that_changes_after_its_end_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    values = 100.0 + np.random.default_rng(3).normal(0, 5, 400)
    values[300] = 180.0

    def changed(series: Series, sensitivity: Sensitivity) -> Detection:
        found = detect(series, sensitivity)
        return replace(found, anomalies=tuple(replace(one, value=0.0) for one in found.anomalies))

    monkeypatch.setattr(proofs, "detect", changed)
    proof = proofs.prove_detection(Series(0.0, 60.0, values), Sensitivity.MEDIUM)
    assert not proof.holds
    assert proof.message.startswith("the anomaly of 1970-01-01T05:00:00Z, ended when 307 samples were there")


def test_gaps_are_no_samples_that_were_compared() -> None:
    values = 100.0 + np.random.default_rng(3).normal(0, 5, 120)
    values[10:30] = np.nan
    proof = proofs.prove_detection(Series(0.0, 60.0, values), Sensitivity.MEDIUM)
    assert (proof.holds, proof.compared) == (True, 100)


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
