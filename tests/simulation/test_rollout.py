"""Plans of the Deployment and StatefulSet controllers as truth tables."""

import pytest

from trimtab.simulation.rollout import Member, Plan, plan_deployment, plan_statefulset

STATES = {"R": (True, True), "s": (True, False), "O": (False, True), "o": (False, False)}


def members(states: str) -> list[Member]:
    """R current and ready, s current and starting, O outdated and ready, o outdated and not ready."""
    return [Member(f"p{index}", index, *STATES[state]) for index, state in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "replicas", "delete", "create"),
    [
        pytest.param("RR", 2, "", 0, id="as-wanted"),
        pytest.param("", 3, "", 3, id="from-nothing-all-at-once"),
        pytest.param("RR", 5, "", 3, id="scale-up-all-at-once"),
        pytest.param("RRRR", 2, "p3 p2", 0, id="scale-down-takes-the-youngest"),
        pytest.param("RsRR", 3, "p1", 0, id="scale-down-takes-what-is-not-ready-first"),
        pytest.param("RR", 0, "p1 p0", 0, id="to-nothing"),
        pytest.param("OOOO", 4, "p0", 2, id="a-rollout-starts-with-surge-1-and-unavailable-1"),
        pytest.param("OOOss", 4, "", 0, id="a-rollout-waits-for-readiness"),
        pytest.param("OOORR", 4, "p0 p1", 2, id="a-rollout-goes-on"),
        pytest.param("O", 1, "", 1, id="one-replica-is-surged-not-removed"),
        pytest.param("OR", 1, "p0", 0, id="one-replica-is-swapped"),
        pytest.param("ooOO", 2, "p0 p1", 1, id="outdated-pods-that-do-not-serve-go-at-once"),
        pytest.param("OOOO", 2, "p0 p1", 1, id="scale-down-in-a-rollout"),
    ],
)
def test_deployment(states: str, replicas: int, delete: str, create: int) -> None:
    plan = plan_deployment(members(states), replicas, 10, 0.25, 0.25)
    assert plan == Plan(tuple(delete.split()), tuple(range(10, 10 + create)))


def test_neither_surge_nor_unavailable_is_read_as_one_unavailable() -> None:
    assert plan_deployment(members("OO"), 2, 10, 0.0, 0.0) == Plan(("p0",), (10,))


@pytest.mark.parametrize(
    ("states", "replicas", "expected"),
    [
        pytest.param("RR", 2, Plan(), id="as-wanted"),
        pytest.param("R", 3, Plan(create=(1,)), id="one-at-a-time"),
        pytest.param("Rs", 3, Plan(), id="the-next-waits-for-readiness"),
        pytest.param("RRR", 1, Plan(delete=("p2",)), id="the-highest-goes-first"),
        pytest.param("OOO", 3, Plan(("p2",), (2,)), id="an-update-replaces-the-highest"),
        pytest.param("OOs", 3, Plan(), id="an-update-waits-for-readiness"),
        pytest.param("OOR", 3, Plan(("p1",), (1,)), id="an-update-goes-down-the-ordinals"),
        pytest.param("OoR", 3, Plan(("p1",), (1,)), id="a-stuck-outdated-pod-is-replaced"),
    ],
)
def test_statefulset(states: str, replicas: int, expected: Plan) -> None:
    assert plan_statefulset(members(states), replicas) == expected
