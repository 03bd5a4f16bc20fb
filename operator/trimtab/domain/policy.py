"""PerformancePolicy: what good means for one workload, and what may be done for it; parsed once into types.

The models are the source of ``crds/``: descriptions become ``kubectl explain``, rules become validations.
"""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field

from trimtab.domain.choices import (
    ControlledResource,
    ControlledValues,
    ForecastModel,
    Mode,
    OnFieldConflict,
    OnInconclusive,
    OnNoTraffic,
    OnStaleData,
    ScalingPolicyType,
    SelectPolicy,
    StrategyName,
    TargetKind,
    UpdateMode,
)
from trimtab.domain.rules import Rule, SpecModel, list_map, of_durations, of_quantities
from trimtab.domain.units import Duration, Quantity

GROUP, VERSION = "trimtab.dev", "v1alpha1"
MAX_MEASUREMENTS = 500

__all__ = [
    "GROUP",
    "MAX_MEASUREMENTS",
    "VERSION",
    "Analysis",
    "Behavior",
    "ContainerPolicy",
    "ControlledResource",
    "ControlledValues",
    "Cost",
    "Forecast",
    "ForecastModel",
    "Guardrails",
    "Horizontal",
    "MetricQuery",
    "Metrics",
    "Mode",
    "Objective",
    "OnFieldConflict",
    "OnInconclusive",
    "OnNoTraffic",
    "OnStaleData",
    "PolicySpec",
    "ResourceAmounts",
    "ScalingPolicy",
    "ScalingPolicyType",
    "ScalingRules",
    "SelectPolicy",
    "StrategyName",
    "TargetKind",
    "TargetRef",
    "UpdateMode",
    "Validation",
    "Vertical",
]

_QUERY = r"^([^$]|\$(namespace|target|pods|container|window)\b|\$[^a-zA-Z_]|\$$)*$"
_LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
_MATCHED = r"""["']?\s*=~?\s*["'`]\$target["'`]"""

_QUERY_RULES = (
    Rule(
        "query has a variable that is not filled in; known are $namespace, $target, $pods, $container and $window"
        " ($__rate_interval of Grafana is $window here)",
        cel=f"self.query.matches(r'{_QUERY}')",
        holds=lambda q: re.fullmatch(_QUERY, q.query, re.ASCII) is not None,
        field=".query",
    ),
    Rule(
        "targetLabel {targetLabel} is not matched with $target in query;"
        ' write {targetLabel}="$target" in its selectors, or leave targetLabel out',
        cel=f"!has(self.targetLabel) || !self.targetLabel.matches(r'{_LABEL}')"
        rf" || self.query.matches(r'\b' + self.targetLabel + r'''{_MATCHED}''')",
        holds=lambda q: q.target_label is None or re.search(rf"\b{q.target_label}{_MATCHED}", q.query) is not None,
        field=".targetLabel",
    ),
)
THRESHOLD_RULE = Rule(
    "objective {name} needs exactly one of max and min as its threshold; set one, leave out the other",
    cel="has(self.max) != has(self.min)",
    holds=lambda o: (o.max is None) != (o.min is None),
)


class TargetRef(SpecModel):
    """The workload that this policy tunes."""

    api_version: str = Field("apps/v1", pattern=r"^apps/v1$", max_length=32)
    """API version of the workload: apps/v1."""
    kind: TargetKind
    """Kind of the workload."""
    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    """Name of the workload, in the policy's own namespace."""


class MetricQuery(SpecModel):
    """A PromQL query for one signal of the workload."""

    rules: ClassVar = _QUERY_RULES

    query: str = Field(min_length=1, max_length=4096, pattern=r"\S")
    """PromQL. $namespace, $target, $pods, $container and $window are filled in, escaped."""
    target_label: str | None = Field(None, max_length=128, pattern=_LABEL)
    """Label that query matches with $target: lets one grouped query serve all policies that share it."""
    unit: str = Field("", max_length=32)
    """Unit shown with the values, such as requests/s."""


class Metrics(SpecModel):
    """Where signals come from. Defaults fit kube-prometheus (cAdvisor and kube-state-metrics)."""

    load: MetricQuery | None = None
    """Demand on the workload, such as requests a second. Absent: its CPU usage in cores."""
    cpu: MetricQuery | None = None
    """Override of CPU usage in cores; grouped by container."""
    memory: MetricQuery | None = None
    """Override of memory working set in bytes a pod; grouped by container."""


