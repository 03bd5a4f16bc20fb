"""Trials of a change on an M/M/1 workload: what was learned before it, and what is measured before and after."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from trimtab.domain.objectives import Objective
from trimtab.domain.policy import Validation
from trimtab.domain.series import FloatArray
from trimtab.planning.performance_model import NotLearned, PerformanceCurve, fit
from trimtab.planning.validation import Former, Intent, Peak, Samples, Trial

from .mm1_support import MM1, ar1

LATENCY = Objective.model_validate({"name": "latency-p99", "query": "histogram_quantile(0.99, x)", "max": "250m"})
SIZE = 0.5
QUANTILE, HEADROOM = 0.9, 1.15
"""Of the strategy Balanced."""


@lru_cache(maxsize=512)
def curve_of(seed: int, system: MM1) -> PerformanceCurve:
    """Learned from a day before the change."""
    history = system.history(np.random.default_rng([seed, 1]), 1440, SIZE, target=0.75)
    curve = fit(LATENCY.name, True, *history, threshold=LATENCY.threshold)
    assert isinstance(curve, PerformanceCurve), curve
    return curve


def samples(at: FloatArray, load: FloatArray, replicas: float, values: FloatArray, size: float = SIZE) -> Samples:
    """Measurements of the latency objective."""
    n = at.size
    return Samples(at, load, np.full(n, replicas), np.full(n, size), {LATENCY.name: values})


def ramp(rng: np.random.Generator, start: float, end: float, n: int) -> FloatArray:
    """Load that moves from start to end, with ripple."""
    return np.asarray(np.linspace(start, end, n) * np.exp(ar1(rng, n, 0.03, 0.6)))


def trial(
    seed: int,
    *,
    replicas: tuple[int, int] = (6, 5),
    slower: float = 1.0,
    load: tuple[float, float, float, float] = (0.6, 0.6, 0.6, 0.9),
    sizes: tuple[float, float] = (SIZE, SIZE),
    n: int = 40,
    intent: Intent = Intent.SAVE,
    system: MM1 | None = None,
    objective: Objective = LATENCY,
    learned: bool = True,
    spec: Validation | None = None,
    rescues: int = 0,
    before_slower: float = 1.0,
    n_before: int = 60,
) -> Trial:
    """A change of replicas that also makes requests ``slower`` by a factor.

    ``load`` at the start and the end of the time before, and of the trial, as shares of what the plan's replicas are
    to carry at the peak: their capacity over the headroom.
    """
    system = system or MM1()
    rng = np.random.default_rng([seed, 2])
    former, planned = replicas
    curve = curve_of(seed, system)
    peak = curve.capacity(LATENCY.threshold, sizes[1], QUANTILE) * planned / HEADROOM
    before_load = ramp(rng, load[0] * peak, load[1] * peak, n_before)
    before = system.p99(before_load / former, sizes[0]) * system.noise(rng, n_before) * before_slower
    after_load = ramp(rng, load[2] * peak, load[3] * peak, n)
    after = system.p99(after_load / planned, sizes[1]) * system.noise(rng, n) * slower
    times = np.asarray(np.arange(n_before) * 60.0, dtype=np.float64)
    return Trial(
        intent=intent,
        objectives=(objective,),
        curves={objective.name: curve if learned else NotLearned("only 12 samples with load, 30 are needed")},
        before=samples(times, before_load, former, before, sizes[0]),
        after=samples(times[-1] + 300.0 + np.arange(n) * 30.0, after_load, planned, after, sizes[1]),
        former=Former(np.full(n, float(former)), sizes[0]),
        spec=spec or Validation(),
        peak=Peak(peak / planned, sizes[1]),
        rescues=rescues,
    )
