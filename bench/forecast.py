"""Forecasts measured on public traces from rolling origins, against seasonal naive, smoothing and statsforecast.

Each series is forecast as the operator does it: a full selection, then cheap updates until that is outdated. From
each origin one forecast is fresh from a selection and one is made half an age later with the state of that selection.
Errors are relative to seasonal naive with a season of one day, to the last value where the history is under two days;
``mase_rel_best`` is relative to the best of last value, seasonal naive, SES and Holt on each series, known only in
hindsight. Quantile loss is over 0.1 to 0.9. Geometric means within a data set, then the mean of the data sets.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from bench.forecast_rivals import automatic, day_steps, naive, smoothing
from bench.traces import TRACES, folder
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.forecast import Forecast, forecast

HOUR, DAY = 3600.0, 86_400.0
LEVELS = np.arange(1, 10) / 10.0
MODEL, NAIVE, LAST = "Trimtab", "naive", "last value"
RIVALS = ("SeasonalNaive", "AutoTheta", "AutoETS")
IN_HINDSIGHT = (NAIVE, LAST, "SES", "Holt")

NOTES = """\
Histories end at the origin and are a week long at most. The series of an hour have no room for 1 h ahead: they are
foreseen over 10 min and stand outside of the figures. statsforecast is measured on the number of origins in brackets.
Its AutoTheta and AutoETS see means of 10 min and of 1 h of worldcup98 (1 h and 24 h ahead) and of 1 min of bizitobs;
AutoETS takes no season above 24 steps. peak90 is how often the largest value stayed below the 90 % quantile of it."""


@dataclass(frozen=True)
class Task:
    """A data set, a horizon and its origins."""

    trace: str
    horizon_seconds: float
    first_seconds: float
    """History before the first origin."""
    every_seconds: float
    history_seconds: float = 7 * DAY
    """What the operator reads by default."""
    series: int | None = None
    """How many series are taken, at even distances; all when None."""
    rival_series: int = 1
    rival_every: int = 1
    """Of the origins."""
    rival_stride: int = 1
    rival_season: int = 1
    headline: bool = True


TASKS = (
    Task("worldcup98", HOUR, 7 * DAY, 7.3 * HOUR, rival_every=4, rival_stride=10, rival_season=144),
    Task("worldcup98", DAY, 7 * DAY, 7.3 * HOUR, rival_every=2, rival_stride=60, rival_season=24),
    Task("bizitobs", HOUR, 12 * HOUR, 0.37 * HOUR, rival_series=3, rival_every=2, rival_stride=6),
    Task("google-cpu", HOUR, 12 * HOUR, 2.75 * HOUR, rival_series=40, rival_season=12),
    Task("google-memory", HOUR, 12 * HOUR, 2.75 * HOUR, rival_series=40, rival_season=12),
    Task("azure-llm", 600.0, 1800.0, 150.0, headline=False),
    Task("autothrottle", 600.0, 1800.0, 150.0, headline=False, rival_series=2),
)


@dataclass
class Outcome:
    """Sums over the forecasts of one series."""

    errors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Mean absolute error of each forecast."""
    rivals: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """The same, on the origins that statsforecast was given."""
    loss: list[float] = field(default_factory=list)
    naive_loss: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    """Whether the largest value over the horizon was below the 90 % quantile of the peak."""
    seconds: list[float] = field(default_factory=list)
    models: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def relative(self, name: str, to: str) -> float:
        """Error of ``name`` over that of ``to``; 1 where both are 0."""
        return _ratio(float(np.mean(self.errors[name])), float(np.mean(self.errors[to])))


