"""What every status is made of: models that only the operator writes, times, and texts cut to their limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from trimtab.domain.printable import printable


class StatusModel(BaseModel):
    """Base of what only the operator writes; unknown fields of a newer version are ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )


def format_time(seconds: float) -> str:
    """RFC 3339 in UTC, whole seconds.

    >>> format_time(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(round(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str | float) -> float:
    """Unix seconds of an RFC 3339 time, in UTC where it names no zone; ValueError when it is none.

    >>> parse_time("1970-01-01T01:00:00+01:00"), parse_time("1970-01-01T00:00:00")
    (0.0, 0.0)
    """
    if isinstance(text, int | float):
        return float(text)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


Time = Annotated[
    float,
    BeforeValidator(parse_time),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Unix seconds; written as RFC 3339."""


def _cut(limit: int) -> Callable[[Any], Any]:
    """Cuts a longer text: a status is still told when a message is too long for it. None of it steers a terminal."""

    def cut(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        shown = printable(text)
        return shown if len(shown) <= limit else shown[: limit - 1] + "…"

    return cut


Number = Annotated[str, BeforeValidator(_cut(32)), Field(max_length=32)]
"""A number or an amount as text; empty when it is not known."""
Name = Annotated[str, BeforeValidator(_cut(253)), Field(max_length=253)]
"""A name, a word or a key."""
Phrase = Annotated[str, BeforeValidator(_cut(512)), Field(max_length=512)]
"""A cell of a table, or a short reason."""
Sentence = Annotated[str, BeforeValidator(_cut(1024)), Field(max_length=1024)]
"""A message for a person."""
