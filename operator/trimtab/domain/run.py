"""OptimizationRun: one change, from plan to proof."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from trimtab.domain.choices import StrategyName
from trimtab.domain.policy import THRESHOLD_RULE
from trimtab.domain.rules import Rule, SpecModel, list_map, of_quantities
from trimtab.domain.status import Condition, Name, Number, OperatingPoint, Phrase, Sentence, Snapshot, StatusModel, Time
from trimtab.domain.units import Quantity


class Phase(StrEnum):
    """Where a run is."""

    PENDING = "Pending"
    AWAITING_APPROVAL = "AwaitingApproval"
    APPLYING = "Applying"
    SETTLING = "Settling"
    VALIDATING = "Validating"
    SUCCEEDED = "Succeeded"
    ROLLED_BACK = "RolledBack"
    FAILED = "Failed"
    REJECTED = "Rejected"
    SUPERSEDED = "Superseded"
    CANCELLED = "Cancelled"

    @property
    def finished(self) -> bool:
        """Whether nothing more happens by itself (a kept change can still be undone)."""
        return self in _FINISHED

    @property
    def unproven(self) -> bool:
        """Whether a change may be on the workload that no verdict has kept."""
        return self in (Phase.APPLYING, Phase.SETTLING, Phase.VALIDATING)


_FINISHED = frozenset(
    {Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.FAILED, Phase.REJECTED, Phase.SUPERSEDED, Phase.CANCELLED}
)


class Trigger(StrEnum):
    """What called for a run."""

    FORECAST = "Forecast"
    OBJECTIVE = "Objective"
    COST = "Cost"
    MANUAL = "Manual"


class VerdictResult(StrEnum):
    """What the evidence says."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a password
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"


CHANGE_PATHS = (
    "spec.replicas",
    "resources.requests.cpu",
    "resources.requests.memory",
    "resources.limits.cpu",
    "resources.limits.memory",
    "operatingPoint.loadPerReplica",
    "operatingPoint.headroomPercent",
    "operatingPoint.minReplicas",
)


_WHOLE_NUMBERS = ("spec.replicas", "operatingPoint.headroomPercent", "operatingPoint.minReplicas")


class PolicyRef(SpecModel):
    """The policy that this run belongs to."""

    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    """Name of a PerformancePolicy in the run's namespace."""


class Approval(SpecModel):
    """A person's yes to one plan."""

    plan_hash: str = Field(min_length=1, max_length=64)
    """Hash of the plan that is approved; another plan waits again."""


class RequestedChange(SpecModel):
    """A person's own change to try and validate."""

    rules: ClassVar = (
        Rule(
            "path {path} needs the container whose resources change; set container",
            cel="!self.path.startsWith('resources.') || self.container != ''",
            holds=lambda c: not c.path.startswith("resources.") or c.container != "",
            field=".container",
        ),
        Rule(
            "path {path} is of the whole workload and takes no container; leave out container {container}",
            cel="self.path.startsWith('resources.') || self.container == ''",
            holds=lambda c: c.path.startswith("resources.") or c.container == "",
            field=".container",
        ),
        Rule(
            "to {to} is not a positive amount, which path {path} needs; write one such as 4, 250m or 512Mi",
            cel="self.path == 'operatingPoint.headroomPercent' || "
            + of_quantities("{}.isGreaterThan(quantity('0'))", "to"),
            holds=lambda c: c.path == "operatingPoint.headroomPercent" or c.to > 0,
            field=".to",
        ),
        Rule(
            "to {to} is not a whole number from 0 to 10000, which path {path} needs; write one such as 4",
            cel=f"!(self.path in {list(_WHOLE_NUMBERS)}) || "
            + of_quantities("({0}.isInteger() && {0}.asInteger() >= 0 && {0}.asInteger() <= 10000)", "to"),
            holds=lambda c: c.path not in _WHOLE_NUMBERS or (c.to.is_integer() and 0 <= c.to <= 10_000),
            field=".to",
        ),
    )

    path: Literal[
        "spec.replicas",
        "resources.requests.cpu",
        "resources.requests.memory",
        "resources.limits.cpu",
        "resources.limits.memory",
        "operatingPoint.loadPerReplica",
        "operatingPoint.headroomPercent",
        "operatingPoint.minReplicas",
    ]
    """Field to change."""
    container: str = Field("", max_length=63)
    """Container, for a path of resources; empty for the others."""
    to: Quantity
    """New value, such as 4, 250m or 512Mi."""


