"""Whose series may be read: labels forced into every selector of a query, and namespaces that it may name. Pure.

One Prometheus may hold several clusters and tenants, whose workloads have the same names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import promql_parser as parser

from trimtab.adapters.promql import PLACEHOLDERS, TemplateError, escape_regex, fill, nodes_of, quoted
from trimtab.adapters.promql_matching import Matching, RefusedError
from trimtab.adapters.promql_nodes import (
    written_matcher,
    written_matching,
    written_name,
    written_names,
    written_range,
    written_time,
)

ANY_NAMESPACE: Final = "*"
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_CACHED_QUERIES: Final = 4096

Matchers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose series one operator may read."""

    matchers: Matchers = ()
    """(label, value) that every series must have, such as ("cluster", "eu-1")."""
    foreign_namespaces: tuple[str, ...] = ()
    """Namespaces beside a policy's own that its queries may name; ``*`` stands for all."""

    def fault(self, template: str, namespace: str, field: str) -> str | None:
        """Why a query may not be sent for a policy in ``namespace``, with field, value and remedy; None when it may.

        ``template`` must have passed `promql.check`.

        >>> Scope().fault('sum(up{namespace="b"})', "a", "query")
        'query: reads namespace="b", and the policy is in a; write namespace="$namespace", or have the operator run\
 with --allow-foreign-namespaces b'
        """
        return _fault(self, template, namespace, field)


def labels_of(pairs: list[str] | tuple[str, ...], option: str) -> Matchers:
    """Labels given as ``name=value``. Raises ValueError that names option, value and what would be right.

    >>> labels_of(["cluster=eu-1"], "--metric-label")
    (('cluster', 'eu-1'),)
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, mark, value = (part.strip() for part in pair.partition("="))
        if not mark or not _LABEL.fullmatch(name) or name in {"__name__", "namespace", "pod"}:
            raise ValueError(
                f"{option}: {pair!r} must be written name=value with the name of a label, as in cluster=eu-1"
            )
        if found.setdefault(name, value) != value:
            raise ValueError(f"{option}: {name} is given as {found[name]!r} and as {value!r}; give it once")
    return tuple(found.items())


@lru_cache(maxsize=_CACHED_QUERIES)
def _fault(scope: Scope, template: str, namespace: str, field: str) -> str | None:
    values = dict.fromkeys(PLACEHOLDERS, "x") | {"namespace": namespace, "window": "300s"}
    try:
        tree = parser.parse(fill(template, values))
    except (TemplateError, ValueError):
        return None  # told by `promql.check`
    wanted = dict(scope.matchers)
    for matcher in _matchers_of(tree):
        if matcher.name in wanted and not _takes(matcher, wanted[matcher.name]):
            value = wanted[matcher.name]
            return (
                f"{field}: has {written_matcher(matcher)}, and the operator reads {matcher.name}={quoted(value)} alone"
                f" (--metric-label); leave the matcher out"
            )
        if matcher.name == "namespace" and (foreign := _foreign(matcher, (namespace, *scope.foreign_namespaces))):
            return (
                f"{field}: reads {written_matcher(matcher)}, and the policy is in {namespace};"
                f' write namespace="$namespace", or have the operator run with --allow-foreign-namespaces {foreign}'
            )
    try:
        forced(fill(template, values), scope.matchers)
    except (RefusedError, ValueError) as error:
        return f"{field}: cannot be limited to the labels of --metric-label ({error}); write it in another way"
    return None


def _matchers_of(tree: parser.Expr) -> Iterator[parser.Matcher]:
    for node in nodes_of(tree):
        if isinstance(node, parser.VectorSelector):
            yield from node.matchers.matchers
            for group in node.matchers.or_matchers:
                yield from group


def _takes(matcher: parser.Matcher, value: str) -> bool:
    match str(matcher.op):
        case "MatchOp.Equal":
            return bool(matcher.value == value)
        case "MatchOp.NotEqual":
            return bool(matcher.value != value)
        case operator:
            try:
                return (re.fullmatch(matcher.value, value) is not None) is (operator == "MatchOp.Re")
            except re.error:
                return False


def _foreign(matcher: parser.Matcher, allowed: tuple[str, ...]) -> str:
    """The first namespace that a matcher names and that is not allowed; ``*`` for one that may reach any.

    ``!=`` and ``!~`` name what is left out, and reach no more than a selector without a namespace does.
    """
    operator, value = str(matcher.op), matcher.value
    if ANY_NAMESPACE in allowed or value == "" or operator in ("MatchOp.NotEqual", "MatchOp.NotRe"):
        return ""
    if operator == "MatchOp.Equal":
        return "" if value in allowed else value
    for part in value.split("|"):
        literal = re.sub(r"\\(.)", r"\1", part)
        if escape_regex(literal) != part:
            return ANY_NAMESPACE
        if literal not in allowed:
            return literal
    return ""


@lru_cache(maxsize=_CACHED_QUERIES)
def forced(query: str, matchers: Matchers) -> str:
    """``query`` with these matchers in every selector; as it is without any. Raises ValueError for what is no PromQL.

    >>> forced('sum(rate(hits{a="b"}[5m])) / on () group_left () up', (("cluster", "eu-1"),))
    'sum(rate(hits{a="b",cluster="eu-1"}[5m])) / on () group_left () up{cluster="eu-1"}'
    """
    if not matchers:
        return query
    added = [f"{written_name(label)}={quoted(value)}" for label, value in matchers]
    return _written(parser.parse(query), added)


def _written(node: Any, added: list[str]) -> str:
    match node:
        case parser.NumberLiteral():
            return str(node)
        case parser.StringLiteral():
            return quoted(node.val)
        case parser.VectorSelector():
            return _selector(node, added, "")
        case parser.MatrixSelector():
            return _selector(node.vector_selector, added, f"[{written_range(node.range)}]")
        case parser.SubqueryExpr():
            resolution = "" if node.step is None else written_range(node.step)
            span = f"[{written_range(node.range)}:{resolution}]" if node.range is not None else ""
            return f"{_written(node.expr, added)}{span}{written_time(node)}"
        case parser.ParenExpr():
            return f"({_written(node.expr, added)})"
        case parser.UnaryExpr():
            return f"-{_written(node.expr, added)}"
        case parser.AggregateExpr():
            clause = ""
            if node.modifier is not None:
                by = node.modifier.type == parser.AggModifierType.By
                clause = f" {'by' if by else 'without'} {written_names(list(node.modifier.labels))} "
            arguments = [part for part in (node.param, node.expr) if part is not None]
            return f"{node.op}{clause}({', '.join(_written(part, added) for part in arguments)})"
        case parser.Call():
            return f"{node.func.name}({', '.join(_written(part, added) for part in node.args)})"
        case parser.BinaryExpr():
            returns_bool = " bool" if node.modifier is not None and node.modifier.return_bool else ""
            matching = written_matching(Matching.of(node.modifier))
            left, right = _written(node.lhs, added), _written(node.rhs, added)
            return f"{left} {node.op}{returns_bool}{matching} {right}"
    raise ValueError(f"{type(node).__name__} cannot be written")


def _selector(node: parser.VectorSelector, added: list[str], span: str) -> str:
    """Alternatives (``or``) each get what is added."""
    groups = node.matchers.or_matchers or [node.matchers.matchers]
    texts = (",".join([*map(written_matcher, group), *added]) for group in groups)
    return f"{node.name or ''}{{{' or '.join(texts)}}}{span}{written_time(node)}"
