"""A malformed setting gives one line and exit code 2, and shows nothing of what may be secret."""

from __future__ import annotations

import sys
from typing import Final

import pytest

from trimtab.cli import main

CANARY: Final = "canary-5f0e"
GOOD: Final = ("--prometheus-url", "http://localhost:9090", "--namespace", "shop")


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command complains in."""
    monkeypatch.setattr(sys, "argv", ["trimtab", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    shown = capsys.readouterr()
    assert (end.value.code, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert CANARY not in shown.err
    return shown.err


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("PROMETHEUS_HEADERS", f"X-Org: {CANARY}", "TRIMTAB_PROMETHEUS_HEADERS: is not JSON"),
        ("PROMETHEUS_HEADERS", f'["{CANARY}"]', "prometheus_headers: Input should be a valid dictionary"),
        ("PROMETHEUS_HEADERS", f'{{"X-Org": "{CANARY}\\n"}}', "TRIMTAB_PROMETHEUS_HEADERS: the value of X-Org has a"),
        ("STORE_URL", f"postgresql://ann:{CANARY}@db:port/x", "store_url: it is no URL"),
        ("SCRAPE_INTERVAL_SECONDS", CANARY, "scrape_interval_seconds: Input should be a valid number"),
        ("METRICS_PORT", "99999", "metrics_port: Input should be less than or equal to 65535"),
        ("LEASE_DURATION", "5s", "retry < renew deadline < duration must hold"),
        ("LEASE_NAMESPACE", "No_Name", "lease_namespace: "),
    ],
)
def test_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, wrong: str
) -> None:
    monkeypatch.setenv(f"TRIMTAB_{name}", value)
    assert wrong in told(monkeypatch, capsys, "operator", *GOOD)


@pytest.mark.parametrize("url", [f"ann:{CANARY}@prometheus", f"http://ann:{CANARY}@prometheus:99999"])
@pytest.mark.parametrize("command", ["operator", "analyze"])
def test_of_an_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, url: str
) -> None:
    shown = told(monkeypatch, capsys, command, "--prometheus-url", url, "--namespace", "shop")
    assert "PROMETHEUS_URL: " in shown or "the URL of Prometheus: " in shown


def test_of_a_header(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(monkeypatch, capsys, "analyze", *GOOD, "--header", f"X-Org: {CANARY}→")
    assert "headers for Prometheus: the value of X-Org has a letter" in shown


def test_of_neither_scope_nor_another(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert "either --namespace NAME" in told(monkeypatch, capsys, "operator", *GOOD[:2])
