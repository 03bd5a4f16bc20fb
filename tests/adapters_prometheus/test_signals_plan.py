"""Which bulk queries a round needs."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import promql_parser
import pytest

from tests.adapters_prometheus.prom_support import request, spec
from trimtab.adapters.promql import check
from trimtab.adapters.signals import CountSource, GroupedSource, SingleSource, grid_floor, plan_round
from trimtab.adapters.signals_kube import Signal, default_query, pods_regex
from trimtab.adapters.signals_requests import SignalRequest, query_faults
from trimtab.domain.choices import TargetKind
from trimtab.domain.policy import PolicySpec

GROUPED = 'sum(rate(hits{svc="$target"}[$window]))'
ALONE = 'sum(rate(hits{svc="$target"}[$window])) or vector(0)'
DEFAULTS = 6


def with_load(name: str, query: str = GROUPED, label: str | None = "svc", **fields: Any) -> PolicySpec:
    return spec(name, metrics={"load": {"query": query, "targetLabel": label}}, **fields)


def test_policies_of_a_namespace_share_all_requests() -> None:
    few, many = (
        plan_round([request(f"p{n}", with_load(f"web-{n}"), 0, 600) for n in range(count)]) for count in (5, 50)
    )
    assert len(few) == len(many) == DEFAULTS + 1
    assert all(len(bulk.consumers) == 50 for bulk in many)


def test_namespaces_and_steps_share_nothing() -> None:
    other: dict[str, Any] = {"analysis": {"interval": "30s"}}
    requests = [
        request("a", with_load("web"), 0, 600),
        request("b", with_load("web"), 0, 600, namespace="dev"),
        request("c", with_load("web", **other), 0, 600, step_seconds=30.0),
    ]
    plan = plan_round(requests)
    shared_startup = 1
    assert len(plan) == 3 * (DEFAULTS + 1) - shared_startup, "the start-up time has a step of its own"


def test_a_query_that_cannot_be_grouped_costs_one_request_a_policy() -> None:
    plan = plan_round([request(f"p{n}", with_load(f"web-{n}", ALONE), 0, 600) for n in range(4)])
    singles = [bulk.text for bulk in plan if isinstance(bulk.source, SingleSource)]
    assert singles == [f'sum(rate(hits{{svc="web-{n}"}}[300s])) or vector(0)' for n in range(4)]


def test_a_query_without_target_is_shared_as_it_is() -> None:
    query = 'sum(queue{ns="$namespace"})'
    plan = plan_round([request(f"p{n}", with_load(f"web-{n}", query, None), 0, 600) for n in range(4)])
    singles = [bulk for bulk in plan if isinstance(bulk.source, SingleSource)]
    assert [(bulk.text, len(bulk.consumers)) for bulk in singles] == [('sum(queue{ns="shop"})', 4)]


def test_load_and_objective_with_the_same_text_share() -> None:
    policy = with_load("web", objectives=[{"name": "hits", "query": GROUPED, "targetLabel": "svc", "max": 9}])
    plan = plan_round([request("a", policy, 0, 600)])
    grouped = [bulk for bulk in plan if isinstance(bulk.source, GroupedSource)]
    assert [len(bulk.consumers) for bulk in grouped] == [2]


def test_overrides_take_the_place_of_the_defaults() -> None:
    query = 'sum by (container) (rate(cpu{svc="$target"}[$window]))'
    policy = spec("web", metrics={"cpu": {"query": query, "targetLabel": "svc"}})
    plan = plan_round([request("a", policy, 0, 600)])
    assert len(plan) == DEFAULTS
    assert 'sum by (container, svc) (rate(cpu{svc=~"web"}[5m]))' in {bulk.text for bulk in plan}
    others = (bulk.text for bulk in plan if not isinstance(bulk.source, CountSource))
    assert "container_cpu_usage" not in "".join(others)


def test_new_policies_and_others_make_two_ranges_at_most() -> None:
    day = 86400.0
    requests = [request(f"old-{n}", with_load(f"old-{n}"), day - 60 * n, day) for n in range(1, 10)]
    requests += [request(f"new-{n}", with_load(f"new-{n}"), day - 7200 * n, day) for n in range(1, 4)]
    loads = [bulk for bulk in plan_round(requests) if isinstance(bulk.source, GroupedSource)]
    assert sorted((bulk.start, bulk.end, len(bulk.consumers)) for bulk in loads) == [
        (day - 3 * 7200, day, 3),
        (day - 540, day, 9),
    ]


def test_only_the_signals_that_are_behind_are_read_from_further_back() -> None:
    policy = with_load("web")
    behind = request("a", policy, 0, 86400, resumed={name: 86280.0 for name in Signal if name != "memory"})
    starts = {bulk.consumers[0].query.name: bulk.start for bulk in plan_round([behind])}
    assert starts.pop("memory") == 0
    assert starts.pop("startup") == 86400
    assert starts.pop("pods") == 86400 - 300 - 2 * 60, "pods are counted for one window, and two points more"
    assert set(starts.values()) == {86280.0}


def test_a_signal_that_stands_apart_shares_with_no_one() -> None:
    requests = [request(f"p{n}", with_load(f"web-{n}"), 0, 600) for n in range(4)]
    loads = [bulk for bulk in plan_round(requests, {("p2", "load")}) if isinstance(bulk.source, GroupedSource)]
    assert [[c.request.key for c in bulk.consumers] for bulk in loads] == [["p0", "p1", "p3"], ["p2"]]


def test_halves_have_all_consumers_once() -> None:
    requests = [request(f"p{n}", with_load(f"web-{n % 5}"), 0, 600) for n in range(9)]
    bulk = next(bulk for bulk in plan_round(requests) if isinstance(bulk.source, GroupedSource))
    halves = bulk.halves()
    assert Counter(c.request.key for half in halves for c in half.consumers) == Counter(r.key for r in requests)
    targets = [{c.target[1] for c in half.consumers} for half in halves]
    assert targets == [{"web-0", "web-1"}, {"web-2", "web-3", "web-4"}]
    assert plan_round(requests[:1])[-1].halves() == ()


@pytest.mark.parametrize(
    ("time", "step", "phase", "expected"),
    [(125.0, 60.0, 0.0, 120.0), (120.0, 60.0, 0.0, 120.0), (125.0, 60.0, 7.0, 67.0), (0.7, 0.1, 0.0, 0.7)],
    ids=["between", "on the grid", "with a phase", "despite rounding"],
)
def test_grid(time: float, step: float, phase: float, expected: float) -> None:
    assert grid_floor(time, step, phase) == expected


def test_ranges_lie_on_multiples_of_the_step() -> None:
    for bulk in plan_round([request("a", with_load("web"), 1007, 5003)]):
        assert (bulk.end - bulk.start) % bulk.step_seconds == 0
        assert bulk.end == 4980
        assert bulk.start in {960, 4980 - 86400, 4980 - 420}


def test_faulty_queries_are_told_of_and_left_out() -> None:
    policy = with_load("web", 'sum(x{svc="$target"}', objectives=[{"name": "p99", "query": "a[5m]", "max": 1}])
    assert query_faults(policy).keys() == {"load", "objective/p99"}
    assert query_faults(policy)["objective/p99"].startswith("spec.objectives[p99].query: is a range vector")
    assert len(plan_round([request("a", policy, 0, 600)])) == DEFAULTS


def names(deployments: int, stateful_sets: int) -> dict[TargetKind, set[str]]:
    return {
        TargetKind.DEPLOYMENT: {f"web-{n}" for n in range(deployments)},
        TargetKind.STATEFUL_SET: {f"db-{n}" for n in range(stateful_sets)},
    }


@pytest.mark.parametrize("signal", [signal for signal in Signal if signal is not Signal.LOAD])
@pytest.mark.parametrize("counts", [(1, 0), (0, 1), (2, 2), (600, 0), (600, 1)])
def test_default_queries_are_promql(signal: Signal, counts: tuple[int, int]) -> None:
    query = default_query(signal, 'sh"op', names(*counts), "300s", (("cluster", "eu-1"),))
    assert check(query) is None
    selectors = re.findall(r"\{.*?\}", promql_parser.parse(query).prettify())
    assert all('namespace="sh\\"op"' in selector and 'cluster="eu-1"' in selector for selector in selectors)
    assert len(query) < 16_000
    assert ("web-0" in query) == (0 < counts[0] < 500)
    assert ("StatefulSet" in query) == (counts[1] > 0)


DEPLOYED = ["web-7c9db-x2x4z", "web-5d8f7cb6d9-bbbbb", "web-7-x2x4z"]
FOREIGN = ["web-0", "web-db-7c9db-x2x4z", "web-api-x2x4z", "web-7c9db-x2x4", "xweb-7c9db-x2x4z", "web-x2x4z", "web"]


def test_pods_of_a_deployment() -> None:
    expression = pods_regex(TargetKind.DEPLOYMENT, "web")
    assert all(re.fullmatch(expression, pod) for pod in DEPLOYED)
    assert not any(re.fullmatch(expression, pod) for pod in FOREIGN)


def test_pods_of_a_stateful_set() -> None:
    expression = pods_regex(TargetKind.STATEFUL_SET, "web")
    assert [pod for pod in (*DEPLOYED, *FOREIGN, "web-12") if re.fullmatch(expression, pod)] == ["web-0", "web-12"]


@pytest.mark.parametrize("length", [40, 46, 47, 48, 50, 56, 57, 58, 63])
@pytest.mark.parametrize("template_hash", ["7c9db", "5d8f7cb6d9"])
def test_pods_of_a_deployment_with_a_long_name(length: int, template_hash: str) -> None:
    """Kubernetes cuts what stands before a random suffix at 58 characters."""
    name = "n" * length
    pod = f"{name}-{template_hash}-"[:58] + "x2x4z"
    assert re.fullmatch(pods_regex(TargetKind.DEPLOYMENT, name), pod)


def test_keys_and_values_of_requests_are_the_policys() -> None:
    made: SignalRequest = request("uid", spec("db", "StatefulSet"), 0, 60)
    assert made.values == {
        "namespace": "shop",
        "target": "db",
        "pods": "db-[0-9]+",
        "container": ".+",
        "window": "300s",
    }


def test_throttling_is_asked_for_only_where_a_change_of_cpu_is_on_trial() -> None:
    asked = request("a", spec("web"), 0, 600)
    plain = plan_round([asked])
    trial = plan_round([replace(asked, throttling=True)])
    more = [bulk.text for bulk in trial if bulk.text not in {one.text for one in plain}]
    assert len(more) == 1
    assert "container_cpu_cfs_throttled_periods_total" in more[0]
    assert "[300s]" in more[0], "a rate over the window"
    assert check(more[0]) is None
