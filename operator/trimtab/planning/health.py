"""Health: one number from 0 to 100 for a workload, with the factors that made it and a sentence for each.

Each factor takes away what it lacks, by its weight among all that could be known; what is not known takes nothing away
and lowers the confidence instead. No factor that matters can hide among others: each of those puts a ceiling on the
score that falls with it, for a broken objective 60 and for a broken critical one 30. All of it is monotone, so a worse
finding never raises the score. ``docs/health.md`` has the tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.quality import Quality
from trimtab.analytics.trend import NoTrend, Trend
from trimtab.domain.objectives import Objective
from trimtab.domain.series import Series
from trimtab.domain.status import ContainerSize, ObjectiveState
from trimtab.forecasting.burn_rates import ErrorBudget
from trimtab.forecasting.early_warning import EarlyWarning
from trimtab.planning import health_factors as factors
from trimtab.planning.rightsizing import Usage


@dataclass(frozen=True, slots=True)
class HealthInputs:
    """What is known of a workload; NaN, None or empty for what is not."""

    now: float
    objectives: tuple[Objective, ...] = ()
    states: tuple[ObjectiveState, ...] = ()
    """As last seen, by the objectives' names."""
    values: Mapping[str, Series] = field(default_factory=dict)
    """Values of each objective by its name."""
    budgets: tuple[ErrorBudget, ...] = ()
    containers: tuple[ContainerSize, ...] = ()
    usage: Mapping[str, Usage] = field(default_factory=dict)
    demand: float = math.nan
    peak_ahead: float = math.nan
    """Highest demand foreseen."""
    capacity: float = math.nan
    """Load that the present replicas carry together."""
    unit: str = ""
    trend: Trend | NoTrend | None = None
    """Of the demand, since its last change point where there is one."""
    warnings: tuple[EarlyWarning, ...] = ()
    anomalies: tuple[Anomaly, ...] | None = None
    """Active now; None when nobody looked."""
    quality: Quality | None = None
    forecast_reliable: bool | None = None
    drift: str = ""
    """Phase of the forecast's drift: None, Warning, Drifted or Recovering; empty when nobody looked."""
    scale_steps_a_day: float = math.nan
    monthly_cost: float = math.nan
    needed_monthly_cost: float = math.nan
    """Cost of what is recommended."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why a signal could not be read, by signal; the text names the query."""


@dataclass(frozen=True, slots=True)
class Factor:
    """One part of the score."""

    name: str
    """Name of the objective, else what is judged: error-budget, cpu, memory, headroom, and so on."""
    score: int
    """0 to 100."""
    weight: float
    """Its share of the score, against the sum of all weights, also of what is not known."""
    reason: str
    """One sentence with figures."""


@dataclass(frozen=True, slots=True)
class Health:
    """How well a workload is."""

    score: int
    """0 to 100."""
    factors: tuple[Factor, ...]
    """In a fixed order: objectives, budget, resources, headroom, and what is less weighty."""
    confidence_percent: int
    """Share of the weights that is known."""
    missing: tuple[str, ...]
    """What is not known, and why."""
    reason: str
    """One sentence: what held the score down most."""


@dataclass(frozen=True, slots=True)
class NoHealth:
    """Why there is no score."""

    reason: str


def health(inputs: HealthInputs) -> Health | NoHealth:
    """The health of a workload; NoHealth when neither an objective nor its resources nor its headroom can be judged.

    >>> from trimtab.domain.status import Amounts
    >>> pod = ContainerSize(name="app", requests=Amounts(cpu="1", memory="1Gi"), limits=Amounts(memory="1Gi"))
    >>> found = health(HealthInputs(0.0, containers=(pod,), usage={"app": Usage(0.5, 0.97 * 2**30)}))
    >>> found.score, [(one.name, one.score) for one in found.factors]
    (54, [('cpu', 100), ('memory', 24)])
    """
    judged = factors.judge(inputs)
    known = [one for one in judged if isinstance(one, factors.Judged)]
    missing = tuple(one.text for one in judged if isinstance(one, factors.Missing))
    if not any(one.substantial for one in known):
        found_nothing = [f"{signal}: {why}" for signal, why in sorted(inputs.failures.items())]
        reasons = found_nothing or [text for text in missing if not text.startswith(("anomalies", "stability"))]
        return NoHealth("There is nothing to judge. " + "; ".join(reasons[:4] or ["no signal was read"]) + ".")
    total = sum(one.weight for one in known)
    expected = total + sum(one.weight for one in judged if isinstance(one, factors.Missing))
    mean = 100.0 - sum(one.weight * (100.0 - one.score) for one in known) / expected
    lowest = min(known, key=lambda one: one.ceiling)
    score = min(mean, lowest.ceiling)
    worst = lowest if lowest.ceiling <= mean else max(known, key=lambda one: one.weight * (100.0 - one.score))
    return Health(
        score=min(max(math.floor(score + 0.5), 0), 100),
        factors=tuple(Factor(one.name, math.floor(one.score + 0.5), one.weight, one.reason) for one in known),
        confidence_percent=min(max(round(100.0 * total / expected), 0), 100),
        missing=missing,
        reason=worst.reason if worst.score < 99.5 else "Nothing holds the score down.",
    )
