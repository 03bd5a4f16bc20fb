"""From objects of the API server to simulated pods: who serves, with which size, and what is exposed of it."""

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.simulation.simulation_support import NOW, picture_of, raw_pod, raw_replica_set, raw_workload, scenario
from trimtab.simulation.exposition import render
from trimtab.simulation.running import run

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def exposed(text: str) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    found = [it for (sample, of), it in exposed(text).items() if sample == name and labels.items() <= dict(of).items()]
    assert len(found) == 1, (name, labels, found)
    return found[0]


@pytest.mark.parametrize(
    ("limits", "requests", "cores", "memory", "has_quota"),
    [
        pytest.param({"cpu": "250m", "memory": "1Gi"}, {"cpu": "100m"}, 0.25, 2**30, True, id="the-limit"),
        pytest.param({}, {"cpu": "100m"}, 0.1, math.inf, False, id="the-request-without-a-limit"),
        pytest.param({}, {}, 1.0, math.inf, False, id="a-core-without-either"),
    ],
)
def test_capacity_comes_from_the_pod(
    limits: dict[str, str], requests: dict[str, str], cores: float, memory: float, has_quota: bool
) -> None:
    picture = picture_of(scenario(), [raw_pod("shop-abc-1", limits=limits, requests=requests)])
    (pod,) = picture.services["test", "shop"].pods.values()
    assert (pod.cpu_limit_cores, pod.memory_limit_bytes, pod.has_quota) == (cores, memory, has_quota)


