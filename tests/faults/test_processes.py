"""The operator is killed, stands still past its lease, or is there twice: writes are made once, runs end alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from tests.faults.cases import cases
from tests.faults.promises import broken_promises, keeps
from tests.faults.scene import UNAPPROVED, Scene, When

pytestmark = pytest.mark.cluster

Act = Callable[[Scene], Awaitable[None]]


async def killed(scene: Scene) -> None:
    """SIGKILL; another comes when the fault is over."""
    scene.operator.kill()


async def started_again(scene: Scene) -> None:
    """After a kill."""
    scene.operator = scene.start()


async def stands_still(scene: Scene) -> None:
    """SIGSTOP for longer than a lease lasts, beside an operator that waits for it."""
    scene.others.append(scene.start())
    scene.operator.suspend()


async def wakes(scene: Scene) -> None:
    """SIGCONT: it goes on with the next instruction."""
    scene.operator.resume()


async def doubled(scene: Scene) -> None:
    """A second operator on the same namespace, for good."""
    scene.others.append(scene.start())


async def nothing(scene: Scene) -> None:
    """Both stay."""


PROCESSES: Final[dict[str, tuple[Act, Act]]] = {
    "sigkill": (killed, started_again),
    "sigstop-past-the-lease": (stands_still, wakes),
    "two-operators": (doubled, nothing),
}


@pytest.mark.parametrize(
    ("fault", "when"),
    cases(PROCESSES, UNAPPROVED, short={("sigstop-past-the-lease", When.APPLYING), ("two-operators", When.PENDING)}),
)
async def test_process(scene: Scene, fault: str, when: When) -> None:
    begin, end = PROCESSES[fault]
    await scene.reach(when)
    await scene.suffer(lambda: begin(scene), lambda: end(scene), still=fault == "sigstop-past-the-lease")
    keeps(await broken_promises(scene, good_is_kept=True))
