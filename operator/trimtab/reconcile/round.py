"""One round over the policies that are due: gather, decide, act, record."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from typing import Final

import structlog

from trimtab.adapters.kube import FencedError, KubeError
from trimtab.adapters.lease_keeper import Term
from trimtab.adapters.signals_requests import SignalRequest
from trimtab.adapters.signals_results import FetchResult
from trimtab.domain.objects import InvalidSpec, Policy, Run
from trimtab.domain.policy import PolicySpec
from trimtab.domain.status import PolicyStatus
from trimtab.planning.assessment import said
from trimtab.planning.conflicts import rival
from trimtab.planning.findings import AssessInputs
from trimtab.planning.plans import Proposal
from trimtab.planning.steps import NoPlan
from trimtab.reconcile.announcing import announce, model_changes
from trimtab.reconcile.assessing import assess_all
from trimtab.reconcile.calling_off import has_to_do, is_watched, needs_no_metrics
from trimtab.reconcile.degraded import (
    EVALUATION_FAILED,
    LATE_INTERVALS,
    NOT_ANSWERED,
    UNDONE_AFTER,
    failed,
)
from trimtab.reconcile.following import follow_demand
from trimtab.reconcile.gathering import Reading, around, assess_inputs, request_of, situation_of
from trimtab.reconcile.late import Late
from trimtab.reconcile.outcome import Outcome
from trimtab.reconcile.proposing import plan_now
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.remembering import Remembering
from trimtab.reconcile.reporting import compose, unusable
from trimtab.reconcile.runs import collect_garbage, drive, make, read
from trimtab.reconcile.services import Services
from trimtab.reconcile.situation import Situation
from trimtab.reconcile.statuses import VOLATILE_SECONDS, Statuses
from trimtab.reconcile.terms import hand_over, take_over
from trimtab.reconcile.world import Key, World, fault_of

_PARALLEL_POLICIES: Final = 16
_ACTIVE_SECONDS: Final = 10.0
_REFUSED_SECONDS, _UNANSWERED_SECONDS = 60.0, 600.0
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Reconciler:
    """Evaluates policies in batches; remembers of each what makes the next round cheaper."""

    def __init__(self, services: Services, world: World) -> None:
        self._services = services
        self._world = world
        self._remembered: dict[str, Remembered] = {}
        self.remembering = Remembering(services, self._remembered)
        self._slots = asyncio.Semaphore(_PARALLEL_POLICIES)
        self._locks: dict[Key, asyncio.Lock] = {}
        """One actor at a time on the runs and the workload of a policy."""
        self._known: set[str] = set()
        self._late = Late()
        self._statuses = Statuses(services)

    async def round(self, due: list[Key]) -> dict[Key, float]:
        """Evaluate what is due; seconds until each is due again. One that fails or is late takes no other down."""
        policies = [policy for key in due if (policy := self._world.policies.get(key)) is not None]
        self._forget_the_gone()
        await self._call_off(due)
        await self.remembering.restore(policies, self._remember)
        await self._services.turns.begin(self._services.clock())
        await self._evaluate_all(await self._read(await self._usable(policies)))
        self._services.turns.tell(self._services.telemetry)
        await self._tell_of_the_late()
        await self.remembering.save()
        self._known.update(policy.uid for policy in policies)
        intervals = {policy.key: self._interval(policy) for policy in policies}
        return {key: intervals.get(key, _ACTIVE_SECONDS) for key in due}

    async def begin(self, term: Term) -> None:
        """Read again what a term covers; raises KubeError."""
        await take_over(self._services, self._world, term)

    async def end(self, term: Term) -> None:
        """End what is under way in a term, and forget what was known: another operator writes it now."""
        await self._late.stop(lambda policy: term.covers_namespace(policy.namespace))
        gone = {policy.uid for policy in self._world.policies.values() if term.covers_namespace(policy.namespace)}
        for uid in gone & self._remembered.keys():
            del self._remembered[uid]
        self._known -= gone
        self.remembering.forget(gone)
        hand_over(self._services, self._world, term)

    async def call_off(self, key: Key) -> bool:
        """End and undo what of a policy's runs needs no metrics for it; whether nothing is left to try again."""
        return await self._call_off([key])

    def is_known(self, key: Key) -> bool:
        """Whether a policy was looked at before."""
        policy = self._world.policies.get(key)
        return policy is None or policy.uid in self._known

    def is_busy(self, key: Key) -> bool:
        """Whether an evaluation of a policy is still under way, as its metrics come late."""
        return key in self._late

    async def stop(self) -> None:
        """End what is under way."""
        await self._late.stop()

    async def _call_off(self, keys: Iterable[Key]) -> bool:
        await self._late.stop(self._is_forgotten)
        by_policy, is_done = self._world.runs_by_policy(), True
        for key in keys:
            policy = self._world.policies.get(key)
            runs = tuple(run for run in by_policy.get(key, ()) if needs_no_metrics(run, policy))
            if runs:
                is_sure = policy is not None or await self._is_gone(key)
                is_done = is_sure and await self._end_runs(runs, policy) and is_done
        return is_done

    def _is_forgotten(self, policy: Policy) -> bool:
        """Whether a policy was deleted; one that was made anew under its name is another."""
        known = self._world.policies.get(policy.key)
        return known is None or known.uid != policy.uid

    async def _is_gone(self, key: Key) -> bool:
        """Whether there is no such policy; one that was just made may be seen later than its first run."""
        try:
            await self._services.resources.policy(*key)
        except KubeError as error:
            return error.not_found
        return False

    async def _evaluate_all(self, read: list[tuple[Policy, Reading]]) -> None:
        """Assess, plan, decide and act for policies whose metrics were read."""
        situations = await self._gather(read)
        plans = await self._services.workers.map(plan_now, [situation.without_samples for situation in situations])
        await asyncio.gather(*map(self._evaluate, situations, plans))

    async def _usable(self, policies: list[Policy]) -> list[Policy]:
        """The policies whose spec can be used; the others are told what is wrong."""
        good: list[Policy] = []
        for policy in policies:
            message = fault_of(policy, self._world.scope)
            if not message:
                good.append(policy)
                continue
            remembered = self._remember(policy)
            status = unusable(remembered.status, policy.generation, message, self._services.clock())
            await self._end_runs(
                self._world.runs_by_policy().get(policy.key, ()), replace(policy, spec=InvalidSpec(message))
            )
            await self._statuses.tell(policy, remembered, status, "InvalidSpec", message)
        return good

    async def _gather(self, read: list[tuple[Policy, Reading]]) -> list[Situation]:
        """Read workloads in bulk, and assess each history in the workers."""
        services, now = self._services, self._services.clock()
        seen = await around(services, self._world, {policy.namespace for policy, _ in read}, now)
        given: list[tuple[Policy, Reading, AssessInputs]] = []
        for policy, reading in read:
            if (unlisted := seen.seen.failed.get(policy.namespace)) is not None:
                await self._unlisted(policy, unlisted, now)
                continue
            self._remember(policy).unlisted_since = math.inf
            try:
                inputs = assess_inputs(services, policy, reading, seen, self._remember(policy))
            except Exception as error:  # noqa: BLE001 - told of on the policy; the others go on
                await self._failed(policy, error)
            else:
                given.append((policy, reading, inputs))
        assessed = await assess_all(services.workers, [inputs for _, _, inputs in given])
        situations: list[Situation] = []
        for (policy, reading, inputs), assessment in zip(given, assessed, strict=True):
            try:
                if isinstance(assessment, Exception):
                    raise assessment
                situations.append(
                    situation_of(services, policy, (reading, inputs, assessment), seen, self._remember(policy))
                )
            except Exception as error:  # noqa: BLE001 - told of on the policy; the others go on
                await self._failed(policy, error)
        return situations

    async def _evaluate(self, situation: Situation, plan: Proposal | NoPlan | Exception) -> None:
        """Decide and act for one policy; what fails is told and comes again next round."""
        policy = situation.policy
        try:
            async with self._slots, self._lock(policy.key):
                self._note(situation)
                ok = await self._act(situation.with_runs(self._world.as_now(situation.runs)), plan)
        except KubeError as error:
            _log.warning("comes again", policy=policy.name, namespace=policy.namespace, error=str(error))
            self._services.telemetry.reconciled(ok=False)
        except Exception as error:  # noqa: BLE001 - told of on the policy; the others go on
            await self._failed(policy, error)
        else:
            self._remember(policy).failures = 0
            self._services.telemetry.reconciled(ok=ok)

    async def _failed(self, policy: Policy, error: Exception) -> None:
        """Tell of an evaluation that broke off. Where it does so again and again, what is on trial is undone."""
        services, remembered, why = self._services, self._remember(policy), said(error)
        _log.error("evaluation failed", policy=policy.name, namespace=policy.namespace, exc_info=error)
        services.telemetry.reconciled(ok=False)
        remembered.failures += 1
        if remembered.failures >= UNDONE_AFTER:
            await self._undo_unproven(policy, f"its evaluation failed {remembered.failures} times in a row: {why}")
        status = failed(remembered.status, policy, why, services.clock())
        await self._statuses.tell(policy, remembered, status, EVALUATION_FAILED, why)

    async def _undo_unproven(self, policy: Policy, why: str) -> None:
        """End what is on trial under a policy that cannot be evaluated."""
        runs = tuple(run for run in self._world.runs_by_policy().get(policy.key, ()) if run.phase.unproven)
        await self._end_runs(runs, replace(policy, spec=InvalidSpec(why)))

    async def _tell_of_the_late(self) -> None:
        """Say of policies whose metrics have not come for two intervals that their status is old."""
        now = self._services.clock()
        self._services.telemetry.late(len(self._late))
        for policy in self._late.overdue(now):
            await self._statuses.tell_late(policy, self._remember(policy), NOT_ANSWERED)

    async def _unlisted(self, policy: Policy, error: KubeError, now: float) -> None:
        """A policy whose workload is not known, as its namespace cannot be listed: it is told of after two intervals.

        What is on trial there is undone once that is refused for a minute, or not answered for ten.
        """
        remembered = self._remember(policy)
        remembered.unlisted_since = min(remembered.unlisted_since, now)
        self._services.telemetry.reconciled(ok=False)
        waited, late_after = now - remembered.unlisted_since, LATE_INTERVALS * self._interval(policy)
        if waited > late_after:
            text = f"the API server does not list the workloads of namespace {policy.namespace}: {error}"
            if waited > max(late_after, _REFUSED_SECONDS if error.forbidden else _UNANSWERED_SECONDS):
                await self._undo_unproven(policy, text)
            await self._statuses.tell_late(policy, remembered, text)

    async def _act(self, situation: Situation, planned: Proposal | NoPlan | Exception) -> bool:
        """Drive runs, follow the demand, try something new where it pays, and tell. Whether all runs were driven."""
        trouble = f"no plan could be made: {said(planned)}" if isinstance(planned, Exception) else ""
        proposal = NoPlan(trouble, final=False) if isinstance(planned, Exception) else planned
        services, remembered = self._services, self._remember(situation.policy)
        situation, undriven = await self._drive_runs(situation)
        followed = await follow_demand(services, situation, remembered)
        situation = situation.with_status(remembered.status)
        made = undriven or await make(services, situation, proposal)
        if isinstance(made, Run):
            self._world.runs[made.key] = made
            situation, undriven = await self._drive_runs(situation.with_run(made))
        is_open = any(run.phase.unproven for run in situation.runs)
        waits = services.turns.settle(situation.policy.key, is_open=is_open)
        await collect_garbage(services, situation)
        outcome = Outcome(
            proposal=proposal,
            conflicts=(*rival(situation.rivals.older, situation.rivals.trial), *situation.claims),
            following=followed.text,
            wanted_replicas=followed.wanted,
            not_capacity=followed.not_capacity,
            runs=situation.runs,
            held=made if isinstance(made, str) and made else waits,
            failures=services.turns.failures,
            paused=services.turns.switch.state.paused,
            store_problem=services.store.problem if services.store is not None else None,
            trouble="; ".join(filter(None, (trouble, undriven))),
        )
        situation, status = _composed(situation, outcome, remembered.status)
        remembered.evaluated_at = situation.now
        if situation.assessment.insights_failed:
            services.telemetry.insights_failed(situation.policy.namespace)
        await announce(services, situation, outcome, remembered, status)
        await self._statuses.renew(situation.policy, situation.spec, remembered, status)
        return not undriven

    def _note(self, situation: Situation) -> None:
        """What is kept for good: anomalies that began or ended, and changes of the model."""
        found = situation.assessment.insights
        if found is not None:
            self.remembering.anomalies_seen(situation.policy, [*situation.news, *found.watched.ended])
        self.remembering.models_changed(situation.policy, model_changes(situation))

    async def _drive_runs(self, situation: Situation) -> tuple[Situation, str]:
        """Take each run that has something to do as far as it goes, the oldest first; why some were not driven.

        A run that the API server does not let go on comes again; what else is to be done for the policy is done.
        """
        undriven: list[str] = []
        for run in situation.runs:
            if not has_to_do(run) or is_watched(run):  # that needs no metrics, and was looked at before
                continue
            try:
                driven = await drive(self._services, run, situation, situation.policy)
            except FencedError:
                raise
            except KubeError as error:
                _log.warning("run comes again", run=run.name, namespace=run.namespace, error=str(error))
                undriven.append(f"run {run.name} comes again: {error}")
                driven = await read(self._services, run)  # it may have gone on before that
            self._world.note(run, driven)
            situation = situation.with_runs(self._world.runs_by_policy().get(situation.policy.key, ()))
            live = await self._services.workloads.read(
                situation.spec.target_ref.kind, situation.policy.namespace, situation.spec.target_ref.name
            )
            situation = situation.with_workload(live)
        return situation, "; ".join(undriven)

    async def _end_runs(self, runs: tuple[Run, ...], policy: Policy | None) -> bool:
        """End runs without metrics; what they changed and did not prove is undone. Whether all went well."""
        is_done = True
        for run in runs:
            if not has_to_do(run):
                continue
            async with self._lock((run.namespace, run.policy_name)):
                try:
                    self._world.note(run, await drive(self._services, run, None, policy))
                except KubeError as error:
                    _log.warning("run comes again", run=run.name, namespace=run.namespace, error=str(error))
                    is_done = False
        return is_done

    def _lock(self, key: Key) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())

    async def _read(self, policies: list[Policy]) -> list[tuple[Policy, Reading]]:
        """Histories up to now, read with as few queries as the policies' signals allow. Who is late goes on apart."""
        now, runs, metrics = self._services.clock(), self._world.runs_by_policy(), self._services.metrics
        requests = [(policy, request_of(self._services, policy, runs.get(policy.key, ()), now)) for policy in policies]
        fetched = await self._services.source.fetch([request for _, request in requests])
        prompt: list[tuple[Policy, Reading]] = []
        for policy, request in requests:
            if (result := fetched.prompt.get(request.key)) is not None:
                prompt.append((policy, Reading(metrics.absorb(request, result), result.failures)))
            else:
                overdue_at = now + LATE_INTERVALS * request.step_seconds
                self._late.start(policy, overdue_at, self._follow_up(policy, request, fetched.late[request.key]))
        return prompt

    async def _follow_up(self, policy: Policy, request: SignalRequest, result: Awaitable[FetchResult]) -> None:
        """Evaluate a policy once its metrics are there, unless it has changed meanwhile and is due anew."""
        try:
            found = await result
            reading = Reading(self._services.metrics.absorb(request, found), found.failures)
            seen = self._world.policies.get(policy.key)
            if seen is None or (seen.uid, seen.generation) != (policy.uid, policy.generation):
                return
            async with self._late.assessing:
                await self._evaluate_all([(seen, reading)])
        except Exception as error:  # noqa: BLE001 - told of on the policy; nobody waits for this
            await self._failed(policy, error)

    def _interval(self, policy: Policy) -> float:
        """Seconds until a policy is due: sooner while one of its runs is under way."""
        interval = policy.spec.analysis.interval if isinstance(policy.spec, PolicySpec) else VOLATILE_SECONDS
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
        self._known &= known
        for key in self._locks.keys() - self._world.policies.keys():
            if not self._locks[key].locked():
                del self._locks[key]
        self._services.metrics.keep_only(known)
        self._services.telemetry.keep_only(self._world.policies)


def _composed(situation: Situation, outcome: Outcome, before: PolicyStatus) -> tuple[Situation, PolicyStatus]:
    """The status; insights that cannot be told are left out, and the situation is then without them too."""
    try:
        return situation, compose(situation, outcome, before)
    except Exception as error:
        if situation.assessment.insights is None:
            raise
        _log.exception("insights not told", policy=situation.policy.name, namespace=situation.policy.namespace)
        situation = situation.without_insights(said(error))
        return situation, compose(situation, outcome, before)
