"""The scheduler: what is due together is one batch, and a failure comes again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.planning.building import policy, policy_spec, run
from tests.planning.test_lifecycle import applied
from trimtab.adapters.kube import KubeError
from trimtab.adapters.lease_keeper import Term
from trimtab.adapters.telemetry import Telemetry
from trimtab.domain.objects import InvalidSpec
from trimtab.domain.run import Phase
from trimtab.domain.run_status import RunStatus
from trimtab.reconcile.scheduler import Scheduler, next_on_grid
from trimtab.reconcile.services import Services
from trimtab.reconcile.world import Key, Rivals, World


class Held:
    """Leases that are held: each namespace's in the term that was won last."""

    def __init__(self, *won: Term) -> None:
        self.waiting, self.over = list(won), list[Term]()
        self.acting: list[Term] = []
        self.entered = 0

    def enter(self) -> None:
        self.entered += 1

    def holds(self, namespace: str) -> bool:
        return any(term.covers_namespace(namespace) for term in self.acting)

    def won(self) -> list[Term]:
        return list(self.waiting)

    def ended(self) -> list[Term]:
        return list(self.over)

    def begin(self, term: Term) -> None:
        self.waiting.remove(term)
        self.acting.append(term)

    def end(self, term: Term) -> None:
        self.over.remove(term)
        self.acting.remove(term)


class Ticks:
    """Services of which only clock and telemetry are used; time moves when asked for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.telemetry = Telemetry()
        self.leases = Held(Term("", 1))

    def clock(self) -> float:
        self.now += 0.01
        return self.now


class Rounds:
    """Records each batch; fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.batches: list[list[Key]] = []
        self.called_off: list[Key] = []
        self.known: set[Key] = set()
        self.busy: set[Key] = set()
        self.held = asyncio.Event()
        """Rounds wait for it; it is set unless a test clears it."""
        self.held.set()
        self.cost = 0.0
        """Seconds of each first look, on the clock of `services`."""
        self.services: Ticks | None = None
        self.interval = 60.0
        self.hands: list[tuple[str, Term]] = []
        self.unreadable = 0
        self._failures = failures

    async def begin(self, term: Term) -> None:
        if self.unreadable:
            self.unreadable -= 1
            raise KubeError(0, "Unreachable", "no")
        self.hands.append(("begin", term))

    async def end(self, term: Term) -> None:
        self.hands.append(("end", term))

    async def round(self, due: list[Key]) -> dict[Key, float]:
        self.batches.append(sorted(due))
        await self.held.wait()
        if self.services is not None:
            self.services.now += self.cost * len(set(due) - self.known)
        self.known.update(due)
        if self._failures:
            self._failures -= 1
            raise RuntimeError("no")
        return dict.fromkeys(due, self.interval)

    async def call_off(self, key: Key) -> bool:
        self.called_off.append(key)
        return len(self.called_off) > 1

    def is_known(self, key: Key) -> bool:
        return key in self.known

    def is_busy(self, key: Key) -> bool:
        return key in self.busy

    async def stop(self) -> None:
        self.busy.clear()


async def until(look: Callable[[], object]) -> None:
    """Let the others run until it is so."""
    async with asyncio.timeout(20.0):
        while not look():  # noqa: ASYNC110 - what is looked at belongs to the tested
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(scheduler: Scheduler) -> AsyncIterator[None]:
    """A scheduler that runs for as long as the block."""
    task = asyncio.create_task(scheduler.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def world_of(*names: str) -> World:
    policies = [policy(name=name, uid=name) for name in names]
    return World(policies={one.key: one for one in policies})


async def run_for(scheduler: Scheduler, seconds: float) -> None:
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_all_that_is_due_is_one_batch() -> None:
    rounds = Rounds()
    await run_for(Scheduler(rounds, world_of("a", "b"), cast(Services, Ticks())), 0.2)
    assert rounds.batches == [[("shop", "a"), ("shop", "b")]]


async def test_a_wake_brings_a_policy_forward() -> None:
    rounds = Rounds()
    scheduler = Scheduler(rounds, world_of("a", "b"), cast(Services, Ticks()))
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0.1)
    scheduler.wake(("shop", "b"))
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rounds.batches[1:] == [[("shop", "b")]]


async def test_a_failed_batch_does_not_end_the_scheduler() -> None:
    rounds, services = Rounds(failures=1), Ticks()
    scheduler = Scheduler(rounds, world_of("a"), cast(Services, services))
    task = asyncio.create_task(scheduler.run())
    while len(rounds.batches) < 2 and not task.done():
        services.now += 20.0
        await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rounds.batches == [[("shop", "a")], [("shop", "a")]]


