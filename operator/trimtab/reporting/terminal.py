"""Policies and runs for the terminal: one table to see all, one page to understand a single policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import yaml
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from trimtab.domain.objects import InvalidSpec, Policy, Run
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import Phase
from trimtab.domain.status import Condition, ConditionType, PolicyState, TrendState
from trimtab.domain.status_types import format_time
from trimtab.planning.holding import held_text
from trimtab.reporting.terminal_insights import insights, pairs

_PHASE_STYLE: Final = {
    Phase.SUCCEEDED: "green",
    Phase.ROLLED_BACK: "yellow",
    Phase.FAILED: "red",
    Phase.REJECTED: "red",
    Phase.SUPERSEDED: "yellow",
    Phase.CANCELLED: "dim",
}
_STATE_STYLE: Final[dict[str, str]] = {
    PolicyState.TRYING: "cyan",
    PolicyState.PAUSED: "yellow",
    PolicyState.NO_DATA: "yellow",
    PolicyState.CONFLICTED: "yellow",
    PolicyState.HELD: "yellow",
    PolicyState.LEARNING: "dim",
}
_CONDITION_STYLE: Final = {"True": "green", "False": "yellow", "Unknown": "dim"}
_ALARMS: Final = frozenset(
    {
        *(ConditionType.STALLED, ConditionType.CONFLICTED, ConditionType.ANOMALY),
        *(ConditionType.EARLY_WARNING, ConditionType.FLEET_PAUSED, ConditionType.DEGRADED),
    }
)
"""Conditions that are well while they are False."""
_WRITTEN_SECONDS, _WRITTEN_INTERVALS = 300.0, 5
"""A status is written at the latest after so long where nothing but figures has changed."""
_OLD_INTERVALS: Final = 2
_CALM: Final = ConditionType.PROGRESSING
"""Neither is better than the other."""


def overview(policies: Iterable[Policy], runs: Iterable[Run], *, namespaced: bool, now: float) -> RenderableType:
    """Policies in aligned columns, each with its state in a sentence and its runs below, newest last."""
    by_policy: dict[tuple[str, str], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.created_at):
        by_policy.setdefault((run.namespace, run.policy_name), []).append(run)
    ordered = sorted(policies, key=lambda policy: policy.key)
    header = (
        *(("NAMESPACE",) if namespaced else ()),
        "NAME",
        "TARGET",
        "MODE",
        "STATUS",
        "REPLICAS",
        "OBJECTIVES",
        "SAVINGS",
        "AGE",
    )
    rows = [_policy_cells(policy, namespaced, now) for policy in ordered]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines: list[RenderableType] = [Text(_aligned(header, widths), style="bold", no_wrap=True)]
    for policy, row in zip(ordered, rows, strict=True):
        lines.append(Text(_aligned(row, widths), no_wrap=True))
        lines.append(Padding(_state(policy, now), (0, 0, 0, 2), expand=False))
        lines += [Padding(_run_line(run, now), (0, 0, 0, 2), expand=False) for run in by_policy.get(policy.key, [])]
    return Group(*lines)


def explanation(policy: Policy, runs: Sequence[Run], *, now: float) -> RenderableType:
    """Everything that explains a policy: state, evidence, what would be done and why, and YAML to copy."""
    parts: list[RenderableType] = [Text(f"{policy.namespace}/{policy.name}", style="bold")]
    if isinstance(policy.spec, InvalidSpec):
        return Group(*parts, Text(policy.spec.message, style="red"))
    status = policy.status
    if not status.conditions:
        return Group(*parts, Text("not evaluated yet: is the operator running?", style="yellow"))
    if old := _old(policy, policy.spec, now):
        parts.append(Text(f"{old}: what follows is of then; trimtab's log says why", style="yellow"))
    parts += [_facts(policy, policy.spec), Text(), Text("Conditions", style="bold"), _conditions(status.conditions)]
    parts += insights(status)
    if status.recommendation is not None:
        parts += [Text(), Text("What would be done, and why", style="bold"), Text(status.recommendation.reason)]
        if status.summary.change:
            parts.append(
                Text(f"change: {status.summary.change}   saves: {status.summary.savings or 'nothing'} a month")
            )
        parts += [Text(), Text("YAML to copy", style="bold"), Text(patch(policy, policy.spec), style="cyan")]
    if runs:
        parts += [Text(), Text("Runs", style="bold"), *(_run_tree(run) for run in runs)]
    return Group(*parts)


def patch(policy: Policy, spec: PolicySpec) -> str:
    """The recommendation as a strategic merge patch of the workload, fit for kubectl or a GitOps repository."""
    advice = policy.status.recommendation
    body: dict[str, object] = {
        "apiVersion": spec.target_ref.api_version,
        "kind": spec.target_ref.kind.value,
        "metadata": {"name": spec.target_ref.name, "namespace": policy.namespace},
    }
    wanted: dict[str, object] = {}
    if advice is not None and advice.replicas is not None and spec.horizontal is not None:
        wanted["replicas"] = advice.replicas
    if advice is not None and advice.containers and spec.vertical is not None:
        containers = [
            {
                "name": size.name,
                "resources": {
                    group: entries
                    for group, amounts in (("requests", size.requests), ("limits", size.limits))
                    if (entries := {key: value for key, value in amounts.model_dump().items() if value})
                },
            }
            for size in advice.containers
        ]
        wanted["template"] = {"spec": {"containers": containers}}
    return yaml.safe_dump({**body, "spec": wanted}, sort_keys=False)


def age(seconds: float) -> str:
    """An age as kubectl writes it.

    >>> age(90), age(7200), age(200000)
    ('90s', '120m', '2d7h')
    """
    seconds = max(int(seconds), 0)
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 3 * 3600:
        return f"{seconds // 60}m"
    if seconds < 2 * 86400:
        return f"{seconds // 3600}h"
    return f"{seconds // 86400}d{seconds % 86400 // 3600}h"


def _policy_cells(policy: Policy, namespaced: bool, now: float) -> tuple[str, ...]:
    cells = (policy.namespace, policy.name) if namespaced else (policy.name,)
    if isinstance(policy.spec, InvalidSpec):
        return (*cells, "", "", "InvalidSpec", "", "", "", age(now - policy.created_at))
    target, summary = policy.spec.target_ref, policy.status.summary
    return (
        *cells,
        f"{target.kind.value.lower()}/{target.name}",
        policy.spec.mode.value,
        summary.status,
        summary.replicas,
        summary.objectives,
        summary.savings,
        age(now - policy.created_at),
    )


def _old(policy: Policy, spec: PolicySpec, now: float) -> str:
    """How long ago a policy was evaluated, where that is more than two intervals after its status should be new."""
    at = policy.status.last_evaluated
    written_every = min(_WRITTEN_SECONDS, _WRITTEN_INTERVALS * spec.analysis.interval)
    if at is None or now - at <= written_every + _OLD_INTERVALS * spec.analysis.interval:
        return ""
    return f"last evaluated {age(now - at)} ago"


def _state(policy: Policy, now: float) -> Text:
    if isinstance(policy.spec, InvalidSpec):
        return Text(f"InvalidSpec: {policy.spec.message}", style="red")
    ready = next((condition for condition in policy.status.conditions if condition.type == "Ready"), None)
    if ready is None:
        return Text("not evaluated yet", style="dim")
    if old := _old(policy, policy.spec, now):
        return Text(f"{old}: {ready.message}", style="yellow")
    if ready.status == "True":
        return Text(ready.message, style=_STATE_STYLE.get(policy.status.summary.status, "green"))
    return Text(f"{ready.reason}: {ready.message}", style=_CONDITION_STYLE[ready.status])


def _run_line(run: Run, now: float) -> Text:
    line = Text(f"└─ {run.name}  ")
    line.append(run.phase.value, style=_PHASE_STYLE.get(run.phase, "cyan"))
    line.append(f"  {run.status.summary.change}  {age(now - run.created_at)}")
    if run.status.timeline:
        line.append(f"  {run.status.timeline[-1].reason}", style="dim")
    return line


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _facts(policy: Policy, spec: PolicySpec) -> RenderableType:
    status = policy.status
    rows = [
        ("target", f"{spec.target_ref.kind.value} {spec.target_ref.name}"),
        ("mode, strategy", f"{spec.mode.value}, {spec.strategy.value}"),
        ("status", status.summary.status),
        ("replicas", status.summary.replicas),
    ]
    rows += [(one.name, f"{one.value or '-'} ({one.threshold}) {one.state}") for one in status.objectives]
    if status.trend is not None:
        rows.append(("trend", _trend(status.trend)))
    if status.seasonality:
        rows.append(
            ("seasons", ", ".join(f"{one.period} ({one.strength_percent} % strong)" for one in status.seasonality))
        )
    if status.forecast is not None:
        forecast = status.forecast
        at = f" at {format_time(forecast.peak_at)}" if forecast.peak_at else ""
        rows.append(("forecast", f"{forecast.model}: peak {forecast.peak} ({forecast.lower} to {forecast.upper}){at}"))
        rows.append(("", forecast.reason))
        if forecast.drift != "None":
            rows.append(("drift", f"{forecast.drift}: {forecast.drift_message}"))
        rows += [("model", f"{one.from_}→{one.to} at {format_time(one.at)}: {one.reason}") for one in forecast.changes]
    if status.version is not None and status.version.since is not None:
        stage = "is rolled out since" if status.version.rolling else "runs since"
        rows.append(("version", f"{status.version.digest} {stage} {format_time(status.version.since)}"))
    if status.operating_point is not None:
        point = status.operating_point
        source = f" from run {point.from_}" if point.from_ else ""
        carried = point.load_per_replica or "not known yet"
        rows.append(("operating point", f"{carried} a replica, {point.headroom_percent} % headroom{source}"))
    if status.scaling.last is not None:
        last, today = status.scaling.last, status.scaling.today
        rows.append(("last step", f"{last.from_}→{last.to} at {format_time(last.at)}: {last.reason}"))
        rows.append(("steps today", f"{today.ups} up, {today.downs} down"))
    if status.hold is not None:
        rows.append(("held", held_text(status.hold)))
    if status.cost is not None:
        cost = status.cost
        rows.append(("cost a month", f"{cost.monthly} {cost.currency}, recommended {cost.recommended_monthly}"))
    return pairs(rows)


def _trend(trend: TrendState) -> str:
    text = f"{trend.direction}, {trend.percent_per_hour or '0'} % an hour"
    if trend.lower_percent_per_hour and trend.upper_percent_per_hour:
        text += f" ({trend.lower_percent_per_hour} to {trend.upper_percent_per_hour})"
    return f"{text}, changed at {format_time(trend.changed)}" if trend.changed is not None else text


def _conditions(conditions: Iterable[Condition]) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for condition in conditions:
        mark = Text(condition.status, style=_condition_style(condition))
        text = f"{condition.reason}: {condition.message}" if condition.message else condition.reason
        table.add_row(condition.type, mark, escape(text))
    return table


def _condition_style(condition: Condition) -> str:
    if condition.type == _CALM:
        return ""
    well = {"True": "False", "False": "True"} if condition.type in _ALARMS else {}
    return _CONDITION_STYLE[well.get(condition.status, condition.status)]


def _run_tree(run: Run) -> RenderableType:
    summary = run.status.summary
    head = Text(f"{run.name} ", style="bold")
    head.append(run.phase.value, style=_PHASE_STYLE.get(run.phase, "cyan"))
    head.append(f"  {summary.change}")
    tree = Tree(head, guide_style="dim")
    plan = run.status.plan
    if plan is not None:
        tree.add(Text(f"plan {plan.hash}: {plan.reason}"))
        for key, value in plan.evidence.items():
            tree.add(Text(f"{key}: {value}", style="dim"))
        for guard in plan.guardrails:
            if guard.result != "Passed":
                tree.add(Text(f"{guard.name} {guard.result}: {guard.message}", style="yellow"))
    if run.status.verdict is not None:
        for objective in run.status.verdict.objectives:
            seen = f"{objective.before or '-'} before, {objective.after or '-'} after"
            bounds = f"{objective.lower_percent} to {objective.upper_percent}"
            effect = f"at equal load {objective.effect_percent or '?'} % ({bounds})"
            tree.add(Text(f"{objective.name}: {seen}; {effect}: {objective.result.value}"))
    for entry in run.status.timeline:
        tree.add(Text(f"{format_time(entry.at)} {entry.phase.value}: {entry.reason}"))
    return tree
