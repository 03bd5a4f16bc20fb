"""History as OpenMetrics: its format, its counters, and how it joins what is live."""

import io
import re
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.simulation.simulation_support import raw_pod, scenario
from trimtab.simulation.backfill import LivePods, backfill
from trimtab.simulation.exposition import FAMILIES
from trimtab.simulation.plans import Plan, fixed, hpa, wandering
from trimtab.simulation.recording import Written
from trimtab.simulation.scenario import Scenario, SimulatedService
from trimtab.simulation.views import pod_view
from trimtab.simulation.virtual import VirtualWorkload

START = 1_700_000_000.0
HISTOGRAM = "http_request_duration_seconds"


def history(
    made: Scenario,
    seconds: float = 60,
    step_seconds: float = 1.0,
    plan: Plan = fixed,
    live: LivePods | None = None,
) -> tuple[str, Written]:
    out = io.StringIO()
    report = backfill(made, START, START + seconds, step_seconds, out, lambda _: plan, live)
    return out.getvalue(), report


def families(text: str) -> Iterable[Metric]:
    found: Iterable[Metric] = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # it has no types
    return found


def parsed(text: str) -> dict[str, list[Sample]]:
    """Samples by name, but for the histogram: the parser takes its second moment for a repetition of the first."""
    rest = "".join(line for line in text.splitlines(keepends=True) if HISTOGRAM not in line)
    found = defaultdict(list)
    for family in families(rest):
        for sample in family.samples:
            found[sample.name].append(sample)
    return found


def values(samples: list[Sample], **labels: str) -> list[float]:
    return [sample.value for sample in samples if labels.items() <= sample.labels.items()]


def test_every_family_is_there_and_nothing_is_lost() -> None:
    services = [scenario().services[0], scenario(kind="StatefulSet", name="stock").services[0]]
    text, report = history(Scenario(services=services), seconds=10)
    found = parsed(text)
    assert text.endswith("# EOF\n")
    expected = set(FAMILIES) - {HISTOGRAM, "kube_pod_container_status_last_terminated_reason"}
    assert set(found) == expected
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert report.samples == len(lines)
    assert report.series == len({line.split(" ")[0] for line in lines})
    assert sum(map(len, found.values())) == len([line for line in lines if HISTOGRAM not in line])


def test_the_histogram_parses_at_each_moment() -> None:
    text, _ = history(scenario(), seconds=5)
    at = re.compile(r" (\S+)$")
    moments = defaultdict(list)
    for line in text.splitlines():
        if line.startswith(HISTOGRAM):
            moments[at.search(line)[1]].append(line)  # type: ignore[index]  # every sample ends with its time
    assert [float(moment) for moment in moments] == [START + second for second in range(1, 6)]
    for lines in moments.values():
        document = "\n".join([f"# TYPE {HISTOGRAM} histogram", *lines, "# EOF", ""])
        (family,) = families(document)
        assert len(family.samples) == len(lines) == 37


def test_families_and_series_are_contiguous_and_in_order() -> None:
    text, _ = history(Scenario(services=[scenario().services[0], scenario(name="cart").services[0]]), seconds=5)
    kinds = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds))
    last: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, moment = line.rpartition(" ")[0].rpartition(" ")[0], None, float(line.rpartition(" ")[2])
            assert moment > last.get(name, 0)
            last[name] = moment


def test_counters_and_gauges_by_hand() -> None:
    """40/s over two pods of half a core: 0.2 cores each and idle CPU, and ten bandwidth periods a second."""
    text, _ = history(scenario(load=40, model={"idle_cpu_cores": 0.01}), seconds=10)
    found = parsed(text)
    requests = values(found["http_requests_total"], service="shop", code="200")
    assert requests == [40 * second for second in range(1, 11)]
    pod = found["container_cpu_usage_seconds_total"][0].labels["pod"]
    assert values(found["container_cpu_usage_seconds_total"], pod=pod)[-1] == pytest.approx(10 * 0.21)
    assert values(found["container_cpu_cfs_periods_total"], pod=pod) == [10 * second for second in range(1, 11)]
    assert values(found["kube_deployment_spec_replicas"]) == [2] * 10
    assert values(found["kube_pod_container_resource_limits"], pod=pod, resource="cpu") == [0.5] * 10
    assert [float(str(sample.timestamp)) for sample in found["kube_deployment_spec_replicas"]] == [
        START + second for second in range(1, 11)
    ]


def test_a_longer_step_picks_from_the_same_run() -> None:
    arrivals = {"kind": "Diurnal", "low": 20, "high": 90, "period_seconds": 300, "noise": 0.1}
    fine, coarse = (history(scenario(arrivals=arrivals), 120, step)[0] for step in (1, 15))
    every, some = (values(parsed(text)["http_requests_total"], code="200") for text in (fine, coarse))
    assert len(some) == 8
    assert some == every[14::15]


