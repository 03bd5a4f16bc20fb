"""How a query for one target is rewritten for many, and which ones are not."""

from __future__ import annotations

import pytest

from trimtab.adapters.promql_grouping import MOST_TARGETS, GroupedQuery, NotGroupable, grouped

T = 'x{svc="$target"}'
SET = 'x{svc=~"api|web"}'

REWRITTEN = {
    "selector": (T, SET),
    "other matchers stay": ('x{a="1",svc="$target",b!~"2|3"}', 'x{a="1",svc=~"api|web",b!~"2|3"}'),
    "regex matcher": ('x{svc=~"$target"}', SET),
    "namespace and window": (
        'rate(x{ns="$namespace",svc="$target"}[$window])',
        'rate(x{ns="sh\\"op",svc=~"api|web"}[5m])',
    ),
    "offset and fixed time": (
        'rate(x{svc="$target"}[5m] offset -1m @ 9)',
        'rate(x{svc=~"api|web"}[5m] @ 9.000 offset -1m)',
    ),
    "sum": (f"sum({T})", f"sum by (svc) ({SET})"),
    "sum by": (f"sum by (le) ({T})", f"sum by (le, svc) ({SET})"),
    "sum by the label already": (f"sum({T}) by (svc, le)", f"sum by (le, svc) ({SET})"),
    "sum without": (f"sum without (pod) ({T})", f"sum without (pod) ({SET})"),
    "sum without the label": (f"sum without (svc, pod) ({T})", f"sum without (pod) ({SET})"),
    "nested": (f"max(sum by (pod) ({T}))", f"max by (svc) (sum by (pod, svc) ({SET}))"),
    "parameter": (f"quantile(0.9, {T})", f"quantile by (svc) (0.9, {SET})"),
    "topk": (f"sum(topk(3, {T}))", f"sum by (svc) (topk by (svc) (3, {SET}))"),
    "count_values": (f'count_values("v", {T})', f'count_values by (svc) ("v", {SET})'),
    "histogram": (
        'histogram_quantile(0.99, sum by (le) (rate(x{svc="$target"}[5m])))',
        'histogram_quantile(0.99, sum by (le, svc) (rate(x{svc=~"api|web"}[5m])))',
    ),
    "ratio": (f"sum({T}) / sum({T})", f"sum by (svc) ({SET}) / sum by (svc) ({SET})"),
    "on": (f"{T} / on (pod) {T}", f"{SET} / on (pod, svc) {SET}"),
    "on the label": (f"{T} / on (svc) {T}", f"{SET} / on (svc) {SET}"),
    "ignoring": (f"{T} / ignoring (pod) {T}", f"{SET} / ignoring (pod) {SET}"),
    "ignoring the label": (f"sum({T}) + ignoring (svc) {T}", f"sum by (svc) ({SET}) + ignoring () {SET}"),
    "group_left": (f"{T} * on (pod) group_left (a, svc) {T}", f"{SET} * on (pod, svc) group_left (a) {SET}"),
    "bool": (f"sum({T}) > bool 1", f"sum by (svc) ({SET}) > bool 1"),
    "or of two": (f"sum({T}) or sum({T})", f"sum by (svc) ({SET}) or sum by (svc) ({SET})"),
    "scalars": (f"1 - clamp_min({T}, scalar(sum(y)))", f"1 - clamp_min({SET}, scalar(sum by () (y{{}})))"),
    "share of a total": (
        f"sum({T}) / on () group_left () sum(y)",
        f"sum by (svc) ({SET}) / on () group_left () sum by () (y{{}})",
    ),
    "while something holds": (f"{T} and on () (y > 1)", f"{SET} and on () (y{{}} > 1)"),
    "against a vector with the label": (f"{T} / quota", f"{SET} / quota{{}}"),
    "subquery": (f"max_over_time(sum({T})[1h:1m] offset 5m)", f"max_over_time(sum by (svc) ({SET})[1h:1m] offset 5m)"),
    "label_replace": (
        f'label_replace({T}, "a", "$1", "b", "(.*)\\\\d")',
        f'label_replace({SET}, "a", "$1", "b", "(.*)\\\\d")',
    ),
    "precedence": (f"-(sum({T}) + 2) ^ 2 * 3", f"-(sum by (svc) ({SET}) + 2) ^ 2 * 3"),
    "names with dots": (f'sum by ("a.b") ({T})', f'sum by ("a.b", svc) ({SET})'),
}


