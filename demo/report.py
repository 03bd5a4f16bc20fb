"""The report: what happened, with the numbers and how each was computed, as markdown beside its plots."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from demo import cast
from demo.judging import Lead, Track, Trial
from demo.plots import BLUE, GREEN, GREY, ORANGE, RED, Line, Mark, Panel, Span, plot
from demo.policies import THRESHOLD_SECONDS
from demo.story import Story
from trimtab.adapters.kube import JsonObject
from trimtab.domain.series import FloatArray
from trimtab.domain.status_types import format_time, parse_time

_SHOWN_P99_MS: Final = 600.0
"""Where plots of latency end: what lies beyond is beyond the threshold in any case."""


def write_report(folder: Path, story: Story) -> Path:
    """Write ``report.md``, its plots and what kubectl printed into a folder; the report's path."""
    plots = {
        "checkout.svg": _plot_following(story),
        "payments.svg": _plot_trial(story, cast.PAYMENTS, "A good change, while load rises"),
        "search.svg": _plot_trial(story, cast.SEARCH, "A bad change, while load falls"),
        "catalog.svg": _plot_killing(story),
    }
    for name, text in plots.items():
        (folder / name).write_text(text)
    captures = folder / "kubectl.txt"
    captures.write_text("\n".join(f"$ {title}\n{text}" for title, text in story.captures.items()))
    (folder / "runs.json").write_text(json.dumps(story.runs, indent=2) + "\n")
    report = folder / "report.md"
    report.write_text("\n".join(_report(story)) + "\n")
    return report


def _report(story: Story) -> Iterator[str]:
    yield f"# Trimtab's demonstration, {format_time(story.begins_at).replace('T', ' ').removesuffix('Z')} UTC"
    yield ""
    yield from _summary(story)
    yield from _stage(story)
    yield from _following(story)
    yield from _trial(
        story,
        cast.PAYMENTS,
        "2. A good change, kept while load rises",
        "The forecast of the next minute asked for more than the pods could carry, so the operator tried larger ones"
        " before the load came. Then the load did come, and latency rose with it. Whoever compares the latency before"
        " the change with the latency after it sees a change for the worse.",
        "payments.svg",
    )
    yield from _trial(
        story,
        cast.SEARCH,
        "3. A bad change, undone while load falls",
        "Below one core a pod of `search` needs a third more time for a request, as a JVM may when it loses its"
        " parallel collector. Nothing in the history shows it: all pods had one core. When the load fell, less CPU"
        " looked like money saved. Latency after the change is lower than before it, since there is less to do, and"
        " within the threshold. But it is far above what pods of that size should need for so little load.",
        "search.svg",
    )
    yield from _killing(story)
    yield from _impossible(story)
    yield from _kubectl(story)
    yield from _timeline(story)
    yield from _told(story)
    yield from _files()


def _summary(story: Story) -> Iterator[str]:
    kept = sum(promise.kept for promise in story.promises)
    yield f"**{kept} of {len(story.promises)} promises were kept.**"
    yield ""
    yield "| | promise | what was seen | kept |"
    yield "|---|---|---|---|"
    for number, promise in enumerate(story.promises, start=1):
        said = [*promise.evidence, *(f"**{shortfall}**" for shortfall in promise.broken)]
        yield f"| {number} | {promise.title} | {_cell('<br>'.join(said))} | {'yes' if promise.kept else '**no**'} |"
    yield ""


def _stage(story: Story) -> Iterator[str]:
    yield "## What it was played on"
    yield ""
    yield (
        "A real etcd, API server, controller manager and scheduler, and a real Prometheus that scrapes every second."
        " Nodes and requests are simulated: pods start, roll and end as Kubernetes has it, and each pod answers as a"
        f" queue does (`docs/simulation.md`). A day passes in {cast.DAY_SECONDS} seconds. Prometheus began with"
        f" {cast.HISTORY_DAYS} such days, {story.history_samples:,} samples that promtool backfilled; the live part"
        f" took {story.ends_at - story.begins_at:.0f} seconds. Times below are seconds since life began at"
        f" {format_time(story.begins_at)}."
    )
    yield ""
    yield "| service | strategy | may change | pods at the start | objective |"
    yield "|---|---|---|---|---|"
    for policy in cast.policies():
        name, spec = policy["metadata"]["name"], policy["spec"]
        what = "replicas, which follow the load" if spec.get("horizontal", {}).get("follow", True) else "replicas"
        may = what if "horizontal" in spec else "nothing by itself" if name == cast.BILLING else "CPU"
        model = ", forecast.model None" if spec["forecast"].get("model") == "None" else ""
        track = story.history[name]
        pods = f"{_first(track.ready):.0f} × {_first(track.cpu_cores):g} cores"
        yield f"| `{name}` | {spec['strategy']}{model} | {may} | {pods} | p99 ≤ {THRESHOLD_SECONDS:g} s |"
    yield ""


