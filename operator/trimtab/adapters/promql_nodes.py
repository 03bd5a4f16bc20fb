"""Nodes of a parsed query written back as PromQL. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

import promql_parser as parser

from trimtab.adapters.promql import quoted
from trimtab.adapters.promql_matching import Matching

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}


def written_name(label: str) -> str:
    """A label's name, quoted where it is not an identifier."""
    return label if _IDENTIFIER.fullmatch(label) else quoted(label)


def written_names(labels: tuple[str, ...] | list[str]) -> str:
    """Labels in parentheses, as behind ``by``."""
    return f"({', '.join(map(written_name, labels))})"


def written_matcher(matcher: parser.Matcher) -> str:
    """A matcher with its value escaped."""
    return f"{written_name(matcher.name)}{_OPERATORS[str(matcher.op)]}{quoted(matcher.value)}"


def written_range(span: timedelta) -> str:
    """A duration."""
    return parser.display_duration(span)


def written_time(node: parser.VectorSelector | parser.SubqueryExpr) -> str:
    """The modifiers ``@`` and ``offset`` of a node, with a space before each."""
    at = "" if node.at is None else f" {node.at}"
    if node.offset is None:
        return at
    sign = "-" if node.offset < timedelta(0) else ""
    return f"{at} offset {sign}{written_range(abs(node.offset))}"


def written_matching(matching: Matching) -> str:
    """``on``, ``ignoring`` and ``group_left`` or ``group_right``, with a space before each."""
    text = ""
    if matching.on is not None:
        text = f" {'on' if matching.on else 'ignoring'} {written_names(matching.labels)}"
    if matching.many:
        text += f" group_{matching.many} {written_names(matching.include)}"
    return text


def is_scalar(node: parser.Expr) -> bool:
    """Whether a node gives a scalar, not a vector."""
    match node:
        case parser.NumberLiteral():
            return True
        case parser.ParenExpr() | parser.UnaryExpr():
            return is_scalar(node.expr)
        case parser.BinaryExpr():
            return is_scalar(node.lhs) and is_scalar(node.rhs)
        case parser.Call():
            return bool(node.func.return_type == parser.ValueType.Scalar)
    return False
