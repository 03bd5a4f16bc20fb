"""A trace of one's own: its first days as history, its last days live, as the load of a service that is followed.

Time passes faster by ``speed``; requests/s are scaled so that the largest of the live part is ``PEAK``. A twin gets
the same load and the same policy without a forecast.
"""

from __future__ import annotations

import asyncio
import csv
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from demo import judging, records
from demo.judging import Patch, Track
from demo.plots import BLUE, GREEN, GREY, ORANGE, Line, Panel, plot
from demo.policies import NAMESPACE, THRESHOLD_SECONDS, following, policy
from demo.screen import Screen
from demo.setting import OPERATOR_USER, Setting, setting
from demo.stage import StageError
from demo.watching import Watch
from trimtab.adapters.kube import JsonObject
from trimtab.domain.series import FloatArray
from trimtab.domain.status_types import format_time
from trimtab.simulation.arrivals import Trace
from trimtab.simulation.behaviour import ServiceModel
from trimtab.simulation.csvtrace import Playback, TraceError, read_trace
from trimtab.simulation.scenario import Scenario, SimulatedService

FOLLOWED, REACTIVE = "traced", "traced-reactive"
PEAK: Final = 800.0
"""Requests/s at the largest load of the live part."""
DAY: Final = 86_400.0
DEFAULT_SPEED: Final = 864.0
"""A day in 100 seconds."""
LIVE_SECONDS: Final = 220.0
STARTUP_SECONDS: Final = 4
_MOST_HISTORY_SECONDS: Final = 2400.0
_FEWEST_HISTORY_SECONDS: Final = 120.0
_LOAD_BY_HAND: Final = 75.0
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Slice:
    """A trace in demonstration time: requests/s in each second, shape (n,), the history first."""

    rates: FloatArray
    live_from: int
    speed: float

    @property
    def live(self) -> FloatArray:
        """The part that is played live."""
        return self.rates[self.live_from :]


@dataclass(frozen=True, slots=True)
class Followed:
    """How one service followed its load."""

    name: str
    replica_seconds: float
    """Replicas that were ready, summed over the seconds."""
    largest: int
    violated_seconds: float
    ups: int
    foreseen: int
    """Steps up that a forecast asked for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen of a trace."""

    begins_at: float
    seconds: float
    static_replicas: int
    """Replicas that the largest load of the live part needs all the time."""
    followed: Sequence[Followed]
    tracks: Mapping[str, Track]
    patches: Mapping[str, Sequence[Patch]]
    capacity_per_replica: float
    forecast: JsonObject
    seasonality: Sequence[JsonObject]
    kubectl: str

    @property
    def static_seconds(self) -> float:
        """Replica-seconds of that many replicas."""
        return self.static_replicas * self.seconds


def sliced(playback: Playback, speed: float, live_seconds: float = LIVE_SECONDS) -> Slice:
    """A trace as means over the seconds of the demonstration, scaled to ``PEAK``; at most 40 minutes of history.

    Raises TraceError for one that is too short to have a history.
    """
    seconds = math.floor(playback.duration_seconds / speed)
    live = math.floor(min(live_seconds, seconds / 3))
    history = math.floor(min(seconds - live, _MOST_HISTORY_SECONDS))
    if history < _FEWEST_HISTORY_SECONDS:
        days = playback.duration_seconds / DAY
        raise TraceError(
            f"{days:.2f} days at speed {speed:g} are {seconds} s, too short for a history of"
            f" {_FEWEST_HISTORY_SECONDS:.0f} s and a live part: choose a lower --speed"
        )
    edges = playback.duration_seconds - speed * np.arange(history + live, -1, -1, dtype=np.float64)
    rates = np.diff(_requests_until(playback, edges)) / speed
    top = float(rates[history:].max())
    if top <= 0:
        raise TraceError("the live part of the trace has no traffic")
    return Slice(rates * (PEAK / top), history, speed)


def _requests_until(playback: Playback, moments: FloatArray) -> FloatArray:
    """Requests from the trace's start until each moment, its rates held until the next row."""
    starts = np.append(playback.starts_seconds, playback.duration_seconds)
    counted = np.concatenate([[0.0], np.cumsum(np.diff(starts) * playback.rates_per_second)])
    value: FloatArray = np.interp(moments, starts, counted)
    return value


