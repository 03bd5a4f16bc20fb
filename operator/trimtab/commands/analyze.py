"""`trimtab analyze`: every workload of a namespace or a cluster, without custom resources."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.commands.progress import counting
from trimtab.commands.shell import fail, moment, seconds
from trimtab.domain.choices import Sensitivity
from trimtab.reporting.printing import complain, remark

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.adapters.prometheus_connection import PrometheusSettings
    from trimtab.reporting.analysis import AnalysisReport
    from trimtab.survey.gathering import NothingFound, Progress
    from trimtab.survey.options import SurveyOptions


class Format(StrEnum):
    """How a report is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"


_WORKLOAD_SECONDS = 600.0
"""Processor time for one workload: proofs go over its history again and again."""
_BY_SUFFIX = {
    ".json": Format.JSON,
    ".yaml": Format.YAML,
    ".yml": Format.YAML,
    ".csv": Format.CSV,
    ".md": Format.MARKDOWN,
    ".html": Format.HTML,
    ".htm": Format.HTML,
}


def analyze(
    prometheus_url: Annotated[
        str, typer.Option(metavar="URL", help="Address of Prometheus.", envvar="TRIMTAB_PROMETHEUS_URL")
    ],
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", metavar="NAME", help="Namespace or glob; default all. May be repeated."),
    ] = None,
    selector: Annotated[
        list[str] | None,
        typer.Option("--selector", "-l", metavar="GLOB", help="Glob of workload names. May be repeated."),
    ] = None,
    history: Annotated[str, typer.Option(metavar="DURATION", help="How far back is read.")] = "168h",
    step: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Step of the samples; default at most 2,016 a signal.")
    ] = None,
    horizon: Annotated[str, typer.Option(metavar="DURATION", help="How far ahead demand is forecast.")] = "24h",
    sensitivity: Annotated[Sensitivity, typer.Option(help="How readily an anomaly is called.")] = Sensitivity.MEDIUM,
    time_zone: Annotated[
        str, typer.Option(metavar="ZONE", help="Zone of hours and weekdays, such as Europe/Berlin.")
    ] = "UTC",
    scrape_interval: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Scrape interval; default: a rate looks back 5m or one step.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Analyse as of this time, ISO 8601 or unix seconds.")
    ] = None,
    output_format: Annotated[
        Format | None, typer.Option("--format", "-f", help="Default: by the suffix of --output, else table.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write to.")] = None,
    cpu_core_hour: Annotated[
        float | None, typer.Option(min=0, metavar="PRICE", help="Price of a core for an hour.")
    ] = None,
    memory_gib_hour: Annotated[
        float | None, typer.Option(min=0, metavar="PRICE", help="Price of a GiB for an hour.")
    ] = None,
    currency: Annotated[str, typer.Option(metavar="CODE", help="Currency of the prices.")] = "USD",
    header: Annotated[
        list[str] | None, typer.Option(metavar="HEADER", help="'Name: value' sent with each query. May be repeated.")
    ] = None,
    bearer_token_file: Annotated[Path | None, typer.Option(metavar="FILE", help="File with a bearer token.")] = None,
    ca_file: Annotated[Path | None, typer.Option(metavar="FILE", help="CA bundle for Prometheus.")] = None,
    metric_label: Annotated[
        list[str] | None,
        typer.Option(
            "--metric-label",
            "--label",
            metavar="LABEL",
            help="name=value that every series must have, as cluster=eu-1. May be repeated.",
        ),
    ] = None,
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="Longest wait for one query.")] = "60s",
    workers: Annotated[
        int | None, typer.Option(min=0, max=64, metavar="N", help="Processes; default one a processor.")
    ] = None,
) -> None:
    """Analyse every workload that Prometheus knows: health, trend, seasons, anomalies, forecast, sizes and costs."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small problems: threads get in each other's way
    from pydantic import ValidationError

    from trimtab.adapters.credentials import CredentialError
    from trimtab.adapters.prometheus_connection import PrometheusSettings
    from trimtab.domain.objects import explain_invalid
    from trimtab.survey.gathering import NothingFound
    from trimtab.survey.options import SurveyOptions

    try:
        settings = PrometheusSettings(
            url=prometheus_url,
            headers=dict(_pair(text, ":", "--header", secret=True) for text in header or ()),
            bearer_token_file=bearer_token_file,
            ca_file=ca_file,
            matchers=_labels(metric_label or []),
            timeout_seconds=seconds(timeout, "--timeout"),
            round_seconds=60.0 * seconds(timeout, "--timeout"),
        )
    except CredentialError as error:
        complain(str(error))
        raise typer.Exit(2) from error
    options = SurveyOptions(
        namespaces=tuple(namespace or ()),
        selectors=tuple(selector or ()),
        history_seconds=seconds(history, "--history"),
        step_seconds=seconds(step, "--step") if step else None,
        horizon_seconds=seconds(horizon, "--horizon"),
        sensitivity=sensitivity,
        time_zone=time_zone,
        scrape_interval_seconds=seconds(scrape_interval, "--scrape-interval") if scrape_interval else None,
        cpu_core_hour=cpu_core_hour,
        memory_gib_hour=memory_gib_hour,
        currency=currency,
    )
    try:
        options.check()
    except ValidationError as error:
        raise typer.BadParameter(explain_invalid(error)) from error
    now = moment(until, "--until") if until else time.time()
    report = asyncio.run(_survey(settings, options, workers, now))
    if isinstance(report, NothingFound):
        fail(report.reason)
    _write(report, output_format or (_BY_SUFFIX.get(output.suffix.lower()) if output else None) or Format.TABLE, output)


async def _survey(
    settings: PrometheusSettings, options: SurveyOptions, processes: int | None, now: float
) -> AnalysisReport | NothingFound:
    from trimtab.adapters.workers import Workers
    from trimtab.survey.gathering import survey

    workers = Workers(processes if processes is not None else os.cpu_count() or 1, _WORKLOAD_SECONDS)
    try:
        with counting("workloads") as tell:
            return await survey(settings, options, workers, now, _teller(tell))
    finally:
        workers.close()


def _teller(tell: Callable[[int, int], None]) -> Callable[[Progress], None]:
    """Tells a bar on a terminal, and writes a line for each batch elsewhere."""

    def told(progress: Progress) -> None:
        tell(progress.done, progress.workloads)
        if not sys.stderr.isatty():
            remark(
                f"{progress.done} of {progress.workloads} workloads, {progress.requests} queries,"
                f" {progress.seconds:.1f} s"
            )

    return told


def _write(report: AnalysisReport, output_format: Format, output: Path | None) -> None:
    """The report, to a file or the standard output."""
    if output is None:
        if output_format is Format.TABLE:
            _show(report)
        else:
            sys.stdout.write(_text(report, output_format))
        return
    try:
        output.write_text(_text(report, output_format), encoding="utf-8")
    except OSError as error:
        fail(f"{output}: {error.strerror or error}")
    remark(f"{output}: {report.totals.workloads} workloads")


def _text(report: AnalysisReport, output_format: Format) -> str:
    from trimtab.domain.printable import printable

    return printable(_formatted(report, output_format))


def _formatted(report: AnalysisReport, output_format: Format) -> str:
    from trimtab.reporting import analysis_formats, analysis_html, analysis_table

    match output_format:
        case Format.TABLE:
            return "".join(f"{line.plain}\n" for line in analysis_table.lines(report, None))
        case Format.JSON:
            return analysis_formats.to_json(report)
        case Format.YAML:
            return analysis_formats.to_yaml(report)
        case Format.CSV:
            return analysis_formats.to_csv(report)
        case Format.MARKDOWN:
            return analysis_formats.to_markdown(report)
        case Format.HTML:
            return analysis_html.to_html(report)


def _show(report: AnalysisReport) -> None:
    """The table: cut to the terminal and paged where it is longer, or whole where it is piped on."""
    from rich.console import Group

    from trimtab.commands.shell import show
    from trimtab.reporting.analysis_table import lines
    from trimtab.reporting.printing import SafeConsole

    if not sys.stdout.isatty():
        show(lines(report, None))
        return
    console = SafeConsole()
    table = list(lines(report, console.width))
    if len(table) < console.height:
        console.print(Group(*table))
        return
    os.environ.setdefault("LESS", "FRX")
    with console.pager(styles="less" in os.environ.get("PAGER", "less")):
        console.print(Group(*table))


def _labels(given: list[str]) -> tuple[tuple[str, str], ...]:
    from trimtab.adapters.promql_scope import labels_of

    try:
        return labels_of(given, "--metric-label")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _pair(text: str, mark: str, option: str, *, secret: bool = False) -> tuple[str, str]:
    name, found, value = text.partition(mark)
    if not found or not name.strip():
        given = "what was given" if secret else repr(text)
        raise typer.BadParameter(f"{given} must be written name{mark}value", param_hint=option)
    return name.strip(), value.strip()
