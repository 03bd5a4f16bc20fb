"""Answers in JSON from servers that may be other than they should be. Pure."""

from __future__ import annotations

import json
from typing import Any

SHOWN_BYTES = 300


def parse_object(body: bytes | bytearray) -> dict[str, Any]:
    """The object in a body; ValueError says what came instead.

    >>> parse_object(b'[1]')
    Traceback (most recent call last):
    ...
    ValueError: a list where an object is expected
    """
    try:
        found = json.loads(body)
    except RecursionError:  # json counts the depth while it reads, so that a deep answer costs no more than a wrong one
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"a {type(found).__name__} where an object is expected")
    return found


def shown(body: bytes | bytearray) -> str:
    """The beginning of a body, for messages.

    >>> shown(b"<html>" + b"x" * 500)[:10]
    "'<html>xxx"
    """
    return repr(bytes(body[:SHOWN_BYTES]).decode(errors="replace"))
