"""A query for one target rewritten into one for many, where both provably give the same values. Pure.

Each selector's ``label="$target"`` becomes ``label=~"a|b|c"``, and the label is kept through every aggregation and
vector matching up to the root, so that the elements that carry a target's name are those that the query for this target
alone gives. The proof goes by the nodes of the query: for each it is known how its elements relate to those of the
query for one target (`Relation`). A node for which the two might differ refuses, and the query is run for each target
alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import promql_parser as parser

from trimtab.adapters.promql import ANY_CONTAINER, TemplateError, fill, quoted, set_matcher
from trimtab.adapters.promql_matching import Matching, RefusedError, Relation, match_free, match_targets
from trimtab.adapters.promql_nodes import (
    is_scalar,
    written_matcher,
    written_matching,
    written_names,
    written_range,
    written_time,
)

MOST_TARGETS: Final = 500
"""More targets than this are not listed: all values of the label are read, and those not wanted are dropped."""
LONGEST_QUERY: Final = 16_000
"""Bytes; VictoriaMetrics refuses longer queries. A query that the list of targets makes longer goes without it."""

_TARGET = "\ue000"
"""Stands for the target's name while a query is rewritten: a character for private use, which no escape touches."""
_SET = "\ue001"
"""Stands for the set of targets in a rewritten query."""
_CACHED_QUERIES = 16_384

_OF_ONE_SERIES = frozenset(
    f"{name}_over_time"
    for name in ("avg", "count", "last", "mad", "max", "min", "present", "quantile", "stddev", "stdvar", "sum")
) | frozenset(
    (
        *(
            "abs",
            "ceil",
            "clamp",
            "clamp_max",
            "clamp_min",
            "exp",
            "floor",
            "ln",
            "log10",
            "log2",
            "round",
            "sgn",
            "sqrt",
        ),
        *("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "sin", "sinh", "tan", "tanh", "deg", "rad"),
        *("changes", "delta", "deriv", "idelta", "increase", "irate", "rate", "resets", "predict_linear"),
        *("double_exponential_smoothing", "sort", "sort_desc", "timestamp"),
        *("day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"),
        *("histogram_avg", "histogram_count", "histogram_fraction", "histogram_quantile", "histogram_stddev"),
        *("histogram_stdvar", "histogram_sum"),
    )
)
"""Functions whose elements come from one element each, or (histograms) from those that differ in ``le`` alone."""
_LABEL_FUNCTIONS = frozenset(("label_replace", "label_join"))
_PICKING = frozenset(("topk", "bottomk"))
"""Aggregations whose elements keep all their labels."""
_AGGREGATIONS = _PICKING | frozenset(
    ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "count_values")
)


@dataclass(frozen=True, slots=True)
class GroupedQuery:
    """One query for many targets; the elements of its answer carry the target's name in ``target_label``."""

    text: str
    target_label: str

    def query(self, targets: Iterable[str]) -> str:
        """PromQL for these targets, or for all values of the label where there are too many to list."""
        wanted = sorted(set(targets))
        listed = self.text.replace(_SET, set_matcher(self.target_label, wanted))
        if can_list(len(wanted), listed):
            return listed
        return self.text.replace(_SET, f'{self.target_label}!=""')


@dataclass(frozen=True, slots=True)
class NotGroupable:
    """Why one query cannot serve many targets."""

    reason: str


def can_list(targets: int, query: str) -> bool:
    """Whether a query that lists so many targets may be sent."""
    return targets <= MOST_TARGETS and len(query.encode()) <= LONGEST_QUERY


@lru_cache(maxsize=_CACHED_QUERIES)
def grouped(template: str, target_label: str, namespace: str, window: str) -> GroupedQuery | NotGroupable:
    """One query for all targets in ``namespace`` whose policies share ``template``, or why there is none.

    ``window`` is a PromQL duration. ``template`` must have passed `promql.check`.

    >>> grouped('sum(rate(hits{svc="$target"}[$window]))', "svc", "shop", "300s").query(["web", "api"])
    'sum by (svc) (rate(hits{svc=~"api|web"}[5m]))'
    >>> grouped('sum(hits{svc="$target"}) or vector(0)', "svc", "shop", "300s").reason
    '`or` has a side that does not depend on $target'
    """
    if target_label in {"__name__", "le"}:
        return NotGroupable(f"targetLabel {target_label} is changed by functions")
    if _TARGET in template or _SET in template:
        return NotGroupable("the query has characters that are kept for private use")
    try:
        values = {"namespace": namespace, "target": _TARGET, "container": ANY_CONTAINER, "window": window}
        part = _Rewriting(target_label).part(parser.parse(fill(template, values)))
    except TemplateError:
        return NotGroupable("$pods differs from target to target")
    except (RefusedError, ValueError) as refused:
        return NotGroupable(str(refused))
    if part.relation is Relation.FREE:
        return NotGroupable(f'no selector has {target_label}="$target"')
    return GroupedQuery(part.text, target_label)


@dataclass(frozen=True, slots=True)
class _Part:
    """A node of the grouped query, written out, and its relation to the query for one target."""

    text: str
    relation: Relation
    picked: bool = False
    """Whether it is open which of several equal elements it has, as with ``topk``: their labels may count no more."""

    @property
    def free(self) -> bool:
        """Whether it does not depend on the target."""
        return self.relation is Relation.FREE


