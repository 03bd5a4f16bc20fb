"""Reads the signals of many policies from Prometheus, in few requests and off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from trimtab.adapters.prometheus_connection import Connection, PrometheusSettings, Received
from trimtab.adapters.prometheus_wire import FailureKind, QueryFailed, RangeAnswer
from trimtab.adapters.signals import BulkQuery, plan_round
from trimtab.adapters.signals_requests import SignalRequest
from trimtab.adapters.signals_results import FetchResult, Share, results, shares

SHORTENED: Final = 4
"""How many times shorter a range is asked for after one that was too large."""
MOST_SPLITS: Final = 32
"""Requests that a round may add to find the targets for which a bulk query fails."""
APART_SECONDS: Final = 3600.0
"""For how long a target for which a bulk query failed is asked for by itself."""


@dataclass(slots=True)
class Counters:
    """What was asked so far."""

    requests: int = 0
    samples: int = 0
    """Loaded by the server; counted with `PrometheusSettings.count_samples` alone."""
    answer_bytes: int = 0
    failures: dict[FailureKind, int] = field(default_factory=dict)
    """Requests without samples by reason."""


@dataclass(slots=True)
class _Round:
    """What the requests of one round share."""

    ends_at: float
    splits_left: int = MOST_SPLITS
    unreachable: QueryFailed | None = None
    """Set by the first request that found no server: the others do not wait for the same."""


class PrometheusSource:
    """Reads one Prometheus. Failures are results (`QueryFailed`), never exceptions."""

    def __init__(self, settings: PrometheusSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._connection = Connection(settings, monotonic)
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="prometheus")
        self._apart: dict[tuple[str, str], float] = {}
        """(key of the request, name of the signal) that share with no one, and until when."""
        self.counters = Counters()

    async def close(self) -> None:
        """Waits for requests under way and closes the connection."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._connection.close()

    async def fetch_round(self, requests: Sequence[SignalRequest]) -> dict[str, FetchResult]:
        """The signals of all requests by their keys, which must differ.

        The number of requests to Prometheus grows with namespaces, signals and steps. Where a bulk query fails on the
        data of one target, it is halved until that target stands alone, and the others have their values.
        """
        now = self._monotonic()
        self._apart = {consumer: until for consumer, until in self._apart.items() if until > now}
        plan = await asyncio.to_thread(plan_round, requests, self._apart.keys(), self._settings.matchers)
        run = _Round(now + self._settings.round_seconds)
        read = await asyncio.gather(*(self._bulk(bulk, run) for bulk in plan))
        return await asyncio.to_thread(results, requests, [share for part in read for share in part])

    async def _bulk(self, bulk: BulkQuery, run: _Round) -> list[Share]:
        answers = await self._range(bulk, run)
        if isinstance(answers, QueryFailed) and answers.divisible:
            halves = bulk.halves()
            if halves and run.splits_left >= len(halves):
                run.splits_left -= len(halves)
                parts = await asyncio.gather(*(self._bulk(half, run) for half in halves))
                return [share for part in parts for share in part]
            if not halves:
                until = self._monotonic() + APART_SECONDS
                self._apart |= {(consumer.request.key, consumer.query.name): until for consumer in bulk.consumers}
        return await asyncio.to_thread(shares, bulk, answers)

    async def _range(self, bulk: BulkQuery, run: _Round) -> list[RangeAnswer] | QueryFailed:
        """The answers to one query over its range, in as many parts as the limits ask for."""
        text, step = bulk.text, bulk.step_seconds
        points = round((bulk.end - bulk.start) / step) + 1
        size, done = self._settings.max_points, 0
        answers: list[RangeAnswer] = []
        while done < points:
            size = min(size, points - done)
            start = bulk.start + done * step
            outcome = await self._ask(text, start, start + (size - 1) * step, step, run)
            if isinstance(outcome, RangeAnswer):
                answers.append(outcome)
                done += size
            elif outcome.kind is FailureKind.TOO_LARGE and size > 1:
                size = max(1, size // SHORTENED)
            else:
                return outcome
        return answers

    async def _ask(self, text: str, start: float, end: float, step: float, run: _Round) -> RangeAnswer | QueryFailed:
        loop = asyncio.get_running_loop()
        received = await loop.run_in_executor(self._threads, self._read, text, start, end, step, run)
        counters, outcome = self.counters, received.outcome
        if not received.was_sent:
            assert isinstance(outcome, QueryFailed)
            return outcome
        counters.requests += 1
        counters.answer_bytes += received.answer_bytes
        if isinstance(outcome, QueryFailed):
            counters.failures[outcome.kind] = counters.failures.get(outcome.kind, 0) + 1
        else:
            counters.samples += outcome.samples_read
        return outcome

    def _read(self, text: str, start: float, end: float, step: float, run: _Round) -> Received:
        """In a thread: asks, unless the round has found out that asking is of no use."""
        if run.unreachable is not None:
            return Received(run.unreachable, was_sent=False)
        if self._monotonic() > run.ends_at:
            seconds = self._settings.round_seconds
            message = f"the round took longer than {seconds:g} s, so this query was left for the next"
            return Received(QueryFailed(FailureKind.TIMEOUT, message), was_sent=False)
        received = self._connection.read_range(text, start, end, step)
        if received.unconnected and isinstance(received.outcome, QueryFailed):
            run.unreachable = received.outcome
        return received
