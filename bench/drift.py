"""Drift: how soon it is seen on streams of errors, how often without one, and how fast forecasts recover from it.

``python -m bench.drift`` takes some minutes; ``python -m bench.drift 2`` forecasts 2 series of each kind instead of 6.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.drift import LEARNED, DriftDetector
from trimtab.forecasting.drift_matrix import detect_many
from trimtab.forecasting.drift_reference import LAGS
from trimtab.forecasting.forecast import Forecast, forecast
from trimtab.forecasting.supervision import Supervised, foresee

RHO = 0.5
PERIOD = 48
WITHIN = 60
STREAMS, RIVER_STREAMS = 1000, 50
CALM, CALM_STREAMS, RIVER_CALM_STREAMS = 2000, 500, 25
SEEDS = 7_000_000
"""First seed; limits and settings were chosen on seeds below 7,000,000."""

DAY, HISTORY_DAYS, BEFORE, AFTER = 96, 14, 144, 288
STEP_SECONDS, AHEAD = 900.0, 12
SETTLED = DAY
SIGMA = 8.0


def autoregressive(rng: np.random.Generator, shape: tuple[int, ...], rho: float, heavy: bool = False) -> FloatArray:
    """Noise with a variance of 1 that persists by ``rho``; ``heavy`` has the tails of Student's t with 5 degrees."""
    wide = (*shape[:-1], shape[-1] + 100)
    shocks = rng.standard_t(5, wide) / np.sqrt(5 / 3) if heavy else rng.standard_normal(wide)
    noise: FloatArray = lfilter([np.sqrt(1 - rho**2)], [1, -rho], shocks)[..., 100:]
    return noise


@dataclass(frozen=True)
class Change:
    """A drift of a stream of errors with a standard deviation of 1."""

    name: str
    in_bar: bool
    apply: Callable[[np.random.Generator, FloatArray, FloatArray], FloatArray]


def level(size: float) -> Callable[[np.random.Generator, FloatArray, FloatArray], FloatArray]:
    """A shift of the level, up or down."""
    return lambda rng, noise, steps: noise + size * rng.choice([-1.0, 1.0])


def spread(factor: float) -> Callable[[np.random.Generator, FloatArray, FloatArray], FloatArray]:
    """More variance, by a factor."""
    return lambda rng, noise, steps: noise * np.sqrt(factor)


def moved(swing: float) -> Callable[[np.random.Generator, FloatArray, FloatArray], FloatArray]:
    """A wave of this amplitude comes a quarter of its period sooner than forecast."""

    def apply(rng: np.random.Generator, noise: FloatArray, steps: FloatArray) -> FloatArray:
        phase = 2 * np.pi * steps / PERIOD + rng.uniform(0, 2 * np.pi)
        return np.asarray(noise + swing * (np.sin(phase + np.pi / 2) - np.sin(phase)))

    return apply


CHANGES = (
    Change("level by 1 sigma", False, level(1)),
    Change("level by 2 sigma", True, level(2)),
    Change("level by 3 sigma", True, level(3)),
    Change("season (2 sigma) moved by 1/4", True, moved(2)),
    Change("season (3 sigma) moved by 1/4", True, moved(3)),
    Change("variance x 2", False, spread(2)),
    Change("variance x 4", True, spread(4)),
)
Alarms = Callable[[FloatArray], Sequence[Iterable[int]]]
"""From streams (m, n), those that are shorter with NaN at the end, to the indices at which each has an alarm."""


def ours(errors: FloatArray) -> Sequence[Iterable[int]]:
    """Where the product's detector sees a drift."""
    return [[index for index, _ in found] for found in detect_many(errors, PERIOD)]


def river(make: Callable[[], Any], whiten: bool) -> Alarms:
    """Where a detector of river with its default parameters does; it sees the same streams."""

    def alarms(errors: FloatArray) -> Iterator[int]:
        detector = make()
        errors = errors[np.isfinite(errors)]
        for index, error in enumerate(whitened(errors) if whiten else errors):
            detector.update(float(error))
            if detector.drift_detected:
                yield index
                detector = make()

    return lambda errors: [alarms(stream) for stream in errors]


