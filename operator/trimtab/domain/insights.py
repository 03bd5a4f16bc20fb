"""What the analysis tells in a policy's status: health, anomalies, outlook, advice. Numbers are decimal strings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trimtab.domain.choices import AnomalyKind, Severity
from trimtab.domain.status_types import Name, Number, Phrase, StatusModel, Time


class HealthFactor(StatusModel):
    """One part of the health score."""

    name: Name
    """What was judged."""
    score: int
    """0 (bad) to 100 (good)."""
    reason: Phrase
    """Why, in one sentence."""


class HealthState(StatusModel):
    """How well the workload does."""

    score: int
    """0 (bad) to 100 (good)."""
    factors: list[HealthFactor] = Field(default_factory=list, max_length=12)
    """What made the score, the worst first."""


class AnomalyState(StatusModel):
    """One unusual stretch of a signal."""

    signal: Name
    """Signal that was unusual: load, cpu/<container>, objective/<name> and so on."""
    kind: AnomalyKind
    """Spike, Dip, LevelShift, TrendChange, VarianceChange, Contextual or Collective."""
    severity: Severity
    """Info, Warning or Critical."""
    since: Time
    """Time at which it began."""
    until: Time | None = None
    """Time at which it ended; absent while it goes on."""
    message: Phrase
    """What was seen, what was expected, and why it is of this kind."""


class AnomaliesState(StatusModel):
    """Anomalies of the workload's signals."""

    active: int = 0
    """How many go on now."""
    last24h: int = 0
    """How many began in the last 24 hours."""
    suppressed: int = 0
    """How many were not told, because a rollout or a scale event explains them."""
    latest: AnomalyState | None = None
    """The one that matters most now, else the one that began last."""


class ModelChangeState(StatusModel):
    """Another forecast model was taken."""

    at: Time
    """Time of the change."""
    from_: Name = Field(alias="from")
    """Model before."""
    to: Name
    """Model after."""
    reason: Phrase
    """Why."""


class WarningState(StatusModel):
    """An objective that is about to be breached."""

    objective: Name
    """Name of the objective."""
    at: Time
    """Time at which a breach is expected."""
    confidence_percent: int
    """Probability of a breach within the horizon."""
    source: Name
    """What foresees it: Forecast, Objective or BurnRate."""
    message: Phrase
    """What is coming, and when."""


class BudgetState(StatusModel):
    """Error budget of an objective with an SLO."""

    objective: Name
    """Name of the objective."""
    target_percent: Number
    """Share of the time that it must hold."""
    remaining_percent: Number
    """Share of the error budget that is left; negative when overspent."""
    covered_percent: int
    """Share of the window that data were seen for."""
    burn_rate: Number = ""
    """Rate at which the budget is spent over about the last hour; 1 spends it in exactly one window."""
    alert: Literal["None", "Ticket", "Page"] = "None"
    """What the burn rates call for."""
    message: Phrase = ""
    """The burn rates behind it."""


class ScoreState(StatusModel):
    """A score over the horizon of the forecast."""

    score_percent: int
    """0 (bad) to 100 (good)."""
    reason: Phrase = ""
    """What made it."""


class CapacityStage(StatusModel):
    """What will be needed by one date."""

    within: Number
    """Time from now, such as 720h."""
    peak: Number
    """Highest demand expected."""
    upper: Number
    """Upper end of its interval."""
    replicas: int
    """Replicas that the upper end needs at the present size."""
    cpu: Number
    """CPU that they request."""
    memory: Number
    """Memory that they request."""


class CapacityLimit(StatusModel):
    """When a limit is met."""

    name: Name
    """maxReplicas, quota or nodes, with the resource."""
    at: Time | None = None
    """Date at which it is met; absent when it is not within the plan."""
    message: Phrase = ""
    """The figures behind it."""


class CapacityPlanState(StatusModel):
    """What will be needed in days to months."""

    stages: list[CapacityStage] = Field(default_factory=list, max_length=4)
    """Needs by date."""
    limits: list[CapacityLimit] = Field(default_factory=list, max_length=6)
    """Limits that the demand will meet, the soonest first."""
    message: Phrase = ""
    """The plan in one sentence, or why there is none."""


class AdviceState(StatusModel):
    """One recommendation."""

    kind: Name
    """What is recommended, in one word."""
    severity: Severity
    """Info, Warning or Critical."""
    title: Phrase
    """What to do."""
    reason: Phrase
    """Why, with the evidence."""
    effect: Phrase = ""
    """What it is expected to do to objectives and cost."""
    how: Phrase = ""
    """What to do: a command, a field or a patch."""
    monthly_saving: Number = ""
    """Cost that it saves a month; negative when it costs."""
    confidence_percent: int = 0
    """How sure it is."""


class PatternState(StatusModel):
    """A habit of the demand."""

    kind: Name
    """Burst, Idle, ColdStart or Calendar."""
    message: Phrase
    """What is done, when and how much."""
