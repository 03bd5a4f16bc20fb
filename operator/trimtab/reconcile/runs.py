"""Runs: made when a plan pays, and driven step by step through their life."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from trimtab.adapters.fence import Purpose
from trimtab.adapters.kube import FencedError, KubeError
from trimtab.adapters.resources import FINALIZER
from trimtab.domain.choices import Mode, TargetKind
from trimtab.domain.naming import run_name
from trimtab.domain.objects import Policy, Run, Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import Phase, RunSpec, Trigger
from trimtab.domain.run_status import RunStatus, RunSummary
from trimtab.planning import changes as fields
from trimtab.planning.assessment import said
from trimtab.planning.conflicts import told
from trimtab.planning.fleet import only_waits, why_wait
from trimtab.planning.guards import acted_within_a_day, ask
from trimtab.planning.lifecycle import approves, blocked, next_step
from trimtab.planning.plans import Proposal
from trimtab.planning.records import fault_of
from trimtab.planning.steps import NoPlan, Record, RunFacts, Step, Wait, Write
from trimtab.planning.versions import learns_from
from trimtab.reconcile.calling_off import is_watched
from trimtab.reconcile.judging import judge, throttled
from trimtab.reconcile.met import Met
from trimtab.reconcile.outcome import UNDO_REFUSED
from trimtab.reconcile.proposing import guard_facts, plan_for
from trimtab.reconcile.services import Services
from trimtab.reconcile.situation import Situation

_STEPS_A_ROUND: Final = 16
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


async def drive(services: Services, run: Run, situation: Situation | None, policy: Policy | None) -> Run | None:
    """Take a run as far as it goes now; the run as it is then, or None when it is gone. Raises KubeError."""
    met = Met()
    for _ in range(_STEPS_A_ROUND):
        there = await read(services, run)
        if there is None:
            return None
        run = there
        facts, step = await _next(services, run, situation, policy, met)
        try:
            if await _do(services, facts, step):
                met = met.done(step)
                continue
            if met.trouble is not None and run.phase is Phase.APPLYING:
                raise met.trouble
            return await _settle_finalizer(services, run)
        except KubeError as error:
            met = met.then(step, error)
            _log.info("read again", run=run.name, namespace=run.namespace, why=str(error))
    return run


async def read(services: Services, run: Run) -> Run | None:
    """A run as it is now; None when it is gone. Raises KubeError."""
    try:
        return await services.resources.run(run.namespace, run.name)
    except KubeError as error:
        if error.not_found:
            return None
        raise


async def _next(
    services: Services,
    run: Run,
    situation: Situation | None,
    policy: Policy | None,
    met: Met,
) -> tuple[RunFacts, Step]:
    """What a run's next step rests on, and the step; one that cannot be looked at is undone. Raises KubeError."""
    try:
        if why := fault_of(run.status):
            _log.warning("run not evaluated", run=run.name, namespace=run.namespace, why=why)
        else:
            facts = met.told(await _facts(services, run, situation, policy))
            return facts, _in_turn(services, facts, next_step(facts, services.clock()))
    except KubeError:
        raise
    except Exception as error:  # noqa: BLE001 - told of on the run; its policy goes on
        _log.exception("run not evaluated", run=run.name, namespace=run.namespace)
        why = said(error)
    workload = await _live(services, run, situation)
    broken = met.told(RunFacts(run, policy, workload, broken=why))
    return broken, next_step(broken, services.clock())


async def make(services: Services, situation: Situation, proposal: Proposal | NoPlan) -> Run | str:
    """The run that a proposal calls for, or what keeps it from being made; empty where none is called for.

    Raises KubeError.
    """
    if isinstance(proposal, NoPlan) or situation.active_run is not None:
        return ""
    if situation.spec.mode not in (Mode.APPROVE, Mode.AUTO):
        return ""
    await services.turns.look()
    policy, trigger, now = situation.policy, proposal.trigger, services.clock()
    fleet = services.turns.fleet(policy, trigger, now)
    guards = ask(guard_facts(situation, "", trigger, proposal.plan, now, fleet))
    if why_not := blocked(guards):
        if only_waits(guards):
            services.turns.wait(policy, trigger, now, why_not)
        _log.debug("plan held", policy=policy.name, why=why_not)
        return why_not
    if situation.spec.mode is Mode.AUTO:
        services.turns.take(policy.key)
    try:
        return await _made(services, situation, proposal)
    except KubeError as error:
        if 400 <= error.status < 500 or isinstance(error, FencedError):  # otherwise it may have been made
            services.turns.settle(policy.key, is_open=False)
        raise


