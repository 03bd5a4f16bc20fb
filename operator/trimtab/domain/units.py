"""Kubernetes quantities and Go durations, parsed to floats and written back; numbers and times of day for people."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

DURATION_FORM = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_DURATION_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_QUANTITY_FORM = r"^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]{1,2})?$"
_QUANTITY = re.compile(
    r"^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]{1,2})?$"
)
_SUFFIX = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def parse_duration(text: str) -> float:
    """Seconds of a Go duration; ValueError names what is wrong.

    >>> parse_duration("1h30m"), parse_duration("90s")
    (5400.0, 90.0)
    """
    if not re.match(DURATION_FORM, text):
        raise ValueError(f"{text!r} is not a duration; write it as 90s, 10m or 168h")
    return sum(float(number) * _DURATION_SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def format_duration(seconds: float, *, to: float = 0.001) -> str:
    """A Go duration in the largest units that lose nothing, after rounding to whole multiples of ``to`` seconds.

    >>> format_duration(5400), format_duration(90), format_duration(0.25), format_duration(604800)
    ('1h30m', '1m30s', '250ms', '168h')
    >>> format_duration(5431.7, to=1), format_duration(5431.7, to=60), format_duration(29, to=60)
    ('1h30m32s', '1h31m', '0s')
    """
    milliseconds = round(round(seconds / to) * to * 1000)
    if milliseconds == 0:
        return "0s"
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def parse_quantity(text: str | float) -> float:
    """The number that a Kubernetes quantity stands for; ValueError names what is wrong.

    >>> parse_quantity("250m"), parse_quantity("64Mi"), parse_quantity(2)
    (0.25, 67108864.0, 2.0)
    """
    match = _QUANTITY.match(str(text).strip())
    if match is None or isinstance(text, bool):
        raise ValueError(f"{text!r} is not a quantity; write it as 250m, 0.5, 2 or 64Mi")
    number, suffix = match.groups()
    if suffix is None:
        return float(number)
    if suffix[0] in "eE" and len(suffix) > 1 and suffix not in _SUFFIX:
        return float(number + suffix)
    return float(number) * _SUFFIX[suffix]


def format_cpu(cores: float) -> str:
    """A CPU quantity, rounded up to a whole millicore.

    >>> format_cpu(0.35), format_cpu(2.0), format_cpu(1.2341)
    ('350m', '2', '1235m')
    """
    milli = math.ceil(cores * 1000 - 1e-6)
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def format_memory(size_bytes: float) -> str:
    """A memory quantity, rounded up to a whole MiB.

    >>> format_memory(67108864), format_memory(1.5e9)
    ('64Mi', '1431Mi')
    """
    mebibytes = math.ceil(size_bytes / 2**20 - 1e-6)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 and mebibytes else f"{mebibytes}Mi"


def format_number(value: float, digits: int = 3) -> str:
    """A plain decimal for status fields, which the API conventions keep free of floats.

    >>> format_number(0.24871), format_number(412.0), format_number(float("nan"))
    ('0.249', '412', '')
    """
    if not math.isfinite(value):
        return ""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_clock(time: float, step_seconds: float = 60.0) -> str:
    """Time of day in UTC, with seconds where the step is below a minute.

    >>> format_clock(36120.0), format_clock(36125.0, 5.0)
    ('10:02', '10:02:05')
    """
    if not 0 <= time < 1e11:
        return f"{time:.0f} s"
    moment = datetime.fromtimestamp(time, UTC)
    return moment.strftime("%H:%M" if step_seconds % 60 == 0 else "%H:%M:%S")


def _duration(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else parse_duration(value)


def _quantity(value: Any) -> float:
    return parse_quantity(value)


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_FORM, "maxLength": 32}),
]
"""Seconds; written as a Go duration."""

Quantity = Annotated[
    float,
    BeforeValidator(_quantity),
    PlainSerializer(lambda number: format_number(number, 6), return_type=str),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": _QUANTITY_FORM,
            "maxLength": 32,
        }
    ),
]
"""A number; written as a Kubernetes quantity."""
