"""Health, anomalies and recommendations of a workload, in the terms of the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from trimtab.adapters.discovery import FoundWorkload
from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.detection import detect
from trimtab.planning.assessment import AssessInputs, Assessment
from trimtab.reporting.analysis import Health, Recommendation

RECENT_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Insights:
    """What is concluded from an assessment."""

    health: Health
    anomalies: tuple[Anomaly, ...]
    """Those of the last 24 hours, newest first."""
    recommendations: tuple[Recommendation, ...]


def insights(inputs: AssessInputs, assessment: Assessment, workload: FoundWorkload) -> Insights:
    """What is concluded for one workload."""
    return Insights(Health(math.nan, "not there yet"), _anomalies(inputs), ())


def _anomalies(inputs: AssessInputs) -> tuple[Anomaly, ...]:
    found = detect(inputs.history.load, inputs.spec.analysis.sensitivity, "load").anomalies
    recent = (one for one in found if one.end is None or one.end >= inputs.now - RECENT_SECONDS)
    return tuple(sorted(recent, key=lambda one: -one.start))