@pytest.mark.parametrize(("template", "expected"), REWRITTEN.values(), ids=REWRITTEN.keys())
def test_rewritten(template: str, expected: str) -> None:
    rewritten = grouped(template, "svc", 'sh"op', "300s")
    assert isinstance(rewritten, GroupedQuery), rewritten
    assert rewritten.query(["web", "api", "web"]) == expected


REFUSED = {
    "or vector(0)": (f"sum({T}) or vector(0)", "`or` has a side that does not depend on $target"),
    "absent": (f"absent({T})", "absent() does not go target by target"),
    "scalar of the target": (f"2 * scalar({T})", "scalar() does not go target by target"),
    "unknown to the proof": (f"info({T})", "info() does not go target by target"),
    "two arguments": (f"clamp({T}, 1, scalar({T}))", "scalar() does not go target by target"),
    "parameter": (f"topk(scalar({T}), {T})", "scalar() does not go target by target"),
    "sampling": (f"limitk(2, {T})", "limitk picks elements by more than their values"),
    "part of a value": ('x{svc=~"$target-.*"}', 'matched by svc=~"$target-.*"'),
    "another label": ('x{app="$target"} + x{svc="$target"}', 'matched by app="$target"'),
    "all but the target": ('x{svc!="$target"}', 'matched by svc!="$target"'),
    "pods": ('sum(x{svc="$target",pod=~"$pods"})', "$pods differs from target to target"),
    "label lost on one side": (f"sum({T}) / {T}", "one side has lost svc"),
    "label lost on one side of or": (f"sum by (svc) ({T}) or on () sum({T})", "one side has lost svc"),
    "one to one with a total": (f"sum({T}) / sum(y)", "one side has lost svc"),
    "on a label that targets share": (f"{T} / on (zone) capacity", "`/` has a side that does not depend on $target"),
    "others kept by the target": (f"y and {T}", "`and` has a side that does not depend on $target"),
    "written label": (f'label_replace({T}, "svc", "a", "", "")', "label_replace() changes svc"),
    "read label that is lost": (f'label_replace(sum({T}), "a", "$1", "svc", "(.*)")', "label_replace() changes svc"),
    "counted into the label": (f'count_values("svc", {T})', "count_values overwrites svc"),
    "labels of equal elements": (f"topk(1, {T}) * on (pod) {T}", "of equal ones it may pick any"),
    "target in another string": (f'label_replace({T}, "a", "$target", "", "")', "$target stands outside a selector"),
    "no target": ("sum(y)", 'no selector has svc="$target"'),
}


@pytest.mark.parametrize(("template", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(template: str, reason: str) -> None:
    rewritten = grouped(template, "svc", "shop", "300s")
    assert isinstance(rewritten, NotGroupable)
    assert reason in rewritten.reason


@pytest.mark.parametrize("label", ["le", "__name__"])
def test_labels_that_functions_change_are_refused(label: str) -> None:
    assert isinstance(grouped(f'sum(x{{{label}="$target"}})', label, "shop", "300s"), NotGroupable)


def test_targets_are_literal() -> None:
    rewritten = grouped(T, "svc", "shop", "300s")
    assert isinstance(rewritten, GroupedQuery)
    assert rewritten.query(["a.b", 'c"d|e']) == r'x{svc=~"a\\.b|c\"d\\|e"}'


@pytest.mark.parametrize(
    ("targets", "listed"),
    [(MOST_TARGETS, True), (MOST_TARGETS + 1, False)],
    ids=["as many as are listed", "one more"],
)
def test_too_many_targets_are_not_listed(targets: int, listed: bool) -> None:
    rewritten = grouped(T, "svc", "shop", "300s")
    assert isinstance(rewritten, GroupedQuery)
    query = rewritten.query(f"t{number}" for number in range(targets))
    assert ("t499" in query) == listed
    assert (query == 'x{svc!=""}') != listed


def test_a_list_that_makes_the_query_too_long_is_left_out() -> None:
    rewritten = grouped(" + ".join([T] * 40), "svc", "shop", "300s")
    assert isinstance(rewritten, GroupedQuery)
    assert "t00" in rewritten.query(f"t{number:02}" for number in range(50))
    assert "t00" not in rewritten.query(f"t{number:02}{'x' * 60}" for number in range(50))
