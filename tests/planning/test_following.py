"""Following: hand-worked counts, what a breach adds, when it is not capacity, and what closed loops do."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.domain.scaling import Behavior
from trimtab.domain.series import FloatArray
from trimtab.planning.behavior import BehaviorState, Scaled, Wanted
from trimtab.planning.following import Follow, FollowInputs, Hold, Memory, follow
from trimtab.planning.rescue import Breach, RescueState

from .mm1_support import ar1

QUICK = Behavior.model_validate(
    {
        "scaleUp": {"policies": [{"type": "Percent", "value": 900, "periodSeconds": 15}]},
        "scaleDown": {"stabilizationWindowSeconds": 0},
    }
)
NOON = 43_200.0
BASE = FollowInputs(
    now=NOON,
    replicas=5,
    ready_replicas=5,
    min_replicas=2,
    max_replicas=40,
    demand=400.0,
    demand_age_seconds=10.0,
    max_data_age_seconds=300.0,
    capacity_per_replica=100.0,
    headroom_percent=12.0,
    behavior=QUICK,
    unit="requests/s",
)


def target(inputs: FollowInputs) -> int:
    """Replicas after the decision."""
    decision = follow(inputs)
    return decision.replicas if isinstance(decision, Follow) else inputs.replicas


@pytest.mark.parametrize(
    ("change", "replicas"),
    [
        pytest.param({}, 5, id="400 * 1.12 / 100 = 4.48: five are right"),
        pytest.param({"demand": 450.0}, 6, id="5.04: one more, a learned capacity has no tolerance"),
        pytest.param({"demand": 446.4}, 5, id="4.9997: just fits"),
        pytest.param({"demand": 1000.0}, 12, id="11.2: twelve"),
        pytest.param({"demand": 350.0}, 5, id="3.92 + 0.39 room is 4.31: stays"),
        pytest.param({"demand": 320.0}, 4, id="3.58 + 0.36 room is 3.94: four"),
        pytest.param({"demand": 3200.0, "replicas": 37}, 37, id="35.84 + 0.5 room is 36.3: stays"),
        pytest.param({"demand": 3100.0, "replicas": 37}, 36, id="34.72 + 0.5 room is 35.2: thirty-six"),
        pytest.param({"demand": 0.0}, 2, id="idle: minReplicas"),
        pytest.param({"demand": 0.0, "floor": 3}, 3, id="idle: floor of the operating point"),
        pytest.param({"demand": 9000.0}, 40, id="maxReplicas"),
        pytest.param({"forecast_peak": 700.0}, 8, id="a forecast adds: 7.84"),
        pytest.param({"forecast_peak": 10.0}, 5, id="a forecast removes nothing"),
        pytest.param({"forecast_peak": math.nan}, 5, id="a forecast that is NaN counts for nothing"),
        pytest.param({"capacity_learned": False, "demand": 490.0}, 5, id="stand-in 5.49: within 10 %"),
        pytest.param({"capacity_learned": False, "demand": 500.0}, 6, id="stand-in 5.6: beyond 10 %"),
        pytest.param(
            {"ready_replicas": 2, "demand": 450.0}, 6, id="replicas that start are counted, not ordered twice"
        ),
        pytest.param({"capacity_per_replica": None}, 5, id="no capacity known"),
        pytest.param({"capacity_per_replica": None, "floor": 7}, 7, id="no capacity known: the floor still holds"),
        pytest.param({"replicas": 50}, 40, id="above max at once"),
        pytest.param({"replicas": 1}, 2, id="below min at once"),
        pytest.param(
            {"replicas": 1, "demand": None, "bounds_enforced": False}, 2, id="below a min just set, even blind"
        ),
        pytest.param({"replicas": 1, "demand": None}, 1, id="below a min that was enforced before, blind"),
        pytest.param({"replicas": 50, "demand": None}, 50, id="above a max that was enforced before, blind"),
        pytest.param({"replicas": 0}, 0, id="scaled to zero by a person"),
        pytest.param({"demand": None}, 5, id="no demand"),
        pytest.param({"demand": math.nan, "replicas": 9}, 9, id="NaN"),
        pytest.param({"demand": -1.0, "replicas": 9}, 9, id="negative"),
        pytest.param({"demand": 4000.0, "demand_age_seconds": 301.0}, 5, id="stale"),
        pytest.param({"demand": 4000.0, "demand_age_seconds": math.nan}, 5, id="of unknown age"),
    ],
)
def test_counts_by_hand(change: dict[str, object], replicas: int) -> None:
    assert target(replace(BASE, **change)) == replicas  # type: ignore[arg-type]  # fields by name in a table


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            {"forecast_peak": 412.0, "forecast_peak_at": NOON + 180, "capacity_per_replica": 85.0},
            "demand 412 requests/s foreseen at 12:03 needs 6 replicas of 85 requests/s with 12 % headroom",
            id="foreseen",
        ),
        pytest.param(
            {"demand": 350.0},
            "demand 350 requests/s seen now needs 4 replicas of 100 requests/s with 12 % headroom,"
            " too near to 5 to move",
            id="held by tolerance",
        ),
        pytest.param(
            {"demand": 9000.0},
            "demand 9000 requests/s seen now needs 101 replicas of 100 requests/s with 12 % headroom,"
            " but maxReplicas is 40",
            id="capped",
        ),
        pytest.param(
            {"demand": 50.0, "floor": 3},
            "demand 50 requests/s seen now needs 1 replica of 100 requests/s with 12 % headroom, the floor is 3",
            id="floor",
        ),
        pytest.param(
            {"demand": 100.0, "behavior": Behavior()},
            "demand 100 requests/s seen now needs 2 replicas of 100 requests/s with 12 % headroom;"
            " held by scaleDown stabilisation over 300 s",
            id="held by behaviour",
        ),
        pytest.param(
            {"demand": 3000.0, "behavior": Behavior()},
            "demand 3000 requests/s seen now needs 34 replicas of 100 requests/s with 12 % headroom;"
            " 10 for now by scaleUp policies",
            id="slowed by behaviour",
        ),
        pytest.param(
            {"demand_age_seconds": 420.0},
            "the newest demand is 7m old, more than 5m: replicas stay as they are",
            id="stale",
        ),
        pytest.param(
            {"breach": Breach("latency-p99", 0.31, 0.25)},
            "latency-p99 is 0.31, beyond 0.25: 7 replicas instead of 5, a step of a quarter",
            id="breach",
        ),
        pytest.param(
            {"breach": Breach("latency-p99", 0.31, 0.25, 6)},
            "latency-p99 is 0.31, beyond 0.25: 6 replicas instead of 5, expected to hold it at this load",
            id="breach that the curve knows",
        ),
    ],
)
def test_reasons_are_one_plain_sentence(change: dict[str, object], reason: str) -> None:
    assert follow(replace(BASE, **change)).reason == reason  # type: ignore[arg-type]  # fields by name in a table


@pytest.mark.parametrize(
    ("replicas", "needed", "wanted"),
    [
        pytest.param(1, None, 2, id="at least one"),
        pytest.param(5, None, 7, id="a quarter of 5, rounded up"),
        pytest.param(20, None, 25, id="a quarter of 20"),
        pytest.param(20, 22, 22, id="as many as the curve asks for"),
        pytest.param(20, 18, 25, id="a curve that sees no trouble cannot tell"),
        pytest.param(38, None, 40, id="never above max"),
    ],
)
def test_a_breach_steps_up_at_once(replicas: int, needed: int | None, wanted: int) -> None:
    slow = Behavior.model_validate(
        {
            "scaleUp": {
                "stabilizationWindowSeconds": 600,
                "policies": [{"type": "Percent", "value": 900, "periodSeconds": 15}],
            }
        }
    )
    breach = Breach("latency-p99", 0.5, 0.25, needed)
    inputs = replace(
        BASE, replicas=replicas, ready_replicas=replicas, min_replicas=1, demand=50.0, breach=breach, behavior=slow
    )
    decision = follow(inputs)
    assert isinstance(decision, Follow)
    assert (decision.replicas, decision.rescue, decision.not_capacity) == (wanted, True, False)


def test_a_breach_never_scales_down() -> None:
    inputs = replace(BASE, demand=10.0, breach=Breach("p99", 0.5, 0.25), replicas=40, ready_replicas=40)
    decision = follow(inputs)
    assert isinstance(decision, Hold)
    assert decision.reason.endswith("but maxReplicas is 40")


class Closed:
    """A loop of evaluations, one a minute, that applies what is decided."""

    def __init__(self, start: FollowInputs) -> None:
        self.inputs = start

    def step(self, minutes: float = 1.0, **seen: object) -> Follow | Hold:
        """One evaluation with what is seen now; replicas are ready by the next."""
        self.inputs = replace(self.inputs, **seen)  # type: ignore[arg-type]  # fields by name
        decision = follow(self.inputs)
        memory, replicas = decision.memory, self.inputs.replicas
        if isinstance(decision, Follow):
            memory, replicas = decision.written, decision.replicas
        self.inputs = replace(
            self.inputs, now=self.inputs.now + 60 * minutes, replicas=replicas, ready_replicas=replicas, memory=memory
        )
        return decision


def p99(value: float) -> Breach:
    return Breach("p99", value, 0.25)


def test_a_step_is_given_time_to_show() -> None:
    loop = Closed(BASE)
    assert loop.step(breach=p99(0.5)).reason.startswith("p99 is 0.5")
    held = loop.step(breach=p99(0.5))
    assert isinstance(held, Hold)
    assert "the step to 7 replicas at 12:00 needs 120 s to show" in held.reason


def test_two_steps_without_improvement_are_not_capacity() -> None:
    loop = Closed(BASE)
    counts = []
    for _ in range(9):
        decision = loop.step(2, breach=p99(0.5))
        counts.append((loop.inputs.replicas, decision.not_capacity))
    assert counts[:4] == [(7, False), (9, False), (9, True), (9, True)]
    assert counts[-1] == (9, True)
    assert "2 steps up did not improve it: the trouble is not capacity" in decision.reason


def test_noise_does_not_pass_for_an_improvement() -> None:
    """Measured on a service whose latency no replica changes: every other value is below the one before."""
    loop = Closed(BASE)
    decisions = [loop.step(2, breach=p99(value)) for value in (0.519, 0.675, 0.562, 0.646, 0.563, 0.566)]
    assert [decision.not_capacity for decision in decisions] == [False, False, True, True, True, True]
    assert loop.inputs.replicas == 9


def test_not_capacity_clears_when_the_objective_holds_again() -> None:
    loop = Closed(BASE)
    for _ in range(3):
        held = loop.step(2, breach=p99(0.5))
    assert held.not_capacity
    assert not loop.step(2, breach=None).not_capacity
    again = loop.step(2, breach=p99(0.5))
    assert isinstance(again, Follow)
    assert again.rescue


@pytest.mark.parametrize(("demand", "rescued"), [(520.0, True), (480.0, False), (100.0, False)])
def test_not_capacity_clears_when_load_rises_well_beyond(demand: float, rescued: bool) -> None:
    loop = Closed(BASE)
    for _ in range(3):
        loop.step(2, breach=p99(0.5))
    decision = loop.step(2, breach=p99(0.5), demand=demand)
    assert (isinstance(decision, Follow) and decision.rescue) == rescued
    assert decision.not_capacity != rescued


def test_steps_that_help_go_on() -> None:
    loop = Closed(BASE)
    for value, replicas in [(1.0, 7), (0.6, 9), (0.4, 12), (0.3, 15)]:
        loop.step(2, breach=p99(value))
        assert loop.inputs.replicas == replicas
    assert not loop.step(2, breach=None).not_capacity


def test_steps_that_load_ate_up_are_not_judged() -> None:
    loop = Closed(BASE)
    for i in range(5):
        decision = loop.step(2, breach=p99(0.5), demand=400.0 * 1.5**i, capacity_per_replica=1000.0)
        assert not decision.not_capacity


def test_demand_still_scales_up_while_it_is_not_capacity() -> None:
    loop = Closed(BASE)
    for _ in range(3):
        loop.step(2, breach=p99(0.5))
    decision = loop.step(2, breach=p99(0.5), demand=495.0, capacity_per_replica=50.0)
    assert isinstance(decision, Follow)
    assert (decision.replicas, decision.not_capacity) == (12, True)


def test_a_rescue_waits_for_replicas_that_start() -> None:
    waiting = follow(replace(BASE, ready_replicas=3, breach=p99(0.5)))
    assert isinstance(waiting, Hold)
    assert "2 of 5 replicas are still starting" in waiting.reason
    late = follow(replace(BASE, ready_replicas=3, breach=p99(0.5), memory=waiting.memory, now=NOON + 120))
    assert isinstance(late, Follow)


def test_a_step_that_never_starts_orders_no_more() -> None:
    memory = Memory(rescue=RescueState(pending=True, at=NOON - 900, distance=0.2, load=400.0, before=5, after=9))
    decision = follow(replace(BASE, replicas=9, ready_replicas=5, breach=p99(0.5), memory=memory))
    assert isinstance(decision, Hold)
    assert "5 of 9 replicas are ready, more would wait with the others" in decision.reason


def test_what_a_rescue_reached_is_kept_in_proportion_to_load_for_an_hour() -> None:
    loop = Closed(BASE)
    loop.step(2, breach=p99(0.5))
    kept = loop.step(2, breach=None)
    assert isinstance(kept, Hold)
    assert kept.reason == "5 replicas broke an objective at 12:00: 7 are kept until 13:00"
    loop.step(2, demand=240.0)
    assert loop.inputs.replicas == 5  # ceil(7 * 240/400), where capacity asks for 3
    loop.step(60)
    loop.step(1)
    assert loop.inputs.replicas == 3


def test_a_write_that_was_not_made_is_not_remembered() -> None:
    decision = follow(replace(BASE, breach=p99(0.5)))
    assert isinstance(decision, Follow)
    assert decision.memory.behavior.scaled == ()
    assert decision.memory.rescue.after == 0
    assert decision.written.behavior.scaled == (Scaled(NOON, 2),)
    assert decision.written.rescue.after == 7


def test_data_that_comes_back_after_a_gap_removes_nothing_for_a_window() -> None:
    loop = Closed(replace(BASE, behavior=Behavior()))
    for _ in range(5):
        loop.step(demand=400.0)
    for _ in range(10):
        assert isinstance(loop.step(demand=None), Hold)
    counts = []
    for _ in range(6):
        loop.step(demand=100.0)
        counts.append(loop.inputs.replicas)
    assert counts == [5, 5, 5, 5, 5, 2]


# Laws

memories = st.builds(
    Memory,
    behavior=st.builds(
        BehaviorState,
        wanted=st.lists(st.builds(Wanted, st.floats(NOON - 400, NOON), st.integers(1, 60)), max_size=4).map(tuple),
        scaled=st.lists(st.builds(Scaled, st.floats(NOON - 60, NOON), st.integers(-9, 9)), max_size=3).map(tuple),
    ),
    rescue=st.builds(
        RescueState,
        futile=st.integers(0, 3),
        pending=st.booleans(),
        at=st.floats(NOON - 4000, NOON),
        distance=st.floats(0, 1),
        load=st.floats(0, 5000),
        load_per_replica=st.floats(0, 500),
        before=st.integers(0, 40),
        after=st.integers(0, 50),
    ),
)
inputs_strategy = st.builds(
    FollowInputs,
    now=st.just(NOON),
    replicas=st.integers(1, 60),
    ready_replicas=st.integers(0, 60),
    min_replicas=st.integers(1, 10),
    max_replicas=st.integers(10, 60),
    demand=st.floats(0, 1e5),
    demand_age_seconds=st.just(0.0),
    max_data_age_seconds=st.just(300.0),
    capacity_per_replica=st.none() | st.floats(0.1, 1000),
    capacity_learned=st.booleans(),
    headroom_percent=st.floats(0, 100),
    floor=st.integers(0, 15),
    forecast_peak=st.none() | st.floats(0, 1e5) | st.just(math.nan),
    breach=st.none()
    | st.builds(Breach, st.just("p99"), st.floats(0.25, 5), st.just(0.25), st.none() | st.integers(1, 80)),
    behavior=st.sampled_from([Behavior(), QUICK]),
    memory=memories,
)


@given(inputs=inputs_strategy, more=st.floats(0, 1e4))
def test_more_demand_never_means_fewer_replicas(inputs: FollowInputs, more: float) -> None:
    assert inputs.demand is not None
    assert target(replace(inputs, demand=inputs.demand + more)) >= target(inputs)


@given(inputs=inputs_strategy, peak=st.floats(0, 1e5))
def test_a_forecast_only_adds(inputs: FollowInputs, peak: float) -> None:
    assert target(replace(inputs, forecast_peak=peak)) >= target(replace(inputs, forecast_peak=None))


@given(inputs=inputs_strategy)
def test_bounds_always_hold_and_a_breach_removes_nothing(inputs: FollowInputs) -> None:
    decision = follow(inputs)
    if isinstance(decision, Follow):
        assert inputs.min_replicas <= decision.replicas <= inputs.max_replicas
        assert decision.replicas != inputs.replicas
        assert decision.reason
    inside = inputs.min_replicas <= inputs.replicas <= inputs.max_replicas
    if inputs.breach is not None and inside:
        assert target(inputs) >= inputs.replicas
    if not inside:
        assert isinstance(decision, Follow)


@given(inputs=inputs_strategy, demand=st.floats(0, 1e4))
def test_steady_demand_settles(inputs: FollowInputs, demand: float) -> None:
    """From any past, a steady demand without a breach ends in one count and stays there."""
    loop = Closed(replace(inputs, breach=None, forecast_peak=None))
    for _ in range(80):
        loop.step(demand=demand)
    settled = loop.inputs.replicas
    for _ in range(10):
        loop.step(demand=demand)
    assert loop.inputs.replicas == settled


@given(
    capacities=st.tuples(st.floats(20, 500), st.floats(20, 500)),
    demands=st.tuples(st.floats(0, 5000), st.floats(0, 5000)),
    start=st.integers(2, 40),
)
def test_going_back_to_the_former_point_gives_what_it_asks_for_now(
    capacities: tuple[float, float], demands: tuple[float, float], start: int
) -> None:
    """Whatever was tried meanwhile leaves no trace but the room left when scaling down."""
    former, tried = capacities
    loop = Closed(replace(BASE, replicas=start, ready_replicas=start))
    for capacity, demand in ((former, demands[0]), (tried, demands[0]), (former, demands[1])):
        for _ in range(10):
            loop.step(capacity_per_replica=capacity, demand=demand)
    need = demands[1] * 1.12 / former
    least, most = math.ceil(need - 1e-9), math.ceil(need + min(0.1 * need, 0.5) - 1e-9)
    assert min(max(least, 2), 40) <= loop.inputs.replicas <= min(max(most, 2), 40)


# Outcomes


def day_of_demand(rng: np.random.Generator) -> FloatArray:
    day = 0.55 - 0.45 * np.cos(2 * np.pi * np.arange(1440) / 1440)
    return np.asarray(900 * day * np.exp(ar1(rng, 1440, 0.05, 0.7)))


def test_a_day_costs_little_more_than_an_oracle_and_rarely_overloads() -> None:
    costs, overloads, changes = [], [], []
    for seed in range(5):
        demand = day_of_demand(np.random.default_rng(seed))
        ahead = [float(demand[i : i + 5].max()) for i in range(demand.size)]
        loop = Closed(replace(BASE, behavior=Behavior(), headroom_percent=10.0, min_replicas=1))
        used, over, moved = [], 0, 0
        for now, peak in zip(demand, ahead, strict=True):
            over += now > 100.0 * loop.inputs.ready_replicas
            used.append(loop.inputs.replicas)
            moved += isinstance(loop.step(demand=float(now), forecast_peak=peak), Follow)
        costs.append(float(np.sum(used) / np.sum(np.ceil(demand / 100.0))))
        overloads.append(over)
        changes.append(moved)
    assert max(costs) < 1.25
    assert max(overloads) == 0
    assert max(changes) < 60
