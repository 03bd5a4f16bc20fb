"""OptimizationRun: one change, from plan to proof."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal, get_args

from pydantic import Field

from trimtab.domain.choices import StrategyName
from trimtab.domain.objectives import THRESHOLD_RULE
from trimtab.domain.printable import PRINTABLE
from trimtab.domain.rules import Rule, SpecModel, list_map, of_quantities
from trimtab.domain.scaling import LEAST_BYTES, LEAST_CORES, MOST_BYTES, MOST_CORES
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


ChangePath = Literal[
    "spec.replicas",
    "resources.requests.cpu",
    "resources.requests.memory",
    "resources.limits.cpu",
    "resources.limits.memory",
    "operatingPoint.loadPerReplica",
    "operatingPoint.headroomPercent",
    "operatingPoint.minReplicas",
]
CHANGE_PATHS: tuple[str, ...] = get_args(ChangePath)
_WHOLE_NUMBERS = ("spec.replicas", "operatingPoint.headroomPercent", "operatingPoint.minReplicas")


_MOST_LOAD = 1e12


def _between(least: str, most: str) -> str:
    """CEL for a quantity within bounds."""
    return f"({{0}}.compareTo(quantity('{least}')) >= 0 && {{0}}.compareTo(quantity('{most}')) <= 0)"


class PolicyRef(SpecModel):
    """The policy that this run belongs to."""

    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    """Name of a PerformancePolicy in the run's namespace."""


class Approval(SpecModel):
    """A person's yes to one plan."""

    plan_hash: str = Field(min_length=1, max_length=64, pattern=PRINTABLE)
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
            "to {to} is not an amount of CPU from 1m to 10k, which path {path} needs; write one such as 250m or 2",
            cel="!self.path.endsWith('.cpu') || " + of_quantities(_between("1m", "10k"), "to"),
            holds=lambda c: not c.path.endswith(".cpu") or LEAST_CORES <= c.to <= MOST_CORES,
            field=".to",
        ),
        Rule(
            "to {to} is not an amount of memory from 1Mi to 64Ti, which path {path} needs; write one such as 512Mi",
            cel="!self.path.endsWith('.memory') || " + of_quantities(_between("1Mi", "64Ti"), "to"),
            holds=lambda c: not c.path.endswith(".memory") or LEAST_BYTES <= c.to <= MOST_BYTES,
            field=".to",
        ),
        Rule(
            "to {to} is above 1T, the most for path {path}; write the load that one replica carries, such as 100",
            cel="self.path != 'operatingPoint.loadPerReplica' || "
            + of_quantities("{}.compareTo(quantity('1T')) <= 0", "to"),
            holds=lambda c: c.path != "operatingPoint.loadPerReplica" or c.to <= _MOST_LOAD,
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

    path: ChangePath
    """Field to change."""
    container: str = Field("", max_length=63, pattern=PRINTABLE)
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


_FIXED = ("policyRef", "trigger", "dryRun", "changes", "objectives", "allowBeyondBounds")


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
    allow_beyond_bounds: bool = False
    """A person's own word that changes may leave the policy's bounds."""
    objectives: list[RunObjective] = Field(default_factory=list, max_length=16, json_schema_extra=list_map("name"))
    """Thresholds for this run. Default: the policy's."""
