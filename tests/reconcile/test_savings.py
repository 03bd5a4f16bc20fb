"""What a run and a policy say that they save: nothing that was taken back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planning.building import plan, policy, policy_spec, run, workload
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.run import Phase, Trigger
from trimtab.domain.run_status import Applied, Plan, Predicted, PredictedCost, RunStatus, TimelineEntry
from trimtab.domain.series import empty
from trimtab.domain.status import PolicyStatus, Snapshot
from trimtab.planning.assessment import assess
from trimtab.planning.findings import AssessInputs
from trimtab.planning.plans import Proposal
from trimtab.reconcile.outcome import Outcome
from trimtab.reconcile.reporting import compose
from trimtab.reconcile.runs import run_summary
from trimtab.reconcile.situation import Situation
from trimtab.reconcile.world import Rivals

NOW = 10_000.0


def applied(at: float = NOW - 700) -> Applied:
    return Applied(
        uid="uid-1",
        manager="trimtab",
        before=Snapshot(replicas=4),
        after=Snapshot(replicas=6),
        at=at,
        validate_from=at + 10,
        validate_interval_seconds=5,
        measurements=10,
    )


def cheaper() -> Plan:
    cost = PredictedCost(from_="100.00", to="60.00", currency="USD")
    return plan().model_copy(update={"predicted": Predicted(cost=cost)})


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("touched", [True, False])
def test_a_run_saves_while_its_change_is_kept_or_may_be(phase: Phase, touched: bool) -> None:
    status = RunStatus(phase=phase, plan=cheaper(), applied=applied() if touched else None)
    saves = not phase.finished or (phase is Phase.SUCCEEDED and touched)
    assert run_summary(status).saves == ("40.00 USD" if saves else "")


def ended(phase: Phase) -> RunStatus:
    timeline = [TimelineEntry(phase=phase, at=NOW - 60, reason="")]
    return RunStatus(phase=phase, plan=cheaper(), applied=applied(), timeline=timeline)


@pytest.mark.parametrize(
    ("phase", "shown"), [(None, "40.00 USD"), (Phase.SUCCEEDED, "40.00 USD"), (Phase.ROLLED_BACK, "")]
)
def test_a_policy_does_not_promise_what_was_measured_to_be_none(phase: Phase | None, shown: str) -> None:
    """The same change is not planned anew at once after it was undone, and until then nothing is said to be saved."""
    runs = (run(ended(phase)),) if phase is not None else ()
    proposal = Proposal(cheaper(), Trigger.COST, 100.0, 60.0)
    status = compose(situation(runs=runs), Outcome(proposal, (), "", None, runs=runs), PolicyStatus())
    assert status.summary.savings == shown


def situation(**changed: Any) -> Situation:
    """Nothing is known of the metrics."""
    spec = changed.get("spec") or policy_spec()
    history = WorkloadHistory(load=empty(5.0), replicas=empty(5.0), cpu_size=empty(5.0))
    assessment = assess(AssessInputs(spec, history, {}, NOW))
    given: dict[str, Any] = {
        "policy": policy(spec),
        "spec": spec,
        "status": PolicyStatus(),
        "workload": workload(4),
        "runs": (),
        "autoscalers": (),
        "unlisted": "",
        "rivals": Rivals(),
        "history": history,
        "failures": {},
        "unread": frozenset(),
        "assessment": assessment,
        "news": (),
        "now": NOW,
        "step_seconds": 5.0,
        "window_seconds": 5.0,
    }
    return Situation(**{**given, **changed})
