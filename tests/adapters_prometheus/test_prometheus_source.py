"""Bulk reading from a real Prometheus: values, what they cost, and what failures look like."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from cluster.prometheus import Prometheus
from tests.adapters_prometheus.kube_history import HALF, HOUR, kube_history
from tests.adapters_prometheus.prom_support import WINDOW, constant, every, linear, request, spec, write_openmetrics
from trimtab.adapters.metrics_cache import MetricsCache
from trimtab.adapters.prometheus import PrometheusSource
from trimtab.adapters.prometheus_connection import PrometheusSettings
from trimtab.adapters.prometheus_wire import FailureKind
from trimtab.adapters.signals import plan_round
from trimtab.domain.policy import PolicySpec

pytestmark = pytest.mark.cluster

END = math.floor(time.time() / 60) * 60 - 3600.0
START = END - HOUR
SERVICES = [f"service-{number:02}" for number in range(50)]
BROKEN = SERVICES[11]
"""The one service with two parts."""
LOAD = 'sum(rate(http_requests_total{namespace="$namespace",service="$target"}[$window]))'
LATENCY = 'histogram_quantile(0.99, sum by (le) (rate(duration_seconds_bucket{service="$target"}[$window])))'
ERRORS = (
    'sum(rate(http_requests_total{service="$target",code="500"}[$window]))'
    ' / sum(rate(http_requests_total{service="$target"}[$window]))'
)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with an hour of the namespace shop and of fifty services."""
    folder = tmp_path_factory.mktemp("source")
    files = [
        write_openmetrics(folder / "kube.om", kube_history(START)),
        write_openmetrics(folder / "services.om", _services()),
    ]
    with Prometheus(folder / "prometheus", backfilled=files) as started:
        yield started


def _services() -> Iterator[tuple[str, dict[str, str], list[tuple[float, float]]]]:
    for number, service in enumerate(SERVICES):
        for code, share in (("200", 0.9), ("500", 0.1)):
            pace = (number + 1) * share
            labels = {"namespace": "shop", "service": service, "code": code}
            yield "http_requests_total", labels, every(START, END, 30, linear(pace))
    for number, service in enumerate(SERVICES):
        for le, share in (("0.1", 0.5), ("0.2", 1.0), ("+Inf", 1.0)):
            pace = (number + 1) * share
            yield (
                "duration_seconds_bucket",
                {"service": service, "le": le},
                every(START, END, 30, linear(pace)),
            )

    for service in SERVICES:
        for part in ("a", "b") if service == BROKEN else ("a",):
            yield "parts", {"service": service, "part": part}, every(START, END, 30, constant(2.0))


@pytest.fixture
async def source(prometheus: Prometheus) -> AsyncIterator[PrometheusSource]:
    """A source that counts the samples that its queries load."""
    made = PrometheusSource(PrometheusSettings(prometheus.url, count_samples=True))
    yield made
    await made.close()


def service_spec(name: str, label: str | None = "service") -> PolicySpec:
    """A policy with a load and two objectives of its own."""
    return spec(
        name,
        metrics={"load": {"query": LOAD, "targetLabel": label, "unit": "requests/s"}},
        objectives=[
            {"name": "latency", "query": LATENCY, "targetLabel": label, "max": "250m"},
            {"name": "errors", "query": ERRORS, "targetLabel": label, "max": "10m"},
        ],
    )


async def test_default_signals_of_workloads_that_could_be_mixed_up(source: PrometheusSource) -> None:
    names = {"web": "Deployment", "web-db": "Deployment", "db": "StatefulSet"}
    requests = [request(name, spec(name, kind), START + 600, END) for name, kind in names.items()]
    requests.append(request("set", spec("web", "StatefulSet"), START + 600, END))
    read = await source.fetch_round(requests)
    assert source.counters.requests == 6
    assert {key: result.failures.keys() - {"startup"} for key, result in read.items()} == {key: set() for key in read}

    web, early, late = read["web"].history, START + 1200, START + HALF + 600
    assert {c: s.at(early) for c, s in web.cpu_cores.items()} == pytest.approx({"app": 1.0, "proxy": 0.15})
    assert {c: s.at(late) for c, s in web.cpu_cores.items()} == pytest.approx({"app": 0.8, "proxy": 0.1})
    assert web.load.at(late) == pytest.approx(0.9)
    assert web.load.unit == "cores"
    assert {c: s.at(late) for c, s in web.memory_bytes.items()} == pytest.approx({"app": 0.5e9, "proxy": 0.05e9})
    assert web.replicas.at(late) == 3
    assert web.cpu_size.at(early) == pytest.approx((1.1 + 1.3 + 0.6) / 3), "limits, or requests where there are none"
    assert web.cpu_size.at(END) == pytest.approx(1.3), "only ready pods count"
    assert web.startup_seconds == 30.0, "the median of 40 s and 20 s, the first times that the pods were ready"

    assert read["set"].history.cpu_cores["app"].at(late) == pytest.approx(3.0)
    assert read["set"].history.cpu_size.at(late) == pytest.approx(0.1)
    assert read["set"].history.startup_seconds == 15.0, "the older pod of the same name does not count"
    assert read["web-db"].history.cpu_cores["app"].at(late) == pytest.approx(9.0)
    assert read["db"].history.cpu_cores["postgres"].at(late) == pytest.approx(1.5)
    assert web.load.start == START + 600
    assert web.load.end == END


