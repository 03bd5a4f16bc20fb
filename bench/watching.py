"""What the watch for anomalies is worth: its false alarms, and which injected anomalies it finds and names."""

from __future__ import annotations

import argparse
import pickle
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.seasonality import SeasonFound
from trimtab.analytics.signal_watch import SignalWatch
from trimtab.analytics.watch import watch as watch_round
from trimtab.domain.choices import AnomalyKind, Sensitivity
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.series import FloatArray, Series

STEP = 60.0
DAY, WEEK = 86_400.0, 604_800.0
SAMPLES_A_WEEK = int(WEEK / STEP)
WARM = 2 * SAMPLES_A_WEEK
BEFORE, INSIDE, AFTER = 60, 120, 60
SIZES = (3.0, 5.0, 8.0)
SIX = ("load", "cpu/app", "cpu/sidecar", "memory/app", "memory/sidecar", "objective/latency")
SEASONAL = ("season", "poisson", "multiplicative")
NATURES = ("white", "ar 0.5", "ar 0.9", "student t4", *SEASONAL)
"""Poisson counts have a mean of 60; all three seasonal ones have a day and a week."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Base, noise around it and size of the noise, of one nature; shape (n,) each."""

    base: FloatArray
    noise: FloatArray
    sigma: FloatArray
    periods: tuple[SeasonFound, ...]


