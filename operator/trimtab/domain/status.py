"""What the operator tells in the status of its objects; shared by policies and runs. Numbers are decimal strings."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from trimtab.domain.insights import (
    AdviceState,
    AnomaliesState,
    BudgetState,
    CapacityPlanState,
    HealthState,
    ModelChangeState,
    PatternState,
    ScoreState,
    WarningState,
)
from trimtab.domain.rules import list_map
from trimtab.domain.status_types import Name, Number, Phrase, Sentence, StatusModel, Time


class Condition(StatusModel):
    """A condition of the Kubernetes API conventions."""

    type: Name
    """What the condition speaks of."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    reason: Name
    """The cause in one CamelCase word."""
    message: Sentence = ""
    """The cause for a person, with what to do about it."""
    observed_generation: int = 0
    """Generation of the spec that this condition speaks of."""
    last_transition_time: Time = 0.0
    """Time at which the status last changed."""


class Amounts(StatusModel):
    """CPU and memory as quantities; empty when not set."""

    cpu: Number = ""
    """CPU in cores; empty when not set."""
    memory: Number = ""
    """Memory in bytes; empty when not set."""


class ContainerSize(StatusModel):
    """Requests and limits of one container."""

    name: Name
    """Name of the container."""
    requests: Amounts = Amounts()
    """Amounts that the scheduler sets aside."""
    limits: Amounts = Amounts()
    """Amounts that the container cannot exceed."""


class OperatingPoint(StatusModel):
    """How a workload is run: container sizes, load a replica carries, headroom, floor."""

    containers: list[ContainerSize] = Field(default_factory=list, max_length=32)
    """Sizes of the containers; empty while they are as the user set them."""
    load_per_replica: Number = ""
    """Load that one replica carries while all objectives hold; empty until it is learned."""
    headroom_percent: int = 0
    """Spare capacity kept above the forecast quantile."""
    min_replicas: int = 0
    """Floor learned by a run; 0 when only the policy's floor counts."""
    since: Time = 0.0
    """Time from which it holds."""
    from_: Name = Field("", alias="from")
    """Run that made this point; empty for the one that was found."""


class Snapshot(StatusModel):
    """Values of a workload at one moment, enough to restore it exactly."""

    replicas: int | None = None
    """Replica count; absent when it was not looked at."""
    containers: list[ContainerSize] = Field(default_factory=list, max_length=32)
    """Sizes of the containers."""


class ConflictState(StatusModel):
    """A field that somebody else claims; the policy leaves it alone."""

    field: Name
    """Path of the field, such as spec.replicas; * for the whole workload."""
    container: Name = ""
    """Container, for a path of resources."""
    owner: Name
    """Who claims it; the condition Conflicted has the remedy."""


class PolicyState(StrEnum):
    """What a policy is doing, in one word; see :func:`trimtab.reconcile.policy_state.policy_state`."""

    TRYING = "Trying"
    """A change is on the workload that no verdict has kept yet."""
    PAUSED = "Paused"
    """``spec.paused``: nothing new is begun."""
    NO_DATA = "NoData"
    """Nothing usable is known of the workload; DataAvailable says why."""
    CONFLICTED = "Conflicted"
    """Somebody else claims a field that the policy would change; the others go on."""
    HELD = "Held"
    """A person's value stands, and following waits."""
    LEARNING = "Learning"
    """Too little history yet to try anything."""
    RECOMMENDING = "Recommending"
    """Nothing is changed: by the mode, or as no operating point was approved yet."""
    FOLLOWING = "Following"
    """In force: replicas follow where they may, and a run is made where one pays."""


class Summary(StatusModel):
    """Ready-made cells for ``kubectl get``."""

    status: Phrase = ""
    """What the policy is doing: Following, Trying, Learning, Held, Conflicted, NoData, Paused or Recommending; why it
    cannot be evaluated, where Ready is False."""
    replicas: Phrase = ""
    """Replicas as they are and as recommended, such as 6→4."""
    objectives: Phrase = ""
    """How many objectives are met, such as 2/2."""
    change: Phrase = ""
    """What is recommended, such as cpu 500m→350m."""
    peak: Phrase = ""
    """Highest demand foreseen over the horizon."""
    anomalies: Phrase = ""
    """Anomalies that go on, such as LevelShift of load; none otherwise."""
    outlook: Phrase = ""
    """The soonest early warning, such as latency-p99 in 25m; else the reliability."""
    savings: Phrase = ""
    """Cost that the recommendation saves a month; empty where it was tried and undone lately."""