def main() -> None:
    """Measure every task, print a line for each and the figures over all of them."""
    parser = argparse.ArgumentParser(prog="bench.forecast", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the series and a third of the origins")
    parser.add_argument("--no-rivals", action="store_true", help="leave out statsforecast's AutoTheta and AutoETS")
    parser.add_argument("--only", help="one trace")
    asked = parser.parse_args()
    folder()
    print(f"{'data set':<20}{'series':>7}{'forecasts':>10}{'mase_rel':>10}{'_best':>7}{'wql_rel':>9}{'cover90':>9}"
          f"{'peak90':>8}{'ms':>7}   on the same fewer origins: " + ", ".join((MODEL, *RIVALS)))  # fmt: skip
    lines: dict[str, list[FloatArray]] = defaultdict(list)
    for task in TASKS:
        if asked.only not in (None, task.trace):
            continue
        if asked.quick:
            task = replace(task, every_seconds=3.1 * task.every_seconds, series=task.series or 40, rival_series=4)
        outcomes = [_measure(task, series, rivals) for series, rivals in _chosen(task, not asked.no_rivals)]
        figures = _figures(outcomes)
        if task.headline:
            lines[task.trace].append(figures)
        _print_line(task, outcomes, figures)
    print(NOTES)
    sets = np.array([_over_horizons(found) for found in lines.values()])
    rel, best, loss, inside, peak, ms = sets.mean(axis=0)
    print(
        f"mase_rel={rel:.3f} mase_rel_best={best:.3f} wql_rel={loss:.3f} coverage90={inside:.1f}"
        f" peak_coverage90={peak:.1f} ms_per_forecast={ms:.1f}"
    )


def _chosen(task: Task, rivals: bool) -> Iterator[tuple[Series, bool]]:
    """The series of a task, and whether statsforecast is measured on it."""
    found = list(TRACES[task.trace]().values())
    if task.series is not None and task.series < len(found):
        found = [found[round(place)] for place in np.linspace(0, len(found) - 1, task.series)]
    every = max(1, len(found) // task.rival_series)
    for number, series in enumerate(found):
        yield series, rivals and number % every == 0


def _measure(task: Task, series: Series, with_rivals: bool) -> Outcome:
    outcome = Outcome()
    steps = round(task.horizon_seconds / series.step_seconds)
    origin, number = round(task.first_seconds / series.step_seconds), 0
    while origin + steps < len(series):
        compared = with_rivals and number % task.rival_every == 0
        fresh, select_seconds = _one(task, series, origin, None, outcome, compared)
        if fresh is not None:
            a_round = max(1, round(fresh.state.lasts_seconds / series.step_seconds))
            aged = min(origin + max(1, a_round // 2), len(series) - steps - 1)
            _, update_seconds = _one(task, series, aged, fresh, outcome, False)
            outcome.seconds.append((select_seconds + (a_round - 1) * update_seconds) / a_round)
        origin, number = origin + max(1, round(task.every_seconds / series.step_seconds)), number + 1
    return outcome


def _one(
    task: Task, series: Series, origin: int, previous: Forecast | None, outcome: Outcome, compared: bool
) -> tuple[Forecast | None, float]:
    """Forecast from ``origin``, its sample known, and note the errors of all."""
    past = series.between(series.start + origin * series.step_seconds - task.history_seconds,
                          series.start + origin * series.step_seconds)  # fmt: skip
    steps = round(task.horizon_seconds / series.step_seconds)
    actual = series.values[origin + 1 : origin + 1 + steps]
    if not np.isfinite(actual).any():
        return None, 0.0
    started = time.process_time()
    state = None if previous is None else previous.state
    found = forecast(past, now=past.end, horizon_seconds=task.horizon_seconds, previous=state)
    seconds = time.process_time() - started
    path, quantiles = naive(past, steps, LEVELS)
    held = np.full(steps, path[-1] if day_steps(past) == 1 else past.values[np.isfinite(past.values)][-1])
    if isinstance(found, Forecast):
        outcome.models[found.model] += 1
        mean, spread = found.mean, np.stack([found.quantile(float(level)) for level in LEVELS])
        outcome.inside.append(float(np.nanmean((found.lower <= actual) & (actual <= found.upper))))
        outcome.peak.append(float(np.nanmax(actual) <= found.peak(found.times[-1], 0.9)[0]))
    else:
        mean, spread = held, quantiles
    ours = {MODEL: mean, NAIVE: path}
    for name, one in {**ours, LAST: held, **smoothing(past, steps)}.items():
        outcome.errors[name].append(float(np.nanmean(np.abs(actual - one))))
    outcome.loss.append(_loss(actual, spread))
    outcome.naive_loss.append(_loss(actual, quantiles))
    if compared:
        for name, one in {**ours, **automatic(past, steps, task.rival_stride, task.rival_season)}.items():
            outcome.rivals[name].append(float(np.nanmean(np.abs(actual - one))))
    return found if isinstance(found, Forecast) else None, seconds


def _loss(actual: FloatArray, quantiles: FloatArray) -> float:
    """Mean quantile loss of ``quantiles`` (q, h)."""
    miss = actual - quantiles
    return float(np.nanmean(np.maximum(LEVELS[:, None] * miss, (LEVELS[:, None] - 1.0) * miss)))


def _ratio(error: float, other: float) -> float:
    floor = 1e-9
    return max(error, floor) / max(other, floor)


def _geometric(ratios: list[float]) -> float:
    return math.exp(float(np.mean(np.log(ratios))))


def _figures(outcomes: list[Outcome]) -> FloatArray:
    """mase_rel, mase_rel_best, wql_rel, coverage90, peak_coverage90, ms of a data set."""
    best = [max(one.relative(MODEL, name) for name in IN_HINDSIGHT) for one in outcomes]
    loss = [_ratio(float(np.mean(one.loss)), float(np.mean(one.naive_loss))) for one in outcomes]
    return np.array(
        [
            _geometric([one.relative(MODEL, NAIVE) for one in outcomes]),
            _geometric(best),
            _geometric(loss),
            100.0 * float(np.mean([share for one in outcomes for share in one.inside])),
            100.0 * float(np.mean([share for one in outcomes for share in one.peak])),
            1000.0 * float(np.mean([seconds for one in outcomes for seconds in one.seconds])),
        ]
    )


def _over_horizons(figures: list[FloatArray]) -> FloatArray:
    """The figures of a data set with several horizons: geometric means of errors, means of the rest."""
    every = np.array(figures)
    return np.concatenate([np.exp(np.log(every[:, :3]).mean(axis=0)), every[:, 3:].mean(axis=0)])


def _print_line(task: Task, outcomes: list[Outcome], figures: FloatArray) -> None:
    name = f"{task.trace} {task.horizon_seconds / 60:.0f}m"
    count = sum(len(one.errors[MODEL]) for one in outcomes)
    rel, best, loss, inside, peak, ms = figures
    compared = [one for one in outcomes if one.rivals]
    rivals = ", ".join(
        f"{_geometric([_ratio(float(np.mean(o.rivals[n])), float(np.mean(o.rivals[NAIVE]))) for o in compared]):.3f}"
        for n in ((MODEL, *RIVALS) if compared else ())
    )
    origins = sum(len(one.rivals[MODEL]) for one in compared)
    print(
        f"{name:<20}{len(outcomes):>7}{count:>10}{rel:>10.3f}{best:>7.3f}{loss:>9.3f}{inside:>9.1f}{peak:>8.1f}"
        f"{ms:>7.1f}   {rivals} ({origins})",
        flush=True,
    )


if __name__ == "__main__":
    main()