async def play(folder: Path, screen: Screen, file: Path, speed: float, column: str | None) -> Outcome:
    """Play a trace; raw files go into ``folder``. Raises TraceError, OSError, ClusterError or StageError."""
    part = sliced(read_trace(file, column), speed)
    live_seconds = float(part.live.size)
    screen.say(
        f"{file.name}: {part.live_from / DAY * speed:.1f} days of history and {live_seconds / DAY * speed:.1f} days"
        f" live, {speed:g} times as fast, scaled to a peak of {PEAK:g} requests/s"
    )
    load = _write(folder / "load.csv", part)

    def scenario_from(begins_at: float) -> Scenario:
        return _scenario(load, begins_at - part.live_from, _by_hand(part.rates[: part.live_from]))

    place = setting(folder, NAMESPACE, float(part.live_from), scenario_from, _policies(), screen.step)
    async with place as scene, Watch(scene.stage, (FOLLOWED, REACTIVE), scene.begins_at) as watch:
        operator = scene.stage.operator()
        with screen.live(watch, live_seconds) as picture:
            while watch.seconds < live_seconds:
                await watch.look()
                screen.show(watch, live_seconds, picture)
                if not operator.process.alive():
                    tail = operator.process.log_tail()
                    raise StageError(f"the operator ended by itself; the end of its log:\n{tail}")
                await asyncio.sleep(_LOOK_SECONDS)
        return await _outcome(scene, watch, live_seconds)


async def _outcome(scene: Setting, watch: Watch, seconds: float) -> Outcome:
    ends_at = min(scene.begins_at + seconds, time.time() - 1.0)
    tracks = await records.tracks(scene.stage.prometheus_url, scene.scenario, scene.begins_at, ends_at)
    capacity = records.capacity_within(scene.scenario.services[0], THRESHOLD_SECONDS)
    patches = {name: records.patches(scene.audit_log, NAMESPACE, name, OPERATOR_USER) for name in tracks}
    status = (await scene.stage.policy(FOLLOWED)).get("status", {})
    return Outcome(
        begins_at=scene.begins_at,
        seconds=ends_at - scene.begins_at,
        static_replicas=math.ceil(float(tracks[FOLLOWED].demand.max()) / capacity),
        followed=[_followed(name, track, patches[name], watch) for name, track in tracks.items()],
        tracks=tracks,
        patches=patches,
        capacity_per_replica=capacity,
        forecast=status.get("forecast") or {},
        seasonality=status.get("seasonality") or [],
        kubectl=await scene.stage.kubectl("get", "perf,orun", "-A"),
    )


def _followed(name: str, track: Track, patches: Sequence[Patch], watch: Watch) -> Followed:
    ready = track.ready[np.isfinite(track.ready)]
    steps = [note.text for note in watch.notes if note.about == name and note.text.startswith(("ScaledUp", "Rescued"))]
    return Followed(
        name=name,
        replica_seconds=float(ready.sum()),
        largest=int(ready.max()) if ready.size else 0,
        violated_seconds=judging.violated_seconds(track, THRESHOLD_SECONDS),
        ups=sum(patch.after > patch.before for patch in patches),
        foreseen=sum(" foreseen " in text for text in steps),
    )


def write_report(folder: Path, file: Path, part_of: Outcome) -> Path:
    """Write ``report.md`` with its plot; the report's path."""
    (folder / "traced.svg").write_text(_plot(part_of))
    report = folder / "report.md"
    report.write_text("\n".join(_report(file, part_of)) + "\n")
    return report


def summary(outcome: Outcome) -> list[str]:
    """What was seen, in lines."""
    lines = []
    for one in outcome.followed:
        share = 100 * one.replica_seconds / outcome.static_seconds
        lines.append(
            f"{one.name}: {one.replica_seconds:.0f} replica-seconds, {share:.0f} % of"
            f" {outcome.static_replicas} replicas all the time; at most {one.largest}"
        )
        lines.append(
            f"  p99 beyond {1000 * THRESHOLD_SECONDS:.0f} ms for {one.violated_seconds:.0f} of {outcome.seconds:.0f} s;"
            f" {one.ups} steps up, {one.foreseen} of them foreseen"
        )
    lines.append(f"forecast at the end: {_forecast_text(outcome)}")
    return lines


