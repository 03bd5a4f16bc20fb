"""Traces: public recordings of real workloads, read into series; the folder is $TRIMTAB_BENCH_DATA/traces."""

from __future__ import annotations

import csv
import gzip
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import numpy as np

from trimtab.domain.series import FloatArray, Series

VARIABLE, DEFAULT = "TRIMTAB_BENCH_DATA", "../shared/data"
BIZITOBS_SIGNALS = {
    "calls": ("Robot-Shop:calls.sum", "calls/10s"),
    "latency": ("Robot-Shop:latency.mean", "ms"),
    "errors": ("Robot-Shop:erroneousCalls.sum", "calls/10s"),
}


def folder() -> Path:
    """Where the traces lie. Ends the program with exit code 2 when there are none."""
    path = Path(os.environ.get(VARIABLE, DEFAULT)) / "traces"
    if not path.is_dir():
        print(f"no traces: {VARIABLE} points to {path.parent}, and {path} is not a folder", file=sys.stderr)
        raise SystemExit(2)
    return path


def worldcup98() -> dict[str, Series]:
    """Requests to the web site of the 1998 World Cup, one series at 1 min; a minute without a row had none."""
    stamps, counts = [], []
    with _open(folder() / "worldcup98" / "requests_per_minute.csv") as lines:
        for row in csv.DictReader(lines):
            stamps.append(_unix(row["time"]))
            counts.append(float(row["requests"]))
    return {"requests": _counted(np.array(stamps), 60.0, np.array(counts), "requests/min")}


def bizitobs() -> dict[str, Series]:
    """Calls, erroneous calls and latency of the Robot-Shop application, at 10 s over a day; NaN without a row."""
    with _open(folder() / "bizitobs" / "Application.csv") as lines:
        rows = list(csv.DictReader(lines))
    stamps = np.array([_unix(row["date"]) for row in rows])
    place = np.round((stamps - stamps[0]) / 10.0).astype(int)
    found = {}
    for name, (column, unit) in BIZITOBS_SIGNALS.items():
        values = np.full(place[-1] + 1, np.nan)
        values[place] = [float(row[column] or "nan") for row in rows]
        found[name] = Series(float(stamps[0]), 10.0, values, unit)
    return found


def google_vms(kind: str) -> dict[str, Series]:
    """``cpu`` or ``memory`` of 400 machines of the Google cluster trace of 2011, in percent at 5 min over a day."""
    found = {}
    with _open(folder() / "google-2011-vms" / f"{kind}_percent_5min.csv.gz") as lines:
        for row in csv.reader(lines):
            found[row[0]] = Series(0.0, 300.0, np.array([float(cell or "nan") for cell in row[1:]]), "%")
    return found


def google_cpu() -> dict[str, Series]:
    """:func:`google_vms` of CPU."""
    return google_vms("cpu")


def google_memory() -> dict[str, Series]:
    """:func:`google_vms` of memory."""
    return google_vms("memory")


def azure_llm() -> dict[str, Series]:
    """Arrivals of code completion requests by 10 s, over an hour."""
    with _open(folder() / "azure-llm-2023" / "AzureLLMInferenceTrace_code.csv") as lines:
        stamps = np.array([_unix(row["TIMESTAMP"][:26]) for row in csv.DictReader(lines)])
    block = np.floor((stamps - stamps[0]) / 10.0).astype(int)
    return {"arrivals": Series(float(stamps[0]), 10.0, np.bincount(block).astype(np.float64)[:-1], "requests/10s")}


def autothrottle() -> dict[str, Series]:
    """Request rates of the Autothrottle evaluation, means of 10 s over an hour."""
    found = {}
    for name in ("diurnal", "bursty"):
        rates = np.loadtxt(folder() / "autothrottle" / f"{name}.txt")
        found[name] = Series(0.0, 10.0, rates[: rates.size // 10 * 10].reshape(-1, 10).mean(axis=1), "requests/s")
    return found


TRACES: dict[str, Callable[[], dict[str, Series]]] = {
    "worldcup98": worldcup98,
    "bizitobs": bizitobs,
    "google-cpu": google_cpu,
    "google-memory": google_memory,
    "azure-llm": azure_llm,
    "autothrottle": autothrottle,
}


def _counted(stamps: FloatArray, step_seconds: float, counts: FloatArray, unit: str) -> Series:
    """Counts on a grid; 0 where there is no row."""
    place = np.round((stamps - stamps[0]) / step_seconds).astype(int)
    values = np.zeros(place[-1] + 1)
    values[place] = counts
    return Series(float(stamps[0]), step_seconds, values, unit)


def _unix(stamp: str) -> float:
    return datetime.fromisoformat(stamp.strip()).replace(tzinfo=UTC).timestamp()


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    """The lines of a file, packed or not. Ends the program with exit code 2 when it is missing."""
    if not path.is_file():
        print(f"no trace: {VARIABLE} points to {path.parents[2]}, and {path} is missing", file=sys.stderr)
        raise SystemExit(2)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        yield lines