class ObjectiveState(StatusModel):
    """An objective as last seen."""

    name: Name
    """Name of the objective."""
    value: Number = ""
    """Value as last measured; empty without data."""
    threshold: Number = ""
    """Threshold in the query's own unit."""
    state: Literal["Met", "Violated", "NoTraffic", "Unknown"] = "Unknown"
    """Met, Violated, NoTraffic or Unknown."""


class ForecastState(StatusModel):
    """The demand foreseen over the horizon."""

    model: Name
    """Model that was chosen."""
    peak: Number = ""
    """Highest demand foreseen."""
    peak_at: Time | None = None
    """Time of the peak."""
    lower: Number = ""
    """Lower end of the interval at the peak."""
    upper: Number = ""
    """Upper end of the interval at the peak."""
    error_percent_of_naive: int | None = None
    """Backtest error relative to seasonal naive; 100 is as good as that."""
    reason: Sentence = ""
    """Why this model was chosen."""
    drift: Name = "None"
    """Whether the demand has left what the model learned: None, Warning, Drifted or Recovering."""
    drift_message: Phrase = ""
    """What drifted, since when, and what is done about it."""
    changes: list[ModelChangeState] = Field(default_factory=list, max_length=5)
    """The latest changes of the model, newest first."""


class TrendState(StatusModel):
    """Direction of the demand."""

    direction: Literal["Rising", "Falling", "Steady"]
    """Rising, Falling or Steady."""
    percent_per_hour: Number = ""
    """Slope in percent of the mean an hour."""
    lower_percent_per_hour: Number = ""
    """Lower end of the slope's 95 % interval."""
    upper_percent_per_hour: Number = ""
    """Upper end of the slope's 95 % interval."""
    changed: Time | None = None
    """Time of the latest change point; absent when there is none."""


class Season(StatusModel):
    """A period found in the demand."""

    period: Number
    """Length of the period."""
    strength_percent: int
    """Share of the demand's variance that the period explains."""


class ScalingStep(StatusModel):
    """One step of following."""

    from_: int = Field(alias="from")
    """Replicas before."""
    to: int
    """Replicas after."""
    at: Time
    """Time of the step."""
    reason: Sentence
    """Why."""


class ScalingToday(StatusModel):
    """Steps of following since midnight UTC."""

    date: Number = ""
    """The day in UTC."""
    ups: int = 0
    """Steps up."""
    downs: int = 0
    """Steps down."""


class Scaling(StatusModel):
    """What following did."""

    pending: ScalingStep | None = None
    """A step that is recorded and not yet known to be written."""
    last: ScalingStep | None = None
    """The latest step that was written."""
    today: ScalingToday = ScalingToday()
    """Steps since midnight UTC."""
    template: Name = ""
    """Digest of the pod template beside the replica count that following last set or accepted: a count that comes with
    another one is a deploy's."""
    enforced_generation: int = 0
    """Latest generation of the policy within whose bounds replicas were seen; without data bounds are set only once."""


class VersionState(StatusModel):
    """The version of the workload that runs: capacity is learned from its own samples."""

    digest: Name
    """Digest of the pod template, CPU and memory left out."""
    since: Time | None = None
    """Time from which it runs alone; absent where it was there at the first look."""
    rolling: bool = False
    """Whether it is still being rolled out."""


class Hold(StatusModel):
    """Someone's newer value stands: following waits for ``trimtab resume``, a change of the policy or its time."""

    field: Name
    """Field that someone else wrote."""
    value: Phrase
    """Value that stands."""
    manager: Name
    """Field manager that wrote it."""
    since: Time
    """Time from which following waits."""
    generation: int
    """Generation of the policy at that time; a later one ends the hold."""
    until: Time | None = None
    """Time at which following goes on by itself."""


class Accepted(StatusModel):
    """A foreign value that was accepted as the new base, so that it is not taken for a newer one again."""

    value: Phrase
    """Value that was accepted."""
    manager: Name
    """Field manager that wrote it."""
    at: Name = ""
    """Time of that write."""


