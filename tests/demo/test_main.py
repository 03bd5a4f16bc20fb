"""The command line: what a person can mend is one line, and exit code 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo.__main__ import main

UNUSABLE: list[Any] = [
    pytest.param(None, "No such file", id="no file"),
    pytest.param("time,value\n0,1\n60,x\n", "trace.csv:3: 'x'", id="no number"),
    pytest.param("time,value\n0,1\n60,1\n", "choose a lower --speed", id="too short"),
]


@pytest.mark.parametrize(("text", "said"), UNUSABLE)
def test_an_unusable_trace_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    trace = tmp_path / "trace.csv"
    if text is not None:
        trace.write_text(text)
    monkeypatch.setattr("sys.argv", ["demo", "--output", str(tmp_path / "out"), "--trace", str(trace)])
    assert main() == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_a_speed_of_zero_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["demo", "--trace", "trace.csv", "--speed", "0"])
    with pytest.raises(SystemExit):
        main()
    assert "0 is not above 0" in capsys.readouterr().err
