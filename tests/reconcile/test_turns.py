"""Turns: sixteen that ask at once never take more places than there are, and those that wait go in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.planning.building import policy, policy_spec, run
from trimtab.adapters.switch import Switch, SwitchState
from trimtab.domain.objects import Policy
from trimtab.domain.run import Phase, Trigger
from trimtab.domain.run_status import RunStatus
from trimtab.planning.fleet import OpenLimit, why_wait
from trimtab.reconcile.turns import Turns
from trimtab.reconcile.world import World

NOW = 10_000.0


class Off(Switch):
    """Nothing is paused."""

    async def read(self) -> SwitchState:
        self.state = SwitchState()
        return self.state


def named(name: str, namespace: str = "shop", **spec: Any) -> Policy:
    return policy(policy_spec(**spec), name=name, namespace=namespace, uid=f"uid-{namespace}-{name}")


def turns_of(*policies: Policy, limit: str = "3") -> Turns:
    world = World(policies={one.key: one for one in policies})
    return Turns(world, Off("shop"), OpenLimit.parse(limit), 3)


def asks(turns: Turns, one: Policy, now: float = NOW, trigger: Trigger = Trigger.COST) -> bool:
    """Whether a policy may begin: it takes its place, or waits."""
    why_not = why_wait(turns.fleet(one, trigger, now), now)
    if why_not:
        turns.wait(one, trigger, now, why_not)
    else:
        turns.take(one.key)
    return not why_not


def opened(turns: Turns, one: Policy, phase: Phase = Phase.VALIDATING) -> None:
    """The watches tell that a policy's trial is in a phase."""
    made = run(RunStatus(phase=phase), name=one.name, namespace=one.namespace, policy_name=one.name)
    turns.world.runs[made.key] = made


async def test_those_that_ask_at_once_take_no_more_places_than_there_are() -> None:
    policies = [named(f"p{number}") for number in range(16)]
    turns = turns_of(*policies, limit="3")
    await turns.begin(NOW)
    began: list[Policy] = []

    async def evaluate(one: Policy) -> None:
        await asyncio.sleep(0)  # as where the switch is read
        if asks(turns, one, NOW, Trigger.OBJECTIVE):
            began.append(one)
            await asyncio.sleep(0)  # as where the record is written

    await asyncio.gather(*map(evaluate, policies))
    assert len(began) == 3
    for one in policies:
        turns.settle(one.key, is_open=one in began)
        if one in began:
            opened(turns, one)
    await turns.begin(NOW + 10)
    assert not any(asks(turns, one, NOW + 10, Trigger.OBJECTIVE) for one in policies if one not in began)


async def test_who_has_a_place_begins_whoever_waits_or_came_since() -> None:
    first, second, asked = named("first"), named("second"), named("asked")
    turns = turns_of(first, second, asked, limit="1")
    await turns.begin(NOW)
    assert asks(turns, first, NOW, Trigger.FORECAST)
    assert not asks(turns, second, NOW, Trigger.OBJECTIVE)
    turns.take(asked.key)  # a person's
    assert asks(turns, first, NOW, Trigger.FORECAST)


async def test_a_place_stays_taken_until_the_trial_is_seen() -> None:
    first, second = named("first"), named("second")
    turns = turns_of(first, second, limit="1")
    await turns.begin(NOW)
    assert asks(turns, first, NOW, Trigger.OBJECTIVE)
    await turns.begin(NOW + 1)  # the round failed after the record: no run is known yet
    assert not asks(turns, second, NOW + 1, Trigger.OBJECTIVE)
    opened(turns, first)
    turns.settle(first.key, is_open=True)
    await turns.begin(NOW + 2)
    assert not asks(turns, second, NOW + 2, Trigger.OBJECTIVE)
    opened(turns, first, Phase.SUCCEEDED)
    await turns.begin(NOW + 3)
    assert asks(turns, second, NOW + 3, Trigger.OBJECTIVE)


async def test_a_person_s_run_counts_and_one_waits_for_it() -> None:
    asked, own = named("asked"), named("own")
    turns = turns_of(asked, own, limit="1")
    opened(turns, asked)
    await turns.begin(NOW)
    assert not asks(turns, own)
    assert turns.fleet(own, Trigger.COST, NOW).open_runs == 1
    assert turns.settle(own.key, is_open=False).startswith("waits for its turn: 1 of 1 runs are open")


