"""What users write: the base of its models, and rules that the API server and the models both keep.

A rule is stated twice, in CEL for the custom resource definition and in Python for the models, with one message.
The API server refuses a bad object at once; the models refuse one that an older definition let through.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel

from trimtab.domain.units import DURATION_FORM

_PLACEHOLDER = re.compile(r"\{([A-Za-z.]+)\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold of one object.

    ``{interval}`` in the message stands for the value of that field, and is left out where no value can be told.
    """

    message: str
    """What is wrong, and what to do about it."""
    cel: str = ""
    """The rule as the API server keeps it; empty where the schema says it already."""
    holds: Callable[[Any], bool] = lambda _: True
    """The same rule of a model; always true for a rule on a transition, of which a model sees one side."""
    field: str = ""
    """Field that the API server's answer points to, when it is one of the object's own."""

    @property
    def plain_message(self) -> str:
        """The message without values.

        >>> Rule("interval {interval} is above duration {duration}").plain_message
        'interval is above duration'
        """
        return re.sub(r"\s*" + _PLACEHOLDER.pattern, "", self.message)

    @property
    def message_parts(self) -> list[str]:
        """Text and fields of the message by turns, text first.

        >>> Rule("interval {interval} is too long").message_parts
        ['interval ', 'interval', ' is too long']
        """
        return _PLACEHOLDER.split(self.message)

    def explain(self, model: BaseModel) -> str:
        """The message with the values of a model, as users write them."""
        written = model.model_dump(mode="json", by_alias=True)

        def value(match: re.Match[str]) -> str:
            found: Any = written
            for key in match[1].split("."):
                found = found[key]
            return str(found)

        return _PLACEHOLDER.sub(value, self.message)


class SpecModel(BaseModel):
    """Base of what users write: camelCase, frozen, nothing unknown, and every rule kept."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        broken = [rule.explain(self) for rule in self.rules if not rule.holds(self)]
        if broken:
            raise ValueError("; ".join(broken))
        return self


def list_map(*keys: str) -> dict[str, Any]:
    """Schema of a list whose items are told apart by these fields: unique, and owned item by item in an apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def of_durations(condition: str, *fields: str) -> str:
    """CEL that holds ``condition`` of duration fields; one that is no duration is left to its own rule.

    Absence is asked for although the fields have defaults: the API server asks rules of an object's default, ``{}``,
    before it fills in the defaults of its fields.

    >>> of_durations("{} < duration('1h')", "settle").split(" || ")[0::2]
    ['!has(self.settle)', "duration(self.settle) < duration('1h')"]
    """
    return _guarded(condition, fields, f"self.{{0}}.matches(r'{DURATION_FORM}')", "duration(self.{0})")


def of_quantities(condition: str, *fields: str) -> str:
    """CEL that holds ``condition`` of quantity fields; one that is absent or no quantity is left to its own rule.

    >>> of_quantities("{}.isInteger()", "to")
    '!has(self.to) || !isQuantity(string(self.to)) || quantity(string(self.to)).isInteger()'
    """
    return _guarded(condition, fields, "isQuantity(string(self.{0}))", "quantity(string(self.{0}))")


def _guarded(condition: str, fields: tuple[str, ...], usable: str, value: str) -> str:
    """``condition`` of the fields' values, true where one of them is absent or not usable."""
    guards = []
    for field in fields:
        keys = field.split(".")
        guards += [f"!has(self.{'.'.join(keys[: depth + 1])})" for depth in range(len(keys))]
        guards.append("!" + usable.format(field))
    return " || ".join([*guards, condition.format(*(value.format(field) for field in fields))])