async def test_throttling_is_known_of_containers_with_a_limit_also_while_they_want_no_cpu(
    source: PrometheusSource,
) -> None:
    requests = [
        replace(request(kind, spec("web", kind), START + 600, END), throttling=True)
        for kind in ("Deployment", "StatefulSet")
    ]
    read = await source.fetch_round(requests)
    shares = {name: one.at(END) for name, one in read["Deployment"].history.throttled.items()}
    assert shares == pytest.approx({"app": 0.2, "proxy": 0.0})
    assert read["StatefulSet"].history.throttled == {}, "no limit"
    assert read["StatefulSet"].failures["throttled"].kind is FailureKind.NO_DATA


async def test_pods_are_found_by_regex_in_a_query_of_the_users(source: PrometheusSource) -> None:
    query = (
        'sum by (container) (rate(container_cpu_usage_seconds_total{pod=~"$pods",container=~"$container"}[$window]))'
    )
    policy = spec("web", metrics={"cpu": {"query": query}})
    read = await source.fetch_round([request("web", policy, START + 600, END)])
    found = {name: series.at(END) for name, series in read["web"].history.cpu_cores.items()}
    twice_and_daemon_set = {"app": 2 * (0.8 + 7.0) + 2 * 100.0, "proxy": 2 * 0.1}
    assert found == pytest.approx(twice_and_daemon_set), "no namespace, no deduplication: the query says neither"


@pytest.mark.parametrize("label", ["service", None], ids=["grouped", "one by one"])
async def test_requests_for_5_and_for_50_policies(prometheus: Prometheus, label: str | None) -> None:
    requests, samples, selectors = {}, {}, {}
    for count in (5, 50):
        source = PrometheusSource(PrometheusSettings(prometheus.url, count_samples=True))
        wanted = [request(name, service_spec(name, label), START + 600, END) for name in SERVICES[:count]]
        read = await source.fetch_round(wanted)
        await source.close()
        for number, name in enumerate(SERVICES[:count], start=1):
            history = read[name].history
            assert history.load.at(END) == pytest.approx(number)
            assert history.objectives["errors"].at(END) == pytest.approx(0.1)
            assert history.objectives["latency"].at(END) == pytest.approx(0.198)
        requests[count], samples[count] = source.counters.requests, source.counters.samples
        selectors[count] = sum(bulk.text.count("{") for bulk in plan_round(wanted))
    if label is None:
        assert requests == {5: 6 + 3 * 5, 50: 6 + 3 * 50}
    else:
        assert requests == {5: 9, 50: 9}
        assert selectors[5] == selectors[50], "the queries do not grow by a part for each policy"
    assert samples[50] == 10 * samples[5]


async def test_a_round_after_the_first_reads_the_new_samples_alone(source: PrometheusSource) -> None:
    cache, policy = MetricsCache(), service_spec("service-03")
    first = cache.request("uid", "shop", policy, END - 600, WINDOW)
    history = cache.absorb(first, (await source.fetch_round([first]))["uid"])
    loaded = source.counters.samples
    second = cache.request("uid", "shop", policy, END, WINDOW)
    history = cache.absorb(second, (await source.fetch_round([second]))["uid"])
    fresh = PrometheusSource(PrometheusSettings(source._settings.url))
    whole = (await fresh.fetch_round([cache.request("other", "shop", policy, END, WINDOW)]))["other"].history
    await fresh.close()
    assert source.counters.samples - loaded < loaded / 3
    np.testing.assert_array_equal(history.load.values, whole.load.between(history.load.start, END).values)
    assert history.load.end == END
    assert len(history.load) == len(history.objectives["latency"])


async def test_the_same_samples_come_again_after_a_restart(prometheus: Prometheus) -> None:
    wanted = [request("a", service_spec("service-06"), START + 900, START + 1200)]
    answers = []
    for _ in range(2):
        source = PrometheusSource(PrometheusSettings(prometheus.url))
        answers.append((await source.fetch_round(wanted))["a"].history)
        await source.close()
        prometheus.restart()
    first, second = answers
    np.testing.assert_array_equal(first.load.values, second.load.values)
    np.testing.assert_array_equal(first.objectives["errors"].values, second.objectives["errors"].values)


