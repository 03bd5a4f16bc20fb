"""Everything known of one policy in one round."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from trimtab.analytics.anomaly import Anomaly
from trimtab.domain.autoscalers import Autoscaler
from trimtab.domain.history import WorkloadHistory, without_samples
from trimtab.domain.objects import Policy, Run, Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import Phase, RunSpec
from trimtab.domain.status import OperatingPoint, PolicyStatus
from trimtab.forecasting.forecast import Forecast
from trimtab.planning.capacity import Capacity, capacities, capacity, effective_capacity, running_cpu, strategy_of
from trimtab.planning.conflicts import Claimants, Conflict
from trimtab.planning.findings import Assessment, Known
from trimtab.planning.flight import Foreseen, foreseen
from trimtab.planning.hpa import cpu_scaling
from trimtab.planning.options import Demand, PlanInputs
from trimtab.planning.records import fault_of
from trimtab.planning.rightsizing import cpu_size
from trimtab.planning.strategies import STRATEGIES, Strategy
from trimtab.reconcile.world import Rivals


@dataclass(frozen=True, slots=True)
class Situation:
    """One policy, its workload, its runs and what the metrics say, all gathered for one round."""

    policy: Policy
    spec: PolicySpec
    status: PolicyStatus
    workload: Workload | None
    runs: tuple[Run, ...]
    autoscalers: tuple[Autoscaler, ...]
    """Other autoscalers on the workload."""
    unlisted: str
    """Which kind of autoscalers could not be listed, and what to do about it; empty where all were."""
    rivals: Rivals
    history: WorkloadHistory
    failures: dict[str, str]
    """Why a signal has no values in this round, by its name."""
    unread: frozenset[str]
    """Signals that Prometheus could not be asked for; their samples may still be there later."""
    assessment: Assessment
    news: tuple[Anomaly, ...]
    """Anomalies to be told of in this round."""
    now: float
    step_seconds: float
    window_seconds: float
    insights_good_at: float | None = None
    """When insights were gained last; None when it is not known."""

    @property
    def lead_seconds(self) -> float:
        """How far ahead following looks."""
        return lead_seconds(self.history, self.step_seconds, self.window_seconds)

    @property
    def foreseen(self) -> Foreseen | None:
        """What following flies by while no demand is seen; None where it holds."""
        choice, until = self.spec.guardrails.on_stale_data, self.now + self.lead_seconds
        return foreseen(choice, self.assessment.known.flight, self.assessment.quality, self.now, until)

    @property
    def without_samples(self) -> Situation:
        """The same without samples, detectors and what people are told, which a plan does not look at: small enough to
        be sent to a worker.
        """
        known = Known(None, self.assessment.known.learned)
        assessment = replace(self.assessment, known=known, insights=None)
        return replace(self, history=without_samples(self.history), assessment=assessment)

    def without_insights(self, why: str) -> Situation:
        """The same without insights, which could not be told."""
        return replace(self, assessment=replace(self.assessment, insights=None, insights_failed=why), news=())

    def with_runs(self, runs: tuple[Run, ...]) -> Situation:
        """The same with runs as they are now."""
        return replace(self, runs=runs)

    def with_run(self, run: Run) -> Situation:
        """The same with one run more."""
        return replace(self, runs=(*self.runs, run))

    def with_workload(self, workload: Workload | None) -> Situation:
        """The same with the workload as it is now."""
        return replace(self, workload=workload)

    def with_status(self, status: PolicyStatus) -> Situation:
        """The same with the policy's status as it is now."""
        return replace(self, status=status)

    @property
    def claims(self) -> tuple[Conflict, ...]:
        """Fields that the policy may change and that somebody else claims; those of its trial too.

        A trial that another's claim ended is told of until another one begins, or the claim is gone.
        """
        if self.workload is None:
            return ()
        others, run = self.claimants(self.workload), _last_applied(self.runs)
        found = others.on_policy()
        if run is not None and run.status.plan is not None and (run.phase.unproven or _was_interrupted(run)):
            found += others.on_changes(run.status.plan.changes)
        return tuple(dict.fromkeys(found))

    def claimants(self, workload: Workload) -> Claimants:
        """Who may claim fields of the workload."""
        return Claimants(self.spec, self.status, workload, self.autoscalers, bool(self.unlisted))

    @property
    def kept_run(self) -> Run | None:
        """The run that made the present operating point: the newest that was kept and not undone."""
        return _kept_among(self.runs)

    @property
    def trial_run(self) -> Run | None:
        """The run whose change is on the workload and not yet proven."""
        return _trial_among(self.runs)

    @property
    def active_run(self) -> Run | None:
        """The run that is not finished."""
        return next((run for run in self.runs if not run.finished), None)

    @property
    def point(self) -> OperatingPoint:
        """The operating point that holds now: that of the trial, else of the run that was kept, else as found."""
        return point_of(self.runs)

    @property
    def proven_point(self) -> OperatingPoint:
        """The operating point without what is on trial."""
        return _proven_point(self.runs)

    @property
    def approved(self) -> bool:
        """Whether a person approved the operating point that holds now."""
        run = self.trial_run or self.kept_run
        return run is not None and isinstance(run.spec, RunSpec) and run.spec.approval is not None

    @property
    def strategy(self) -> Strategy:
        """The policy's strategy, under the headroom of the operating point."""
        return strategy_of(self.spec, self.point)

    def capacity(self) -> Capacity:
        """Load that a replica of the size that runs carries under the operating point."""
        size = 0.0
        if self.workload is not None:
            size = running_cpu(self.workload, self.history.cpu_size, self.now, self.spec.guardrails.max_data_age)
        return effective_capacity(self.assessment, self.spec, self.strategy, self.point, size)

    def demand(self) -> Demand:
        """Demand that a plan provides for over the policy's horizon."""
        seen, unit = self.assessment.demand, self.history.load.unit
        forecast = self.assessment.forecast
        if isinstance(forecast, Forecast) and forecast.reliable:
            until = self.now + self.spec.forecast.horizon
            peak, at = forecast.peak(until, self.strategy.demand_quantile)
            source = f"{forecast.model} forecast, {self.strategy.demand_quantile:.0%} quantile of the peak"
            trial = self.spec.validation.settle + self.spec.validation.duration
            least = forecast.least(max(until, self.now + trial))
            return Demand(seen, max(peak, seen), at, unit, source, self.assessment.profile, least)
        peak = max(self.assessment.peak_seen, seen) if math.isfinite(self.assessment.peak_seen) else seen
        return Demand(seen, peak, self.now, unit, f"largest seen; {forecast.reason}", self.assessment.profile)

    def plan_inputs(self, spec: PolicySpec | None = None, *, beside_hpa: bool = True) -> PlanInputs:
        """What a plan is made from; ``spec`` may carry a run's own strategy and thresholds. Needs a workload.

        With ``beside_hpa`` the replicas are those that an HPA on CPU makes of them, where there is one.
        """
        assert self.workload is not None, "asked before"
        spec = spec or self.spec
        strategy = STRATEGIES[spec.strategy] if spec.strategy is not self.spec.strategy else self.strategy
        assessment, point = self.assessment, self.proven_point
        return PlanInputs(
            spec=spec,
            strategy=strategy,
            workload=self.workload,
            point=point,
            demand=self.demand(),
            capacity_of=lambda sizes: capacities(assessment, spec, strategy, sizes),
            capacity_source=capacity(assessment, spec, strategy, cpu_size(self.workload.containers)).source,
            curves=assessment.curves,
            usage=assessment.usage,
            breached=assessment.breached,
            load_seconds=assessment.quality.span_seconds + assessment.quality.age_seconds + spec.analysis.interval,
            startup_seconds=self.history.startup_seconds or 0.0,
            scaling=cpu_scaling(self.autoscalers, self.workload.replicas, assessment.usage) if beside_hpa else None,
        )


