"""The column STATUS as a truth table: the first that is true, in the order that is documented."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from trimtab.analytics.quality import DataProblem
from trimtab.domain.choices import Mode
from trimtab.domain.status import PolicyState
from trimtab.reconcile.policy_state import StateFacts, policy_state

WELL = StateFacts(
    trying=False, paused=False, problem=None, conflicted=False, held=False, mode=Mode.AUTO, approved=False
)
ORDER: tuple[tuple[dict[str, Any], str], ...] = (
    ({"trying": True}, "Trying"),
    ({"paused": True}, "Paused"),
    ({"problem": DataProblem.STALE}, "NoData"),
    ({"conflicted": True}, "Conflicted"),
    ({"held": True}, "Held"),
    ({"problem": DataProblem.SHORT_HISTORY}, "Learning"),
    ({}, "Following"),
)


@pytest.mark.parametrize(("rank", "more"), list(product(range(len(ORDER)), repeat=2)))
def test_the_first_that_is_true_is_shown(rank: int, more: int) -> None:
    """Of any two at once, the one that comes first."""
    facts = replace(WELL, **ORDER[max(rank, more)][0])
    facts = replace(facts, **ORDER[min(rank, more)][0])
    assert policy_state(facts) == ORDER[min(rank, more)][1]


@pytest.mark.parametrize("problem", [one for one in DataProblem if one is not DataProblem.SHORT_HISTORY])
def test_no_problem_of_data_is_passed_over(problem: DataProblem) -> None:
    assert policy_state(replace(WELL, problem=problem)) is PolicyState.NO_DATA


@pytest.mark.parametrize(
    ("mode", "approved", "conflicted", "shown"),
    [
        (Mode.OBSERVE, False, False, "Recommending"),
        (Mode.OBSERVE, False, True, "Recommending"),
        (Mode.RECOMMEND, False, False, "Recommending"),
        (Mode.RECOMMEND, False, True, "Recommending"),
        (Mode.RECOMMEND, True, False, "Recommending"),
        (Mode.APPROVE, False, False, "Recommending"),
        (Mode.APPROVE, False, True, "Conflicted"),
        (Mode.APPROVE, True, False, "Following"),
        (Mode.AUTO, False, False, "Following"),
        (Mode.AUTO, False, True, "Conflicted"),
    ],
)
def test_what_the_mode_lets_it_do(mode: Mode, approved: bool, conflicted: bool, shown: str) -> None:
    facts = replace(WELL, mode=mode, approved=approved, conflicted=conflicted)
    assert policy_state(facts) == shown


def test_every_state_is_reached() -> None:
    seen = {policy_state(replace(WELL, **changed)) for changed, _ in ORDER}
    assert seen | {policy_state(replace(WELL, mode=Mode.RECOMMEND))} == set(PolicyState)