async def _made(services: Services, situation: Situation, proposal: Proposal) -> Run:
    """The run of a proposal: made now, or there already, as when another operator or an earlier life made it."""
    policy = situation.policy
    after = next((run.uid for run in reversed(situation.runs) if run.finished), "")
    while True:
        name = run_name(policy.name, policy.uid, proposal.plan.hash, after)
        spec = {"policyRef": {"name": policy.name}, "trigger": proposal.trigger.value}
        try:
            run = await services.resources.create_run(policy, name, spec)
            break
        except KubeError as error:
            if not error.conflict:
                raise
        there = await services.resources.run(policy.namespace, name)
        if there.policy_name == policy.name and all(run.uid != there.uid for run in situation.runs):
            return there
        after = there.uid  # a run that has ended, or a stranger's, has the name: the next one comes after it
    message = f"run {name} made: {proposal.plan.reason}"
    await services.events.post(policy, "Normal", "RunCreated", message, services.clock())
    return run


def _in_turn(services: Services, facts: RunFacts, step: Step) -> Step:
    """The step, or a wait where another policy has taken the last place since the guards were asked."""
    run, policy, now = facts.run, facts.policy, services.clock()
    if policy is None:
        return step
    trigger = run.spec.trigger if isinstance(run.spec, RunSpec) else Trigger.MANUAL
    begins = isinstance(step, Record) and step.status.phase is Phase.APPLYING and run.phase is not Phase.APPLYING
    if begins and trigger is not Trigger.MANUAL:
        why_not = why_wait(services.turns.fleet(policy, trigger, now), now)
        step = Wait(f"held: {why_not}", held=True) if why_not else step
    if isinstance(step, Wait):
        if step.held:
            services.turns.wait(policy, trigger, now, step.reason)
    elif begins:
        services.turns.take(policy.key)
    return step


async def collect_garbage(services: Services, situation: Situation) -> None:
    """Delete finished runs beyond the limit, but for the one that made the present operating point.

    Those that acted within a day stay too: the guards count them.
    """
    finished = [run for run in situation.runs if run.finished and not run.deleting]
    keep = situation.kept_run
    excess = len(finished) - situation.spec.run_history_limit
    for run in finished[: max(excess, 0)]:
        if (keep is None or run.uid != keep.uid) and not acted_within_a_day(run, services.clock()):
            await services.resources.delete_run(run)


async def _facts(services: Services, run: Run, situation: Situation | None, policy: Policy | None) -> RunFacts:
    """Read the workload again, and ask the guards and the evidence as the run's phase needs."""
    workload = await _live(services, run, situation)
    facts = RunFacts(run=run, policy=policy, workload=workload)
    if is_watched(run) and workload is not None:
        return replace(facts, pods=await services.pods.seen(workload, why=True))
    if situation is None:
        return facts
    situation = replace(situation, workload=workload)
    if run.phase is Phase.APPLYING and workload is not None:
        situation = await read_again(services, situation, workload)
        facts = replace(facts, policy=situation.policy)
    older = next((other.name for other in situation.runs if other.name != run.name and other.phase.unproven), "")
    if not situation.rivals.older:
        older = older or situation.rivals.trial
    startup = situation.history.startup_seconds or 0.0
    facts = replace(
        facts,
        older_active=older,
        step_seconds=situation.step_seconds,
        window_seconds=situation.window_seconds,
        startup_seconds=startup,
        version_since=learns_from(situation.status.version, situation.window_seconds),
    )
    plan = run.status.plan
    if run.phase in (Phase.PENDING, Phase.AWAITING_APPROVAL):
        proposal = plan_for(situation, run)
        plan = proposal.plan if isinstance(proposal, Proposal) else plan
        facts = replace(facts, plan=proposal.plan if isinstance(proposal, Proposal) else proposal)
    if run.phase in (Phase.PENDING, Phase.AWAITING_APPROVAL, Phase.APPLYING):
        spec = run.spec if isinstance(run.spec, RunSpec) else None
        trigger = spec.trigger if spec is not None else Trigger.MANUAL
        await services.turns.look()
        now = services.clock()
        fleet = services.turns.fleet(situation.policy, trigger, now)
        question = guard_facts(situation, run.name, trigger, plan, now, fleet)
        asked = ask(
            replace(
                question,
                applying=run.phase is Phase.APPLYING,
                approved=plan is not None and approves(spec, plan),
                same_policy=run.status.applied is None or run.status.applied.generation == question.policy.generation,
                beyond_bounds=spec is not None and spec.allow_beyond_bounds,
            )
        )
        facts = replace(facts, guards=(*(plan.guardrails if plan and run.phase is Phase.PENDING else ()), *asked))
    if run.phase in (Phase.SETTLING, Phase.VALIDATING) and run.status.verdict is None and workload is not None:
        claimants = replace(situation.claimants(workload), unlisted=False)  # no trial ends by what was not listed
        facts = replace(
            facts,
            pods=await services.pods.seen(workload, why=not workload.rolled_out),
            throttled=throttled(run, situation, services.clock()),
            claimed=told(claimants.on_changes(plan.changes if plan else ())),
        )
    if run.phase is Phase.VALIDATING and run.status.verdict is None:
        facts = replace(facts, judged=judge(run, situation, services.clock()))
    return facts


