"""What the operator tells of an OptimizationRun: plan, what was applied, measurements, verdict, timeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trimtab.domain.choices import OnInconclusive, OnNoTraffic
from trimtab.domain.rules import list_map
from trimtab.domain.run import Phase, VerdictResult
from trimtab.domain.status import Condition, OperatingPoint, Snapshot
from trimtab.domain.status_types import Name, Number, Phrase, Sentence, StatusModel, Time


class FieldChange(StatusModel):
    """One value that a plan changes."""

    path: Name
    """Field that changes, such as spec.replicas."""
    container: Name = ""
    """Container, for a path of resources."""
    from_: Number = Field(alias="from")
    """Value before."""
    to: Number
    """Value wanted."""


class PredictedObjective(StatusModel):
    """Value of an objective that the performance model expects under the plan at the peak of the forecast."""

    name: Name
    """Name of the objective."""
    value: Number
    """Expected value."""
    lower: Number = ""
    """Lower end of the interval."""
    upper: Number = ""
    """Upper end of the interval."""


class PredictedCost(StatusModel):
    """Cost a month before and after."""

    from_: Number = Field(alias="from")
    """Cost a month as it is."""
    to: Number
    """Cost a month under the plan."""
    currency: Number
    """Currency of all."""
    restarts: Number = ""
    """Cost of the pods that start beside those they replace, once; empty where no pod is replaced."""


class Predicted(StatusModel):
    """What the plan is expected to do."""

    objectives: list[PredictedObjective] = Field(default_factory=list, max_length=16)
    """Expected values of the objectives."""
    cost: PredictedCost | None = None
    """Cost a month before and after."""
    peak_load_per_replica: Number = ""
    """Load that a replica carries at the peak of the forecast under the plan."""
    cpu_size: Number = ""
    """CPU in cores of a pod under the plan."""
    least_load: Number = ""
    """Least load that the forecast expects while the change is measured; empty without a reliable forecast."""


class GuardResult(StatusModel):
    """What one guard said."""

    name: Name
    """Guard, such as maxStepPercent."""
    result: Literal["Passed", "Capped", "Blocked"]
    """Passed, Capped (the plan was made smaller) or Blocked."""
    message: Sentence = ""
    """Why, with the values that decided."""


class CurveState(StatusModel):
    """The fitted performance curve of one objective, kept with the plan so that a verdict can be checked."""

    objective: Name
    """Name of the objective."""
    kind: Name
    """Form of the curve."""
    parameters: list[Number] = Field(max_length=16)
    """Parameters of the curve, in the order of its form."""
    residual_std: Number
    """Standard deviation of what the curve leaves unexplained."""
    samples: int
    """Samples that the curve was fitted to."""


class PlannedObjective(StatusModel):
    """An objective as it was when a plan was made: the trial is judged by it."""

    name: Name
    """Name of the objective."""
    max: Number = ""
    """Upper bound; empty without one."""
    min: Number = ""
    """Lower bound; empty without one."""
    query: Name = ""
    """Digest of the query: another one measures something else."""
    critical: bool = False
    """Whether one failure fails the trial."""
    on_no_traffic: OnNoTraffic = OnNoTraffic.MET
    """What no value means while no load is seen."""


class Plan(StatusModel):
    """What is to be changed, why, and what is expected of it."""

    hash: Name
    """Names this plan for approval: another plan has another hash."""
    reason: Sentence
    """Why, in one sentence."""
    changes: list[FieldChange] = Field(max_length=64)
    """Values that change."""
    former_point: OperatingPoint = OperatingPoint()
    """Operating point before, which a rollback restores."""
    trial_point: OperatingPoint = OperatingPoint()
    """Operating point on trial."""
    predicted: Predicted = Predicted()
    """What the plan is expected to do."""
    evidence: dict[str, Sentence] = Field(default_factory=dict, max_length=32)
    """Facts that the plan rests on, by name."""
    guardrails: list[GuardResult] = Field(default_factory=list, max_length=32)
    """What each guard said."""
    curves: list[CurveState] = Field(default_factory=list, max_length=16)
    """Performance curves that the plan rests on."""
    objectives: list[PlannedObjective] = Field(default_factory=list, max_length=16)
    """Objectives that the plan was made under, and that its trial is judged by."""
    version: Name = ""
    """Digest of the pod template, CPU and memory left out, that the plan was made for."""


class Progress(StatusModel):
    """How far a change has come on its way to the pods, and when it last came nearer to its end."""

    at: Time
    """When fewer steps were left than ever before; after the change was complete, since when it no longer is."""
    wanted: int
    """Replicas that were asked for then."""
    remaining: int
    """Steps that were left: pods to be made, updated, ready, available or ended."""
    message: Phrase = ""
    """The counts of the workload's status then."""


class TrialLimits(StatusModel):
    """What a trial survives, as the policy said when it began."""

    failure_limit: int
    """Measurements beyond a threshold; never more than half of all."""
    consecutive_error_limit: int
    """Measurements without data in a row."""
    tolerance_percent: int
    """How much worse than planned counts as no worse."""
    on_inconclusive: OnInconclusive
    """What ends it when its evidence does not decide."""


