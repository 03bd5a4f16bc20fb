"""An analysis as one HTML file: works offline, asks for nothing, prints, and draws a workload when it is opened."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from trimtab.domain.series import FloatArray
from trimtab.domain.status_types import format_time
from trimtab.domain.units import format_cpu, format_memory, format_number
from trimtab.reporting import analysis_text as words
from trimtab.reporting.analysis import AnalysisReport, ContainerEntry, Sizing, State, WorkloadEntry
from trimtab.reporting.styles import score_band

_HERE: Final = Path(__file__).parent
_DIGITS, _MEMORY_DIGITS = 3, 4
"""Significant digits of a plotted value: more cannot be seen."""
_MEBIBYTE: Final = 2.0**20
_MEMORY: Final = "memory/"
"""Beginning of the names of signals whose anomalies are marked on the plot of the memory."""


def to_html(report: AnalysisReport) -> str:
    """The page. Names, messages and queries come from a cluster: all are escaped."""
    return (
        _environment()
        .get_template("analysis.html.j2")
        .render(
            report=report,
            totals=report.totals,
            workloads=[(index, entry) for index, entry in enumerate(report.entries)],
            plots=_embedded([_plot(entry) for entry in report.entries]),
            script=_static("uplot.iife.min.js"),
            style=_static("uplot.min.css"),
            page_script=Markup((_HERE / "templates" / "analysis.js").read_text(encoding="utf-8")),  # noqa: S704 - our own
            page_style=Markup((_HERE / "templates" / "analysis.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, State=State, isfinite=math.isfinite)
    environment.filters.update(
        time=format_time, number=format_number, cpu=words.cores, memory=words.size, band=score_band, patch=patch
    )
    return environment


def _static(name: str) -> Markup:
    return Markup((_HERE / "static" / name).read_text(encoding="utf-8"))  # noqa: S704 - a vendored file


def patch(entry: WorkloadEntry) -> str:
    """The recommended sizes as a strategic merge patch, fit for kubectl or a GitOps repository; empty without any."""
    containers = [found for one in entry.containers if (found := _container_patch(one))]
    if not containers:
        return ""
    body = {
        "apiVersion": "apps/v1",
        "kind": entry.kind,
        "metadata": {"name": entry.name, "namespace": entry.namespace},
        "spec": {"template": {"spec": {"containers": containers}}},
    }
    return yaml.safe_dump(body, sort_keys=False)


def _container_patch(one: ContainerEntry) -> dict[str, Any]:
    resources: dict[str, dict[str, str]] = {}
    for name, part, write in (("cpu", one.cpu, format_cpu), ("memory", one.memory, format_memory)):
        if not part.changes:
            continue
        resources.setdefault("requests", {})[name] = write(part.recommended)
        if part.recommended_limit > 0 and part.recommended_limit != part.limit:
            resources.setdefault("limits", {})[name] = write(part.recommended_limit)
    return {"name": one.name, "resources": resources} if resources else {}


def _plot(entry: WorkloadEntry) -> dict[str, Any] | None:
    """What the script draws, in short names, as there may be a thousand."""
    drawn = entry.plot
    if drawn is None:
        return None
    return {
        "s": drawn.start,
        "d": drawn.step_seconds,
        "y": _numbers(drawn.demand),
        "us": drawn.usage_start,
        "ud": drawn.usage_step_seconds,
        "c": _numbers(drawn.cpu),
        "m": _numbers(drawn.memory / _MEBIBYTE, _MEMORY_DIGITS),
        "as": drawn.ahead_start,
        "ad": drawn.ahead_step_seconds,
        "f": _numbers(drawn.mean),
        "l": _numbers(drawn.lower),
        "u": _numbers(drawn.upper),
        "x": [[one.start, one.end] for one in entry.anomalies if not one.signal.startswith(_MEMORY)],
        "mx": [[one.start, one.end] for one in entry.anomalies if one.signal.startswith(_MEMORY)],
        "unit": entry.unit,
        "cpu": _levels(entry.cpu),
        "memory": _levels(entry.memory),
    }


def _levels(part: Sizing) -> list[float | None]:
    """Request and recommended request, null where there is none."""
    recommended = part.recommended if part.changes else math.nan
    return [level if math.isfinite(level) and level > 0 else None for level in (part.request, recommended)]


def _numbers(values: FloatArray, digits: int = _DIGITS) -> list[float | None]:
    rounded = (float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values.tolist())
    return [int(value) if value is not None and value.is_integer() else value for value in rounded]


def _embedded(data: object) -> Markup:
    """JSON that nothing in it can end the script element that holds it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)  # noqa: S704 - escaped above
