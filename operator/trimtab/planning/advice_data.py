"""Advice on what Trimtab knows, and on limits around the workload: signals without data, history, drift, quotas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from trimtab.analytics.quality import DataProblem
from trimtab.domain.choices import Severity
from trimtab.domain.units import format_cpu, format_memory, format_number
from trimtab.forecasting.capacity_plan import CapacityPlan, Quota
from trimtab.planning.advice import Advice, AdviceKind, RecommendInputs, span_text

_DAY: Final = 86400.0
_CLOSE, _CLOSE_STILL, _FULL = 0.90, 0.85, 0.98
_SHORT_SECONDS, _STILL_SHORT_SECONDS = _DAY, 1.1 * _DAY
_PLAN_SECONDS: Final = 30 * _DAY
_UNITS: Final = {"cpu": format_cpu, "memory": format_memory}


def data_advice(inputs: RecommendInputs) -> Iterator[Advice]:
    """Advice on signals, history, drift and quotas."""
    yield from _signals(inputs)
    yield from _history(inputs)
    yield from _drift(inputs)
    yield from _quotas(inputs)
    yield from _plan(inputs)


def _signals(inputs: RecommendInputs) -> Iterator[Advice]:
    for signal in sorted(inputs.failures):
        if signal.startswith("objective/"):
            continue
        why = inputs.failures[signal].rstrip(".")
        yield Advice(
            AdviceKind.SIGNAL_WITHOUT_DATA,
            signal,
            Severity.WARNING,
            f"Find out why {signal} has no data",
            f"{signal} could not be read, so nothing that rests on it is recommended.",
            f"{why}.",
            "Recommendations, and changes in mode Auto, wait for it.",
            0.0,
            90,
            f"run the query in Prometheus; without a match set spec.metrics.{_field(signal)}, or scrape what it needs",
        )


def _field(signal: str) -> str:
    return signal if signal in ("load", "cpu", "memory") else "load"


def _history(inputs: RecommendInputs) -> Iterator[Advice]:
    load = inputs.history.load
    seconds = load.present * load.step_seconds
    short = inputs.quality is not None and inputs.quality.problem is DataProblem.SHORT_HISTORY
    limit = _STILL_SHORT_SECONDS if inputs.kept(AdviceKind.SHORT_HISTORY) else _SHORT_SECONDS
    if load.present == 0 or not (short or seconds < limit):
        return
    yield Advice(
        AdviceKind.SHORT_HISTORY,
        "",
        Severity.INFO,
        "Wait for a day of history",
        f"Only {span_text(load)} of the load were seen: peaks and seasons of a day are not known yet.",
        f"{load.present} samples of the load.",
        "Confidence of the other recommendations grows with it.",
        0.0,
        95,
        "nothing to do; where Prometheus holds more, raise spec.analysis.history",
    )


def _drift(inputs: RecommendInputs) -> Iterator[Advice]:
    if inputs.drift != "Drifted":
        return
    yield Advice(
        AdviceKind.DRIFT,
        "",
        Severity.INFO,
        "Check what changed in the demand",
        "The demand no longer behaves as it was learned, so forecasts fall back to what is safe.",
        "The errors of the last forecasts left the range of their backtest.",
        "Until the new behaviour is learned capacity follows what is seen. The cost may rise for that time.",
        0.0,
        80,
        "nothing to do when the change is meant to last; else look at clients, routing and deploys of that time",
    )


def _quotas(inputs: RecommendInputs) -> Iterator[Advice]:
    quotas = inputs.room.quotas
    for quota in quotas if isinstance(quotas, tuple) else ():
        found = [one for resource in sorted(quota.hard) if (one := _quota(inputs, quota, resource)) is not None]
        if found:
            yield max(found, key=lambda one: one[0])[1]


def _quota(inputs: RecommendInputs, quota: Quota, resource: str) -> tuple[float, Advice] | None:
    hard, used = quota.hard[resource], quota.used.get(resource, math.nan)
    if not (math.isfinite(used) and hard > 0.0):
        return None
    share = used / hard
    if not share >= (_CLOSE_STILL if inputs.kept(AdviceKind.QUOTA_CLOSE, quota.name) else _CLOSE):
        return None
    write = _UNITS.get(resource.rpartition(".")[2], format_number)
    return share, Advice(
        AdviceKind.QUOTA_CLOSE,
        quota.name,
        Severity.CRITICAL if share >= _FULL and inputs.broken else Severity.WARNING,
        f"Raise {resource} of quota {quota.name}",
        f"{write(used)} of {write(hard)} are used ({100 * share:.0f} %): new replicas may be refused.",
        f"ResourceQuota {quota.name}: {resource} {write(used)} of {write(hard)}.",
        "Replicas can still be added when load rises. The quota itself costs nothing.",
        0.0,
        95,
        f"kubectl patch resourcequota {quota.name} --type merge"
        f""" -p '{{"spec":{{"hard":{{"{resource}":"{write(1.25 * hard)}"}}}}}}'""",
    )


def _plan(inputs: RecommendInputs) -> Iterator[Advice]:
    """maxReplicas that the growing demand meets within a month."""
    if not isinstance(inputs.plan, CapacityPlan) or not inputs.managed:
        return
    for limit in inputs.plan.limits:
        when = limit.at if limit.at is not None else limit.earliest
        if limit.name != "maxReplicas" or when is None or not 0.0 < when - inputs.now <= _PLAN_SECONDS:
            continue
        wanted = max((need.upper_replicas for need in inputs.plan.needs), default=limit.replicas)
        saving = -inputs.pods_cost(max(wanted - limit.replicas, 0))
        yield Advice(
            AdviceKind.MAX_REPLICAS_TOO_LOW,
            "",
            Severity.WARNING,
            f"Raise maxReplicas from {limit.replicas} to {wanted}",
            limit.message,
            inputs.plan.message,
            f"Objectives can hold as the demand grows. {inputs.cost_effect(saving)}",
            saving,
            min(90, 50 + round(inputs.plan.history_days)),
            f"spec.horizontal.maxReplicas: {wanted}",
        )
