"""The report of a story made by hand: every section is there, whatever happened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo import cast
from demo.judging import Killing, Lead, Patch, Promise, RawMeans, Track
from demo.report import write_report
from demo.screen import Screen
from demo.story import Story
from demo.watching import Note
from tests.demo.test_judging import BAD, IMPOSSIBLE, TRIAL

BEGINS_AT = 1_767_225_600.0
TIMES = BEGINS_AT + np.arange(0.0, 200.0)
TRACK = Track(TIMES, np.full(200, 300.0), np.full(200, 0.1), np.full(200, 5.0), np.full(200, 0.5))
PATCH = Patch(BEGINS_AT + 60, 2, 3)


def moved(trial: Any, name: str) -> Any:
    return replace(
        trial, name=name, applied_at=BEGINS_AT + 40, validate_from=BEGINS_AT + 60, measured_at=(BEGINS_AT + 60,)
    )


RUN: dict[str, Any] = {
    "metadata": {"name": "payments-1"},
    "spec": {"policyRef": {"name": cast.PAYMENTS}},
    "status": {
        "timeline": [{"at": "2026-01-01T00:00:40Z", "phase": "Applying", "reason": "a | b"}],
        "plan": {"evidence": {"demandNow": "80 requests/s"}},
        "measurements": [{"at": "2026-01-01T00:01:00Z", "value": "0.1", "expected": "0.1", "result": "Pass"}],
    },
}
PLAYED = Story(
    begins_at=BEGINS_AT,
    ends_at=BEGINS_AT + 199,
    history_samples=1000,
    notes=(Note(1.0, cast.CATALOG, "killed", by_operator=False), Note(2.0, cast.CATALOG, "RolledBack: worse")),
    tracks=dict.fromkeys(cast.PARTS, TRACK),
    history=dict.fromkeys(cast.PARTS, TRACK),
    capacity_per_replica=79.0,
    patches={name: [PATCH] for name in (cast.CHECKOUT, cast.REACTIVE)},
    leads={
        cast.CHECKOUT: [Lead(PATCH, 158.0, PATCH.at + 16)],
        cast.REACTIVE: [Lead(PATCH, 158.0, None)],
    },
    trials={
        cast.PAYMENTS: moved(TRIAL, "payments-1"),
        cast.SEARCH: moved(BAD, "search-1"),
        cast.CATALOG: moved(BAD, "catalog-cheaper"),
        cast.BILLING: replace(moved(IMPOSSIBLE, "billing-larger"), undone_at=BEGINS_AT + 52),
    },
    raw={
        cast.PAYMENTS: RawMeans((100.0, 300.0), (0.07, 0.1)),
        cast.SEARCH: RawMeans((300.0, 90.0), (0.2, 0.1)),
        cast.CATALOG: None,
    },
    killing=Killing(
        1, BEGINS_AT + 61, 9, 2, BEGINS_AT + 70, "{}", "{1}", "{}", 1, "Validating", {"search": "Settling"}
    ),
    promises=(Promise("one", ("seen",)), Promise("two", ("seen",), ("late",))),
    captures={"kubectl get perf,orun -A, at the end": "NAME", "kubectl describe perf": "Name: checkout"},
    runs=[RUN],
)
NOTHING_HAPPENED = replace(
    PLAYED,
    trials=dict.fromkeys((cast.PAYMENTS, cast.SEARCH, cast.CATALOG, cast.BILLING)),
    raw=dict.fromkeys((cast.PAYMENTS, cast.SEARCH, cast.CATALOG)),
    killing=None,
    runs=[],
    captures={},
    notes=(),
)


@pytest.mark.parametrize("story", [pytest.param(PLAYED, id="played"), pytest.param(NOTHING_HAPPENED, id="nothing")])
def test_a_report_is_written_with_its_plots(tmp_path: Path, story: Story) -> None:
    text = write_report(tmp_path, story).read_text()
    assert "**1 of 2 promises were kept.**" in text
    assert all((tmp_path / name).read_text().startswith("<svg") for name in ("checkout.svg", "catalog.svg"))


def test_a_report_tells_leads_means_and_the_kill(tmp_path: Path) -> None:
    text = write_report(tmp_path, PLAYED).read_text()
    assert "| 60.0 s | 2→3 | 158 requests/s | 76 s | +16.0 s |" in text
    assert "| 60.0 s | 2→3 | 158 requests/s | never: headroom |  |" in text
    assert "| raw p99, ms | 70 | 100 | +43 % |" in text
    assert "killed with SIGKILL at 61.0 s" in text
    assert "**RolledBack** at 52 s: the change did not reach its pods" in text
    assert "| 40 s | Applying | a \\| b |" in text, "a bar in a cell would end it"


def test_the_outcome_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().outcome(PLAYED.promises)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("seen instead: late" in line for line in lines)
