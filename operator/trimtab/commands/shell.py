"""What the commands share: how they print, complain, and take durations, times and files."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import typer
from rich.text import Text

from trimtab.domain.units import parse_duration
from trimtab.reporting.printing import SafeConsole, complain

if TYPE_CHECKING:
    from trimtab.adapters.csvseries import CsvSeries

PAGE_WIDTH: Final = 80
"""Width of a page that is not shown on a terminal."""
STDIN: Final = "-"
_WHOLE: Final = 100_000


class RefusedError(Exception):
    """What was asked for cannot be done; the message says why and what can."""


def fail(message: str) -> NoReturn:
    """End with one line and exit code 1."""
    complain(message)
    raise typer.Exit(1)


def seconds(text: str, option: str) -> float:
    """A duration; a usage error names the option."""
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
    if found <= 0:
        raise typer.BadParameter(f"{text} must be above 0", param_hint=option)
    return found


def moment(text: str, option: str) -> float:
    """Unix seconds of a time, as ISO 8601 (UTC where it has no zone) or a number; a usage error names the option."""
    from trimtab.adapters.csvseries import read_time

    found = read_time(text)
    if found is None:
        message = f"{text!r} is not a time; write unix seconds or ISO 8601 such as 2026-05-04T10:00:00Z"
        raise typer.BadParameter(message, param_hint=option)
    return found


def read_series(file: str, step: str | None) -> CsvSeries:
    """The series in a file, or on the standard input; ends the command where it cannot be read."""
    from trimtab.adapters.csvseries import CsvError, parse_csv

    step_seconds = seconds(step, "--step") if step else None
    try:
        if file == STDIN:
            return parse_csv(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"), step_seconds)
        with Path(file).open(encoding="utf-8") as lines:
            return parse_csv(lines, step_seconds)
    except CsvError as error:
        fail(f"{_shown(file)}: {error}")
    except UnicodeDecodeError:
        fail(f"{_shown(file)}: not UTF-8 text; a file of lines such as 2026-05-04T10:00:00Z,412 is read")
    except OSError as error:
        fail(f"{file}: {error.strerror or error}")


def name_of(file: str) -> str:
    """What a file is called in a page."""
    return _shown(file) if file == STDIN else Path(file).name


def page_width() -> int:
    """Width of the terminal, or 80 columns."""
    return SafeConsole().width if sys.stdout.isatty() else PAGE_WIDTH


def show(lines: Iterable[Text]) -> None:
    """Print lines of text; long ones wrap on a terminal, and stay whole where the output is piped on."""
    on_terminal = sys.stdout.isatty()
    console = SafeConsole(width=None if on_terminal else _WHOLE)
    for line in lines:
        console.print(line, soft_wrap=not on_terminal)


def _shown(file: str) -> str:
    return "standard input" if file == STDIN else file
