"""The whole story: set the stage, let it be played, and judge what happened."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo import cast, judging, records
from demo.acts import Acts
from demo.judging import Killing, Lead, Patch, Promise, RawMeans, Track, Trial
from demo.policies import NAMESPACE, THRESHOLD_SECONDS
from demo.screen import Screen
from demo.setting import OPERATOR_USER, Setting, setting
from demo.stage import StageError
from demo.watching import Note, Watch
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.scenario import Scenario, SimulatedService

LIVE_SECONDS: Final = 224.0
_LOOK_SECONDS: Final = 1.0
_HISTORY_SECONDS: Final = float(cast.HISTORY_DAYS * cast.DAY_SECONDS)
_SERVICES: Final = tuple(cast.PARTS)


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, all that a report needs."""

    begins_at: float
    ends_at: float
    history_samples: int
    notes: tuple[Note, ...]
    tracks: Mapping[str, Track]
    history: Mapping[str, Track]
    """The last day before life began."""
    capacity_per_replica: float
    """Requests/s that a pod of ``checkout`` carries within the threshold, by the simulation's model."""
    patches: Mapping[str, Sequence[Patch]]
    leads: Mapping[str, Sequence[Lead]]
    trials: Mapping[str, Trial | None]
    raw: Mapping[str, RawMeans | None]
    killing: Killing | None
    promises: Sequence[Promise]
    captures: Mapping[str, str]
    runs: Sequence[JsonObject]


async def play(folder: Path, screen: Screen) -> Story:
    """Play the story; raw files go into ``folder``. Raises ClusterError or StageError when it could not be played."""

    def scenario_from(begins_at: float) -> Scenario:
        return cast.scenario(folder, begins_at - _HISTORY_SECONDS)

    minutes = LIVE_SECONDS / 60
    screen.say(f"A real API server, a real Prometheus, {minutes:.1f} minutes; a day passes in {cast.DAY_SECONDS} s.")
    for name, part in cast.PARTS.items():
        screen.say(f"  [bold]{name:<18}[/] {part}")
    place = setting(folder, NAMESPACE, _HISTORY_SECONDS, scenario_from, cast.policies(), screen.step)
    async with place as scene, Watch(scene.stage, _SERVICES, scene.begins_at) as watch:
        acts = Acts(scene.stage, watch, scene.stage.operator())
        for name in _SERVICES:
            acts.specs_before[name] = records.spec_text(await scene.stage.workload(name))
        shortfall = await _live(acts, watch, screen)
        return await _gather(scene, acts, watch, shortfall)


async def _live(acts: Acts, watch: Watch, screen: Screen) -> str:
    """Show what happens until the end; why the acts could not be played, if they could not."""
    playing = asyncio.create_task(acts.play())
    try:
        with screen.live(watch, LIVE_SECONDS) as picture:
            while watch.seconds < LIVE_SECONDS:
                await watch.look()
                screen.show(watch, LIVE_SECONDS, picture)
                process = acts.operator.process
                if not acts.operator.ended and not process.alive():
                    raise StageError(f"the operator ended by itself; the end of its log:\n{process.log_tail()}")
                await asyncio.sleep(_LOOK_SECONDS)
        if not playing.done():
            return "the planted changes had not ended when the story was over"
        await playing
    except StageError as error:
        return str(error)
    finally:
        playing.cancel()
    return ""


