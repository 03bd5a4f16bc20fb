"""Copying: a state that may be updated while the one before stays as it was."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final, TypeVar

import numpy as np

State = TypeVar("State")
_PLAIN: Final = frozenset({float, int, str, bool, type(None)})


def copied(state: State) -> State:
    """A copy of a dataclass of numbers, arrays, tuples and such dataclasses; faster than ``copy.deepcopy``.

    >>> from trimtab.analytics.recent import Recent
    >>> first = Recent()
    >>> second = copied(first)
    >>> second.values[0] = 1.0
    >>> bool(np.isnan(first.values[0]))
    True
    """
    return _copied(state)  # type: ignore[no-any-return]  # what goes in comes out


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is np.ndarray:
        return value.copy()
    if kind is tuple:
        return tuple([one if type(one) in _PLAIN else _copied(one) for one in value])
    if is_dataclass(kind):
        parts = [getattr(value, name) for name in _names(kind)]
        return kind(*[one if type(one) in _PLAIN else _copied(one) for one in parts])
    return value


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))