class RunObjective(SpecModel):
    """A threshold for this run in place of the policy's."""

    rules: ClassVar = (THRESHOLD_RULE,)

    name: str = Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    """Name of the policy's objective."""
    max: Quantity | None = None
    """Upper bound."""
    min: Quantity | None = None
    """Lower bound."""


_FIXED = ("policyRef", "trigger", "dryRun", "changes", "objectives")


class RunSpec(SpecModel):
    """One change to try."""

    rules: ClassVar = (
        Rule(
            "spec cannot be changed after creation, but for approval and cancelled; create another run instead",
            cel=" && ".join(
                [
                    *(f"self.{name} == oldSelf.{name}" for name in _FIXED),
                    "has(self.strategy) == has(oldSelf.strategy)",
                    "(!has(self.strategy) || self.strategy == oldSelf.strategy)",
                ]
            ),
        ),
        Rule(
            "approval may be replaced but not removed; set cancelled to true to stop the run",
            cel="!has(oldSelf.approval) || has(self.approval)",
        ),
        Rule(
            "cancelled cannot be taken back; create another run instead",
            cel="!oldSelf.cancelled || self.cancelled",
        ),
        Rule(
            "changes has the same path and container twice; keep one change for each",
            holds=lambda r: len({(c.path, c.container) for c in r.changes}) == len(r.changes),
        ),
        Rule(
            "objectives has a name twice; keep one threshold for each",
            holds=lambda r: len({o.name for o in r.objectives}) == len(r.objectives),
        ),
    )

    policy_ref: PolicyRef
    """The policy that this run belongs to."""
    strategy: StrategyName | None = None
    """Strategy of the plan. Default: the policy's."""
    trigger: Trigger = Trigger.MANUAL
    """What called for this run."""
    dry_run: bool = False
    """Plan only; change nothing."""
    approval: Approval | None = None
    """A person's yes, asked for in mode Approve."""
    cancelled: bool = False
    """Ends the run and undoes its change; on a kept run: undoes it."""
    changes: list[RequestedChange] = Field(
        default_factory=list, max_length=64, json_schema_extra=list_map("path", "container")
    )
    """A person's own change to try. Default: the operator plans one."""
    objectives: list[RunObjective] = Field(default_factory=list, max_length=16, json_schema_extra=list_map("name"))
    """Thresholds for this run. Default: the policy's."""


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
    """Currency of both."""


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


class Applied(StatusModel):
    """The change as applied; before, after and the sample times are recorded before the first write."""

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
    validate_from: Time
    """Time of the first measurement."""
    validate_interval_seconds: int
    """Seconds between measurements."""
    measurements: int
    """How many measurements the verdict rests on."""
    startup_seconds: Number = ""
    """Seconds that a pod takes to start, by which settling was lengthened."""
    written: bool = False
    """Whether every write was confirmed."""


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


class Rollback(StatusModel):
    """How a change was undone."""

    reason: Sentence
    """Why it was undone."""
    at: Time
    """Time of the undoing."""
    restored: bool
    """Whether every value that was changed was put back."""


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
    """Cost saved a month."""


class RunStatus(StatusModel):
    """Status of an OptimizationRun."""

    observed_generation: int = 0
    """Generation of the spec that this status speaks of."""
    phase: Phase | None = None
    """Where the run is."""
    conditions: list[Condition] = Field(default_factory=list, max_length=16, json_schema_extra=list_map("type"))
    """Conditions by type."""
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
    rollback: Rollback | None = None
    """How the change was undone."""
    timeline: list[TimelineEntry] = Field(default_factory=list, max_length=32)
    """Phases that the run went through."""
