"""Remembering over a restart: what the rounds know goes into the store after them, and comes back before the first.

Nothing here raises: without a store, or with one that fails, the operator goes on in memory.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from trimtab.adapters.metrics_cache import Unsaved
from trimtab.adapters.store import Store, StoreError
from trimtab.adapters.store_rows import Batch, ModelChange, PolicyRef
from trimtab.analytics.anomaly import Anomaly
from trimtab.domain.objects import Policy
from trimtab.forecasting import supervised
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.services import Services
from trimtab.reconcile.stored import READINGS, Restored, changed_samples, encoded, restored

_RESTORE_SECONDS: Final = 60.0
"""What is not restored by then is read from Prometheus: the first round must come."""
_RESTORED_AT_ONCE: Final = 128
_STOP_SECONDS: Final = 20.0
_SEEN_SECONDS: Final = 3600.0
_MOST_WAITING: Final = 10_000
"""Anomalies and changes that wait for a store that cannot be used; the oldest go."""
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A batch, and what of it is to be taken back when it cannot be written."""

    batch: Batch
    unsaved: dict[str, Unsaved]


class Remembering:
    """Takes what the rounds know to the store, and back from it."""

    def __init__(self, services: Services, remembered: dict[str, Remembered]) -> None:
        self._services = services
        self._store = services.store
        self._remembered = remembered
        self._asked: set[str] = set()
        """Policies of which the store has told what it has; nothing is written over that of others."""
        self._ask_again_at = -math.inf
        self._policies: dict[str, PolicyRef] = {}
        self._seen_at: dict[str, float] = {}
        self._states_at: dict[str, float] = {}
        self._saved_at = services.clock()
        self._beginnings = 0
        self._writing: asyncio.Task[bool] | None = None
        self._anomalies: deque[tuple[PolicyRef, Anomaly]] = deque(maxlen=_MOST_WAITING)
        self._changes: deque[tuple[PolicyRef, ModelChange]] = deque(maxlen=_MOST_WAITING)

    def anomalies_seen(self, policy: Policy, found: Iterable[Anomaly]) -> None:
        """Anomalies that began, or that are over now: the later word on one replaces the earlier."""
        self._anomalies.extend((_ref(policy), one) for one in found)

    def models_changed(self, policy: Policy, changes: Iterable[supervised.ModelChange]) -> None:
        """Changes of the model that forecasts a policy's demand; one of the same time is told once."""
        self._changes.extend(
            (_ref(policy), ModelChange(one.at, str(one.from_), str(one.to), one.reason)) for one in changes
        )

    def forget(self, uids: Iterable[str]) -> None:
        """Another operator looks after these policies: ask the store anew should they come back."""
        gone = set(uids)
        self._asked -= gone
        for kept in (self._policies, self._seen_at, self._states_at):
            for uid in gone & kept.keys():
                del kept[uid]

    async def restore(self, policies: Sequence[Policy], remember: Callable[[Policy], Remembered]) -> None:
        """Bring back what is stored of policies that are seen for the first time."""
        for policy in policies:
            self._policies[policy.uid] = _ref(policy)
        new = {policy.uid: policy for policy in policies if policy.uid not in self._asked}
        if self._store is None or not new or self._services.clock() < self._ask_again_at:
            return
        samples = states = 0
        try:
            async with asyncio.timeout(_RESTORE_SECONDS):
                for start in range(0, len(new), _RESTORED_AT_ONCE):
                    for uid, one in (await self._load(self._store, [*new][start : start + _RESTORED_AT_ONCE])).items():
                        samples += self._put_back(uid, one)
                        memory = remember(new[uid])
                        if memory.known is None and one.known is not None:
                            memory.known = one.known
                            states += 1
                        self._asked.add(uid)
        except StoreError:  # it has told of it; until it can be used, what it has is not to be written over
            self._ask_again_at = self._services.clock() + self._services.pace.samples_seconds
        except TimeoutError:
            _log.warning("not all was restored in time", policies=len(new), seconds=_RESTORE_SECONDS)
            self._asked.update(new)
        except Exception:  # noqa: BLE001 - logged whole; what is not restored is read and learned again
            _log.exception("not all was restored")
            self._asked.update(new)
        if samples or states:
            _log.info("restored", policies=len(new), with_samples=samples, with_what_was_learned=states)

    def _put_back(self, uid: str, one: Restored) -> bool:
        if one.readings is None:
            return False
        return self._services.metrics.restore(uid, one.readings, one.series, self._services.clock())

    async def save(self) -> None:
        """After a round: store what is new, if it is time and the last writing has ended. Waits for no database."""
        now = self._services.clock()
        pause = now - self._saved_at
        busy = self._writing is not None and not self._writing.done()
        if self._store is None or busy or 0 <= pause < self._services.pace.samples_seconds:
            return
        self._saved_at = now
        try:
            parcel = await self._gather(now, self._services.pace.states_seconds)
            if parcel.batch != Batch():
                self._writing = asyncio.create_task(self._write(self._store, parcel))
        except Exception:  # noqa: BLE001 - logged whole; the round that follows must come all the same
            _log.exception("nothing stored")

    async def stop(self) -> None:
        """Store all that is not stored yet, as far as it can be done in time, and close the store."""
        if self._store is None:
            return
        try:
            await asyncio.wait_for(self._save_all_and_close(self._store), _STOP_SECONDS)
        except TimeoutError:
            _log.warning("not all was stored before the end", seconds=_STOP_SECONDS)
        except Exception:  # noqa: BLE001 - logged whole; the end must come all the same
            _log.exception("not all was stored before the end")

    async def _save_all_and_close(self, store: Store) -> None:
        if self._writing is not None:
            await self._writing
        began = self._services.clock()
        while (parcel := await self._gather(began, 0.0)).batch != Batch() and await self._write(store, parcel):
            pass  # as many batches as it takes
        await store.close()

    async def _load(self, store: Store, uids: list[str]) -> dict[str, Restored]:
        now = self._services.clock()
        found = await store.load(uids, lambda uid, stored: restored(stored, now))
        self._notice_a_new_database(store)
        return found

    async def _gather(self, now: float, states_seconds: float) -> _Parcel:
        """What is to be written, taken out of the memory; what is gone is forgotten."""
        for kept in (self._policies, self._seen_at, self._states_at):
            for uid in kept.keys() - self._remembered.keys():
                del kept[uid]
        self._asked &= self._remembered.keys()
        metrics = self._services.metrics
        taken = {uid: one for uid in self._asked if (one := metrics.take_unsaved(uid)) is not None}
        due = sorted(
            (at, uid)
            for uid, memory in self._remembered.items()
            if memory.known is not None
            and uid in self._asked
            and not 0 <= now - (at := self._states_at.get(uid, -states_seconds)) < max(states_seconds, 1e-9)
        )
        known = {uid: self._remembered[uid].known for _, uid in due}
        try:
            # In a thread, for the time that it takes; awaited, because the next round may change what is encoded.
            states = await asyncio.to_thread(encoded, taken, known, now)
        except BaseException:  # also when the operator is told to end meanwhile
            for uid, one in taken.items():
                metrics.put_back(uid, one)
            raise
        self._states_at |= {uid: now for uid, named in states.items() if named.keys() - {READINGS}}
        seen = [uid for uid in self._policies if not 0 <= now - self._seen_at.get(uid, 0.0) < _SEEN_SECONDS]
        self._seen_at |= dict.fromkeys(seen, now)
        batch = Batch(
            samples={uid: changed_samples(one) for uid, one in taken.items()},
            states=states,
            seen=tuple(self._policies[uid] for uid in seen),
            anomalies=_latest(self._anomalies),
            model_changes=tuple({(policy.uid, one.at): (policy, one) for policy, one in self._changes}.values()),
        )
        self._anomalies.clear()
        self._changes.clear()
        return _Parcel(batch, taken)

    async def _write(self, store: Store, parcel: _Parcel) -> bool:
        """Write a batch; what cannot be written is taken back. Whether it was written."""
        try:
            await store.save(parcel.batch)
        except Exception as error:  # noqa: BLE001 - what was taken out must come back whatever happened
            if not isinstance(error, StoreError):
                _log.exception("nothing stored")
            self._take_back(parcel)
            return False
        self._notice_a_new_database(store)
        return True

    def _notice_a_new_database(self, store: Store) -> None:
        """All is to be stored anew when the one before was damaged or has vanished."""
        if store.beginnings != self._beginnings:
            self._beginnings = store.beginnings
            self._services.metrics.nothing_is_stored()
            self._states_at.clear()
            self._seen_at.clear()

    def _take_back(self, parcel: _Parcel) -> None:
        for uid, one in parcel.unsaved.items():
            self._services.metrics.put_back(uid, one)
        for uid in parcel.batch.states:
            self._states_at.pop(uid, None)
        for ref in parcel.batch.seen:
            self._seen_at.pop(ref.uid, None)
        self._anomalies.extendleft(reversed(parcel.batch.anomalies))
        self._changes.extendleft(reversed(parcel.batch.model_changes))


def _latest(waiting: Iterable[tuple[PolicyRef, Anomaly]]) -> tuple[tuple[PolicyRef, Anomaly], ...]:
    """The last word on each anomaly."""
    return tuple({(policy.uid, one.signal, one.start): (policy, one) for policy, one in waiting}.values())


def _ref(policy: Policy) -> PolicyRef:
    return PolicyRef(policy.uid, policy.namespace, policy.name)
