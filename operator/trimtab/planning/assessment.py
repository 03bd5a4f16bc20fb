"""What a workload's history says: data quality, objectives, demand foreseen, capacity a replica, usage, insights."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from trimtab.domain.choices import ForecastModel
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.forecasting.supervision import Supervised, foresee
from trimtab.planning.evidence import (
    cpu_per_load,
    objective_state,
    plausible_history,
    pods_missing,
    profile_of,
    quality_of,
    uncounted,
    usage_of,
)
from trimtab.planning.findings import AssessInputs, Assessment, Known
from trimtab.planning.flight import kept
from trimtab.planning.insights import gain_insights
from trimtab.planning.learning import Carried, learn

_SAID: Final = 300
"""Characters of an error that are told."""


def assess(inputs: AssessInputs) -> Assessment:
    """Everything that decisions rest on, from one workload's history; never raises on odd numbers."""
    quality = quality_of(
        inputs.spec, inputs.history, inputs.failures, inputs.now, partial=inputs.partial, clusters=inputs.clusters
    )
    seen, spec, now = inputs.history, inputs.spec, inputs.now
    inputs = replace(inputs, history=plausible_history(inputs.history, spec.objectives))
    history = inputs.history
    states = tuple(objective_state(objective, seen, quality, now, spec) for objective in spec.objectives)
    objectives, before = tuple(spec.objectives), inputs.previous
    learned = before.learned if before is not None else None
    since = inputs.version_from
    if learned is None or learned.outdated(history, objectives, inputs.baseline_until, now, since):
        learned = learn(history, objectives, inputs.failures, inputs.baseline_until, now, since)
    carried = Carried(learned.curves, cpu_per_load(history, since), objectives, since)
    former = before.carried if before is not None else None
    if former is not None and former.replaced_by(carried):
        former = None
    expected, supervised = _forecast(inputs)
    flight = kept(before.flight if before is not None else None, expected, quality, now)
    if spec.forecast.model is ForecastModel.NONE:
        flight = None
    last = history.load.last()
    finite = history.load.values[np.isfinite(history.load.values)]
    found = Assessment(
        quality=quality,
        objectives=states,
        breached=tuple(state.name for state in states if state.state == "Violated"),
        unknown=tuple(state.name for state in states if state.state == "Unknown"),
        pods_missing=pods_missing(history, inputs.failures, now),
        uncounted=uncounted(spec, history),
        forecast=expected,
        known=replace(
            before or Known(supervised, learned),
            supervised=supervised,
            learned=learned,
            carried=former or carried,
            flight=flight,
        ),
        curves=learned.curves,
        not_learned=learned.not_learned,
        cpu_per_load=carried.cpu_per_load,
        carried=former,
        usage=usage_of(spec, history, now),
        profile=profile_of(finite),
        peak_seen=float(finite.max()) if finite.size else math.nan,
        demand=last[1] if last else math.nan,
    )
    if inputs.running is None:
        return found
    if inputs.no_insights:
        return replace(found, insights_failed=inputs.no_insights)
    try:
        insights, known = gain_insights(inputs, found, inputs.running)
    except Exception as error:  # noqa: BLE001 - no decision rests on insights: one that fails must stop none
        return replace(found, insights_failed=said(error))
    return replace(found, insights=insights, known=known)


def said(error: BaseException) -> str:
    """An error as people read it, on one line.

    >>> said(ValueError("no\n  sample")), said(KeyError())
    ('ValueError: no sample', 'KeyError')
    """
    text = " ".join(str(error).split())[:_SAID]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _forecast(inputs: AssessInputs) -> tuple[Forecast | NoForecast, Supervised | None]:
    spec = inputs.spec.forecast
    if spec.model is ForecastModel.NONE:
        return NoForecast("spec.forecast.model is None: reactive only"), None
    if inputs.history.load.present == 0:
        return NoForecast("no demand was seen"), None
    return foresee(
        inputs.history.load,
        now=inputs.now,
        horizon_seconds=max(spec.horizon, inputs.lead_seconds),
        model=spec.model.value,
        confidence=spec.confidence_percent / 100,
        previous=inputs.previous.supervised if inputs.previous is not None else None,
    )
