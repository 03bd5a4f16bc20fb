"""How many pods the signals speak for, and whose pods they are, counted by a real Prometheus."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from cluster.prometheus import Prometheus
from tests.adapters_prometheus.prom_support import (
    WINDOW,
    Sample,
    constant,
    every,
    linear,
    request,
    spec,
    write_openmetrics,
)
from trimtab.adapters.prometheus import PrometheusSource
from trimtab.adapters.prometheus_connection import PrometheusSettings
from trimtab.adapters.prometheus_wire import FailureKind
from trimtab.adapters.promql import check
from trimtab.adapters.signals_pods import PodsSource, pod_selectors
from trimtab.adapters.signals_results import FetchResult
from trimtab.domain.choices import TargetKind

cluster = pytest.mark.cluster

EXAMPLES = Path(__file__).parents[2] / "examples"

END = math.floor(time.time() / 60) * 60 - 3600.0
START = END - 3600.0
GONE = END - 600.0
"""When the samples of half of the pods end."""
SUFFIXES = ("bbbbb", "ccccc", "ddddd", "fffff", "ggggg", "hhhhh")
HALF = SUFFIXES[3:]
CPU, MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
OWN_CPU = 'sum by (container) (rate(container_cpu_usage_seconds_total{pod=~"$pods",container!=""}[$window]))'


def pods(name: str, count: int = 6) -> list[str]:
    return [f"{name}-7c9db-{suffix}" for suffix in SUFFIXES[:count]]


def told(name: str, names: list[str], labels: dict[str, str], uid: str = "", since: float = START) -> Iterator[Sample]:
    """What kube-state-metrics says of a Deployment and its pods."""
    shop = {"namespace": "shop", **labels}
    for pod in names:
        owner = {"owner_kind": "ReplicaSet", "owner_name": f"{name}-7c9db", "uid": f"{uid}{pod}"}
        yield "kube_pod_owner", {**shop, "pod": pod, **owner}, every(since, END, 30, constant(1.0))
    for pod in names:
        ready = {**shop, "pod": pod, "uid": f"{uid}{pod}", "condition": "true"}
        yield "kube_pod_status_ready", ready, every(since, END, 30, constant(1.0))
    deployment = {"owner_kind": "Deployment", "owner_name": name}
    yield (
        "kube_replicaset_owner",
        {**shop, "replicaset": f"{name}-7c9db", **deployment},
        every(START, END, 30, constant(1.0)),
    )
    for metric in ("kube_deployment_spec_replicas", "kube_deployment_status_replicas_ready"):
        yield metric, {**shop, "deployment": name}, every(START, END, 30, constant(float(len(names))))


def used(names: list[str], labels: dict[str, str], until: float = END) -> Iterator[Sample]:
    """What cAdvisor says of pods that use a core each."""
    for metric, value in ((CPU, linear(1.0)), (MEMORY, constant(1e8))):
        for pod in names:
            of_pod = {"namespace": "shop", "pod": pod, "container": "app", "image": "i", **labels}
            yield metric, of_pod, every(START, until, 30, value)


def _history() -> Iterator[Sample]:
    twice = ({"instance": "ksm-a"}, {"instance": "ksm-b"})
    for labels in twice:
        yield from told("whole", pods("whole"), labels)
        yield from told("half", pods("half"), labels)
        yield from told("new", pods("new", 3), labels)
        yield from told("new", pods("new")[3:], labels, since=END - 300)
    yield from used([*pods("whole"), *pods("half", 3), *pods("new", 3)], {"instance": "kubelet"})
    yield from used(pods("half")[3:], {"instance": "kubelet"}, GONE)
    for labels in ({"replica": "a"}, {"replica": "b"}):
        yield from told("pair", pods("pair"), labels)
        yield from used(pods("pair"), labels)
    for cluster_name in ("eu-1", "us-1"):
        labels = {"cluster": cluster_name}
        own = pods("apart") if cluster_name == "eu-1" else [pod.replace("7c9db", "5b6c7") for pod in pods("apart", 3)]
        yield from told("apart", own, labels, uid=cluster_name)
        yield from told("alike", pods("alike"), labels, uid=cluster_name)
        yield from used([*own, *pods("alike")], labels)


def sorted_by_metric(samples: Iterator[Sample]) -> list[Sample]:
    seen: dict[tuple[str, str], Sample] = {}
    for metric, labels, points in samples:
        seen[metric, str(sorted(labels.items()))] = (metric, labels, points)
    return sorted(seen.values(), key=lambda one: one[0])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """An hour of Deployments whose pods are seen, half seen, new, or of two clusters."""
    folder = tmp_path_factory.mktemp("coverage")
    file = write_openmetrics(folder / "kube.om", sorted_by_metric(_history()))
    with Prometheus(folder / "prometheus", backfilled=[file]) as started:
        yield started


@pytest.fixture
async def source(prometheus: Prometheus) -> AsyncIterator[PrometheusSource]:
    made = PrometheusSource(PrometheusSettings(prometheus.url))
    yield made
    await made.close()


async def read(source: PrometheusSource, name: str, until: float = END, **fields: Any) -> FetchResult:
    return (await source.fetch_round([request(name, spec(name, **fields), until - 1200, until)]))[name]


@cluster
async def test_the_pods_without_samples_are_counted(source: PrometheusSource) -> None:
    """Two scrapers count once; pods that have not been ready for two windows are not missed."""
    found = {name: (await read(source, name)).history.coverage for name in ("whole", "half", "new")}
    for signal in ("cpu", "memory"):
        counts = {name: (one[signal].ready.at(END), one[signal].seen.at(END)) for name, one in found.items()}
        assert counts == {"whole": (6, 6), "half": (6, 3), "new": (3, 3)}
    assert found["half"]["cpu"].missing(END) == (3, 6)
    assert found["whole"]["cpu"].missing(END) is None


@cluster
async def test_pods_are_missed_before_their_rate_has_fallen(source: PrometheusSource) -> None:
    """Within half a window of the last sample, while the rate reaches back to when it was there."""
    gone = await read(source, "half", GONE + WINDOW / 2 + 60)
    assert gone.history.coverage["cpu"].missing(GONE + WINDOW / 2 + 60) == (3, 6)
    assert gone.history.coverage["cpu"].missing(GONE) is None


@cluster
async def test_a_query_of_the_users_is_counted_by_its_own_pods(source: PrometheusSource) -> None:
    for name, missing in (("whole", None), ("half", (3, 6))):
        result = await read(source, name, metrics={"cpu": {"query": OWN_CPU}})
        assert not result.failures.keys() - {"cpuSize", "startup"}
        assert result.history.coverage["cpu"].missing(END) == missing


@cluster
async def test_counts_of_many_policies_share_requests(source: PrometheusSource) -> None:
    metrics = {"cpu": {"query": OWN_CPU}}
    requests = [request(name, spec(name, metrics=metrics), END - 600, END) for name in ("whole", "half", "new")]
    found = await source.fetch_round(requests)
    missing = {name: result.history.coverage["cpu"].missing(END) for name, result in found.items()}
    assert missing == {"whole": None, "half": (3, 6), "new": None}
    default_signals, counts, own = 4, 2, len(requests)
    assert source.counters.requests == default_signals + counts + own


@cluster
@pytest.mark.parametrize("name", ["apart", "alike"])
async def test_two_clusters_are_not_added_up(source: PrometheusSource, name: str) -> None:
    """Whether their pods have the same names or not; the label that tells them apart is named."""
    result = await read(source, name)
    assert {failure.kind for failure in result.failures.values()} == {FailureKind.MANY_CLUSTERS}
    assert result.history.load.present == 0
    message = result.failures["cpu"].message
    assert message == (
        f"the metrics of Deployment shop/{name} come from more than one cluster, told apart by the label cluster: eu-1,"
        " us-1; nothing is added up: say which is meant, as in --metric-label cluster=eu-1"
    )


@cluster
@pytest.mark.parametrize("name", ["whole", "pair"])
async def test_two_replicas_of_one_prometheus_are_one_cluster(source: PrometheusSource, name: str) -> None:
    result = await read(source, name)
    assert not result.failures.keys() - {"cpuSize", "startup"}
    assert result.history.load.at(END) == pytest.approx(6.0)


@cluster
@pytest.mark.parametrize(("value", "cores"), [("eu-1", 6.0), ("us-1", 3.0)])
async def test_a_label_says_which_cluster_is_meant(prometheus: Prometheus, value: str, cores: float) -> None:
    source = PrometheusSource(PrometheusSettings(prometheus.url, matchers=(("cluster", value),)))
    result = await read(source, "apart")
    await source.close()
    assert not result.failures.keys() - {"cpuSize", "startup"}
    assert result.history.load.at(END) == pytest.approx(cores)


DEPLOYMENT = TargetKind.DEPLOYMENT


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('sum(rate(hits{namespace="$namespace",pod=~"$pods"}[$window]))', [("hits", ('namespace="shop"',))]),
        ('sum(rate(hits{pod=~"$target-.+",code="500"}[5m]))', [("hits", ())]),
        (
            'sum(busy{pod=~"$pods",container="app"}) / sum(all{pod=~"$pods"})',
            [("all", ()), ("busy", ('container="app"',))],
        ),
        ('sum(rate(hits{pod!~"other.*"}[5m]))', [("hits", ())]),
        ('sum(rate(hits{service="$target",pod!=""}[5m]))', [("hits", ())]),
    ],
    ids=["pods", "by name", "two metrics", "not others", "any pod"],
)
def test_selectors_of_pods(query: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    found = pod_selectors(query, DEPLOYMENT, "shop")
    assert sorted(found or ()) == expected
    assert found is not None
    text = PodsSource("shop", found, WINDOW).text(("web",), ("db",))
    assert check(text) is None
    assert promql_parser.parse(text)


@pytest.mark.parametrize(
    "query",
    [
        'sum(rate(hits{service="$target"}[$window]))',
        'sum by (pod) (rate(hits{service="$target"}[$window]))',
        'hits{pod="$target-0"}',
        'sum(hits{pod=~"$target-canary.*"})',
        'sum(hits{pod=~"$pods"} offset 1h)',
        'sum(hits{pod=~"$pods" or pod="x"})',
    ],
    ids=["no pod", "grouping alone", "one pod", "some pods", "another time", "or"],
)
def test_what_does_not_tell_which_pods_it_reads_is_unknown(query: str) -> None:
    assert pod_selectors(query, DEPLOYMENT, "shop") is None


@pytest.mark.parametrize("name", ["web-service-auto.yaml", "database-approve.yaml"])
def test_the_shipped_examples_count_the_pods_they_speak_for(name: str) -> None:
    """Of the others, one has no query of its own, and one reads a queue, which no pod shows."""
    body = yaml.safe_load((EXAMPLES / name).read_text())["spec"]
    kind = TargetKind(body["targetRef"]["kind"])
    queries = [one["query"] for one in (*body["objectives"], *body.get("metrics", {}).values())]
    assert all(pod_selectors(query, kind, "shop") for query in queries)