class Recommendation(StatusModel):
    """What would be changed, or why nothing is."""

    replicas: int | None = None
    """Replicas recommended."""
    containers: list[ContainerSize] = Field(default_factory=list, max_length=32)
    """Sizes recommended."""
    reason: Sentence = ""
    """Why, or why nothing is recommended."""


class CostState(StatusModel):
    """Cost of the requests, by the policy's prices, at 730 hours a month."""

    monthly: Number = ""
    """Cost a month as it is."""
    recommended_monthly: Number = ""
    """Cost a month under the recommendation."""
    currency: Number = ""
    """Currency of both."""


class LastRun(StatusModel):
    """The run that ended last."""

    name: Name
    """Name of the run."""
    verdict: Phrase
    """How it ended."""
    at: Time
    """Time at which it ended."""


class ConditionType(StrEnum):
    """Conditions of a policy."""

    READY = "Ready"
    STALLED = "Stalled"
    DATA_AVAILABLE = "DataAvailable"
    OBJECTIVES_MET = "ObjectivesMet"
    FORECAST_RELIABLE = "ForecastReliable"
    PROGRESSING = "Progressing"
    CONFLICTED = "Conflicted"
    HEALTHY = "Healthy"
    ANOMALY = "Anomaly"
    EARLY_WARNING = "EarlyWarning"
    ANALYTICS_STORED = "AnalyticsStored"
    FLEET_PAUSED = "FleetPaused"
    DEGRADED = "Degraded"


class PolicyStatus(StatusModel):
    """Status of a PerformancePolicy."""

    observed_generation: int = 0
    """Generation of the spec that this status speaks of."""
    last_evaluated: Time | None = None
    """When the policy was evaluated last, as far as this status knows, which is written at least every five minutes."""
    conditions: list[Condition] = Field(default_factory=list, max_length=16, json_schema_extra=list_map("type"))
    """Conditions by type: Ready, Stalled, DataAvailable, ObjectivesMet, ForecastReliable, Progressing, Conflicted,
    Healthy, Anomaly, EarlyWarning, AnalyticsStored, FleetPaused, Degraded."""
    summary: Summary = Summary()
    """Ready-made cells for kubectl get."""
    objectives: list[ObjectiveState] = Field(default_factory=list, max_length=16)
    """Objectives as last seen."""
    trend: TrendState | None = None
    """Direction of the demand."""
    seasonality: list[Season] = Field(default_factory=list, max_length=4)
    """Periods found in the demand."""
    forecast: ForecastState | None = None
    """Demand foreseen over the horizon."""
    health: HealthState | None = None
    """How well the workload does; absent without anything to judge it by."""
    anomalies: AnomaliesState | None = None
    """Unusual stretches of its signals."""
    patterns: list[PatternState] = Field(default_factory=list, max_length=4)
    """Habits of the demand."""
    reliability: ScoreState | None = None
    """Probability that all objectives hold over the horizon."""
    performance: ScoreState | None = None
    """Margin to the objectives that is expected over the horizon."""
    warnings: list[WarningState] = Field(default_factory=list, max_length=4)
    """Objectives that are about to be breached, the soonest first."""
    budgets: list[BudgetState] = Field(default_factory=list, max_length=8)
    """Error budgets of objectives with an SLO."""
    capacity_plan: CapacityPlanState | None = None
    """What will be needed in days to months."""
    advice: list[AdviceState] = Field(default_factory=list, max_length=5)
    """What else is recommended, the most worthwhile first."""
    version: VersionState | None = None
    """Version of the workload that runs."""
    operating_point: OperatingPoint | None = None
    """How the workload is run."""
    scaling: Scaling = Scaling()
    """What following did."""
    conflicts: list[ConflictState] = Field(default_factory=list, max_length=16)
    """Fields that the policy may change and somebody else claims; the others go on."""
    hold: Hold | None = None
    """Someone's newer value stands, and following waits."""
    accepted: Accepted | None = None
    """A foreign value that was accepted as the new base."""
    current: Snapshot | None = None
    """The workload as last seen."""
    recommendation: Recommendation | None = None
    """What would be changed, or why nothing is."""
    cost: CostState | None = None
    """Cost of the requests."""
    active_run: Name = ""
    """Run that is under way."""
    last_run: LastRun | None = None
    """Run that ended last."""
