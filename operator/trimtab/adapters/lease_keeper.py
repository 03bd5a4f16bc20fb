"""The thread that takes leases and renews them, with a loop and connections of its own: a long round loses none."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from trimtab.adapters.kube import FencedError, JsonObject, KubeClient, KubeError
from trimtab.domain.lease import (
    LeaseRecord,
    LeaseTiming,
    Moment,
    Sighting,
    elapsed,
    is_alive,
    lease_body,
    let_go,
    parse_lease,
    sighted,
    taken,
    why_wait,
)

NAMESPACE_LEASE: Final = "trimtab-operator"
"""Name of the lease in each namespace that is looked after by itself."""
CLUSTER_LEASE: Final = "trimtab-operator-cluster"
"""Name of the lease of an operator that looks after all namespaces; it is in the operator's own."""
API: Final = "/apis/coordination.k8s.io/v1"
_STOP_SECONDS: Final = 5.0
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def now() -> Moment:
    """This moment; the ticking clock is the one that counts while the machine is suspended, where there is one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return Moment(time.monotonic() if boot is None else time.clock_gettime(boot), time.time())


@dataclass(frozen=True, slots=True)
class Term:
    """A time in which one operator acts without a break."""

    covers: str
    """The namespace; empty for all of them."""
    number: int

    def covers_namespace(self, namespace: str) -> bool:
        """Whether what is in a namespace belongs to it."""
        return self.covers in ("", namespace)


@dataclass(slots=True)
class Held:
    """A lease that is ours."""

    term: Term
    renewed_at: Moment
    """Before the request was sent that renewed it."""


@dataclass(slots=True)
class KeptLease:
    """One lease, as the thread that keeps it knows it; each field is replaced as a whole."""

    lease_namespace: str
    name: str
    covers: str
    own: Sighting | None = None
    held: Held | None = None
    begun: Term | None = None
    """The term that the rounds go by; written by their thread alone."""
    why_not: str = "the lease was not asked for yet"
    terms: int = 0
    rivals: dict[str, Sighting] = field(default_factory=dict)
    """Leases of the other scope, by namespace."""

    @property
    def lease(self) -> str:
        """For people."""
        return f"lease {self.lease_namespace}/{self.name}"

    @property
    def path(self) -> str:
        return f"{API}/namespaces/{self.lease_namespace}/leases/{self.name}"


class LeaseKeeper:
    """Keeps leases from `start` to `stop`."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[KubeClient]],
        namespaces: Iterable[str],
        lease_namespace: str,
        timing: LeaseTiming,
        switch: str,
        moment: Callable[[], Moment] = now,
    ) -> None:
        """No ``namespaces`` stands for all; ``lease_namespace`` is where the lease of such an operator is.

        The leases tell people's commands which ``switch`` is read.
        """
        self.identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:12]}"
        self.timing = timing
        self.moment = moment
        self.loop = asyncio.new_event_loop()
        self.kept = [KeptLease(one, NAMESPACE_LEASE, one) for one in namespaces] or [
            KeptLease(lease_namespace, CLUSTER_LEASE, "")
        ]
        self._connect = connect
        self._switch = switch
        self._lease_namespace = lease_namespace
        self._may_list = True
        self._stopping = asyncio.Event()
        self._kube: KubeClient | None = None
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        """Begin to ask for the leases."""
        self._thread.start()

    async def stop(self) -> None:
        """Let go of what is held, so that another operator takes over at once."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stopping.set)
            await asyncio.to_thread(self._thread.join, _STOP_SECONDS)

    def _run(self) -> None:
        try:
            self.loop.run_until_complete(self._keep_all())
        except Exception:  # noqa: BLE001 - logged whole; without its leases the operator writes nothing
            _log.exception("the leases are kept no longer")

    async def _keep_all(self) -> None:
        while self._kube is None:
            try:
                self._kube = await self._connect()
            except KubeError as error:
                for kept in self.kept:
                    self._wait(kept, str(error))
                if await self._rest():
                    return
        async with self._kube:
            await asyncio.gather(*(self._keep(kept) for kept in self.kept))

    async def _keep(self, kept: KeptLease) -> None:
        while True:
            try:
                await self._attempt(kept)
            except KubeError as error:
                self._wait(kept, f"the lease cannot be kept: {error}")
            except Exception as error:  # noqa: BLE001 - logged whole; the next attempt comes
                self._wait(kept, f"the lease cannot be kept: {error!r}")
                _log.exception("lease not kept", lease=kept.path)
            if await self._rest():
                break
        if kept.held is not None and kept.own is not None:
            kept.held = None
            try:
                await self._put(kept, let_go(kept.own.record, self.moment().wall))
            except KubeError as error:
                _log.warning("lease not let go of", lease=kept.path, error=str(error))

    async def _rest(self) -> bool:
        """Wait for the next attempt; whether there is to be none."""
        try:
            await asyncio.wait_for(self._stopping.wait(), self.timing.retry)
        except TimeoutError:
            return False
        return True

    async def _attempt(self, kept: KeptLease) -> None:
        """Renew a lease, or take it when that is right. Raises KubeError."""
        await self._look_for_rivals(kept)
        if kept.held is None or kept.own is None:
            record = await self.read(kept.path)
            kept.own = sighted(kept.own, record, self.moment()) if record is not None else None
        stands_aside = (
            kept.held is None or not kept.covers
        )  # who acts in a namespace goes on; all the cluster gives way
        why = why_wait(kept.own, kept.rivals.values() if stands_aside else (), self.identity, self.moment())
        if why:
            await self._give_up(kept, why)
            return
        own = kept.own.record if kept.own is not None else LeaseRecord(kept.lease_namespace, kept.name, "")
        sent_at = self.moment()
        wanted = taken(own, self.identity, self.timing.duration, sent_at.wall, self._switch)
        try:
            await self._put(kept, wanted)
        except KubeError as error:
            if not error.conflict:
                raise
            record = await self.read(kept.path)
            kept.own = sighted(kept.own, record, self.moment()) if record is not None else None
            if record is None or record.holder != self.identity:  # else our own write, whose answer did not come
                await self._give_up(kept, why_wait(kept.own, (), self.identity, self.moment()) or "somebody was first")
            return
        self._renewed(kept, sent_at)

    def _renewed(self, kept: KeptLease, sent_at: Moment) -> None:
        held = kept.held
        kept.why_not = ""
        if held is not None and elapsed(held.renewed_at, sent_at) < self.timing.renew_deadline:
            kept.held = Held(held.term, sent_at)
            return
        kept.terms += 1
        kept.held = Held(Term(kept.covers, kept.terms), sent_at)
        _log.info("lease taken", lease=f"{kept.lease_namespace}/{kept.name}", identity=self.identity)

    async def _give_up(self, kept: KeptLease, why: str) -> None:
        """Hold it no longer, and say why; a lease that is still ours is let go of."""
        had, kept.held = kept.held, None
        self._wait(kept, why)
        if had is not None and kept.own is not None and kept.own.record.holder == self.identity:
            await self._put(kept, let_go(kept.own.record, self.moment().wall))

    def _wait(self, kept: KeptLease, why: str) -> None:
        if why != kept.why_not:
            _log.warning("lease not held", lease=f"{kept.lease_namespace}/{kept.name}", why=why)
        kept.why_not = why

    async def _look_for_rivals(self, kept: KeptLease) -> None:
        """Leases of namespaces for who looks after all of them, and the other way round."""
        if kept.covers and kept.held is not None:
            return
        found = await self._others(NAMESPACE_LEASE if not kept.covers else CLUSTER_LEASE)
        seen = {record.namespace: self.see_rival(kept, record) for record in found}
        moment = self.moment()
        kept.rivals = {name: one for name, one in kept.rivals.items() if is_alive(one, moment)} | seen

    def see_rival(self, kept: KeptLease, record: LeaseRecord) -> Sighting:
        """What is known of a lease of the other scope, now that it was read."""
        seen = kept.rivals[record.namespace] = sighted(kept.rivals.get(record.namespace), record, self.moment())
        return seen

    async def _others(self, name: str) -> list[LeaseRecord]:
        """Leases of a name in all namespaces; where they may not be listed, that in the operator's own."""
        if self._may_list or name == NAMESPACE_LEASE:
            try:
                selector = f"metadata.name={name}"
                found = await self._client.list(f"{API}/leases", fieldSelector=selector)
                return [parse_lease(body) for body in found]
            except KubeError as error:
                if error.status != 403 or name == NAMESPACE_LEASE:
                    raise
                self._may_list = False
        try:
            record = await self.read(f"{API}/namespaces/{self._lease_namespace}/leases/{name}")
        except KubeError as error:
            if error.status != 403:
                raise
            record = None
        return [record] if record is not None else []

    @property
    def _client(self) -> KubeClient:
        if self._kube is None:
            raise FencedError("there is no connection to the API server yet")
        return self._kube

    async def read(self, path: str) -> LeaseRecord | None:
        """A lease, or None where there is none; to be called in the keeper's loop. Raises KubeError."""
        try:
            return parse_lease(await self._client.request("GET", path, timeout_seconds=self.timing.request))
        except KubeError as error:
            if error.not_found:
                return None
            raise

    async def _put(self, kept: KeptLease, record: LeaseRecord) -> None:
        """Create a lease, or replace the version that was read; raises KubeError, 409 when another one is there."""
        path, method = (kept.path, "PUT") if record.resource_version else (kept.path.rpartition("/")[0], "POST")
        body: JsonObject = lease_body(record)
        answer = await self._client.request(method, path, body=body, timeout_seconds=self.timing.request)
        kept.own = sighted(kept.own, parse_lease(answer), self.moment())
