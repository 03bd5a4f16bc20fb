"""Advice: what a recommendation says, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from trimtab.analytics.patterns import Patterns
from trimtab.analytics.quality import DataProblem, Quality
from trimtab.analytics.seasonality import SeasonFound
from trimtab.domain.choices import Mode, Severity
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import Series
from trimtab.domain.status import ContainerSize, ObjectiveState
from trimtab.domain.units import format_duration
from trimtab.forecasting.capacity_plan import CapacityPlan, NoCapacityPlan, Room
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.planning.options import follows_by_itself, monthly_cost
from trimtab.planning.rightsizing import Usage, requested
from trimtab.planning.strategies import STRATEGIES, Strategy

_UNTRUSTED: Final = frozenset(set(DataProblem) - {DataProblem.SHORT_HISTORY})
_MOST_PERCENT, _LEAST_PERCENT = 95, 5


class AdviceKind(StrEnum):
    """What is recommended."""

    OBJECTIVE_BREACHED = "ObjectiveBreached"
    NOT_CAPACITY = "NotCapacity"
    OUT_OF_MEMORY_RISK = "OutOfMemoryRisk"
    CPU_THROTTLING_RISK = "CpuThrottlingRisk"
    TOO_FEW_REPLICAS = "TooFewReplicas"
    MAX_REPLICAS_REACHED = "MaxReplicasReached"
    MAX_REPLICAS_TOO_LOW = "MaxReplicasTooLow"
    QUOTA_CLOSE = "QuotaClose"
    OBJECTIVE_WITHOUT_DATA = "ObjectiveWithoutData"
    SIGNAL_WITHOUT_DATA = "SignalWithoutData"
    NO_REQUESTS = "NoRequests"
    NO_MEMORY_LIMIT = "NoMemoryLimit"
    RAISE_CPU_REQUEST = "RaiseCpuRequest"
    RAISE_MEMORY_REQUEST = "RaiseMemoryRequest"
    SINGLE_REPLICA = "SingleReplica"
    PRE_SCALE = "PreScale"
    FOLLOW = "Follow"
    TOO_MANY_REPLICAS = "TooManyReplicas"
    SCHEDULE = "Schedule"
    REDUCE_CPU_REQUEST = "ReduceCpuRequest"
    REDUCE_MEMORY_REQUEST = "ReduceMemoryRequest"
    COLD_START = "ColdStart"
    DRIFT = "Drift"
    OBJECTIVE_TOO_TIGHT = "ObjectiveTooTight"
    OBJECTIVE_TOO_LOOSE = "ObjectiveTooLoose"
    SET_OBJECTIVE = "SetObjective"
    SET_SLO = "SetSlo"
    SHORT_HISTORY = "ShortHistory"


@dataclass(frozen=True, slots=True)
class Advice:
    """One recommendation."""

    kind: AdviceKind
    subject: str
    """Container or objective that it is about; empty for the workload."""
    severity: Severity
    title: str
    reason: str
    """Why, in a sentence with figures."""
    evidence: str
    """What was measured, over how long."""
    effect: str
    """What it does to the objectives and the cost, with figures."""
    monthly_saving: float
    """In the policy's currency by its prices; negative where it costs more."""
    confidence_percent: int
    how: str
    """What to do: a patch, a field, or a command."""

    @property
    def key(self) -> str:
        """Names the same advice from one round to the next."""
        return f"{self.kind.value}/{self.subject}" if self.subject else self.kind.value

    @property
    def expected_saving(self) -> float:
        """Saving a month weighed by its confidence."""
        return self.monthly_saving * self.confidence_percent / 100.0