async def test_first_looks_come_in_slices_and_the_known_go_between_them() -> None:
    """A hundred new policies at 0.4 s each: never more than about ten seconds of them before a known one's turn."""
    services, rounds = Ticks(), Rounds()
    rounds.services, rounds.cost, rounds.interval = services, 0.4, 5.0
    rounds.known.add(("shop", "known"))
    world = world_of("known", *(f"new-{number:03}" for number in range(100)))
    scheduler = Scheduler(rounds, world, cast(Services, services))
    beats: list[float] = []
    services.telemetry.beat = beats.append  # type: ignore[method-assign,assignment]
    async with running(scheduler):
        await until(lambda: len(rounds.known) == 101)
    new = [[key[1] for key in batch if key[1].startswith("new")] for batch in rounds.batches]
    slices = [len(batch) for batch in new if batch]
    seen = [name for batch in new for name in batch]
    assert len(set(seen)) == 100
    assert max(slices[:4]) == 25
    assert rounds.batches[0] == [("shop", "known")], "who is due goes first"
    assert all(("shop", "known") in rounds.batches[at + 1] for at in (1, 3)), "and again after each slice"
    assert len(set(beats)) >= len(slices), "the heartbeat moves with each slice"


async def test_slices_become_smaller_where_first_looks_cost_more() -> None:
    services, rounds = Ticks(), Rounds()
    rounds.services, rounds.cost, rounds.interval = services, 4.0, 1e6
    scheduler = Scheduler(rounds, world_of(*(f"p{number:02}" for number in range(40))), cast(Services, services))
    async with running(scheduler):
        await until(lambda: len(rounds.known) == 40)
    assert [len(batch) for batch in rounds.batches][:4] == [25, 2, 2, 2]


async def test_calling_off_waits_for_no_batch() -> None:
    rounds = Rounds()
    scheduler = Scheduler(rounds, world_of("a", "b"), cast(Services, Ticks()))
    rounds.held.clear()
    async with running(scheduler):
        await until(lambda: rounds.batches)
        scheduler.hurry(("shop", "b"))
        scheduler.hurry(("shop", "b"))
        await until(lambda: len(rounds.called_off) == 2)
        assert len(rounds.batches) == 1, "the batch is still under way"
        rounds.held.set()
        await until(lambda: len(rounds.batches) == 2)
    assert rounds.called_off == [("shop", "b")] * 2, "what failed is tried again, and then no more"
    assert rounds.batches[1] == [("shop", "b")], "then the policy is evaluated"


async def test_nothing_is_called_off_before_the_scheduler_runs() -> None:
    rounds = Rounds()
    scheduler = Scheduler(rounds, world_of("a"), cast(Services, Ticks()))
    scheduler.hurry(("shop", "a"))
    await asyncio.sleep(0.05)
    assert rounds.called_off == []
    async with running(scheduler):
        await until(lambda: rounds.called_off)


async def test_a_policy_whose_metrics_are_late_is_not_evaluated_twice_at_once() -> None:
    rounds = Rounds()
    late, prompt = ("shop", "late"), ("shop", "prompt")
    scheduler = Scheduler(rounds, world_of("late", "prompt"), cast(Services, Ticks()))
    rounds.busy.add(late)
    async with running(scheduler):
        await until(lambda: rounds.batches)
        scheduler.wake(late)
        scheduler.wake(prompt)
        await until(lambda: len(rounds.batches) == 2)
        assert rounds.batches == [[prompt]] * 2
        rounds.busy.clear()
        await until(lambda: len(rounds.batches) == 3)
    assert rounds.batches[2] == [late]


async def test_what_another_operator_acts_in_is_not_evaluated() -> None:
    rounds, services = Rounds(), Ticks()
    services.leases = Held(Term("bank", 1))
    world = World(policies={one.key: one for one in (policy(name="a", uid="a"), policy(name="b", namespace="bank"))})
    await run_for(Scheduler(rounds, world, cast(Services, services)), 0.2)
    assert rounds.batches == [[("bank", "b")]]


async def test_what_another_operator_acts_in_is_not_called_off() -> None:
    rounds, services = Rounds(), Ticks()
    services.leases = Held(Term("bank", 1))
    scheduler = Scheduler(rounds, world_of("a"), cast(Services, services))
    scheduler.hurry(("shop", "a"))
    await run_for(scheduler, 0.2)
    assert (rounds.called_off, rounds.batches) == ([], [])


async def test_a_term_begins_once_it_is_read_what_was_written_before() -> None:
    rounds, services = Rounds(), Ticks()
    rounds.unreadable = 1
    scheduler = Scheduler(rounds, world_of("a"), cast(Services, services))
    await run_for(scheduler, 0.1)
    assert (rounds.hands, rounds.batches) == ([], [])
    await run_for(scheduler, 0.2)
    assert (rounds.hands, rounds.batches) == ([("begin", Term("", 1))], [[("shop", "a")]])
    assert services.leases.entered == 1