class Applied(StatusModel):
    """The change as applied: what was there before is recorded before the first write, the sample times when the
    change is complete."""

    kind: Name = ""
    """Kind of the workload."""
    name: Name = ""
    """Name of the workload."""
    uid: Name
    """UID of the workload; another one is never touched."""
    manager: Name
    """Field manager of the writes."""
    before: Snapshot
    """Values before, which a rollback restores."""
    after: Snapshot
    """Values written."""
    at: Time
    """Time of the record, right before the first write."""
    progress: Progress | None = None
    """How far the change has come; absent until it is written."""
    unanswered_since: Time | None = None
    """When the guards of the trial were first not answered, as its pods could not be read; absent while they are."""
    complete_at: Time | None = None
    """When the workload's status said that the change is complete, recorded before the first measurement."""
    validate_from: Time | None = None
    """Time of the first measurement, fixed when the change is complete."""
    validate_interval_seconds: int
    """Seconds between measurements."""
    measurements: int
    """How many measurements the verdict rests on."""
    limits: TrialLimits | None = None
    """What the trial survives."""
    written: bool = False
    """Whether every write was confirmed."""
    template: Name = ""
    """Digest of the pod template without what the plan writes: another one is a deploy, which ends the trial."""
    generation: int = 0
    """Generation of the policy at that time."""
    version_since: Time | None = None
    """Time from which the version on trial ran: samples before it are of another, and count for nothing."""
    last_applied: Name = ""
    """Digest of what client-side kubectl apply had noted: a later note that states a value makes it theirs."""


class Measurement(StatusModel):
    """One measurement of the trial."""

    at: Time
    """Time of the samples."""
    objective: Name
    """Name of the objective."""
    value: Number = ""
    """Value measured; empty without data."""
    expected: Number = ""
    """Value the plan's curve expects at the load and size seen."""
    load_per_replica: Number = ""
    """Load a replica carried."""
    result: Literal["Pass", "Fail", "NoTraffic", "Error"]
    """Pass, Fail, NoTraffic or Error (no data)."""


class ObjectiveVerdict(StatusModel):
    """Verdict on one objective; effect is the load-adjusted change in percent, with its interval."""

    name: Name
    """Name of the objective."""
    before: Number = ""
    """Typical value before the change."""
    after: Number = ""
    """Typical value under the change."""
    effect_percent: Number = ""
    """Change in percent at equal load."""
    lower_percent: Number = ""
    """Lower end of the effect's interval."""
    upper_percent: Number = ""
    """Upper end of the effect's interval."""
    result: VerdictResult
    """Pass, Fail or Inconclusive."""


class Verdict(StatusModel):
    """What the evidence says of the trial."""

    result: VerdictResult
    """Pass, Fail or Inconclusive."""
    objectives: list[ObjectiveVerdict] = Field(default_factory=list, max_length=16)
    """Verdict on each objective."""
    message: Sentence = ""
    """The verdict in one sentence."""
    at: Time = 0.0
    """Time of the verdict."""
    interrupted: bool = False
    """Whether a deploy, scaling to zero or another's claim ended the trial: the change is then undone, whatever
    onInconclusive says."""


class Rollback(StatusModel):
    """How a change was undone."""

    reason: Sentence
    """Why it was undone."""
    at: Time
    """Time of the undoing."""
    restored: bool
    """Whether every value that was changed is as it was before, and nothing keeps it from the pods."""
    not_restored: list[Phrase] = Field(default_factory=list, max_length=64)
    """Fields that were left as they are, each with its value and whose it is, and why pods may be."""
    watched_until: Time | None = None
    """Until when it is looked whether the pods are as before too; absent once that is known."""


class TimelineEntry(StatusModel):
    """One step of a run's life."""

    phase: Phase
    """Phase that was entered."""
    at: Time
    """Time of entering."""
    reason: Phrase = ""
    """Why."""


class RunSummary(StatusModel):
    """Ready-made cells for ``kubectl get``."""

    change: Phrase = ""
    """What changes, such as 6→4, cpu 500m→350m."""
    verdict: Phrase = ""
    """How it ended, such as Kept."""
    saves: Number = ""
    """Cost saved a month; empty for a run that ended without its change being kept."""


class RunStatus(StatusModel):
    """Status of an OptimizationRun."""

    observed_generation: int = 0
    """Generation of the spec that this status speaks of."""
    phase: Phase | None = None
    """Where the run is."""
    conditions: list[Condition] = Field(default_factory=list, max_length=16, json_schema_extra=list_map("type"))
    """Conditions by type: Complete, Reconciling, Stalled."""
    summary: RunSummary = RunSummary()
    """Ready-made cells for kubectl get."""
    plan: Plan | None = None
    """What is to be changed, why, and what is expected of it."""
    applied: Applied | None = None
    """The change as applied, with what was there before."""
    rescues: int = 0
    """Replicas that following added to rescue objectives during the trial."""
    measurements: list[Measurement] = Field(default_factory=list, max_length=40)
    """Measurements of the trial; where there are more, the latest."""
    verdict: Verdict | None = None
    """What the evidence says of the trial."""
    undo_refused: Sentence = ""
    """Why the API server does not take the change back, which is tried again in each round; empty while nothing does
    so."""
    rollback: Rollback | None = None
    """How the change was undone."""
    timeline: list[TimelineEntry] = Field(default_factory=list, max_length=32)
    """Phases that the run went through."""