def _following(story: Story) -> Iterator[str]:
    yield "## 1. Replicas before the load, not after"
    yield ""
    yield (
        f"`{cast.CHECKOUT}` and `{cast.REACTIVE}` get the same load to the last request, and their pods need"
        f" {cast.STARTUP_SECONDS} seconds to start. One policy foresees, the other has `forecast.model: None`."
    )
    yield ""
    yield "![demand and capacity of both](checkout.svg)"
    yield ""
    for name in (cast.CHECKOUT, cast.REACTIVE):
        yield f"Patches of `{name}` that added replicas:"
        yield ""
        yield "| written at | replicas | old capacity | demand passed it at | lead |"
        yield "|---|---|---|---|---|"
        for lead in story.leads[name]:
            yield _lead_row(lead, story.begins_at)
        yield ""
    yield (
        "*Written at*: when the API server received the patch of the scale, from its audit log, by the operator's"
        " service account. *Old capacity*: the replicas before the patch times"
        f" {story.capacity_per_replica:.1f} requests/s, at which the p99 of a warm pod reaches"
        f" {THRESHOLD_SECONDS:g} s by the simulation's own formula, which the operator does not know. *Demand*:"
        " what the simulation sent, second by second. A step whose old capacity demand never passed is headroom, and"
        " proves nothing. *Seconds beyond the threshold*: samples, one a second, of the p99 over 4 s in Prometheus."
    )
    yield ""


def _lead_row(lead: Lead, begins_at: float) -> str:
    patch = lead.patch
    passed = "never: headroom" if lead.passed_at is None else f"{lead.passed_at - begins_at:.0f} s"
    seconds = "" if lead.passed_at is None else f"{lead.seconds:+.1f} s"
    written = f"{patch.at - begins_at:.1f} s"
    return f"| {written} | {patch.before}→{patch.after} | {lead.old_capacity:.0f} requests/s | {passed} | {seconds} |"


def _trial(story: Story, name: str, title: str, text: str, plotted: str) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield text
    yield ""
    yield f"![load and latency of {name}]({plotted})"
    yield ""
    trial, raw = story.trials[name], story.raw[name]
    if trial is None or raw is None:
        yield "The operator made no run that was measured."
        yield ""
        return
    yield f"Run `{trial.name}`, trigger {trial.trigger}: {trial.change}. The operator's reason:"
    yield ""
    yield f"> {trial.reason}"
    yield ""
    yield "| | before | while tried | change |"
    yield "|---|---|---|---|"
    yield f"| load, requests/s | {raw.load[0]:.0f} | {raw.load[1]:.0f} | {_percent(raw.load)} |"
    before, after = (1000 * value for value in raw.p99_seconds)
    yield f"| raw p99, ms | {before:.0f} | {after:.0f} | {_percent(raw.p99_seconds)} |"
    yield ""
    yield f"Raw means say: {'worse, undo it' if raw.change > 0 else 'better, keep it'}. The operator's verdict:"
    yield ""
    yield f"> {trial.message}"
    yield ""
    yield f"and so the run ended **{trial.phase}**. " + _how_raw(trial)
    yield ""


def _how_raw(trial: Trial) -> str:
    span = trial.planned * trial.interval_seconds
    return (
        f"*Raw means*: of the p99 in Prometheus over the {span:.0f} s before the change and over the {trial.planned}"
        f" measurements, {trial.interval_seconds:.0f} s apart, whose times were fixed when it was complete. *At equal"
        " load*: the same measurements against the curve of latency over load a replica, learned only from before the"
        " change (`docs/concepts.md`)."
    )


