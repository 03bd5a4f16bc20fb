"""Whose turn it is: open trials across all policies, who waits, and what stops new trials everywhere."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from trimtab.adapters.switch import Switch, SwitchState
from trimtab.adapters.telemetry import Telemetry
from trimtab.domain.choices import ACTING
from trimtab.domain.objects import Policy
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import Trigger
from trimtab.planning.fleet import Fleet, OpenLimit, ended_trial, jitter, rank, too_many_failures
from trimtab.reconcile.world import Key, World

_PATIENCE_SECONDS = 120.0
_PATIENCE_INTERVALS = 3


@dataclass(frozen=True, order=True, slots=True)
class _Waiting:
    """A policy in the queue; the order of its fields is that of the queue."""

    rank: int
    begins_at: float
    key: Key


@dataclass(slots=True)
class Turns:
    """The fleet as it is now; asked and changed between two awaits, so that two policies never take one place."""

    world: World
    switch: Switch
    limit: OpenLimit
    pause_after: int
    """Failures within an hour that stop new trials."""
    failures: str = ""
    """Too many trials failed; empty while new ones may begin."""
    _open: dict[Key, None] = field(default_factory=dict)
    _open_in: Counter[str] = field(default_factory=Counter)
    _taken: set[Key] = field(default_factory=set)
    """Policies whose trial begins, and that the watches may not have told of yet."""
    _acting: Counter[str] = field(default_factory=Counter)
    """Policies that may act, by namespace."""
    _queue: list[_Waiting] = field(default_factory=list)
    _entries: dict[Key, _Waiting] = field(default_factory=dict)
    _asked: dict[Key, float] = field(default_factory=dict)
    """Until when a policy that waits is waited for."""
    _said: dict[Key, str] = field(default_factory=dict)
    """What held a policy in its present round."""

    async def look(self) -> SwitchState:
        """The switch as it is now."""
        return await self.switch.read()

    async def begin(self, now: float) -> None:
        """Before a round: who acts, what is open, who is gone, and whether too many trials failed."""
        resumed_at = (await self.look()).resumed_at
        policies = self.world.policies
        acting = {key for key, policy in policies.items() if _acts(policy)}
        self._acting = Counter(namespace for namespace, _ in acting)
        self._taken &= acting
        open_now = {(run.namespace, run.policy_name) for run in self.world.runs.values() if run.phase.unproven}
        self._open = dict.fromkeys((*open_now, *self._taken))
        self._open_in = Counter(key[0] for key in self._open)
        for key in [key for key, until in self._asked.items() if until < now or key not in policies]:
            self._leave(key)
        ended = [trial for run in self.world.runs.values() if (trial := ended_trial(run)) is not None]
        self.failures = too_many_failures(ended, resumed_at, now, self.pause_after)

    def fleet(self, policy: Policy, trigger: Trigger, now: float) -> Fleet:
        """What the others mean for a policy that wants to begin a trial."""
        key, (namespace, _) = policy.key, policy.key
        if key in self._taken:  # it has its place already, whoever came since
            return Fleet(failures=self.failures, paused=self.switch.state.paused)
        mine = key in self._open
        limit, here = self.limit.of(self._acting.total()), self.limit.of(self._acting[namespace])
        open_runs, open_here = len(self._open) - mine, self._open_in[namespace] - mine
        entry = self._entry(policy, trigger, now)
        place = bisect_left(self._queue, entry)
        ahead = self._ahead(self._queue[:place], limit - open_runs, now) if open_runs < limit else []
        return Fleet(
            open_runs=open_runs,
            limit=limit,
            open_in_namespace=open_here,
            limit_in_namespace=here,
            ahead=len(ahead),
            ahead_in_namespace=sum(other.key[0] == namespace for other in ahead),
            place=place + 1,
            waiting=len(self._queue),
            begins_at=entry.begins_at,
            failures=self.failures,
            paused=self.switch.state.paused,
        )

    def take(self, key: Key) -> None:
        """A policy's trial begins: it is open from now on, whatever the watches know."""
        self._leave(key)
        self._taken.add(key)
        if key not in self._open:
            self._open[key] = None
            self._open_in[key[0]] += 1

    def wait(self, policy: Policy, trigger: Trigger, now: float, why: str) -> None:
        """A policy would begin a trial but for the fleet: it keeps its place, or gets one."""
        entry = self._entry(policy, trigger, now)
        if self._entries.get(policy.key) != entry:
            self._leave(policy.key)
            self._entries[policy.key] = entry
            insort(self._queue, entry)
        interval = policy.spec.analysis.interval if isinstance(policy.spec, PolicySpec) else 0.0
        self._asked[policy.key] = now + max(_PATIENCE_SECONDS, _PATIENCE_INTERVALS * interval)
        self._said[policy.key] = why

    def settle(self, key: Key, *, is_open: bool) -> str:
        """After a policy's round: whether its trial is open is known; why it waits, if it does."""
        self._taken.discard(key)
        if not is_open and key in self._open:
            del self._open[key]
            self._open_in[key[0]] -= 1
        said = self._said.pop(key, "")
        if not said:
            self._leave(key)
        return said

    def tell(self, telemetry: Telemetry) -> None:
        """Show the figures."""
        telemetry.fleet(
            open_runs=len(self._open),
            limit=self.limit.of(self._acting.total()),
            waiting=len(self._queue),
            fleet_paused=bool(self.failures),
            paused=bool(self.switch.state.paused),
            switch_unread=bool(self.switch.trouble),
        )

    def _entry(self, policy: Policy, trigger: Trigger, now: float) -> _Waiting:
        """The place that a policy has, or would get: by what calls for the trial, then by when it asked."""
        there = self._entries.get(policy.key)
        if there is not None and there.rank == rank(trigger):
            return there
        crowded = self._acting.total() > self.limit.of(self._acting.total())
        interval = policy.spec.analysis.interval if isinstance(policy.spec, PolicySpec) else 0.0
        late = jitter(policy.uid, interval) if crowded and trigger is Trigger.COST else 0.0
        return _Waiting(rank(trigger), now + late, policy.key)

    def _ahead(self, before: Iterable[_Waiting], room: int, now: float) -> list[_Waiting]:
        """Those that wait, could begin now, and go first; no more than there is room for."""
        found: list[_Waiting] = []
        taken: Counter[str] = Counter()
        for other in before:
            if other.begins_at > now:
                break  # only the last of the ranks waits for a time, and it is sorted by it
            namespace = other.key[0]
            here = self.limit.of(self._acting[namespace]) - self._open_in[namespace] - taken[namespace]
            if here > 0:
                taken[namespace] += 1
                found.append(other)
                if len(found) >= room:
                    break
        return found

    def _leave(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        self._asked.pop(key, None)
        if entry is not None:
            del self._queue[bisect_left(self._queue, entry)]


def _acts(policy: Policy) -> bool:
    """Whether the operator may change something under a policy."""
    return isinstance(policy.spec, PolicySpec) and policy.spec.mode in ACTING
