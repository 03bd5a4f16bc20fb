"""What a policy is doing, in one word: the column STATUS."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.analytics.quality import DataProblem
from trimtab.domain.choices import ACTING, Mode
from trimtab.domain.status import PolicyState, PolicyStatus
from trimtab.reconcile.outcome import Outcome
from trimtab.reconcile.situation import Situation


@dataclass(frozen=True, slots=True)
class StateFacts:
    """What the word rests on, for a policy whose spec is accepted and whose workload is there."""

    trying: bool
    """A change is on the workload that no verdict has kept."""
    paused: bool
    problem: DataProblem | None
    """What is wrong with the data; None while it can be used."""
    conflicted: bool
    held: bool
    mode: Mode
    approved: bool
    """A person approved the operating point that holds now."""


def policy_state(facts: StateFacts) -> PolicyState:
    """The first that is true, in this order.

    What is on the workload unproven comes first, then what a person asked for, then what keeps the policy from doing
    anything, then what keeps it from doing something, then what its mode lets it do. What would keep a policy from
    changes is no news of one that changes nothing: it recommends.
    """
    changes = facts.mode is Mode.AUTO or (facts.mode is Mode.APPROVE and facts.approved)
    if facts.trying:
        return PolicyState.TRYING
    if facts.paused:
        return PolicyState.PAUSED
    if facts.problem not in (None, DataProblem.SHORT_HISTORY):
        return PolicyState.NO_DATA
    if facts.conflicted and facts.mode in ACTING:
        return PolicyState.CONFLICTED
    if facts.held:
        return PolicyState.HELD
    if facts.problem is DataProblem.SHORT_HISTORY:
        return PolicyState.LEARNING
    return PolicyState.FOLLOWING if changes else PolicyState.RECOMMENDING


def state_facts(situation: Situation, outcome: Outcome, status: PolicyStatus) -> StateFacts:
    """The facts of a round; ``status`` as it is after it."""
    mode = situation.spec.mode
    return StateFacts(
        trying=any(run.phase.unproven for run in outcome.runs),
        paused=situation.spec.paused or (bool(outcome.paused) and mode in ACTING),
        problem=situation.assessment.quality.problem,
        conflicted=bool(outcome.conflicts),
        held=status.hold is not None,
        mode=mode,
        approved=situation.approved,
    )