def _killing(story: Story) -> Iterator[str]:
    yield "## 4. A planted bad change, rolled back exactly, through SIGKILL"
    yield ""
    yield "A person creates this run:"
    yield ""
    yield from _fenced(cast.Planted().manifest(), "yaml")
    killing, trial = story.killing, story.trials[cast.CATALOG]
    if killing is None or trial is None:
        yield "It was not played to its end."
        yield ""
        return
    others = ", ".join(f"`{name}` {phase}" for name, phase in sorted(killing.others.items()))
    yield (
        f"While it was being validated, after {killing.measurements_before} of {trial.planned} measurements, process"
        f" {killing.killed_pid} was killed with SIGKILL at {killing.killed_at - story.begins_at:.1f} s. The other runs"
        f" at that moment: {others or 'none'}. At {killing.restarted_at - story.begins_at:.1f} s process"
        f" {killing.restarted_pid} was started. It took the measurements of the time in which nobody ran from"
        " Prometheus, at the times that were fixed when the change was complete."
    )
    yield ""
    yield "![latency and pods of catalog](catalog.svg)"
    yield ""
    yield "| measured at | p99 | while no operator ran |"
    yield "|---|---|---|"
    for run in story.runs:
        if run["metadata"]["name"] == trial.name:
            for one in run["status"].get("measurements", []):
                at = parse_time(one["at"])
                dead = "yes" if killing.killed_at < at < killing.restarted_at else ""
                yield f"| {at - story.begins_at:.0f} s | {one.get('value', '')} s, {one['result']} | {dead} |"
    yield ""
    yield f"It ended **{trial.phase}**: {trial.message}. The Deployment's spec, before and after:"
    yield ""
    yield from _fenced(killing.spec_before, "json")
    yield from _fenced(killing.spec_after, "json")
    same = "are equal, byte for byte" if killing.spec_before == killing.spec_after else "**differ**"
    yield f"They {same}; while the change was tried it was"
    yield ""
    yield from _fenced(killing.spec_tried, "json")


def _impossible(story: Story) -> Iterator[str]:
    yield "## 5. A change that cannot roll out, undone with the API server's reason"
    yield ""
    yield f"A person lets no container of the namespace have more than {cast.LARGEST_CPU} CPUs, and creates this run:"
    yield ""
    yield from _fenced(cast.OVERSIZED.manifest(), "yaml")
    trial = story.trials[cast.BILLING]
    if trial is None:
        yield "It was not played."
        yield ""
        return
    yield (
        f"The Deployment took it at {trial.applied_at - story.begins_at:.0f} s; the API server made no pod of it. The"
        " run was not measured, and ended"
        f" **{trial.phase}** at {trial.undone_at - story.begins_at:.0f} s: {trial.message}"
    )
    yield ""


def _kubectl(story: Story) -> Iterator[str]:
    yield "## What kubectl told"
    yield ""
    for title, text in story.captures.items():
        if title.startswith("kubectl get perf,orun"):
            yield f"`{title}`:"
            yield ""
            yield from _fenced(text)


def _timeline(story: Story) -> Iterator[str]:
    """One run from its plan to its proof."""
    trial = story.trials[cast.PAYMENTS]
    run = next((one for one in story.runs if trial is not None and one["metadata"]["name"] == trial.name), None)
    if run is None:
        return
    status = run["status"]
    yield f"## One run from plan to proof: `{run['metadata']['name']}`"
    yield ""
    yield "| at | phase | why |"
    yield "|---|---|---|"
    for entry in status.get("timeline", []):
        at = parse_time(entry["at"]) - story.begins_at
        yield f"| {at:.0f} s | {entry['phase']} | {_cell(entry.get('reason', ''))} |"
    yield ""
    yield "What the plan rested on:"
    yield ""
    for name, text in status["plan"].get("evidence", {}).items():
        yield f"- {name}: {text}"
    yield ""
    yield "| measured at | p99 | expected for its load | load a replica | result |"
    yield "|---|---|---|---|---|"
    for one in status.get("measurements", []):
        at = parse_time(one["at"]) - story.begins_at
        values = f"{_seconds(one, 'value')} | {_seconds(one, 'expected')} | {one.get('loadPerReplica', '')}"
        yield f"| {at:.0f} s | {values} | {one['result']} |"
    yield ""


def _told(story: Story) -> Iterator[str]:
    yield "## All that happened"
    yield ""
    yield "Events of the operator, and in italics what the demonstration did."
    yield ""
    yield "| at | service | |"
    yield "|---|---|---|"
    for note in story.notes:
        text = _cell(note.text)
        yield f"| {note.at:.0f} s | `{note.about}` | {text if note.by_operator else f'*{text}*'} |"
    yield ""
    for title, text in story.captures.items():
        if title.startswith("kubectl describe"):
            yield f"<details><summary><code>{title}</code></summary>"
            yield ""
            yield from _fenced(text)
            yield "</details>"
            yield ""


def _files() -> Iterator[str]:
    yield "## Files"
    yield ""
    yield "- `kubectl.txt`: all that kubectl printed, also `-o wide` and the Events"
    yield "- `runs.json`: every OptimizationRun as the API server has it, with plan, curves and measurements"
    yield "- `raw/`: the operators' logs, the scenario with its loads, and the audit log of the workloads"


