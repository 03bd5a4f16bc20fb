"""What goes into the codec comes out of it, bit for bit; what has changed or is damaged does not come out at all."""

from __future__ import annotations

import doctest
import math
import pickle
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple, cast

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pydantic import BaseModel

from trimtab.adapters import codec
from trimtab.adapters.codec import CodecError, decode, encode, fingerprint
from trimtab.domain.series import FloatArray

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Shape(ABC):
    @abstractmethod
    def area(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Square(Shape):
    side: float
    name: str = field(default="square", init=False)

    def area(self) -> float:
        return self.side**2


@dataclass(slots=True, eq=False)
class Cloud(Shape):
    points: FloatArray
    count: int = field(default=0, init=False)

    def area(self) -> float:
        return math.nan


@dataclass(frozen=True, slots=True)
class Left:
    value: float


@dataclass(frozen=True, slots=True)
class Right:
    value: float


class Pair(NamedTuple):
    first: int
    second: str


class Bound(BaseModel):
    name: str
    most: float | None = None
    inner: list[Colour] = []


@dataclass(frozen=True, slots=True)
class Everything:
    number: float
    count: int
    flag: bool
    text: str
    maybe: float | None
    mixed: int | str | None
    colour: Colour
    kind: Literal["a", "b"]
    many: tuple[float, ...]
    pair: tuple[int, Colour]
    named: Pair
    table: dict[str, tuple[float, ...]]
    coloured: Mapping[Colour, int]
    either: Left | Right | None
    sequence: Sequence[int]
    shape: Shape
    bound: Bound


floats = st.floats(allow_nan=True, allow_infinity=True)
ints = st.integers(-(2**63), 2**63 - 1)
colours = st.sampled_from(Colour)
everything = st.builds(
    Everything,
    number=floats,
    count=ints,
    flag=st.booleans(),
    text=st.text(),
    maybe=st.none() | floats,
    mixed=st.none() | ints | st.text(),
    colour=colours,
    kind=st.sampled_from(["a", "b"]),
    many=st.lists(floats).map(tuple),
    pair=st.tuples(ints, colours),
    named=st.builds(Pair, ints, st.text()),
    table=st.dictionaries(st.text(), st.lists(floats).map(tuple)),
    coloured=st.dictionaries(colours, ints),
    either=st.none() | st.builds(Left, floats) | st.builds(Right, floats),
    sequence=st.lists(ints).map(tuple),
    shape=st.builds(Square, floats),
    bound=st.builds(Bound, name=st.text(), most=st.none() | floats, inner=st.lists(colours)),
)


def same(one: object, other: object) -> bool:
    """Equal and of the same types all the way down; NaN is NaN, and 0.0 is not -0.0."""
    return type(one) is type(other) and repr(one) == repr(other)


@few
@given(everything)
def test_values_come_back_with_their_types(value: Everything) -> None:
    back = decode(encode(value, Everything), Everything)
    assert same(back, value)


@few
@given(
    hnp.arrays(
        st.sampled_from(["<f8", "<f4", "<i8", "<u2", "|b1", ">f8", "<c16", "<U3"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_arrays_come_back_bit_for_bit(array: NDArray[Any]) -> None:
    back = decode(encode(array, NDArray[np.float64]), NDArray[np.float64])
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert back.flags.writeable, "a restored state goes on"


def test_a_payload_of_a_nan_and_the_order_of_an_array_are_kept() -> None:
    odd = np.array([0x7FF8_0000_0000_1234, 0xFFF0_0000_0000_0000], dtype=np.uint64).view(np.float64)
    assert decode(encode(odd, FloatArray), FloatArray).tobytes() == odd.tobytes()
    turned = np.arange(6.0).reshape(2, 3).T
    assert decode(encode(turned, FloatArray), FloatArray).tolist() == turned.tolist()


def test_a_subclass_comes_back_as_itself_and_with_what_init_does_not_take() -> None:
    cloud = Cloud(np.array([1.0, math.nan]))
    cloud.count = 7
    back = decode(encode(cloud, Shape), Shape)
    assert isinstance(back, Cloud)
    assert back.count == 7
    assert back.points.tobytes() == cloud.points.tobytes()


def test_numbers_of_numpy_are_numbers() -> None:
    value = Left(np.float64(0.1))
    assert same(decode(encode(value, Left), Left), Left(0.1))
    assert decode(encode(np.int64(3), int), int) == 3


@dataclass
class Other:
    field: object


@dataclass(frozen=True)
class Child(Left):
    more: int = 0


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param(Other(1), Other, id="field of any type"),
        pytest.param({1}, set[int], id="set"),
        pytest.param(lambda: 1, Any, id="anything"),
        pytest.param(np.array([object()]), FloatArray, id="array of objects"),
        pytest.param(Child(1.0), Left, id="a subclass where its parent is declared"),
        pytest.param(Left(1.0), Shape, id="another class where an abstract one is declared"),
        pytest.param(Square(1.0), Left | Right, id="none of a union"),
        pytest.param(2**70, int, id="a number that is too large"),
        pytest.param(None, float, id="None for a number"),
    ],
)
def test_what_cannot_be_stored_is_refused_when_it_is_written(value: object, kind: Any) -> None:
    with pytest.raises(CodecError):
        encode(value, kind)


def shape_of(**fields: Any) -> str:
    """The fingerprint of a class with these fields, always of one name."""
    made = type("Made", (), {"__annotations__": fields})
    return fingerprint(cast(Any, dataclass(made)))


def test_a_fingerprint_tells_shapes_apart() -> None:
    shapes = [
        shape_of(a=float),
        shape_of(a=int),
        shape_of(b=float),
        shape_of(a=float, b=float),
        shape_of(a=float | None),
        shape_of(a=Left),
        shape_of(a=Right),
        shape_of(a=FloatArray),
        shape_of(a=NDArray[np.int64]),
        shape_of(a=Colour),
        shape_of(a=StrEnum("Colour", {"RED": "red"})),
        shape_of(a=tuple[float, ...]),
        shape_of(a=tuple[float, float]),
        shape_of(a=Literal["x"]),
        shape_of(a=Bound),
    ]
    assert len(set(shapes)) == len(shapes)
    assert shape_of(a=float) == shapes[0]


def test_another_shape_of_a_subclass_is_not_decoded() -> None:
    content = msgpack.unpackb(zlib.decompress(encode(Square(2.0), Shape)[1:]))
    content[1] = "0" * 16
    assert decode(b"\x01" + zlib.compress(msgpack.packb(content)), Shape) is None


def forged(content: object) -> bytes:
    return b"\x01" + zlib.compress(msgpack.packb(content))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(b"", Left, id="nothing"),
        pytest.param(b"\x02" + encode(Left(1.0), Left)[1:], Left, id="another version"),
        pytest.param(encode(Left(1.0), Left)[:-3], Left, id="cut off"),
        pytest.param(pickle.dumps(Left(1.0)), Left, id="a pickle"),
        pytest.param(forged({"value": "x"}), Left, id="text for a number"),
        pytest.param(forged({}), Left, id="no fields"),
        pytest.param(forged(["os.system", "", {}]), Shape, id="no subclass"),
        pytest.param(forged(["|O", [1], b"12345678"]), FloatArray, id="objects in an array"),
        pytest.param(forged(["<f8", [3], b"12345678"]), FloatArray, id="another size than is told"),
        pytest.param(forged([9, {}]), Left | Right, id="none of a union"),
        pytest.param(b"\x01" + zlib.compress(b"\xc4" + b"\0" * (codec.LARGEST_BYTES + 9)), Left, id="far too large"),
    ],
)
def test_damaged_bytes_are_nothing(data: bytes, kind: Any) -> None:
    assert decode(data, kind) is None


@few
@given(st.binary(max_size=64), st.integers(0, 200))
def test_no_bytes_raise(noise: bytes, place: int) -> None:
    good = bytearray(encode(Left(1.0), Left))
    good[min(place, len(good) - 1)] ^= 0x55
    for data in (noise, b"\x01" + noise, bytes(good)):
        assert decode(data, Left) in (None, Left(1.0))


def test_examples() -> None:
    result = doctest.testmod(codec)
    assert result.attempted > 0
    assert result.failed == 0
