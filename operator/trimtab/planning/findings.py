"""Findings: what an assessment is given, what it finds, and what it leaves to the next. Types alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.patterns import Patterns
from trimtab.analytics.quality import Quality
from trimtab.analytics.seasonality import SeasonFound
from trimtab.analytics.trend import NoTrend, Trend
from trimtab.analytics.trend_watch import TrendState
from trimtab.analytics.watch import Watched, WatchState
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.status import ContainerSize, ObjectiveState, OperatingPoint
from trimtab.forecasting.capacity_plan import Room
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.forecasting.supervision import Supervised
from trimtab.planning.flight import Flight
from trimtab.planning.health import Health, NoHealth
from trimtab.planning.learning import Carried, Learned
from trimtab.planning.outlook import Outlook, OutlookRecords, OutlookState
from trimtab.planning.performance_model import PerformanceCurve
from trimtab.planning.recommendations import Advice
from trimtab.planning.rightsizing import Usage
from trimtab.planning.rollouts import Rollouts


@dataclass(frozen=True, slots=True)
class Running:
    """A workload as it runs now, as far as its analysis needs it."""

    target: str
    """As kubectl takes it, such as ``deployment/checkout``."""
    replicas: int
    """Asked for."""
    ready: int
    containers: tuple[ContainerSize, ...]
    template: str = ""
    """Digest of the pod template; empty where it is not known."""
    room: Room = field(default_factory=Room)
    """Quotas and nodes around it."""
    point: OperatingPoint = field(default_factory=OperatingPoint)
    """Operating point that it runs under."""
    policy: str = ""
    """Name of its policy, so that advice may be about its fields; empty where there is none."""
    not_capacity: bool = False
    """Following found that more replicas do not mend a broken objective."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Seasons, at most four, and patterns of the demand, which are looked for once an hour, or sooner."""

    patterns: Patterns
    at: float


@dataclass(frozen=True, slots=True)
class Known:
    """What one round leaves to the next, so that only new samples are gone through; picklable.

    The store keeps each part by itself: one that has changed its type is learned again.
    """

    supervised: Supervised | None
    learned: Learned
    watched: WatchState | None = None
    trend: TrendState | None = None
    habits: Habits | None = None
    outlook: OutlookState | None = None
    records: OutlookRecords | None = None
    rollouts: Rollouts = field(default_factory=Rollouts)
    advised: tuple[str, ...] = ()
    """Keys of the advice that was given."""
    carried: Carried | None = None
    """What was last known of the capacity of this version, or of the one before while this one is learned."""
    flight: Flight | None = None
    """What replicas may be raised by while nothing is seen."""


@dataclass(frozen=True, slots=True)
class AssessInputs:
    """One workload's evidence; picklable, so that it can be assessed in a worker process."""

    spec: PolicySpec
    history: WorkloadHistory
    failures: Mapping[str, str]
    """Why a signal could not be read, by signal."""
    now: float
    lead_seconds: float = 0.0
    """How far ahead following looks; the forecast reaches at least as far."""
    partial: bool = False
    """An answer was partial: nothing may be begun on the rest."""
    clusters: str = ""
    """Why it is not known whose samples they are; empty where one cluster tells."""
    previous: Known | None = None
    """What the round before learned."""
    baseline_until: float | None = None
    """Curves are learned only from samples before this time: the start of the change on trial."""
    version_from: float | None = None
    """Capacity is learned only from samples from this time on, when the present version ran alone; None: from all."""
    running: Running | None = None
    """The workload; None when it is not there."""
    no_insights: str = ""
    """Why none are to be gained this time; empty where they are."""


@dataclass(frozen=True, slots=True)
class Insights:
    """What is told to people beside what decisions rest on."""

    trend: Trend | NoTrend
    """Of the demand since its last change, or over all when there was none."""
    changed: float | None
    """Time of the last change of level or slope."""
    patterns: Patterns
    watched: Watched
    outlook: Outlook
    advice: tuple[Advice, ...]
    """The most worthwhile first."""
    health: Health | NoHealth

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """Anomalies that go on, then those that ended within a day, the newest first."""
        ended = sorted(self.watched.recent, key=lambda one: -one.start)
        return (*sorted(self.watched.active, key=lambda one: -one.start), *ended)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the evidence says."""

    quality: Quality
    objectives: tuple[ObjectiveState, ...]
    breached: tuple[str, ...]
    unknown: tuple[str, ...]
    """Objectives without a fresh value while there is traffic."""
    pods_missing: str
    """Which signals speak for a part of the pods only: nothing is removed by them. Empty where none does."""
    uncounted: tuple[str, ...]
    """Signals of which it is not known how many pods they speak for."""
    forecast: Forecast | NoForecast
    curves: dict[str, PerformanceCurve]
    not_learned: dict[str, str]
    cpu_per_load: float
    """CPU in cores that one unit of load uses; NaN when unknown."""
    usage: dict[str, Usage]
    profile: tuple[float, ...]
    peak_seen: float
    demand: float
    """Demand seen now; NaN when unknown."""
    known: Known = field(repr=False)
    """To be handed to the next round."""
    carried: Carried | None = None
    """Capacity of the version before, by which following goes on while the present one is learned."""
    insights: Insights | None = None
    """None where the workload or its data are not there, and where they could not be gained."""
    insights_failed: str = ""
    """Why they could not be gained."""

    @property
    def seasons(self) -> tuple[SeasonFound, ...]:
        """Seasons of the demand: all that were looked for, else those that the forecast goes by."""
        looked_for = self.insights.patterns.seasons if self.insights is not None else ()
        return looked_for or (self.forecast.periods if isinstance(self.forecast, Forecast) else ())
