"""Text that comes from elsewhere, and must not steer the terminal that it is shown on.

A control character (C0, C1, DEL), a mark that turns the direction of writing, and a line or paragraph separator are
written as ``\\u001b``, which is also how JSON and YAML write them. Lines and tabs stay.
"""

from __future__ import annotations

import re
from typing import Final

PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}\x{feff}]*$"
"""One line without any of them, as the API server and pydantic write regular expressions."""
_STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def printable(text: str) -> str:
    """The text with what would steer a terminal written out.

    >>> print(printable("red \\x1b[31m, bell \\x07, \\u202eback"))
    red \\u001b[31m, bell \\u0007, \\u202eback
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
