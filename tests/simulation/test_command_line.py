"""`python -m trimtab.simulation`: what it writes, and what it says when something is wrong."""

import re
import time
from pathlib import Path

import pytest

from trimtab.simulation.__main__ import main, moment

TEXT = """
services:
- name: shop
  namespace: test
  replicas: 2
  arrivals: {kind: Diurnal, low: 20, high: 80}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("replicas", ["fixed", "hpa", "random"])
def test_backfill(scenario: Path, capsys: pytest.CaptureFixture[str], replicas: str) -> None:
    out = scenario.with_name("history.om")
    arguments = ["backfill", str(scenario), "--start", "1700000000", "--end", "2023-11-14T22:14:20", "--step", "15"]
    assert main([*arguments, "--out", str(out), "--replicas", replicas]) == 0
    assert "samples of" in capsys.readouterr().out
    text = out.read_text()
    assert text.endswith("# EOF\n")
    asked = re.findall(r"^kube_deployment_spec_replicas\S+ (\S+) (\S+)$", text, re.MULTILINE)
    assert [at for _, at in asked] == [f"{1_700_000_000.0 + 15 * step}" for step in range(1, 5)]
    assert replicas != "fixed" or {count for count, _ in asked} == {"2.0"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(("Diurnal", "Sawtooth"), "services.0.arrivals", id="unknown-shape"),
        pytest.param(("low: 20", "low: -1"), "low: Input should be greater than or equal to 0", id="negative"),
        pytest.param(("services:", "services: ]"), "scenario.yaml", id="no-yaml"),
        pytest.param((TEXT, "[]"), "valid dictionary", id="no-scenario"),
    ],
)
def test_a_bad_scenario_is_explained(
    scenario: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], message: str
) -> None:
    scenario.write_text(TEXT.replace(*change))
    assert main(["backfill", str(scenario), "--start", "now-1m", "--out", str(scenario.with_name("o"))]) == 2
    assert message in capsys.readouterr().err


def test_an_empty_range_is_explained(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(scenario.with_name("history.om"))
    assert main(["backfill", str(scenario), "--start", "now", "--end", "now-5m", "--out", out]) == 2
    assert "no step of 1.0 s fits" in capsys.readouterr().err


def test_no_kubeconfig_is_explained(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(scenario), "--kubeconfig", str(scenario.with_name("nothing"))]) == 2
    assert "kube" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1700000000", 1_700_000_000, id="unix"),
        pytest.param("2023-11-14T22:13:20", 1_700_000_000, id="iso-is-utc"),
        pytest.param("2023-11-14T23:13:20+01:00", 1_700_000_000, id="iso-with-a-zone"),
    ],
)
def test_moments(text: str, expected: float) -> None:
    assert moment(text) == expected


def test_moments_before_now() -> None:
    assert moment("now-90m") == pytest.approx(time.time() - 5400, abs=5)
    with pytest.raises(ValueError, match="yesterday"):
        moment("yesterday")