class Objective(SpecModel):
    """A threshold that the workload's own metric must hold."""

    rules: ClassVar = (THRESHOLD_RULE, *_QUERY_RULES)

    name: str = Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    """Name of the objective, unique in the policy."""
    query: str = Field(min_length=1, max_length=4096, pattern=r"\S")
    """PromQL whose one value is compared with the threshold; $namespace, $target, $pods, $container and $window
    are filled in, escaped."""
    target_label: str | None = Field(None, max_length=128, pattern=_LABEL)
    """Label that query matches with $target: lets one grouped query serve all policies that share it."""
    max: Quantity | None = None
    """The value must stay at or below this, in the query's own unit: 250m or "0.25", in quotes, are a quarter."""
    min: Quantity | None = None
    """The value must stay at or above this, in the query's own unit: 999m and "0.999", in quotes, are the same."""
    critical: bool = False
    """One critical failure fails a validation."""
    weight: int = Field(1, ge=1, le=100)
    """Share of this objective in scores."""
    on_no_traffic: OnNoTraffic = OnNoTraffic.MET
    """What no value means while no load is seen: Met lets an idle service shrink, Hold does not."""

    @property
    def threshold(self) -> float:
        """The bound, whichever side it is on."""
        bound = self.max if self.max is not None else self.min
        assert bound is not None, "the rules keep an objective without a threshold out"
        return bound

    def violated(self, value: float, tolerance: float = 0.0) -> bool:
        """Whether a finite value is beyond the threshold by more than the relative tolerance."""
        if self.max is not None:
            return value > self.max * (1 + tolerance)
        return value < self.threshold * (1 - tolerance)


class ScalingPolicy(SpecModel):
    """At most this much change in this long, as in HPA v2."""

    type: ScalingPolicyType
    """Pods or Percent of the replicas at the period's start."""
    value: int = Field(ge=1, le=100_000)
    """How many pods, or how many percent."""
    period_seconds: int = Field(ge=1, le=1800)
    """Length of the period in seconds."""


class ScalingRules(SpecModel):
    """How fast replicas may move in one direction, as in HPA v2."""

    stabilization_window_seconds: int | None = Field(None, ge=0, le=3600)
    """Past recommendations looked back at, so that replicas do not flap. Default 0 up, 300 down."""
    select_policy: SelectPolicy = SelectPolicy.MAX
    """Which policy counts when several are given."""
    policies: list[ScalingPolicy] = Field(default_factory=list, max_length=10)
    """Rate limits. Default up: 100 % or 4 pods a 15 s; down: 100 % a 15 s."""


class Behavior(SpecModel):
    """Pace of following, as in HPA v2."""

    scale_up: ScalingRules = ScalingRules()
    """Pace of adding replicas."""
    scale_down: ScalingRules = ScalingRules()
    """Pace of removing replicas."""


class Horizontal(SpecModel):
    """Bounds and pace for replicas."""

    rules: ClassVar = (
        Rule(
            "minReplicas {minReplicas} is above maxReplicas {maxReplicas}; lower it or raise maxReplicas",
            cel="self.minReplicas <= self.maxReplicas",
            holds=lambda h: h.min_replicas <= h.max_replicas,
            field=".minReplicas",
        ),
    )

    min_replicas: int = Field(1, ge=1, le=10_000)
    """Floor of the replica count."""
    max_replicas: int = Field(ge=1, le=10_000)
    """Ceiling of the replica count."""
    follow: bool = True
    """Replicas follow demand between runs; false: only runs change them."""
    behavior: Behavior = Behavior()
    """Pace of following."""


class ResourceAmounts(SpecModel):
    """Amounts of CPU and memory."""

    cpu: Quantity | None = Field(None, ge=0.001)
    """CPU in cores, such as 250m or 2."""
    memory: Quantity | None = Field(None, ge=2**20)
    """Memory in bytes, such as 64Mi or 4Gi."""


def _at_most(lower: float | None, upper: float | None) -> bool:
    return lower is None or upper is None or lower <= upper


