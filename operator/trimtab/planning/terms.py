"""Terms of a trial: its objectives and what it survives, recorded as they were and held until its verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from trimtab.domain.choices import OnNoTraffic
from trimtab.domain.objectives import Objective
from trimtab.domain.policy import PolicySpec, Validation
from trimtab.domain.run import RunSpec
from trimtab.domain.run_status import PlannedObjective, TrialLimits
from trimtab.domain.units import format_number


def spec_for(spec: PolicySpec, run: RunSpec | None) -> PolicySpec:
    """The policy's spec under a run's own strategy and thresholds."""
    if run is None:
        return spec
    thresholds = {objective.name: objective for objective in run.objectives}

    def own(objective: Objective) -> Objective:
        other = thresholds.get(objective.name)
        return objective.model_copy(update={"max": other.max, "min": other.min}) if other else objective

    update: dict[str, object] = {"objectives": [own(objective) for objective in spec.objectives]}
    if run.strategy is not None:
        update["strategy"] = run.strategy
    return spec.model_copy(update=update)


def terms_of(objectives: Iterable[Objective]) -> list[PlannedObjective]:
    """What a plan records of the objectives that it is made under."""
    return [
        PlannedObjective(
            name=one.name,
            max=_exact(one.max),
            min=_exact(one.min),
            query=_digest(one),
            critical=one.critical,
            on_no_traffic=one.on_no_traffic,
        )
        for one in objectives
    ]


def under(spec: PolicySpec, terms: Iterable[PlannedObjective]) -> PolicySpec:
    """The spec with the objectives of the record; as it is where nothing was recorded."""
    recorded = {term.name: term for term in terms}
    if not recorded:
        return spec
    objectives = [
        one.model_copy(
            update={
                "max": float(term.max) if term.max else None,
                "min": float(term.min) if term.min else None,
                "critical": term.critical,
                "on_no_traffic": term.on_no_traffic,
            }
        )
        for one in spec.objectives
        if (term := recorded.get(one.name)) is not None
    ]
    return spec.model_copy(update={"objectives": objectives})


def limits_of(validation: Validation, measurements: int) -> TrialLimits:
    """What is recorded of how a trial of so many measurements is judged.

    A change that is beyond a threshold more often than not is never kept.
    """
    return TrialLimits(
        failure_limit=min(validation.failure_limit, measurements // 2),
        consecutive_error_limit=validation.consecutive_error_limit,
        tolerance_percent=validation.tolerance_percent,
        on_inconclusive=validation.on_inconclusive,
    )


def validation_under(validation: Validation, limits: TrialLimits | None) -> Validation:
    """The validation with the limits of the record; as it is where nothing was recorded."""
    return validation if limits is None else validation.model_copy(update=dict(limits))


def broken(terms: Iterable[PlannedObjective], objectives: Iterable[Objective]) -> str:
    """Which objective of the record was removed, loosened or measures something else by now; empty when none."""
    live = {one.name: one for one in objectives}
    for term in terms:
        one = live.get(term.name)
        if one is None:
            return f"objective {term.name} was removed"
        if term.query != _digest(one):
            return f"the query of objective {term.name} was changed"
        if loosened := _loosened(term, one):
            return f"objective {term.name} was loosened: {loosened}"
    return ""


def _loosened(term: PlannedObjective, live: Objective) -> str:
    if bool(term.max) != (live.max is not None):
        return "its threshold is on the other side"
    if live.max is not None and live.max > float(term.max):
        return f"max {format_number(float(term.max))} is {format_number(live.max)} now"
    if live.min is not None and live.min < float(term.min):
        return f"min {format_number(float(term.min))} is {format_number(live.min)} now"
    if term.critical and not live.critical:
        return "it is not critical any more"
    if term.on_no_traffic is OnNoTraffic.HOLD and live.on_no_traffic is OnNoTraffic.MET:
        return "onNoTraffic Hold is Met now"
    return ""


def _exact(bound: float | None) -> str:
    return "" if bound is None else repr(float(bound))


def _digest(objective: Objective) -> str:
    return hashlib.sha256(f"{objective.target_label}|{objective.query}".encode()).hexdigest()[:16]
