"""Figures of an analysis as short text, the same in every format for people. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.seasonality import SeasonFound
from trimtab.analytics.trend import Direction, Trend
from trimtab.domain.choices import Severity
from trimtab.domain.units import format_cpu, format_memory, format_number
from trimtab.reporting.analysis import AnalysisReport, Sizing, State, Totals, WorkloadEntry

UNKNOWN = "?"


def sizing(part: Sizing, write: Callable[[float], str]) -> str:
    """A request and the recommended one, as ``(+x) old → new``.

    >>> sizing(Sizing(0.5, 1.0, 0.2, 0.23, 1.0), format_cpu), sizing(Sizing(0.0, 0.0, 0.2, 0.23, 0.0), format_cpu)
    ('(-270m) 500m → 230m', 'none → 230m')
    """
    old = write(part.request) if part.request > 0 else "none"
    if not math.isfinite(part.recommended):
        return f"{old} → {UNKNOWN}"
    if not part.changes:
        return old
    new = write(part.recommended)
    if part.request <= 0:
        return f"{old} → {new}"
    sign = "+" if part.recommended > part.request else "-"
    return f"({sign}{write(abs(part.recommended - part.request))}) {old} → {new}"


def cpu(entry: WorkloadEntry) -> str:
    """CPU request and the recommended one; ? where no container is known."""
    return sizing(entry.cpu, format_cpu) if entry.containers else UNKNOWN


def memory(entry: WorkloadEntry) -> str:
    """Memory request and the recommended one; ? where no container is known."""
    return sizing(entry.memory, format_memory) if entry.containers else UNKNOWN


def cores(value: float) -> str:
    """An amount of CPU; ? when unknown."""
    return format_cpu(value) if math.isfinite(value) else UNKNOWN


def size(value: float) -> str:
    """An amount of memory; ? when unknown."""
    return format_memory(value) if math.isfinite(value) else UNKNOWN


def trend(found: Trend | None) -> str:
    """Direction and pace, by the hour where it is more than the whole level a day.

    >>> trend(Trend(Direction.RISING, 1.0, 0.5, 1.5, 0.5)), trend(Trend(Direction.FALLING, 1.0, 0.5, 1.5, -28.0))
    ('+12 %/day', '-28 %/h')
    >>> trend(None)
    '?'
    """
    if found is None:
        return UNKNOWN
    if found.direction is Direction.STEADY:
        return "steady"
    sign, daily = "+" if found.percent_per_hour > 0 else "", 24 * found.percent_per_hour
    if abs(daily) > 100:
        return f"{sign}{format_number(found.percent_per_hour, 2)} %/h"
    return f"{sign}{format_number(daily, 2)} %/day"


def seasons(found: Sequence[SeasonFound]) -> str:
    """Periods, the strongest first; none is said as such."""
    return ", ".join(span(season.period_seconds) for season in found[:3]) or "none"


def season(entry: WorkloadEntry) -> str:
    """Periods of a workload's demand; ? without data."""
    return seasons(entry.seasons) if entry.state is State.ANALYZED else UNKNOWN


def span(seconds: float) -> str:
    """A time span in one unit, two at most.

    >>> span(86400), span(5400), span(600), span(45), span(604800)
    ('1d', '1.5h', '10m', '45s', '7d')
    """
    for unit, length in (("d", 86_400.0), ("h", 3600.0), ("m", 60.0)):
        if seconds >= length:
            return f"{format_number(seconds / length, 2)}{unit}"
    return f"{format_number(seconds, 2) or '0'}s"


def worst(anomalies: Sequence[Anomaly]) -> Severity | None:
    """The worst severity among anomalies."""
    return max((one.severity for one in anomalies), key=list(Severity).index, default=None)


def anomalies(entry: WorkloadEntry) -> str:
    """How many, and the kind of the worst; ? without data.

    >>> anomalies(WorkloadEntry("shop", "Deployment", "web", 2, State.ANALYZED))
    '0'
    """
    if entry.state is not State.ANALYZED:
        return UNKNOWN
    top = worst(entry.anomalies)
    if top is None:
        return "0"
    return f"{len(entry.anomalies)} {next(one.kind.value for one in entry.anomalies if one.severity is top)}"


def health(entry: WorkloadEntry) -> str:
    """Score, or ? when unknown."""
    return f"{entry.health.score:.0f}" if math.isfinite(entry.health.score) else UNKNOWN


def peak(entry: WorkloadEntry, now: float) -> str:
    """The largest demand foreseen and when; ? when none is, and a tilde without a time where it is not reliable."""
    ahead = entry.ahead
    if ahead is None:
        return UNKNOWN
    amount = f"{format_number(ahead.peak)} {entry.unit}"
    return f"{amount} in {span(max(ahead.peak_at - now, 0.0))}" if ahead.reliable else f"~{amount}"


def money(amount: float) -> str:
    """An amount of money with cents where they matter; ? when unknown.

    >>> money(12.345), money(1234.5), money(float("nan"))
    ('12.35', '1,234', '?')
    """
    if not math.isfinite(amount):
        return UNKNOWN
    return f"{amount:,.0f}" if abs(amount) >= 1000 else f"{amount:.2f}"


def summary(report: AnalysisReport) -> list[str]:
    """The totals in sentences, the first the most important."""
    totals = report.totals
    lines = [_counted(totals)]
    if totals.analyzed:
        currency = report.currency
        line = f"requests cost {money(totals.monthly_cost)} {currency} a month"
        if totals.possible_saving or totals.needed_more:
            line += f", {money(totals.recommended_monthly_cost)} as recommended"
            line += f": {money(totals.possible_saving)} can be saved"
            line += f", {money(totals.needed_more)} more is needed elsewhere" if totals.needed_more else ""
        lines.append(line)
        lines.append(f"{totals.unhealthy} with health below 50; {totals.anomalies} anomalies in the last 24 hours")
    lines += [f"no data for {count}: {query} returned nothing" for query, count in totals.empty_queries]
    if report.warning:
        lines.append(f"warning: {report.warning}")
    return lines


def _counted(totals: Totals) -> str:
    parts = [f"{totals.analyzed} analysed"]
    parts += [f"{totals.without_data} without data"] if totals.without_data else []
    parts += [f"{totals.failed} failed"] if totals.failed else []
    return f"{totals.workloads} workloads: {', '.join(parts)}"
