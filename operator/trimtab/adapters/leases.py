"""Who may write: the leases as the rounds ask for them, and the fence that they are to every write.

A write passes when its lease is held and was renewed lately enough, by two clocks. Before a workload or a new run is
written the API server is asked too, as nothing in a process says that its machine stood still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from types import MappingProxyType
from typing import Final

from trimtab.adapters.fence import Admission, Outgoing, Purpose
from trimtab.adapters.kube import FencedError, JsonObject, KubeClient, KubeError
from trimtab.adapters.lease_keeper import API, CLUSTER_LEASE, NAMESPACE_LEASE, KeptLease, LeaseKeeper, Term
from trimtab.domain.lease import elapsed, is_alive, parse_lease
from trimtab.domain.status_types import parse_time

_SILENT_SECONDS: Final = 60.0
"""Who has not renewed its lease for so long acts no more, however its clock and ours differ."""
_ENTERED: ContextVar[Mapping[str, Term]] = ContextVar("entered", default=MappingProxyType({}))
"""By what they cover, the terms in which the present task decides: it may wait for long, and another act meanwhile."""


class Leases:
    """The leases of one operator; a fence of its writes."""

    def __init__(self, keeper: LeaseKeeper) -> None:
        self._keeper = keeper

    def enter(self) -> None:
        """What is written from here on, and by tasks that are started here, belongs to the terms that are begun now."""
        _ENTERED.set({kept.covers: kept.begun for kept in self._keeper.kept if kept.begun is not None})

    def holds(self, namespace: str) -> bool:
        """Whether what is in a namespace is ours to evaluate, in the term that was begun."""
        return any(self._acts(kept) for kept in self._of(namespace))

    def ended(self) -> list[Term]:
        """Terms that were begun and are over."""
        return [kept.begun for kept in self._keeper.kept if kept.begun is not None and not self._acts(kept)]

    def won(self) -> list[Term]:
        """Terms that wait to be begun: what others wrote before is to be read first."""
        waiting = (kept for kept in self._keeper.kept if kept.begun is None and self._fresh(kept))
        return [held.term for kept in waiting if (held := kept.held) is not None]

    def begin(self, term: Term) -> None:
        """What is written from now on is written in this term."""
        self._set_begun(term.covers, term)

    def end(self, term: Term) -> None:
        """Nothing more is written in this term."""
        self._set_begun(term.covers, None)

    @property
    def scopes(self) -> dict[str, Callable[[], bool]]:
        """Whether we act, by namespace; ``*`` for all of them."""
        return {kept.covers or "*": partial(self._fresh, kept) for kept in self._keeper.kept}

    def lines(self) -> Iterator[str]:
        """One line for each lease, for people."""
        for kept in self._keeper.kept:
            what = f"namespace {kept.covers}" if kept.covers else "all namespaces"
            yield f"{what}: {'acts' if self._fresh(kept) else f'stands by: {self._why_not(kept)}'}"

    async def admit(self, write: Outgoing) -> Admission:
        """A write passes under a lease that is held, with a margin left. Raises FencedError."""
        kept = next(iter(self._of(write.namespace)), None)
        if kept is None:
            raise FencedError(f"{write.method} {write.path}: no lease covers this namespace")
        term = _ENTERED.get().get(kept.covers)
        self._left(kept, term)
        if write.purpose is not Purpose.RECORD:
            asked = asyncio.run_coroutine_threadsafe(self._confirm(kept, write.namespace), self._keeper.loop)
            try:
                await asyncio.wait_for(asyncio.wrap_future(asked), self._keeper.timing.duration)
            except TimeoutError as error:
                raise FencedError(f"not written: {kept.lease} could not be asked for in time") from error
        return Admission(self._left(kept, term), partial(self._check, kept, term))

    def _check(self, kept: KeptLease, term: Term | None) -> None:
        self._left(kept, term)

    def _left(self, kept: KeptLease, term: Term | None) -> float:
        """Seconds within which a write must be answered; raises FencedError when none may be sent."""
        held = kept.held
        if held is None or term is None or not (held.term == term == kept.begun):
            why = f": {kept.why_not}" if held is None else ", or not since this was decided"
            raise FencedError(f"not written: {kept.lease} is not held{why}")
        age = elapsed(held.renewed_at, self._keeper.moment())
        if not age < self._keeper.timing.renew_deadline:
            raise FencedError(f"not written: {kept.lease} was last renewed {age:.1f} s ago")
        return self._keeper.timing.duration - age - self._keeper.timing.margin

    async def _confirm(self, kept: KeptLease, namespace: str) -> None:
        """Ask the API server who holds the lease; raises FencedError, KubeError when it cannot be asked."""
        record = await self._keeper.read(kept.path)
        if record is None or record.holder != self._keeper.identity:
            who = record.holder if record is not None and record.holder else "nobody"
            raise FencedError(f"not written: {kept.lease} is held by {who}")
        if not kept.covers:
            rival = await self._keeper.read(f"{API}/namespaces/{namespace}/leases/{NAMESPACE_LEASE}")
            if rival is not None and is_alive(self._keeper.see_rival(kept, rival), self._keeper.moment()):
                raise FencedError(f"not written: {rival.holder or 'another operator'} acts in namespace {namespace}")

    def _of(self, namespace: str) -> Iterator[KeptLease]:
        return (kept for kept in self._keeper.kept if kept.covers in ("", namespace))

    def _fresh(self, kept: KeptLease) -> bool:
        held = kept.held
        return held is not None and elapsed(held.renewed_at, self._keeper.moment()) < self._keeper.timing.renew_deadline

    def _acts(self, kept: KeptLease) -> bool:
        held = kept.held
        return held is not None and held.term == kept.begun and self._fresh(kept)

    def _why_not(self, kept: KeptLease) -> str:
        return kept.why_not or "the lease was not renewed in time"

    def _set_begun(self, covers: str, term: Term | None) -> None:
        for kept in self._keeper.kept:
            if kept.covers == covers:
                kept.begun = term


async def switches_read(kube: KubeClient, switch: str, now: float) -> set[str]:
    """The switches that operators read which act now, by their leases.

    Raises KubeError where it cannot be seen whether this one is among them.
    """
    try:
        found: list[JsonObject] = []
        for name in (NAMESPACE_LEASE, CLUSTER_LEASE):
            found += await kube.list(f"{API}/leases", fieldSelector=f"metadata.name={name}")
    except KubeError as error:
        if error.status != 403:
            raise
        known = _switches(await kube.list(f"{API}/namespaces/{switch.partition('/')[0]}/leases"), now)
        if switch not in known:  # its reader's lease may be in another namespace
            raise
        return known
    return _switches(found, now)


def _switches(bodies: Iterable[JsonObject], now: float) -> set[str]:
    found = set()
    for record in map(parse_lease, bodies):
        with suppress(ValueError):
            if record.holder and now - parse_time(record.renewed) < _SILENT_SECONDS:
                found.add(record.switch)  # empty where the operator is of a version that does not say
    return found