async def test_a_long_range_is_read_in_parts(prometheus: Prometheus) -> None:
    whole, parts = (PrometheusSource(PrometheusSettings(prometheus.url, max_points=points)) for points in (11_000, 7))
    wanted = [request("a", service_spec("service-01"), START + 600, END)]
    one, many = [await source.fetch_round(wanted) for source in (whole, parts)]
    np.testing.assert_array_equal(one["a"].history.load.values, many["a"].history.load.values)
    assert parts.counters.requests > 7 * 7
    for source in (whole, parts):
        await source.close()


async def test_data_that_break_the_query_of_one_target_are_that_targets_alone(source: PrometheusSource) -> None:
    """Two parts of one service match its one sum: Prometheus fails the whole query."""
    query = 'sum by (service) (http_requests_total{service="$target"}) / on (service) parts{service="$target"}'
    objective = {"name": "odd", "query": query, "targetLabel": "service", "max": 1}
    only = frozenset(("objective/odd",))
    wanted = [request(s, spec(s, objectives=[objective]), END - 600, END, only=only) for s in SERVICES[:16]]
    for expected in (1 + 2 * 4, 2):
        before = source.counters.requests
        read = await source.fetch_round(wanted)
        failed = {name: result.failures for name, result in read.items() if result.failures}
        assert failed.keys() == {BROKEN}
        assert failed[BROKEN]["objective/odd"].kind is FailureKind.BAD_QUERY
        assert "duplicate series" in failed[BROKEN]["objective/odd"].message
        assert source.counters.requests - before == expected, "from the next round on it is asked for by itself"


async def test_a_query_without_values_says_which_and_over_what_time(source: PrometheusSource) -> None:
    zero = 'sum(http_requests_total{service="$target"} * 0) / sum(http_requests_total{service="$target"} * 0)'
    policy = spec(
        "service-00",
        metrics={"load": {"query": 'sum(rate(absent_total{service="$target"}[$window]))'}},
        objectives=[{"name": "nan", "query": zero, "max": 1}, {"name": "wide", "query": "parts", "max": 1}],
    )
    failures = (await source.fetch_round([request("a", policy, END - 600, END)]))["a"].failures
    assert failures["load"].kind is FailureKind.NO_DATA
    query = 'spec.metrics.load.query sum(rate(absent_total{service="service-00"}[300s]))'
    assert failures["load"].message.startswith(f"no data: query {query} returned nothing from ")
    assert "$window is 300s and needs two scrapes" in failures["load"].message
    assert "returned only NaN or infinite values" in failures["objective/nan"].message
    assert failures["objective/wide"].kind is FailureKind.MANY_SERIES
    assert "aggregate them, as in sum (...)" in failures["objective/wide"].message
    assert failures["cpu"].message.startswith("no data: query container_cpu_usage_seconds_total of pods")


async def test_a_query_that_is_not_promql_is_never_sent(source: PrometheusSource) -> None:
    policy = spec("service-00", objectives=[{"name": "bad", "query": "sum(rate(a[5m+]))", "max": 1}])
    only = frozenset(("objective/bad",))
    read = await source.fetch_round([request("a", policy, END - 600, END, only=only)])
    assert source.counters.requests == 0
    assert "line 1, column 14" in read["a"].failures["objective/bad"].message


async def test_remarks_of_prometheus_on_a_query_do_not_make_it_partial(source: PrometheusSource) -> None:
    query = '(quantile(2, http_requests_total{service="$target"}) > bool 0) + 4'
    policy = spec("service-00", objectives=[{"name": "odd", "query": query, "targetLabel": "service", "max": 9}])
    only = frozenset(("objective/odd",))
    read = (await source.fetch_round([request("a", policy, END - 600, END, only=only)]))["a"]
    assert read.history.objectives["odd"].at(END) == 5.0
    assert not read.partial


async def test_prometheus_away_hanging_and_back(prometheus_factory: Callable[..., Prometheus]) -> None:
    prometheus = prometheus_factory()
    source = PrometheusSource(PrometheusSettings(prometheus.url, timeout_seconds=1.0, concurrency=2))
    wanted = [request("a", spec("web"), END - 600, END)]

    async def kinds() -> set[FailureKind]:
        return {failure.kind for failure in (await source.fetch_round(wanted))["a"].failures.values()}

    assert await kinds() == {FailureKind.NO_DATA}
    prometheus.suspend()
    assert await kinds() == {FailureKind.TIMEOUT}
    prometheus.resume()
    prometheus.kill()
    started = time.monotonic()
    assert await kinds() == {FailureKind.UNREACHABLE}
    assert time.monotonic() - started < 3, "one query finds out for all"
    prometheus.start()
    assert await kinds() == {FailureKind.NO_DATA}
    prometheus.restart()
    assert await kinds() == {FailureKind.NO_DATA}, "a connection that was kept open is opened anew"
    await source.close()
