"""Codec: what is remembered between rounds as bytes, and back, by the annotations of its types.

It is never pickle: a database must not be able to run code. Bytes name no module to import and no function to call;
only classes that are loaded already, and that the declared type allows, are made. What can be stored are dataclasses
and pydantic models made of float, int, str, bool, None, enums, numpy arrays, tuples, dicts with str keys, literals,
unions of these, and subclasses of an abstract class. Floats and arrays come back bit for bit, NaN and infinities too.
"""

from __future__ import annotations

import hashlib
import inspect
import zlib
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin, get_type_hints

import msgpack
import numpy as np
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from pydantic import BaseModel

LARGEST_BYTES: Final = 64 * 2**20
"""More than this is not decompressed: damaged bytes must not fill the memory."""
_VERSION: Final = b"\x01"
_LEVEL: Final = 1
_PLAIN: Final = (float, int, str, bool, NoneType, bytes)
_ARRAY_KINDS: Final = "biufcUS"
"""Kinds of array that are numbers or text; objects are not among them."""


class CodecError(Exception):
    """A type or a value that cannot be stored; the message names it."""


def encode(value: object, kind: Any) -> bytes:
    """``value``, which is declared as ``kind``, as bytes. Raises CodecError for what cannot be stored.

    >>> decode(encode((1.5, float("inf")), tuple[float, ...]), tuple[float, ...])
    (1.5, inf)
    """
    fingerprint(kind)
    try:
        packed = msgpack.packb(_converter.unstructure(value, unstructure_as=kind))
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"a value declared as {_name(kind)} cannot be stored: {error}") from error
    return _VERSION + zlib.compress(packed, _LEVEL)


def decode(data: bytes, kind: Any) -> Any:
    """The value of these bytes, or None when they are damaged or were made of another shape of ``kind``.

    The caller compares `fingerprint` first; what is found out here is damage, and shapes inside a subclass.
    """
    try:
        if data[:1] != _VERSION:
            return None
        inflate = zlib.decompressobj()
        packed = inflate.decompress(data[1:], LARGEST_BYTES)
        if not inflate.eof:
            return None
        return _converter.structure(msgpack.unpackb(packed), kind)
    except Exception:  # noqa: BLE001 - anything may be wrong with bytes from outside, and then it is learned anew
        return None


@cache
def fingerprint(kind: Any) -> str:
    """16 hexadecimal digits that change with the shape of a type: names and types of its fields, values of its enums.

    Raises CodecError for a type that cannot be stored.

    >>> fingerprint(tuple[float, ...]) == fingerprint(tuple[float, ...]) != fingerprint(tuple[int, ...])
    True
    """
    return hashlib.sha256(_shape(kind, ()).encode()).hexdigest()[:16]


def _shape(kind: Any, inside: tuple[Any, ...]) -> str:
    """A type in words, down to plain ones; ``inside`` are the classes that it is part of."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is ... or kind in _PLAIN or kind is None:
        return _name(kind)
    if _is_array(kind):
        return f"array{arguments}"
    if origin is Annotated:
        return _shape(arguments[0], inside)
    if origin is Literal:
        return repr(arguments)
    if _is_union(kind):
        return "|".join(_shape(one, inside) for one in arguments)
    if origin in (tuple, list, dict, Mapping, Sequence):
        return f"{_name(origin)}[{','.join(_shape(one, inside) for one in arguments)}]"
    if not isinstance(kind, type):
        raise CodecError(f"{_name(kind)} cannot be stored")
    if kind in inside or _is_abstract(kind):
        return _name(kind)  # a subclass is stored with a fingerprint of its own
    if issubclass(kind, Enum):
        return f"{_name(kind)}{[member.value for member in kind]}"
    parts = [f"{name}:{_shape(one, (*inside, kind))}" for name, one in _parts(kind).items()]
    return f"{_name(kind)}({','.join(parts)})"


def _parts(kind: type) -> dict[str, Any]:
    """The fields of a dataclass, pydantic model or named tuple, with their types. Raises CodecError for others."""
    if is_dataclass(kind):
        names: Sequence[str] = list(kind.__dataclass_fields__)
    elif issubclass(kind, BaseModel):
        names = list(kind.model_fields)
    elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
        names = kind._fields
    else:
        raise CodecError(f"{_name(kind)} cannot be stored")
    try:
        hints = get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise CodecError(f"{_name(kind)} cannot be stored: {error}") from error
    return {name: hints[name] for name in names}


def _name(kind: Any) -> str:
    return kind.__qualname__ if isinstance(kind, type) and not get_args(kind) else str(kind)


def _key(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_array(kind: Any) -> bool:
    return kind is np.ndarray or get_origin(kind) is np.ndarray


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _is_choice(kind: Any) -> bool:
    """A union that is more than an optional: which of its types a value has is stored with it."""
    return _is_union(kind) and len(get_args(kind)) - (NoneType in get_args(kind)) > 1


def _is_abstract(kind: Any) -> bool:
    return isinstance(kind, type) and (inspect.isabstract(kind) or ABC in kind.__bases__)


def _is_data(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind) and not _is_abstract(kind)


def _is_record(kind: Any) -> bool:
    """A pydantic model or a named tuple: made from its fields by name."""
    named = isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")
    return named or (isinstance(kind, type) and issubclass(kind, BaseModel) and not _is_abstract(kind))


def _subclasses(kind: type) -> dict[str, type]:
    """Concrete subclasses that are loaded, by name; of two with one name the newer, which a dataclass with slots is."""
    found: dict[str, type] = {}
    children: list[type] = type.__subclasses__(kind)
    for one in children:
        if not _is_abstract(one):
            found[_key(one)] = one
        found |= _subclasses(one)
    return found


def _pack_array(array: Any) -> list[Any]:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in _ARRAY_KINDS:
        raise CodecError(f"{type(array).__name__} is no array of numbers or text")
    return [array.dtype.str, list(array.shape), np.ascontiguousarray(array).tobytes()]


def _unpack_array(data: Any, _: Any) -> Any:
    name, shape, content = data
    dtype = np.dtype(name)
    if dtype.kind not in _ARRAY_KINDS:
        raise ValueError(f"an array of {name}")
    return np.frombuffer(content, dtype).reshape(shape).copy()  # a copy can be written to


def _exactly(kind: type, pack: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Refuses a subclass where its parent is declared: what it has beside it would be lost without a word."""

    def checked(value: Any) -> Any:
        if type(value) is not kind:
            raise CodecError(f"{type(value).__name__} where {_name(kind)} is declared")
        return pack(value)

    return checked