def whitened(errors: FloatArray) -> FloatArray:
    """Innovations by the autoregression that our detector learns from the first 100 errors."""
    detector = DriftDetector.start()
    for index, error in enumerate(errors[:LEARNED]):
        detector, _ = detector.update(float(index), float(error))
    assert detector.reference is not None
    first, second, sigma = detector.reference.whitening()
    away = errors - detector.reference.mean
    return np.concatenate([np.zeros(LAGS), away[2:] - first * away[1:-1] - second * away[:-2]]) / sigma


def detectors() -> dict[str, tuple[Alarms, int, int]]:
    """Name to (alarms, streams with a drift of each kind, streams without)."""
    from river import drift

    rivals: dict[str, Callable[[], Any]] = {
        "PageHinkley": drift.PageHinkley,
        "ADWIN": drift.ADWIN,
        "KSWIN": lambda: drift.KSWIN(seed=1),
    }
    found: dict[str, tuple[Alarms, int, int]] = {"trimtab": (ours, STREAMS, CALM_STREAMS)}
    for name, make in rivals.items():
        for suffix, whiten in (("", False), (", whitened", True)):
            found[f"river {name}{suffix}"] = river(make, whiten), RIVER_STREAMS, RIVER_CALM_STREAMS
    return found


def delays(alarms: Alarms, change: Change, streams: int) -> FloatArray:
    """Samples from a drift to the first alarm after it, for each stream; infinite where none came in 200."""
    errors, changes = np.full((streams, 800), np.nan), []
    for seed in range(streams):
        rng = np.random.default_rng(SEEDS + seed)
        at = int(rng.integers(300, 600))
        noise = autoregressive(rng, (at + 200,), RHO)
        noise[at:] = change.apply(rng, noise[at:], np.arange(at, at + 200.0))
        errors[seed, : noise.size] = noise
        changes.append(at)
    seen = zip(alarms(errors), changes, strict=True)
    return np.array([next((float(index - at) for index in found if index >= at), np.inf) for found, at in seen])


def false_alarms(alarms: Alarms, streams: int, rho: float, heavy: bool = False) -> float:
    """Alarms for every 10,000 errors without a drift."""
    seeds = range(2 * SEEDS, 2 * SEEDS + streams)
    calm = np.array([autoregressive(np.random.default_rng(seed), (CALM,), rho, heavy) for seed in seeds])
    return 1e4 * sum(1 for found in alarms(calm) for _ in found) / (streams * CALM)


def best_possible() -> dict[str, tuple[float, float]]:
    """(missed share, median delay) of CUSUM that knows the noise and the drift exactly, at one false alarm in 10,000.

    No detector can do better (Moustakides 1986), so this is the bound for any that has to learn both.
    """
    rng = np.random.default_rng(3 * SEEDS)
    shift = (1 - RHO) / np.sqrt(1 - RHO**2)
    found: dict[str, tuple[float, float]] = {}
    calm, drifted = rng.standard_normal((10_000, 200)), rng.standard_normal((WITHIN, 4000))
    shifted = drifted + shift
    shifted[0] = drifted[0] + 1 / np.sqrt(1 - RHO**2)
    for name, without, after in (
        ("level by 1 sigma", shift * calm - shift**2 / 2, shift * shifted - shift**2 / 2),
        ("variance x 2", calm**2 / 4 - np.log(2) / 2, drifted**2 / 2 - np.log(2) / 2),
    ):
        limit = next(one for one in np.arange(4.0, 12.0, 0.1) if _cusum(without, one)[0] <= calm.shape[1])
        _, hits = _cusum(after, limit)
        found[name] = float(np.isinf(hits).mean()), float(np.median(hits))
    return found


def _cusum(ratios: FloatArray, limit: float) -> tuple[int, FloatArray]:
    """(alarms in all, step of the first one of each column) of CUSUM over rows of log-likelihood ratios."""
    height, first, count = np.zeros(ratios.shape[1]), np.full(ratios.shape[1], np.inf), 0
    for step, row in enumerate(ratios):
        height = np.maximum(height + row, 0.0)
        over = height >= limit
        count += int(over.sum())
        first[over & np.isinf(first)] = step
        height[over] = 0.0
    return count, first


