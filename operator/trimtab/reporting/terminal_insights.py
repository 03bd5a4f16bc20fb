"""What the analysis found, for the page that explains a policy: health, anomalies, outlook, capacity, advice."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trimtab.domain.insights import AdviceState, AnomaliesState, BudgetState, CapacityPlanState, HealthState
from trimtab.domain.status import PolicyStatus
from trimtab.domain.status_types import format_time
from trimtab.reporting.styles import SEVERITY_STYLE, score_style


def insights(status: PolicyStatus) -> list[RenderableType]:
    """The sections that there is something to say in, each with its title and an empty line before it."""
    sections: list[tuple[str, RenderableType]] = []
    if status.health is not None:
        sections.append((f"Health {status.health.score} of 100", _health(status.health)))
    if status.anomalies is not None and (status.anomalies.latest or status.anomalies.suppressed):
        sections.append(("Anomalies", _anomalies(status.anomalies)))
    if status.warnings or status.reliability or status.performance:
        sections.append(("Outlook", _outlook(status)))
    if status.budgets:
        sections.append(("Error budgets", _budgets(status.budgets)))
    if status.capacity_plan is not None:
        sections.append(("Capacity plan", _capacity(status.capacity_plan)))
    if status.patterns:
        sections.append(("Habits", pairs((one.kind, one.message) for one in status.patterns)))
    if status.advice:
        sections.append(("Advice, the most worthwhile first", _advice(status.advice)))
    parts: list[RenderableType] = []
    for title, body in sections:
        parts += [Text(), Text(title, style="bold"), body]
    return parts


def _health(health: HealthState) -> RenderableType:
    table = _table(3)
    for factor in health.factors:
        table.add_row(factor.name, Text(str(factor.score), style=score_style(factor.score)), escape(factor.reason))
    return table


def _anomalies(found: AnomaliesState) -> RenderableType:
    rows = [("active", str(found.active)), ("last 24h", str(found.last24h))]
    if found.suppressed:
        rows.append(("not told", f"{found.suppressed}, explained by rollouts and scale events"))
    if found.latest is not None:
        latest = found.latest
        until = f" to {format_time(latest.until)}" if latest.until is not None else " and still"
        head = f"{latest.kind.value} of {latest.signal}, {latest.severity.value}, {format_time(latest.since)}{until}"
        rows += [("latest", head), ("", latest.message)]
    return pairs(rows)


def _outlook(status: PolicyStatus) -> RenderableType:
    rows = [
        (name, f"{score.score_percent} %{f': {score.reason}' if score.reason else ''}")
        for name, score in (("reliability", status.reliability), ("performance", status.performance))
        if score is not None
    ]
    rows += [(one.objective, f"{one.message} ({one.confidence_percent} % sure)") for one in status.warnings]
    return pairs(rows)


def _budgets(budgets: Iterable[BudgetState]) -> RenderableType:
    table = _table(3)
    for budget in budgets:
        style = {"Page": "red", "Ticket": "yellow"}.get(budget.alert, "green")
        left = f"{budget.remaining_percent} % left of {budget.target_percent} %"
        table.add_row(budget.objective, Text(left, style=style), escape(budget.message))
    return table


def _capacity(plan: CapacityPlanState) -> RenderableType:
    rows = [("", plan.message)] if plan.message else []
    rows += [
        (
            one.within,
            f"peak {one.peak} (up to {one.upper}): {one.replicas} replicas, cpu {one.cpu}, memory {one.memory}",
        )
        for one in plan.stages
    ]
    rows += [
        (limit.name, f"{f'met at {format_time(limit.at)}' if limit.at is not None else 'not met'}: {limit.message}")
        for limit in plan.limits
    ]
    return pairs(rows)


def _advice(advice: Iterable[AdviceState]) -> RenderableType:
    table = _table(2)
    for number, one in enumerate(advice, start=1):
        saving = _saving(one.monthly_saving)
        title = Text(one.title, style=SEVERITY_STYLE[one.severity])
        title.append(f"  {one.confidence_percent} % sure{saving}", style="dim")
        table.add_row(str(number), title)
        table.add_row("", escape(f"{one.reason} {one.effect}".strip()))
        if one.how:
            table.add_row("", Text(one.how, style="cyan"))
    return table


def _saving(monthly: str) -> str:
    if monthly in ("", "0", "0.00", "-0.00"):
        return ""
    return f"; costs {monthly[1:]} a month more" if monthly.startswith("-") else f"; saves {monthly} a month"


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Names, dim, and what is said of each; none of it is markup."""
    table = _table(2)
    for name, text in rows:
        table.add_row(name, escape(text))
    return table


def _table(columns: int) -> Table:
    """Columns without lines: the last one folds, the others do not."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    for _ in range(columns - 2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table