def _pack_data(kind: Any, converter: Converter) -> Callable[[Any], Any]:
    return _exactly(kind, make_dict_unstructure_fn(kind, converter, _cattrs_include_init_false=_is_open(kind)))


def _unpack_data(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    return make_dict_structure_fn(
        kind, converter, _cattrs_include_init_false=_is_open(kind), _cattrs_detailed_validation=False
    )


def _is_open(kind: Any) -> bool:
    """Whether fields that ``__init__`` does not take can be set; in a frozen class it makes them again by itself."""
    return not kind.__dataclass_params__.frozen


def _pack_record(kind: Any, converter: Converter) -> Callable[[Any], Any]:
    """By field, not by pydantic's own writers, which round numbers for people."""
    parts = _parts(kind)
    return _exactly(
        kind,
        lambda record: {
            name: converter.unstructure(getattr(record, name), unstructure_as=one) for name, one in parts.items()
        },
    )


def _unpack_record(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    parts = _parts(kind)
    return lambda data, _: kind(**{name: converter.structure(data[name], one) for name, one in parts.items()})


def _pack_abstract(kind: Any, converter: Converter) -> Callable[[Any], Any]:
    def pack(value: Any) -> list[Any]:
        made = type(value)
        if not isinstance(value, kind):
            raise CodecError(f"{made.__name__} where {_name(kind)} is declared")
        return [_key(made), fingerprint(cast(Any, made)), converter.unstructure(value, unstructure_as=made)]

    return pack


def _unpack_abstract(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    def unpack(data: Any, _: Any) -> Any:
        key, shape, content = data
        made = _subclasses(kind)[key]
        if fingerprint(made) != shape:
            raise ValueError(f"another shape of {key}")
        return converter.structure(content, made)

    return unpack


def _pack_choice(kind: Any, converter: Converter) -> Callable[[Any], Any]:
    choices = get_args(kind)

    def pack(value: Any) -> list[Any]:
        place = next((place for place, one in enumerate(choices) if _fits(value, one)), None)
        if place is None:
            raise CodecError(f"{type(value).__name__} where {_name(kind)} is declared")
        return [place, converter.unstructure(value, unstructure_as=choices[place])]

    return pack


def _unpack_choice(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    choices = get_args(kind)
    return lambda data, _: converter.structure(data[1], choices[data[0]])


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of one of a union's types."""
    if get_origin(kind) is Annotated:
        return _fits(value, get_args(kind)[0])
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind in (float, int):  # numpy's numbers are Python's in all but name; a bool is no number
        numbers = (float, np.floating) if kind is float else (int, np.integer)
        return isinstance(value, numbers) and not isinstance(value, bool)
    plain = get_origin(kind) or kind
    return isinstance(value, plain) if _is_abstract(plain) or plain in (Mapping, Sequence) else type(value) is plain


def _make_converter() -> Converter:
    made = Converter(detailed_validation=False)
    for plain in (float, int, str, bool):
        made.register_unstructure_hook(plain, plain)
    made.register_structure_hook(NoneType, lambda _value, _kind: None)
    made.register_unstructure_hook_factory(_is_data, _pack_data)
    made.register_structure_hook_factory(_is_data, _unpack_data)
    made.register_unstructure_hook_factory(_is_record, _pack_record)
    made.register_structure_hook_factory(_is_record, _unpack_record)
    made.register_unstructure_hook_factory(_is_abstract, _pack_abstract)
    made.register_structure_hook_factory(_is_abstract, _unpack_abstract)
    made.register_unstructure_hook_factory(_is_choice, _pack_choice)
    made.register_structure_hook_factory(_is_choice, _unpack_choice)
    made.register_unstructure_hook_func(_is_array, _pack_array)
    made.register_structure_hook_func(_is_array, _unpack_array)
    return made


_converter: Final = _make_converter()
