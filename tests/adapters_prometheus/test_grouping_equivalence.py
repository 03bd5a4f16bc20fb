"""A grouped query gives each target the values that the query for this target alone gives, by a real Prometheus."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator

import pytest

from cluster.prometheus import Prometheus
from tests.adapters_prometheus.prom_support import constant, every, linear, write_openmetrics
from tests.adapters_prometheus.random_promql import Grammar
from trimtab.adapters.prometheus_connection import Connection, PrometheusSettings
from trimtab.adapters.prometheus_wire import QueryFailed, RangeAnswer
from trimtab.adapters.promql import check, fill
from trimtab.adapters.promql_grouping import GroupedQuery, grouped

pytestmark = pytest.mark.cluster

TARGETS = ("web", "api.v2", "api-v2", "ghost")
"""One has no series, and one is a regular expression that matches another."""
END = math.floor(time.time() / 300) * 300 - 3600.0
START = END - 3600.0
WINDOW = "300s"

Elements = dict[tuple[object, ...], float]

GROUPABLE = {
    "selector": 'queue_depth{service="$target",shard="a"}',
    "selector with a regex": 'queue_depth{service=~"$target",shard="a"}',
    "sum": 'sum(queue_depth{service="$target"})',
    "sum by others": 'sum by (shard) (queue_depth{service="$target"})',
    "sum by the label": 'sum by (service, shard) (queue_depth{service="$target"})',
    "sum without others": 'sum without (shard, zone) (queue_depth{service="$target"})',
    "sum without the label": 'sum without (shard, zone, service) (queue_depth{service="$target"})',
    "rate": 'sum(rate(http_requests_total{namespace="$namespace",service="$target"}[$window]))',
    "offset": 'sum(rate(http_requests_total{service="$target"}[$window] offset 10m))',
    "quantile of a histogram": (
        'histogram_quantile(0.99, sum by (le) (rate(duration_seconds_bucket{service="$target"}[$window])))'
    ),
    "quantile of a histogram by pod": (
        'max(histogram_quantile(0.5, sum by (le, pod) (rate(duration_seconds_bucket{service="$target"}[$window]))))'
    ),
    "ratio": (
        'sum(rate(http_requests_total{service="$target",code="500"}[$window]))'
        ' / sum(rate(http_requests_total{service="$target"}[$window]))'
    ),
    "availability": (
        '1 - (sum(rate(http_requests_total{service="$target",code="500"}[5m]))'
        ' / sum(rate(http_requests_total{service="$target"}[5m])))'
    ),
    "ratio on a label": (
        'max(sum by (pod) (rate(http_requests_total{service="$target",code="500"}[5m]))'
        ' / on (pod) sum by (pod) (rate(http_requests_total{service="$target"}[5m])))'
    ),
    "group_left": (
        'sum by (pod, code) (rate(http_requests_total{service="$target"}[5m]))'
        ' / on (pod) group_left () sum by (pod) (rate(http_requests_total{service="$target"}[5m]))'
    ),
    "group_left of the label": (
        'sum by (pod, code) (rate(http_requests_total{service="$target"}[5m])) / on (pod)'
        ' group_left (service) sum by (pod, service) (rate(http_requests_total{service="$target"}[5m]))'
    ),
    "ignoring the label": (
        'sum by (service) (queue_depth{service="$target"}) + ignoring (service) sum(queue_depth{service="$target"})'
    ),
    "or of two": 'sum(queue_depth{service="$target",shard="c"}) or sum(queue_depth{service="$target"})',
    "or zero of its own": (
        'sum(rate(http_requests_total{service="$target",code="404"}[5m]))'
        ' or 0 * sum(rate(http_requests_total{service="$target"}[5m]))'
    ),
    "unless": (
        'sum by (shard) (queue_depth{service="$target"}) unless sum by (shard) (queue_depth{service="$target"}) > 9'
    ),
    "comparison": 'sum(queue_depth{service="$target"}) > 4',
    "comparison as bool": 'sum(queue_depth{service="$target"}) > bool 4',
    "clamped": 'clamp(sum(queue_depth{service="$target"}), 1, 5)',
    "clamp_min of a ratio": (
        'sum(queue_depth{service="$target",shard="a"}) / clamp_min(sum(queue_depth{service="$target"}), 1)'
    ),
    "topk": 'topk(1, queue_depth{service="$target"})',
    "bottomk by": 'bottomk by (zone) (1, queue_depth{service="$target"})',
    "quantile": 'quantile(0.5, queue_depth{service="$target"})',
    "count_values": 'count_values("depth", queue_depth{service="$target"})',
    "over a subquery": 'max_over_time(sum(rate(http_requests_total{service="$target"}[5m]))[20m:1m])',
    "label_replace": 'label_replace(sum(queue_depth{service="$target"}), "what", "depth", "", "")',
    "label_join": 'label_join(queue_depth{service="$target"}, "both", "-", "service", "shard")',
    "negated power": '-sum(queue_depth{service="$target"}) ^ 2',
    "share of a total": 'sum(queue_depth{service="$target"}) / on () group_left () sum(queue_depth)',
    "share of a scalar": 'sum(queue_depth{service="$target"}) / scalar(sum(queue_depth))',
    "against a quota by label": 'sum by (service) (queue_depth{service="$target"}) / quota',
    "while something holds": 'sum(queue_depth{service="$target"}) and on () (sum(queue_depth) > 0)',
    "stddev": 'stddev(queue_depth{service="$target"})',
    "last of a day": 'sum(last_over_time(queue_depth{service="$target"}[10m]))',
    "forecast": 'sum(predict_linear(queue_depth{service="$target"}[10m], 600))',
    "fixed time": f'sum(queue_depth{{service="$target"}} @ {END - 600:.0f})',
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A Prometheus with an hour of four services' series, of which one target has none."""
    folder = tmp_path_factory.mktemp("equivalence")
    file = write_openmetrics(folder / "history.om", _history())
    with Prometheus(folder / "prometheus", backfilled=[file]) as prometheus:
        yield Connection(PrometheusSettings(prometheus.url))


