"""An analysis for the terminal: aligned columns, as many as fit; all of them where the width is not limited. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from trimtab.reporting import analysis_text as words
from trimtab.reporting.analysis import AnalysisReport, Difference, State, WorkloadEntry
from trimtab.reporting.styles import SEVERITY_STYLE, score_style

DIFFERENCE_STYLE: Final = {
    Difference.GOOD: "green",
    Difference.OK: "bright_black",
    Difference.WARNING: "yellow",
    Difference.CRITICAL: "red",
    Difference.UNKNOWN: "dim",
}
_STATE_STYLE: Final = {State.ANALYZED: "", State.NO_DATA: "yellow", State.FAILED: "red"}
_GAP: Final = "  "
_LEAST_ADVICE: Final = 24
"""Columns below which the advice goes to a line of its own."""
_INDENT: Final = "  "
_WHOLE: Final = 100_000

Cell = tuple[str, str]
"""Text and style."""


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    cell: Callable[[WorkloadEntry, AnalysisReport], Cell]
    dropped: int
    """Columns of larger numbers are dropped first; 0 stays."""
    least: int | None = None
    """Width to which it may be cut."""
    right: bool = False


def lines(report: AnalysisReport, width: int | None) -> Iterator[Text]:
    """The table line by line, the totals last; ``width`` of None shows every column and cuts nothing."""
    columns = _COLUMNS
    cells = [[column.cell(entry, report) for column in columns] for entry in report.entries]
    widths = [
        max([cell_len(column.title), *(cell_len(row[index][0]) for row in cells)])
        for index, column in enumerate(columns)
    ]
    shown, widths = _fitted(widths, width)
    used = sum(widths) + len(_GAP) * len(widths)
    inline = width is None or width - used >= _LEAST_ADVICE
    room = None if width is None else width - used
    yield _line(
        [(columns[index].title, "bold") for index in shown] + ([("ADVICE", "bold")] * inline), shown, widths, None
    )
    name_width = widths[1]
    for entry, row in zip(report.entries, cells, strict=True):
        advice = (entry.advice, _STATE_STYLE[entry.state])
        yield _line([row[index] for index in shown] + [advice] * inline, shown, widths, room)
        whole = entry.name if cell_len(entry.name) > name_width else ""
        below = ": ".join(filter(None, (whole, "" if inline else entry.advice)))
        if below:
            style = advice[1] or "dim"
            yield Text(_INDENT + _cut(below, (width or _WHOLE) - len(_INDENT)), style=style, no_wrap=True)
    yield Text()
    for sentence in words.summary(report):
        yield Text(sentence, style="yellow" if sentence.startswith(("no data", "warning")) else "")


def _fitted(widths: list[int], width: int | None) -> tuple[list[int], list[int]]:
    """Columns that are shown, and their widths: long names are cut first, then columns are dropped."""
    shown = list(range(len(_COLUMNS)))
    if width is None:
        return shown, widths
    widths = [min(wide, _COMFORT) if _COLUMNS[index].least else wide for index, wide in enumerate(widths)]

    def excess() -> int:
        return sum(widths[index] for index in shown) + len(_GAP) * (len(shown) - 1) - width

    while excess() > 0 and any(_COLUMNS[index].dropped for index in shown):
        shown.remove(max(shown, key=lambda index: _COLUMNS[index].dropped))
    for index in shown:
        least = _COLUMNS[index].least
        if least is not None and excess() > 0:
            widths[index] = max(least, widths[index] - excess())
    return shown, [widths[index] for index in shown]


_COMFORT: Final = 32
"""Longer names are cut where the width is limited."""


def _line(cells: list[Cell], shown: list[int], widths: list[int], room: int | None) -> Text:
    line = Text(no_wrap=True, end="")
    last = len(cells) - 1
    for place, (text, style) in enumerate(cells):
        if place < len(shown):
            wide = widths[place]
            cut = _cut(text, wide)
            padding = " " * (wide - cell_len(cut))
            right = _COLUMNS[shown[place]].right
            line.append(padding if right else "")
            line.append(cut, style=style)
            line.append("" if right or place == last else padding)
        else:
            line.append(_cut(text, room) if room is not None else text, style=style)
        line.append(_GAP if place < last else "")
    line.rstrip()
    line.end = "\n"
    return line


def _cut(text: str, width: int) -> str:
    """At most ``width`` columns, with an ellipsis for what is left out."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 1, 0)).rstrip() + "…" if width > 0 else ""


def _plain(text: str) -> Cell:
    return text, "dim" if text == words.UNKNOWN else ""


def _anomalies(entry: WorkloadEntry) -> Cell:
    top = words.worst(entry.anomalies)
    return _plain(words.anomalies(entry)) if top is None else (words.anomalies(entry), SEVERITY_STYLE[top])


_COLUMNS: Final = (
    _Column("NAMESPACE", lambda entry, _: (entry.namespace, ""), 0, least=8),
    _Column("NAME", lambda entry, _: (entry.name, "bold"), 0, least=10),
    _Column("KIND", lambda entry, _: (entry.kind, ""), 9),
    _Column("PODS", lambda entry, _: (str(entry.replicas), ""), 5, right=True),
    _Column("HEALTH", lambda entry, _: (words.health(entry), score_style(entry.health.score)), 0, right=True),
    _Column("TREND", lambda entry, _: _plain(words.trend(entry.trend)), 6),
    _Column("SEASON", lambda entry, _: _plain(words.season(entry)), 8),
    _Column("ANOMALIES 24H", lambda entry, _: _anomalies(entry), 2),
    _Column("PEAK AHEAD", lambda entry, report: _plain(words.peak(entry, report.at)), 4),
    _Column("CPU REQUEST", lambda entry, _: (words.cpu(entry), DIFFERENCE_STYLE[entry.cpu_difference]), 0),
    _Column("MEMORY REQUEST", lambda entry, _: (words.memory(entry), DIFFERENCE_STYLE[entry.memory_difference]), 1),
    _Column("COST", lambda entry, _: (words.money(entry.monthly_cost), ""), 7, right=True),
    _Column("SAVES", lambda entry, _: (words.money(entry.saving), "green" if entry.saving > 0 else ""), 3, right=True),
)
