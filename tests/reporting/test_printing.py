"""Nothing that a cluster says steers the terminal: on every page, in every format, in complaints and in the log."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group, RenderableType

from tests.planning.building import CPU_UP, plan, policy, policy_spec, run, size
from tests.reporting.analysis_building import busy, report
from trimtab import cli, logs
from trimtab.commands.analyze import Format, _text
from trimtab.domain.objects import InvalidSpec
from trimtab.domain.printable import printable
from trimtab.domain.run import Phase
from trimtab.domain.run_status import RunStatus, RunSummary, TimelineEntry
from trimtab.domain.status import Condition, PolicyStatus, Recommendation, Summary
from trimtab.reporting.analysis_table import lines
from trimtab.reporting.printing import SafeConsole, complain, say
from trimtab.reporting.terminal import explanation, overview

EVIL: Final = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u2066\u200f\x7f\x08\r\u2028"
STEERS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
OWN: Final = re.compile(r"\x1b\[[0-9;]*m")
"""Colours, which are ours."""


def hostile_status() -> PolicyStatus:
    condition = Condition(type="Ready", status="True", reason="Auto", message="m").model_copy(
        update={"message": EVIL, "reason": EVIL}
    )
    summary = Summary(replicas="4→6", objectives="2/2 met").model_copy(update={"change": EVIL, "savings": EVIL})
    advice = Recommendation(replicas=6, containers=[size(name="app")], reason="r").model_copy(update={"reason": EVIL})
    return PolicyStatus(conditions=[condition], summary=summary, recommendation=advice)


def hostile_run() -> Any:
    entry = TimelineEntry(phase=Phase.FAILED, at=0.0, reason="r").model_copy(update={"reason": EVIL})
    found = plan(CPU_UP).model_copy(update={"reason": EVIL, "evidence": {EVIL: EVIL}})
    summary = RunSummary(change="c").model_copy(update={"change": EVIL})
    return run(RunStatus(phase=Phase.FAILED, plan=found, summary=summary, timeline=[entry]), name=EVIL)


PAGES: Final[dict[str, Callable[[], RenderableType]]] = {
    "get": lambda: overview(
        [policy(policy_spec(vertical={}), status=hostile_status(), name=EVIL, namespace=EVIL)],
        [replace(hostile_run(), policy_name=EVIL, namespace=EVIL)],
        namespaced=True,
        now=0.0,
    ),
    "get an invalid spec": lambda: overview([policy(name=EVIL)], [], namespaced=False, now=0.0),
    "explain": lambda: explanation(
        policy(policy_spec(vertical={}), status=hostile_status(), name=EVIL), [hostile_run()], now=0.0
    ),
    "explain an invalid spec": lambda: explanation(replace(policy(name=EVIL), spec=InvalidSpec(EVIL)), [], now=0.0),
    "analyze": lambda: Group(*lines(hostile_report(), 100)),
}


def hostile_report() -> Any:
    return replace(report(busy(EVIL, EVIL, unit=EVIL, message=EVIL)), warning=EVIL, currency=EVIL, source=EVIL)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("width", [60, 200])
def test_a_page_holds_no_control_but_our_colours(page: Callable[[], RenderableType], width: int) -> None:
    out = io.StringIO()
    SafeConsole(file=out, width=width, force_terminal=True, color_system="standard").print(page())
    shown = OWN.sub("", out.getvalue())
    assert "\\u001b" in "".join(shown.split())
    assert STEERS.search(shown) is None


@pytest.mark.parametrize("form", Format, ids=lambda form: form.value)
def test_a_report_in_any_format_holds_none(form: Format) -> None:
    text = _text(hostile_report(), form)
    assert STEERS.search(text) is None
    assert "owned" in text
    if form is Format.JSON:
        assert json.loads(text)["workloads"][0]["name"] == EVIL, "for a program it is the same"
    if form is Format.YAML:
        assert yaml.safe_load(text)["workloads"][0]["name"] == EVIL


def test_what_is_said_and_complained_of_holds_none(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    complain(f"{EVIL}\nand more")
    shown = capsys.readouterr()
    assert STEERS.search(shown.out + shown.err) is None
    assert shown.err.count("\n") == 1


def test_the_command_line_prints_by_these_alone() -> None:
    assert isinstance(cli._out, SafeConsole)
    folder = Path(cli.__file__).parent
    for file in (folder / "cli.py", *(folder / "commands").glob("*.py")):
        called = {node.func.id for node in ast.walk(ast.parse(file.read_text()))
                  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
        assert not called & {"print", "Console"}, file.name


@pytest.fixture
def _logging() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers, root.level, structlog.get_config())
    yield
    root.handlers, root.level = before[0], before[1]
    structlog.configure(**before[2])


@pytest.mark.usefixtures("_logging")
@pytest.mark.parametrize("form", ["json", "console"])
def test_the_log_holds_none(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", form)
    logging.getLogger("elsewhere").warning("%s", EVIL)
    logging.getLogger("elsewhere").error("from %s", ValueError(EVIL), exc_info=ValueError(EVIL))
    shown = capsys.readouterr().err
    assert STEERS.search(shown) is None
    assert shown.count("owned") >= 3


@given(st.text())
def test_what_is_printable_stays_so_and_is_left_alone(text: str) -> None:
    once = printable(text)
    assert STEERS.search(once) is None
    assert printable(once) == once
    assert all(unicodedata.category(character) != "Cc" or character in "\n\t" for character in once)
    if STEERS.search(text) is None:
        assert once == text


def test_a_status_is_written_without_them() -> None:
    told = Condition(type="Ready", status="True", reason="Auto", message=EVIL)
    assert STEERS.search(told.message) is None
