"""Labels in every selector, and namespaces that a query may name."""

from __future__ import annotations

import random
from pathlib import Path

import promql_parser
import pytest
from pydantic import ValidationError

from tests.adapters_prometheus.prom_support import request, spec
from tests.adapters_prometheus.random_promql import Grammar
from trimtab.adapters.metrics_cache import MetricsCache
from trimtab.adapters.promql import check, nodes_of
from trimtab.adapters.promql_scope import Scope, forced, labels_of
from trimtab.adapters.signals import plan_round
from trimtab.adapters.signals_requests import scope_faults
from trimtab.settings import Settings

EU = (("cluster", "eu-1"),)
FIELD = "spec.metrics.load.query"
ODD = (
    'x{a="1" or b="2"}',
    '{"my.metric", "a.b"="c"}',
    "max_over_time(rate(x[5m])[1h:1m] @ end() offset -1h)",
    "a * ignoring (b) group_left (c) d == bool on () e",
    'count_values("x", topk without (y) (3, -z ^ 2)) or vector(1)',
    'label_replace(x, "a", "$1", "b", "(.*)")',
    'x{a="q\\"\\\\n"} atan2 Inf',
)


RANDOM = [Grammar(random.Random(seed)).query() for seed in range(200)]
"""Some are no PromQL, as a label in ``on`` cannot be taken over too."""


@pytest.mark.parametrize("query", [*ODD, *(query for query in RANDOM if check(query) is None)])
def test_every_selector_gets_the_label_and_nothing_else_changes(query: str) -> None:
    query = query.replace("$target", "web")
    tree = promql_parser.parse(query)
    changed = promql_parser.parse(forced(query, (("cluster", "eu-1"),)))
    selectors = [node for node in nodes_of(changed) if isinstance(node, promql_parser.VectorSelector)]
    for one in selectors:
        groups = one.matchers.or_matchers or [one.matchers.matchers]
        assert all(any(m.name == "cluster" and m.value == "eu-1" for m in group) for group in groups)
    bare = str(changed).replace(',cluster="eu-1"', "").replace('cluster="eu-1"', "")
    assert bare == str(tree)


def test_all_queries_of_a_policy_are_limited() -> None:
    own = {"query": 'sum(rate(hits{svc="$target"}[$window])) / sum(up)', "targetLabel": None}
    grouped = {"query": 'sum(rate(hits{svc="$target"}[$window]))', "targetLabel": "svc"}
    policy = spec("web", metrics={"load": grouped}, objectives=[{"name": "p99", "max": 1, **own}])
    for bulk in plan_round([request("a", policy, 0, 600)], (), EU):
        assert check(bulk.text) is None
        nodes = nodes_of(promql_parser.parse(bulk.text))
        for node in nodes:
            if isinstance(node, promql_parser.VectorSelector):
                assert [m.value for m in node.matchers.matchers if m.name == "cluster"] == ["eu-1"], bulk.text


ALLOWED = Scope(foreign_namespaces=("ingress-nginx",))
ALL = Scope(foreign_namespaces=("*",))


@pytest.mark.parametrize(
    ("matcher", "scope", "refused"),
    [
        ('namespace="$namespace"', Scope(), ""),
        ('namespace="shop"', Scope(), ""),
        ('namespace="other"', Scope(), "other"),
        ('namespace="other"', ALLOWED, "other"),
        ('namespace="ingress-nginx"', ALLOWED, ""),
        ('namespace="other"', ALL, ""),
        ('namespace=~"$namespace"', Scope(), ""),
        ('namespace=~"shop|ingress-nginx"', ALLOWED, ""),
        ('namespace=~"shop|ingress-nginx"', Scope(), "ingress-nginx"),
        ('namespace=~"shop.*"', Scope(), "*"),
        ('namespace=~".+"', ALLOWED, "*"),
        ('namespace=~".+"', ALL, ""),
        ('namespace!="kube-system"', Scope(), ""),
        ('namespace=""', Scope(), ""),
        ('exported_namespace="other"', Scope(), ""),
        ('a="1" or namespace="other"', Scope(), "other"),
    ],
)
def test_namespaces_that_a_query_may_name(matcher: str, scope: Scope, refused: str) -> None:
    fault = scope.fault(f"sum(hits{{{matcher}}}) / sum(up)", "shop", FIELD)
    if not refused:
        assert fault is None
        return
    assert fault is not None
    assert fault.startswith(f"{FIELD}: reads namespace=")
    assert fault.endswith(
        f'write namespace="$namespace", or have the operator run with --allow-foreign-namespaces {refused}'
    )


@pytest.mark.parametrize(
    ("matcher", "agrees"),
    [
        ('cluster="eu-1"', True),
        ('cluster=~"eu-.*"', True),
        ('cluster!="us-1"', True),
        ('cluster="us-1"', False),
        ('cluster!="eu-1"', False),
        ('cluster=~"us-.*"', False),
    ],
)
def test_a_matcher_that_contradicts_the_label_is_refused(matcher: str, agrees: bool) -> None:
    query = f'sum(hits{{{matcher},svc="$target"}})'
    policy = spec("web", objectives=[{"name": "hits", "query": query, "max": 1}])
    faults = list(scope_faults(policy, "shop", Scope(EU)))
    told = f'spec.objectives[hits].query: has {matcher}, and the operator reads cluster="eu-1" alone (--metric-label);'
    assert faults == ([] if agrees else [f"{told} leave the matcher out"])
    assert list(scope_faults(policy, "shop", Scope())) == []


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["eu"], "'eu' must be written name=value"),
        (["a-b=c"], "'a-b=c' must be written name=value"),
        (["namespace=shop"], "'namespace=shop' must be"),
        (["cluster=a", "cluster=b"], "cluster is given as 'a' and as 'b'; give it once"),
    ],
)
def test_labels_that_are_none(pairs: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=r"--metric-label: ") as refused:
        labels_of(pairs, "--metric-label")
    assert message in str(refused.value)


def test_settings_by_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRIMTAB_PROMETHEUS_URL", "http://p:9090")
    monkeypatch.setenv("TRIMTAB_ALL_NAMESPACES", "true")
    monkeypatch.setenv("TRIMTAB_METRIC_LABELS", "cluster=eu-1, env=prod")
    monkeypatch.setenv("TRIMTAB_ALLOW_FOREIGN_NAMESPACES", "ingress-nginx,istio-system")
    settings = Settings()
    assert settings.scope == Scope((("cluster", "eu-1"), ("env", "prod")), ("ingress-nginx", "istio-system"))
    monkeypatch.setenv("TRIMTAB_METRIC_LABELS", "cluster")
    with pytest.raises(ValidationError, match="must be written name=value"):
        Settings()


def test_what_was_read_under_other_labels_is_read_anew() -> None:
    """A store that was filled before the label was given holds the sum of two clusters."""
    origins = [
        MetricsCache(matchers)._origins(request("a", spec("web"), 0, 600))
        for matchers in ((), EU, (("cluster", "us-1"),))
    ]
    for name in origins[0]:
        assert len({one[name] for one in origins}) == 3
