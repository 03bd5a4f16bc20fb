"""Time zones by their names, as people write them."""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

TIME_ZONE_FORM: Final = r"^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"
"""Form of an IANA name; it keeps out what only a machine's own files have, such as ``localtime``."""


def zone_of(name: str) -> tzinfo:
    """The time zone of this IANA name; ValueError when there is none.

    >>> zone_of("UTC")
    datetime.timezone.utc
    """
    if name == "UTC":
        return UTC
    try:
        if not re.fullmatch(TIME_ZONE_FORM, name, re.ASCII):
            raise ValueError("not the form of a name")
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write it as Europe/Berlin or UTC") from error


def is_zone(name: str) -> bool:
    """Whether there is such a time zone.

    >>> is_zone("Europe/Berlin"), is_zone("Europe/Atlantis"), is_zone("Europe"), is_zone("localtime"), is_zone("../UTC")
    (True, False, False, False, False)
    """
    try:
        zone_of(name)
    except ValueError:
        return False
    return True
