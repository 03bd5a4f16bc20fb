"""Insights: what people are told of a workload beside what decisions rest on; each part goes on from its own state."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from trimtab.analytics.patterns import find_patterns
from trimtab.analytics.seasonality import seasons
from trimtab.analytics.trend_watch import follow_trend
from trimtab.analytics.watch import watch
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.series import Series
from trimtab.domain.status import ContainerSize
from trimtab.forecasting.capacity_plan import PodSize
from trimtab.forecasting.forecast import Forecast
from trimtab.planning.capacity import Capacity, effective_capacity, strategy_of
from trimtab.planning.changes import amount
from trimtab.planning.findings import AssessInputs, Assessment, Habits, Insights, Known, Running
from trimtab.planning.health import HealthInputs, health
from trimtab.planning.options import monthly_cost
from trimtab.planning.outlook import OutlookInputs, look_ahead
from trimtab.planning.recommendations import Advice, RecommendInputs, recommend
from trimtab.planning.rightsizing import cpu_size, requested

_HABITS_SECONDS: Final = 3600.0
_HABITS_STEPS, _HABITS_SHARE = 10, 0.1
_DAY: Final = 86_400.0
_SEASONS: Final = 4


def gain_insights(inputs: AssessInputs, assessment: Assessment, running: Running) -> tuple[Insights, Known]:
    """(what is told of a workload, what the next round goes on from); never raises on odd numbers."""
    spec, history, now = inputs.spec, inputs.history, inputs.now
    before = inputs.previous or assessment.known
    habits = _habits(inputs, before.habits)
    periods = [one.period_seconds for one in habits.patterns.seasons]
    trend = follow_trend(history.load, periods, before.trend, keep_seconds=spec.analysis.history)
    rollouts = before.rollouts.seen(running.template, now)
    moves_with_load = [*(f"cpu/{name}" for name in history.cpu_cores), *map("objective/{}".format, history.objectives)]
    watched = watch(
        history if spec.metrics.load is not None or len(history.cpu_cores) != 1 else replace(history, cpu_cores={}),
        previous=before.watched,
        sensitivity=spec.analysis.sensitivity,
        seasons=dict.fromkeys(["load", *moves_with_load], habits.patterns.seasons),
        changes=rollouts.times,
        now=now,
        objectives=spec.objectives,
    )
    carried = effective_capacity(
        assessment, spec, strategy_of(spec, running.point), running.point, cpu_size(running.containers)
    )
    outlook = look_ahead(
        OutlookInputs(
            spec=spec,
            history=history,
            forecast=assessment.forecast,
            curves=assessment.curves,
            replicas=running.ready,
            pod=_pod(running.containers),
            startup_seconds=history.startup_seconds or 0.0,
            now=now,
            room=running.room,
            capacity_per_replica=carried.load_per_replica,
            previous=before.outlook,
            records=before.records,
        )
    )
    supervised = assessment.known.supervised
    advice = recommend(
        RecommendInputs(
            spec=spec,
            target=running.target,
            containers=running.containers,
            replicas=running.replicas,
            history=history,
            usage=assessment.usage,
            now=now,
            managed=bool(running.policy),
            policy_name=running.policy,
            quality=assessment.quality,
            states=assessment.objectives,
            failures=inputs.failures,
            capacity_per_replica=carried.load_per_replica,
            capacity_learned=carried.learned,
            not_capacity=running.not_capacity,
            forecast=assessment.forecast,
            seasons=habits.patterns.seasons,
            patterns=habits.patterns,
            plan=outlook.capacity,
            room=running.room,
            drift=supervised.drift.state.value if supervised is not None else "",
            previous=before.advised,
        )
    )
    cost = _monthly_cost(inputs, running)
    found = Insights(
        trend=trend.recent,
        changed=trend.changes[-1].time if trend.changes else None,
        patterns=habits.patterns,
        watched=watched,
        outlook=outlook,
        advice=advice,
        health=health(
            HealthInputs(
                now=now,
                objectives=tuple(spec.objectives),
                states=assessment.objectives,
                values=history.objectives,
                budgets=outlook.budgets,
                containers=running.containers,
                usage=assessment.usage,
                demand=assessment.demand,
                peak_ahead=_peak_ahead(assessment),
                capacity=_carried_by_all(carried, running),
                unit=history.load.unit,
                trend=trend.recent,
                warnings=outlook.warnings,
                anomalies=watched.active,
                quality=assessment.quality,
                forecast_reliable=assessment.forecast.reliable if isinstance(assessment.forecast, Forecast) else None,
                drift=supervised.drift.state.value if supervised is not None else "",
                scale_steps_a_day=_scale_steps(history, now),
                monthly_cost=cost,
                needed_monthly_cost=cost - _saved(advice),
                failures=inputs.failures,
            )
        ),
    )
    known = replace(
        assessment.known,
        watched=watched.state,
        trend=trend,
        habits=habits,
        outlook=outlook.state,
        records=outlook.records,
        rollouts=rollouts,
        advised=tuple(one.key for one in advice),
    )
    return found, known


def _habits(inputs: AssessInputs, before: Habits | None) -> Habits:
    """The seasons and patterns as last looked for, or anew after an hour; sooner while the history is young."""
    history = inputs.history
    due = min(_HABITS_SECONDS, max(_HABITS_STEPS * history.load.step_seconds, _HABITS_SHARE * _span(history.load)))
    zone = inputs.spec.analysis.time_zone
    if before is not None and before.patterns.time_zone == zone and 0.0 <= inputs.now - before.at < due:
        return before
    objectives = [
        (one, history.objectives[one.name]) for one in inputs.spec.objectives if one.name in history.objectives
    ]
    found = seasons(history.load, limit=_SEASONS)
    patterns = find_patterns(history.load, found, replicas=history.replicas, objectives=objectives, time_zone=zone)
    return Habits(patterns, inputs.now)


def _span(load: Series) -> float:
    return load.end - load.start


def _pod(containers: tuple[ContainerSize, ...]) -> PodSize:
    """Resources of a pod; a kind that no container sets is NaN."""
    cores, size_bytes = requested(containers)
    limits = [sum(amount(getattr(one.limits, kind)) for one in containers) for kind in ("cpu", "memory")]
    return PodSize(*(value if value > 0 else math.nan for value in (cores, size_bytes, *limits)))


def _peak_ahead(assessment: Assessment) -> float:
    return float(assessment.forecast.mean.max()) if isinstance(assessment.forecast, Forecast) else math.nan


def _carried_by_all(carried: Capacity, running: Running) -> float:
    return carried.load_per_replica * running.ready if running.ready > 0 else math.nan


def _scale_steps(history: WorkloadHistory, now: float) -> float:
    """How often the replicas changed in the last 24 hours; NaN without a day of samples."""
    day = history.replicas.between(now - _DAY, now)
    values = day.values[np.isfinite(day.values)]
    if values.size < 2 or history.replicas.start > now - _DAY + day.step_seconds:
        return math.nan
    return float(np.count_nonzero(np.diff(values)))


def _monthly_cost(inputs: AssessInputs, running: Running) -> float:
    cores, size_bytes = requested(running.containers)
    return monthly_cost(inputs.spec, running.replicas, cores, size_bytes)


def _saved(advice: tuple[Advice, ...]) -> float:
    """Saving a month of all that is advised."""
    return sum(one.monthly_saving for one in advice if math.isfinite(one.monthly_saving) and one.monthly_saving > 0)
