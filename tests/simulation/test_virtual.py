"""The virtual cluster: start-up, rollouts, scaling, sizes, and what it records."""

import math

import numpy as np
import pytest

from trimtab.simulation.arrivals import Constant, Diurnal
from trimtab.simulation.behaviour import Cliff, ServiceModel
from trimtab.simulation.csvtrace import Playback
from trimtab.simulation.scenario import SimulatedService
from trimtab.simulation.virtual import VirtualCluster, VirtualWorkload

START = 1_700_000_000.0
MODEL = ServiceModel(requests_per_core=100, base_service_seconds=0.0, idle_cpu_cores=0.0, workers=1, startup_seconds=12)


def config(load: float = 100.0, model: ServiceModel = MODEL, **fields: object) -> SimulatedService:
    made = {"name": "shop", "replicas": 4, "cpu": 1.0, "arrivals": Constant(rate_per_second=load), "model": model}
    return SimulatedService.model_validate({**made, **fields})


def test_it_starts_warm_and_ready() -> None:
    workload = VirtualWorkload(config(), START)
    workload.advance(10)
    signals = workload.signals()
    assert signals.seconds.tolist() == [START + second for second in range(1, 11)]
    assert signals.load.tolist() == [100] * 10
    assert signals.ready_replicas.tolist() == [4] * 10
    assert signals.p99 == pytest.approx(math.log(100) / 75, rel=1e-4)
    assert signals.p50 == pytest.approx(math.log(2) / 75, rel=1e-4)
    assert signals.cpu_cores == pytest.approx(1.0)
    assert signals.error_ratio.sum() == 0


def test_new_pods_serve_after_their_start_up_time() -> None:
    workload = VirtualWorkload(config(), START)
    workload.advance(5)
    workload.scale(6)
    workload.advance(20)
    signals = workload.signals()
    assert signals.ready_replicas.tolist() == [4] * 17 + [6] * 8
    assert signals.replicas.tolist() == [4] * 5 + [6] * 20
    assert signals.p99[-1] < signals.p99[0]


def test_removed_pods_are_gone_at_once() -> None:
    workload = VirtualWorkload(config(), START)
    workload.scale(1)
    workload.advance(3)
    assert workload.signals().ready_replicas.tolist() == [1] * 3


def test_a_rolling_update_keeps_three_quarters_and_adds_a_quarter() -> None:
    workload = VirtualWorkload(config(), START)
    workload.resize(cpu_cores=0.5)
    pods = []
    for _ in range(60):
        workload.advance(1)
        pods.append((workload.ready_replicas, len(workload.pods)))
    assert min(ready for ready, _ in pods) >= 3
    assert max(total for _, total in pods) <= 5
    assert workload.updated
    assert {member.pod.cpu_limit_cores for member in workload.pods.values()} == {0.5}
    assert workload.signals().cpu_limit_cores.tolist() == [0.5] * 60


def test_a_rolling_update_without_unavailable_pods_never_loses_one() -> None:
    workload = VirtualWorkload(config(replicas=3), START, max_unavailable=0.0)
    workload.resize(memory_bytes=2**30)
    workload.advance(60)
    assert workload.signals().ready_replicas.min() == 3
    assert workload.updated


def test_a_stateful_set_rolls_one_pod_at_a_time_from_the_top() -> None:
    workload = VirtualWorkload(config(kind="StatefulSet", replicas=3), START)
    workload.resize(cpu_cores=0.5)
    order = []
    for _ in range(40):
        workload.advance(1)
        done = [name for name, member in workload.pods.items() if member.revision == 2 and member.pod.serving]
        order += [name for name in done if name not in order]
    assert order == ["shop-2", "shop-1", "shop-0"]
    assert workload.signals().ready_replicas.tolist() == [2] * 36 + [3] * 4


def test_a_stateful_set_scales_up_in_order() -> None:
    workload = VirtualWorkload(config(kind="StatefulSet", replicas=1), START)
    workload.scale(3)
    workload.advance(30)
    assert workload.signals().ready_replicas.tolist() == [1] * 12 + [2] * 12 + [3] * 6
    assert list(workload.pods) == ["shop-0", "shop-1", "shop-2"]


def test_a_resize_in_place_restarts_nothing() -> None:
    workload = VirtualWorkload(config(), START)
    before = list(workload.pods)
    workload.resize(cpu_cores=2.0, in_place=True)
    workload.advance(2)
    assert list(workload.pods) == before
    assert workload.ready_replicas == 4
    assert {member.pod.cpu_limit_cores for member in workload.pods.values()} == {2.0}