class ContainerPolicy(SpecModel):
    """Bounds for one container's resources, as in VPA."""

    rules: ClassVar = (
        Rule(
            "minAllowed.cpu {minAllowed.cpu} is above maxAllowed.cpu {maxAllowed.cpu};"
            " lower it or raise maxAllowed.cpu",
            cel=of_quantities("{}.compareTo({}) <= 0", "minAllowed.cpu", "maxAllowed.cpu"),
            holds=lambda p: _at_most(p.min_allowed.cpu, p.max_allowed.cpu),
            field=".minAllowed.cpu",
        ),
        Rule(
            "minAllowed.memory {minAllowed.memory} is above maxAllowed.memory {maxAllowed.memory};"
            " lower it or raise maxAllowed.memory",
            cel=of_quantities("{}.compareTo({}) <= 0", "minAllowed.memory", "maxAllowed.memory"),
            holds=lambda p: _at_most(p.min_allowed.memory, p.max_allowed.memory),
            field=".minAllowed.memory",
        ),
    )

    container_name: str = Field("*", min_length=1, max_length=63, pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$")
    """Name of the container, or * for all that have no policy of their own."""
    min_allowed: ResourceAmounts = ResourceAmounts()
    """Requests never go below this."""
    max_allowed: ResourceAmounts = ResourceAmounts()
    """Requests never go above this."""
    controlled_resources: list[ControlledResource] = Field(
        default_factory=lambda: list(ControlledResource),
        min_length=1,
        max_length=2,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    """Resources that may be set."""
    controlled_values: ControlledValues = ControlledValues.REQUESTS_AND_LIMITS
    """Whether limits move in proportion with requests."""


class Vertical(SpecModel):
    """Bounds for container resources."""

    rules: ClassVar = (
        Rule(
            "containerPolicies has a containerName twice; keep one policy for each container",
            holds=lambda v: len({p.container_name for p in v.container_policies}) == len(v.container_policies),
        ),
    )

    update_mode: UpdateMode = UpdateMode.RECREATE
    """How changes reach the pods: Recreate rolls the workload."""
    container_policies: list[ContainerPolicy] = Field(
        default_factory=lambda: [ContainerPolicy(container_name="*")],
        min_length=1,
        max_length=32,
        json_schema_extra=list_map("containerName"),
    )
    """Bounds by container."""


class Analysis(SpecModel):
    """How metrics are read."""

    rules: ClassVar = (
        Rule(
            "interval {interval} is not shorter than history {history}; shorten it or lengthen history",
            cel=of_durations("{} < {}", "interval", "history"),
            holds=lambda a: a.interval < a.history,
            field=".interval",
        ),
    )

    interval: Duration = Field("60s", validate_default=True, ge=1, le=3600)
    """Time between evaluations, and step of the samples."""
    history: Duration = Field("168h", validate_default=True, ge=10, le=8784 * 3600)
    """How far back metrics are read."""


class Forecast(SpecModel):
    """How demand is foreseen."""

    horizon: Duration = Field("1h", validate_default=True, ge=1, le=168 * 3600)
    """How far ahead demand is forecast."""
    model: ForecastModel = ForecastModel.AUTO
    """Auto chooses by backtest; None is reactive only."""
    confidence_percent: int = Field(90, ge=50, le=99)
    """Coverage of the forecast's interval."""


class Validation(SpecModel):
    """How a change is proved."""

    rules: ClassVar = (
        Rule(
            "interval {interval} is longer than duration {duration}; shorten it or lengthen duration",
            cel=of_durations("{} <= {}", "interval", "duration"),
            holds=lambda v: v.interval <= v.duration,
            field=".interval",
        ),
        Rule(
            f"interval {{interval}} makes more than {MAX_MEASUREMENTS} measurements in duration {{duration}};"
            " lengthen it or shorten duration",
            cel=of_durations(
                f"{MAX_MEASUREMENTS} * {{}}.getMilliseconds() >= {{}}.getMilliseconds()", "interval", "duration"
            ),
            holds=lambda v: MAX_MEASUREMENTS * round(v.interval * 1000) >= round(v.duration * 1000),
            field=".interval",
        ),
    )

    settle: Duration = Field("60s", validate_default=True, ge=0, le=86400)
    """Wait after a change, on top of start-up and rollout, before its effect is measured."""
    interval: Duration = Field("30s", validate_default=True, ge=1, le=3600)
    """Time between measurements."""
    duration: Duration = Field("20m", validate_default=True, ge=1, le=7 * 86400)
    """How long a change is measured."""
    failure_limit: int = Field(2, ge=0, le=1000)
    """Measurements beyond a threshold that a trial survives."""
    consecutive_error_limit: int = Field(4, ge=0, le=1000)
    """Measurements without data in a row that a trial survives."""
    tolerance_percent: int = Field(5, ge=0, le=100)
    """How much worse than planned counts as no worse."""
    on_inconclusive: OnInconclusive = OnInconclusive.ROLLBACK
    """What ends a trial whose evidence does not decide."""


class Guardrails(SpecModel):
    """Limits on runs."""

    cooldown: Duration = Field("10m", validate_default=True, ge=0, le=30 * 86400)
    """Quiet time after a run before the next."""
    max_step_percent: int = Field(50, ge=1, le=1000)
    """Largest change of any value in one run, in percent of the present value."""
    max_runs_per_day: int = Field(24, ge=1, le=10_000)
    """Runs that may act in 24 hours."""
    max_data_age: Duration = Field("5m", validate_default=True, ge=1, le=86400)
    """Older newest samples start no change."""
    min_history: Duration = Field("1h", validate_default=True, ge=1, le=30 * 86400)
    """Less history than this starts no run."""
    on_stale_data: OnStaleData = OnStaleData.HOLD
    """Hold: stale or missing metrics change nothing."""
    on_field_conflict: OnFieldConflict = OnFieldConflict.STOP
    """Stop: a field that another controller claims is left to it."""


class Cost(SpecModel):
    """Prices. Defaults are OpenCost's."""

    cpu_core_hour: Quantity = Field("0.031611", validate_default=True, ge=0)
    """Price of one requested core for an hour."""
    memory_gi_b_hour: Quantity = Field("0.004237", validate_default=True, ge=0, alias="memoryGiBHour")
    """Price of one requested GiB for an hour."""
    currency: str = Field("USD", min_length=1, max_length=8)
    """Currency shown with costs."""


class PolicySpec(SpecModel):
    """What good means for one workload, and what may be done for it."""

    rules: ClassVar = (
        Rule(
            "objectives has a name twice; give each objective a name of its own",
            holds=lambda p: len({o.name for o in p.objectives}) == len(p.objectives),
        ),
        Rule(
            "mode {mode} needs horizontal or vertical, which say what may be changed; add one, or set mode Recommend",
            cel="self.mode in ['Observe', 'Recommend'] || has(self.horizontal) || has(self.vertical)",
            holds=lambda p: p.mode in (Mode.OBSERVE, Mode.RECOMMEND) or bool(p.horizontal or p.vertical),
            field=".mode",
        ),
        Rule(
            "guardrails.minHistory {guardrails.minHistory} is longer than analysis.history {analysis.history},"
            " so no run would ever start; shorten it or lengthen analysis.history",
            cel=of_durations("{} <= {}", "guardrails.minHistory", "analysis.history"),
            holds=lambda p: p.guardrails.min_history <= p.analysis.history,
            field=".guardrails.minHistory",
        ),
    )

    target_ref: TargetRef
    """The workload that this policy tunes."""
    mode: Mode = Mode.RECOMMEND
    """How far the operator may go: Observe shows, Recommend proposes, Approve waits for a person, Auto acts."""
    strategy: StrategyName = StrategyName.BALANCED
    """What a plan weighs most: speed (PerformanceFirst), cost (CostEfficiency), spare capacity (ReliabilityFocused), or
    each in measure (Balanced)."""
    metrics: Metrics = Metrics()
    """Where signals come from."""
    objectives: list[Objective] = Field(default_factory=list, max_length=16, json_schema_extra=list_map("name"))
    """What must hold: thresholds for the workload's own metrics, each with max or min. A trial that breaks one is
    undone."""
    horizontal: Horizontal | None = None
    """Bounds for replicas. Absent: replicas are never touched."""
    vertical: Vertical | None = None
    """Bounds for container resources. Absent: resources are never touched."""
    analysis: Analysis = Analysis()
    """How metrics are read."""
    forecast: Forecast = Forecast()
    """How demand is foreseen."""
    validation: Validation = Validation()
    """How a change is proved."""
    guardrails: Guardrails = Guardrails()
    """Limits on runs."""
    paused: bool = False
    """Nothing is changed while true; a trial under way is still ended."""
    cost: Cost = Cost()
    """Prices."""
    run_history_limit: int = Field(5, ge=1, le=50)
    """Finished runs kept; the run that made the present operating point is always kept."""
