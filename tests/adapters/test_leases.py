"""The fence that a lease is: what passes, for how long, and in which term."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import TypeVar

import pytest

from trimtab.adapters.fence import Outgoing, Purpose
from trimtab.adapters.kube import FencedError, KubeClient, KubeError
from trimtab.adapters.lease_keeper import Held, KeptLease, LeaseKeeper, Term
from trimtab.adapters.leases import Leases
from trimtab.domain.lease import LeaseRecord, LeaseTiming, Moment

STATUS = Outgoing("PATCH", "/apis/trimtab.dev/v1alpha1/namespaces/shop/performancepolicies/web/status", Purpose.RECORD)
SCALE = Outgoing("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web/scale", Purpose.CHANGE)
UNDO = Outgoing("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web/scale", Purpose.UNDO)
START = Outgoing("POST", "/apis/trimtab.dev/v1alpha1/namespaces/shop/optimizationruns", Purpose.START)
TERM = Term("shop", 1)
K = TypeVar("K", bound="Scripted")


class Scripted(LeaseKeeper):
    """A keeper whose API server and clocks are the test's; its loop runs, and keeps nothing."""

    def __init__(self, *namespaces: str) -> None:
        self.time = Moment(0.0, 1e9)
        super().__init__(
            self._nobody, namespaces, "trimtab", LeaseTiming(), "trimtab/trimtab-switch", lambda: self.time
        )
        self.there: dict[str, LeaseRecord | KubeError] = {}

    @staticmethod
    async def _nobody() -> KubeClient:
        raise KubeError(0, "Unreachable", "nobody there")

    async def read(self, path: str) -> LeaseRecord | None:
        found = self.there.get(path)
        if isinstance(found, KubeError):
            raise found
        return found

    def pass_time(self, ticking: float, wall: float | None = None) -> None:
        self.time = Moment(self.time.ticking + ticking, self.time.wall + (ticking if wall is None else wall))

    def hold(self, term: Term = TERM) -> KeptLease:
        kept = self.kept[0]
        kept.held = Held(term, self.time)
        self.there[kept.path] = LeaseRecord(kept.lease_namespace, kept.name, "1", holder=self.identity, duration=10.0)
        return kept


@pytest.fixture
def keeper() -> Iterator[Scripted]:
    yield from running(Scripted("shop"))


def running(made: K) -> Iterator[K]:
    thread = threading.Thread(target=made.loop.run_forever, daemon=True)
    thread.start()
    yield made
    made.loop.call_soon_threadsafe(made.loop.stop)
    thread.join()


def acting(keeper: Scripted, term: Term = TERM) -> Leases:
    leases = Leases(keeper)
    keeper.hold(term)
    leases.begin(term)
    leases.enter()
    return leases


@pytest.mark.parametrize("write", [STATUS, SCALE, UNDO, START], ids=lambda write: write.purpose.value)
async def test_a_write_passes_under_a_fresh_lease_and_none_after(keeper: Scripted, write: Outgoing) -> None:
    leases = acting(keeper)
    admission = await leases.admit(write)
    assert admission.seconds == pytest.approx(9.0)
    admission.check()
    keeper.pass_time(6.9)
    assert (await leases.admit(write)).seconds == pytest.approx(2.1)
    keeper.pass_time(0.2)
    with pytest.raises(FencedError, match=r"last renewed 7\.1 s ago"):
        admission.check()
    with pytest.raises(FencedError):
        await leases.admit(write)


@pytest.mark.parametrize("clocks", [(20.0, 0.1), (0.1, 20.0)], ids=["ticking", "wall"])
async def test_either_clock_ends_a_lease(keeper: Scripted, clocks: tuple[float, float]) -> None:
    admission = await acting(keeper).admit(SCALE)
    keeper.pass_time(*clocks)
    with pytest.raises(FencedError, match="last renewed 20"):
        admission.check()