async def _gather(scene: Setting, acts: Acts, watch: Watch, shortfall: str) -> Story:
    """Read back what was recorded, and judge it."""
    stage, ends_at = scene.stage, time.time() - 1.0
    captures = dict(acts.captures)
    captures["kubectl get perf,orun -A, at the end"] = await acts.capture()
    captures["kubectl get perf -n shop -o wide, at the end"] = await stage.kubectl("get", "perf", "-o", "wide")
    captures[f"kubectl describe perf {cast.CHECKOUT} -n shop"] = await stage.kubectl("describe", "perf", cast.CHECKOUT)
    captures["kubectl get events -n shop --field-selector source=trimtab"] = await stage.kubectl(
        "get", "events", "--sort-by=.lastTimestamp", "--field-selector", "source=trimtab"
    )
    runs = await stage.runs()
    records.keep_audit(scene.audit_log, NAMESPACE, stage.folder / "audit.log")
    tracks = await records.tracks(stage.prometheus_url, scene.scenario, scene.begins_at, ends_at)
    whole = await records.tracks(stage.prometheus_url, scene.scenario, scene.begins_at - cast.DAY_SECONDS, ends_at)
    capacity = records.capacity_within(_service(scene, cast.CHECKOUT), THRESHOLD_SECONDS)
    patches = {
        name: records.patches(scene.audit_log, NAMESPACE, name, OPERATOR_USER)
        for name in (cast.CHECKOUT, cast.REACTIVE)
    }
    leads = {name: judging.leads(patches[name], tracks[name].times, tracks[name].demand, capacity) for name in patches}
    trials = {name: records.trial_of(runs, name) for name in (cast.PAYMENTS, cast.SEARCH, cast.CATALOG, cast.BILLING)}
    raw = {
        name: judging.raw_means(whole[name], trial) if trial is not None and trial.measured_at else None
        for name, trial in trials.items()
    }
    specs_after = {name: records.spec_text(await stage.workload(name)) for name in _SERVICES}
    promises = _judge(acts, tracks, capacity, leads, trials, raw, specs_after, shortfall)
    return Story(
        begins_at=scene.begins_at,
        ends_at=ends_at,
        history_samples=scene.history_samples,
        notes=tuple(watch.notes),
        tracks=tracks,
        history=whole,
        capacity_per_replica=capacity,
        patches=patches,
        leads=leads,
        trials=trials,
        raw=raw,
        killing=acts.killing,
        promises=promises,
        captures=captures,
        runs=runs,
    )


def _judge(
    acts: Acts,
    tracks: Mapping[str, Track],
    capacity: float,
    leads: Mapping[str, Sequence[Lead]],
    trials: Mapping[str, Trial | None],
    raw: Mapping[str, RawMeans | None],
    specs_after: Mapping[str, str],
    shortfall: str,
) -> tuple[Promise, ...]:
    checkout, threshold = tracks[cast.CHECKOUT], THRESHOLD_SECONDS
    low = cast.MIN_REPLICAS * capacity
    ahead = judging.ahead_of_demand(
        leads[cast.CHECKOUT],
        leads[cast.REACTIVE],
        judging.rises(checkout.times, checkout.demand, low, low),
        cast.STARTUP_SECONDS,
        (judging.violated_seconds(checkout, threshold), judging.violated_seconds(tracks[cast.REACTIVE], threshold)),
    )
    payments, search = cast.PAYMENTS, cast.SEARCH
    kept = judging.good_kept(trials[payments], raw[payments], acts.specs_before[payments], specs_after[payments])
    undone = judging.bad_undone(trials[search], raw[search], acts.specs_before[search], specs_after[search], threshold)
    survived = judging.survived(trials[cast.CATALOG], acts.killing)
    specs = acts.specs_before[cast.BILLING], specs_after[cast.BILLING]
    pods = int(json.loads(specs[0])["replicas"])
    impossible = judging.impossible_undone(trials[cast.BILLING], tracks[cast.BILLING], pods, *specs)
    if shortfall and acts.killing is None:
        survived = Promise(survived.title, survived.evidence, (*survived.broken, shortfall))
    elif shortfall:
        impossible = Promise(impossible.title, impossible.evidence, (*impossible.broken, shortfall))
    return ahead, kept, undone, survived, impossible


def _service(scene: Setting, name: str) -> SimulatedService:
    return next(service for service in scene.scenario.services if service.name == name)
