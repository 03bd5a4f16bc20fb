"""What is told of evaluations that fail or are late, and which runs wait for no metrics."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.planning.building import plan, policy, run
from tests.reconcile.test_savings import situation
from trimtab.adapters.resources import FINALIZER
from trimtab.domain.objects import Run
from trimtab.domain.run import Phase, VerdictResult
from trimtab.domain.run_status import Applied, Rollback, RunStatus, Verdict
from trimtab.domain.status import Condition, PolicyStatus, Snapshot
from trimtab.planning.assessment import said
from trimtab.planning.lifecycle import next_step
from trimtab.planning.steps import NoPlan, Record, RunFacts
from trimtab.reconcile.calling_off import has_to_do, needs_no_metrics
from trimtab.reconcile.degraded import NOT_ANSWERED, failed, late
from trimtab.reconcile.insight_conditions import conditions
from trimtab.reconcile.late import Late
from trimtab.reconcile.outcome import Outcome
from trimtab.reconcile.reporting import compose

APPLIED = Applied(
    kind="Deployment",
    name="checkout",
    uid="uid-1",
    manager="trimtab",
    before=Snapshot(),
    after=Snapshot(),
    at=0.0,
    validate_from=10.0,
    validate_interval_seconds=5,
    measurements=1,
)
CANCELLED = {"cancelled": True}
KEPT = RunStatus(phase=Phase.SUCCEEDED, applied=APPLIED)
UNDONE = KEPT.model_copy(update={"rollback": Rollback(reason="", at=0.0, restored=True)})
JUDGED = RunStatus(phase=Phase.VALIDATING, verdict=Verdict(result=VerdictResult.FAIL, at=0.0, message=""))


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        pytest.param(run(RunStatus(phase=Phase.VALIDATING, plan=plan(), applied=APPLIED)), False, id="measured"),
        pytest.param(run(RunStatus(phase=Phase.VALIDATING)), True, id="measured, without a record of its change"),
        pytest.param(run(RunStatus(phase=Phase.PENDING)), False, id="planned"),
        pytest.param(run(RunStatus(phase=Phase.VALIDATING), spec=CANCELLED), True, id="aborted"),
        pytest.param(run(RunStatus(phase=Phase.PENDING), spec=CANCELLED), True, id="aborted before it began"),
        pytest.param(replace(run(RunStatus(phase=Phase.SETTLING)), deleting=True), True, id="deleted"),
        pytest.param(run(JUDGED), True, id="judged"),
        pytest.param(run(KEPT), False, id="kept"),
        pytest.param(run(KEPT, spec=CANCELLED), True, id="kept and to be undone"),
        pytest.param(run(UNDONE, spec=CANCELLED), False, id="kept and undone"),
        pytest.param(replace(run(UNDONE), finalizers=(FINALIZER,)), True, id="to be let go of"),
    ],
)
def test_what_waits_for_no_metrics(one: Run, wanted: bool) -> None:
    assert needs_no_metrics(one, policy()) is wanted
    assert needs_no_metrics(one, None) is has_to_do(one), "without its policy a run is only to be ended"


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.AWAITING_APPROVAL])
def test_a_run_that_cannot_be_evaluated_ends_with_the_error(phase: Phase) -> None:
    step = next_step(RunFacts(run(RunStatus(phase=phase)), policy(), None, broken="OverflowError: 1E30"), 5.0)
    assert isinstance(step, Record)
    assert step.status.phase is Phase.FAILED
    assert step.reason == "run checkout-1 cannot be evaluated: OverflowError: 1E30"


READY = Condition(type="Ready", status="True", reason="Auto", message="well", last_transition_time=1.0)
HEALTHY = Condition(type="Healthy", status="True", reason="Healthy", message="91 of 100", last_transition_time=1.0)
BEFORE = PolicyStatus(conditions=[READY, HEALTHY])


def test_an_evaluation_that_fails_is_told_and_the_rest_stands() -> None:
    told = {one.type: one for one in failed(BEFORE, policy(), said(ValueError("odd")), 7.0).conditions}
    assert {kind: (one.status, one.reason) for kind, one in told.items()} == {
        "Ready": ("False", "EvaluationFailed"),
        "Healthy": ("True", "Healthy"),
        "Degraded": ("True", "EvaluationFailed"),
    }
    assert told["Ready"].message.endswith("ValueError: odd")
    assert told["Ready"].last_transition_time == 7.0


def test_an_evaluation_that_is_late_says_of_when_the_status_is() -> None:
    told = {one.type: one for one in late(BEFORE, policy(), 60.0, NOT_ANSWERED, 200.0).conditions}
    assert told["Ready"] == READY
    assert (told["Degraded"].status, told["Degraded"].reason) == ("True", "EvaluationLate")
    assert told["Degraded"].message.startswith("the status is of 1970-01-01T00:01:00Z: ")


@pytest.mark.parametrize(
    ("evaluated", "said"),
    [
        pytest.param(None, "it has not been evaluated yet: ", id="never"),
        pytest.param(50.0, "the status is from before the operator started: ", id="before"),
    ],
)
def test_an_evaluation_that_is_late_says_whether_there_ever_was_one(evaluated: float | None, said: str) -> None:
    status = BEFORE.model_copy(update={"last_evaluated": evaluated})
    told = {one.type: one for one in late(status, policy(), 0.0, NOT_ANSWERED, 200.0).conditions}
    assert told["Degraded"].message.startswith(said)


async def test_late_evaluations_end_with_their_policies() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    under_way, gone, stays = Late(), policy(name="gone", uid="gone"), policy()
    for one in (gone, stays):
        under_way.start(one, 10.0, never())
    await under_way.stop(lambda one: one.uid == "gone")
    await asyncio.sleep(0)
    assert under_way.overdue(20.0) == [stays]
    assert gone.key not in under_way
    await under_way.stop()


def test_conditions_of_insights_stand_when_insights_fail() -> None:
    turned = {str(kind): turn for kind, turn in conditions(None, BEFORE, "ValueError: odd").items()}
    assert turned["Healthy"] == ("True", "Healthy", "91 of 100")
    assert turned["Anomaly"] == ("Unknown", "InsightsFailed", "ValueError: odd")


def test_an_undo_that_is_refused_comes_before_all_else() -> None:
    refused = run(RunStatus(phase=Phase.VALIDATING, plan=plan(), undo_refused="denied by policy"))
    given = situation(runs=(refused,))
    for runs, reason in (((refused,), "UndoRefused"), ((), "EvaluationFailed")):
        outcome = Outcome(NoPlan("none"), (), "", None, runs=runs, trouble="no plan could be made")
        told = next(one for one in compose(given, outcome, PolicyStatus()).conditions if one.type == "Degraded")
        assert (told.status, told.reason) == ("True", reason)
        assert ("run checkout-1 cannot be undone yet: denied by policy" in told.message) is bool(runs)