def _forecast_text(outcome: Outcome) -> str:
    if not outcome.forecast:
        return "none"
    seasons = ", ".join(f"{one['period']} ({one['strengthPercent']} % strong)" for one in outcome.seasonality)
    error = outcome.forecast.get("errorPercentOfNaive")
    told = f", error {error} % of seasonal naive's" if error is not None else ""
    return f"{outcome.forecast.get('model')}{told}; seasons {seasons or 'none'}"


def _report(file: Path, outcome: Outcome) -> list[str]:
    return [
        f"# {file.name}, followed by Trimtab",
        "",
        f"Played from {format_time(outcome.begins_at)} for {outcome.seconds:.0f} s, after its first days as history.",
        "",
        *(f"- {line.strip()}" for line in summary(outcome)),
        "",
        "![demand, capacity and latency](traced.svg)",
        "",
        "*Replica-seconds*: pods that were ready, once a second, from kube-state-metrics' series in Prometheus."
        f" *All the time*: as many replicas as the largest load of the live part needs at"
        f" {outcome.capacity_per_replica:.1f} requests/s each, without any headroom. *Beyond*: samples of the p99 over"
        " 4 s, one a second. *Foreseen*: steps up whose Event names a forecast.",
        "",
        "```",
        outcome.kubectl.rstrip(),
        "```",
    ]


def _plot(outcome: Outcome) -> str:
    panels = []
    for name, track in outcome.tracks.items():
        times = track.times - outcome.begins_at
        asked = np.full(times.size, track.ready[np.isfinite(track.ready)][0])
        for patch in outcome.patches[name]:
            asked[track.times >= patch.at] = patch.after
        capacity = outcome.capacity_per_replica
        lines = [
            Line("demand", times, track.demand, BLUE),
            Line("capacity that is ready", times, track.ready * capacity, GREEN, stairs=True),
            Line("ordered", times, asked * capacity, GREY, stairs=True, dashed=True),
        ]
        panels.append(Panel(f"{name}, requests/s", lines))
    colours = (BLUE, ORANGE)
    latency = [
        Line(name, track.times - outcome.begins_at, 1000 * track.p99_seconds, colour)
        for (name, track), colour in zip(outcome.tracks.items(), colours, strict=True)
    ]
    panels.append(Panel("p99, ms (cut at 600)", latency, top=600.0, level=1000 * THRESHOLD_SECONDS))
    return plot("The trace, and how it was followed", panels, 0.0, outcome.seconds)


def _write(file: Path, part: Slice) -> Path:
    file.parent.mkdir(parents=True)
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["time", "value"])
        rows.writerows(enumerate(np.round(part.rates, 3).tolist()))
    return file


def _model() -> ServiceModel:
    return ServiceModel(
        requests_per_core=200, base_service_seconds=0.005, startup_seconds=STARTUP_SECONDS, noise=0.05, seed=7
    )


def _by_hand(history: FloatArray) -> int:
    """Replicas that a careful person would have set for the history."""
    return max(2, math.ceil(float(np.quantile(history, 0.99)) / _LOAD_BY_HAND))


def _scenario(load: Path, origin: float, replicas: int) -> Scenario:
    services = [
        SimulatedService(
            name=name,
            namespace=NAMESPACE,
            arrivals=Trace(path=load, noise=0.02, seed=1),
            model=_model(),
            replicas=replicas,
            cpu=0.5,
            memory=256 * 2**20,
        )
        for name in (FOLLOWED, REACTIVE)
    ]
    return Scenario(origin=origin, services=services)


def _policies() -> list[JsonObject]:
    follow = following(2, 40, stabilization_seconds=10)
    return [
        policy(FOLLOWED, "Balanced", _MOST_HISTORY_SECONDS, horizontal=follow, forecast={"horizon": "40s"}),
        policy(
            REACTIVE,
            "Balanced",
            _MOST_HISTORY_SECONDS,
            horizontal=follow,
            forecast={"horizon": "40s", "model": "None"},
        ),
    ]