def test_replicas_can_follow_the_load() -> None:
    arrivals = {"kind": "Ramp", "start": 20, "end": 200, "duration_seconds": 600}
    text, _ = history(scenario(arrivals=arrivals, model={"startup_seconds": 20}), 900, 15, hpa(0.6, 1, 20))
    found = parsed(text)
    replicas = values(found["kube_deployment_spec_replicas"])
    assert replicas[0] == 2
    assert 6 <= replicas[-1] <= 8
    owners = {sample.labels["owner_name"] for sample in found["kube_pod_owner"]}
    assert owners == {sample.labels["replicaset"] for sample in found["kube_replicaset_owner"]}
    for pod in {sample.labels["pod"] for sample in found["container_cpu_usage_seconds_total"]}:
        counted = values(found["container_cpu_usage_seconds_total"], pod=pod)
        assert counted == sorted(counted)
    starting = [it for it in found["kube_pod_status_ready"] if it.labels["condition"] == "true" and it.value == 0]
    assert starting


def test_no_counter_ever_steps_back() -> None:
    arrivals = {"kind": "Diurnal", "low": 0, "high": 300, "period_seconds": 300, "noise": 0.3}
    text, _ = history(scenario(arrivals=arrivals, memory="160Mi"), 600, 1, wandering(1, 5, 60))
    series = defaultdict(list)
    for line in text.splitlines():
        if re.match(r"(http_|container_cpu_)", line):
            series[line.split(" ")[0]].append(float(line.split(" ")[1]))
    assert series
    for name, counted in series.items():
        assert (np.diff(counted) >= 0).all(), name


def test_live_pods_lend_their_names_and_size() -> None:
    limits = {"cpu": "250m", "memory": "300Mi"}
    live = [pod_view(raw_pod(f"shop-abc-{index}", limits=limits)) for index in range(3)]
    text, _ = history(scenario(), 30, live={("test", "shop"): live})
    found = parsed(text)
    assert {sample.labels["pod"] for sample in found["kube_pod_info"]} == {"shop-abc-0", "shop-abc-1", "shop-abc-2"}
    assert {sample.labels["uid"] for sample in found["kube_pod_owner"]} == {it.uid for it in live}
    assert {sample.labels["replicaset"] for sample in found["kube_replicaset_owner"]} == {"shop-abc"}
    assert set(values(found["kube_pod_container_resource_limits"], resource="cpu")) == {0.25}
    assert values(found["kube_deployment_spec_replicas"]) == [3] * 30


@pytest.mark.parametrize(
    ("seconds", "step_seconds", "message"),
    [
        pytest.param(0, 1, "no step of 1 s fits", id="empty"),
        pytest.param(-60, 1, "no step of 1 s fits", id="backwards"),
        pytest.param(60, 0, "whole seconds", id="no-step"),
        pytest.param(60, 1.5, "whole seconds", id="a-second-and-a-half"),
    ],
)
def test_what_cannot_be_written(seconds: float, step_seconds: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        history(scenario(), seconds, step_seconds)


def workload(load: float, replicas: int = 4) -> VirtualWorkload:
    config = scenario(load, replicas=replicas, cpu=1.0, model={"idle_cpu_cores": 0, "startup_seconds": 0}).services[0]
    return VirtualWorkload(config, START)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        pytest.param(240, 4, id="on-target"),
        pytest.param(260, 4, id="within-the-tolerance"),
        pytest.param(300, 5, id="up-by-the-ratio"),
        pytest.param(380, 7, id="up-further"),
        pytest.param(120, 2, id="down"),
        pytest.param(1, 1, id="not-below-the-least"),
    ],
)
def test_hpa(load: float, expected: int) -> None:
    """ceil(4 x load / 400 / 0.6)."""
    made = workload(load)
    plan = hpa(0.6, 1, 20)
    made.advance(30)
    assert plan(made) == expected


def test_hpa_comes_down_only_after_five_minutes() -> None:
    made = workload(380)
    plan = hpa(0.6, 1, 20)
    made.advance(30)
    made.scale(plan(made))
    made.service.arrivals = scenario(60).services[0].arrivals
    seen = []
    for _ in range(24):
        made.advance(15)
        made.scale(plan(made))
        seen.append(made.replicas)
    assert seen[:18] == [7] * 18
    assert seen[-1] == 1


def test_wandering_stays_in_its_range_and_visits_all_of_it() -> None:
    made = workload(10)
    plan = wandering(2, 5, every_seconds=60, seed=1)
    seen = []
    for _ in range(100):
        made.advance(60)
        seen.append(plan(made))
    assert set(seen) == {2, 3, 4, 5}
    again: SimulatedService = scenario().services[0]
    assert wandering(2, 5, 60, 1)(VirtualWorkload(again, made.now)) == seen[-1]
