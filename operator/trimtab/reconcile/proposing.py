"""What to try for a workload, and what the guards are asked about it. Pure."""

from __future__ import annotations

from dataclasses import replace

from trimtab.domain.choices import Mode
from trimtab.domain.objects import Run
from trimtab.domain.run import RunSpec, Trigger
from trimtab.domain.run_status import Plan
from trimtab.planning.capacity import capacity
from trimtab.planning.conflicts import without_claimed
from trimtab.planning.fleet import Fleet
from trimtab.planning.guards import GuardFacts
from trimtab.planning.plans import Proposal, adopt, no_objectives, propose, requested
from trimtab.planning.rightsizing import cpu_size
from trimtab.planning.steps import NoPlan
from trimtab.planning.terms import spec_for
from trimtab.planning.versions import too_new
from trimtab.reconcile.situation import Situation


def plan_now(situation: Situation) -> Proposal | NoPlan:
    """The operator's own plan, to be made in a worker; beside a run that only waits too, as what is recommended."""
    if situation.trial_run is not None:
        return NoPlan(f"run {situation.trial_run.name} is under way", final=False)
    return plan_for(situation, None)


def plan_for(situation: Situation, run: Run | None) -> Proposal | NoPlan:
    """What to try now: the run's own changes, or the operator's plan with what is left to it.

    Where nothing is left to it, the plan is what would be done if nobody else claimed a field; the guards refuse it.
    """
    if situation.workload is None:
        return NoPlan("the workload is not there", final=False)
    run_spec = run.spec if run is not None and isinstance(run.spec, RunSpec) else None
    own = run_spec is None or not run_spec.changes
    # A broken objective does not wait: what stands in for a capacity is better than none.
    patience = situation.spec.guardrails.min_history if own and not situation.assessment.breached else None
    if why := too_new(situation.status.version, situation.workload, situation.now, patience):
        return NoPlan(why, final=False)
    inputs = situation.plan_inputs(spec_for(situation.spec, run_spec))
    if run_spec is not None and run_spec.changes:
        return requested(inputs, run_spec.changes, beyond_bounds=run_spec.allow_beyond_bounds)
    if (nothing := no_objectives(situation.spec, run_spec.trigger if run_spec else Trigger.COST)) is not None:
        return nothing
    if not situation.assessment.quality.ok:
        return NoPlan(situation.assessment.quality.message, final=False)
    claims = situation.claims
    if claims:
        left = situation.plan_inputs(without_claimed(inputs.spec, situation.workload, claims))
        if isinstance(proposal := propose(left), Proposal):
            return proposal
    inputs = situation.plan_inputs(inputs.spec, beside_hpa=inputs.spec.horizontal is None)
    proposal = propose(inputs)
    horizontal = situation.spec.horizontal
    unapproved = situation.spec.mode is Mode.APPROVE and not situation.approved
    if isinstance(proposal, NoPlan) and horizontal is not None and horizontal.follow and unapproved:
        size = cpu_size(situation.workload.containers)
        carried = capacity(situation.assessment, inputs.spec, inputs.strategy, size)
        return adopt(inputs, carried.load_per_replica) if carried.load_per_replica > 0 else proposal
    return proposal


def guard_facts(
    situation: Situation,
    run_name: str,
    trigger: Trigger,
    plan: Plan | None,
    now: float,
    fleet: Fleet = Fleet(),  # noqa: B008 - frozen
) -> GuardFacts:
    """What the guards are asked about; ``fleet`` is not needed where only conflicts are."""
    return GuardFacts(
        policy=replace(situation.policy, status=situation.status),
        spec=situation.spec,
        workload=situation.workload,
        runs=situation.runs,
        run_name=run_name,
        trigger=trigger,
        changes=tuple(plan.changes) if plan else (),
        quality=situation.assessment.quality,
        assessed_at=situation.now,
        unknown=situation.assessment.unknown,
        autoscalers=situation.autoscalers,
        unlisted=bool(situation.unlisted),
        rival=situation.rivals.older,
        trial=situation.rivals.trial,
        now=now,
        usage=situation.assessment.usage,
        fleet=fleet,
    )
