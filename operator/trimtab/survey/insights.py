"""What an assessment tells people of a workload, in the terms of the report. Pure."""

from __future__ import annotations

import math

from trimtab.adapters.discovery import FoundWorkload
from trimtab.planning.advice import Advice
from trimtab.planning.health import Health as JudgedHealth
from trimtab.planning.health import NoHealth
from trimtab.reporting.analysis import Factor, Health, Recommendation


def target(workload: FoundWorkload) -> str:
    """A workload as kubectl takes it."""
    return f"{workload.kind.value.lower()}/{workload.name}"


def health(judged: JudgedHealth | NoHealth) -> Health:
    """The score with its factors, or why there is none."""
    if isinstance(judged, NoHealth):
        return Health(math.nan, judged.reason)
    return Health(judged.score, judged.reason, tuple(Factor(one.name, one.score, one.reason) for one in judged.factors))


def recommendation(one: Advice, workload: FoundWorkload) -> Recommendation:
    """Advice, with the namespace in its command."""
    named, is_command = target(workload), one.how.startswith("kubectl ")
    return Recommendation(
        title=one.title,
        reason=one.reason,
        evidence=one.evidence,
        effect=one.effect,
        how=one.how.replace(named, f"{named} -n {workload.namespace}", 1) if is_command else one.how,
        severity=one.severity,
        kind=one.kind.value,
        monthly_saving=one.monthly_saving,
        confidence_percent=one.confidence_percent,
    )
