"""What the samples of a trial rest on: what is waited for, whose throttling is looked at, and what guards are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.planning.building import CPU_UP, REPLICAS_4_TO_6, change, plan, policy_spec, run, size, workload
from tests.reconcile.test_savings import situation
from trimtab.domain.history import Coverage, WorkloadHistory
from trimtab.domain.objects import Run, Workload
from trimtab.domain.run import Phase, VerdictResult
from trimtab.domain.run_status import Applied, FieldChange, PlannedObjective, RunStatus
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.status import Amounts, Snapshot
from trimtab.reconcile.judging import judge, readable_until, throttled, wants_throttling
from trimtab.reconcile.situation import Situation

AT, FIRST, STEP, COUNT = 9_000.0, 9_020.0, 5.0, 12
LAST = FIRST + (COUNT - 1) * STEP
NOW = LAST + STEP
APPLIED = Applied(
    uid="uid-1",
    manager="trimtab",
    before=Snapshot(),
    after=Snapshot(),
    at=AT,
    complete_at=AT + 5,
    validate_from=FIRST,
    validate_interval_seconds=int(STEP),
    measurements=COUNT,
)
MEMORY_UP = change("resources.requests.memory", "256Mi", "512Mi", "app")
PATIENCE = 5 * STEP
"""Of four errors in a row, which are allowed, and one more."""


def trial(*changes: FieldChange, objectives: tuple[str, ...] = ()) -> Run:
    """A run that is being measured."""
    planned = plan(*changes).model_copy(update={"objectives": [PlannedObjective(name=name) for name in objectives]})
    return run(RunStatus(phase=Phase.VALIDATING, plan=planned, applied=APPLIED))


def series(values: FloatArray | float) -> Series:
    """From long before the change until now."""
    times = np.arange(8_000.0, NOW + STEP, STEP)
    return Series(8_000.0, STEP, np.broadcast_to(np.asarray(values, dtype=np.float64), times.shape).copy())


def history(read_to: dict[str, float] | None = None, **shares: Series) -> WorkloadHistory:
    """Four ready replicas under a constant load, all read until now, with throttling by container."""
    names = ("cpu", "memory", "replicas", "cpuSize", "load", "throttled")
    count = Coverage(series(4.0), series(4.0), STEP)
    return WorkloadHistory(
        load=series(100.0),
        replicas=series(4.0),
        cpu_size=series(1.0),
        throttled=shares,
        coverage={"cpu": count},
        read_to={**dict.fromkeys(names, NOW), **(read_to or {})},
    )


def seen(read: WorkloadHistory, *unread: str, live: Workload | None = None) -> Situation:
    """A situation of now, where some signals could not be read."""
    return situation(history=read, unread=frozenset(unread), workload=live or workload(4), now=NOW, step_seconds=STEP)


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        pytest.param(trial(CPU_UP, objectives=("p99",)), True, id="CPU"),
        pytest.param(trial(REPLICAS_4_TO_6, objectives=("p99",)), False, id="replicas, judged by an objective"),
        pytest.param(trial(MEMORY_UP, objectives=("p99",)), False, id="memory, judged by an objective"),
        pytest.param(trial(REPLICAS_4_TO_6), True, id="replicas, under guards alone"),
        pytest.param(trial(MEMORY_UP), True, id="memory, under guards alone"),
        pytest.param(run(RunStatus(phase=Phase.SUCCEEDED, plan=plan())), False, id="kept"),
    ],
)
def test_throttling_is_read_where_it_is_looked_at(one: Run, wanted: bool) -> None:
    assert wants_throttling(one) is wanted


UNLIMITED = size(name="free").model_copy(update={"limits": Amounts()})
SEVERAL = (size(), size(name="side"), UNLIMITED)


@pytest.mark.parametrize(
    ("one", "containers"),
    [
        pytest.param(trial(CPU_UP, objectives=("p99",)), ["app"], id="those whose CPU is changed"),
        pytest.param(trial(REPLICAS_4_TO_6), ["app", "side"], id="under guards alone all with a limit"),
        pytest.param(trial(REPLICAS_4_TO_6, objectives=("p99",)), [], id="none"),
    ],
)
def test_whose_throttling_is_looked_at(one: Run, containers: list[str]) -> None:
    live = replace(workload(4), containers=SEVERAL)
    assert [found.container for found in throttled(one, seen(history(), live=live), NOW)] == containers


def test_the_verdict_names_the_guards_that_were_asked() -> None:
    """A container without a limit is never throttled, so that it is not asked for."""
    limited = judge(trial(REPLICAS_4_TO_6), seen(history(app=series(0.1))), NOW).verdict
    assert limited is not None
    assert limited.result is VerdictResult.PASS
    assert "only the guards (readyReplicas, restarts, cpuThrottling)" in limited.message
    live = replace(workload(4), containers=(UNLIMITED,))
    free = judge(trial(REPLICAS_4_TO_6), seen(history(), live=live), NOW).verdict
    assert free is not None
    assert free.result is VerdictResult.PASS
    assert "only the guards (readyReplicas, restarts), and" in free.message


def test_where_nothing_exports_throttling_it_is_said() -> None:
    absent = judge(trial(REPLICAS_4_TO_6), seen(history()), NOW).verdict
    assert absent is not None
    assert absent.result is VerdictResult.INCONCLUSIVE
    assert "CPU throttling of app was never measured: nothing exports it" in absent.message


def test_an_answer_from_before_the_samples_does_not_say_that_nothing_exports_it() -> None:
    """A limit that came with the change has no series before it; since then the query was refused."""
    found = throttled(trial(CPU_UP), seen(history({"throttled": AT + 2})), NOW)
    assert [(one.never_measured, one.lost) for one in found] == [(False, True)]


@pytest.mark.parametrize(
    ("unread", "read_to", "until"),
    [
        pytest.param((), {}, NOW - STEP, id="all read"),
        pytest.param(("memory", "startup"), {}, NOW - STEP, id="what no verdict rests on"),
        pytest.param(("cpuSize",), {"cpuSize": NOW - 3 * STEP}, NOW - 3 * STEP, id="the size"),
        pytest.param(("throttled",), {"throttled": NOW - 2 * STEP}, NOW - 2 * STEP, id="throttling alone"),
        pytest.param(("objective/p99",), {"objective/p99": NOW - PATIENCE}, NOW - PATIENCE, id="for all the patience"),
        pytest.param(("objective/p99",), {"objective/p99": NOW - PATIENCE - 1}, NOW - STEP, id="for longer"),
        pytest.param(("cpu",), {"cpu": NOW - 2 * STEP}, NOW - 2 * STEP, id="the load, where it is the CPU usage"),
        pytest.param(("pods",), {}, NOW - STEP, id="counts of pods, lately read"),
        pytest.param(("throttled",), {"throttled": 0.0}, NOW - STEP, id="long before the change"),
    ],
)
def test_samples_are_waited_for_that_may_still_come(
    unread: tuple[str, ...], read_to: dict[str, float], until: float
) -> None:
    assert readable_until(trial(CPU_UP), seen(history(read_to), *unread), NOW) == until


def test_what_was_never_read_is_waited_for_from_the_change_on() -> None:
    read = replace(history(), read_to={})
    soon = AT + 3 * STEP
    assert readable_until(trial(CPU_UP), seen(read, "throttled"), soon) == AT
    assert readable_until(trial(CPU_UP), seen(read, "throttled"), NOW) == NOW - STEP


def test_the_load_that_has_a_query_does_not_wait_for_the_usage() -> None:
    spec = policy_spec(metrics={"load": {"query": "sum(up)"}})
    away = replace(seen(history({"cpu": NOW - 2 * STEP}), "cpu"), spec=spec)
    assert readable_until(trial(CPU_UP), away, NOW) == NOW - STEP
