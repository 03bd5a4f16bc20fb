"""Templates: what is filled in and how it is escaped, and what users are told of faults."""

from __future__ import annotations

import re

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.adapters.promql import TemplateError, check, escape_regex, fill, promql_duration, quoted, set_matcher
from trimtab.adapters.promql_grouping import GroupedQuery, grouped

VALUES = {"namespace": "shop", "target": "web.v2", "pods": "web-[0-9]+", "container": ".+", "window": "300s"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

FILLED = {
    "in a string": ('a{x="$target"}', 'a{x="web.v2"}'),
    "in a regex it is escaped": ('a{x=~"$target"}', r'a{x=~"web\\.v2"}'),
    "in a negative regex too": ('a{x !~ "$target-.*"}', r'a{x !~ "web\\.v2-.*"}'),
    "pods are a regex": ('a{pod=~"$pods"}', 'a{pod=~"web-[0-9]+"}'),
    "containers are a regex": ('a{c=~"$container"}', 'a{c=~".+"}'),
    "window": ("rate(a[$window])", "rate(a[300s])"),
    "window of a subquery": ("max_over_time(a[$window:])", "max_over_time(a[300s:])"),
    "several": ('a{n="$namespace",x="$target"}', 'a{n="shop",x="web.v2"}'),
    "single quotes": ("a{x='$target'}", "a{x='web.v2'}"),
    "raw strings become quoted ones": (r"a{x=~`\d$target`}", r'a{x=~"\\dweb\\.v2"}'),
    "groups of label_replace stay": (
        'label_replace(a,"d","$1${g}","s","(.*)$")',
        'label_replace(a,"d","$1${g}","s","(.*)$")',
    ),
    "comments go": ("a # $target \n + b", "a \n + b"),
    "a comment before the value": ('a{x=~ # "why"\n"$target"}', 'a{x=~ \n"web\\\\.v2"}'),
    "a sign that starts a comment in a string": ('a{x="#$target"}', 'a{x="#web.v2"}'),
}


@pytest.mark.parametrize(("template", "expected"), FILLED.values(), ids=FILLED.keys())
def test_filled(template: str, expected: str) -> None:
    assert fill(template, VALUES) == expected


def matched(selector: str) -> dict[str, str]:
    """Values of a selector's matchers by label, as the parser reads them."""
    parsed = promql_parser.parse(selector)
    assert isinstance(parsed, promql_parser.VectorSelector)
    return {matcher.name: matcher.value for matcher in parsed.matchers.matchers}


@given(TEXT)
def test_a_string_is_read_as_it_was_meant(text: str) -> None:
    assert matched(f"a{{x={quoted(text)}}}") == {"x": text}


@given(TEXT, st.sampled_from(('a{x="$target",y="1"}', "a{x='$target',y=\"1\"}", 'a{x=`$target`,y="1"}')))
def test_a_value_never_leaves_its_string(text: str, template: str) -> None:
    assert matched(fill(template, {"target": text})) == {"x": text, "y": "1"}


@given(TEXT, TEXT)
def test_an_escaped_regex_matches_its_text_alone(text: str, other: str) -> None:
    assert re.fullmatch(escape_regex(text), text)
    assert bool(re.fullmatch(escape_regex(text), other)) == (text == other)


@given(st.lists(TEXT.filter(bool), min_size=1, max_size=5), TEXT)
def test_a_set_matcher_matches_its_values_alone(values: list[str], other: str) -> None:
    expression = matched(f"a{{{set_matcher('x', values)}}}")["x"]
    assert all(re.fullmatch(expression, value) for value in values)
    assert bool(re.fullmatch(expression, other)) == (other in values)


@given(st.floats(0.001, 1e6))
def test_a_duration_is_read_as_it_was_meant(seconds: float) -> None:
    assert promql_parser.parse_duration(promql_duration(seconds)).total_seconds() == pytest.approx(seconds, abs=6e-4)


RIGHT = {
    "vector": 'sum(rate(a{x="$target"}[$window]))',
    "scalar": "scalar(sum(a)) * 2",
    "in parentheses": "(a)",
    "fixed time": "a @ 1700000000",
    "all placeholders": 'a{n="$namespace",x="$target",p=~"$pods",c=~"$container"} / rate(b[$window])',
    "names with dots": 'sum by ("a.b") ({"http.requests", "a.b"="c"})',
}


@pytest.mark.parametrize("template", RIGHT.values(), ids=RIGHT.keys())
def test_right(template: str) -> None:
    assert check(template) is None


WRONG = {
    "syntax": ("sum(rate(a[5m+]))", "line 1, column 14, at '+]))': unexpected character inside brackets: '+'"),
    "second line": ("sum(\n  a{b=c})", "line 2, column 5, at 'b=c})': unexpected identifier 'c'"),
    "behind a placeholder": ('a{x="$target"} + * b', "line 1, column 16, at '+ * b': invalid promql query"),
    "at the end": ("sum(rate(a[5m])", "line 1, column 16, at the end: unclosed left parenthesis"),
    "empty": (" ", "no expression found"),
    "types": ("rate(a)", "at '(a)': expected type matrix in call to function 'rate', got vector"),
    "unknown function": ("speed(a)", "unknown function with name 'speed'"),
    "bad regex": ('a{x=~"("}', "illegal regex"),
    "range vector": ("a[5m]", "is a range vector; wrap it in a function over time such as rate()"),
    "subquery": ("(a[5m:1m])", "is a range vector"),
    "string": ('"a"', "is a string"),
    "start of the range": ("a @ start()", "`@ start()` changes with the range that is read; use offset"),
    "end of the range, deep inside": ("sum(rate(a[5m] @ end()))", "`@ end()` changes"),
    "unknown placeholder": ('a{x="$service"}', "unknown placeholder $service; known are $namespace, $target"),
    "Grafana's interval": ("rate(a[$__rate_interval])", "unknown placeholder $__rate_interval"),
    "pods as plain text": ('a{pod="$pods"}', '$pods is a regular expression: match it as label=~"$pods"'),
    "target outside a string": ("a{$target=1}", '$target must stand in a string, as in label="$target"'),
    "window in a string": ('a{x="$window"}', "$window must stand in brackets"),
}


@pytest.mark.parametrize(("template", "expected"), WRONG.values(), ids=WRONG.keys())
def test_wrong(template: str, expected: str) -> None:
    fault = check(template, field="spec.metrics.load.query")
    assert fault is not None
    assert fault.startswith("spec.metrics.load.query: ")
    assert expected in fault


DEEP = {
    "brackets": "(" * 2000 + "a" + ")" * 2000,
    "signs": "-" * 4000 + "a",
    "functions": "abs(" * 900 + "a" + ")" * 900,
    "sums": "+".join(["a"] * 2000),
    "words": " or ".join(["a"] * 800),
    "open brackets": "(" * 4000,
}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("template", DEEP.values(), ids=DEEP.keys())
def test_what_nests_too_deeply_is_never_parsed(template: str) -> None:
    assert check(template) == "query: has more than 150 operators and brackets; move parts of it to recording rules"


DEEPEST = {
    "brackets": "(" * 150 + 'a{s="$target"}' + ")" * 150,
    "signs": "-" * 150 + 'a{s="$target"}',
    "sums": "sum(" * 150 + 'a{s="$target"}' + ")" * 150,
    "matchers do not count": " + ".join(['a{s="$target",b!~"c",d=~"e",f="(("}'] * 80),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("template", DEEPEST.values(), ids=DEEPEST.keys())
def test_what_nests_as_deeply_as_it_may_can_be_grouped(template: str) -> None:
    assert check(template, "s") is None
    assert isinstance(grouped(template, "s", "shop", "300s"), GroupedQuery)


@pytest.mark.parametrize("template", ['sum(a{other="$target"})', "sum by (service) (a)", 'a{service!="$target"}'])
def test_a_target_label_without_target_names_field_value_and_remedy(template: str) -> None:
    assert check(template, "service", "spec.objectives[p99].query") == (
        "spec.objectives[p99].targetLabel: 'service' is not matched with $target in the query; "
        'write service="$target" in its selectors, or leave targetLabel out'
    )


def test_a_value_that_is_not_there_is_named() -> None:
    with pytest.raises(TemplateError, match=r"no value for \$pods here"):
        fill('a{pod=~"$pods"}', {})
