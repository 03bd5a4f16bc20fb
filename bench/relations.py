"""What the joint watch of all signals is worth: changes that no signal shows by itself, and its false alarms."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.joint_model import learn_together
from trimtab.analytics.seasonality import SeasonFound
from trimtab.analytics.watch import WatchState, watch
from trimtab.domain.choices import Sensitivity
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.series import FloatArray, Series

STEP, DAY = 60.0, 1440
LEARNED = 14 * DAY
"""Samples seen before anything is counted: first sight after a week, and a week of rounds."""
ROUND, LASTING = 240, 60
PERIODS = (SeasonFound(86_400.0, 80), SeasonFound(604_800.0, 10))
SEASONS = dict.fromkeys(("load", "cpu/app", "objective/latency", "objective/errors"), PERIODS)
WORLDS = ("steady", "followed", "noisy", "nightly job", "rollouts")
CHANGES: Final = {
    "CPU a request": ("cost", 1.03, "cpu/app"),
    "latency at the same load": ("latency", 1.2, "objective/latency"),
    "share of errors": ("errors", 1.6, "objective/errors"),
    "memory at the same load": ("memory", 1.02, "memory/app"),
}
GAINS = (0.25, 0.06)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Something that is different by a factor for an hour."""

    what: str
    factor: float
    at: int

    def on(self, what: str, length: int) -> FloatArray:
        """The factor by sample, shape (length,)."""
        factors = np.ones(length)
        if what == self.what:
            factors[self.at : self.at + LASTING] = self.factor
        return factors


NOTHING = Stretch("", 1.0, 0)


def wandering(rng: np.random.Generator, length: int, rho: float) -> FloatArray:
    """Standard normal AR(1), shape (length,)."""
    shocks = rng.standard_normal(length) * np.sqrt(1.0 - rho**2)
    values = np.empty(length)
    values[0] = rng.standard_normal()
    for index in range(1, length):
        values[index] = rho * values[index - 1] + shocks[index]
    return values


