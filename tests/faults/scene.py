"""What each case plays: a good change, a bad one and a follower, brought to a phase before the fault begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from demo.stage import Operator, Simulation, Stage
from tests.faults.proxies import HarmfulGate
from tests.operator.acting import BAD_REPLICAS, GOOD_REPLICAS, learned, play, policy, service, to_replicas
from tests.operator.audit import Audit
from tests.operator.gate import Hold, Request, to_scale, writes_to

GOOD, BAD, STEADY = "good", "bad", "steady"
RUNS: Final = (GOOD, BAD)
STEADY_RATE, STEADY_REPLICAS, STEADY_LEAST = 200.0, 4, 3
"""A load that needs three pods to hold the objective, and four until that is learned."""
FOLLOWING: Final = {"minReplicas": 1, "maxReplicas": 12, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}
FAULT_SECONDS: Final = 8.0


_ROOT: Final = Path(__file__).parents[2]


class When(StrEnum):
    """When a fault begins."""

    FOLLOWING = "Following"
    """No run is there; a follower has what it needs."""
    PENDING = "Pending"
    """The runs were made and not looked at."""
    APPLYING = "Applying"
    """The changes are on record, and the request that writes them does not arrive."""
    SETTLING = "Settling"
    VALIDATING = "Validating"
    UNDOING = "Undoing"
    """The bad change failed, and the request that undoes it does not arrive."""


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

    async def open(self) -> None:
        """Services, policies and an operator that has learned enough to act."""
        steady = service(STEADY, rate=STEADY_RATE, replicas=STEADY_REPLICAS, namespace=self.stage.namespace)
        self.simulation = await play(
            self.stage, *(service(name, namespace=self.stage.namespace) for name in RUNS), steady
        )
        await self.stage.apply(*(policy(name) for name in RUNS), policy(STEADY, horizontal=FOLLOWING))
        self.operator = self.start()
        await learned(self.stage, *RUNS, STEADY)

    def start(self) -> Operator:
        """An operator."""
        return self.stage.operator(
            kubeconfig=self.kubeconfig,
            prometheus_url=self.prometheus.url,
            settings={"TRIMTAB_PROMETHEUS_TIMEOUT_SECONDS": "3", "PYTHONPATH": str(_ROOT)},
        )

    async def reach(self, when: When) -> None:
        """Bring the runs to where the fault shall begin; what is held at the gate is let go of afterwards."""
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
        if when in (When.SETTLING, When.VALIDATING):
            for name in RUNS:
                await self.stage.in_phase(name, [when.value])
        elif when is When.UNDOING:
            await self.stage.in_phase(BAD, ["Settling", "Validating"])
            holds = [self.api.hold(scale_of(BAD))]
        for hold in holds:
            await hold.caught()
        self._held = holds

    _held: list[Hold] = field(default_factory=list)

    async def suffer(
        self, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]], *, still: bool = False
    ) -> None:
        """The fault, from where the runs are now; ``still``: the operator stands still as long as it lasts."""
        await begin()
        if not still:
            self.operator.resume()
        await asyncio.sleep(FAULT_SECONDS if still else 0.0)
        for hold in self._held:
            hold.drop()
        self._held = []
        await asyncio.sleep(0.0 if still else FAULT_SECONDS)
        await end()


def scale_of(name: str) -> Callable[[Request], bool]:
    """Writes of one workload's replicas."""
    of_workload = writes_to(name)
    return lambda request: to_scale(request) and of_workload(request)
