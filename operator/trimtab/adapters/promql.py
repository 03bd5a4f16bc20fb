"""PromQL templates that users write: placeholders filled in and escaped, faults found before anything is sent. Pure.

A template is PromQL with ``$namespace``, ``$target``, ``$pods``, ``$container`` and ``$window``. ``$pods`` and
``$container`` are regular expressions and stand behind ``=~`` or ``!~``; ``$window`` is a duration and stands in
brackets; the others stand in strings. ``$1`` and ``${name}``, which ``label_replace`` knows, are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import promql_parser as parser

PLACEHOLDERS: Final = ("namespace", "target", "pods", "container", "window")
ANY_CONTAINER: Final = ".+"
"""Value of ``$container``: every container of a pod, but not the pod's own totals, which have none."""

_REGEX_PLACEHOLDERS = frozenset({"pods", "container"})
_LITERAL = re.compile(r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`|\#[^\n]*""")
_PLACEHOLDER = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_REGEX_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_STRING_ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
_NESTING = re.compile(r"\{[^{}]*\}|([-+*/%^=<>(]|\b(?:and|or|unless|atan2)\b)", re.IGNORECASE)
_MOST_NESTED: Final = 150
"""Operators and opening brackets in a query, whose nodes are rewritten by recursion."""
_TOKEN = re.compile(r"""\w+|"[^"]*"|[^\w\s]""")
_STRIDES = 64
_CHILDREN = ("expr", "lhs", "rhs", "param", "vector_selector")
"""Attributes of nodes that are nodes. ``promql_parser.walk`` would do, but takes time by the cube of the depth."""
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_CACHED_TEMPLATES = 4096


class TemplateError(ValueError):
    """A template that cannot be filled in; the message names the placeholder and what would be right."""


def escape_string(text: str, quote: str = '"') -> str:
    r"""``text`` as it stands between quotes in PromQL.

    >>> escape_string('a"b\\c')
    'a\\"b\\\\c'
    """
    escaped = []
    for character in text:
        if character == quote or character in _STRING_ESCAPES:
            escaped.append(_STRING_ESCAPES.get(character, "\\" + character))
        elif ord(character) < 0x20 or ord(character) == 0x7F:
            escaped.append(f"\\x{ord(character):02x}")
        else:
            escaped.append(character)
    return "".join(escaped)


def quoted(text: str) -> str:
    """``text`` as a PromQL string."""
    return f'"{escape_string(text)}"'


def escape_regex(text: str) -> str:
    r"""A regular expression (RE2) that matches ``text`` and nothing else.

    >>> escape_regex("web.v2")
    'web\\.v2'
    """
    return _REGEX_SPECIAL.sub(lambda found: "\\" + found[0], text)


def set_matcher(label: str, values: Sequence[str]) -> str:
    r"""A matcher for one of ``values``, literally.

    >>> set_matcher("app", ["web", "web.v2"])
    'app=~"web|web\\\\.v2"'
    """
    return f"{label}=~{quoted('|'.join(map(escape_regex, values)))}"


def promql_duration(seconds: float) -> str:
    """A duration as PromQL writes it, to the millisecond.

    >>> promql_duration(300), promql_duration(1.5)
    ('300s', '1500ms')
    """
    milliseconds = max(1, round(seconds * 1000))
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def fill(template: str, values: Mapping[str, str]) -> str:
    """``template`` with its placeholders replaced; comments go, raw strings become quoted ones.

    ``values`` maps placeholders, without the dollar sign, to plain text, but for ``pods`` and ``container``, which are
    regular expressions. Values are escaped for where they stand. Raises TemplateError for an unknown placeholder, for
    one without a value and for one that stands where it cannot.

    >>> fill('sum(rate(hits{svc=~"$target"}[$window]))', {"target": "web.v2", "window": "300s"})
    'sum(rate(hits{svc=~"web\\\\\\\\.v2"}[300s]))'
    """
    parts: list[str] = []
    position, code = 0, ""
    for token in _LITERAL.finditer(template):
        before = template[position : token.start()]
        parts.append(_filled_code(before, values))
        code = before if before.strip() else code
        if not token[0].startswith("#"):
            parts.append(_filled_string(token[0], code.rstrip().endswith(("=~", "!~")), values))
            code = ""
        position = token.end()
    parts.append(_filled_code(template[position:], values))
    return "".join(parts)


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in PLACEHOLDERS:
        known = ", ".join(f"${known}" for known in PLACEHOLDERS)
        raise TemplateError(f"unknown placeholder ${name}; known are {known}, and a regex group is written ${{name}}")
    if name not in values:
        raise TemplateError(f"no value for ${name} here")
    return values[name]


def _filled_code(code: str, values: Mapping[str, str]) -> str:
    def replace(found: re.Match[str]) -> str:
        value = _value(found[1], values)
        if found[1] != "window":
            raise TemplateError(f'${found[1]} must stand in a string, as in label="${found[1]}"')
        return value

    return _PLACEHOLDER.sub(replace, code)


def _filled_string(literal: str, is_regex: bool, values: Mapping[str, str]) -> str:
    def replace(found: re.Match[str]) -> str:
        name, value = found[1], _value(found[1], values)
        if name == "window":
            raise TemplateError("$window must stand in brackets, as in [$window]")
        if name in _REGEX_PLACEHOLDERS:
            if not is_regex:
                raise TemplateError(f'${name} is a regular expression: match it as label=~"${name}"')
        elif is_regex:
            value = escape_regex(value)
        return escape_string(value, quote)

    quote, content = literal[0], literal[1:-1]
    if quote == "`":
        quote, content = '"', escape_string(content)
    return quote + _PLACEHOLDER.sub(replace, content) + quote


_STAND_INS = {name: name for name in PLACEHOLDERS} | {"window": "300s"}


@lru_cache(maxsize=_CACHED_TEMPLATES)
def check(template: str, target_label: str | None = None, field: str = "query") -> str | None:
    """What is wrong with a template, for the condition Ready: ``field``, place, fault, remedy; None when it is right.

    A template must be PromQL for an instant vector or a scalar whose values do not depend on the range that is read,
    and one with a ``target_label`` must match this label with ``$target``.

    >>> check('sum(rate(hits[5m+])', field="spec.metrics.load.query")
    "spec.metrics.load.query: line 1, column 17, at '+])': unexpected character inside brackets: '+'"
    """
    try:
        text = fill(template, _STAND_INS)
    except TemplateError as error:
        return f"{field}: {error}"
    if sum(bool(found[1]) for found in _NESTING.finditer(_LITERAL.sub("", text))) > _MOST_NESTED:
        return f"{field}: has more than {_MOST_NESTED} operators and brackets; move parts of it to recording rules"
    try:
        expression = parser.parse(text)
    except ValueError as error:
        place = _place(template)
        line, column = template.count("\n", 0, place) + 1, place - template.rfind("\n", 0, place)
        where = f"at {template[place:][:40]!r}" if template[place:] else "at the end"
        return f"{field}: line {line}, column {column}, {where}: {error}"
    return (
        _wrong_type(expression, field)
        or _range_dependent(expression, field)
        or _label_unused(template, target_label, field)
    )


def _wrong_type(expression: parser.Expr, field: str) -> str | None:
    inner = expression
    while isinstance(inner, parser.ParenExpr):
        inner = inner.expr
    if isinstance(inner, parser.MatrixSelector | parser.SubqueryExpr):
        return f"{field}: is a range vector; wrap it in a function over time such as rate() or avg_over_time()"
    if isinstance(inner, parser.StringLiteral):
        return f"{field}: is a string; write a query that gives numbers"
    return None


def _range_dependent(expression: parser.Expr, field: str) -> str | None:
    for node in nodes_of(expression):
        at = getattr(node, "at", None)
        if at is not None and at.type != parser.AtModifierType.At:
            return f"{field}: `{at}` changes with the range that is read; use offset, or @ with a fixed time"
    return None


def nodes_of(tree: parser.Expr) -> Iterator[Any]:
    """A node of a query and all below it."""
    nodes: list[Any] = [tree]
    while nodes:
        node = nodes.pop()
        yield node
        children = (getattr(node, name, None) for name in _CHILDREN)
        nodes += [*getattr(node, "args", ()), *(child for child in children if child is not None)]


def _label_unused(template: str, target_label: str | None, field: str) -> str | None:
    if target_label is None or re.search(rf"""\b{target_label}["']?\s*=~?\s*["'`]\$target["'`]""", template):
        return None
    label_field = field.removesuffix("query") + "targetLabel"
    return (
        f"{label_field}: {target_label!r} is not matched with $target in the query; "
        f'write {target_label}="$target" in its selectors, or leave targetLabel out'
    )


def _place(template: str) -> int:
    """Where the longest start of a faulty template ends that is PromQL once its brackets are closed.

    Long templates are searched by strides first: there may be thousands of starts to parse.
    """
    text = _LITERAL.sub(_same_length, template)
    text = _PLACEHOLDER.sub(lambda found: "9" * (len(found[0]) - 1) + "s", text)
    text = text.replace("=~", "= ").replace("!~", "!=")  # spares the parser to compile regular expressions
    ends = [token.end() for token in _TOKEN.finditer(text)]

    def last_right(candidates: range) -> int:
        return next((i for i in candidates if _parses(text[: ends[i]])), -1)

    stride, last = 1 + len(ends) // _STRIDES, len(ends) - 1
    best = last_right(range(last, -1, -stride))
    while (longer := last_right(range(min(best + stride, last), best, -1))) > best:
        best = longer
    end = ends[best] if best >= 0 else 0
    return end + len(text[end:]) - len(text[end:].lstrip())


def _same_length(found: re.Match[str]) -> str:
    literal = found[0]
    return " " * len(literal) if literal.startswith("#") else '"' + "x" * (len(literal) - 2) + '"'


def _closing(text: str) -> str:
    """The brackets that ``text`` leaves open, closed."""
    opened: list[str] = []
    for character in _LITERAL.sub("", text):
        if character in _CLOSING:
            opened.append(_CLOSING[character])
        elif opened and character == opened[-1]:
            opened.pop()
    return "".join(reversed(opened))


def _parses(start: str) -> bool:
    try:
        parser.parse(start + _closing(start))
    except ValueError:
        return False
    return True
