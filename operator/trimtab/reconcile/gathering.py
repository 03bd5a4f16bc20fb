"""What is known of policies in one round: metrics and cluster, given to the assessment and put together after it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import structlog

from trimtab.adapters.kube import KubeError
from trimtab.adapters.limits import LimitsSeen
from trimtab.adapters.prometheus_wire import FailureKind, QueryFailed
from trimtab.adapters.signals_requests import SignalRequest
from trimtab.adapters.workers import OverBudgetError
from trimtab.adapters.workloads import WorkloadsSeen
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objects import Policy, Run, Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.status import ConditionType, PolicyStatus
from trimtab.planning.evidence import COUNTED_BEFORE
from trimtab.planning.findings import AssessInputs, Assessment, Running
from trimtab.planning.versions import followed, learns_from
from trimtab.reconcile.announcing import NOT_CAPACITY
from trimtab.reconcile.insight_news import news
from trimtab.reconcile.judging import samples_before, wants_throttling
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.services import Services
from trimtab.reconcile.situation import Situation, lead_seconds, point_of
from trimtab.reconcile.world import Key, Rivals, World, target_of

_HISTORY_STEP_SECONDS: Final = 300.0
_SCRAPES_A_WINDOW: Final = 4
_NO_INSIGHTS_SECONDS: Final = 600.0
"""For so long none are looked for where they took more time than they may."""
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one policy's metrics."""

    history: WorkloadHistory
    failures: dict[str, QueryFailed]

    @property
    def unread(self) -> frozenset[str]:
        """Signals that could not be asked for; their samples may be there later."""
        return frozenset(name for name, failure in self.failures.items() if failure.kind is not FailureKind.NO_DATA)


@dataclass(frozen=True, slots=True)
class Around:
    """What was read of the cluster for one evaluation, and the policies and runs as they were then."""

    seen: WorkloadsSeen
    limits: LimitsSeen
    runs: dict[Key, tuple[Run, ...]]
    rivals: dict[str, Rivals]
    now: float


async def around(services: Services, world: World, namespaces: set[str], now: float) -> Around:
    """Everything around the policies of some namespaces."""
    seen = await services.workloads.seen(namespaces)
    for namespace, error in seen.failed.items():
        _log.warning("namespace not read; its policies come again", namespace=namespace, error=str(error))
    limits = await services.limits.seen(namespaces)
    return Around(seen, limits, world.runs_by_policy(), world.rivals(), now)


def request_of(services: Services, policy: Policy, runs: tuple[Run, ...], now: float) -> SignalRequest:
    """What is missing of a policy's history up to now, with what a trial under way needs."""
    assert isinstance(policy.spec, PolicySpec), "only usable policies are read"
    spec = _reaching_back(policy.spec, runs, now)
    window = _window(services, policy.spec)
    since = _counted_since(runs, window)
    throttling = any(wants_throttling(run) for run in runs)
    return services.metrics.request(policy.uid, policy.namespace, spec, now, window, since, throttling)


def assess_inputs(
    services: Services, policy: Policy, read: Reading, around: Around, memory: Remembered
) -> AssessInputs:
    """What the assessment is given. Raises KubeError where the workload cannot be read."""
    assert isinstance(policy.spec, PolicySpec), "only usable policies are gathered"
    target, runs, now = target_of(policy), around.runs.get(policy.key, ()), around.now
    assert target is not None, "a usable policy has a target"
    if (why := around.seen.unreadable.get(target)) is not None:
        raise KubeError(0, "Unreadable", why)
    workload = around.seen.workloads.get(target)
    if workload is not None:
        version = followed(memory.status.version, workload, now)
        memory.status = memory.status.model_copy(update={"version": version})
    running = _running(policy, workload, runs, around.limits, memory.status)
    is_off = now < memory.no_insights_until
    trial = next((run for run in runs if run.phase.unproven and run.status.applied), None)
    applied = trial.status.applied if trial else None
    return AssessInputs(
        spec=policy.spec,
        history=read.history,
        failures={name: failure.message for name, failure in read.failures.items()},
        partial=any(failure.kind is FailureKind.PARTIAL for failure in read.failures.values()),
        clusters=next((one.message for one in read.failures.values() if one.kind is FailureKind.MANY_CLUSTERS), ""),
        now=now,
        lead_seconds=lead_seconds(read.history, policy.spec.analysis.interval, _window(services, policy.spec)),
        previous=memory.known,
        baseline_until=applied.at if applied else None,
        version_from=learns_from(memory.status.version, _window(services, policy.spec)),
        running=running,
        no_insights="they took too long before" if is_off else "",
    )


