"""Health, anomalies and recommendations of a workload, in the terms of the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from trimtab.adapters.discovery import FoundWorkload
from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.detection import detect
from trimtab.forecasting.forecast import Forecast
from trimtab.planning import health as judging
from trimtab.planning.assessment import AssessInputs, Assessment
from trimtab.reporting.analysis import Factor, Health, Recommendation

RECENT_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs a month; NaN when unknown."""

    now: float
    recommended: float


@dataclass(frozen=True, slots=True)
class Insights:
    """What is concluded from an assessment."""

    health: Health
    anomalies: tuple[Anomaly, ...]
    """Those of the last 24 hours, newest first."""
    recommendations: tuple[Recommendation, ...]


def insights(inputs: AssessInputs, assessment: Assessment, workload: FoundWorkload, costs: Costs) -> Insights:
    """What is concluded for one workload."""
    anomalies = _anomalies(inputs)
    return Insights(_health(inputs, assessment, workload, costs, anomalies), anomalies, ())


def _anomalies(inputs: AssessInputs) -> tuple[Anomaly, ...]:
    found = detect(inputs.history.load, inputs.spec.analysis.sensitivity, "load").anomalies
    recent = (one for one in found if one.end is None or one.end >= inputs.now - RECENT_SECONDS)
    return tuple(sorted(recent, key=lambda one: -one.start))


def _health(
    inputs: AssessInputs,
    assessment: Assessment,
    workload: FoundWorkload,
    costs: Costs,
    anomalies: tuple[Anomaly, ...],
) -> Health:
    ahead = assessment.forecast if isinstance(assessment.forecast, Forecast) else None
    found = judging.health(
        judging.HealthInputs(
            now=inputs.now,
            containers=workload.containers,
            usage=assessment.usage,
            demand=assessment.demand,
            peak_ahead=float(ahead.mean.max()) if ahead is not None else math.nan,
            unit=inputs.history.load.unit,
            trend=assessment.trend,
            anomalies=tuple(one for one in anomalies if one.end is None),
            quality=assessment.quality,
            forecast_reliable=ahead.reliable if ahead is not None else None,
            monthly_cost=costs.now,
            needed_monthly_cost=costs.recommended,
            failures=inputs.failures,
        )
    )
    if isinstance(found, judging.NoHealth):
        return Health(math.nan, found.reason)
    factors = tuple(Factor(one.name, one.score, one.reason) for one in found.factors)
    return Health(found.score, found.reason, factors)
