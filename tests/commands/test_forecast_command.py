"""`trimtab forecast`: JSON with the promised names, a page of 80 columns, and reasons where there is no forecast."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from tests.commands.conftest import START, STEP
from trimtab.domain.series import Series
from trimtab.domain.status_types import parse_time
from trimtab.survey.origins import MOST_ORIGINS, Asked, backtest, origins, prove_forecasts

Run = Callable[..., Result]


def test_json_has_the_promised_names(run: Run, wave: Path) -> None:
    result = run("forecast", str(wave), "--horizon", "6h", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {"model", "times", "mean", "lower", "upper", "backtest", "reason", "reliable", "seasons"} <= found.keys()
    assert len(found["times"]) == len(found["mean"]) == len(found["lower"]) == len(found["upper"]) == 36
    assert parse_time(found["times"][0]) == START + 3 * 86_400
    assert all(
        low <= mean <= high for low, mean, high in zip(*(found[k] for k in ("lower", "mean", "upper")), strict=True)
    )
    judged = found["backtest"]
    assert judged["origins"] == MOST_ORIGINS
    assert judged["horizon_seconds"] == 6 * 3600
    assert 0 < judged["mase"] < 10
    assert 0 <= judged["coverage_percent"] <= 100
    assert sum(one["share"] for one in judged["models"]) == pytest.approx(1.0, abs=0.01)


def test_the_page_fits_80_columns(run: Run, wave: Path) -> None:
    result = run("forecast", str(wave), "--horizon", "6h")
    assert result.exit_code == 0
    plot = [line for line in result.stdout.splitlines() if any("\u2800" <= character <= "\u28ff" for character in line)]
    assert len(plot) == 12
    assert max(map(len, plot)) <= 80
    assert "wave.csv: 432 samples every 10m over 3d" in result.stdout
    assert "LOWER 90 %" in result.stdout


def test_streaming_proves_it(run: Run, wave: Path) -> None:
    result = run("forecast", str(wave), "--horizon", "6h", "--json", "--streaming")
    assert result.exit_code == 0
    assert f"{MOST_ORIGINS} forecasts made from the samples before them alone" in result.stderr
    json.loads(result.stdout)


def test_a_forecast_that_saw_the_future_is_found_out(run: Run, wave: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Asked.of

    def peeking(asked: Asked, series: Series, now: float, horizon_seconds: float | None = None) -> object:
        later = series.values[series.times > now]
        shifted = Series(series.start, series.step_seconds, series.values + (later.mean() if later.size else 0.0))
        return honest(asked, shifted, now, horizon_seconds)

    monkeypatch.setattr(Asked, "of", peeking)
    result = run("forecast", str(wave), "--horizon", "6h", "--streaming")
    assert result.exit_code == 1
    assert "another one when later samples are there" in result.stderr


def test_no_forecast_is_a_reason_and_exit_code_1(run: Run) -> None:
    result = run("forecast", "-", "--json", text="0,1\n60,\n120,\n")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["model"] is None
    assert "samples" in json.loads(result.stdout)["reason"]
    result = run("forecast", "-", text="0,1\n60,\n120,\n")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("trimtab: no forecast: ")


def test_values_below_0_are_told_of(run: Run) -> None:
    rows = "\n".join(f"{60 * i},{-1 if i == 5 else 10 + i % 3}" for i in range(100))
    result = run("forecast", "-", "--horizon", "10m", text=rows)
    assert result.exit_code == 0
    assert "1 values are below 0" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("--horizon", "tomorrow"), ("--horizon", "write it as"), id="horizon"),
        pytest.param(("--horizon", "0s"), ("above 0",), id="horizon of nothing"),
        pytest.param(("--model", "Guess"), ("--model",), id="model"),
        pytest.param(("--model", "None"), ("makes no forecast",), id="no model"),
        pytest.param(("--confidence", "101"), ("--confidence",), id="confidence"),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, wave: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    result = run("forecast", str(wave), *arguments)
    assert result.exit_code == 2
    for word in words:
        assert word in result.stderr


def test_a_file_that_cannot_be_read_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("time,value\n0,1\n60,x\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    for name, words in (("bad.csv", "line 3, column 2 (value): 'x'"), ("none.csv", "No such"), ("binary.csv", "UTF-8")):
        result = run("forecast", str(tmp_path / name))
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1


def series_of(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Series:
    return Series(float(START), float(STEP), values)


def test_the_backtest_of_an_exact_repetition_is_without_error() -> None:
    repeated = series_of(np.tile(100 + 40 * np.sin(2 * np.pi * np.arange(144) / 144), 5))
    asked = Asked(6 * 3600.0, "SeasonalNaive", 0.9)
    judged = backtest(repeated, asked, origins(repeated, asked))
    assert judged.origins == MOST_ORIGINS
    assert judged.coverage_percent > 90


def test_the_backtest_reaches_no_further_than_a_quarter_of_the_file() -> None:
    short = series_of(np.random.default_rng(0).uniform(1, 2, 80))
    asked = Asked(7 * 86_400.0, "Auto", 0.9)
    made = origins(short, asked)
    assert backtest(short, asked, made).horizon_seconds == 20 * STEP
    assert max(origin.time for origin in made) <= short.end - 20 * STEP


@pytest.mark.parametrize("count", [3, 5, 9])
def test_a_file_too_short_for_a_backtest_says_so(count: int) -> None:
    short = series_of(np.arange(1.0, count + 1))
    asked = Asked(3600.0, "Auto", 0.9)
    judged = backtest(short, asked, origins(short, asked))
    assert (judged.origins == 0) == bool(judged.reason)
    assert prove_forecasts(short, asked, origins(short, asked)).holds
