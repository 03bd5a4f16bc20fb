"""How a binary operator matches its sides once they carry one more label, the target's. Pure.

Prometheus matches elements by a signature: the labels of ``on (...)``, or all but those of ``ignoring (...)``, or all.
The rules here say for which operators and sides the grouped query matches, within each target, exactly the elements
that the query for this target alone matches. Source: ``VectorBinop``, ``VectorAnd`` and ``resultMetric`` in
Prometheus' engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

import promql_parser as parser


class Relation(Enum):
    """What ties the elements of a node in the grouped query to those in the query for one target."""

    FREE = "does not depend on the target"
    KEPT = "carries the target label in both queries"
    DROPPED = "carries the target label in the grouped query alone"


class RefusedError(Exception):
    """The two queries might differ; the message says why."""


_NO_LABEL = "one side has lost {} where the sides are matched by it; add it to its `by`"
_FREE_SIDE = "`{}` has a side that does not depend on $target"


@dataclass(frozen=True, slots=True)
class Matching:
    """``on`` or ``ignoring`` with its labels, the many side and the labels that it takes over."""

    on: bool | None = None
    """True for ``on``, False for ``ignoring``, None for neither."""
    labels: tuple[str, ...] = ()
    many: str = ""
    """``left`` or ``right``; empty for one to one and for set operators."""
    include: tuple[str, ...] = ()

    @classmethod
    def of(cls, modifier: parser.BinModifier | None) -> Self:
        """The matching that a parsed operator has; raises RefusedError for fill values, which add elements."""
        if modifier is None:
            return cls()
        if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
            raise RefusedError("fill values add elements that no target has")
        cardinality = parser.VectorMatchCardinality
        sides = ((cardinality.ManyToOne, "left"), (cardinality.OneToMany, "right"))
        matching = modifier.matching
        return cls(
            on=None if matching is None else matching.type == parser.LabelModifierType.Include,
            labels=() if matching is None else tuple(matching.labels),
            many=next((side for card, side in sides if card == modifier.card), ""),
            include=tuple(modifier.group_labels or ()),
        )

    def signs(self, label: str) -> bool:
        """Whether ``label`` is part of the signature."""
        return True if self.on is None else (label in self.labels) == self.on

    def signing(self, label: str) -> Matching:
        """The same with ``label`` as part of the signature."""
        labels = self.labels
        if not self.signs(label):
            labels = (*labels, label) if self.on else tuple(other for other in labels if other != label)
        return replace(self, labels=labels, include=tuple(other for other in self.include if other != label))


def match_targets(
    operator: str, matching: Matching, label: str, left: Relation, right: Relation
) -> tuple[Matching, Relation]:
    """The matching for two sides that both depend on the target, and the relation of the result."""
    signed = matching.signs(label)
    if left is not right and (signed or operator == "or"):
        raise RefusedError(_NO_LABEL.format(label))
    if operator in {"and", "unless", "or"}:
        relation = left
    elif matching.many:
        many, one = (left, right) if matching.many == "left" else (right, left)
        relation = one if label in matching.include else many
    else:
        relation = left if signed else Relation.DROPPED
    return matching.signing(label), relation


def match_free(operator: str, matching: Matching, label: str, side: str, relation: Relation) -> Relation:
    """The relation of the result where only ``side`` depends on the target; the matching stays as it is."""
    signed = matching.signs(label)
    if operator in {"and", "unless", "or"}:
        allowed = operator != "or" and side == "left"
    else:
        allowed = label not in matching.include and (signed or matching.many == side)
    if not allowed:
        raise RefusedError(_FREE_SIDE.format(operator))
    if signed and relation is Relation.DROPPED:
        raise RefusedError(_NO_LABEL.format(label))
    return Relation.KEPT if signed else relation
