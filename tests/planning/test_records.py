"""Records of runs that a hand or a backup wrote: what is wrong with them, and what can be undone by them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planning.building import CPU_UP, REPLICAS_4_TO_6, change, plan, policy, run, workload
from tests.planning.test_lifecycle import applied
from trimtab.domain.objects import Workload, parse_run
from trimtab.domain.rollout import RolloutStatus
from trimtab.domain.run import Phase
from trimtab.domain.run_status import Predicted, PredictedCost, RunStatus
from trimtab.domain.status import OperatingPoint
from trimtab.planning.lifecycle import next_step
from trimtab.planning.records import fault_of, fault_of_change
from trimtab.planning.steps import Record, RunFacts, Wait, Write

BANANA = change("spec.replicas", "banana", "6")
PATH = change("resources.x", "1", "2", "app")
COST = Predicted(cost=PredictedCost(from_="much", to="1.00", currency="USD"))
SOUND = plan(), applied()
RECORDS: dict[str, tuple[Any, Any, str]] = {
    "sound": (*SOUND, ""),
    "a size that was not set": (plan(change("resources.limits.cpu", "", "1", "app")), applied(), ""),
    "no plan": (None, applied(), "status.plan is missing"),
    "no record of the change": (plan(), None, "status.applied is missing"),
    "no number": (plan(BANANA), applied(), "from of spec.replicas cannot be read: 'banana' is not a quantity"),
    "no count": (plan(change("spec.replicas", "4", "1e99")), applied(), "to of spec.replicas is '1e99'"),
    "no count before": (plan(change("spec.replicas", "", "4")), applied(), "from of spec.replicas is ''"),
    "no such field": (plan(PATH), applied(), "resources.x is no field that a run changes"),
    "measured without end": (plan(), applied(measurements=100_000_000), "100000000 measurements, every 5 s"),
    "measured at no interval": (plan(), applied(validate_interval_seconds=0), "12 measurements, every 0 s"),
    "never measured": (plan(), applied(measurements=-1), "-1 measurements"),
    "no such kind": (plan(), applied(kind="Banana"), "names no workload: Banana checkout"),
    "no load": (
        plan().model_copy(update={"trial_point": OperatingPoint(load_per_replica="much")}),
        applied(),
        "loadPerReplica of trialPoint cannot be read",
    ),
    "no cost": (plan().model_copy(update={"predicted": COST}), applied(), "predicted cost cannot be read"),
}


@pytest.mark.parametrize(("planned", "record", "fault"), RECORDS.values(), ids=RECORDS.keys())
@pytest.mark.parametrize("phase", [Phase.APPLYING, Phase.SETTLING, Phase.VALIDATING])
def test_what_is_wrong_with_a_record(planned: Any, record: Any, fault: str, phase: Phase) -> None:
    found = fault_of(RunStatus(phase=phase, plan=planned, applied=record))
    assert fault in found
    assert bool(found) is bool(fault)
    assert fault_of(RunStatus(phase=Phase.FAILED, plan=planned, applied=record)) == "", "nobody goes by it"
    assert fault_of(RunStatus(phase=Phase.SUCCEEDED, plan=planned)) == "", "a dry run"


FAULTY = {name: record for name, record in RECORDS.items() if name not in ("sound", "a size that was not set")}


@pytest.mark.parametrize("live", [workload(6), workload(4), None], ids=["applied", "as before", "gone"])
@pytest.mark.parametrize(("planned", "record", "fault"), FAULTY.values(), ids=FAULTY.keys())
@pytest.mark.parametrize("phase", [Phase.APPLYING, Phase.SETTLING, Phase.VALIDATING])
def test_a_run_with_a_faulty_record_ends(
    planned: Any, record: Any, fault: str, phase: Phase, live: Workload | None
) -> None:
    """It names itself and the fault, and what it could not restore."""
    status = RunStatus(phase=phase, plan=planned, applied=record)
    step = next_step(RunFacts(run(status), policy(), live, broken=fault), now=131.0)
    if isinstance(step, Write):
        assert step.undo
        assert not any(map(fault_of_change, step.changes))
        return
    assert isinstance(step, Record), step
    assert step.status.phase is Phase.FAILED
    assert step.reason.startswith(f"run checkout-1 cannot be evaluated: {fault}")
    assert (step.status.plan, step.status.applied) == (planned, record)
    rollback = step.status.rollback
    assert rollback is not None
    unreadable = planned is None or record is None or record.kind == "Banana" or fault_of_change(planned.changes[0])
    assert rollback.restored is not (bool(unreadable) or live is None)
    assert bool(rollback.not_restored) is not rollback.restored


def test_a_refused_undo_of_a_faulty_record_comes_again_with_the_whole_record() -> None:
    status = RunStatus(phase=Phase.VALIDATING, plan=plan(REPLICAS_4_TO_6, BANANA), applied=applied())
    facts = RunFacts(run(status), policy(), workload(6), broken="from cannot be read", undo_error="not for you")
    step = next_step(facts, 101.0)
    assert isinstance(step, Record)
    assert step.status.phase is Phase.VALIDATING
    assert step.status.undo_refused
    assert step.status.rollback is None
    assert step.status.plan == status.plan
    assert isinstance(next_step(replace(facts, undo_told=True), 101.0), Wait), "an older definition keeps no record"


def test_pods_are_not_looked_for_where_a_part_of_the_record_cannot_be_read() -> None:
    live = workload(4, rollout=RolloutStatus(updated=3, ready=3, available=3, total=3))
    status = RunStatus(phase=Phase.VALIDATING, plan=plan(REPLICAS_4_TO_6, BANANA), applied=applied())
    step = next_step(RunFacts(run(status), policy(), live, broken="from cannot be read"), 101.0)
    assert isinstance(step, Record)
    assert step.status.rollback is not None
    assert (step.status.rollback.restored, step.status.rollback.watched_until) == (False, None)


def test_a_change_without_a_phase_is_undone_and_not_begun_anew() -> None:
    status = RunStatus(plan=plan(), applied=applied())
    fault = fault_of(status)
    assert fault == "status.phase is missing, or cannot be read"
    assert isinstance(next_step(RunFacts(run(status), policy(), workload(6), broken=fault), 101.0), Write)
    assert fault_of(RunStatus(plan=plan())) == ""


def test_a_part_of_a_status_that_cannot_be_read_is_as_if_it_was_not_there() -> None:
    recorded = {**applied().model_dump(mode="json", by_alias=True), "at": "0000-01-01T00:00:00Z"}
    status = {"phase": "Validating", "plan": plan().model_dump(mode="json", by_alias=True), "applied": recorded}
    meta = {"namespace": "shop", "name": "odd", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    found = parse_run({"metadata": meta, "spec": {"policyRef": {"name": "checkout"}}, "status": status})
    assert (found.phase, found.status.plan, found.status.applied) == (Phase.VALIDATING, plan(), None)
    assert fault_of(found.status) == "the phase is Validating, and status.applied is missing, or cannot be read"


def test_what_can_be_read_is_undone_and_the_rest_is_named() -> None:
    status = RunStatus(phase=Phase.VALIDATING, plan=plan(PATH, REPLICAS_4_TO_6), applied=applied())
    step = next_step(RunFacts(run(status), policy(), workload(6), broken="resources.x is no field"), now=131.0)
    assert isinstance(step, Write)
    assert [(one.path, one.to) for one in step.changes] == [("spec.replicas", "4")]
    over = next_step(RunFacts(run(status), policy(), workload(4), broken="resources.x is no field"), now=132.0)
    assert isinstance(over, Record)
    assert over.status.rollback is not None
    assert over.status.rollback.not_restored == ["resources.x: resources.x is no field that a run changes"]


def test_a_newer_value_stands_and_the_run_still_says_what_is_wrong_with_it() -> None:
    status = RunStatus(phase=Phase.VALIDATING, plan=plan(CPU_UP, REPLICAS_4_TO_6), applied=applied())
    step = next_step(RunFacts(run(status), policy(), workload(9), broken="odd"), now=131.0)
    assert isinstance(step, Record)
    assert step.status.phase is Phase.FAILED
    assert step.reason.startswith("run checkout-1 cannot be evaluated: odd; spec.replicas was set to 9 by ")
