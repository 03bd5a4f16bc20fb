"""A write that the API server does not take: the run waits for it, not for ever, is told, and the policy goes on."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.planning.building import plan, policy, run, workload
from trimtab.adapters.fence import Purpose
from trimtab.adapters.kube import FencedError, KubeError
from trimtab.adapters.resources import FINALIZER
from trimtab.domain.objects import Run, Workload
from trimtab.domain.rollout import RolloutStatus
from trimtab.domain.run import Phase, VerdictResult
from trimtab.domain.run_status import Applied, RunStatus, TimelineEntry, Verdict
from trimtab.domain.status import Snapshot
from trimtab.reconcile.following import _why_not_beside
from trimtab.reconcile.round import Reconciler
from trimtab.reconcile.runs import drive
from trimtab.reconcile.services import Services
from trimtab.reconcile.situation import Situation
from trimtab.reconcile.world import World

DOWN = KubeError(500, "InternalError", "failed calling webhook")
LIVE = workload(4, rollout=RolloutStatus(updated=4, ready=4, available=4, total=4, deadline_seconds=60.0))
APPLIED = Applied(
    kind="Deployment",
    name="checkout",
    uid="uid-1",
    manager="trimtab",
    before=Snapshot(replicas=4),
    after=Snapshot(replicas=6),
    at=100.0,
    validate_interval_seconds=5,
    measurements=3,
)
STATUS = RunStatus(
    phase=Phase.APPLYING, plan=plan(), applied=APPLIED, timeline=[TimelineEntry(phase=Phase.APPLYING, at=100.0)]
)
APPLYING = run(STATUS, finalizers=(FINALIZER,))


CONFLICT = KubeError(409, "Conflict", "the object has been modified")
CAUSELESS = KubeError(422, "Invalid", "admission webhook denied the request")
INVALID = KubeError(422, "Invalid", "policy denied the request", invalid=True)
FORBIDDEN = KubeError(403, "Forbidden", "policy denied the request")


class Cluster:
    """One run and its workload, whose writes meet an error."""

    def __init__(self, error: KubeError | None, now: float, one: Run = APPLYING, live: Workload = LIVE) -> None:
        self.one, self.live, self.error, self.now, self.tries = one, live, error, now, 0
        self.events: list[str] = []
        self.status_error: KubeError | None = None

    async def run(self, namespace: str, name: str) -> Run:
        return self.one

    async def write_run_status(self, one: Run, status: RunStatus) -> Run:
        self.tries += 1
        if self.status_error is not None:
            raise self.status_error
        self.tries -= 1
        self.one = replace(self.one, status=status)
        return self.one

    async def set_finalizer(self, one: Run, *, present: bool) -> Run:
        return one

    async def read(self, *_: Any) -> Workload:
        return self.live

    async def scale(self, live: Workload, replicas: int, purpose: Purpose) -> None:
        self.tries += 1
        if self.error is not None:
            raise self.error
        self.live = workload(replicas)

    async def post(self, about: Run, kind: str, reason: str, message: str, at: float) -> None:
        self.events.append(reason)

    @property
    def services(self) -> Services:
        telemetry = SimpleNamespace(run_ended=lambda *_: None, wrote=lambda *_: None)
        given = SimpleNamespace(
            resources=self, workloads=self, events=self, telemetry=telemetry, store=None, clock=lambda: self.now
        )
        return cast(Services, given)


@pytest.mark.parametrize("error", [DOWN, FencedError("not the leader")])
async def test_a_change_that_is_not_taken_comes_again(error: KubeError) -> None:
    cluster = Cluster(error, 159.0)
    with pytest.raises(KubeError) as raised:
        await drive(cluster.services, APPLYING, None, policy())
    assert (raised.value, cluster.tries, cluster.one.phase) == (error, 1, Phase.APPLYING)


async def test_it_is_given_up_after_the_deadline() -> None:
    cluster = Cluster(DOWN, 160.0)
    driven = await drive(cluster.services, APPLYING, None, policy())
    assert driven is not None
    assert (driven.phase, cluster.tries) == (Phase.FAILED, 1)
    assert driven.status.rollback is not None
    assert driven.status.rollback.reason.endswith("500 InternalError: failed calling webhook")


@pytest.mark.parametrize("error", [CONFLICT, CAUSELESS])
async def test_a_change_that_is_refused_as_stale_again_and_again_has_the_same_deadline(error: KubeError) -> None:
    """It is read again once, as something may have changed, and then comes again with the round."""
    soon = Cluster(error, 159.0)
    with pytest.raises(KubeError) as raised:
        await drive(soon.services, APPLYING, None, policy())
    assert (raised.value, soon.tries, soon.one.phase) == (error, 2, Phase.APPLYING)
    late = Cluster(error, 160.0)
    driven = await drive(late.services, APPLYING, None, policy())
    assert driven is not None
    assert (driven.phase, late.tries) == (Phase.FAILED, 2)
    assert driven.status.rollback is not None
    assert driven.status.rollback.reason == f"the change could not be written in time: {error}"


@pytest.mark.parametrize("error", [CONFLICT, CAUSELESS, INVALID, FORBIDDEN])
async def test_a_status_that_is_refused_is_told_and_comes_again(error: KubeError) -> None:
    """Here that of a run whose change is there already."""
    cluster = Cluster(None, 101.0, live=workload(6))
    cluster.status_error = error
    with pytest.raises(KubeError) as raised:
        await drive(cluster.services, APPLYING, None, policy())
    assert (raised.value, cluster.tries) == (error, 2 if error in (CONFLICT, CAUSELESS) else 1)


FAILED = run(
    STATUS.model_copy(
        update={"phase": Phase.VALIDATING, "verdict": Verdict(result=VerdictResult.FAIL, message="slow")}
    ),
    finalizers=(FINALIZER,),
)


@pytest.mark.parametrize(("error", "tries"), [(FORBIDDEN, 1), (INVALID, 1), (CAUSELESS, 2), (CONFLICT, 2)])
async def test_an_undo_that_is_refused_is_told_once_until_it_succeeds(error: KubeError, tries: int) -> None:
    cluster = Cluster(error, 200.0, FAILED, workload(6))
    for rounds in (1, 2, 3):
        driven = await drive(cluster.services, cluster.one, None, policy())
        assert driven is not None
        assert (driven.phase, cluster.tries) == (Phase.VALIDATING, rounds * tries), "it goes on trying"
        assert driven.status.undo_refused == f"the API server refuses the write: {error.message}"
        assert [entry.reason for entry in driven.status.timeline[1:]] == [
            f"cannot undo yet: {driven.status.undo_refused}"
        ]
    assert cluster.events == ["UndoRefused"]
    cluster.error = None
    undone = await drive(cluster.services, cluster.one, None, policy())
    assert undone is not None
    assert (undone.phase, undone.status.undo_refused, cluster.live.replicas) == (Phase.ROLLED_BACK, "", 4)
    assert cluster.events == ["UndoRefused", "RolledBack"]


async def test_a_fence_is_no_reason_to_give_up() -> None:
    cluster = Cluster(FencedError("not the leader"), 500.0)
    with pytest.raises(FencedError):
        await drive(cluster.services, APPLYING, None, policy())
    assert cluster.one.phase is Phase.APPLYING


class Seen(SimpleNamespace):
    """As much of a situation as runs are driven by."""

    def with_runs(self, runs: tuple[Run, ...]) -> Seen:
        return Seen(**{**vars(self), "runs": runs})

    def with_workload(self, live: Workload) -> Seen:
        return self


async def test_the_policy_goes_on_beside_a_run_that_cannot_be_driven(monkeypatch: pytest.MonkeyPatch) -> None:
    async def driven(*_: Any) -> Run:
        raise error

    monkeypatch.setattr("trimtab.reconcile.round.drive", driven)
    world = World(runs={APPLYING.key: run()})
    seen = cast(Situation, Seen(policy=policy(), spec=policy().spec, runs=(run(),)))
    reconciler = Reconciler(Cluster(DOWN, 100.0).services, world)
    error: KubeError = DOWN
    after, undriven = await reconciler._drive_runs(seen)
    assert undriven == "run checkout-1 comes again: 500 InternalError: failed calling webhook"
    assert after.runs == (APPLYING,), "as it is now, however far it came"
    error = FencedError("not the leader")
    with pytest.raises(FencedError):
        await reconciler._drive_runs(seen)


@pytest.mark.parametrize(("now", "fewer", "waits"), [(159.0, False, True), (160.0, False, False), (160.0, True, True)])
def test_following_waits_for_a_change_until_its_deadline(now: float, fewer: bool, waits: bool) -> None:
    seen = cast(Situation, SimpleNamespace(active_run=APPLYING, spec=policy().spec, now=now))
    assert bool(_why_not_beside(seen, LIVE, fewer=fewer)) is waits
