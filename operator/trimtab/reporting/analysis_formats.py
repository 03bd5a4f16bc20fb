"""An analysis for machines and documents: JSON, YAML, CSV and Markdown, with names that stay. Pure."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any, Final

import yaml

from trimtab.analytics.anomaly import Anomaly
from trimtab.domain.status_types import format_time
from trimtab.reporting import analysis_text as words
from trimtab.reporting.analysis import AnalysisReport, ContainerEntry, Recommendation, Sizing, State, WorkloadEntry

Record = dict[str, Any]
COLUMNS: Final = (
    "namespace",
    "kind",
    "name",
    "replicas",
    "state",
    "health",
    "trend",
    "trend_percent_per_hour",
    "season_seconds",
    "anomalies_24h",
    "anomaly_severity",
    "unit",
    "demand",
    "forecast_peak",
    "forecast_peak_upper",
    "forecast_peak_at",
    "cpu_request_cores",
    "cpu_p95_cores",
    "cpu_recommended_cores",
    "cpu_difference",
    "memory_request_bytes",
    "memory_peak_bytes",
    "memory_recommended_bytes",
    "memory_difference",
    "currency",
    "monthly_cost",
    "recommended_monthly_cost",
    "monthly_saving",
    "recommendation",
    "message",
)
"""Columns of the CSV, one row a workload; amounts are of one pod, empty when unknown."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def to_json(report: AnalysisReport) -> str:
    """The whole report as JSON; unknown numbers are null."""
    return json.dumps(record(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_yaml(report: AnalysisReport) -> str:
    """The same as YAML."""
    return yaml.safe_dump(record(report), sort_keys=False, allow_unicode=True)


def to_csv(report: AnalysisReport) -> str:
    """One row a workload under `COLUMNS`; text that a spreadsheet would take for a formula gets an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in report.entries:
        row = _row(entry, report)
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])
    return out.getvalue()


def to_markdown(report: AnalysisReport) -> str:
    """Totals and a table, for a ticket or a page."""
    totals = [f"- {_escaped(sentence)}" for sentence in words.summary(report)]
    head = (
        f"Prometheus {_escaped(report.source)}, {words.span(report.history_seconds)} up to {format_time(report.at)}"
        f" in steps of {words.span(report.step_seconds)}."
    )
    titles = (
        *("Namespace", "Workload", "Replicas", "Health", "Trend", "Season", "Anomalies 24h", "Peak ahead"),
        *("CPU request", "Memory request", f"{report.currency} a month", "Saves", "Advice"),
    )
    lines = ["# Workload analysis", "", head, "", *totals, ""]
    lines += [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for entry in report.entries:
        cells = (
            entry.namespace,
            f"{entry.kind} {entry.name}",
            str(entry.replicas),
            words.health(entry),
            words.trend(entry.trend),
            words.season(entry),
            words.anomalies(entry),
            words.peak(entry, report.at),
            words.cpu(entry),
            words.memory(entry),
            words.money(entry.monthly_cost),
            words.money(entry.saving),
            entry.advice,
        )
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    return "\n".join(lines) + "\n"


def record(report: AnalysisReport) -> Record:
    """The report in plain types, which JSON and YAML share."""
    totals = report.totals
    return {
        "source": report.source,
        "at": format_time(report.at),
        "history_seconds": report.history_seconds,
        "step_seconds": report.step_seconds,
        "horizon_seconds": report.horizon_seconds,
        "confidence_percent": report.confidence_percent,
        "currency": report.currency,
        "warning": report.warning,
        "totals": {
            "workloads": totals.workloads,
            "analyzed": totals.analyzed,
            "without_data": totals.without_data,
            "failed": totals.failed,
            "unhealthy": totals.unhealthy,
            "anomalies_24h": totals.anomalies,
            "monthly_cost": number(totals.monthly_cost, 2),
            "recommended_monthly_cost": number(totals.recommended_monthly_cost, 2),
            "possible_saving": number(totals.possible_saving, 2),
            "needed_more": number(totals.needed_more, 2),
            "empty_queries": [{"query": query, "workloads": count} for query, count in totals.empty_queries],
        },
        "workloads": [_workload(entry) for entry in report.entries],
    }


def anomaly(one: Anomaly) -> Record:
    """An anomaly in plain types."""
    return {
        "signal": one.signal,
        "kind": one.kind.value,
        "severity": one.severity.value,
        "start": format_time(one.start),
        "end": format_time(one.end) if one.end is not None else None,
        "value": number(one.value),
        "expected": number(one.expected),
        "score": number(one.score),
        "evidence": one.evidence,
    }


def number(value: float, digits: int | None = None) -> float | None:
    """A number for JSON, at six significant digits or rounded to ``digits``; None when it is not finite.

    >>> number(0.12345678), number(12.345, 2), number(float("nan"))
    (0.123457, 12.35, None)
    """
    if not math.isfinite(value):
        return None
    return round(value, digits) if digits is not None else float(f"{value:.6g}")


def _workload(entry: WorkloadEntry) -> Record:
    return {
        "namespace": entry.namespace,
        "kind": entry.kind,
        "name": entry.name,
        "replicas": entry.replicas,
        "state": entry.state.value,
        "message": entry.message,
        "health": {
            "score": number(entry.health.score, 1),
            "reason": entry.health.reason,
            "factors": [
                {"name": one.name, "score": number(one.score, 1), "reason": one.reason} for one in entry.health.factors
            ],
        },
        "trend": {
            "direction": entry.trend.direction.value,
            "percent_per_hour": number(entry.trend.percent_per_hour),
        }
        if entry.trend is not None
        else None,
        "seasons": [
            {"period_seconds": number(one.period_seconds), "strength_percent": number(one.strength_percent)}
            for one in entry.seasons
        ],
        "anomalies": [anomaly(one) for one in entry.anomalies],
        "demand": {"unit": entry.unit, "now": number(entry.demand)},
        "forecast": {
            "model": entry.ahead.model,
            "reliable": entry.ahead.reliable,
            "reason": entry.ahead.reason,
            "peak": number(entry.ahead.peak),
            "peak_upper": number(entry.ahead.peak_upper),
            "peak_at": format_time(entry.ahead.peak_at),
        }
        if entry.ahead is not None
        else {"model": None, "reason": entry.no_forecast or entry.message},
        "cpu": _sizing(entry.cpu, "cores", "p95", entry.cpu_difference.value),
        "memory": _sizing(entry.memory, "bytes", "peak", entry.memory_difference.value),
        "containers": [_container(one) for one in entry.containers],
        "monthly_cost": number(entry.monthly_cost, 2),
        "recommended_monthly_cost": number(entry.recommended_monthly_cost, 2),
        "monthly_saving": number(entry.saving, 2),
        "recommendations": [_recommendation(one) for one in entry.recommendations],
    }


def _container(one: ContainerEntry) -> Record:
    return {
        "name": one.name,
        "cpu": _sizing(one.cpu, "cores", "p95"),
        "memory": _sizing(one.memory, "bytes", "peak"),
    }


def _sizing(part: Sizing, unit: str, used: str, difference: str | None = None) -> Record:
    """Amounts of one resource; null where not set or not known."""
    found: Record = {
        f"request_{unit}": _amount(part.request),
        f"limit_{unit}": _amount(part.limit),
        f"{used}_{unit}": _amount(part.used),
        f"recommended_{unit}": _amount(part.recommended),
        f"recommended_limit_{unit}": _amount(part.recommended_limit),
    }
    return found if difference is None else found | {"difference": difference}


def _amount(value: float) -> float | None:
    return number(value) if value > 0 else None


def _recommendation(one: Recommendation) -> Record:
    return {
        "title": one.title,
        "kind": one.kind,
        "severity": one.severity.value,
        "reason": one.reason,
        "evidence": one.evidence,
        "effect": one.effect,
        "how": one.how,
        "monthly_saving": number(one.monthly_saving, 2),
        "confidence_percent": number(one.confidence_percent, 0),
    }


def _row(entry: WorkloadEntry, report: AnalysisReport) -> Record:
    found = _workload(entry)
    trend = found["trend"] or {}
    top = words.worst(entry.anomalies)
    return {
        **{name: value for name, value in found.items() if name in COLUMNS},
        **{
            f"{part}_{name}": value
            for part in ("cpu", "memory", "forecast")
            for name, value in found[part].items()
            if f"{part}_{name}" in COLUMNS
        },
        "health": found["health"]["score"],
        "trend": trend.get("direction"),
        "trend_percent_per_hour": trend.get("percent_per_hour"),
        "season_seconds": found["seasons"][0]["period_seconds"] if entry.seasons else None,
        "anomalies_24h": len(entry.anomalies) if entry.state is State.ANALYZED else None,
        "anomaly_severity": top.value if top is not None else None,
        "unit": entry.unit,
        "demand": found["demand"]["now"],
        "currency": report.currency,
        "recommendation": entry.recommendations[0].title if entry.recommendations else None,
    }


def _cell(value: object) -> object:
    """A cell for a spreadsheet."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, in one cell."""
    plain = " ".join(text.split())
    for mark in ("\\", "|", "`", "*", "_", "[", "]"):
        plain = plain.replace(mark, f"\\{mark}")
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
