"""The acts: what the story does while the operator works: plant a bad change, kill the operator, start another, and ask
that one for more than can be.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from demo import records
from demo.cast import LARGEST_CPU, OVERSIZED, RELEASED, Planted, limit_range
from demo.judging import Killing
from demo.stage import Operator, Stage, StageError
from demo.watching import Watch

RELEASED_AT_SECONDS: Final = 20.0
PLANTED_AT_SECONDS: Final = 22.0
DEAD_SECONDS: Final = 9.0
"""How long no operator runs: longer than measurements lie apart."""
_PATIENCE_SECONDS: Final = 90.0
_OTHERS: Final = 2
"""Runs of other services that the kill should hit as well."""
_MOST_TAKEN: Final = 3
"""Measurements after which the kill waits for no other run."""


@dataclass(slots=True)
class Acts:
    """The story's own deeds and what they left for the report."""

    stage: Stage
    watch: Watch
    operator: Operator
    planted: Planted = field(default_factory=Planted)
    killing: Killing | None = None
    specs_before: dict[str, str] = field(default_factory=dict)
    """Each Deployment's spec before the operator started."""
    captures: dict[str, str] = field(default_factory=dict)
    """What kubectl printed, by title."""

    async def play(self) -> None:
        """Let the operator act, plant the change, kill the operator while it is validated, and ask another one for more
        than can be. Raises StageError.
        """
        await self._at(RELEASED_AT_SECONDS)
        for name in RELEASED:
            await self.stage.until(partial(self._evaluated, name), f"a status of {name}", _PATIENCE_SECONDS)
            await self.stage.kubectl("patch", "perf", name, "--type=merge", '--patch={"spec":{"mode":"Auto"}}')
            self.watch.tell(name, "a person sets its policy from mode Recommend to Auto")
        await self._at(PLANTED_AT_SECONDS)
        run, policy = self.planted.name, self.planted.policy
        await self.stage.kubectl("create", "-f", "-", given=self.planted.manifest())
        self.watch.tell(policy, f"a person creates run {run}, which looks like a saving")
        await self.stage.until(partial(self._ripe, run), f"the first measurement of {run}", _PATIENCE_SECONDS)
        await self._kill_and_start_again(run, policy)
        await self._ask_for_too_much(OVERSIZED)

    async def _kill_and_start_again(self, run: str, policy: str) -> None:
        """Leave no operator for a while, and wait for the end that another one gives the run."""
        tried = records.spec_text(await self.stage.workload(policy))
        others = {
            one["spec"]["policyRef"]["name"]: (one.get("status") or {}).get("phase", "Pending")
            for one in await self.stage.runs()
            if one["metadata"]["name"] != run
        }
        self.captures["kubectl get perf,orun -A, right before the operator is killed"] = await self.capture()
        status = (await self.stage.run(run))["status"]
        first, killed_at = self.operator, time.time()
        first.kill()
        self.watch.tell(policy, f"the operator (process {first.process.pid}) is killed with SIGKILL")
        await asyncio.sleep(DEAD_SECONDS)
        restarted_at = time.time()
        self.operator = self.stage.operator(name="operator-restarted")
        self.watch.tell(policy, f"an operator is started again (process {self.operator.process.pid})")
        await self.stage.in_phase(run, ("RolledBack",), _PATIENCE_SECONDS)
        code = first.process.child.wait() if first.process.child is not None else 0
        self.killing = Killing(
            killed_pid=first.process.pid,
            killed_at=killed_at,
            exit_signal=max(-code, 0),
            restarted_pid=self.operator.process.pid,
            restarted_at=restarted_at,
            spec_before=self.specs_before[policy],
            spec_tried=tried,
            spec_after=records.spec_text(await self.stage.workload(policy)),
            measurements_before=len(status.get("measurements", [])),
            phase_at_kill=status.get("phase", ""),
            others=others,
        )

    async def _ask_for_too_much(self, change: Planted) -> None:
        """Ask for a size that the API server makes no pod of, and wait until that is undone."""
        await self.stage.apply(limit_range())
        self.watch.tell(change.policy, f"a person lets no container of the namespace have more than {LARGEST_CPU} CPUs")
        await self.stage.kubectl("create", "-f", "-", given=change.manifest())
        self.watch.tell(change.policy, f"a person creates run {change.name}, which asks for twice as many")
        await self.stage.in_phase(change.name, ("RolledBack",), _PATIENCE_SECONDS)

    async def capture(self) -> str:
        """What ``kubectl get perf,orun -A`` prints now."""
        return await self.stage.kubectl("get", "perf,orun", "-A")

    async def _at(self, seconds: float) -> None:
        """Wait until so many seconds after life began."""
        await asyncio.sleep(max(0.0, seconds - self.watch.seconds))

    async def _evaluated(self, policy: str) -> bool:
        """Whether the operator has looked at a policy."""
        return bool((await self.stage.policy(policy)).get("status"))

    async def _ripe(self, name: str) -> bool:
        """Whether the planted change is being validated; and others too, as long as that can be waited for."""
        runs = {run["metadata"]["name"]: (run.get("status") or {}) for run in await self.stage.runs()}
        status = runs.get(name, {})
        phase, taken = status.get("phase"), len(status.get("measurements", []))
        if phase in ("RolledBack", "Rejected", "Failed", "Superseded", "Succeeded", "Cancelled"):
            said = status.get("timeline", [{}])[-1].get("reason", "")
            raise StageError(f"run {name} ended {phase} before the operator could be killed: {said}")
        under_way = [one for one in runs.values() if one.get("phase") in ("Settling", "Validating")]
        return phase == "Validating" and taken > 0 and (len(under_way) > _OTHERS or taken >= _MOST_TAKEN)
