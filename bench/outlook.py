"""How good the outlook is on seeded workloads: warnings against breaches, probabilities against outcomes, its cost.

Arguments: seeds of each kind of workload (default 5), and the first seed (default 1000).
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from bench.outlook_worlds import DAY, HORIZON, PLAYED, STEP, WARM_DAYS, WORLDS, World, world
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.capacity_plan import PodSize
from trimtab.forecasting.daily_peaks import DailyPeaks, PeakTrend, peak_trend
from trimtab.forecasting.early_warning import BREACH_SAMPLES, Source, breaches
from trimtab.forecasting.forecast import Forecast, forecast
from trimtab.forecasting.reliability import Reliability
from trimtab.forecasting.state import FittedState
from trimtab.planning.learning import Learned, learn
from trimtab.planning.outlook import OutlookInputs, OutlookRecords, OutlookState, look_ahead
from trimtab.planning.strategies import STRATEGIES

EVERY = 2
"""Samples between rounds."""
APART = 30
"""Samples without a breach that set two breaches apart."""
PROBABILITY_EVERY = 15
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0001)


@dataclass
class Tally:
    """What was counted for one kind of workload."""

    breaches: int = 0
    foreseen: int = 0
    warnings: int = 0
    right: int = 0
    leads: list[float] = field(default_factory=list)
    issued: list[tuple[float, float, bool]] = field(default_factory=list)
    """Probability uncorrected, corrected, and whether it held."""
    seconds: list[float] = field(default_factory=list)
    hours: float = 0.0

    def add(self, other: Tally) -> None:
        """Count another one in."""
        self.breaches += other.breaches
        self.foreseen += other.foreseen
        self.warnings += other.warnings
        self.right += other.right
        self.leads += other.leads
        self.issued += other.issued
        self.seconds += other.seconds
        self.hours += other.hours

    def row(self, name: str) -> str:
        """One line of the table."""
        precision = 100 * self.right / self.warnings if self.warnings else math.nan
        recall = 100 * self.foreseen / self.breaches if self.breaches else math.nan
        lead = float(np.median(self.leads)) if self.leads else math.nan
        return (
            f"{name:<12}{self.breaches:>9}{self.warnings:>10}{precision:>11.0f}{recall:>9.0f}{lead:>11.0f}"
            f"{brier(self.issued, 0):>9.3f}{brier(self.issued, 1):>11.3f}"
        )


def brier(issued: list[tuple[float, float, bool]], which: int) -> float:
    """Mean squared error of the probabilities."""
    return float(np.mean([(one[which] - one[2]) ** 2 for one in issued])) if issued else math.nan


def onsets(value: FloatArray, threshold: float) -> list[int]:
    """Samples at which a breach begins after it held for half an hour."""
    beyond = value > threshold
    begins = np.flatnonzero(breaches(beyond, BREACH_SAMPLES))
    found, last = [], -APART - 1
    for begin in begins.tolist():
        if begin - last > APART:
            found.append(begin)
        last = begin
    return found


def play(one: World) -> Tally:
    """All rounds of one workload."""
    tally, spec = Tally(hours=PLAYED * STEP / 3600), one.spec()
    probability = STRATEGIES[spec.strategy].capacity_probability
    first, last = WARM_DAYS * DAY, WARM_DAYS * DAY + PLAYED
    fitted: FittedState | None = None
    learned: Learned | None = None
    state: OutlookState | None = None
    records: OutlookRecords | None = None
    raised: list[tuple[int, int]] = []
    active: int | None = None
    held = np.array(
        [not breaches(one.value[i + 1 : i + 1 + HORIZON] > 0.25, BREACH_SAMPLES).any() for i in range(last)]
    )
    for now in range(first, last, EVERY):
        history = one.history(now + 1)
        at = now * STEP
        ahead = forecast(history.load, now=at, horizon_seconds=HORIZON * STEP, previous=fitted)
        fitted = ahead.state if isinstance(ahead, Forecast) else None
        if learned is None or learned.outdated(history, tuple(spec.objectives), None, at):
            learned = learn(history, tuple(spec.objectives), {}, None, at)
        inputs = OutlookInputs(
            spec=spec,
            history=history,
            forecast=ahead,
            curves=learned.curves,
            replicas=int(one.replicas[now]),
            pod=PodSize(0.5, 2.5e8),
            startup_seconds=40.0,
            now=at,
            capacity_per_replica=min(
                (curve.capacity(0.25, 0.5, probability) for curve in learned.curves.values()), default=math.nan
            ),
            previous=state,
            records=records,
        )
        started = time.process_time()
        found = look_ahead(inputs)
        tally.seconds.append(time.process_time() - started)
        state, records = found.state, found.records
        warned = any(warning.source is not Source.BURN_RATE for warning in found.warnings)
        if warned and active is None:
            active = now
        if active is not None and not warned:
            raised.append((active, now))
            active = None
        if (now - first) % PROBABILITY_EVERY < EVERY and isinstance(found.reliability, Reliability):
            chance = found.reliability.objectives[0]
            tally.issued.append((chance.uncorrected_percent / 100, chance.probability_percent / 100, bool(held[now])))
    if active is not None:
        raised.append((active, last))
    score(tally, raised, onsets(one.value, 0.25), first, last)
    return tally


def score(tally: Tally, raised: list[tuple[int, int]], begins: list[int], first: int, last: int) -> None:
    """Warnings against breaches: right is a warning whose breach begins while it stands or within the horizon after."""
    played = [begin for begin in begins if first + 2 * EVERY < begin < last]
    tally.breaches = len(played)
    for begin in played:
        before = [start for start, stop in raised if start < begin <= stop + HORIZON]
        if before:
            tally.foreseen += 1
            tally.leads.append((begin - before[-1]) * STEP / 60)
    for start, stop in raised:
        tally.warnings += 1
        tally.right += any(start < begin <= stop + HORIZON for begin in begins)


def plan_coverage(seeds: int) -> tuple[float, int]:
    """Share of the peaks to come, in percent, that lie in the plan's interval of 90 %, and how many were looked at."""
    inside = total = 0
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 99])
        for days in (5, 10, 21, 45):
            reach = days * 3
            n = (days + reach + 8) * 24
            t = np.arange(n) / 24.0
            week = np.where((t.astype(int) % 7) >= 5, rng.uniform(0.5, 1.0), 1.0)
            growth = 1 + rng.choice([0.0, 0.002, 0.005, -0.002]) * t
            wave = 100 * week * growth * (1 + 0.4 * np.sin(2 * np.pi * t))
            load = Series(0.0, 3600.0, np.maximum(wave * np.exp(rng.normal(0, rng.uniform(0.03, 0.1), n)), 0.0))
            now = days * 86_400.0
            known = load.between(0.0, now)
            found = peak_trend(known, DailyPeaks().add(known, now), [86_400.0], now)
            if not isinstance(found, PeakTrend):
                continue
            for ahead in (7, reach):
                week_then = load.between(now + (ahead - 3.5) * 86_400, now + (ahead + 3.5) * 86_400).values
                peak = float(np.quantile(week_then, 0.995))
                low, high = found.interval(ahead)
                inside, total = inside + (low <= peak <= high), total + 1
    return 100 * inside / total, total