async def test_who_asked_first_goes_first_and_a_broken_objective_before_all() -> None:
    busy, early, late, broken = (named(name) for name in ("busy", "early", "late", "broken"))
    turns = turns_of(busy, early, late, broken, limit="1")
    opened(turns, busy)
    await turns.begin(NOW)
    wanted = [(early, Trigger.FORECAST), (late, Trigger.FORECAST), (broken, Trigger.OBJECTIVE)]
    for seconds, (one, trigger) in enumerate(wanted):
        assert not asks(turns, one, NOW + seconds, trigger)
    assert [turns.fleet(one, trigger, NOW + 3).place for one, trigger in wanted] == [2, 3, 1]
    opened(turns, busy, Phase.SUCCEEDED)
    await turns.begin(NOW + 4)
    assert not asks(turns, early, NOW + 4, Trigger.FORECAST)
    assert asks(turns, broken, NOW + 4, Trigger.OBJECTIVE)


async def test_who_no_longer_wants_leaves_the_queue() -> None:
    busy, gone, still = named("busy"), named("gone"), named("still")
    turns = turns_of(busy, gone, still, limit="1")
    opened(turns, busy)
    await turns.begin(NOW)
    assert not asks(turns, gone)
    assert not asks(turns, still, NOW + 30)
    turns.settle(gone.key, is_open=False)
    turns.settle(still.key, is_open=False)
    turns.settle(gone.key, is_open=False)  # a round in which it asked for nothing
    assert turns.fleet(still, Trigger.COST, NOW + 31).place == 1


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "not heard of for long"])
async def test_who_is_gone_is_not_waited_for(deleted: bool) -> None:
    busy, gone, still = named("busy"), named("gone"), named("still")
    turns = turns_of(busy, gone, still, limit="1")
    opened(turns, busy)
    await turns.begin(NOW)
    assert not asks(turns, gone)
    if deleted:
        del turns.world.policies[gone.key]
    await turns.begin(NOW + (1 if deleted else 200))
    assert turns.fleet(still, Trigger.COST, NOW + 200).place == 1


async def test_a_full_namespace_holds_up_no_other() -> None:
    here = [named(f"p{number}") for number in range(5)]
    there = named("other", namespace="media")
    turns = turns_of(*here, there, limit="5%")
    turns.world.policies |= {one.key: one for one in (named(f"n{n}", f"ns-{n}") for n in range(80))}
    for one in here[:3]:
        opened(turns, one)
    await turns.begin(NOW)
    assert turns.fleet(here[3], Trigger.OBJECTIVE, NOW).limit == 5
    assert not asks(turns, here[3], NOW, Trigger.OBJECTIVE)
    assert not asks(turns, here[4], NOW, Trigger.OBJECTIVE)
    assert turns.settle(here[3].key, is_open=False).startswith("waits for its turn: 3 of 3 runs are open in the nam")
    assert asks(turns, there, NOW + 1, Trigger.OBJECTIVE)


async def test_policies_that_only_show_do_not_widen_the_limit() -> None:
    shown = [named(f"p{number}", mode="Recommend") for number in range(200)]
    turns = turns_of(*shown, limit="5%")
    await turns.begin(NOW)
    assert turns.fleet(shown[0], Trigger.COST, NOW).limit == 3


async def test_a_crowd_begins_one_after_another_and_a_few_at_once() -> None:
    few = [named(f"p{number}") for number in range(3)]
    turns = turns_of(*few)
    await turns.begin(NOW)
    assert all(asks(turns, one) for one in few)
    crowd = [named(f"p{number}", analysis={"interval": "60s", "history": "10m"}) for number in range(100)]
    turns = turns_of(*crowd, limit="50")
    await turns.begin(NOW)
    assert sum(asks(turns, one) for one in crowd) == 0
    await turns.begin(NOW + 60)
    soon = sum(asks(turns, one, NOW + 60) for one in crowd)
    assert 15 <= soon < 50
    assert why_wait(turns.fleet(replace(crowd[0], name="x"), Trigger.OBJECTIVE, NOW + 60), NOW + 60) == ""
