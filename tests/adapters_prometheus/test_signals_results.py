"""Each policy's share of the answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from tests.adapters_prometheus.prom_support import request, spec
from trimtab.adapters.prometheus_wire import FailureKind, QueryFailed, RangeAnswer, RangeSeries
from trimtab.adapters.signals import BulkQuery, plan_round
from trimtab.adapters.signals_requests import SignalRequest
from trimtab.adapters.signals_results import FetchResult, results, shares

LOAD = {"load": {"query": 'sum(hits{svc="$target"})', "targetLabel": "svc", "unit": "requests/s"}}


def series(labels: dict[str, str], values: Sequence[float], start: float = 0.0, step: float = 60.0) -> RangeSeries:
    return RangeSeries(labels, start + step * np.arange(len(values), dtype=np.float64), np.array(values))


def of(signal: str, requests: list[SignalRequest]) -> BulkQuery:
    return next(bulk for bulk in plan_round(requests) if bulk.consumers[0].query.name == signal)


def read(signal: str, requests: list[SignalRequest], *answers: RangeAnswer) -> dict[str, FetchResult]:
    return results(requests, shares(of(signal, requests), list(answers)))


def test_each_target_has_its_own_values() -> None:
    requests = [request(name, spec(name, metrics=LOAD), 0, 240) for name in ("web", "api")]
    found = [series({"svc": "web"}, [1, 2, 3, 4, 5]), series({"svc": "other"}, [9] * 5)]
    both = read("load", requests, RangeAnswer(tuple(found)))
    assert both["web"].history.load.values.tolist() == [1, 2, 3, 4, 5]
    assert both["web"].history.load.unit == "requests/s"
    assert both["web"].failures == {}
    assert len(both["api"].history.load) == 0
    assert both["api"].failures["load"].kind is FailureKind.NO_DATA


def test_each_request_has_its_own_range() -> None:
    requests = [request("old", spec("web", metrics=LOAD), 120, 240), request("new", spec("web", metrics=LOAD), 0, 180)]
    both = read("load", requests, RangeAnswer((series({"svc": "web"}, [1, 2, 3, 4, 5]),)))
    assert (both["old"].history.load.start, both["old"].history.load.values.tolist()) == (120, [3, 4, 5])
    assert (both["new"].history.load.start, both["new"].history.load.values.tolist()) == (0, [1, 2, 3, 4])


def test_parts_of_the_range_are_put_together_and_gaps_stay() -> None:
    requests = [request("a", spec("web", metrics=LOAD), 0, 300)]
    first = RangeAnswer((series({"svc": "web"}, [1, math.nan, 3]),))
    second = RangeAnswer((series({"svc": "web"}, [5, math.inf], start=240),))
    found = read("load", requests, first, second)["a"].history.load
    np.testing.assert_array_equal(found.values, [1, np.nan, 3, np.nan, 5, np.nan])


def test_series_that_follow_each_other_are_one() -> None:
    query = {"load": {"query": 'hits{svc="$target"}'}}
    requests = [request("a", spec("web", metrics=query), 0, 180)]
    answer = RangeAnswer((series({"pod": "old"}, [1, 2]), series({"pod": "new"}, [3, 4], start=120)))
    assert read("load", requests, answer)["a"].history.load.values.tolist() == [1, 2, 3, 4]


def test_several_values_at_one_time_are_a_failure_with_a_remedy() -> None:
    query = {"load": {"query": 'hits{svc="$target"}'}}
    requests = [request("a", spec("web", metrics=query), 0, 180)]
    answer = RangeAnswer((series({"pod": "old"}, [1, 2, 3]), series({"pod": "new"}, [3, 4], start=120)))
    failure = read("load", requests, answer)["a"].failures["load"]
    assert failure == QueryFailed(
        FailureKind.MANY_SERIES,
        'spec.metrics.load.query hits{svc="web"} gives several series at 1970-01-01T00:02:00Z; one is wanted: '
        "aggregate them, as in sum (...)",
    )


def test_several_values_before_a_policys_own_range_are_not_its_concern() -> None:
    query = {"load": {"query": "sum by (pod) (hits)"}}
    requests = [request(key, spec("web", metrics=query), since, 180) for key, since in (("old", 60), ("new", 0))]
    answer = RangeAnswer((series({"pod": "a"}, [1, 2, 3, 4]), series({"pod": "b"}, [5])))
    both = read("load", requests, answer)
    assert both["old"].history.load.values.tolist() == [2, 3, 4]
    assert both["new"].failures["load"].kind is FailureKind.MANY_SERIES


def test_kinds_and_containers_are_told_apart() -> None:
    requests = [request("d", spec("web"), 0, 60), request("s", spec("web", "StatefulSet"), 0, 60)]
    labels = {"workload_type": "Deployment", "workload": "web"}
    answer = RangeAnswer(
        (
            series({**labels, "container": "app"}, [1, 2]),
            series({**labels, "container": "proxy"}, [0.5, math.nan]),
            series({**labels, "workload_type": "StatefulSet", "container": "app"}, [7, 8]),
        )
    )
    both = read("cpu", requests, answer)
    assert {name: s.values[0] for name, s in both["d"].history.cpu_cores.items()} == {"app": 1, "proxy": 0.5}
    assert both["d"].history.load.values.tolist() == [1.5, 2], "without a query the load is the CPU usage"
    assert both["s"].history.load.values.tolist() == [7, 8]


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        ({}, FailureKind.BAD_QUERY, "gives a series without the label container: keep it in the query's `by`"),
        ({"container": "app", "pod": "b"}, FailureKind.MANY_SERIES, "for container app at"),
    ],
    ids=["no container", "more than the container"],
)
def test_an_override_must_tell_containers_apart(labels: dict[str, str], kind: FailureKind, message: str) -> None:
    policy = spec("web", metrics={"cpu": {"query": 'rate(cpu{svc="$target"}[$window])'}})
    answer = RangeAnswer((series(labels, [1, 2]), series({"container": "app", "pod": "a"}, [3, 4])))
    failure = read("cpu", [request("a", policy, 0, 60)], answer)["a"].failures["cpu"]
    assert failure.kind is kind
    assert message in failure.message


def test_a_partial_answer_is_missing_data() -> None:
    requests = [request("a", spec("web", metrics=LOAD), 0, 60)]
    whole, partial = RangeAnswer((series({"svc": "web"}, [1, 2]),)), RangeAnswer((), partial="store b is away")
    found = read("load", requests, whole, partial)["a"]
    assert found.partial
    assert len(found.history.load) == 0
    assert found.failures["load"].message == "partial answer: store b is away"
    assert not read("load", requests, whole)["a"].partial


def test_a_failed_query_fails_for_all_its_policies() -> None:
    requests = [request(name, spec(name, metrics=LOAD), 0, 60) for name in ("web", "api")]
    failure = QueryFailed(FailureKind.TIMEOUT, "too slow")
    both = results(requests, shares(of("load", requests), failure))
    assert all(result.failures == {"load": failure} for result in both.values())


def test_the_startup_time_is_the_newest_that_was_seen() -> None:
    requests = [request("a", spec("web"), 0, 86400)]
    labels = {"workload_type": "Deployment", "workload": "web"}
    answer = RangeAnswer((series(labels, [9.0, 12.0, math.nan], start=3600, step=3600),))
    assert read("startup", requests, answer)["a"].history.startup_seconds == 12.0
    assert read("startup", requests, RangeAnswer(()))["a"].history.startup_seconds is None


def test_faults_of_the_spec_are_among_the_failures() -> None:
    policy = spec("web", objectives=[{"name": "p99", "query": "a[5m]", "max": 1}])
    found = results([request("a", policy, 0, 60)], [])["a"]
    assert found.failures["objective/p99"].kind is FailureKind.BAD_QUERY
    assert "spec.objectives[p99].query: is a range vector" in found.failures["objective/p99"].message
    assert len(found.history.objectives["p99"]) == 0