def situation_of(
    services: Services,
    policy: Policy,
    read: tuple[Reading, AssessInputs, Assessment],
    around: Around,
    memory: Remembered,
) -> Situation:
    """All that is known of one policy now, its memory brought up to date."""
    spec, target, (reading, inputs, assessment) = policy.spec, target_of(policy), read
    assert isinstance(spec, PolicySpec), "only usable policies are gathered"
    assert target is not None, "a usable policy has a target"
    before = inputs.previous.watched if inputs.previous is not None else None
    memory.known = assessment.known
    if assessment.insights is not None:
        memory.insights_good_at = around.now
    elif OverBudgetError.__name__ in assessment.insights_failed:
        memory.no_insights_until = around.now + _NO_INSIGHTS_SECONDS
    return Situation(
        policy=policy,
        spec=spec,
        status=memory.status,
        workload=around.seen.workloads.get(target),
        runs=around.runs.get(policy.key, ()),
        autoscalers=around.seen.autoscalers.get(target, ()),
        unlisted=around.seen.unlisted.get(policy.namespace, ""),
        rivals=around.rivals.get(policy.uid, Rivals()),
        history=inputs.history,
        failures=dict(inputs.failures),
        unread=reading.unread,
        assessment=assessment,
        news=news(assessment.insights, before, memory.status.anomalies),
        now=around.now,
        step_seconds=spec.analysis.interval,
        window_seconds=_window(services, spec),
        insights_good_at=memory.insights_good_at,
    )


def _running(
    policy: Policy, workload: Workload | None, runs: tuple[Run, ...], limits: LimitsSeen, status: PolicyStatus
) -> Running | None:
    """The workload as its analysis needs it."""
    if workload is None:
        return None
    met = (one for one in status.conditions if one.type == ConditionType.OBJECTIVES_MET)
    return Running(
        target=f"{workload.kind.value.lower()}/{workload.name}",
        replicas=workload.replicas,
        ready=workload.ready_replicas,
        containers=workload.containers,
        template=workload.template,
        room=limits.room(policy.namespace),
        point=point_of(runs),
        policy=policy.name,
        not_capacity=any(one.reason == NOT_CAPACITY for one in met),
    )


def _window(services: Services, spec: PolicySpec) -> float:
    return max(spec.analysis.interval, _SCRAPES_A_WINDOW * services.scrape_interval_seconds)


def _counted_since(runs: tuple[Run, ...], window: float) -> float | None:
    """From when on it must be known how many pods had samples: what its first sample rests on in a trial under way."""
    begun = [run.status.applied.at for run in runs if run.phase.unproven and run.status.applied is not None]
    trials = [at - COUNTED_BEFORE * window for at in begun]
    return min(trials, default=None)


def _reaching_back(spec: PolicySpec, runs: tuple[Run, ...], now: float) -> PolicySpec:
    """The spec with history enough for the samples of a trial under way and as many before it."""
    needed = spec.analysis.history
    for run in runs:
        applied = run.status.applied
        if run.phase.unproven and applied is not None:
            span = samples_before(applied) * applied.validate_interval_seconds
            needed = max(needed, now - applied.at + span + 2 * spec.analysis.interval)
    if needed == spec.analysis.history:
        return spec
    needed = math.ceil(needed / _HISTORY_STEP_SECONDS) * _HISTORY_STEP_SECONDS  # in steps, or all were read anew
    return spec.model_copy(update={"analysis": spec.analysis.model_copy(update={"history": needed})})
