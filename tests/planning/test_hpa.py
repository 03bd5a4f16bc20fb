"""What an HPA on CPU makes of a change of requests, beside the algorithm's own words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.planning.building import size, workload
from tests.planning.test_plans import VERTICAL, inputs
from trimtab.domain.autoscalers import Autoscaler, AutoscalerKind, CpuTarget
from trimtab.domain.run import RequestedChange
from trimtab.planning.hpa import CpuScaling, cpu_scaling
from trimtab.planning.plans import Proposal, propose, requested
from trimtab.planning.rightsizing import Usage


def scaling(cores: float, replicas: int = 4, **target: Any) -> CpuScaling:
    given: dict[str, Any] = {"percent": 50, "min_replicas": 2, "max_replicas": 10, **target}
    return CpuScaling("HorizontalPodAutoscaler web", CpuTarget(**given), replicas, cores)


@pytest.mark.parametrize(
    ("cores", "cpu", "growth", "wanted"),
    [
        (1.0, "500m", 1.0, 4),  # 1 of 2 cores: on target
        (1.0, "250m", 1.0, 8),  # 100 %: twice as many
        (1.0, "480m", 1.0, 4),  # 52 %: within the HPA's tolerance
        (1.0, "440m", 1.0, 5),  # 56.8 %: ceil(4 × 1.136)
        (1.0, "1", 1.0, 2),  # 25 %: half as many
        (1.0, "4", 1.0, 2),  # not below its minimum
        (1.0, "100m", 1.0, 10),  # not above its maximum
        (1.0, "500m", 2.0, 8),  # at the peak of twice the usage
        (1.0, "", 1.0, 4),  # without a request there is no utilisation
    ],
)
def test_replicas(cores: float, cpu: str, growth: float, wanted: int) -> None:
    assert scaling(cores).replicas_at([size(cpu)], growth) == wanted


def test_one_container_may_count_alone() -> None:
    containers = (size("500m"), size("2", name="proxy"))
    assert scaling(1.0, container="app").replicas_at(containers) == 4
    assert scaling(1.0).replicas_at(containers) == 2  # 1 of 10 cores


def test_the_usage_of_what_counts() -> None:
    one = Autoscaler(AutoscalerKind.HPA, "web", replicas=True, cpu=CpuTarget(50, 1, 9, container="app"))
    usage = {"app": Usage(0.3, math.nan, cpu_now_cores=1.2), "proxy": Usage(0.1, math.nan, cpu_now_cores=0.4)}
    found = cpu_scaling([one], 4, usage)
    assert found is not None
    assert found.cores == 1.2
    assert cpu_scaling([one], 4, {"app": Usage(0.3, math.nan)}) is None, "its usage now is not known"
    assert cpu_scaling([Autoscaler(AutoscalerKind.HPA, "web", replicas=True)], 4, usage) is None


def test_a_plan_of_requests_says_what_the_hpa_does_and_what_it_costs() -> None:
    """Half the CPU for each means twice as many: nothing is saved but by rounding."""
    given = inputs(VERTICAL, peak=100, now=100, scaling=scaling(1.0))
    change = RequestedChange.model_validate({"path": "resources.requests.cpu", "container": "app", "to": "250m"})
    asked = requested(given, [change])
    assert isinstance(asked, Proposal)
    assert asked.plan.reason.endswith("; HorizontalPodAutoscaler web goes from 4 to 8 replicas at the present usage")
    assert asked.plan.evidence["hpaReplicas"].startswith("4 → 8: ")
    assert [one.path for one in asked.plan.changes] == ["resources.requests.cpu"]
    cost = asked.plan.predicted.cost
    assert cost is not None
    assert float(cost.to) > float(cost.from_), "as much CPU, and twice the memory"


def test_what_the_hpa_would_do_anyway_is_not_said_to_be_the_plans() -> None:
    found = scaling(0.5)  # 25 %: it is on its way from 4 to 2
    assert found.effect([size("500m")], [size("250m")]) == (
        "HorizontalPodAutoscaler web runs 4 replicas now, 2 once it has settled, and 4 with the change"
    )


def test_memory_alone_is_nothing_to_an_hpa_on_cpu() -> None:
    assert scaling(1.0).effect([size("500m", "256Mi")], [size("500m", "128Mi")]) == ""


def test_no_saving_is_planned_that_the_hpa_would_eat_up() -> None:
    """Far more CPU than a replica needs by its capacity, but the HPA keeps usage at half of what is requested."""
    roomy = inputs(VERTICAL, peak=100, now=100, per_core=200.0, workload=workload(4, container=size("500m", "0")))
    alone = propose(roomy)
    assert isinstance(alone, Proposal)
    beside = propose(inputs(VERTICAL, peak=100, now=100, per_core=200.0, workload=roomy.workload, scaling=scaling(1.0)))
    assert not isinstance(beside, Proposal) or beside.monthly_to >= 0.95 * beside.monthly_from
