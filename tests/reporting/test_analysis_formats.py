"""JSON, YAML, CSV and Markdown of an analysis: names that stay, and text that stays text."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from html.parser import HTMLParser

import yaml

from tests.reporting.analysis_building import busy, report, silent
from trimtab.reporting.analysis_formats import COLUMNS, to_csv, to_json, to_markdown, to_yaml

HOSTILE = "=cmd|' /C calc'!A0\n<b>|x`"


def test_json_has_stable_names_and_null_for_the_unknown() -> None:
    whole = json.loads(to_json(report()))
    assert list(whole) == [
        *("source", "at", "history_seconds", "step_seconds", "horizon_seconds", "confidence_percent"),
        *("currency", "warning", "totals", "workloads"),
    ]
    assert whole["totals"]["possible_saving"] == 12.0
    assert whole["totals"]["empty_queries"] == [{"query": "container_cpu_usage_seconds_total of pods", "workloads": 1}]
    silent_one, _, web, odd = whole["workloads"]
    assert list(web) == [
        *("namespace", "kind", "name", "replicas", "state", "message", "health", "trend", "seasons", "anomalies"),
        *("demand", "forecast", "cpu", "memory", "containers", "monthly_cost", "recommended_monthly_cost"),
        *("monthly_saving", "recommendations"),
    ]
    assert web["cpu"] == {
        "request_cores": 0.5,
        "limit_cores": 1.0,
        "p95_cores": 0.2,
        "recommended_cores": 0.23,
        "recommended_limit_cores": 1.0,
        "difference": "Warning",
    }
    assert web["anomalies"][0]["start"] == "2027-01-15T06:00:00Z"
    assert web["forecast"]["peak_at"] == "2027-01-15T10:00:00Z"
    assert odd["monthly_cost"] is None
    assert silent_one["state"] == "NoData"
    assert silent_one["forecast"] == {"model": None, "reason": silent_one["message"]}
    assert silent_one["health"]["score"] is None


def test_yaml_is_the_same_as_json() -> None:
    assert yaml.safe_load(to_yaml(report())) == json.loads(to_json(report()))


def test_csv_has_a_row_a_workload_under_stable_columns() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(report()))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["name"] for row in rows] == ["ghost", "db", "web", "odd"]
    web = rows[2]
    assert (web["cpu_request_cores"], web["cpu_recommended_cores"], web["monthly_saving"]) == ("0.5", "0.23", "12.0")
    assert (web["season_seconds"], web["anomalies_24h"], web["anomaly_severity"]) == ("86400.0", "1", "Critical")
    assert rows[0]["state"] == "NoData"
    assert rows[0]["cpu_request_cores"] == ""
    assert "container_cpu_usage_seconds_total" in rows[0]["message"]


def test_csv_gives_a_spreadsheet_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(report(busy(HOSTILE))))))
    assert rows[0]["name"] == f"'{HOSTILE}"


def test_csv_keeps_negative_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(report(busy(recommended_monthly_cost=50.0))))))
    assert rows[0]["monthly_saving"] == "-30.0"


def test_markdown_keeps_its_columns_whatever_a_name_is() -> None:
    text = to_markdown(report(busy(HOSTILE), busy(), silent()))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    plain = [row.replace("\\\\", "").replace("\\|", "") for row in rows]
    assert set(Counter(row.count("|") for row in plain)) == {14}
    assert len(rows) == 5
    assert "<b>" not in text
    assert "(-270m) 500m → 230m" in text


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def test_markdown_has_no_html() -> None:
    parser = _Seen()
    parser.feed(to_markdown(report(busy(HOSTILE))))
    assert parser.tags == []