def swinging(mean: float, share: float) -> Callable[[float], float]:
    """A gauge that moves around its mean."""
    return lambda seconds: mean * (1 + share * math.sin(seconds / 300))


def restarting(pace: float) -> Callable[[float], float]:
    """A counter that begins anew every forty minutes."""
    return lambda seconds: (seconds % 2400) * pace


def _history() -> Iterator[tuple[str, dict[str, str], list[tuple[float, float]]]]:
    rng = random.Random(7)
    services = ("web", "api.v2", "api-v2", "other")
    for service in services:
        for shard, zone in (("a", "east"), ("b", "east"), ("c", "west")):
            depth, swing = rng.uniform(1, 8), rng.uniform(0.1, 0.9)
            points = every(START, END, 30, swinging(depth, swing))
            yield "queue_depth", {"service": service, "shard": shard, "zone": zone}, points
    for service in services:
        for pod in ("p1", "p2"):
            for code in ("200", "404", "500"):
                pace = rng.uniform(0.5, 20) / (1 if code == "200" else 50)
                labels = {"namespace": "shop", "service": service, "pod": pod, "code": code}
                yield "http_requests_total", labels, every(START, END, 30, restarting(pace))
    for service in services:
        for pod in ("p1", "p2"):
            pace = rng.uniform(1, 9)
            for le, share in (("0.1", rng.uniform(0.2, 0.6)), ("0.5", 0.9), ("1", 0.99), ("+Inf", 1.0)):
                labels = {"service": service, "pod": pod, "le": le}
                yield "duration_seconds_bucket", labels, every(START, END, 30, linear(pace * share))
    for service in services:
        yield "quota", {"service": service}, every(START, END, 30, constant(10.0))
    for zone in ("east", "west"):
        yield "capacity", {"zone": zone}, every(START, END, 30, lambda t: 100.0 + t)


def _elements(connection: Connection, query: str, target: str | None = None) -> Elements | None:
    """Values by labels, the target's own aside, and time; None where the query fails."""
    answer = connection.read_range(query, START + 900, END, 900).outcome
    if isinstance(answer, QueryFailed):
        return None
    assert isinstance(answer, RangeAnswer)
    elements: Elements = {}
    for series in answer.series:
        labels = dict(series.labels)
        owner = labels.pop("service", None)
        if target is None or owner == target:
            key = tuple(sorted(labels.items()))
            elements |= {(*key, time): value for time, value in zip(series.times, series.values, strict=True)}
    return elements


def _without_labels(elements: Elements) -> Elements:
    """The values by time and rank: of equal elements ``topk`` may pick any."""
    ranked = sorted((str(key[-1]), value) for key, value in elements.items())
    return {(time, rank): value for rank, (time, value) in enumerate(ranked)}


def _compare(connection: Connection, template: str, rewritten: GroupedQuery) -> int | None:
    """How many values of the grouped query equal those of the queries for one target; None where one of these fails."""
    single = {
        target: _elements(connection, fill(template, {"namespace": "shop", "target": target, "window": WINDOW}))
        for target in TARGETS
    }
    compared, query = 0, rewritten.query(TARGETS)
    for target, expected in single.items():
        if expected is None:
            return None
        found = _elements(connection, query, target)
        assert found is not None, f"{template}\n{query}\nfails"
        if "topk" in template or "bottomk" in template:
            expected, found = _without_labels(expected), _without_labels(found)
        same = found == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)
        assert same, f"{template}\n{query}\n{target}: {found}\nexpected {expected}"
        compared += len(expected)
    return compared


@pytest.mark.parametrize("template", GROUPABLE.values(), ids=GROUPABLE.keys())
def test_grouped_and_single_agree(connection: Connection, template: str) -> None:
    assert check(template, "service") is None
    rewritten = grouped(template, "service", "shop", WINDOW)
    assert isinstance(rewritten, GroupedQuery), rewritten
    assert _compare(connection, template, rewritten), "the example shows nothing when it has no values"


def test_too_many_targets_to_list_give_the_same(connection: Connection) -> None:
    template = 'sum by (shard) (queue_depth{service="$target"})'
    rewritten = grouped(template, "service", "shop", WINDOW)
    assert isinstance(rewritten, GroupedQuery)
    many = rewritten.query([*TARGETS, *(f"service-{number}" for number in range(500))])
    assert 'service!=""' in many
    assert _elements(connection, many, "web") == _elements(connection, rewritten.query(["web"]), "web")


def test_random_queries_agree(connection: Connection) -> None:
    grammar = Grammar(random.Random(20))
    telling = refused = 0
    for _ in range(400):
        template = grammar.query()
        if check(template, "service") is not None:
            continue
        rewritten = grouped(template, "service", "shop", WINDOW)
        if isinstance(rewritten, GroupedQuery):
            telling += bool(_compare(connection, template, rewritten))
        else:
            refused += 1
    assert telling > 80
    assert refused > 50
