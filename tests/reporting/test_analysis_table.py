"""The table of an analysis fits the terminal, and is complete where the width is not limited."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from tests.reporting.analysis_building import CPU, busy, many, report, silent
from trimtab.reporting.analysis import AnalysisReport, Difference, difference, totals
from trimtab.reporting.analysis_table import DIFFERENCE_STYLE, lines


def plain(shown: AnalysisReport, width: int | None) -> list[str]:
    return [line.plain for line in lines(shown, width)]


def table(shown: AnalysisReport, width: int | None) -> list[str]:
    """The table without the totals below, whose sentences may wrap."""
    text = plain(shown, width)
    return text[: text.index("")]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200, 300])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = busy("recommendation-engine-with-a-name-that-fills-all-63-characters-x", "team-with-a-long-name-too")
    shown = report(long, busy(), silent(), busy("db", cpu=replace(CPU, request=12.345, recommended=123.4)))
    assert max(cell_len(line) for line in table(shown, width)) <= width


def test_a_thousand_rows_fit_80_columns_and_none_is_dropped() -> None:
    text = table(many(1000), 80)
    assert max(map(cell_len, text)) <= 80
    assert sum("workload-" in line for line in text) == 1000


def test_at_80_columns_name_health_and_sizes_stay() -> None:
    text = "\n".join(table(report(), 80))
    for words in (
        "shop",
        "web",
        "72",
        "(-270m) 500m → 230m",
        "(-544Mi) 1Gi → 480Mi",
        "Lower the CPU request",
        "no data",
    ):
        assert words in text


def test_piped_on_every_column_is_there_and_nothing_is_cut() -> None:
    name = "x" * 63
    text = table(report(busy(name)), None)
    for title in (
        "NAMESPACE",
        "KIND",
        "PODS",
        "TREND",
        "SEASON",
        "ANOMALIES 24H",
        "PEAK AHEAD",
        "COST",
        "SAVES",
        "ADVICE",
    ):
        assert title in text[0]
    for words in (name, "+12 %/day", "1d", "1 Spike", "1.5 cores in 2h", "20.00", "12.00", "Lower the CPU request"):
        assert words in text[1]


def test_a_cut_name_is_shown_whole_below() -> None:
    name = "recommendation-engine-with-a-long-name"
    text = table(report(busy(name)), 80)
    assert name not in text[1]
    assert f"{name}: Lower the CPU request" in text[2]


def test_rows_without_data_say_why() -> None:
    text = "\n".join(table(report(silent()), None))
    assert "no data: query container_cpu_usage_seconds_total of pods returned nothing" in text


def test_totals_come_last_and_name_the_query_that_found_nothing() -> None:
    text = plain(report(warning="a store did not answer"), 80)
    assert text[-5:] == [
        "4 workloads: 3 analysed, 1 without data",
        "requests cost 30.00 USD a month, 38.00 as recommended: 12.00 can be saved, 20.00 more is needed elsewhere",
        "0 with health below 50; 3 anomalies in the last 24 hours",
        "no data for 1: container_cpu_usage_seconds_total of pods returned nothing",
        "warning: a store did not answer",
    ]


def test_sizes_have_the_colour_of_their_difference() -> None:
    line = next(line for line in lines(report(busy()), None) if "web" in line.plain)
    styles = {line.plain[span.start : span.end]: str(span.style) for span in line.spans}
    assert styles["(-270m) 500m → 230m"] == DIFFERENCE_STYLE[Difference.WARNING]
    assert styles["(-544Mi) 1Gi → 480Mi"] == DIFFERENCE_STYLE[Difference.CRITICAL]


@pytest.mark.parametrize(
    ("request_", "recommended", "expected"),
    [
        (1.0, 1.05, Difference.GOOD),
        (1.0, 1.15, Difference.OK),
        (1.0, 0.7, Difference.WARNING),
        (1.0, 2.0, Difference.CRITICAL),
        (0.0, 0.1, Difference.WARNING),
        (1.0, float("nan"), Difference.UNKNOWN),
    ],
)
def test_differences_are_those_that_krr_users_know(request_: float, recommended: float, expected: Difference) -> None:
    assert difference(request_, recommended, (0.1, 0.25, 0.5)) is expected


def test_totals_of_nothing_are_zero() -> None:
    none = totals(())
    assert (none.workloads, none.monthly_cost, none.possible_saving) == (0, 0, 0)