async def read_again(services: Services, situation: Situation, workload: Workload) -> Situation:
    """The situation with policy, autoscalers and others' trials as they are right before a write. Raises KubeError."""
    autoscalers = await services.workloads.autoscalers_on(workload.kind, workload.namespace, workload.name)
    policy = await services.resources.policy(situation.policy.namespace, situation.policy.name)
    spec = policy.spec if isinstance(policy.spec, PolicySpec) else situation.spec.model_copy(update={"paused": True})
    rivals = replace(situation.rivals, trial=services.turns.world.trial_beside(policy))
    return replace(situation, policy=policy, spec=spec, autoscalers=autoscalers, rivals=rivals)


async def _live(services: Services, run: Run, situation: Situation | None) -> Workload | None:
    applied = run.status.applied
    if applied is not None and applied.kind in list(TargetKind):
        return await services.workloads.read(TargetKind(applied.kind), run.namespace, applied.name)
    if situation is None:
        return None
    target = situation.spec.target_ref
    return await services.workloads.read(target.kind, run.namespace, target.name)


async def _do(services: Services, facts: RunFacts, step: Step) -> bool:
    """Carry out one step; whether to ask again. Raises KubeError."""
    run = facts.run
    match step:
        case Wait():
            return False
        case Record():
            await _record(services, run, step)
            return True
        case Write():
            assert facts.workload is not None, "a write is only asked for on a live workload"
            replicas = fields.replicas_of(step.changes)
            purpose = Purpose.UNDO if step.undo else Purpose.CHANGE
            if replicas is not None:
                await services.workloads.scale(facts.workload, replicas, purpose)
            elif sizes := fields.sizes_of(facts.workload, step.changes):
                await services.workloads.resize(facts.workload, sizes, purpose)
            what = fields.describe(step.changes)
            _log.info("undone" if step.undo else "applied", run=run.name, namespace=run.namespace, change=what)
            services.telemetry.wrote(run.namespace, "undo" if step.undo else "apply")
            return True


async def _record(services: Services, run: Run, step: Record) -> None:
    """Write the status; the finalizer is there before a change can be."""
    status = step.status.model_copy(update={"summary": run_summary(step.status)})
    entering = status.phase is not None and status.phase.unproven
    if entering and FINALIZER not in run.finalizers and not run.deleting:
        run = await services.resources.set_finalizer(run, present=True)
    before = run.status
    run = await services.resources.write_run_status(run, status)
    _log.info("run", run=run.name, namespace=run.namespace, phase=str(status.phase), reason=step.reason)
    if status.undo_refused and not before.undo_refused:
        await services.events.post(run, "Warning", UNDO_REFUSED, step.reason, services.clock())
    if status.phase is not None and status.phase is not before.phase:
        bad = status.phase in (Phase.FAILED, Phase.ROLLED_BACK, Phase.REJECTED)
        await services.events.post(
            run, "Warning" if bad else "Normal", status.phase.value, step.reason, services.clock()
        )
        if status.phase.finished:
            services.telemetry.run_ended(run.namespace, status.phase.value)


async def _settle_finalizer(services: Services, run: Run) -> Run | None:
    """Take the finalizer off a run that has nothing left to undo."""
    if FINALIZER not in run.finalizers or run.phase.unproven:
        return run
    try:
        return await services.resources.set_finalizer(run, present=False)
    except KubeError as error:
        if error.not_found:
            return None
        raise


def _kept(status: RunStatus) -> bool:
    return status.phase is Phase.SUCCEEDED and status.applied is not None


def run_summary(status: RunStatus) -> RunSummary:
    """Cells of a run; what it saves only while its change is kept, or may still be."""
    plan, verdict = status.plan, status.verdict
    saves = ""
    lost = status.phase is not None and status.phase.finished and not _kept(status)
    if plan is not None and plan.predicted.cost is not None and not lost:
        cost = plan.predicted.cost
        saves = f"{float(cost.from_) - float(cost.to):.2f} {cost.currency}"
    return RunSummary(
        change=fields.describe(plan.changes) if plan else "",
        verdict=verdict.result.value if verdict else "",
        saves=saves,
    )
