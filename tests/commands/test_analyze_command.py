"""`trimtab analyze` as people call it: exit codes, files and formats; the survey itself has tests of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from tests.reporting.analysis_building import many, report
from trimtab.adapters.prometheus_connection import PrometheusSettings
from trimtab.adapters.workers import Workers
from trimtab.reporting.analysis import AnalysisReport
from trimtab.survey import gathering
from trimtab.survey.gathering import NothingFound, Progress
from trimtab.survey.options import SurveyOptions

Run = Callable[..., Result]
URL = ("--prometheus-url", "http://prometheus:9090")


class Survey:
    """Stands in for the survey, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: AnalysisReport | NothingFound = report()
        self.settings: PrometheusSettings | None = None
        self.options: SurveyOptions | None = None
        self.now = 0.0

    async def __call__(
        self,
        settings: PrometheusSettings,
        options: SurveyOptions,
        _workers: Workers,
        now: float,
        tell: Callable[[Progress], None],
    ) -> AnalysisReport | NothingFound:
        self.settings, self.options, self.now = settings, options, now
        tell(Progress(2, 4, 7, 1.5))
        return self.answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Survey:
    """The survey is not made, and answers with a small report."""
    survey = Survey()
    monkeypatch.setattr(gathering, "survey", survey)
    return survey


def test_the_table_is_the_default_and_complete_when_piped(run: Run, asked: Survey) -> None:
    asked.answer = many(1000)
    result = run("analyze", *URL)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("NAMESPACE")
    assert lines[0].endswith("ADVICE")
    assert sum("workload-" in line for line in lines) == 1000
    assert "1000 workloads: 1000 analysed" in result.stdout


def test_progress_goes_to_the_standard_error(run: Run, asked: Survey) -> None:
    result = run("analyze", *URL, "--format", "json")
    assert json.loads(result.stdout)["totals"]["workloads"] == 4
    assert "2 of 4 workloads, 7 queries, 1.5 s" in result.stderr


@pytest.mark.parametrize(
    ("file", "begins"),
    [
        ("out.json", "{"),
        ("out.yaml", "source:"),
        ("out.csv", "namespace,kind,name"),
        ("out.md", "# Workload analysis"),
        ("out.html", "<!doctype html>"),
        ("out.txt", "NAMESPACE"),
    ],
)
def test_the_format_goes_by_the_suffix_of_the_file(
    run: Run, asked: Survey, tmp_path: Path, file: str, begins: str
) -> None:
    result = run("analyze", *URL, "--output", str(tmp_path / file))
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert (tmp_path / file).read_text(encoding="utf-8").startswith(begins)


def test_the_format_that_is_asked_for_wins(run: Run, asked: Survey, tmp_path: Path) -> None:
    run("analyze", *URL, "--output", str(tmp_path / "out.txt"), "--format", "yaml")
    assert yaml.safe_load((tmp_path / "out.txt").read_text())["currency"] == "USD"


def test_options_reach_the_survey(run: Run, asked: Survey, tmp_path: Path) -> None:
    token, ca = tmp_path / "token", tmp_path / "ca.crt"
    result = run(
        *("analyze", *URL, "-n", "shop", "-n", "team-*", "--selector", "web-*", "--history", "24h", "--step", "30s"),
        *("--horizon", "6h", "--sensitivity", "High", "--scrape-interval", "15s", "--until", "2026-01-01T00:00:00Z"),
        *("--header", "X-Scope-OrgID: shop", "--header", "A: b:c", "--label", "cluster=eu-1", "--timeout", "5s"),
        *("--bearer-token-file", str(token), "--ca-file", str(ca), "--cpu-core-hour", "0.05", "--currency", "EUR"),
        *("--time-zone", "Europe/Berlin"),
    )
    assert result.exit_code == 0, result.output
    assert asked.settings is not None
    assert asked.options is not None
    assert asked.settings.headers == {"X-Scope-OrgID": "shop", "A": "b:c"}
    assert asked.settings.matchers == (("cluster", "eu-1"),)
    assert (asked.settings.bearer_token_file, asked.settings.ca_file) == (token, ca)
    assert asked.settings.timeout_seconds == 5.0
    assert (asked.options.namespaces, asked.options.selectors) == (("shop", "team-*"), ("web-*",))
    assert (asked.options.history_seconds, asked.options.step, asked.options.window_seconds) == (86_400.0, 30.0, 60.0)
    assert (asked.options.cpu_core_hour, asked.options.currency) == (0.05, "EUR")
    assert asked.options.time_zone == "Europe/Berlin"
    assert asked.now == 1_767_225_600.0


def test_nothing_found_is_one_line_and_exit_code_1(run: Run, asked: Survey) -> None:
    asked.answer = NothingFound("no Deployment or StatefulSet in shop: check --namespace")
    result = run("analyze", *URL)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == "trimtab: no Deployment or StatefulSet in shop: check --namespace"


def test_a_prometheus_that_is_not_there_is_one_line_and_exit_code_1(run: Run) -> None:
    result = run("analyze", "--prometheus-url", "http://127.0.0.1:9", "--timeout", "2s", "--workers", "0")
    assert result.exit_code == 1
    assert "127.0.0.1:9 cannot be reached" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_file_that_cannot_be_written_is_one_line(run: Run, asked: Survey, tmp_path: Path) -> None:
    result = run("analyze", *URL, "--output", str(tmp_path / "none" / "out.html"))
    assert result.exit_code == 1
    assert "No such file" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param((), "--prometheus-url", id="no address"),
        pytest.param(("--prometheus-url", "prometheus:9090"), "http://", id="no scheme"),
        pytest.param((*URL, "--history", "week"), "--history", id="history"),
        pytest.param((*URL, "--history", "1m", "--step", "5m"), "not shorter than history", id="step above history"),
        pytest.param((*URL, "--header", "X"), "--header", id="header"),
        pytest.param((*URL, "--metric-label", "eu"), "--metric-label", id="label"),
        pytest.param((*URL, "--format", "pdf"), "--format", id="format"),
        pytest.param((*URL, "--until", "soon"), "--until", id="until"),
        pytest.param((*URL, "--until", "nan"), "--until", id="until no number"),
        pytest.param((*URL, "--sensitivity", "Max"), "--sensitivity", id="sensitivity"),
        pytest.param((*URL, "--time-zone", "Europe/Atlantis"), "timeZone Europe/Atlantis is not", id="time zone"),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: tuple[str, ...], words: str) -> None:
    result = run("analyze", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
