"""What each case plays: a good change, a bad one and a follower, brought to a phase before the fault begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from demo.stage import Operator, Simulation, Stage
from tests.faults.proxies import HarmfulGate
from tests.operator.acting import BAD_REPLICAS, FOLLOWING, GOOD_REPLICAS, learned, play, policy, service, to_replicas
from tests.operator.audit import Audit
from tests.operator.gate import Hold, Request, to_scale, writes_to
from trimtab.simulation.scenario import SimulatedService

GOOD, BAD, STEADY = "good", "bad", "steady"
RUNS: Final = (GOOD, BAD)
FAULT_SECONDS: Final = 8.0
_PATIENCE: Final = "10"
"""Seconds for an answer of Prometheus: more than a busy machine takes, and soon over where none comes."""
_ROOT: Final = Path(__file__).parents[2]


class Need(NamedTuple):
    """Replicas that a constant load calls for."""

    least: int
    most: int


STEADY_RATE, STEADY_REPLICAS = 200.0, 4
STEADY_NEED: Final = Need(3, STEADY_REPLICAS)
"""Three pods hold the objective at this load, and four are asked for until that is learned."""


class When(StrEnum):
    """When a fault begins."""

    FOLLOWING = "Following"
    """No run is there; a follower has what it needs."""
    PENDING = "Pending"
    """The runs were made and not looked at."""
    AWAITING_APPROVAL = "AwaitingApproval"
    """The runs show their plans to a person."""
    APPLYING = "Applying"
    """The changes are on record, and the requests that write them stand at the gate."""
    SETTLING = "Settling"
    VALIDATING = "Validating"
    UNDOING = "Undoing"
    """The bad change failed, and the request that undoes it stands at the gate."""


UNAPPROVED: Final = tuple(when for when in When if when is not When.AWAITING_APPROVAL)
"""All but the one that only mode Approve has."""


@dataclass(slots=True)
class Scene:
    """One case's players. The operator reaches both servers through gates of its own."""

    stage: Stage
    api: HarmfulGate
    prometheus: HarmfulGate
    kubeconfig: Path
    audit: Audit
    simulation: Simulation = field(init=False)
    operator: Operator = field(init=False)
    others: list[Operator] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    """Names of the runs that were made."""
    needs: dict[str, Need] = field(default_factory=lambda: {STEADY: STEADY_NEED})
    """What each follower's load calls for."""
    held: list[Hold] = field(default_factory=list)
    """Requests that stand at the gate until the fault has begun."""

    async def open(self, mode: str = "Auto") -> None:
        """Services, policies and an operator that has learned enough to act; ``mode`` of the runs' policies."""
        steady = service(STEADY, rate=STEADY_RATE, replicas=STEADY_REPLICAS, namespace=self.stage.namespace)
        played = (*map(self.player, RUNS), steady)
        self.simulation = await play(self.stage, *played)
        await self.stage.apply(*(policy(name, mode=mode) for name in RUNS), policy(STEADY, horizontal=FOLLOWING))
        self.operator = self.start()
        await learned(self.stage, *RUNS, STEADY)

    def player(self, name: str) -> SimulatedService:
        """The service that a run changes."""
        return service(name, namespace=self.stage.namespace)

    def start(self) -> Operator:
        """An operator."""
        return self.stage.operator(
            kubeconfig=self.kubeconfig,
            prometheus_url=self.prometheus.url,
            settings={"TRIMTAB_PROMETHEUS_TIMEOUT_SECONDS": _PATIENCE, "PYTHONPATH": str(_ROOT)},
        )

    async def reach(self, when: When) -> None:
        """Bring the runs to where the fault shall begin."""
        if when is When.FOLLOWING:
            return
        holds: list[Hold] = []
        if when is When.APPLYING:
            holds = [self.api.hold(scale_of(name)) for name in RUNS]
        self.operator.suspend()
        for name, count in ((GOOD, GOOD_REPLICAS), (BAD, BAD_REPLICAS)):
            await self.stage.create_run(name, name, changes=to_replicas(count))
            self.runs.append(name)
        if when is When.PENDING:
            return
        self.operator.resume()
        if when in (When.AWAITING_APPROVAL, When.SETTLING, When.VALIDATING):
            for name in RUNS:
                await self.stage.in_phase(name, [when.value])
        elif when is When.UNDOING:
            await self.stage.in_phase(BAD, ["Settling", "Validating"])
            holds = [self.api.hold(scale_of(BAD))]
        for hold in holds:
            await hold.caught()
        self.held = holds

    async def suffer(
        self,
        begin: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
        *,
        still: bool = False,
        until: Callable[[], bool] = lambda: True,
    ) -> None:
        """The fault, from where the runs are now, and for eight seconds from when ``until`` says.

        ``still``: the operator stands still as long as it lasts. What stands at the gate never arrives, or meets with
        the harm that the gate does by now.
        """
        await begin()
        if still:
            await asyncio.sleep(FAULT_SECONDS)
        else:
            self.operator.resume()
        for hold in self.held:
            if self.api.harm is not None:
                hold.release()
            else:
                hold.drop()
        self.held = []
        await self.stage.until(until, "what the fault is for")
        await asyncio.sleep(0.0 if still else FAULT_SECONDS)
        await end()


def scale_of(name: str) -> Callable[[Request], bool]:
    """Writes of one workload's replicas."""
    of_workload = writes_to(name)
    return lambda request: to_scale(request) and of_workload(request)