@dataclass(frozen=True, slots=True)
class _Rewriting:
    """Rewrites the nodes of a query; each method raises RefusedError where the two queries might differ."""

    label: str

    def part(self, node: parser.Expr) -> _Part:
        """Any node; what does not depend on the target says the same as before."""
        match node:
            case parser.NumberLiteral():
                return _Part(str(node), Relation.FREE)
            case parser.StringLiteral() if _TARGET not in node.val:
                return _Part(quoted(node.val), Relation.FREE)
            case parser.VectorSelector():
                return self._selector(node, "")
            case parser.MatrixSelector():
                return self._selector(node.vector_selector, f"[{written_range(node.range)}]")
            case parser.SubqueryExpr():
                inner = _settled(self.part(node.expr))
                resolution = "" if node.step is None else written_range(node.step)
                span = f"[{written_range(node.range)}:{resolution}]" if node.range is not None else ""
                return _Part(inner.text + span + written_time(node), inner.relation)
            case parser.ParenExpr():
                inner = self.part(node.expr)
                return replace(inner, text=f"({inner.text})")
            case parser.UnaryExpr():
                inner = self.part(node.expr)
                return replace(inner, text=f"-{inner.text}")
            case parser.AggregateExpr():
                return self._aggregation(node)
            case parser.Call():
                return self._call(node)
            case parser.BinaryExpr():
                return self._operator(node)
        raise RefusedError("$target stands outside a selector")

    def _selector(self, node: parser.VectorSelector, span: str) -> _Part:
        if node.matchers.or_matchers:
            raise RefusedError("a selector has `or` between matchers")
        matchers: list[str] = []
        for matcher in node.matchers.matchers:
            text = written_matcher(matcher)
            if text in (f'{self.label}="{_TARGET}"', f'{self.label}=~"{_TARGET}"'):
                matchers.append(_SET)
            elif _TARGET in text:
                shown, wanted = text.replace(_TARGET, "$target"), f'{self.label}="$target"'
                raise RefusedError(f"$target is matched by {shown}; only {wanted} can be grouped")
            else:
                matchers.append(text)
        relation = Relation.KEPT if _SET in matchers else Relation.FREE
        return _Part(f"{node.name or ''}{{{','.join(matchers)}}}{span}{written_time(node)}", relation)

    def _aggregation(self, node: parser.AggregateExpr) -> _Part:
        operator, inner = str(node.op), self.part(node.expr)
        parameter = None if node.param is None else self.part(node.param)
        if parameter is not None and not parameter.free:
            raise RefusedError(f"the parameter of {operator} depends on $target")
        by = node.modifier is None or node.modifier.type == parser.AggModifierType.By
        labels = [] if node.modifier is None else list(node.modifier.labels)
        relation = inner.relation
        if not inner.free:
            if operator not in _AGGREGATIONS:
                raise RefusedError(f"{operator} picks elements by more than their values")
            if operator == "count_values" and parameter == _Part(quoted(self.label), Relation.FREE):
                raise RefusedError(f"count_values overwrites {self.label}")
            if (self.label in labels) != by and operator not in _PICKING:
                relation = Relation.DROPPED
            others = [label for label in labels if label != self.label]
            labels = [*others, self.label] if by else others
            if others or not by:
                _settled(inner)
        clause = f"{'by' if by else 'without'} {written_names(labels)}"
        arguments = inner.text if parameter is None else f"{parameter.text}, {inner.text}"
        return _Part(f"{operator} {clause} ({arguments})", relation, not inner.free and operator in _PICKING)

    def _call(self, node: parser.Call) -> _Part:
        name, parts = node.func.name, [self.part(argument) for argument in node.args]
        text = f"{name}({', '.join(part.text for part in parts)})"
        keyed = [part for part in parts if not part.free]
        if not keyed:
            return _Part(text, Relation.FREE)
        if len(keyed) > 1:
            raise RefusedError(f"{name}() has several arguments that depend on $target")
        if name in _LABEL_FUNCTIONS:
            self._check_labels(node, keyed[0].relation)
        elif name not in _OF_ONE_SERIES:
            raise RefusedError(f"{name}() does not go target by target")
        if name in _LABEL_FUNCTIONS or name.startswith("histogram_"):
            _settled(keyed[0])
        return replace(keyed[0], text=text)

    def _check_labels(self, node: parser.Call, relation: Relation) -> None:
        """`label_replace` and `label_join` may neither write the target label nor read it where one query has none."""
        strings = [argument.val for argument in node.args if isinstance(argument, parser.StringLiteral)]
        written, read = strings[0], strings[2:3] if node.func.name == "label_replace" else strings[2:]
        if written == self.label or (self.label in read and relation is Relation.DROPPED):
            raise RefusedError(f"{node.func.name}() changes {self.label}")

    def _operator(self, node: parser.BinaryExpr) -> _Part:
        operator, matching = str(node.op), Matching.of(node.modifier)
        left, right = self.part(node.lhs), self.part(node.rhs)
        picked = False
        if left.free and (right.free or is_scalar(node.lhs)):
            relation, picked = right.relation, right.picked
        elif right.free and is_scalar(node.rhs):
            relation, picked = left.relation, left.picked
        elif left.free or right.free:
            side, keyed = ("right", _settled(right)) if left.free else ("left", _settled(left))
            relation = match_free(operator, matching, self.label, side, keyed.relation)
        else:
            sides = _settled(left).relation, _settled(right).relation
            matching, relation = match_targets(operator, matching, self.label, *sides)
        returns_bool = " bool" if node.modifier is not None and node.modifier.return_bool else ""
        return _Part(f"{left.text} {operator}{returns_bool}{written_matching(matching)} {right.text}", relation, picked)


def _settled(part: _Part) -> _Part:
    """The same, for a node that looks at labels; raises RefusedError where it is open which elements there are."""
    if part.picked:
        raise RefusedError("labels are used of elements that topk or bottomk picks, and of equal ones it may pick any")
    return part
