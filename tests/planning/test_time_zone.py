"""Hours and weekdays are told on the clocks of the policy's zone, and the zone is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from pydantic import ValidationError

from tests.planning.building import policy_spec, size
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objects import explain_invalid
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import Series
from trimtab.planning.assessment import assess
from trimtab.planning.findings import AssessInputs, Insights, Running
from trimtab.reconcile.insights import patterns_of

STEP: Final = 300.0
MONDAY: Final = 4 * 86_400.0
"""In UTC; in winter an hour later in Berlin, and half a day in Auckland."""


def spec(zone: str) -> PolicySpec:
    return policy_spec(analysis={"interval": "5m", "history": "600h", "timeZone": zone})


def office() -> WorkloadHistory:
    """Three weeks with load from 06:00 to 20:00 UTC."""
    times = MONDAY + np.arange(21 * 288) * STEP
    hour = times % 86_400.0 / 3600.0
    load = np.where((hour >= 6) & (hour < 20), 240.0, 0.0) * (
        1.0 + 0.02 * np.random.default_rng(0).standard_normal(times.size)
    )
    return WorkloadHistory(
        load=Series(MONDAY, STEP, load, "requests/s"),
        replicas=Series(MONDAY, STEP, np.full(times.size, 4.0)),
        cpu_size=Series(MONDAY, STEP, np.full(times.size, 0.5)),
        cpu_cores={"app": Series(MONDAY, STEP, load / 500.0)},
    )


def inputs(zone: str) -> AssessInputs:
    history = office()
    running = Running("deployment/checkout", 4, 4, (size(),), policy="checkout")
    return AssessInputs(spec(zone), history, {}, history.load.end, running=running)


def told(found: Insights | None) -> dict[str, str]:
    assert found is not None
    return {one.kind: one.message for one in patterns_of(found.patterns)}


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("UTC", "20:00–06:00"), ("Europe/Berlin", "21:00–07:00"), ("Pacific/Auckland", "08:00–18:00")],
)
def test_the_status_names_local_hours_and_the_zone(zone: str, hours: str) -> None:
    found = assess(inputs(zone)).insights
    assert told(found)["Idle"].endswith(f"regularly every day {hours} ({zone}).")
    assert told(found)["Calendar"].endswith(f"({zone}).")


def test_another_zone_counts_at_once() -> None:
    first = inputs("UTC")
    later = replace(first, previous=assess(first).known, now=first.now + STEP)
    assert "(UTC)" in told(assess(later).insights)["Idle"]
    assert "21:00–07:00 (Europe/Berlin)" in told(assess(replace(later, spec=spec("Europe/Berlin"))).insights)["Idle"]


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "utc", "Europe", "../etc/passwd"])
def test_a_zone_that_is_none_is_told_by_field_and_value(zone: str) -> None:
    with pytest.raises(ValidationError) as refused:
        spec(zone)
    assert f"timeZone {zone} is not the name of a time zone; write it as" in explain_invalid(refused.value)