def streams() -> dict[str, float]:
    """Print the table of detectors; figures of ours."""
    print(f"streams of errors, AR(1) rho {RHO}, drift after 300 to 600; missed within {WITHIN} % / median delay")
    everything: dict[str, FloatArray] = {}
    for name, (alarms, many, calm) in detectors().items():
        cells = []
        for change in CHANGES:
            seen = delays(alarms, change, many)
            everything.setdefault(change.name, seen)
            cells.append(f"{100 * (seen >= WITHIN).mean():.0f} / {np.median(seen):.0f}")
        rates = [false_alarms(alarms, calm, RHO)]
        if name == "trimtab":
            rates += [
                false_alarms(alarms, calm, rho, heavy) for rho, heavy in ((0.0, False), (0.8, False), (0.5, True))
            ]
            ours_rate = rates[0]
        print(f"\n{name}")
        for change, cell in zip(CHANGES, cells, strict=True):
            print(f"  {change.name:32s}{cell:>12s}")
        labels = ("rho 0.5", "rho 0", "rho 0.8", "rho 0.5, heavy tails")
        calmly = ", ".join(f"{rate:.2f} ({label})" for rate, label in zip(rates, labels, strict=False))
        print(f"  false alarms in 10,000          {calmly}", flush=True)
    print("\nbest possible at 1 false alarm in 10,000, noise and drift known")
    for change_name, (missed, delay) in best_possible().items():
        print(f"  {change_name:32s}{f'{100 * missed:.0f} / {delay:.0f}':>12s}")
    in_bar = np.concatenate([everything[change.name] for change in CHANGES if change.in_bar])
    return {
        "missed": 100 * float((in_bar >= WITHIN).mean()),
        "missed_level_1_sigma": 100 * float((everything["level by 1 sigma"] >= WITHIN).mean()),
        "missed_variance_x2": 100 * float((everything["variance x 2"] >= WITHIN).mean()),
        "false_alarms_per_10k": ours_rate,
        "delay": float(np.median(in_bar)),
    }


@dataclass(frozen=True)
class World:
    """A demand: what is expected at each step, and what is seen."""

    expected: FloatArray
    values: FloatArray


def world(kind: str, seed: int) -> World:
    """A level, a day with two harmonics and AR(1) noise of 8 requests/s; something changes after 14 days and a half."""
    rng = np.random.default_rng(4 * SEEDS + seed)
    change = HISTORY_DAYS * DAY + BEFORE
    steps = np.arange(change + AFTER + AHEAD)
    noise = SIGMA * autoregressive(rng, (steps.size,), RHO)
    start, second = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.5)

    def day(step: NDArray[Any]) -> FloatArray:
        angle = 2 * np.pi * step / DAY + start
        return np.asarray(150 + 40 * (np.sin(angle) + second * np.sin(2 * angle)))

    old, later = day(steps), steps >= change
    expected = old
    if kind == "level by 3 sigma":
        expected = np.where(later, old + 3 * SIGMA * rng.choice([-1.0, 1.0]), old)
    elif kind == "demand x 1.4":
        expected = np.where(later, 1.4 * old, old)
    elif kind == "season moved by 1/4":
        expected = np.where(later, day(steps + 0.25 * DAY), old)
    elif kind == "variance x 2":
        noise = np.where(later, np.sqrt(2) * noise, noise)
    return World(expected, np.maximum(expected + noise, 0.0))


@dataclass(frozen=True)
class Played:
    """Mean absolute errors over the horizon and coverage, from each origin, shape (BEFORE + AFTER,)."""

    errors: FloatArray
    oracle: FloatArray
    covered: FloatArray
    seconds: float
    alarms_before: int
    seen_after: float