def _plot_following(story: Story) -> str:
    panels = []
    for name in (cast.CHECKOUT, cast.REACTIVE):
        track, times = story.tracks[name], story.tracks[name].times - story.begins_at
        able = track.ready * story.capacity_per_replica
        asked = _asked(story, name, track) * story.capacity_per_replica
        lines = [
            Line("demand", times, track.demand, BLUE),
            Line("capacity that is ready", times, able, GREEN, stairs=True),
            Line("ordered", times, asked, GREY, stairs=True, dashed=True),
        ]
        panels.append(Panel(f"{name}, requests/s", lines))
    threshold = 1000 * THRESHOLD_SECONDS
    latency = [
        Line(name, track.times - story.begins_at, 1000 * track.p99_seconds, colour)
        for name, track, colour in (
            (cast.CHECKOUT, story.tracks[cast.CHECKOUT], BLUE),
            (cast.REACTIVE, story.tracks[cast.REACTIVE], ORANGE),
        )
    ]
    panels.append(Panel(f"p99, ms (cut at {_SHOWN_P99_MS:.0f})", latency, top=_SHOWN_P99_MS, level=threshold))
    return plot("Replicas before the load, and after it", panels, 0.0, story.ends_at - story.begins_at)


def _asked(story: Story, name: str, track: Track) -> FloatArray:
    """Replicas that were ordered at each time, by the audit log."""
    asked = np.full(track.times.size, _first(track.ready))
    for patch in story.patches[name]:
        asked[track.times >= patch.at] = patch.after
    return asked


def _plot_trial(story: Story, name: str, title: str) -> str:
    track, trial, raw = story.history[name], story.trials[name], story.raw[name]
    times = track.times - story.begins_at
    spans: list[Span] = []
    start, end, marks = 0.0, 100.0, []
    if trial is not None:
        length = trial.planned * trial.interval_seconds
        applied, first = trial.applied_at - story.begins_at, trial.validate_from - story.begins_at
        last = first + length - trial.interval_seconds
        spans = [Span("before", applied - length, applied, GREY), Span("measured", first, last, ORANGE)]
        marks = [Mark(trial.change, applied)]
        start, end = applied - length - 10, last + 30
    means = []
    if raw is not None:
        for span, value in zip(spans, raw.p99_seconds, strict=True):
            means.append(Line("", np.array([span.start, span.end]), np.full(2, 1000 * value), RED, dashed=True))
    lines = [Line("p99", times, 1000 * track.p99_seconds, BLUE), *means]
    panels = [
        Panel("load, requests/s", [Line("load", times, track.demand, BLUE)]),
        Panel("p99 and its raw means, ms", lines, top=400.0, level=1000 * THRESHOLD_SECONDS),
        Panel("CPU of a pod, cores", [Line("limit", times, track.cpu_cores, GREEN, stairs=True)]),
    ]
    return plot(title, panels, start, end, spans, marks)


def _plot_killing(story: Story) -> str:
    track, killing, trial = story.tracks[cast.CATALOG], story.killing, story.trials[cast.CATALOG]
    times = track.times - story.begins_at
    spans, marks = [], []
    if killing is not None and trial is not None:
        killed, restarted = killing.killed_at - story.begins_at, killing.restarted_at - story.begins_at
        spans = [Span("no operator", killed, restarted, RED)]
        marks = [Mark("", at - story.begins_at, BLUE) for at in trial.measured_at]
    latency = [Line("p99", times, track.p99_seconds, BLUE)]
    panels = [
        Panel("p99, s; dashed: measurements", latency, level=THRESHOLD_SECONDS),
        Panel("pods that are ready", [Line("pods", times, track.ready, GREEN, stairs=True)]),
        Panel("CPU of a pod, cores", [Line("limit", times, track.cpu_cores, GREEN, stairs=True)]),
    ]
    return plot("A planted change, and an operator killed over it", panels, 0.0, 100.0, spans, marks)


def _fenced(text: str, language: str = "") -> Iterator[str]:
    yield f"```{language}"
    yield text.rstrip("\n")
    yield "```"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _percent(pair: tuple[float, float]) -> str:
    return f"{100 * (pair[1] / pair[0] - 1):+.0f} %" if pair[0] else ""


def _seconds(measurement: JsonObject, name: str) -> str:
    value = measurement.get(name, "")
    return f"{1000 * float(value):.0f} ms" if value else ""


def _first(values: FloatArray) -> float:
    finite: Any = values[np.isfinite(values)]
    return float(finite[0]) if finite.size else math.nan
