"""Services as they run: counters, kills for memory, pods that leave, and that cutting time up changes nothing."""

import numpy as np
import pytest

from trimtab.simulation.arrivals import Constant, Diurnal
from trimtab.simulation.behaviour import ColdStart, ServiceModel
from trimtab.simulation.running import run
from trimtab.simulation.service import CODES, Observation, Pod, Service

MODEL = ServiceModel(
    requests_per_core=100,
    base_service_seconds=0.0,
    idle_cpu_cores=0.0,
    workers=1,
    memory_base_bytes=100.0,
    memory_per_request_bytes=10.0,
    startup_seconds=5,
)


def service(load: float, pods: int, model: ServiceModel = MODEL, memory: float = 1e9, name: str = "shop") -> Service:
    made = Service(name, "test", model, Constant(rate_per_second=load))
    for index in range(pods):
        made.pods[f"p{index}"] = Pod(f"p{index}", 1.0, memory, serving=True, ready_since=-1e6)
    return made


def advance(made: Service, seconds: int, start: float = 0.0, step_seconds: float = 1.0) -> list[Observation]:
    return [found for (found,) in run([made], start, round(seconds / step_seconds), step_seconds)]


def count(made: Service, code: str) -> float:
    return float(made.requests[CODES.index(code)])


def test_counters_of_a_quiet_minute() -> None:
    """60/s over two pods: 3600 requests of 1/70 s each, 0.3 cores a pod, 600 CFS periods."""
    made = service(60, 2)
    advance(made, 60)
    assert count(made, "200") == pytest.approx(3600)
    assert made.buckets[-1] == pytest.approx(3600)
    assert made.latency_seconds == pytest.approx(3600 / 70, rel=1e-4)
    pod = made.pods["p0"]
    assert (pod.cpu_seconds, pod.cfs_periods) == pytest.approx((18, 600))
    assert pod.memory_bytes == pytest.approx(100 + 10 * 30 / 70, rel=1e-4)


def test_without_pods_everything_is_turned_away() -> None:
    made = service(60, 0)
    (found,) = advance(made, 10)
    assert count(made, "503") == 600
    assert made.buckets[-1] == 0
    assert np.isnan(found.percentiles(0.5, 0.99)).all()


def test_a_kill_for_memory_restarts_the_container_and_loses_its_queue() -> None:
    """100 bytes, 50 requests at work and 30 more waiting each second at 10 bytes: 1500 in the third second."""
    made = service(130, 1, memory=1400)
    advance(made, 3)
    pod = made.pods["p0"]
    assert (pod.restarts, pod.down_until, pod.backlog_requests) == (1, 8.0, 0.0)
    assert made.lost_requests == pytest.approx(90)
    advance(made, 5, start=3)
    assert count(made, "503") == pytest.approx(90 + 5 * 130)
    assert pod.serves_at(8)


def test_requests_are_conserved_through_kills() -> None:
    made = service(130, 1, memory=1400)
    advance(made, 100)
    assert made.requests.sum() + made.lost_requests + made.pods["p0"].backlog_requests == pytest.approx(13_000)
    assert made.pods["p0"].restarts > 5


def test_a_pod_that_leaves_hands_its_queue_over() -> None:
    made = service(0, 3)
    made.pods["p0"].backlog_requests = 30
    made.remove("p0", 0.0)
    assert [pod.backlog_requests for pod in made.pods.values()] == [15, 15]
    made.remove("p1", 0.0)
    made.remove("p2", 0.0)
    assert made.lost_requests == 30


def test_pods_of_unlike_size_get_equal_load() -> None:
    made = service(100, 2)
    made.pods["p1"].cpu_limit_cores = 0.25
    advance(made, 10)
    assert made.pods["p0"].backlog_requests == 0
    assert made.pods["p1"].backlog_requests == pytest.approx(250)


def varied(name: str, seed: int) -> Service:
    model = MODEL.model_copy(
        update={"noise": 0.05, "seed": seed, "cold_start": ColdStart(seconds=20, slowdown=2), "timeout_seconds": 3.0}
    )
    made = Service(name, "test", model, Diurnal(low=50, high=450, period_seconds=300, noise=0.05, seed=seed))
    for index in range(3):
        made.pods[f"p{index}"] = Pod(f"p{index}", 1.0 + index / 4, 2000, serving=True, ready_since=-10.0 * index)
    return made


def everything(made: Service) -> list[float]:
    pods = [
        value
        for pod in made.pods.values()
        for value in (pod.cpu_seconds, pod.memory_bytes, pod.backlog_requests, pod.cfs_throttled_periods, pod.restarts)
    ]
    return [*made.requests.tolist(), *made.buckets.tolist(), made.latency_seconds, *pods]


def test_one_long_run_equals_many_short_ones() -> None:
    long, short = varied("a", 1), varied("a", 1)
    advance(long, 400)
    for start in range(400):
        advance(short, 1, start=start)
    assert long.pods["p0"].restarts > 0
    assert everything(long) == pytest.approx(everything(short), rel=1e-9, abs=1e-9)


def test_services_that_run_together_do_not_touch_each_other() -> None:
    together = [varied("a", 1), varied("b", 2), service(20, 0)]
    alone = [varied("a", 1), varied("b", 2), service(20, 0)]
    for _ in run(together, 0.0, 300, 1.0):
        pass
    for made in alone:
        advance(made, 300)
    for one, other in zip(together, alone, strict=True):
        assert everything(one) == pytest.approx(everything(other), rel=1e-9, abs=1e-9)


def test_shorter_steps_tell_the_same_story() -> None:
    fine, coarse = service(130, 1), service(130, 1)
    advance(fine, 20, step_seconds=0.25)
    advance(coarse, 20)
    assert count(fine, "200") == pytest.approx(count(coarse, "200"))
    assert fine.latency_seconds == pytest.approx(coarse.latency_seconds, rel=0.01)