def play(seen: World, supervised: bool) -> Played:
    """Forecast at every step with the newest 14 days; the oracle knows the expected value and the noise's rho."""
    errors, oracle, covered, alarms = [], [], [], 0
    state: Supervised | None = None
    previous, started, first = None, time.perf_counter(), np.inf
    for newest in range(HISTORY_DAYS * DAY, HISTORY_DAYS * DAY + BEFORE + AFTER):
        low = newest - HISTORY_DAYS * DAY
        series = Series(low * STEP_SECONDS, STEP_SECONDS, seen.values[low : newest + 1])
        asked: dict[str, Any] = {"now": series.end, "horizon_seconds": AHEAD * STEP_SECONDS, "confidence": 0.9}
        if supervised:
            had = state.episode if state is not None else None
            found, state = foresee(series, model="Auto", previous=state, **asked)
            if state is not None and state.episode is not None and (had is None or had.change != state.episode.change):
                alarms += newest < HISTORY_DAYS * DAY + BEFORE
                first = min(first, low - BEFORE if low >= BEFORE else np.inf)
        else:
            found = forecast(series, previous=previous, **asked)
        assert isinstance(found, Forecast)
        previous = found.state
        ahead = slice(newest + 1, newest + 1 + AHEAD)
        actual, away = seen.values[ahead], seen.values[newest] - seen.expected[newest]
        errors.append(float(np.abs(found.mean - actual).mean()))
        known = seen.expected[ahead] + RHO ** np.arange(1, AHEAD + 1) * away
        oracle.append(float(np.abs(known - actual).mean()))
        covered.append(float(((found.lower <= actual) & (actual <= found.upper)).mean()))
    spent = time.perf_counter() - started
    return Played(np.array(errors), np.array(oracle), np.array(covered), spent, alarms, first)


def recovery(series: int) -> dict[str, float]:
    """Print the error over the oracle's by time since the drift; figures of the remedy."""
    kinds = ("level by 3 sigma", "demand x 1.4", "season moved by 1/4", "variance x 2")
    edges = [-48, 0, 24, 48, 72, 96, 144, 192, 240, 288]
    print(f"\nwhole series ({series} of each kind, a day of {DAY} steps, {AHEAD} steps ahead): error over that of an")
    print("oracle that knows the new regime, by steps since the drift; coverage of the 90 % interval below")
    header = "".join(f"{f'{low}..{high}':>10s}" for low, high in pairwise(edges))
    print(f"{'':36s}{header}")
    settled: list[tuple[float, float]] = []
    plain: list[tuple[float, float]] = []
    calm = 0
    for kind in kinds:
        for supervised in (False, True):
            runs = [play(world(kind, seed), supervised) for seed in range(series)]
            label = f"{kind}, {'supervised' if supervised else 'forecast() alone'}"
            cuts = [slice(BEFORE + low, BEFORE + high) for low, high in pairwise(edges)]
            print(f"{label:36s}{''.join(f'{_ratio(runs, cut):10.2f}' for cut in cuts)}")
            print(f"{'':36s}{''.join(f'{_coverage(runs, cut):10.2f}' for cut in cuts)}")
            late = slice(BEFORE + SETTLED, None)
            if kind != "variance x 2":
                (settled if supervised else plain).extend(
                    (float(one.errors[late].sum()), float(one.oracle[late].sum())) for one in runs
                )
            if supervised:
                calm += sum(one.alarms_before for one in runs)
                seen = ", ".join(f"{one.seen_after:.0f}" for one in runs)
                cost = 1000 * np.mean([one.seconds for one in runs]) / (BEFORE + AFTER)
                print(f"{'':36s}  seen after {seen} steps; {cost:.0f} ms a round in the mean", flush=True)
    print(f"false alarms before the drift: {calm} in {len(kinds) * series * BEFORE} rounds")
    return {
        "remedy_error_ratio": _quotient(settled),
        "error_ratio_without_remedy": _quotient(plain),
        "settled_after_steps": float(SETTLED),
    }


def _ratio(runs: Sequence[Played], cut: slice) -> float:
    return _quotient([(float(one.errors[cut].sum()), float(one.oracle[cut].sum())) for one in runs])


def _quotient(sums: Sequence[tuple[float, float]]) -> float:
    return sum(one[0] for one in sums) / sum(one[1] for one in sums)


def _coverage(runs: Sequence[Played], cut: slice) -> float:
    return float(np.mean([one.covered[cut] for one in runs]))


def main() -> None:
    """Both parts, and their figures in the last line."""
    figures = {**streams(), **recovery(int(sys.argv[1]) if len(sys.argv) > 1 else 6)}
    print(" ".join(f"{name}={value:.4g}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
