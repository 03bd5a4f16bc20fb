"""How the command line prints: names, messages and units come from a cluster, and none of them steers the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from trimtab.domain.printable import printable


def say(text: str) -> None:
    """Print to the standard output."""
    print(printable(text))


def remark(text: str) -> None:
    """Print beside the output: to the standard error."""
    print(printable(text), file=sys.stderr)


def complain(text: str) -> None:
    """Say what is wrong, on the standard error, in one line."""
    print(printable(f"trimtab: {' '.join(text.splitlines())}"), file=sys.stderr)


class SafeConsole(Console):
    """A console whose only control sequences are its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed, each with its text made printable."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