async def test_nothing_passes_before_the_term_is_begun_or_after_it_ended(keeper: Scripted) -> None:
    leases = Leases(keeper)
    with pytest.raises(FencedError, match="not asked for yet"):
        await leases.admit(STATUS)
    keeper.hold()
    assert (leases.won(), leases.holds("shop")) == ([TERM], False)
    with pytest.raises(FencedError):
        await leases.admit(STATUS)
    leases.begin(TERM)
    assert (leases.won(), leases.holds("shop"), leases.holds("bank")) == ([], True, False)
    with pytest.raises(FencedError):
        await leases.admit(STATUS)
    leases.enter()
    await leases.admit(STATUS)
    leases.end(TERM)
    with pytest.raises(FencedError):
        await leases.admit(STATUS)


async def test_a_decision_of_an_earlier_term_is_not_written_in_a_later_one(keeper: Scripted) -> None:
    """Stopped in the middle of a round, another acted and went, and the lease is ours again."""
    leases = acting(keeper)
    admission = await leases.admit(SCALE)
    keeper.hold(Term("shop", 2))
    with pytest.raises(FencedError, match="not since this was decided"):
        admission.check()
    with pytest.raises(FencedError, match="not since this was decided"):
        await leases.admit(STATUS)
    assert (leases.ended(), leases.holds("shop")) == ([TERM], False)


async def test_a_task_that_waits_writes_in_no_later_term_than_its_own(keeper: Scripted) -> None:
    """As an evaluation whose metrics came late: started in one term, and still there in the next."""
    leases, goes_on = acting(keeper), asyncio.Event()

    async def late() -> None:
        await goes_on.wait()
        await leases.admit(SCALE)

    task = asyncio.create_task(late())
    leases.end(TERM)
    second = Term("shop", 2)
    keeper.hold(second)
    leases.begin(second)
    leases.enter()
    await leases.admit(SCALE)
    goes_on.set()
    with pytest.raises(FencedError, match="not since this was decided"):
        await task


@pytest.mark.parametrize("write", [SCALE, UNDO, START], ids=lambda write: write.purpose.value)
async def test_the_api_server_is_asked_before_a_workload_or_a_run_is_written(keeper: Scripted, write: Outgoing) -> None:
    leases = acting(keeper)
    path = keeper.kept[0].path
    keeper.there[path] = LeaseRecord("shop", "trimtab-operator", "2", holder="other", duration=10.0)
    with pytest.raises(FencedError, match="held by other"):
        await leases.admit(write)
    keeper.there[path] = KubeError(0, "Unreachable", "no answer")
    with pytest.raises(KubeError, match="no answer"):
        await leases.admit(write)
    del keeper.there[path]
    with pytest.raises(FencedError, match="held by nobody"):
        await leases.admit(write)


async def test_a_namespace_that_is_not_ours_is_not_written_to(keeper: Scripted) -> None:
    with pytest.raises(FencedError, match="no lease covers"):
        await acting(keeper).admit(Outgoing("POST", "/api/v1/namespaces/bank/events", Purpose.RECORD))


@pytest.fixture
def of_all() -> Iterator[Scripted]:
    yield from running(Scripted())


async def test_an_operator_for_all_writes_nothing_beside_a_live_lease_of_the_namespace(of_all: Scripted) -> None:
    leases = acting(of_all, Term("", 1))
    await leases.admit(SCALE)
    path = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/trimtab-operator"
    of_all.there[path] = LeaseRecord("shop", "trimtab-operator", "1", holder="third", duration=10.0)
    with pytest.raises(FencedError, match="third acts in namespace shop"):
        await leases.admit(SCALE)


class Silent(Scripted):
    """Its API server never answers."""

    async def read(self, path: str) -> LeaseRecord | None:
        await asyncio.sleep(60.0)
        return None


@pytest.fixture
def silent() -> Iterator[Silent]:
    made = Silent("shop")
    made.timing = LeaseTiming(0.3, 0.2, 0.1)
    yield from running(made)


async def test_an_api_server_that_does_not_answer_lets_nothing_pass(silent: Silent) -> None:
    leases = acting(silent)
    with pytest.raises(FencedError, match="could not be asked for in time"):
        await asyncio.wait_for(leases.admit(SCALE), 5.0)
