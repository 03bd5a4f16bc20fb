"""One round over the policies that are due: gather, decide, act, record."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import Final

import structlog

from trimtab.adapters.kube import KubeError
from trimtab.adapters.limits import LimitsSeen
from trimtab.adapters.prometheus_wire import FailureKind, QueryFailed
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objects import InvalidSpec, Policy, Run, Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import Phase, RunSpec, Trigger
from trimtab.domain.status import ConditionType, PolicyStatus
from trimtab.planning.assessment import assess
from trimtab.planning.findings import AssessInputs, Running
from trimtab.planning.guards import conflicts
from trimtab.planning.plans import Proposal
from trimtab.planning.steps import NoPlan
from trimtab.reconcile.announcing import NOT_CAPACITY, announce, model_changes
from trimtab.reconcile.following import follow_demand
from trimtab.reconcile.insight_news import news
from trimtab.reconcile.judging import samples_before
from trimtab.reconcile.outcome import Outcome
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.remembering import Remembering
from trimtab.reconcile.reporting import compose, matters, unusable
from trimtab.reconcile.runs import collect_garbage, drive, guard_facts, make, plan_now
from trimtab.reconcile.services import Services
from trimtab.reconcile.situation import Situation, lead_seconds, point_of
from trimtab.reconcile.world import Key, Rivals, World, fault_of, is_held, target_of

_PARALLEL_POLICIES: Final = 16
_VOLATILE_SECONDS: Final = 300.0
_VOLATILE_INTERVALS: Final = 5
_ACTIVE_SECONDS: Final = 10.0
_SCRAPES_A_WINDOW: Final = 4
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


class Reconciler:
    """Evaluates policies in batches; remembers of each what makes the next round cheaper."""

    def __init__(self, services: Services, world: World) -> None:
        self._services = services
        self._world = world
        self._remembered: dict[str, Remembered] = {}
        self.remembering = Remembering(services, self._remembered)
        self._slots = asyncio.Semaphore(_PARALLEL_POLICIES)

    async def round(self, due: list[Key]) -> dict[Key, float]:
        """Evaluate what is due; seconds until each is due again. One that fails takes no other down."""
        policies = [policy for key in due if (policy := self._world.policies.get(key)) is not None]
        self._forget_the_gone()
        await self.remembering.restore(policies, self._remember)
        await self._services.turns.begin(self._services.clock())
        usable = await self._usable(policies)
        situations = await self._gather(usable)
        plans = await self._services.workers.map(plan_now, [situation.without_samples for situation in situations])
        await asyncio.gather(*map(self._evaluate, situations, plans))
        await self._end_orphans()
        self._services.turns.tell(self._services.telemetry)
        await self.remembering.save()
        intervals = {policy.key: self._interval(policy) for policy in policies}
        return {key: intervals.get(key, _ACTIVE_SECONDS) for key in due}

    async def _usable(self, policies: list[Policy]) -> list[Policy]:
        """The policies whose spec can be used; the others are told what is wrong."""
        good: list[Policy] = []
        for policy in policies:
            message = fault_of(policy)
            if not message:
                good.append(policy)
                continue
            remembered = self._remember(policy)
            status = unusable(remembered.status, policy.generation, message, self._services.clock())
            await self._end_runs(
                self._world.runs_by_policy().get(policy.key, ()), replace(policy, spec=InvalidSpec(message))
            )
            try:
                if matters(remembered.status, status):
                    await self._services.events.post(policy, "Warning", "InvalidSpec", message, self._services.clock())
                    await self._write(policy, remembered, status)
            except KubeError as error:
                _log.warning("status not written", policy=policy.name, namespace=policy.namespace, error=str(error))
        return good

    async def _gather(self, policies: list[Policy]) -> list[Situation]:
        """Read workloads and metrics in bulk, and assess each history in the workers."""
        services, now = self._services, self._services.clock()
        seen = await services.workloads.seen({policy.namespace for policy in policies})
        for namespace, why in seen.failed.items():
            _log.warning("namespace not read; its policies come again", namespace=namespace, error=why)
        policies = [policy for policy in policies if policy.namespace not in seen.failed]
        runs, rivals = self._world.runs_by_policy(), self._world.rivals()
        readings = await self._read(policies, runs, now)
        limits = await services.limits.seen({policy.namespace for policy in policies})
        inputs = []
        for policy, reading in zip(policies, readings, strict=True):
            own, target = runs.get(policy.key, ()), target_of(policy)
            workload = seen.workloads.get(target) if target is not None else None
            running = self._running(policy, workload, own, limits)
            inputs.append(self._assess_inputs(policy, reading, own, running, now))
        assessed = await services.workers.map(assess, inputs)
        situations: list[Situation] = []
        for policy, reading, given, assessment in zip(policies, readings, inputs, assessed, strict=True):
            if isinstance(assessment, Exception):
                _log.error("not assessed", policy=policy.name, namespace=policy.namespace, error=repr(assessment))
                services.telemetry.reconciled(ok=False)
                continue
            assert isinstance(policy.spec, PolicySpec), "only usable policies are gathered"
            remembered = self._remember(policy)
            before = given.previous.watched if given.previous is not None else None
            remembered.known = assessment.known
            target = target_of(policy)
            assert target is not None, "a usable policy has a target"
            situations.append(
                Situation(
                    policy=policy,
                    spec=policy.spec,
                    status=remembered.status,
                    workload=seen.workloads.get(target),
                    runs=runs.get(policy.key, ()),
                    autoscaler=seen.autoscalers.get(target, ""),
                    rivals=rivals.get(policy.uid, Rivals()),
                    history=given.history,
                    failures=dict(given.failures),
                    unread=reading.unread,
                    assessment=assessment,
                    news=news(assessment.insights, before, remembered.status.anomalies),
                    now=now,
                    step_seconds=policy.spec.analysis.interval,
                    window_seconds=self._window(policy.spec),
                )
            )
        return situations

    async def _evaluate(self, situation: Situation, plan: Proposal | NoPlan | Exception) -> None:
        """Decide and act for one policy; what fails is logged and comes again next round."""
        async with self._slots:
            policy = situation.policy
            try:
                self._note(situation)
                if isinstance(plan, Exception):
                    raise plan
                await self._act(situation, plan)
            except KubeError as error:
                _log.warning("comes again", policy=policy.name, namespace=policy.namespace, error=str(error))
                self._services.telemetry.reconciled(ok=False)
            except Exception:  # noqa: BLE001 - logged whole; one policy must not end the others' round
                _log.exception("evaluation failed", policy=policy.name, namespace=policy.namespace)
                self._services.telemetry.reconciled(ok=False)
            else:
                self._services.telemetry.reconciled(ok=True)

    async def _act(self, situation: Situation, proposal: Proposal | NoPlan) -> None:
        """Drive runs, follow the demand, try something new where it pays, and tell."""
        services, remembered = self._services, self._remember(situation.policy)
        situation = await self._drive_runs(situation)
        conflict = conflicts(guard_facts(situation, "", Trigger.MANUAL, None, situation.now))
        followed = await follow_demand(services, situation, remembered, conflict)
        situation = situation.with_status(remembered.status)
        made = await make(services, situation, proposal)
        if isinstance(made, Run):
            self._world.runs[made.key] = made
            situation = await self._drive_runs(situation.with_run(made))
        is_open = any(run.phase.unproven for run in situation.runs)
        waits = services.turns.settle(situation.policy.key, is_open=is_open)
        if isinstance(proposal, Proposal):
            conflict = conflicts(guard_facts(situation, "", proposal.trigger, proposal.plan, situation.now))
        await collect_garbage(services, situation)
        outcome = Outcome(
            proposal=proposal,
            conflict=conflict or followed.conflict,
            following=followed.text,
            wanted_replicas=followed.wanted,
            not_capacity=followed.not_capacity,
            runs=situation.runs,
            held=made if isinstance(made, str) and made else waits,
            failures=services.turns.failures,
            paused=services.turns.switch.state.paused,
            store_problem=services.store.problem if services.store is not None else None,
        )
        status = compose(situation, outcome, remembered.status)
        await announce(services, situation, outcome, remembered, status)
        if self._is_to_write(situation.spec, remembered, status):
            await self._write(situation.policy, remembered, status)

    def _note(self, situation: Situation) -> None:
        """What is kept for good: anomalies that began or ended, and changes of the model."""
        found = situation.assessment.insights
        if found is not None:
            self.remembering.anomalies_seen(situation.policy, [*situation.news, *found.watched.ended])
        self.remembering.models_changed(situation.policy, model_changes(situation))

    async def _drive_runs(self, situation: Situation) -> Situation:
        """Take each run that has something to do as far as it goes, the oldest first."""
        for run in situation.runs:
            if not _has_to_do(run):
                continue
            driven = await drive(self._services, run, situation, situation.policy)
            if driven is None:
                self._world.runs.pop(run.key, None)
            else:
                self._world.runs[driven.key] = driven
            situation = situation.with_runs(self._world.runs_by_policy().get(situation.policy.key, ()))
            live = await self._services.workloads.read(
                situation.spec.target_ref.kind, situation.policy.namespace, situation.spec.target_ref.name
            )
            situation = situation.with_workload(live)
        return situation

    async def _end_orphans(self) -> None:
        """Runs whose policy is gone."""
        await self._end_runs(self._world.orphans(), None)

    async def _end_runs(self, runs: tuple[Run, ...], policy: Policy | None) -> None:
        """End runs whose policy is gone or cannot be used: what they changed and did not prove is undone."""
        for run in runs:
            if not _has_to_do(run):
                continue
            try:
                driven = await drive(self._services, run, None, policy)
            except KubeError as error:
                _log.warning("run comes again", run=run.name, namespace=run.namespace, error=str(error))
                continue
            if driven is None:
                self._world.runs.pop(run.key, None)
            else:
                self._world.runs[driven.key] = driven

    async def _read(self, policies: list[Policy], runs: dict[Key, tuple[Run, ...]], now: float) -> list[Reading]:
        """Histories up to now, read with as few queries as the policies' signals allow."""
        requests = []
        for policy in policies:
            assert isinstance(policy.spec, PolicySpec), "only usable policies are gathered"
            spec = _reaching_back(policy.spec, runs.get(policy.key, ()), now)
            window = self._window(policy.spec)
            since = _counted_since(runs.get(policy.key, ()))
            requests.append(self._services.metrics.request(policy.uid, policy.namespace, spec, now, window, since))
        fetched = await self._services.source.fetch_round(requests)
        return [
            Reading(self._services.metrics.absorb(request, fetched[request.key]), fetched[request.key].failures)
            for request in requests
        ]

    def _running(
        self, policy: Policy, workload: Workload | None, runs: tuple[Run, ...], limits: LimitsSeen
    ) -> Running | None:
        """The workload as its analysis needs it."""
        if workload is None:
            return None
        met = (one for one in self._remember(policy).status.conditions if one.type == ConditionType.OBJECTIVES_MET)
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

    def _assess_inputs(
        self, policy: Policy, read: Reading, runs: tuple[Run, ...], running: Running | None, now: float
    ) -> AssessInputs:
        assert isinstance(policy.spec, PolicySpec), "only usable policies are gathered"
        trial = next((run for run in runs if run.phase.unproven and run.status.applied), None)
        applied = trial.status.applied if trial else None
        return AssessInputs(
            spec=policy.spec,
            history=read.history,
            failures={name: failure.message for name, failure in read.failures.items()},
            partial=any(failure.kind is FailureKind.PARTIAL for failure in read.failures.values()),
            clusters=next((one.message for one in read.failures.values() if one.kind is FailureKind.MANY_CLUSTERS), ""),
            now=now,
            lead_seconds=lead_seconds(read.history, policy.spec.analysis.interval, self._window(policy.spec)),
            previous=self._remember(policy).known,
            baseline_until=applied.at if applied else None,
            running=running,
        )

    def _window(self, spec: PolicySpec) -> float:
        return max(spec.analysis.interval, _SCRAPES_A_WINDOW * self._services.scrape_interval_seconds)

    def _interval(self, policy: Policy) -> float:
        """Seconds until a policy is due: sooner while one of its runs is under way."""
        interval = policy.spec.analysis.interval if isinstance(policy.spec, PolicySpec) else _VOLATILE_SECONDS
        active = any(
            not run.finished and run.policy_name == policy.name and run.namespace == policy.namespace
            for run in self._world.runs.values()
        )
        return min(interval, _ACTIVE_SECONDS) if active else interval

    def _remember(self, policy: Policy) -> Remembered:
        return self._remembered.setdefault(policy.uid, Remembered(policy.status))

    def _forget_the_gone(self) -> None:
        known = {policy.uid for policy in self._world.policies.values()}
        for uid in self._remembered.keys() - known:
            del self._remembered[uid]
        self._services.metrics.keep_only(known)
        self._services.telemetry.keep_only(self._world.policies)

    def _is_to_write(self, spec: PolicySpec, remembered: Remembered, status: PolicyStatus) -> bool:
        """At once where something happened; volatile figures at most every five minutes or intervals."""
        if matters(remembered.written, status):
            return True
        pace = min(_VOLATILE_SECONDS, _VOLATILE_INTERVALS * spec.analysis.interval)
        return status != remembered.written and self._services.clock() - remembered.written_at >= pace

    async def _write(self, policy: Policy, remembered: Remembered, status: PolicyStatus) -> None:
        await self._services.resources.write_policy_status(policy, status)
        remembered.status = remembered.written = status
        remembered.written_at = self._services.clock()


def _counted_since(runs: tuple[Run, ...]) -> float | None:
    """From when on it must be known how many pods had samples: the start of a trial under way."""
    trials = [run.status.applied.at for run in runs if run.phase.unproven and run.status.applied is not None]
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
    needed = math.ceil(needed / _VOLATILE_SECONDS) * _VOLATILE_SECONDS  # in steps, or each round would read anew
    return spec.model_copy(update={"analysis": spec.analysis.model_copy(update={"history": needed})})


def _has_to_do(run: Run) -> bool:
    """Whether a run has something to do, or to be let go of."""
    return not run.finished or _to_undo(run) or run.deleting or is_held(run)


def _to_undo(run: Run) -> bool:
    """Whether a person asked for a kept change to be undone, and it is not yet."""
    cancelled = isinstance(run.spec, RunSpec) and run.spec.cancelled
    return run.phase is Phase.SUCCEEDED and cancelled and run.status.applied is not None and run.status.rollback is None
