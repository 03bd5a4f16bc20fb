"""The report of an analysis: one entry a workload, and what they come to in all. Pure.

Every format shows these; see `analysis_formats`, `analysis_table` and `analysis_html`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.seasonality import SeasonFound
from trimtab.analytics.trend import Trend
from trimtab.domain.choices import Severity
from trimtab.domain.series import FloatArray
from trimtab.reporting.styles import UNHEALTHY_BELOW


class State(StrEnum):
    """What came of one workload."""

    ANALYZED = "Analyzed"
    NO_DATA = "NoData"
    """Prometheus has no samples of it, or could not be asked; the message says which query."""
    FAILED = "Failed"
    """The analysis itself failed; the message says how."""


class Difference(StrEnum):
    """How far a request is from the recommended one, in KRR's four steps."""

    GOOD = "Good"
    OK = "Ok"
    WARNING = "Warning"
    CRITICAL = "Critical"
    UNKNOWN = "Unknown"
    """There is no recommendation."""


CPU_STEPS_CORES: Final = (0.1, 0.25, 0.5)
MEMORY_STEPS_BYTES: Final = (100 * 2.0**20, 250 * 2.0**20, 500 * 2.0**20)
"""Differences from which a request is Ok, Warning and Critical."""


def difference(request: float, recommended: float, steps: tuple[float, float, float]) -> Difference:
    """The step that a request (0 where none is set) is in; a missing request is a Warning.

    >>> difference(0.5, 0.2, CPU_STEPS_CORES).value, difference(0.0, 0.2, CPU_STEPS_CORES).value
    ('Warning', 'Warning')
    """
    if not (math.isfinite(recommended) and recommended > 0):
        return Difference.UNKNOWN
    if request <= 0:
        return Difference.WARNING
    distance = abs(request - recommended)
    names = (Difference.GOOD, Difference.OK, Difference.WARNING, Difference.CRITICAL)
    return names[sum(distance >= step for step in steps)]


@dataclass(frozen=True, slots=True)
class Sizing:
    """One resource of one container, or of a whole pod; in cores or bytes."""

    request: float
    """0 where none is set."""
    limit: float
    """0 where none is set."""
    used: float
    """95th percentile of CPU, or peak of memory, a pod; NaN when unknown."""
    recommended: float
    """Request that fits the usage; NaN when unknown."""
    recommended_limit: float
    """0 where none is set."""

    @property
    def changes(self) -> bool:
        """Whether another request is recommended."""
        return math.isfinite(self.recommended) and not math.isclose(self.recommended, self.request, rel_tol=1e-6)


@dataclass(frozen=True, slots=True)
class ContainerEntry:
    """One container."""

    name: str
    cpu: Sizing
    memory: Sizing