def test_asking_for_the_size_that_is_changes_nothing() -> None:
    workload = VirtualWorkload(config(), START)
    workload.resize(cpu_cores=1.0)
    assert workload.revision == 1


def test_no_replicas_no_answers() -> None:
    workload = VirtualWorkload(config(load=40), START)
    workload.scale(0)
    workload.advance(5)
    workload.scale(1)
    workload.advance(14)
    signals = workload.signals()
    assert signals.error_ratio.tolist() == [1] * 17 + [0] * 2
    assert np.isnan(signals.p99[:17]).all()


def test_a_size_below_the_cliff_goes_wrong_where_the_curve_says_it_should_not() -> None:
    """0.5 cores serve 25 a pod with ease; 0.4 would too, were it not for the cliff."""
    model = MODEL.model_copy(update={"cliff": Cliff(below_cpu_cores=0.5, slowdown=4)})
    workload = VirtualWorkload(config(model=model, cpu=0.5), START)
    workload.advance(10)
    workload.resize(cpu_cores=0.4)
    workload.advance(110)
    p99 = workload.signals().p99
    assert p99[9] == pytest.approx(math.log(100) / 25, rel=1e-3)
    assert p99[-1] > 2


def test_out_of_memory_shows_as_restarts_and_errors() -> None:
    model = MODEL.model_copy(update={"memory_base_bytes": 100e6, "memory_per_request_bytes": 1e6})
    workload = VirtualWorkload(config(load=500, model=model, memory=300e6), START)
    workload.advance(60)
    signals = workload.signals()
    assert workload.restarts >= 4
    assert signals.ready_replicas.min() == 0
    assert signals.error_ratio.max() == 1


def test_the_same_run_twice_gives_the_same_record() -> None:
    def played(chunk: int) -> np.ndarray:
        noisy = Diurnal(low=50, high=380, period_seconds=600, noise=0.05)
        workload = VirtualWorkload(config(arrivals=noisy, model=MODEL.model_copy(update={"noise": 0.03})), START)
        for second in range(0, 600, chunk):
            if second % 120 == 0:
                workload.scale(3 + second // 120)
            workload.advance(chunk)
        return np.stack([workload.signals().p99, workload.signals().cpu_cores])

    assert (played(60) == played(60)).all()
    assert played(60) == pytest.approx(played(5), rel=1e-9)


def test_arrivals_can_be_a_recorded_array() -> None:
    recorded = Playback(np.array([0.0, 5.0]), np.array([10.0, 20.0]), 10.0)
    workload = VirtualWorkload(config(), START, origin=START, arrivals=recorded)
    workload.advance(10)
    assert workload.signals().load.tolist() == [10] * 5 + [20] * 5


def test_signals_as_series() -> None:
    workload = VirtualWorkload(config(), START)
    workload.advance(30)
    workload.scale(0)
    workload.advance(35)
    series = workload.signals().series("p99", 15)
    assert (series.start, series.step_seconds, series.unit, len(series)) == (START + 15, 15, "s", 4)
    assert series.values[:2] == pytest.approx(math.log(100) / 75, rel=1e-4)
    assert np.isnan(series.values[2:]).all()
    with pytest.raises(ValueError, match="no multiple"):
        workload.signals().series("p99", 1.5)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        pytest.param(lambda it: it.scale(-1), "0 or more", id="negative-replicas"),
        pytest.param(lambda it: it.resize(cpu_cores=0), "above 0", id="no-cpu"),
        pytest.param(lambda it: it.advance(1.5), "whole number of steps", id="half-a-step"),
        pytest.param(lambda it: it.advance(-1), "whole number of steps", id="backwards"),
    ],
)
def test_what_cannot_be_asked(act: object, message: str) -> None:
    workload = VirtualWorkload(config(), START)
    with pytest.raises(ValueError, match=message):
        act(workload)  # type: ignore[operator]  # a lambda of the table


def test_a_cluster_shares_the_clock() -> None:
    cluster = VirtualCluster([config(), config(name="cart")], START, step_seconds=5)
    cluster.advance(60)
    assert cluster["default", "cart"].now == cluster["default", "shop"].now == START + 60
    assert len(cluster["default", "cart"].signals().load) == 12
