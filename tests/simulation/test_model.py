"""The model's step: arithmetic worked by hand, and the laws that must hold for any load and size."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trimtab.simulation.behaviour import Cliff, ColdStart, ServiceModel
from trimtab.simulation.model import Outcome, Parameters, PodGroups, answers, step

PLAIN = ServiceModel(
    requests_per_core=100, base_service_seconds=0.0, idle_cpu_cores=0.0, workers=1, queue_limit=1e9, timeout_seconds=60
)


def stepped(
    model: ServiceModel,
    offered: list[float],
    *,
    limit: float = 1.0,
    memory: float = math.inf,
    backlog: float = 0.0,
    age: float = 1e6,
    step_seconds: float = 1.0,
    factor: float = 1.0,
) -> Outcome:
    """One pod under a rate for each step."""
    columns = PodGroups(*(np.array([[value]]) for value in (limit, memory, backlog, age, factor)))
    seconds = np.arange(len(offered), dtype=np.float64) * step_seconds
    return step(Parameters.of([model]), columns, np.array([offered], dtype=np.float64), seconds, step_seconds)


def p99(model: ServiceModel, outcome: Outcome) -> list[float]:
    found: list[float] = answers(Parameters.of([model]), outcome).quantiles(0.99)[0].tolist()
    return found


@pytest.mark.parametrize(
    ("changes", "limit", "expected"),
    [
        pytest.param({}, 1.0, 100, id="a-core"),
        pytest.param({}, 0.5, 50, id="half-a-core"),
        pytest.param({"idle_cpu_cores": 0.1}, 0.6, 50, id="idle-cpu-comes-first"),
        pytest.param({"workers": 2}, 4.0, 200, id="no-more-cores-than-workers"),
        pytest.param({"idle_cpu_cores": 1.0}, 0.5, 0.1, id="a-limit-below-idle-leaves-a-millicore"),
        pytest.param({"cliff": Cliff(below_cpu_cores=0.5, slowdown=4)}, 0.5, 50, id="at-the-cliff"),
        pytest.param({"cliff": Cliff(below_cpu_cores=0.5, slowdown=4)}, 0.4, 10, id="below-the-cliff"),
    ],
)
def test_capacity(changes: dict[str, object], limit: float, expected: float) -> None:
    model = PLAIN.model_copy(update=changes)
    assert model.capacity(limit) == pytest.approx(expected)
    swamped = stepped(model, [1e5], limit=limit)
    assert swamped.served[0, 0] == pytest.approx(expected)


def test_a_quiet_pod() -> None:
    """60/s at 100/s: all served, 0.6 cores, p99 = ln 100 / 40, and 60 x 1/40 = 1.5 requests in the pod (Little)."""
    model = PLAIN.model_copy(update={"memory_base_bytes": 1000.0, "memory_per_request_bytes": 10.0})
    outcome = stepped(model, [60])
    assert outcome.served[0, 0] == pytest.approx(60)
    assert outcome.cpu_cores[0, 0] == pytest.approx(0.6)
    assert p99(model, outcome) == pytest.approx([math.log(100) / 40], rel=1e-4)
    assert outcome.memory_bytes[0, 0] == pytest.approx(1000 + 15)
    assert outcome.dropped.sum() == outcome.abandoned.sum() == 0


def test_idle_cpu_and_cpu_of_requests_add_up() -> None:
    model = PLAIN.model_copy(update={"idle_cpu_cores": 0.1, "cpu_seconds_per_request": 0.004})
    assert stepped(model, [50]).cpu_cores[0, 0] == pytest.approx(0.1 + 50 * 0.004)


def test_memory_grows_with_the_rate() -> None:
    model = PLAIN.model_copy(
        update={"memory_base_bytes": 1000.0, "memory_per_request_bytes": 0.0, "memory_per_rate_bytes": 7.0}
    )
    assert stepped(model, [50]).memory_bytes[0, 0] == pytest.approx(1350)


def test_overload_piles_up_and_drains() -> None:
    """130/s at 100/s leaves 30 a second; at 40/s 60 a second go. The wait is the mean backlog over the rate."""
    outcome = stepped(PLAIN, [130, 130, 40, 40])
    assert outcome.backlog_requests[0].tolist() == pytest.approx([30, 60, 0, 0])
    assert outcome.served[0].tolist() == pytest.approx([100, 100, 100, 40])
    assert outcome.latency.shift_seconds[0].tolist() == pytest.approx([0.15, 0.45, 0.3, 0])


def test_a_full_queue_turns_away() -> None:
    outcome = stepped(PLAIN.model_copy(update={"queue_limit": 50.0}), [130, 130, 130])
    assert outcome.dropped[0].tolist() == pytest.approx([0, 10, 30])
    assert outcome.backlog_requests[0].tolist() == pytest.approx([30, 50, 50])


def test_clients_give_up() -> None:
    """No more than 100/s x 0.5 s can be served in time: the rest of the queue goes, and what is served is late."""
    outcome = stepped(PLAIN.model_copy(update={"timeout_seconds": 0.5}), [130, 130, 130])
    assert outcome.backlog_requests[0].tolist() == pytest.approx([30, 50, 50])
    assert outcome.abandoned[0].tolist() == pytest.approx([0, 10, 30])
    assert outcome.late[0, 2] == pytest.approx(100)


def test_late_requests_are_those_beyond_the_timeout() -> None:
    """exp(-(100 - 60) x 0.05) of 60."""
    outcome = stepped(PLAIN.model_copy(update={"timeout_seconds": 0.05}), [60])
    assert outcome.late[0, 0] == pytest.approx(60 * math.exp(-2), rel=1e-4)


def test_errors_are_a_share_of_what_is_served() -> None:
    assert stepped(PLAIN.model_copy(update={"error_ratio": 0.02}), [50]).failed[0, 0] == pytest.approx(1)


def test_below_the_cliff_requests_cost_more() -> None:
    """Four times the time and CPU: 10/s at a capacity of 40/4 x 1 = 10 is full, and takes 0.4 cores for it."""
    model = PLAIN.model_copy(update={"cliff": Cliff(below_cpu_cores=0.5, slowdown=4)})
    above, below = stepped(model, [8], limit=0.5), stepped(model, [8], limit=0.4)
    assert (above.cpu_cores[0, 0], below.cpu_cores[0, 0]) == pytest.approx((0.08, 0.32))
    assert p99(model, above)[0] == pytest.approx(math.log(100) / 42, rel=1e-4)
    assert p99(model, below)[0] == pytest.approx(math.log(100) / 2, rel=1e-4)


def test_a_new_pod_warms_up() -> None:
    """Three times as slow at first, back to normal after ten seconds: 1 + 2 x (1 - age / 10)."""
    model = PLAIN.model_copy(update={"cold_start": ColdStart(seconds=10, slowdown=3)})
    costs = stepped(model, [10] * 12, age=0).cpu_cores[0] / 0.1
    assert costs.tolist() == pytest.approx([3, 2.8, 2.6, 2.4, 2.2, 2, 1.8, 1.6, 1.4, 1.2, 1, 1])


@pytest.mark.parametrize(
    ("load", "low", "high"),
    [
        pytest.param(1.0, 0.0, 0.01, id="idle"),
        pytest.param(60.0, 0.05, 0.4, id="busy"),
        pytest.param(200.0, 1.0, 1.0, id="at-the-limit"),
    ],
)
def test_throttling(load: float, low: float, high: float) -> None:
    assert low <= stepped(PLAIN, [load]).throttled_share[0, 0] <= high


def test_a_pod_that_exceeds_its_memory_ends_the_run() -> None:
    """100 bytes a request waiting: at 30 more a second the limit of 8000 falls in the third second."""
    model = PLAIN.model_copy(update={"memory_base_bytes": 0.0, "memory_per_request_bytes": 100.0})
    outcome = stepped(model, [130] * 5, memory=13_000)
    assert outcome.steps == 3
    assert outcome.killed.tolist() == [True]


def test_a_fault_stretches_latency_and_leaves_capacity() -> None:
    plain, slow = stepped(PLAIN, [60]), stepped(PLAIN, [60], factor=3.0)
    assert p99(PLAIN, slow)[0] == pytest.approx(3 * p99(PLAIN, plain)[0], rel=1e-4)
    assert slow.cpu_cores[0, 0] == plain.cpu_cores[0, 0]


def test_noise_scatters_the_p99_around_the_formula() -> None:
    model = PLAIN.model_copy(update={"noise": 0.05, "seed": 4})
    found = np.array(p99(model, stepped(model, [60] * 2000)))
    assert found.std() / found.mean() == pytest.approx(0.05 * 100 / 40, rel=0.3)
    assert np.median(found) == pytest.approx(math.log(100) / 40, rel=0.05)


def test_more_cpu_a_request_than_a_core_gives_is_refused() -> None:
    with pytest.raises(ValidationError, match="exceeds one core"):
        ServiceModel(requests_per_core=100, cpu_seconds_per_request=0.02)


def test_quantities_are_understood() -> None:
    model = ServiceModel.model_validate({"idle_cpu_cores": "50m", "memory_base_bytes": "64Mi"})
    assert (model.idle_cpu_cores, model.memory_base_bytes) == (0.05, 64 * 2**20)


models = st.builds(
    ServiceModel,
    requests_per_core=st.floats(1, 1000),
    base_service_seconds=st.floats(0, 0.5),
    idle_cpu_cores=st.sampled_from([0.0, 0.01, 0.2]),
    workers=st.floats(1, 32),
    queue_limit=st.floats(0, 2000),
    timeout_seconds=st.floats(0.1, 60),
    error_ratio=st.floats(0, 0.5),
    noise=st.sampled_from([0.0, 0.1]),
    cliff=st.sampled_from([None, Cliff(below_cpu_cores=0.5, slowdown=5)]),
    cold_start=st.sampled_from([None, ColdStart(seconds=10, slowdown=3)]),
)
limits = st.floats(0.05, 8)
series_of_loads = st.lists(st.floats(0, 3000), min_size=1, max_size=12)


@given(models, series_of_loads, limits, st.floats(0, 500), st.floats(0, 20))
@settings(max_examples=150)
def test_no_request_is_lost(model: ServiceModel, loads: list[float], limit: float, backlog: float, age: float) -> None:
    outcome = stepped(model, loads, limit=limit, backlog=backlog, age=age)
    ended = outcome.served + outcome.abandoned + outcome.dropped
    change = np.diff(outcome.backlog_requests[0], prepend=backlog)
    assert (ended[0] + change).tolist() == pytest.approx(loads, abs=1e-6)
    for part in (outcome.served, outcome.abandoned, outcome.dropped, outcome.late, outcome.failed):
        assert (part >= 0).all()
    assert (outcome.late + outcome.failed <= outcome.served + 1e-9).all()
    assert (outcome.cpu_cores <= limit + 1e-9).all()
    assert (outcome.throttled_share <= 1).all()


def worst(model: ServiceModel, load: float, replicas: int, limit: float) -> tuple[float, float]:
    """p99, and requests without an answer in time, of ten seconds, over all pods."""
    outcome = stepped(model, [load / replicas] * 10, limit=limit)
    unanswered = float((outcome.dropped + outcome.abandoned + outcome.late).sum() + outcome.backlog_requests[0, -1])
    return max(p99(model, outcome)), replicas * unanswered


steady_models = models.filter(lambda model: not model.noise)


@given(steady_models, st.floats(0.1, 1000), st.floats(1, 3), limits)
@settings(max_examples=100)
def test_more_load_is_never_better(model: ServiceModel, load: float, more: float, limit: float) -> None:
    light, heavy = worst(model, load, 1, limit), worst(model, load * more, 1, limit)
    assert heavy[0] >= light[0] * (1 - 1e-5) - 1e-9
    assert heavy[1] >= light[1] - 1e-6


@given(steady_models, st.floats(0.1, 1000), st.integers(1, 6), st.integers(1, 6), limits)
@settings(max_examples=100)
def test_more_replicas_are_never_worse(
    model: ServiceModel, load: float, replicas: int, more: int, limit: float
) -> None:
    few, many = worst(model, load, replicas, limit), worst(model, load, replicas + more, limit)
    assert many[0] <= few[0] * (1 + 1e-5) + 1e-9
    assert many[1] <= few[1] * (1 + 1e-6) + 1e-6


@given(steady_models, st.floats(0.1, 500), limits, st.floats(1, 4))
@settings(max_examples=100)
def test_more_cpu_is_never_worse(model: ServiceModel, load: float, limit: float, more: float) -> None:
    small, large = worst(model, load, 1, limit), worst(model, load, 1, limit * more)
    assert large[0] <= small[0] * (1 + 1e-5) + 1e-9
    assert large[1] <= small[1] * (1 + 1e-6) + 1e-6
