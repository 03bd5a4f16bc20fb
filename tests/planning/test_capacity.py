"""Capacity of a replica: learned where an objective binds, else what was seen or a utilisation target."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.assess import SAMPLES, STEP, history
from tests.planning.building import policy_spec, workload
from tests.planning.building import size as sized
from trimtab.domain.policy import PolicySpec
from trimtab.domain.rollout import RolloutStatus
from trimtab.domain.series import Series
from trimtab.domain.status import OperatingPoint
from trimtab.planning.assessment import assess
from trimtab.planning.capacity import capacities, capacity, effective_capacity, running_cpu
from trimtab.planning.findings import AssessInputs, Assessment
from trimtab.planning.strategies import STRATEGIES


def spec_with(maximum: str) -> PolicySpec:
    """One latency objective."""
    return policy_spec(objectives=[{"name": "latency-p99", "query": "up", "max": maximum}])


def assessed(spec: PolicySpec) -> Assessment:
    """A replica of 500m serves 50 requests/s; its p99 is 0.02 + 4.6 / (50 - load)."""
    return assess(AssessInputs(spec=spec, history=history(1), failures={}, now=SAMPLES * STEP))


def test_an_objective_that_binds_is_learned() -> None:
    spec = spec_with("200m")
    found = capacity(assessed(spec), spec, STRATEGIES[spec.strategy], 0.5)
    # 0.2 = 0.02 + 4.6 / (50 - x) at x = 24.4; nine in ten samples hold it somewhat below
    assert found.learned
    assert 18 < found.load_per_replica < 24.4


def test_what_never_bound_is_not_learned() -> None:
    spec = spec_with("5")
    found = capacity(assessed(spec), spec, STRATEGIES[spec.strategy], 0.5)
    assert not found.learned
    # the load costs 10 ms of CPU each: 60 % of 500m are 30 requests/s, less than the 40 and a tenth that were seen
    assert found.load_per_replica == pytest.approx(44.0, rel=0.03)


def test_utilisation_stands_in_without_objectives() -> None:
    spec = policy_spec()
    found = capacity(assessed(spec), spec, STRATEGIES[spec.strategy], 0.5)
    assert found.load_per_replica == pytest.approx(0.6 * 0.5 / 0.01, rel=1e-6)
    assert "60%" in found.source


def test_nothing_known_is_said_as_such() -> None:
    spec = policy_spec()
    found = capacity(assessed(spec), spec, STRATEGIES[spec.strategy], 0.0)
    assert math.isnan(found.load_per_replica)


@pytest.mark.parametrize("maximum", ["200m", "5"])
def test_many_sizes_at_once_are_as_one_by_one(maximum: str) -> None:
    spec = spec_with(maximum)
    found, strategy = assessed(spec), STRATEGIES[spec.strategy]
    sizes = np.array([0.1, 0.5, 1.0, 2.0])
    together = capacities(found, spec, strategy, sizes)
    apart = [capacity(found, spec, strategy, float(size)).load_per_replica for size in sizes]
    assert together == pytest.approx(apart)


def test_an_operating_point_counts_up_to_what_is_learned() -> None:
    spec = spec_with("200m")
    found, strategy = assessed(spec), STRATEGIES[spec.strategy]
    low = effective_capacity(found, spec, strategy, OperatingPoint(load_per_replica="10"), 0.5)
    high = effective_capacity(found, spec, strategy, OperatingPoint(load_per_replica="45"), 0.5)
    assert low.load_per_replica == 10.0
    assert high.load_per_replica == capacity(found, spec, strategy, 0.5).load_per_replica


NAN = math.nan
OLD, NEW = 0.5, 1.4


@pytest.mark.parametrize(
    ("rollout", "measured", "size"),
    [
        pytest.param(RolloutStatus(updated=4, ready=4, available=4, total=4), [OLD], NEW, id="rolled out"),
        pytest.param(RolloutStatus(updated=4, ready=3, available=3, total=4), [OLD], NEW, id="one is not ready"),
        pytest.param(RolloutStatus(updated=0, ready=3, available=3, total=3), [OLD], OLD, id="no pod of the new size"),
        pytest.param(RolloutStatus(updated=1, ready=4, available=4, total=5), [0.6], 0.6, id="some of the new size"),
        pytest.param(RolloutStatus(observed=False, updated=4, ready=4, total=4), [OLD], OLD, id="not seen yet"),
        pytest.param(
            RolloutStatus(updated=0, ready=3, total=3), [OLD, NAN, NAN, NAN, NAN], NEW, id="measured long ago"
        ),
        pytest.param(RolloutStatus(updated=0, ready=3, total=3), [NAN], NEW, id="never measured"),
    ],
)
def test_a_size_that_no_pod_has_carries_nothing(rollout: RolloutStatus, measured: list[float], size: float) -> None:
    live = workload(4, container=sized("1400m"), rollout=rollout)
    series = Series(0.0, 60.0, np.array(measured))
    assert running_cpu(live, series, now=series.end, max_age_seconds=180.0) == pytest.approx(size)