@dataclass(frozen=True, slots=True)
class Factor:
    """One part of a health score."""

    name: str
    score: float
    """0 to 100."""
    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """Health of a workload, or why it is not known."""

    score: float
    """0 to 100; NaN when unknown."""
    reason: str = ""
    factors: tuple[Factor, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What should be done, and why."""

    title: str
    reason: str
    evidence: str
    effect: str
    how: str
    """What to do: a command or a field."""
    severity: Severity
    kind: str
    monthly_saving: float
    """NaN when unknown; negative where it costs more."""
    confidence_percent: float
    """NaN when unknown."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """The demand foreseen."""

    model: str
    reliable: bool
    reason: str
    peak: float
    """Largest value of the mean over the horizon."""
    peak_upper: float
    """Upper end of the interval there."""
    peak_at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """What is drawn of one workload; arrays at ``start + i * step_seconds`` of their own, NaN for gaps."""

    start: float
    step_seconds: float
    demand: FloatArray = field(repr=False)
    """Shape (n,)."""
    usage_start: float
    usage_step_seconds: float
    cpu: FloatArray = field(repr=False)
    """Cores a pod, shape (m,)."""
    memory: FloatArray = field(repr=False)
    """Bytes of the largest pod, shape (m,)."""
    ahead_start: float
    ahead_step_seconds: float
    mean: FloatArray = field(repr=False)
    """The forecast, shape (h,), as are its bounds."""
    lower: FloatArray = field(repr=False)
    upper: FloatArray = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class WorkloadEntry:
    """What the analysis says of one workload."""

    namespace: str
    kind: str
    name: str
    replicas: int
    state: State
    message: str = ""
    """Why there are no data, or what is wrong with them."""
    query: str = ""
    """The series that gave nothing, where that is why there are no data."""
    unit: str = "cores"
    demand: float = math.nan
    """Demand seen last."""
    health: Health = Health(math.nan)
    trend: Trend | None = None
    seasons: tuple[SeasonFound, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
    """Those of the last 24 hours, newest first."""
    ahead: Ahead | None = None
    no_forecast: str = ""
    containers: tuple[ContainerEntry, ...] = ()
    cpu: Sizing = Sizing(0.0, 0.0, math.nan, math.nan, 0.0)
    """The whole pod; a container without a recommendation counts as it is."""
    memory: Sizing = Sizing(0.0, 0.0, math.nan, math.nan, 0.0)
    monthly_cost: float = math.nan
    """Of the present requests; NaN when unknown."""
    recommended_monthly_cost: float = math.nan
    recommendations: tuple[Recommendation, ...] = ()
    """The most important first."""
    plot: Plot | None = None

    @property
    def cpu_difference(self) -> Difference:
        """How far the CPU request is from the recommended one."""
        return difference(self.cpu.request, self.cpu.recommended, CPU_STEPS_CORES)

    @property
    def memory_difference(self) -> Difference:
        """How far the memory request is from the recommended one."""
        return difference(self.memory.request, self.memory.recommended, MEMORY_STEPS_BYTES)

    @property
    def saving(self) -> float:
        """Saved a month by the recommended requests; negative where they cost more, NaN when unknown."""
        return self.monthly_cost - self.recommended_monthly_cost

    @property
    def advice(self) -> str:
        """The first recommendation, or why there is none."""
        if self.recommendations:
            return self.recommendations[0].title
        return "" if self.state is State.ANALYZED else self.message


@dataclass(frozen=True, slots=True)
class Totals:
    """What the workloads come to."""

    workloads: int
    analyzed: int
    without_data: int
    failed: int
    monthly_cost: float
    recommended_monthly_cost: float
    possible_saving: float
    """Sum of the savings of those that could do with less."""
    needed_more: float
    """Sum of the costs that those which need more would add."""
    unhealthy: int
    """Workloads with a health score below 50."""
    anomalies: int
    empty_queries: tuple[tuple[str, int], ...]
    """(series that gave nothing, workloads without data for that reason), most first."""


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisReport:
    """An analysis of many workloads."""

    source: str
    """Address of Prometheus, without credentials."""
    at: float
    """Unix seconds up to which was read."""
    history_seconds: float
    step_seconds: float
    horizon_seconds: float
    confidence_percent: int
    currency: str
    entries: tuple[WorkloadEntry, ...]
    warning: str = ""
    """What makes the report as a whole less than complete."""

    @property
    def totals(self) -> Totals:
        """What the workloads come to; workloads of unknown cost count as nothing."""
        return totals(self.entries)


def totals(entries: Iterable[WorkloadEntry]) -> Totals:
    """What ``entries`` come to; NaN costs count as nothing."""
    entries = tuple(entries)
    states = Counter(entry.state for entry in entries)
    savings = [entry.saving for entry in entries if math.isfinite(entry.saving)]
    queries = Counter(entry.query for entry in entries if entry.query)
    return Totals(
        workloads=len(entries),
        analyzed=states[State.ANALYZED],
        without_data=states[State.NO_DATA],
        failed=states[State.FAILED],
        monthly_cost=_sum(entry.monthly_cost for entry in entries),
        recommended_monthly_cost=_sum(
            entry.recommended_monthly_cost if math.isfinite(entry.recommended_monthly_cost) else entry.monthly_cost
            for entry in entries
        ),
        possible_saving=sum(saving for saving in savings if saving > 0),
        needed_more=-sum(saving for saving in savings if saving < 0),
        unhealthy=sum(entry.health.score < UNHEALTHY_BELOW for entry in entries),
        anomalies=sum(len(entry.anomalies) for entry in entries),
        empty_queries=tuple(queries.most_common()),
    )


def _sum(amounts: Iterable[float]) -> float:
    return sum(amount for amount in amounts if math.isfinite(amount))