@dataclass(frozen=True, slots=True)
class World:
    """One seeded workload at a minute: a queue with a day and a week, whose load wanders by 8 %."""

    nature: str
    length: int
    seed: int
    rollouts: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Every third day brings another version."""
        every = range(2 * DAY + 300, self.length, 3 * DAY) if self.nature == "rollouts" else ()
        object.__setattr__(self, "rollouts", tuple(every))

    def signals(self, stretch: Stretch = NOTHING) -> dict[str, FloatArray]:
        """Values by name, shape (length,) each; what is odd changes nothing before it."""
        rng, length = np.random.default_rng(self.seed), self.length
        times = np.arange(length) * STEP
        wave = 1 + 0.5 * np.sin(2 * np.pi * times / 86_400) + 0.1 * np.sin(2 * np.pi * times / 604_800)
        load = 200 * wave * np.exp(0.08 * wandering(rng, length, 0.9))
        loud = 4.0 if self.nature == "noisy" else 1.0
        cost = 0.01 * stretch.on("cost", length)
        for at in self.rollouts:
            cost[at:] *= rng.uniform(0.92, 1.09)
        cpu = load * cost * np.exp(0.01 * loud * rng.standard_normal(length))
        replicas = np.full(length, 6.0)
        if self.nature == "followed":
            replicas = np.maximum(np.ceil(np.repeat(load[::30], 30)[:length] / 50), 2.0)
        busy = np.minimum(cpu / replicas / 1.0, 0.95)
        if self.nature == "nightly job":
            cpu = cpu + 1.5 * (np.arange(length) % DAY < 40)
        noise = rng.standard_t(4, length) / np.sqrt(2) if self.nature == "noisy" else rng.standard_normal(length)
        latency = 0.05 / (1 - busy) * np.exp(0.08 * noise) * stretch.on("latency", length)
        held = np.convolve(load, np.ones(10) / 10, "full")[:length]
        memory = (3e8 + 2e5 * held) * stretch.on("memory", length) + 2e6 * loud * rng.standard_normal(length)
        errors = rng.poisson(load * 60 * 0.002 * stretch.on("errors", length)) / (load * 60)
        return {
            "load": load,
            "replicas": replicas,
            "cpu": cpu,
            "memory": memory,
            "latency": latency,
            "errors": errors,
        }


def history(values: dict[str, FloatArray], end: int) -> WorkloadHistory:
    """The week before sample ``end``."""
    start = max(end - 7 * DAY, 0)

    def series(name: str, unit: str = "") -> Series:
        return Series(start * STEP, STEP, values[name][start:end], unit)

    return WorkloadHistory(
        load=series("load", "requests/s"),
        replicas=series("replicas"),
        cpu_size=Series(start * STEP, STEP, np.ones(end - start)),
        cpu_cores={"app": series("cpu", "cores")},
        memory_bytes={"app": series("memory")},
        objectives={"latency": series("latency", "s"), "errors": series("errors")},
    )


def look(
    world: World, values: dict[str, FloatArray], end: int, before: WatchState | None, sensitivity: Sensitivity
) -> tuple[WatchState, list[Anomaly]]:
    """(state after the samples up to ``end``, anomalies that opened)"""
    told = watch(
        history(values, end),
        previous=before,
        sensitivity=sensitivity,
        seasons=SEASONS,
        changes=[at * STEP for at in world.rollouts if at < end],
        now=(end - 1) * STEP,
    )
    return told.state, list(told.new)


def together(one: Anomaly) -> bool:
    """Whether an anomaly was told by the joint watch."""
    return " goes with " in one.evidence


@dataclass(slots=True)
class Tally:
    """What was counted in one world."""

    weeks: float = 0.0
    false_alarms: int = 0
    tried: list[tuple[str, bool, bool, bool]] = field(default_factory=list)
    """Change, found by one signal, found by the joint watch, of the right signal."""
    seconds: float = 0.0
    rounds: int = 0


def play(nature: str, seed: int, weeks: int, trials: int) -> Tally:
    """Count false alarms of the joint watch for ``weeks``, and inject each change ``trials`` times in the first."""
    world, tally = World(nature, LEARNED + weeks * 7 * DAY, seed), Tally(weeks=float(weeks))
    values = world.signals()
    state, _ = look(world, values, 7 * DAY, None, Sensitivity.MEDIUM)
    rng = np.random.default_rng(seed)
    moments = set(rng.choice(np.arange(LEARNED, LEARNED + 7 * DAY, ROUND), trials, replace=False).tolist())
    for end in range(7 * DAY + ROUND, world.length + 1, ROUND):
        state, new = look(world, values, end, state, Sensitivity.MEDIUM)
        tally.false_alarms += sum(together(one) for one in new) if end > LEARNED else 0
        if end in moments:
            for name, (what, factor, signal) in CHANGES.items():
                tally.tried.append(inject(world, name, Stretch(what, factor, end + 20), signal, state))
    began = time.process_time()
    for end in range(world.length - 20, world.length):
        state, _ = look(world, values, end, state, Sensitivity.MEDIUM)
    tally.seconds, tally.rounds = time.process_time() - began, 20
    return tally


def inject(world: World, name: str, stretch: Stretch, signal: str, state: WatchState) -> tuple[str, bool, bool, bool]:
    """Play one change from ``state`` on."""
    values = world.signals(stretch)
    _, new = look(world, values, stretch.at + LASTING, state, Sensitivity.MEDIUM)
    hits = [one for one in new if one.start >= (stretch.at - 10) * STEP]
    alone = [one for one in hits if not together(one)]
    joint = [one for one in hits if together(one)]
    return name, bool(alone), bool(joint), bool(joint) and joint[0].signal == signal


Score = Callable[[FloatArray], FloatArray]


def scores_of(world: World, stretch: Stretch) -> Iterator[tuple[str, FloatArray]]:
    """Scores of the last week by the forest and by what it is compared with, from one model of the days before."""
    values = world.signals(stretch)
    names, start = ("cpu", "memory", "latency", "errors", "load", "replicas"), LEARNED
    rows = np.column_stack([values[name] for name in names])
    learned = learn_together(names, 4, rows[start - 2000 : start])
    assert learned is not None, "all signals are there"
    model, offsets = learned
    rows = rows[:, [names.index(name) for name in model.names]]
    past = model.relations.residuals(rows[start - 2000 : start]) - offsets
    left = model.relations.residuals(rows[start:]) - offsets
    left[~model.relations.known(rows[start:])] = 0.0
    inverse = np.linalg.inv(np.cov(np.clip(past, -8, 8).T) + 0.01 * np.eye(4))
    held = np.clip(left, -8, 8)
    yield "forest and largest", model.scores(left)
    yield "isolation forest", model.forest.scores(left)
    yield "largest residual", np.abs(left).max(axis=1)
    yield "Hotelling's T2", np.einsum("ni,ij,nj->n", held, inverse, held)


def smoothed(scores: FloatArray, gain: float) -> FloatArray:
    """Exponentially weighted mean, shape (n,)."""
    found, mean = np.empty(scores.size), float(scores[0])
    for index, score in enumerate(scores.tolist()):
        mean += gain * (score - mean)
        found[index] = mean
    return found


def compared(nature: str, seeds: int, trials: int) -> dict[str, list[bool]]:
    """Which changes each score finds where the clean weeks of all seeds alarm once a week."""
    worlds = [World(nature, LEARNED + 7 * DAY, 40_000 + seed) for seed in range(seeds)]
    highest: dict[tuple[str, float], list[float]] = {}
    for world in worlds:
        for name, scores in scores_of(world, NOTHING):
            for gain in GAINS:
                blocks = smoothed(scores, gain)[: 7 * DAY].reshape(-1, LASTING).max(axis=1)
                highest.setdefault((name, gain), []).extend(blocks.tolist())
    limits = {key: sorted(blocks)[-1 - seeds // len(GAINS)] for key, blocks in highest.items()}
    found: dict[str, list[bool]] = {}
    for world in worlds:
        rng = np.random.default_rng(world.seed)
        for what, factor, _ in CHANGES.values():
            for at in rng.integers(LEARNED + 100, world.length - 100, trials).tolist():
                here = slice(at - LEARNED, at - LEARNED + LASTING)
                for name, scores in scores_of(world, Stretch(what, factor, at)):
                    beyond = [smoothed(scores, gain)[here].max() > limits[name, gain] for gain in GAINS]
                    found.setdefault(name, []).append(any(beyond))
    return found


def main() -> None:
    """Measure both, print tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=4)
    options.add_argument("--weeks", type=int, default=2)
    options.add_argument("--trials", type=int, default=6)
    given = options.parse_args()
    alarms, tried, seconds, rounds = [], [], 0.0, 0
    print("false alarms of the joint watch a week (stated for Medium: 1)")
    for nature in WORLDS:
        tallies = [play(nature, 30_000 + seed, given.weeks, given.trials) for seed in range(given.seeds)]
        rate = sum(one.false_alarms for one in tallies) / sum(one.weeks for one in tallies)
        print(f"  {nature:12} {rate:.2f}", flush=True)
        alarms.append(rate)
        tried += [(nature, *one) for tally in tallies for one in tally.tried]
        seconds += sum(one.seconds for one in tallies)
        rounds += sum(one.rounds for one in tallies)
    print("changes of an hour that are found, percent: by one signal, by the joint watch, of the right signal")
    for name in CHANGES:
        these = [one for one in tried if one[1] == name]
        cells = []
        for nature in WORLDS:
            here = [one for one in these if one[0] == nature]
            shares = [100 * np.mean([one[place] for one in here]) for place in (2, 3, 4)]
            cells.append(f"{nature} " + "/".join(f"{share:.0f}" for share in shares))
        print(f"  {name:25}", ", ".join(cells))
    print("changes found with one model of 2,000 samples where clean weeks alarm once a week, percent")
    for nature in WORLDS[:3]:
        hits = compared(nature, 3 * given.seeds, given.trials)
        print(f"  {nature:12}", ", ".join(f"{name} {100 * np.mean(one):.0f}" for name, one in hits.items()), flush=True)
    found = [one[2] or one[3] for one in tried]
    print(
        f"false_alarms_per_week={np.mean(alarms):.2f} found_percent={100 * np.mean(found):.0f}"
        f" found_alone_percent={100 * np.mean([one[2] for one in tried]):.0f}"
        f" right_signal_percent={100 * np.mean([one[4] for one in tried if one[3]]):.0f}"
        f" ms_per_round={1e3 * seconds / rounds:.2f}"
    )


if __name__ == "__main__":
    main()
