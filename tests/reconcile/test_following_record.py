"""A recorded step is settled from the live count, whenever the operator was killed."""

from __future__ import annotations

import pytest

from tests.planning.building import workload
from trimtab.domain.status import PolicyStatus, Scaling, ScalingStep, ScalingToday
from trimtab.reconcile.following import confirm_step

STEP = ScalingStep(from_=4, to=6, at=100.0, reason="demand")
NOON = 1_800_000_000.0


@pytest.mark.parametrize(
    ("live", "written"),
    [(4, False), (6, True), (9, True)],
    ids=["never written", "written", "written, and a person wrote since"],
)
def test_a_pending_step_is_settled(live: int, written: bool) -> None:
    before = PolicyStatus(scaling=Scaling(pending=STEP))
    after = confirm_step(before, workload(live), NOON).scaling
    assert after.pending is None
    assert (after.last == STEP) is written
    assert after.today.ups == int(written)


def test_steps_are_counted_by_day_and_direction() -> None:
    yesterday = ScalingToday(date="2020-01-01", ups=7, downs=2)
    down = ScalingStep(from_=6, to=5, at=100.0, reason="demand")
    status = PolicyStatus(scaling=Scaling(pending=down, today=yesterday))
    today = confirm_step(status, workload(5), NOON).scaling.today
    assert (today.date, today.ups, today.downs) == ("2027-01-15", 0, 1)


def test_nothing_pending_changes_nothing() -> None:
    status = PolicyStatus(scaling=Scaling(last=STEP))
    assert confirm_step(status, workload(9), NOON) == status