def stream(nature: str, length: int, seed: int) -> Stream:
    """A seeded stream without anomalies."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal(length)
    times = np.arange(length) * STEP
    wave = 1 + 0.5 * np.sin(2 * np.pi * times / DAY) + 0.15 * np.sin(2 * np.pi * times / WEEK)
    periods = (SeasonFound(DAY, 80), SeasonFound(WEEK, 10))
    flat, even = np.full(length, 100.0), np.full(length, 10.0)
    match nature:
        case "white":
            return Stream(flat, 10 * shocks, even, ())
        case "ar 0.5" | "ar 0.9":
            rho = float(nature.split()[1])
            noise = np.empty(length)
            noise[0] = shocks[0]
            for index in range(1, length):
                noise[index] = rho * noise[index - 1] + np.sqrt(1 - rho**2) * shocks[index]
            return Stream(flat, 10 * noise, even, ())
        case "student t4":
            return Stream(flat, 10 * rng.standard_t(4, length) / np.sqrt(2), even, ())
        case "season":
            return Stream(200 * wave, 10 * shocks, even, periods)
        case "poisson":
            return Stream(60 * wave, rng.poisson(60 * wave) - 60 * wave, np.sqrt(60 * wave), periods)
        case _:
            return Stream(200 * wave, 200 * wave * (np.exp(0.08 * shocks) - 1), 16 * wave, periods)


def watched(watch: SignalWatch, values: FloatArray, start: int) -> Iterator[Anomaly]:
    """Anomalies in values that begin at index ``start``; the last may go on."""
    for index, value in enumerate(values.tolist(), start):
        ended, _ = watch.step(index * STEP, value)
        if ended is not None:
            yield ended
    if (going_on := watch.anomaly()) is not None:
        yield going_on


def warmed(nature: str, made: Stream) -> SignalWatch:
    """A watch that has seen two weeks."""
    watch = SignalWatch.start(nature, "", STEP, Sensitivity.MEDIUM)
    values = (made.base + made.noise)[:WARM]
    watch.expectation.reseason(made.periods, Series(0.0, STEP, values))
    for index, value in enumerate(values.tolist()):
        watch.step(index * STEP, value)
    return watch


def injected(
    kind: AnomalyKind, size: float, made: Stream, at: int, rng: np.random.Generator
) -> tuple[FloatArray, int] | None:
    """Values from ``at`` on with one anomaly after 60 samples, and its length; None where the kind cannot be there."""
    here = slice(at, at + BEFORE + INSIDE + AFTER)
    base, noise, sigma = made.base[here], made.noise[here].copy(), made.sigma[here]
    values = base + noise
    sign = 1.0 if kind is AnomalyKind.SPIKE or (kind is not AnomalyKind.DIP and rng.random() < 0.5) else -1.0
    low, high = float(made.base[:WARM].min()), float(made.base[:WARM].max())
    swing = (high - low) if made.periods else 0.0
    move = sign * size * sigma[BEFORE]
    away = base[BEFORE] + move
    contextual = made.periods and low <= away <= high and abs(move) >= 0.25 * swing
    moved = (AnomalyKind.SPIKE, AnomalyKind.DIP, AnomalyKind.LEVEL_SHIFT, AnomalyKind.TREND_CHANGE)
    below_zero = away < 0.0 or (kind is AnomalyKind.TREND_CHANGE and base[BEFORE] + 2 * move < 0.0)
    if kind in moved and (below_zero or contextual):
        return None
    length = INSIDE
    match kind:
        case AnomalyKind.SPIKE | AnomalyKind.DIP:
            length = int(rng.integers(1, 5))
            values[BEFORE : BEFORE + length] += move
        case AnomalyKind.LEVEL_SHIFT:
            values[BEFORE:] += move
        case AnomalyKind.TREND_CHANGE:
            values[BEFORE:] += move * np.arange(1, values.size - BEFORE + 1) / 60.0
        case AnomalyKind.VARIANCE_CHANGE:
            values[BEFORE : BEFORE + length] += (size - 1.0) * noise[BEFORE : BEFORE + length]
        case AnomalyKind.CONTEXTUAL:
            length = int(rng.integers(1, 41))
            other = made.base[int(rng.integers(WARM))]
            least = max(size * sigma[BEFORE], 0.3 * swing)
            if not made.periods or not least <= abs(other - base[BEFORE]) <= 1.5 * least:
                return None
            values[BEFORE : BEFORE + length] += other - base[BEFORE]
        case AnomalyKind.COLLECTIVE:
            length = 40
            inside = slice(BEFORE, BEFORE + length)
            if rng.random() < 0.5:
                values[inside] = values[BEFORE]
            else:
                values[inside] = base[inside] + 1.5 * sigma[inside] * (-1.0) ** np.arange(length)
    return values, length


def found_in(watch: SignalWatch, values: FloatArray, at: int, length: int) -> Anomaly | None:
    """The anomaly that overlaps the injected one; the longest if there are several."""
    first, last = (at + BEFORE - 2) * STEP, (at + BEFORE + length + 4) * STEP
    hits = [one for one in watched(watch, values, at) if one.start <= last and (one.end is None or one.end >= first)]
    return max(hits, key=lambda one: (one.end or (at + values.size) * STEP) - one.start, default=None)


Rates = dict[Sensitivity, dict[str, float]]


def false_alarms(seeds: int, weeks: int) -> tuple[Rates, float]:
    """(Alarms a week by sensitivity and nature, microseconds of processor time a sample)."""
    alarms: Rates = {sensitivity: dict.fromkeys(NATURES, 0.0) for sensitivity in Sensitivity}
    seconds = 0.0
    for nature in NATURES:
        for seed in range(seeds):
            made = stream(nature, WARM + weeks * SAMPLES_A_WEEK, 7000 + seed)
            warm = warmed(nature, made)
            for sensitivity, rates in alarms.items():
                watch = warm.copy()
                watch.tune(sensitivity)
                began = time.process_time()
                rates[nature] += sum(1 for _ in watched(watch, (made.base + made.noise)[WARM:], WARM)) / seeds / weeks
                seconds += time.process_time() - began
    samples = len(alarms) * len(NATURES) * seeds * weeks * SAMPLES_A_WEEK
    return alarms, 1e6 * seconds / samples


Tried = tuple[str, AnomalyKind, float, AnomalyKind | None]


def detections(seeds: int, trials: int) -> list[Tried]:
    """(Nature, kind, size, kind found or None) of every injected anomaly."""
    tried: list[Tried] = []
    for nature in NATURES:
        for seed in range(seeds):
            rng = np.random.default_rng(8500 + seed)
            made = stream(nature, WARM + 2 * SAMPLES_A_WEEK, 8000 + seed)
            warm = warmed(nature, made)
            for kind in AnomalyKind:
                for size in SIZES if kind is not AnomalyKind.COLLECTIVE else (0.0,):
                    tried += _try(nature, kind, size, made, warm, trials, rng)
    return tried


def _try(
    nature: str, kind: AnomalyKind, size: float, made: Stream, warm: SignalWatch, trials: int, rng: np.random.Generator
) -> Iterator[Tried]:
    done = 0
    for _ in range(40 * trials):
        if done == trials:
            return
        at = WARM + int(rng.integers(SAMPLES_A_WEEK))
        made_here = injected(kind, size, made, at, rng)
        if made_here is not None:
            found = found_in(warm.copy(), made_here[0], at, made_here[1])
            yield nature, kind, size, found.kind if found else None
            done += 1


def lost_patterns(seeds: int) -> float:
    """How often, in percent, a saw of 37 samples that turns flat or twice as fast is told, none of it unusual."""
    length, lasting, told = 8_500, 80, 0
    count = np.arange(length + lasting)
    for seed in range(seeds):
        rng = np.random.default_rng(9000 + seed)
        speed = np.where(count >= length, 2 * (seed % 2), 1)
        saw = np.where(speed > 0, (speed * count % 37) / 37 - 0.5, 0.0)
        values = 100 + 60 * saw + 5 * rng.standard_normal(count.size)
        watch = SignalWatch.start("saw", "", STEP, Sensitivity.MEDIUM)
        opened = set()
        for index, value in enumerate(values.tolist()):
            watch.step(index * STEP, value)
            if watch.episode is not None:
                opened.add(watch.episode.opened)
        told += max(opened, default=0.0) >= length * STEP
    return 100.0 * told / seeds


def rounds_of_six(rounds: int = 200) -> tuple[float, float]:
    """(Milliseconds of processor time a round with one new sample of six seasonal signals, KiB of its state)."""
    made = [stream("season", WARM + rounds, 9500 + seed) for seed in range(6)]
    values = [one.base + one.noise for one in made]

    def until(end: int) -> WorkloadHistory:
        load, app, sidecar, heap, cache, latency = (Series(0.0, STEP, one[:end]) for one in values)
        still = Series(0.0, STEP, np.ones(end))
        return WorkloadHistory(
            load=load,
            replicas=still,
            cpu_size=still,
            cpu_cores={"app": app, "sidecar": sidecar},
            memory_bytes={"app": heap, "sidecar": cache},
            objectives={"latency": latency},
        )

    state, seconds = None, 0.0
    seasons = dict.fromkeys(SIX, made[0].periods)
    for end in range(WARM, WARM + rounds):
        past, first = until(end), state is None
        began = time.process_time()
        found = watch_round(
            past, previous=state, sensitivity=Sensitivity.MEDIUM, seasons=seasons, changes=(), now=end * STEP
        )
        seconds += 0.0 if first else time.process_time() - began
        state = found.state
    return 1e3 * seconds / (rounds - 1), len(pickle.dumps(state)) / 1024


def main() -> None:
    """Measure all, print tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=4)
    options.add_argument("--weeks", type=int, default=3)
    options.add_argument("--trials", type=int, default=4)
    given = options.parse_args()
    rates, cost = false_alarms(given.seeds, given.weeks)
    print(
        f"false alarms a week in {given.seeds * given.weeks} weeks of each nature (stated: Low 0.23, Medium 1, High 7)"
    )
    for sensitivity, by_nature in rates.items():
        listed = ", ".join(f"{name} {rate:.2f}" for name, rate in by_nature.items())
        print(f"  {sensitivity.value:7} mean {np.mean(list(by_nature.values())):.2f}: {listed}", flush=True)
    tried = detections(given.seeds, given.trials)
    print("detected at Medium, percent, by kind and size in sigma (times the usual spread for VarianceChange)")
    for kind in AnomalyKind:
        cells = []
        for size in SIZES if kind is not AnomalyKind.COLLECTIVE else (0.0,):
            these = [one for one in tried if one[1] is kind and one[2] == size]
            found = {name: [one[3] is not None for one in these if one[0] == name] for name in NATURES}
            worst = min((float(np.mean(hits)), name) for name, hits in found.items() if hits)
            share = np.mean([one[3] is not None for one in these])
            cells.append(f"{size:.0f}: {100 * share:3.0f} (worst {worst[1]} {100 * worst[0]:.0f})")
        print(f"  {kind.value:15}", "   ".join(cells))
    print("kind found (columns) of those injected (rows)")
    print(" " * 18, *(f"{kind.value:>14}" for kind in AnomalyKind), f"{'missed':>8}")
    for kind in AnomalyKind:
        row = Counter(one[3] for one in tried if one[1] is kind)
        print(f"  {kind.value:15} ", *(f"{row[other]:14}" for other in AnomalyKind), f"{row[None]:8}")
    print(f"a lost pattern is told in {lost_patterns(2 * given.seeds):.0f} %")
    spent, size = rounds_of_six()
    print(f"a round with one new sample of six signals takes {spent:.2f} ms, and their state {size:.0f} KiB")
    seen = [one for one in tried if one[3] is not None]
    five = [one for one in tried if one[2] in (5.0, 0.0)]
    print(
        f"false_alarms_per_week={np.mean(list(rates[Sensitivity.MEDIUM].values())):.2f}"
        f" detected_5_sigma_percent={100 * np.mean([one[3] is not None for one in five]):.1f}"
        f" kind_accuracy_percent={100 * np.mean([one[1] is one[3] for one in seen]):.1f}"
        f" us_per_sample={cost:.1f}"
    )


if __name__ == "__main__":
    main()