@dataclass(frozen=True, slots=True)
class RecommendInputs:
    """One workload's evidence; what is left out is not known, and nothing is said of it."""

    spec: PolicySpec
    """The policy; for a workload without one the defaults, with ``managed`` false."""
    target: str
    """Kind and name as kubectl takes them, such as ``deployment/checkout``."""
    containers: tuple[ContainerSize, ...]
    replicas: int
    history: WorkloadHistory
    usage: Mapping[str, Usage]
    now: float
    managed: bool = True
    """Whether a policy is there, so that advice may be about its fields."""
    policy_name: str = ""
    """Name of the policy; that of the workload where it is left out."""
    quality: Quality | None = None
    """Of the load."""
    states: tuple[ObjectiveState, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why a signal could not be read, by signal; the text names the query."""
    capacity_per_replica: float = math.nan
    """Load that a replica carries while all objectives hold."""
    capacity_learned: bool = False
    not_capacity: bool = False
    """Following found that more replicas do not mend a broken objective."""
    forecast: Forecast | NoForecast | None = None
    seasons: tuple[SeasonFound, ...] = ()
    patterns: Patterns | None = None
    plan: CapacityPlan | NoCapacityPlan | None = None
    room: Room = field(default_factory=Room)
    drift: str = ""
    """Phase of the forecast's drift."""
    previous: tuple[str, ...] = ()
    """Keys of the advice of the round before, which stays until its cause is clearly gone."""

    @property
    def name(self) -> str:
        """Name of the workload."""
        return self.target.rpartition("/")[2]

    @property
    def strategy(self) -> Strategy:
        """The policy's strategy."""
        return STRATEGIES[self.spec.strategy]

    @property
    def follows(self) -> bool:
        """Whether replicas follow the demand by themselves."""
        return self.managed and follows_by_itself(self.spec)

    @property
    def broken(self) -> tuple[str, ...]:
        """Objectives that are broken now."""
        return tuple(state.name for state in self.states if state.state == "Violated")

    @property
    def trusted(self) -> bool:
        """Whether the data are good enough to advise less of anything."""
        return self.quality is None or self.quality.problem not in _UNTRUSTED

    @property
    def unit(self) -> str:
        """Unit of the load with a space before it, or nothing."""
        return f" {self.history.load.unit}" if self.history.load.unit else ""

    def kept(self, kind: AdviceKind, subject: str = "") -> bool:
        """Whether this was advised in the round before."""
        return (f"{kind.value}/{subject}" if subject else kind.value) in self.previous

    def pods_cost(self, replicas: float) -> float:
        """Cost a month of so many pods as they are."""
        cores, size_bytes = requested(self.containers)
        return monthly_cost(self.spec, replicas, cores, size_bytes)

    def money(self, amount: float) -> str:
        """An amount in the policy's currency.

        >>> spec = PolicySpec.model_validate({"targetRef": {"kind": "Deployment", "name": "a"}})
        >>> from trimtab.domain.history import WorkloadHistory
        >>> from trimtab.domain.series import empty
        >>> history = WorkloadHistory(empty(60.0), empty(60.0), empty(60.0))
        >>> RecommendInputs(spec, "deployment/a", (), 1, history, {}, 0.0).money(12.345)
        '12.35 USD'
        """
        return f"{abs(amount):.2f} {self.spec.cost.currency}"

    @property
    def by_runs(self) -> bool:
        """Whether changes are tried as runs, so that a change by hand would be taken for a person's newer will."""
        return self.managed and self.spec.mode in (Mode.AUTO, Mode.APPROVE)

    def cost_effect(self, saving: float) -> str:
        """What it does to the cost, in words."""
        if abs(saving) < 0.005:
            return "The cost stays as it is."
        return f"It {'saves' if saving > 0 else 'costs'} {self.money(saving)} a month."


def confidence(series: Series | None, wanted_seconds: float, share: float = 1.0) -> int:
    """Confidence in percent from the amount of data in ``series``, 5 to 95, times ``share`` for how sure the rest is.

    The root of the time that is covered by samples over the time wanted, since what is told from n samples is
    uncertain by one over the root of n.

    >>> import numpy as np
    >>> def minutes(count: int) -> Series:
    ...     return Series(0.0, 60.0, np.ones(count))
    >>> confidence(minutes(10_080), 86400.0), confidence(minutes(360), 86400.0), confidence(None, 86400.0)
    (95, 48, 5)
    """
    covered = series.present * series.step_seconds if series is not None else 0.0
    percent = _MOST_PERCENT * share * math.sqrt(min(1.0, covered / wanted_seconds))
    return min(max(round(percent), _LEAST_PERCENT), _MOST_PERCENT)


def span_text(series: Series | None) -> str:
    """How long a series reaches, in words.

    >>> import numpy as np
    >>> span_text(Series(0.0, 60.0, np.ones(10_080))), span_text(Series(0.0, 60.0, np.ones(90)))
    ('7 days', '1h30m')
    """
    seconds = len(series) * series.step_seconds if series is not None else 0.0
    return f"{seconds / 86400:.0f} days" if seconds >= 2 * 86400 else format_duration(seconds, to=60)
