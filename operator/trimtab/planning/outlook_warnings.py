"""What an outlook concludes from its courses and from the past: error budgets, early warnings, and its own record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from trimtab.domain.choices import OnNoTraffic
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objectives import Objective
from trimtab.domain.series import Series
from trimtab.domain.units import format_number
from trimtab.forecasting.burn_rates import BudgetLedger, ErrorBudget, budget, record
from trimtab.forecasting.early_warning import (
    HOLD_SHARE,
    Alertness,
    BoolArray,
    Crossing,
    EarlyWarning,
    Source,
    alerted,
    breaches,
    crossing,
    told,
)
from trimtab.forecasting.reliability import Diagram, Issued, judged
from trimtab.planning.evidence import idle_below
from trimtab.planning.learning import on_grid
from trimtab.planning.outlook_load import Grid
from trimtab.planning.outlook_objectives import ObjectiveAhead

_BUDGET = "budget/"
"""Before the names of objectives whose budget is watched."""


def error_budgets(
    objectives: Sequence[Objective],
    history: WorkloadHistory,
    before: Mapping[str, BudgetLedger],
    now: float,
    unknown: dict[str, str],
) -> tuple[dict[str, BudgetLedger], tuple[ErrorBudget, ...]]:
    """Ledgers with the new samples, and what they say; what has no budget to tell of is named in ``unknown``."""
    ledgers: dict[str, BudgetLedger] = {}
    budgets = []
    for objective in objectives:
        series = history.objectives.get(objective.name)
        ledger = before.get(objective.name)
        if objective.slo is None:
            continue
        if series is not None and len(series):
            ledger = record(ledger, objective, series, _idle(objective, series, history.load), now)
        if ledger is None:
            unknown[objective.name] = f"{objective.name}: no sample was seen"
            continue
        ledgers[objective.name] = ledger
        found = budget(ledger, objective, now)
        if isinstance(found, ErrorBudget):
            budgets.append(found)
        else:
            unknown[objective.name] = found.reason
    return ledgers, tuple(budgets)


def _idle(objective: Objective, series: Series, load: Series) -> BoolArray:
    """Where no traffic was seen, and that counts as met, shape (n,)."""
    if objective.on_no_traffic is not OnNoTraffic.MET:
        return np.zeros(len(series), dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        return np.asarray(on_grid(series, load) <= idle_below(load))


def holding(one: ObjectiveAhead, points: Grid) -> BoolArray:
    """Which courses hold the objective, shape (p,)."""
    return np.asarray(~breaches(one.beyond, points.run).any(axis=1))


def track_record(
    diagram: Diagram,
    pending: Mapping[str, Issued],
    history: WorkloadHistory,
    ahead: Sequence[ObjectiveAhead],
    points: Grid,
    now: float,
) -> tuple[Diagram, dict[str, Issued]]:
    """The reliability diagram with what has become known, and the probabilities that wait for their outcome.

    One a horizon for each objective, so that outcomes do not overlap.
    """
    horizon, issued = float(points.ahead_seconds[-1]), {}
    for one in ahead:
        objective, series = one.objective, history.objectives[one.objective.name]
        asked = f"{'max' if objective.max is not None else 'min'} {objective.threshold:.9g}"
        waiting = pending.get(objective.name)
        if waiting is not None and waiting.asked == asked:
            due = waiting.until + 2 * series.step_seconds
            if waiting.at <= now < due:
                issued[objective.name] = waiting
                continue
            if due <= now < due + horizon:
                came = series.between(waiting.at + 0.5 * series.step_seconds, waiting.until)
                held = judged(objective.beyond(came.values), np.isfinite(came.values))
                diagram = diagram if held is None else diagram.with_outcome(waiting.probability, held)
        issued[objective.name] = Issued(now, now + horizon, float(holding(one, points).mean()), asked)
    return diagram, issued


def early_warnings(
    ahead: Sequence[ObjectiveAhead],
    budgets: Sequence[ErrorBudget],
    before: Mapping[str, Alertness],
    diagram: Diagram,
    points: Grid,
    now: float,
) -> tuple[tuple[EarlyWarning, ...], dict[str, Alertness]]:
    """Warnings that stand, the soonest first, and what is remembered of them."""
    alertness: dict[str, Alertness] = {}
    warnings, hold = [], HOLD_SHARE * float(points.ahead_seconds[-1])
    for one in ahead:
        name = one.objective.name
        found = crossing(one.beyond, points.ahead_seconds, points.run)
        percent = 100.0 * (1.0 - diagram.corrected(1.0 - found.probability))
        state = Alertness() if one.breached else alerted(before.get(name), percent, now, hold)
        alertness[name] = state
        if state.active and math.isfinite(found.seconds):
            warnings.append(_of_breach(one, found, percent, state, now))
    for spent in budgets:
        state = alerted(before.get(_BUDGET + spent.objective), spent.spent_soon_percent, now, hold)
        alertness[_BUDGET + spent.objective] = state
        if state.active and spent.seconds_left is not None:
            warnings.append(_of_budget(spent, spent.seconds_left, state, now))
    return tuple(sorted(warnings, key=lambda warning: warning.at)), alertness


def _of_breach(one: ObjectiveAhead, found: Crossing, percent: float, state: Alertness, now: float) -> EarlyWarning:
    objective = one.objective
    side = "above" if objective.max is not None else "below"
    why = "by the demand foreseen" if one.source is Source.FORECAST else "by its own course"
    return EarlyWarning(
        objective=objective.name,
        at=now + found.seconds,
        seconds_to_breach=found.seconds,
        confidence_percent=round(percent),
        source=one.source,
        message=(
            f"{objective.name} is expected {side} {format_number(objective.threshold)} in {told(found.seconds)} {why};"
            f" a breach within {told(one.horizon_seconds)} has a probability of {percent:.0f} %"
        ),
        since=state.since,
    )


def _of_budget(spent: ErrorBudget, seconds: float, state: Alertness, now: float) -> EarlyWarning:
    return EarlyWarning(
        objective=spent.objective,
        at=now + seconds,
        seconds_to_breach=seconds,
        confidence_percent=spent.spent_soon_percent,
        source=Source.BURN_RATE,
        message=(
            f"{spent.objective} will have spent its error budget in {told(seconds)} at the present rate;"
            f" {spent.remaining_percent:.0f} % is left"
        ),
        since=state.since,
    )
