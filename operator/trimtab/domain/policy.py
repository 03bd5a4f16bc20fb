"""PerformancePolicy: what good means for one workload, and what may be done for it; parsed once into types.

The models are the source of ``crds/``: descriptions become ``kubectl explain``, rules become validations.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from trimtab.domain.choices import (
    ForecastModel,
    Mode,
    OnFieldConflict,
    OnInconclusive,
    OnStaleData,
    Sensitivity,
    StrategyName,
    WithoutObjectives,
)
from trimtab.domain.objectives import Metrics, Objective, TargetRef
from trimtab.domain.printable import PRINTABLE
from trimtab.domain.rules import Rule, SpecModel, list_map, of_durations
from trimtab.domain.scaling import Horizontal, Vertical
from trimtab.domain.time_zones import TIME_ZONE_FORM, is_zone
from trimtab.domain.units import Duration, Quantity

GROUP, VERSION = "trimtab.dev", "v1alpha1"
MAX_MEASUREMENTS = 500
MAX_SAMPLES = 1_000_000
"""Of one signal: a week at a second, or a year at a minute."""


class Analysis(SpecModel):
    """How metrics are read."""

    rules: ClassVar = (
        Rule(
            "interval {interval} is not shorter than history {history}; shorten it or lengthen history",
            cel=of_durations("{} < {}", "interval", "history"),
            holds=lambda a: a.interval < a.history,
            field=".interval",
        ),
        Rule(
            f"interval {{interval}} makes more than {MAX_SAMPLES} samples in history {{history}};"
            " lengthen it or shorten history",
            cel=of_durations(
                f"{MAX_SAMPLES} * {{}}.getMilliseconds() >= {{}}.getMilliseconds()", "interval", "history"
            ),
            holds=lambda a: MAX_SAMPLES * round(a.interval * 1000) >= round(a.history * 1000),
            field=".interval",
        ),
        Rule(
            "timeZone {timeZone} is not the name of a time zone; write it as Europe/Berlin or UTC",
            # Which zones there are is known to the operator alone: an API server may lack the files.
            cel=f"!has(self.timeZone) || self.timeZone.matches(r'{TIME_ZONE_FORM}')",
            holds=lambda a: is_zone(a.time_zone),
            field=".timeZone",
        ),
    )

    interval: Duration = Field("60s", validate_default=True, ge=1, le=3600)
    """Time between evaluations, and step of the samples."""
    history: Duration = Field("168h", validate_default=True, ge=10, le=8784 * 3600)
    """How far back metrics are read."""
    sensitivity: Sensitivity = Sensitivity.MEDIUM
    """How readily an anomaly is called: about one false alarm a signal in a month (Low), a week (Medium) or a day
    (High)."""
    time_zone: str = Field("UTC", min_length=1, max_length=64, pattern=PRINTABLE)
    """Time zone by whose clocks people work, as its IANA name such as Europe/Berlin. Hours, weekdays and months in
    patterns and advice are those of this zone."""


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
    """Measurements beyond a threshold that a trial survives; never more than half of them, whatever is said here."""
    consecutive_error_limit: int = Field(4, ge=0, le=1000)
    """Measurements without data in a row that a trial survives."""
    tolerance_percent: int = Field(5, ge=0, le=100)
    """How much worse than planned counts as no worse."""
    on_inconclusive: OnInconclusive = OnInconclusive.ROLLBACK
    """What ends a trial whose evidence does not decide; a change that never came to the pods is undone in any case."""
    without_objectives: WithoutObjectives = WithoutObjectives.NONE
    """None: without objectives mode Auto plans no run. GuardsOnly: a trial is judged by its guards alone (ready
    replicas, restarts and memory kills, CPU throttling)."""


class Guardrails(SpecModel):
    """Limits on runs."""

    cooldown: Duration = Field("10m", validate_default=True, ge=0, le=30 * 86400)
    """Quiet time after a run before the next."""
    max_step_percent: int = Field(50, ge=1, le=1000)
    """Largest change of any value in one run, in percent of the present value."""
    max_runs_per_day: int = Field(24, ge=1, le=10_000)
    """Runs that may act in 24 hours."""
    max_rollouts_per_day: int = Field(1, ge=1, le=1000)
    """Rollouts that the operator may begin in 24 hours: runs that change container resources, CPU and memory in one. An
    undo is none; a person's own runs count, but do not wait. A plan must save more in 24h divided by this than its
    restarts cost."""
    max_data_age: Duration = Field("5m", validate_default=True, ge=1, le=86400)
    """Older newest samples start no change."""
    min_history: Duration = Field("1h", validate_default=True, ge=1, le=30 * 86400)
    """Less history than this starts no run."""
    min_history_to_shrink: Duration = Field("24h", validate_default=True, ge=1, le=30 * 86400)
    """Less history of the load than this, or than analysis.history where that is shorter, lowers nothing in mode Auto.
    Following goes by the demand and a person's run by the person: neither waits for it."""
    min_history_to_shrink_memory: Duration = Field("168h", validate_default=True, ge=1, le=30 * 86400)
    """As minHistoryToShrink, for a container's memory and the history of what it used."""
    hold_for: Duration = Field("24h", validate_default=True, ge=1, le=30 * 86400)
    """How long a replica count that somebody set by hand holds following; a deploy never does."""
    on_stale_data: OnStaleData = OnStaleData.HOLD
    """Hold: stale or missing metrics change nothing. FollowForecast: replicas are raised, and never lowered, along the
    upper end of the forecast that was made last, for as far as it reaches."""
    on_field_conflict: OnFieldConflict = OnFieldConflict.STOP
    """Stop: a field that another controller claims is left to it."""


class Cost(SpecModel):
    """Prices. Defaults are OpenCost's."""

    cpu_core_hour: Quantity = Field("0.031611", validate_default=True, ge=0, le=10_000)
    """Price of one requested core for an hour."""
    memory_gi_b_hour: Quantity = Field("0.004237", validate_default=True, ge=0, le=10_000, alias="memoryGiBHour")
    """Price of one requested GiB for an hour."""
    currency: str = Field("USD", min_length=1, max_length=8, pattern=PRINTABLE)
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
        Rule(
            "guardrails.onStaleData {guardrails.onStaleData} needs a forecast, and forecast.model is None;"
            " choose a model, or set onStaleData Hold",
            cel="self.guardrails.onStaleData != 'FollowForecast' || self.forecast.model != 'None'",
            holds=lambda p: (
                p.guardrails.on_stale_data is not OnStaleData.FOLLOW_FORECAST
                or p.forecast.model is not ForecastModel.NONE
            ),
            field=".guardrails.onStaleData",
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
    """Finished runs kept, beside those that acted in the last 24 hours and the one that made the operating point."""
