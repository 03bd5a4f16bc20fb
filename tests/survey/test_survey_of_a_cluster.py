"""A survey of a real Prometheus that holds a cluster's history."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator

import pytest

from cluster.prometheus import Prometheus
from tests.adapters_prometheus.prom_support import write_openmetrics
from tests.survey.cluster_history import CLUSTER, MANY, MIB, SPAN, history
from trimtab.adapters.discovery import Discovery, discover
from trimtab.adapters.prometheus_connection import Connection, PrometheusSettings
from trimtab.adapters.workers import Workers
from trimtab.reporting.analysis import AnalysisReport, State, WorkloadEntry
from trimtab.survey.gathering import NothingFound, Progress, survey
from trimtab.survey.options import SurveyOptions

pytestmark = pytest.mark.cluster

END = math.floor(time.time() / 60) * 60 - 3600.0
OPTIONS = SurveyOptions(history_seconds=SPAN - 600, horizon_seconds=3600.0)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusSettings]:
    """A Prometheus with eight hours of the cluster."""
    folder = tmp_path_factory.mktemp("survey")
    file = write_openmetrics(folder / "cluster.om", history(END - SPAN))
    with Prometheus(folder / "prometheus", backfilled=[file]) as started:
        yield PrometheusSettings(started.url)


@pytest.fixture(scope="module")
def report(settings: PrometheusSettings) -> AnalysisReport:
    """A survey of it all."""
    return asyncio.run(surveyed(settings, OPTIONS))[0]


async def surveyed(settings: PrometheusSettings, options: SurveyOptions) -> tuple[AnalysisReport, list[Progress]]:
    told: list[Progress] = []
    report = await survey(settings, options, Workers(0), END, told.append)
    assert isinstance(report, AnalysisReport), report
    return report, told


def entry(report: AnalysisReport, name: str) -> WorkloadEntry:
    return next(one for one in report.entries if one.name == name)


def test_workloads_are_found_with_replicas_and_sizes(settings: PrometheusSettings) -> None:
    found = discover(Connection(settings), END)
    assert isinstance(found, Discovery)
    assert len(found.queries) == 3
    assert len(found.workloads) == len(CLUSTER)
    web = next(one for one in found.workloads if one.name == "web")
    assert (web.namespace, web.kind, web.replicas) == ("shop", "Deployment", 2)
    assert [size.name for size in web.containers] == ["app"], "the proxy has no request, and the evicted pod is gone"
    app = web.containers[0]
    assert (app.requests.cpu, app.requests.memory, app.limits.cpu, app.limits.memory) == ("1", "2Gi", "2", "4Gi")


@pytest.mark.parametrize(
    ("namespaces", "expected"),
    [
        pytest.param(("shop",), {"shop"}, id="one"),
        pytest.param(("shop", "batch"), {"shop", "batch"}, id="two"),
        pytest.param(("c*",), {"crowd"}, id="a glob"),
        pytest.param(("s.op",), set(), id="a dot is a dot"),
    ],
)
def test_namespaces_narrow_what_is_found(
    settings: PrometheusSettings, namespaces: tuple[str, ...], expected: set[str]
) -> None:
    found = discover(Connection(settings), END, namespaces)
    assert isinstance(found, Discovery)
    assert {one.namespace for one in found.workloads} == expected


def test_a_busy_workload_is_told_with_usage_sizes_and_costs(report: AnalysisReport) -> None:
    web = entry(report, "web")
    assert web.state is State.ANALYZED
    assert [one.name for one in web.containers] == ["app", "proxy"], "a container without requests is one too"
    app, proxy = web.containers
    assert app.cpu.used == pytest.approx(0.3, rel=0.1), "the top of the wave, a pod"
    assert app.cpu.recommended == pytest.approx(1.15 * app.cpu.used, abs=0.01)
    assert app.memory.recommended == pytest.approx(1.2 * 300 * MIB, rel=0.01)
    assert app.memory.recommended_limit == pytest.approx(2 * app.memory.recommended, rel=0.01), "moves in proportion"
    assert proxy.cpu.request == 0.0
    assert proxy.cpu.recommended > 0
    assert web.cpu.request == 1.0
    assert web.saving > 0
    assert web.ahead is not None
    assert web.plot is not None
    assert web.demand == pytest.approx(2 * 0.21, rel=0.6)


def test_a_workload_that_needs_more_is_told_so(report: AnalysisReport) -> None:
    db = entry(report, "db")
    assert db.cpu.recommended > 0.7
    assert db.memory.recommended == pytest.approx(1.2 * 900 * MIB, rel=0.01)
    assert db.saving < 0
    assert report.totals.needed_more > 0


def test_workloads_without_data_are_rows_that_say_why(report: AnalysisReport) -> None:
    ghost, idle = entry(report, "ghost"), entry(report, "idle")
    assert ghost.state is idle.state is State.NO_DATA
    assert "container_cpu_usage_seconds_total" in ghost.message
    assert "Deployment batch/ghost" in ghost.message
    assert idle.message == "no pods: it is scaled to 0 replicas"
    assert report.totals.workloads == len(CLUSTER)
    assert report.totals.without_data == 2
    assert report.totals.empty_queries == ((ghost.query, 1),), "an idle workload has no query to mend"


async def test_queries_grow_with_namespaces_and_not_with_workloads(settings: PrometheusSettings) -> None:
    _, few = await surveyed(settings, SurveyOptions(("crowd",), ("tiny-00",), SPAN - 600, horizon_seconds=3600.0))
    _, many = await surveyed(settings, SurveyOptions(("crowd",), (), SPAN - 600, horizon_seconds=3600.0))
    assert (few[-1].done, many[-1].done) == (1, MANY)
    assert few[-1].requests == many[-1].requests == 3 + 5


async def test_nothing_found_says_what_was_asked_and_what_to_do(settings: PrometheusSettings) -> None:
    for options, words in (
        (SurveyOptions(("nowhere",)), ("nowhere", "kube_deployment_spec_replicas", "kube-state-metrics")),
        (SurveyOptions((), ("nothing-*",)), (f"none of the {len(CLUSTER)} workloads", "nothing-*", "--selector")),
    ):
        found = await survey(settings, options, Workers(0), END)
        assert isinstance(found, NothingFound)
        for word in words:
            assert word in found.reason


async def test_a_prometheus_that_is_not_there_is_told_in_one_line() -> None:
    found = await survey(PrometheusSettings("http://127.0.0.1:9", retries=0), OPTIONS, Workers(0), END)
    assert isinstance(found, NothingFound)
    assert "127.0.0.1:9 cannot be reached" in found.reason
    assert "--prometheus-url" in found.reason
    assert "\n" not in found.reason
