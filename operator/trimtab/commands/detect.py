"""`trimtab detect`: the anomalies of a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.commands.shell import fail, name_of, page_width, read_series, show
from trimtab.domain.choices import Sensitivity
from trimtab.reporting.printing import remark, say

if TYPE_CHECKING:
    from trimtab.domain.series import Series
    from trimtab.survey.proofs import Proof


def detect_file(
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV of time,value; - reads the standard input.")],
    as_json: Annotated[bool, typer.Option("--json", help="Anomalies, and a score for each row, as JSON.")] = False,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Prove that nothing saw a later sample; exit 1 if it did.")
    ] = False,
    sensitivity: Annotated[
        Sensitivity, typer.Option(help="About one false alarm a month (Low), a week (Medium) or a day (High).")
    ] = Sensitivity.MEDIUM,
    step: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Step of the samples, such as 5m; default their median.")
    ] = None,
) -> None:
    """Find the anomalies of a file of time,value: kind, severity, start, end, expected value and evidence."""
    from trimtab.analytics.detection import detect
    from trimtab.reporting.analysis_files import FileDetection, detection_page, detection_record

    read = read_series(file, step)
    found = detect(read.series, sensitivity, read.name)
    proof = _proof(read.series, sensitivity) if streaming else None
    told = FileDetection(read.series, found.anomalies, found.scores[read.places])
    if as_json:
        record = detection_record(told)
        if proof is not None:
            record["streaming"] = {
                "identical": proof.holds,
                "compared": proof.compared,
                "beginnings": proof.beginnings,
            }
        say(json.dumps(record, allow_nan=False, ensure_ascii=False))
    else:
        show(detection_page(told, name_of(file), page_width()))
    if proof is not None:
        if not proof.holds:
            fail(f"streaming: {proof.message}")
        remark(f"streaming: {proof.message}")


def _proof(series: Series, sensitivity: Sensitivity) -> Proof:
    from trimtab.commands.progress import counting
    from trimtab.survey.proofs import prove_detection

    with counting("samples judged again") as tell:
        return prove_detection(series, sensitivity, tell)
