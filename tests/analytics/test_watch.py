"""Watching a workload round by round."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from trimtab.analytics.joint_episodes import JointEpisode
from trimtab.analytics.seasonality import SeasonFound
from trimtab.analytics.watch import PRIMED_SAMPLES, Watched, WatchState, watch
from trimtab.domain.choices import AnomalyKind, Sensitivity, Severity
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray, Series, empty

STEP = 60.0
LENGTH = 3000
DAY = 86_400.0
LATENCY = Objective.model_validate({"name": "latency-p99", "query": "up", "max": "250m"})


def signals(length: int = LENGTH + 120) -> dict[str, FloatArray]:
    rng = np.random.default_rng(7)
    return {
        "load": np.asarray(200 + rng.normal(0, 10, length)),
        "replicas": np.full(length, 4.0),
        "cpu": np.asarray(2 + rng.normal(0, 0.1, length)),
        "memory": np.asarray(3e8 + rng.normal(0, 4e6, length)),
        "latency": np.asarray(0.1 + rng.normal(0, 0.005, length)),
    }


def history(given: dict[str, FloatArray], end: int) -> WorkloadHistory:
    def series(name: str, unit: str = "") -> Series:
        return Series(0.0, STEP, given[name][:end], unit)

    return WorkloadHistory(
        load=series("load", "requests/s"),
        replicas=series("replicas"),
        cpu_size=Series(0.0, STEP, np.full(end, 0.5)),
        cpu_cores={"app": series("cpu", "cores")},
        memory_bytes={"app": series("memory")},
        objectives={"latency-p99": series("latency", "s")},
    )


def look(
    given: dict[str, FloatArray],
    end: int,
    before: WatchState | None = None,
    *,
    changes: Sequence[float] = (),
    objectives: Sequence[Objective] = (LATENCY,),
    sensitivity: Sensitivity = Sensitivity.MEDIUM,
) -> Watched:
    return watch(
        history(given, end),
        previous=before,
        sensitivity=sensitivity,
        seasons={},
        changes=changes,
        now=end * STEP,
        objectives=objectives,
    )


def same(left: object, right: object) -> bool:
    """Whether all numbers in two states are equal, bit for bit."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if is_dataclass(left):
        return type(left) is type(right) and all(
            same(getattr(left, one.name), getattr(right, one.name)) for one in fields(left)
        )
    return left == right or (left != left and right != right)


def test_rounds_of_any_size_give_the_same_state() -> None:
    given = signals()
    given["load"][LENGTH + 10 : LENGTH + 13] += 120
    start = look(given, LENGTH)
    whole = look(given, LENGTH + 100, start.state)
    end, state = LENGTH, start.state
    for size in (1, 1, 3, 10, 7, 1, 40, 37):
        end += size
        state = look(given, end, state).state
    assert end == LENGTH + 100
    assert same(state, whole.state)
    assert len(whole.recent) >= 1


def test_the_state_before_is_left_alone_and_restored_states_go_on() -> None:
    given = signals()
    start = look(given, LENGTH)
    kept = pickle.dumps(start.state)
    once = look(given, LENGTH + 20, start.state)
    assert pickle.dumps(start.state) == kept
    again = look(given, LENGTH + 20, pickle.loads(kept))
    assert same(once.state, again.state)


def test_new_active_recent() -> None:
    given = signals()
    given["load"][LENGTH : LENGTH + 3] += 120
    state = look(given, LENGTH).state
    first = look(given, LENGTH + 1, state)
    assert [one.signal for one in first.new] == ["load"]
    assert first.active == first.new
    second = look(given, LENGTH + 3, first.state)
    assert second.new == ()
    assert [one.start for one in second.active] == [LENGTH * STEP]
    done = look(given, LENGTH + 40, second.state)
    assert (done.new, done.active) == ((), ())
    assert [(one.kind, one.end) for one in done.recent] == [(AnomalyKind.SPIKE, (LENGTH + 2) * STEP)]
    assert done.recent[0].evidence.startswith("3")
    assert "requests/s at 02:0" in done.recent[0].evidence


def test_what_a_signal_shows_by_itself_takes_the_place_of_what_did_not_go_together() -> None:
    given = signals()
    given["cpu"][LENGTH : LENGTH + 3] += 2.0
    state = look(given, LENGTH).state
    assert state.joint is not None
    joint = state.joint.copy()
    joint.episode = JointEpisode("cpu/app", LENGTH * STEP, 1e-5, 1, 1, LENGTH * STEP)
    found = look(given, LENGTH + 1, replace(state, joint=joint))
    assert [(one.signal, one.kind) for one in found.active] == [("cpu/app", AnomalyKind.SPIKE)]
    assert found.new == found.active
    assert (found.recent, found.ended) == ((), ())


def test_first_sight_reports_the_last_day_only() -> None:
    given = signals()
    given["load"][1000] += 150
    given["load"][2500] += 150
    found = look(given, LENGTH)
    assert [one.start for one in found.recent] == [2500 * STEP]
    assert found.new == ()