def test_the_size_in_force_counts() -> None:
    actual = {"name": "app", "restartCount": 2, "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "2"}}}
    picture = picture_of(scenario(), [raw_pod("shop-abc-1", containerStatuses=[actual])])
    (pod,) = picture.services["test", "shop"].pods.values()
    assert pod.cpu_limit_cores == 2
    assert value(render(picture.samples(NOW)), "kube_pod_container_status_restarts_total") == 2


@pytest.mark.parametrize(
    ("pod", "serving"),
    [
        pytest.param(raw_pod("p"), [True], id="ready"),
        pytest.param(raw_pod("p", ready=False), [False], id="not-ready"),
        pytest.param(raw_pod("p", terminating=True), [False], id="terminating"),
        pytest.param(raw_pod("p", owner=("ReplicaSet", "other")), [], id="unknown-owner"),
        pytest.param(raw_pod("p", owner=("StatefulSet", "shop")), [], id="other-kind-of-the-same-name"),
    ],
)
def test_who_serves(pod: dict[str, object], serving: list[bool]) -> None:
    picture = picture_of(scenario(), [pod])
    assert [it.serving for it in picture.services["test", "shop"].pods.values()] == serving


def test_pods_come_and_go_with_events() -> None:
    picture = picture_of(scenario(), [raw_pod("a", ready=False)])
    service = picture.services["test", "shop"]
    assert picture.open_services == []
    picture.pods.apply("MODIFIED", raw_pod("a"))
    picture.pods.apply("ADDED", raw_pod("b"))
    picture.sync(NOW)
    assert picture.open_services == [service]
    next(iter(service.pods.values())).backlog_requests = 10.0
    picture.pods.apply("MODIFIED", raw_pod("a", terminating=True))
    picture.sync(NOW)
    assert [(pod.name, pod.backlog_requests) for pod in service.pods.values()] == [("a", 0.0), ("b", 10.0)]
    picture.pods.apply("DELETED", raw_pod("a"))
    picture.sync(NOW)
    assert [pod.name for pod in service.pods.values()] == ["b"]


def test_a_pod_seen_before_its_replica_set_is_matched_later() -> None:
    picture = picture_of(scenario(), [raw_pod("p", owner=("ReplicaSet", "shop-new"))])
    picture.replica_sets.apply("ADDED", raw_replica_set("shop-new"))
    picture.sync(NOW)
    assert len(picture.services["test", "shop"].pods) == 1


def test_a_new_pod_under_an_old_name_starts_anew() -> None:
    picture = picture_of(scenario(), [raw_pod("p")])
    service = picture.services["test", "shop"]
    next(iter(service.pods.values())).cpu_seconds = 9.0
    again = raw_pod("p")
    again["metadata"]["uid"] = "another"
    picture.pods.apply("ADDED", again)
    picture.sync(NOW)
    assert [(uid, pod.cpu_seconds) for uid, pod in service.pods.items()] == [("another", 0.0)]


def test_what_is_exposed() -> None:
    picture = picture_of(scenario(load=40), [raw_pod("shop-abc-1"), raw_pod("shop-abc-2", ready=False)])
    for _ in run(picture.open_services, NOW, 100, 1.0):
        pass
    text = render(picture.samples(NOW))
    pod = {"namespace": "test", "pod": "shop-abc-1"}
    assert value(text, "container_cpu_usage_seconds_total", **pod, container="app", image="sim") > 0
    assert value(text, "container_memory_working_set_bytes", **pod) > 128 * 2**20
    assert value(text, "container_cpu_cfs_periods_total", **pod) == 1000
    assert 0 < value(text, "container_cpu_cfs_throttled_periods_total", **pod) <= 1000
    assert value(text, "kube_pod_owner", **pod, owner_kind="ReplicaSet", owner_name="shop-abc") == 1
    assert value(text, "kube_replicaset_owner", replicaset="shop-abc", owner_kind="Deployment", owner_name="shop") == 1
    assert value(text, "kube_pod_info", **pod, node="node-0", created_by_name="shop-abc") == 1
    assert value(text, "kube_pod_created", **pod) == NOW - 60
    assert value(text, "kube_pod_start_time", **pod) == NOW - 59
    assert value(text, "kube_pod_status_ready_time", **pod) == NOW - 30
    assert value(text, "kube_pod_status_ready", **pod, condition="true") == 1
    assert value(text, "kube_pod_status_ready", pod="shop-abc-2", condition="true") == 0
    assert value(text, "kube_pod_status_phase", pod="shop-abc-2", phase="Pending") == 1
    assert value(text, "kube_pod_container_resource_requests", **pod, resource="cpu", unit="core") == 0.5
    assert value(text, "kube_pod_container_resource_limits", **pod, resource="memory", unit="byte") == 512 * 2**20
    assert value(text, "kube_pod_container_status_restarts_total", **pod, container="app") == 0
    assert value(text, "kube_deployment_spec_replicas", deployment="shop") == 2
    assert value(text, "kube_deployment_status_replicas_ready", deployment="shop") == 2
    total = sum(value(text, "http_requests_total", service="shop", code=code) for code in ("200", "503", "504"))
    assert total == pytest.approx(4000, abs=3)
    counted = value(text, "http_request_duration_seconds_count", namespace="test", service="shop")
    assert counted == value(text, "http_request_duration_seconds_bucket", le="+Inf")
    assert value(text, "http_request_duration_seconds_sum", service="shop") > 0
    missing = [
        name for name, labels in exposed(text) if name.startswith("container_") and ("pod", "shop-abc-2") in labels
    ]
    assert missing == []


def test_a_stateful_set_is_exposed_under_its_own_names() -> None:
    picture = picture_of(scenario(kind="StatefulSet"), [raw_pod("shop-0", owner=("StatefulSet", "shop"))])
    picture.stateful_sets.apply("ADDED", raw_workload(replicas=3, ready=1))
    text = render(picture.samples(NOW))
    assert value(text, "kube_statefulset_replicas", statefulset="shop") == 3
    assert value(text, "kube_statefulset_status_replicas_ready", statefulset="shop") == 1
    assert value(text, "kube_pod_owner", owner_kind="StatefulSet", owner_name="shop") == 1


def test_a_kill_for_memory_shows() -> None:
    pod = raw_pod("p", limits={"cpu": "500m", "memory": "130Mi"})
    picture = picture_of(scenario(load=500), [pod])
    for _ in run(picture.open_services, NOW, 3, 1.0):
        pass
    text = render(picture.samples(NOW + 3))
    assert value(text, "kube_pod_container_status_restarts_total") == 1
    assert value(text, "kube_pod_container_status_last_terminated_reason", reason="OOMKilled") == 1
    assert value(text, "kube_pod_status_ready", condition="true") == 0


def test_without_a_cpu_limit_there_are_no_bandwidth_periods() -> None:
    picture = picture_of(scenario(), [raw_pod("p", limits={}, requests={"cpu": "1"})])
    for _ in run(picture.open_services, NOW, 3, 1.0):
        pass
    assert not [name for name, _ in exposed(render(picture.samples(NOW))) if "cfs" in name]


def test_a_thousand_pods_are_exposed() -> None:
    picture = picture_of(scenario(load=30_000), [raw_pod(f"shop-abc-{index}") for index in range(1000)])
    for _ in run(picture.open_services, NOW, 1, 1.0):
        pass
    assert render(picture.samples(NOW)).count("\n") > 20_000