async def test_a_lost_term_is_forgotten_before_the_next_begins_and_then_all_is_due() -> None:
    rounds, services = Rounds(), Ticks()
    scheduler = Scheduler(rounds, world_of("a"), cast(Services, services))
    await run_for(scheduler, 0.2)
    first, second = Term("", 1), Term("", 2)
    services.leases.over.append(first)
    services.leases.waiting.append(second)
    await run_for(scheduler, 0.2)
    assert rounds.hands == [("begin", first), ("end", first), ("begin", second)]
    assert rounds.batches == [[("shop", "a")], [("shop", "a")]]


@pytest.mark.parametrize(
    ("now", "interval", "wanted"),
    [(60.0, 60.0, 60.3), (60.3, 60.0, 120.3), (119.0, 60.0, 120.3), (0.4, 1.0, 1.3)],
)
def test_next_on_grid(now: float, interval: float, wanted: float) -> None:
    assert next_on_grid(now, interval) == pytest.approx(wanted)


FAULTY = policy_spec(objectives=[{"name": "p99", "query": "up[", "max": 1}])
OLDER_POLICIES: dict[str, tuple[Any, bool]] = {
    "acts": (policy_spec(), True),
    "waits for approval": (policy_spec(mode="Approve"), True),
    "paused": (policy_spec(paused=True), True),
    "recommends": (policy_spec(mode="Recommend"), False),
    "observes": (policy_spec(mode="Observe"), False),
    "invalid": (InvalidSpec("spec.mode: no such mode"), False),
    "a query that does not parse": (FAULTY, False),
}


@pytest.mark.parametrize(("spec", "acts"), OLDER_POLICIES.values(), ids=OLDER_POLICIES.keys())
def test_an_older_policy_goes_first_only_if_it_may_act(spec: Any, acts: bool) -> None:
    old = policy(name="old", uid="old", created_at=1.0, spec=spec)
    new = policy(name="new", uid="new", created_at=2.0)
    world = World(policies={one.key: one for one in (new, old)})
    both = {"old": Rivals(younger=("new",)), "new": Rivals(older="old")}
    assert world.rivals() == (both if acts else {})


def test_a_policy_that_recommends_again_goes_first_until_its_trial_has_ended() -> None:
    old = policy(policy_spec(mode="Recommend"), name="old", uid="old", created_at=1.0)
    new = policy(name="new", uid="new", created_at=2.0)
    trial = run(RunStatus(phase=Phase.VALIDATING), policy_name="old")
    world = World(policies={one.key: one for one in (new, old)}, runs={trial.key: trial})
    assert world.rivals()["new"].older == "old"
    world.runs[trial.key] = replace(trial, status=RunStatus(phase=Phase.ROLLED_BACK))
    assert world.rivals() == {}


def test_a_policy_that_may_not_act_itself_has_no_rival() -> None:
    old = policy(name="old", uid="old", created_at=1.0)
    new = policy(policy_spec(mode="Recommend"), name="new", uid="new", created_at=2.0)
    assert World(policies={one.key: one for one in (new, old)}).rivals() == {}


RETARGETED = policy_spec(targetRef={"kind": "Deployment", "name": "elsewhere"})


@pytest.mark.parametrize(
    ("theirs", "phase", "other"),
    [
        pytest.param(None, Phase.VALIDATING, "theirs", id="deleted"),
        pytest.param(InvalidSpec("spec.mode: no such mode"), Phase.APPLYING, "theirs", id="invalid"),
        pytest.param(RETARGETED, Phase.SETTLING, "theirs", id="retargeted"),
        pytest.param(None, Phase.ROLLED_BACK, "", id="undone"),
        pytest.param(None, Phase.AWAITING_APPROVAL, "", id="not begun"),
    ],
)
def test_what_is_on_trial_is_nobody_elses_to_change_whatever_became_of_its_policy(
    theirs: Any, phase: Phase, other: str
) -> None:
    old = policy(name="old", uid="old", created_at=1.0, spec=theirs)
    new = policy(name="new", uid="new", created_at=2.0)
    trial = run(RunStatus(phase=phase, applied=applied()), name="theirs", policy_name="old")
    policies = [new] if theirs is None else [new, old]
    world = World(policies={one.key: one for one in policies}, runs={trial.key: trial})
    assert world.rivals() == ({"new": Rivals(trial=other)} if other else {})
    assert world.trial_beside(new) == other
    assert world.trial_beside(old) == "", "its own"


def test_who_tries_something_goes_first_until_its_trial_has_ended() -> None:
    old = policy(name="old", uid="old", created_at=1.0)
    new = policy(name="new", uid="new", created_at=2.0)
    trial = run(RunStatus(phase=Phase.VALIDATING, applied=applied()), name="theirs", policy_name="new")
    world = World(policies={one.key: one for one in (new, old)}, runs={trial.key: trial})
    assert world.rivals() == {"new": Rivals(younger=("old",)), "old": Rivals(older="new", trial="theirs")}
    world.runs[trial.key] = replace(trial, status=RunStatus(phase=Phase.ROLLED_BACK, applied=applied()))
    assert world.rivals() == {"old": Rivals(younger=("new",)), "new": Rivals(older="old")}
