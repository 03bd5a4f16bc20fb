"""Advice on the number of replicas: for the peaks of the demand, for its seasons, and for what stands in the way."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from trimtab.analytics.quality import LARGEST_MAGNITUDE
from trimtab.domain.choices import Severity
from trimtab.domain.units import format_duration, format_number
from trimtab.planning.advice import Advice, AdviceKind, RecommendInputs, span_text
from trimtab.planning.advice_capacity import (
    DAY,
    WEEK,
    Need,
    carried,
    carried_text,
    needed,
    replicas_for,
    scale_command,
    scaled_already,
    sureness,
    whole,
)

_STRONG_SEASON, _LEAST_SAVED, _STILL_SAVED = 30, 0.10, 0.05
_ROOM, _SHORT = 0.10, 0.05
"""Dead bands: replicas are too many with a tenth of one less to spare, too few with a twentieth missing."""


def replica_advice(inputs: RecommendInputs) -> Iterator[Advice]:
    """Advice on replicas; what needs the capacity of a replica is left out while that is not known."""
    yield from _single(inputs)
    need = needed(inputs)
    if need is None:
        return
    yield from _ceiling(inputs, need)
    if not inputs.follows and not scaled_already(inputs):
        yield from _too_few(inputs, need)
        if inputs.trusted:
            yield from _too_many(inputs, need)
            yield from _following(inputs)


def _least(inputs: RecommendInputs) -> int:
    """Replicas below which the policy and its strategy never go."""
    horizontal = inputs.spec.horizontal
    least = horizontal.min_replicas if inputs.managed and horizontal is not None else 1
    return max(least, inputs.strategy.min_replicas)


def _single(inputs: RecommendInputs) -> Iterator[Advice]:
    if inputs.replicas != 1:
        return
    strict = any(
        one.critical or (one.slo is not None and one.slo.target_percent >= 99) for one in inputs.spec.objectives
    )
    cost = inputs.pods_cost(1)
    horizontal = inputs.spec.horizontal
    field = inputs.managed and horizontal is not None
    yield Advice(
        AdviceKind.SINGLE_REPLICA,
        "",
        Severity.WARNING if strict else Severity.INFO,
        "Run two replicas",
        "There is one replica: each restart, rollout and loss of a node is an outage.",
        "1 replica.",
        f"Objectives hold through the loss of a pod. {inputs.cost_effect(-cost)}",
        -cost,
        90,
        "spec.horizontal.minReplicas: 2" if field else scale_command(inputs, 2),
    )


def _too_few(inputs: RecommendInputs, need: Need) -> Iterator[Advice]:
    short = need.replicas / max(inputs.replicas, 1) - 1.0
    if inputs.replicas < 1 or not short > (0.0 if inputs.kept(AdviceKind.TOO_FEW_REPLICAS) else _SHORT):
        return
    saving = -inputs.pods_cost(need.rounded - inputs.replicas)
    broken = f" {', '.join(inputs.broken)} is broken now." if inputs.broken else ""
    severity = Severity.WARNING if inputs.capacity_learned else Severity.INFO
    yield Advice(
        AdviceKind.TOO_FEW_REPLICAS,
        "",
        Severity.CRITICAL if inputs.broken else severity,
        f"Run {need.rounded} replicas instead of {inputs.replicas}",
        f"Demand reaches {format_number(need.peak)}{inputs.unit}, which with {100 * inputs.strategy.headroom:.0f} %"
        f" headroom needs {need.rounded} replicas.",
        f"Peak: {need.source}; {carried_text(inputs)}.",
        f"Objectives hold at the peaks.{broken} {inputs.cost_effect(saving)}",
        saving,
        sureness(inputs, DAY),
        scale_command(inputs, need.rounded),
    )


def _too_many(inputs: RecommendInputs, need: Need) -> Iterator[Advice]:
    target = max(need.rounded, _least(inputs), min(inputs.replicas, 2))  # two stay two
    spare = (inputs.replicas - 1) - need.replicas
    band = 0.0 if inputs.kept(AdviceKind.TOO_MANY_REPLICAS) else _ROOM
    if target >= inputs.replicas or not spare >= band:
        return
    saving = inputs.pods_cost(inputs.replicas - target)
    yield Advice(
        AdviceKind.TOO_MANY_REPLICAS,
        "",
        Severity.INFO,
        f"Run {target} replicas instead of {inputs.replicas}",
        f"Demand reaches {format_number(need.peak)}{inputs.unit}, which with {100 * inputs.strategy.headroom:.0f} %"
        f" headroom needs {need.rounded} of {inputs.replicas} replicas.",
        f"Peak: {need.source}; {carried_text(inputs)}.",
        f"Objectives hold: {100 * need.replicas / target:.0f} % of what {target} replicas carry is used at the peak,"
        f" headroom included. {inputs.cost_effect(saving)}",
        saving,
        sureness(inputs, WEEK),
        scale_command(inputs, target),
    )


def _ceiling(inputs: RecommendInputs, need: Need) -> Iterator[Advice]:
    """maxReplicas that is reached, or will be."""
    horizontal = inputs.spec.horizontal
    if not inputs.managed or horizontal is None:
        return
    most = horizontal.max_replicas
    last = inputs.history.load.last()
    now = replicas_for(inputs, last[1]) if last is not None else 0.0
    if math.isfinite(need.foreseen):
        now = max(now, replicas_for(inputs, need.foreseen))
    wanted = max(need.rounded, whole(now))
    saving = -inputs.pods_cost(max(wanted - most, 0))
    how = f"spec.horizontal.maxReplicas: {wanted}"
    evidence = f"Peak: {need.source}; {carried_text(inputs)}; maxReplicas is {most}."
    if inputs.replicas >= most and now > most * (1.0 if inputs.kept(AdviceKind.MAX_REPLICAS_REACHED) else 1.0 + _SHORT):
        yield Advice(
            AdviceKind.MAX_REPLICAS_REACHED,
            "",
            Severity.CRITICAL if inputs.broken else Severity.WARNING,
            f"Raise maxReplicas from {most} to {wanted}",
            f"All {most} replicas that are allowed run, and the demand seen or foreseen needs {whole(now)}.",
            evidence,
            f"Replicas can follow the demand again. {inputs.cost_effect(saving)}",
            saving,
            sureness(inputs, DAY),
            how,
        )
    elif need.replicas > most * (1.0 if inputs.kept(AdviceKind.MAX_REPLICAS_TOO_LOW) else 1.0 + _SHORT):
        yield Advice(
            AdviceKind.MAX_REPLICAS_TOO_LOW,
            "",
            Severity.WARNING,
            f"Raise maxReplicas from {most} to {wanted}",
            f"Peaks of {format_number(need.peak)}{inputs.unit} need {need.rounded} replicas and {most} are allowed.",
            evidence,
            f"Objectives can hold at the peaks. {inputs.cost_effect(saving)}",
            saving,
            sureness(inputs, DAY),
            how,
        )


def _following(inputs: RecommendInputs) -> Iterator[Advice]:
    """Replicas that follow a seasonal demand instead of standing at its peak."""
    strongest = max(inputs.seasons, key=lambda one: one.strength_percent, default=None)
    load = inputs.history.load
    values = load.values[np.abs(load.values) <= LARGEST_MAGNITUDE]
    if strongest is None or strongest.strength_percent < _STRONG_SEASON or inputs.replicas < 2 or values.size < 60:
        return
    horizontal = inputs.spec.horizontal
    least = _least(inputs)
    asked = values * (1.0 + inputs.strategy.headroom) / carried(inputs)
    average = float(np.maximum(np.ceil(np.minimum(asked, 1e6) - 1e-9), least).mean())
    saving = inputs.pods_cost(inputs.replicas - average)
    share = 1.0 - average / inputs.replicas
    if not share >= (_STILL_SAVED if inputs.kept(AdviceKind.FOLLOW) else _LEAST_SAVED):
        return
    if inputs.managed:
        most = max(inputs.replicas, horizontal.max_replicas if horizontal is not None else 1)
        how = f"spec: {{mode: Auto, horizontal: {{minReplicas: {least}, maxReplicas: {most}, follow: true}}}}"
    else:
        how = (
            f"a PerformancePolicy for {inputs.name} with mode: Auto and horizontal: {{minReplicas: {least},"
            f" maxReplicas: {inputs.replicas}, follow: true}}, or an HPA"
        )
    yield Advice(
        AdviceKind.FOLLOW,
        "",
        Severity.INFO,
        "Let replicas follow the demand",
        f"The demand repeats every {format_duration(strongest.period_seconds)} ({strongest.strength_percent} % of its"
        f" movement), and {inputs.replicas} replicas run all the time.",
        f"On average {average:.1f} replicas carry the demand of {span_text(load)} with headroom;"
        f" {carried_text(inputs)}.",
        f"Objectives hold at the peaks as they do now. {inputs.cost_effect(saving)}",
        saving,
        sureness(inputs, WEEK),
        how,
    )
