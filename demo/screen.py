"""The screen: steps of the preparation, the live picture, and the outcome; 80 columns are enough.

On a terminal the picture is drawn over itself; anywhere else what happens is told in lines, with the picture in short
every fifteen seconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from demo.judging import Promise
from demo.policies import THRESHOLD_SECONDS
from demo.watching import Note, Row, Watch

_BARS: Final = "▁▂▃▄▅▆▇█"
_SHOWN_NOTES: Final = 6
_PLAIN_SECONDS: Final = 15.0
_PHASE_STYLE: Final = {"Succeeded": "green", "RolledBack": "yellow", "Rejected": "red", "Failed": "red"}


@dataclass(slots=True)
class Screen:
    """Where the demonstration is shown."""

    console: Console = field(default_factory=Console)
    _told: int = 0
    _pictured_at: float = -math.inf

    def say(self, text: str = "") -> None:
        """A line."""
        self.console.print(text, highlight=False)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A step of the preparation with the time that it took."""
        started = time.monotonic()
        with self.console.status(what) if self.console.is_terminal else _nothing():
            yield
        seconds = time.monotonic() - started
        self.console.print(f" [green]✓[/] {escape(what)} [dim]{seconds:.1f} s[/]", highlight=False)

    @contextmanager
    def live(self, watch: Watch, total_seconds: float) -> Iterator[Live | None]:
        """The live picture; call :meth:`show` to bring it up to date."""
        if not self.console.is_terminal:
            yield None
            return
        with Live(self._picture(watch, total_seconds), console=self.console, auto_refresh=False) as picture:
            yield picture

    def show(self, watch: Watch, total_seconds: float, picture: Live | None) -> None:
        """Draw the picture anew, or tell what is new."""
        if picture is not None:
            picture.update(self._picture(watch, total_seconds), refresh=True)
            return
        for note in watch.notes[self._told :]:
            self.console.print(_note(note), soft_wrap=True, highlight=False)
        self._told = len(watch.notes)
        if watch.seconds - self._pictured_at >= _PLAIN_SECONDS:
            self._pictured_at = watch.seconds
            self.console.print(_rows(list(watch.rows.values()), width=self.console.width, said=False))

    def outcome(self, promises: Sequence[Promise]) -> None:
        """What was promised, and what is to be said for it."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True, expand=True)
        table.add_column("promise", width=20)
        table.add_column("what was seen", ratio=1)
        table.add_column("kept", justify="center")
        for promise in promises:
            kept = Text("yes", style="bold green") if promise.kept else Text("NO", style="bold red")
            evidence = Text("\n".join(promise.evidence))
            for shortfall in promise.broken:
                evidence.append(f"\nseen instead: {shortfall}", style="bold red")
            table.add_row(promise.title, evidence, kept)
        self.console.print(table)

    def _picture(self, watch: Watch, total_seconds: float) -> RenderableType:
        seconds = max(watch.seconds, 0.0)
        head = Table.grid(expand=True, padding=(0, 1))
        head.add_column(ratio=1)
        head.add_column(justify="right")
        head.add_row(
            ProgressBar(total=total_seconds, completed=min(seconds, total_seconds)),
            f"{_clock(seconds)} of {_clock(total_seconds)}",
        )
        width = self.console.width
        notes = [_one_line(_note(note), width) for note in watch.notes[-_SHOWN_NOTES:]]
        return Group(head, _rows(list(watch.rows.values()), width=width, said=True), Text(), *notes)


def sparkline(values: Sequence[float]) -> str:
    """Values as bars, from zero to the largest; a space where one is missing.

    >>> sparkline([0.0, 50.0, 100.0, math.nan])
    '▁▄█ '
    """
    top = max((value for value in values if math.isfinite(value)), default=0.0)
    scale = (len(_BARS) - 1) / top if top > 0 else 0.0
    return "".join(_BARS[int(value * scale)] if math.isfinite(value) else " " for value in values)


def _rows(rows: Sequence[Row], *, width: int, said: bool) -> RenderableType:
    """A line for each service, and under it what the operator said last."""
    lines = [Text(f"{'service':<18}{'requests/s':>10}{'':18}{'pods':>6}{'cpu':>7}{'p99':>9}  run", style="dim")]
    for row in rows:
        line = Text(f"{row.name:<18}", style="bold")
        line.append(f"{row.demand:>10.0f} " if math.isfinite(row.demand) else " " * 11, style="not bold")
        line.append(f"{sparkline(row.trend[-16:]):>16} ", style="not bold cyan")
        changing = row.ready != row.wanted
        pods = f"{row.ready}→{row.wanted}" if changing else f"{row.ready}"
        line.append(f"{pods:>6}", style="bold yellow" if changing else "not bold")
        line.append(f"{row.cpu:>7}", style="not bold")
        known = math.isfinite(row.p99_seconds)
        bad = known and row.p99_seconds > THRESHOLD_SECONDS
        p99 = f"{row.p99_seconds * 1000:.0f} ms" if known else ""
        line.append(f"{p99:>9}", style="bold red" if bad else "not bold green")
        line.append(f"  {row.run}", style=f"not bold {_PHASE_STYLE.get(row.run, 'cyan')}")
        lines.append(_one_line(line, width))
        if said:
            lines.append(_one_line(Text(f"  {row.said}", style="dim"), width))
    return Group(*lines)


def _note(note: Note) -> Text:
    text = Text(f"{note.at:+4.0f} s ", style="dim")
    text.append(f"{note.about} ", style="bold")
    text.append(note.text, style="" if note.by_operator else "magenta")
    return text


def _one_line(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@contextmanager
def _nothing() -> Iterator[None]:
    yield
