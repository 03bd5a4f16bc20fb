"""HPA v2 behaviour against the worked examples of the HPA's documentation and of KEP-853, and its laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.domain.scaling import Behavior
from trimtab.planning.behavior import BehaviorState, Scaled, Wanted, pace, scaled


def rules(window: int | None = None, select: str = "Max", /, **policies: tuple[str, int, int]) -> dict[str, object]:
    """Scaling rules from (type, value, period) triples."""
    listed = [{"type": kind, "value": value, "periodSeconds": period} for kind, value, period in policies.values()]
    return {"stabilizationWindowSeconds": window, "selectPolicy": select, "policies": listed}


def behavior(up: dict[str, object] | None = None, down: dict[str, object] | None = None) -> Behavior:
    return Behavior.model_validate({"scaleUp": up or {}, "scaleDown": down or {}})


def walk(how: Behavior, current: int, wanted: int, steps: int, every: float = 60.0) -> list[int]:
    """Counts after each step, an evaluation every so many seconds."""
    state, counts = BehaviorState(), []
    for step in range(steps):
        now = step * every
        paced = pace(state, how, now, current, wanted)
        state = scaled(paced.state, now, current, paced.replicas)
        current = paced.replicas
        counts.append(current)
    return counts


FOUR_OR_TENTH = {"a": ("Pods", 4, 60), "b": ("Percent", 10, 60)}


@pytest.mark.parametrize(
    ("how", "current", "wanted", "counts"),
    [
        pytest.param(
            behavior(down=rules(0, **FOUR_OR_TENTH)),
            80,
            10,
            [72, 64, 57, 51, 45, 40, 36, 32, 28],
            id="docs: 10 % of 80 is 8, of 72 rounded up to 8; below 40 four pods at a time",
        ),
        pytest.param(
            behavior(down=rules(0, "Min", **FOUR_OR_TENTH)),
            80,
            10,
            [76, 72, 68],
            id="docs: Min takes the smallest change",
        ),
        pytest.param(behavior(down=rules(0, "Disabled")), 80, 10, [80, 80], id="docs: Disabled never scales down"),
        pytest.param(behavior(up=rules(0, "Disabled")), 8, 10, [8, 8], id="docs: Disabled never scales up"),
        pytest.param(
            behavior(up=rules(0, a=("Percent", 900, 60))),
            1,
            1500,
            [10, 100, 1000, 1500],
            id="KEP-853 story 1: as fast as possible",
        ),
        pytest.param(
            behavior(up=rules(0, a=("Pods", 1, 60))), 1, 4, [2, 3, 4, 4], id="KEP-853 story 3: one pod a minute"
        ),
        pytest.param(
            behavior(down=rules(600, a=("Pods", 5, 600))),
            40,
            20,
            [40] * 10 + [35] * 9,
            id="KEP-853 story 5: five pods each ten minutes, after ten quiet minutes",
        ),
        pytest.param(behavior(), 1, 20, [5, 10, 20], id="default up: 4 pods or 100 %, whichever is more"),
        pytest.param(behavior(), 20, 2, [20, 20, 20, 20, 20, 2], id="default down: all at once after 300 s"),
    ],
)
def test_worked_examples(how: Behavior, current: int, wanted: int, counts: list[int]) -> None:
    assert walk(how, current, wanted, len(counts)) == counts


@pytest.mark.parametrize(
    ("down_window", "up_window", "past", "current", "wanted", "replicas"),
    [
        pytest.param(300, 0, [9, 8, 9, 10], 10, 5, 10, id="down: the largest of the window"),
        pytest.param(300, 0, [9, 8, 7, 6], 10, 5, 9, id="down: to the largest of the window"),
        pytest.param(300, 0, [4, 4, 4, 4], 10, 5, 5, id="down: all of the window below"),
        pytest.param(0, 0, [9, 9, 9, 9], 10, 5, 5, id="down: no window"),
        pytest.param(0, 300, [4, 6, 7, 8], 3, 7, 4, id="up: the smallest of the window"),
        pytest.param(0, 300, [9, 9, 9, 9], 3, 7, 7, id="up: all of the window above"),
        pytest.param(0, 0, [4, 4, 4, 4], 3, 7, 7, id="up: no window"),
        pytest.param(300, 300, [4, 9, 4, 9], 6, 6, 6, id="steady between the two"),
    ],
)
def test_stabilisation(
    down_window: int, up_window: int, past: list[int], current: int, wanted: int, replicas: int
) -> None:
    how = behavior(rules(up_window, a=("Percent", 900, 15)), rules(down_window))
    state = BehaviorState(wanted=tuple(Wanted(60.0 * i, n) for i, n in enumerate(past)))
    assert pace(state, how, 240.0, current, wanted).replicas == replicas


def test_urgent_skips_the_window_but_no_policy() -> None:
    how = behavior(up=rules(300, a=("Pods", 2, 60)))
    state = BehaviorState(wanted=(Wanted(0.0, 3),))
    assert pace(state, how, 60.0, 3, 9).replicas == 3
    assert pace(state, how, 60.0, 3, 9, urgent=True).replicas == 5


@pytest.mark.parametrize(
    ("events", "current", "limit"),
    [
        pytest.param([], 10, 14, id="nothing yet"),
        pytest.param([Scaled(10.0, 4)], 14, 14, id="used up"),
        pytest.param([Scaled(10.0, 3)], 13, 14, id="one is left"),
        pytest.param([Scaled(0.0, 4)], 14, 18, id="just outside the period"),
        pytest.param([Scaled(10.0, 4), Scaled(20.0, -4)], 10, 14, id="taken back: counted from the start"),
        pytest.param([Scaled(70.0, 4)], 10, 14, id="after a clock that jumped back"),
    ],
)
def test_policies_count_what_was_scaled_in_the_period(events: list[Scaled], current: int, limit: int) -> None:
    how = behavior(up=rules(0, a=("Pods", 4, 60)))
    state = BehaviorState(wanted=(Wanted(50.0, 99),), scaled=tuple(events))
    assert pace(state, how, 60.0, current, 99).replicas == limit


def test_after_a_start_nothing_is_removed_until_a_window_was_seen() -> None:
    assert walk(behavior(), 12, 3, 11, every=30.0) == [12] * 10 + [3]


def test_after_a_gap_as_after_a_start() -> None:
    state = BehaviorState(wanted=(Wanted(0.0, 3),))
    paced = pace(state, Behavior(), 400.0, 12, 3)
    assert (paced.replicas, paced.limited_by) == (12, "scaleDown stabilisation over 300 s")


def test_state_stays_small() -> None:
    state = BehaviorState()
    for now in range(0, 20_000, 15):
        state = scaled(pace(state, Behavior(), float(now), 5, 5).state, float(now), 5, 5 + now % 2)
    assert len(state.wanted) <= 300 // 15 + 1
    assert len(state.scaled) <= 2


counts = st.integers(1, 500)
states = st.builds(
    BehaviorState,
    wanted=st.lists(st.builds(Wanted, st.floats(0, 1000), counts), max_size=8).map(tuple),
    scaled=st.lists(st.builds(Scaled, st.floats(0, 1000), st.integers(-50, 50)), max_size=5).map(tuple),
)
policies = st.lists(
    st.tuples(st.sampled_from(["Pods", "Percent"]), st.integers(1, 400), st.integers(1, 1800)), max_size=3
)
rule_sets = st.builds(
    lambda window, select, listed: rules(window, select, **{str(i): policy for i, policy in enumerate(listed)}),
    st.none() | st.integers(0, 3600),
    st.sampled_from(["Max", "Min", "Disabled"]),
    policies,
)
behaviors = st.builds(behavior, rule_sets, rule_sets)


@given(state=states, how=behaviors, current=counts, wanted=counts, more=st.integers(0, 300))
def test_laws_of_pace(state: BehaviorState, how: Behavior, current: int, wanted: int, more: int) -> None:
    paced = pace(state, how, 1000.0, current, wanted)
    assert min(current, wanted) <= paced.replicas <= max(current, wanted)
    assert pace(state, how, 1000.0, current, wanted + more).replicas >= paced.replicas
    assert (paced.limited_by == "") == (paced.replicas == wanted)
    if how.scale_up.select_policy.value == "Disabled":
        assert paced.replicas <= current
    if how.scale_down.select_policy.value == "Disabled":
        assert paced.replicas >= current