def main() -> None:
    """Play everything and print the tables."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    base = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    total = Tally()
    hours = PLAYED * STEP / 3600
    print(
        f"{len(WORLDS)} kinds of workload, {seeds} seeds each, {hours:.0f} h played after {WARM_DAYS} days of history"
    )
    print(f"{'kind':<12}{'breaches':>9}{'warnings':>10}{'precision':>11}{'recall':>9}{'lead min':>11}", end="")
    print(f"{'brier':>9}{'corrected':>11}")
    for place in range(len(WORLDS)):
        kind = Tally()
        for seed in range(seeds):
            kind.add(play(world(place, base + seed)))
        print(kind.row(world(place, base).kind), flush=True)
        total.add(kind)
    print(total.row("all"))
    print_diagram(total.issued)
    coverage, peaks = plan_coverage(25)
    print(f"capacity plan: {peaks} peaks, {coverage:.0f} % inside the interval of 90 %")
    figures = {
        "brier": f"{brier(total.issued, 1):.4f}",
        "calibration_error_percent": f"{100 * calibration_error(total.issued):.1f}",
        "warning_precision_percent": f"{100 * total.right / max(total.warnings, 1):.0f}",
        "warning_recall_percent": f"{100 * total.foreseen / max(total.breaches, 1):.0f}",
        "median_lead_minutes": f"{float(np.median(total.leads)) if total.leads else math.nan:.0f}",
        "false_warnings_a_day": f"{24 * (total.warnings - total.right) / total.hours:.2f}",
        "plan_coverage_percent": f"{coverage:.0f}",
        "round_ms": f"{1000 * float(np.median(total.seconds)):.2f}",
        "round_mean_ms": f"{1000 * float(np.mean(total.seconds)):.2f}",
    }
    print(" ".join(f"{name}={value}" for name, value in figures.items()))


def print_diagram(issued: list[tuple[float, float, bool]]) -> None:
    """The reliability diagram."""
    print(f"{'issued':<14}{'count':>7}{'mean':>8}{'held':>8}")
    for low, high in pairwise(BINS):
        chosen = [one for one in issued if low <= one[1] < high]
        if chosen:
            mean, came = np.mean([one[1] for one in chosen]), np.mean([one[2] for one in chosen])
            label = f"{100 * low:.0f} to {100 * min(high, 1):.0f} %"
            print(f"{label:<14}{len(chosen):>7}{100 * mean:>7.0f}%{100 * came:>7.0f}%")


def calibration_error(issued: list[tuple[float, float, bool]]) -> float:
    """Mean distance of what was issued from what came, over ten bins by their counts (ECE: Naeini et al. 2015)."""
    chances = np.array([one[1] for one in issued])
    came = np.array([one[2] for one in issued], dtype=np.float64)
    place = np.minimum((10 * chances).astype(int), 9)
    off = sum(abs(float((came - chances)[place == bin_].sum())) for bin_ in range(10))
    return off / len(issued)


if __name__ == "__main__":
    main()