def _kept_among(runs: tuple[Run, ...]) -> Run | None:
    """The newest run that was kept and not undone."""
    return _last_applied(tuple(run for run in runs if run.is_kept and not fault_of(run.status)))


def _last_applied(runs: tuple[Run, ...]) -> Run | None:
    """The run that touched the workload last."""
    applied = [run for run in runs if run.status.applied is not None]
    return max(applied, key=lambda run: run.status.applied.at if run.status.applied else 0.0, default=None)


def _was_interrupted(run: Run) -> bool:
    return run.status.verdict is not None and run.status.verdict.interrupted


def _trial_among(runs: tuple[Run, ...]) -> Run | None:
    """The run whose change is on the workload and not yet proven."""
    return next((run for run in runs if run.phase.unproven and run.status.verdict is None), None)


def point_of(runs: tuple[Run, ...]) -> OperatingPoint:
    """The operating point that holds now: that of the trial, else of the run that was kept, else as found."""
    trial = _trial_among(runs)
    if trial is not None and trial.status.plan is not None and trial.phase is not Phase.APPLYING:
        return trial.status.plan.trial_point
    return _proven_point(runs)


def _proven_point(runs: tuple[Run, ...]) -> OperatingPoint:
    kept = _kept_among(runs)
    if kept is None or kept.status.plan is None or kept.status.applied is None:
        return OperatingPoint()
    update = {"from_": kept.name, "since": kept.status.applied.at}
    return kept.status.plan.trial_point.model_copy(update=update)


def lead_seconds(history: WorkloadHistory, step_seconds: float, window_seconds: float) -> float:
    """How far ahead a replica count must hold: until ordered pods serve and the next decision has shown."""
    return (history.startup_seconds or 0.0) + window_seconds + 2 * step_seconds