@pytest.mark.parametrize("absent", [np.nan, np.inf, 1e300])
def test_a_signal_whose_samples_come_later_is_watched_from_then_on(absent: float) -> None:
    given = signals()
    given["latency"][:LENGTH] = absent
    state = look(given, LENGTH).state
    assert "objective/latency-p99" not in state.signals
    later = look(given, LENGTH + 50, state)
    assert later.state.signals["objective/latency-p99"].expectation.seen == 50


def test_what_goes_on_at_first_sight_is_active_and_not_new() -> None:
    given = signals()
    given["load"][LENGTH - 3 : LENGTH] += 120
    found = look(given, LENGTH)
    assert [one.signal for one in found.active] == ["load"]
    assert found.new == ()


def test_signals_that_move_together_are_a_group() -> None:
    given = signals()
    for name, move in (("load", 120.0), ("cpu", 1.5), ("latency", 0.1)):
        given[name][LENGTH : LENGTH + 4] += move
    found = look(given, LENGTH + 4, look(given, LENGTH).state)
    assert len(found.groups) == 1
    assert found.groups[0].message == (
        "load, cpu/app and latency-p99 rose together at 02:00; the load is the likely cause."
    )


@pytest.mark.parametrize("how", ["told", "seen"])
def test_after_a_change_the_workload_may_settle(how: str) -> None:
    given = signals()
    given["memory"][LENGTH:] += 1e8
    given["load"][LENGTH : LENGTH + 3] += 120
    if how == "seen":
        given["replicas"][LENGTH:] = 5.0
    changes = [LENGTH * STEP] if how == "told" else []
    state = look(given, LENGTH).state
    first = look(given, LENGTH + 1, state, changes=changes)
    assert [one.signal for one in first.new] == ["load"], "the load is never suppressed"
    later = look(given, LENGTH + 100, first.state, changes=changes)
    assert {one.signal for one in (*later.recent, *later.active)} == {"load"}
    assert later.suppressed == 1


def test_a_breach_is_never_hidden() -> None:
    given = signals()
    given["latency"][LENGTH : LENGTH + 4] += 0.3
    state = look(given, LENGTH).state
    found = look(given, LENGTH + 2, state, changes=[LENGTH * STEP])
    assert [(one.signal, one.severity) for one in found.active] == [("objective/latency-p99", Severity.CRITICAL)]
    hidden = look(given, LENGTH + 2, state, changes=[LENGTH * STEP], objectives=())
    assert (hidden.active, hidden.suppressed) == ((), 1)


def test_a_signal_that_falls_silent_ends_its_anomaly() -> None:
    given = signals()
    given["load"][LENGTH : LENGTH + 2] += 120
    given["load"][LENGTH + 2 :] = np.nan
    state = look(given, LENGTH + 2, look(given, LENGTH).state).state
    found = look(given, LENGTH + 60, state)
    assert found.active == ()
    assert [one.end for one in found.recent] == [(LENGTH + 1) * STEP]


def test_another_step_starts_anew_and_other_seasons_do_not() -> None:
    given = signals()
    state = look(given, LENGTH).state
    past = history(given, LENGTH + 1)
    arguments = {"sensitivity": Sensitivity.MEDIUM, "changes": (), "now": (LENGTH + 1) * STEP}
    seasonal = watch(past, previous=state, seasons={"load": (SeasonFound(DAY, 50),)}, **arguments)  # type: ignore[arg-type]  # as above
    load = seasonal.state.signals["load"]
    assert len(load.expectation.seasons) == 1
    assert load.expectation.seen == PRIMED_SAMPLES + 1
    coarse = replace(past, load=Series(0.0, 300.0, given["load"][:600]))
    again = watch(coarse, previous=state, seasons={}, **arguments)  # type: ignore[arg-type]  # as above
    assert again.state.step_seconds == 300.0
    assert again.state.signals["load"].expectation.seen < 700


def test_another_sensitivity_takes_effect_at_once() -> None:
    given = signals()
    state = look(given, LENGTH).state
    low, high = (look(given, LENGTH + 1, state, sensitivity=one).state for one in (Sensitivity.LOW, Sensitivity.HIGH))
    assert (low.signals["load"].charts.tails.levels > high.signals["load"].charts.tails.levels).all()


def test_nothing_to_watch() -> None:
    bare = WorkloadHistory(load=empty(STEP), replicas=empty(STEP), cpu_size=empty(STEP))
    found = watch(bare, previous=None, sensitivity=Sensitivity.HIGH, seasons={}, changes=(np.nan,), now=0.0)
    assert (found.active, found.recent, found.new, found.groups, found.suppressed) == ((), (), (), (), 0)


def test_the_state_is_bounded() -> None:
    given = signals()
    size = len(pickle.dumps(look(given, LENGTH).state))
    assert size == pytest.approx(len(pickle.dumps(look(given, LENGTH + 100).state)), rel=0.02)
    assert size < 4 * 22 * 1024
