"""Reads the signals of many policies from Prometheus, in few requests and off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import structlog

from trimtab.adapters.clusters import telling_query, told_apart
from trimtab.adapters.prometheus_connection import Connection, PrometheusSettings, Received
from trimtab.adapters.prometheus_lanes import Lanes
from trimtab.adapters.prometheus_wire import FailureKind, QueryFailed, RangeAnswer
from trimtab.adapters.signals import BulkQuery, plan_round
from trimtab.adapters.signals_requests import SignalRequest
from trimtab.adapters.signals_results import FetchResult, Share, refused, results, shares

SHORTENED: Final = 4
"""How many times shorter a range is asked for after one that was too large."""
MOST_SPLITS: Final = 32
"""Requests that a round may add to find the targets for which a bulk query fails."""
APART_SECONDS: Final = 3600.0
"""For how long a target for which a bulk query failed is asked for by itself."""
SLOW_SECONDS: Final = 600.0
"""For how long a signal that took long is asked for in the slow lane."""
_PROMPT_AGAIN: Final = 0.5
"""A signal that took less than this share of the patience leaves the slow lane."""
_STRIKES: Final = 3
"""Queries in a row that found no server, each after its retries, before the others of a round are not sent."""
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_T = TypeVar("_T")


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
    strikes: int = 0
    """Requests in a row that found no server."""
    unreachable: QueryFailed | None = None
    """Set once several requests found no server: the others do not wait for the same."""
    slow_seconds: dict[str, float] = field(default_factory=dict)
    """What the slow queries of each request have taken, by its key."""


@dataclass(slots=True)
class _Bulk:
    """One bulk query under way."""

    query: BulkQuery
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it has ended, and when it is too slow to be waited for."""
    slow: bool = False
    prompt_seconds_left: float = 0.0

    @property
    def keys(self) -> set[str]:
        """Who asked."""
        return {consumer.request.key for consumer in self.query.consumers}

    @property
    def signals(self) -> list[tuple[str, str]]:
        """(key of the request, name of the signal) of each that it serves."""
        return [(consumer.request.key, consumer.query.name) for consumer in self.query.consumers]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a round reads: at once, and later."""

    prompt: dict[str, FetchResult]
    """By the key of the request."""
    late: dict[str, asyncio.Task[FetchResult]]
    """Requests with a query that takes long: nobody else has to wait for these."""


class PrometheusSource:
    """Reads one Prometheus. Failures are results (`QueryFailed`), never exceptions."""

    def __init__(self, settings: PrometheusSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._connection = Connection(settings, monotonic)
        self._lanes = Lanes(settings.concurrency, settings.slow_concurrency)
        self._threads = ThreadPoolExecutor(self._lanes.threads, thread_name_prefix="prometheus")
        self._tasks: set[asyncio.Task[Any]] = set()
        """What is under way; all end with the source."""
        self._slow: dict[tuple[str, str], float] = {}
        """(key of the request, name of the signal) that took long, and until when they are asked for apart."""
        self._apart: dict[tuple[str, str], float] = {}
        """(key of the request, name of the signal) that share with no one, and until when."""
        self.counters = Counters()

    async def close(self) -> None:
        """Ends what waits for its turn, waits for requests under way, and closes the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._connection.close()

    async def fetch_round(self, requests: Sequence[SignalRequest]) -> dict[str, FetchResult]:
        """The signals of all requests by their keys, which must differ; waits for the slowest."""
        fetched = await self.fetch(requests)
        return fetched.prompt | {key: await result for key, result in fetched.late.items()}

    async def fetch(self, requests: Sequence[SignalRequest]) -> Fetched:
        """The signals of all requests by their keys, which must differ; what takes long is not waited for.

        The number of requests to Prometheus grows with namespaces, signals and steps. Where a bulk query fails on the
        data of one target, it is halved until that target stands alone, and the others have their values.
        """
        now = self._monotonic()
        self._apart = {consumer: until for consumer, until in self._apart.items() if until > now}
        self._slow = {consumer: until for consumer, until in self._slow.items() if until > now}
        plan = await asyncio.to_thread(
            plan_round, requests, self._apart.keys(), self._settings.matchers, self._slow.keys()
        )
        run = _Round(now + self._settings.round_seconds)
        under_way = [_Bulk(query, prompt_seconds_left=self._settings.patience_seconds) for query in plan]
        reading: dict[str, list[asyncio.Task[list[Share]]]] = {request.key: [] for request in requests}
        for bulk in under_way:
            task = self._begun(self._shares(bulk, run))
            for key in bulk.keys:
                reading[key].append(task)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.wait_seconds):
                for bulk in under_way:
                    await bulk.settled.wait()
        prompt = [request for request in requests if all(task.done() for task in reading[request.key])]
        read = {task: task.result() for request in prompt for task in reading[request.key]}
        found = await asyncio.to_thread(results, prompt, [share for part in read.values() for share in part])
        trusted = {key: result for key, result in found.items() if not result.suspect}
        telling: dict[str, asyncio.Task[RangeAnswer | QueryFailed]] = {}
        late = {
            request.key: self._begun(self._late(request, reading[request.key], telling, run))
            for request in requests
            if request.key not in trusted
        }
        return Fetched(trusted, late)

    def _begun(self, reading: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(reading)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _late(
        self,
        request: SignalRequest,
        reading: Sequence[asyncio.Task[list[Share]]],
        telling: dict[str, asyncio.Task[RangeAnswer | QueryFailed]],
        run: _Round,
    ) -> FetchResult:
        """What one request comes to, once all that it needs has been answered; ``telling`` is shared in the round.

        Where several clusters tell of the workload, or it cannot be found out, all its signals are refused.
        """
        result = await _result(request, reading)
        if not result.suspect:
            return result
        namespace, target = request.namespace, request.spec.target_ref
        if namespace not in telling:
            telling[namespace] = self._begun(self._telling(namespace, request.until, run))
        answer = await asyncio.shield(telling[namespace])
        if isinstance(answer, QueryFailed):
            message = f"several clusters may tell of {namespace}/{target.name}: {answer.message}"
        elif (clusters := told_apart(answer, target.kind, target.name)) is not None:
            message = clusters.message(target.kind, namespace, target.name)
        else:
            return result
        return refused(request, QueryFailed(FailureKind.MANY_CLUSTERS, message))

    async def _telling(self, namespace: str, at: float, run: _Round) -> RangeAnswer | QueryFailed:
        """What is told of a namespace's workloads, with all labels."""
        asked = (telling_query(namespace, self._settings.matchers), at, at, 60.0)
        async with self._lanes.slot(slow=True):
            loop = asyncio.get_running_loop()
            return self._counted(await loop.run_in_executor(self._threads, self._read, run, asked, True))

    async def _shares(self, bulk: _Bulk, run: _Round) -> list[Share]:
        """What one bulk query comes to for each who asked."""
        if bulk.query.slow:
            self._is_slow(bulk)
        try:
            return await self._bulk(bulk, bulk.query, run)
        except Exception as error:  # noqa: BLE001 - logged whole; an answer that nobody thought of harms who asked alone
            _log.exception("answer not understood", query=bulk.query.text)
            failure = QueryFailed(FailureKind.UNREACHABLE, f"the answer cannot be used: {type(error).__name__}")
            return [(consumer, failure) for consumer in bulk.query.consumers]
        finally:
            bulk.settled.set()

    def _is_slow(self, bulk: _Bulk) -> None:
        """It is not waited for from now on. Its signals are remembered, unless they are only read back for once."""
        bulk.slow = True
        bulk.settled.set()
        if not bulk.query.is_history and not bulk.query.slow:
            self._remember_slow(bulk)

    def _remember_slow(self, bulk: _Bulk) -> None:
        self._slow |= dict.fromkeys(bulk.signals, self._monotonic() + SLOW_SECONDS)

    async def _bulk(self, bulk: _Bulk, query: BulkQuery, run: _Round) -> list[Share]:
        answers = await self._range(bulk, query, run)
        if isinstance(answers, QueryFailed) and answers.divisible:
            halves = query.halves()
            if halves and run.splits_left >= len(halves):
                run.splits_left -= len(halves)
                parts = await asyncio.gather(*(self._bulk(bulk, half, run) for half in halves))
                return [share for part in parts for share in part]
            if not halves:
                self._ask_apart(query)
        if isinstance(answers, QueryFailed) and answers.kind is FailureKind.TIMEOUT and bulk.slow:
            self._ask_apart(query)  # one of the targets may be what takes so long
            self._remember_slow(bulk)  # a history too: it comes again, and takes as long
        return await asyncio.to_thread(shares, query, answers)

    def _ask_apart(self, query: BulkQuery) -> None:
        signals = [(consumer.request.key, consumer.query.name) for consumer in query.consumers]
        self._apart |= dict.fromkeys(signals, self._monotonic() + APART_SECONDS)

    async def _range(self, bulk: _Bulk, query: BulkQuery, run: _Round) -> list[RangeAnswer] | QueryFailed:
        """The answers to one query over its range, in as many parts as the limits ask for."""
        text, step = query.text, query.step_seconds
        points = round((query.end - query.start) / step) + 1
        size, done = self._settings.max_points, 0
        answers: list[RangeAnswer] = []
        while done < points:
            size = min(size, points - done)
            start = query.start + done * step
            outcome = await self._ask(bulk, run, (text, start, start + (size - 1) * step, step))
            if isinstance(outcome, RangeAnswer):
                answers.append(outcome)
                done += size
            elif outcome.kind is FailureKind.TOO_LARGE and size > 1:
                size = max(1, size // SHORTENED)
            else:
                return outcome
        return answers

    async def _ask(self, bulk: _Bulk, run: _Round, asked: tuple[str, float, float, float]) -> RangeAnswer | QueryFailed:
        """One request, in the lane of its bulk query."""
        in_slow_lane = bulk.query.slow or (bulk.slow and not bulk.query.is_history)
        async with self._lanes.slot(slow=in_slow_lane) as slot:
            if (
                in_slow_lane
                and min(run.slow_seconds.get(key, 0.0) for key in bulk.keys) > self._settings.policy_seconds
            ):
                seconds = self._settings.policy_seconds
                message = f"slow queries of the policy took {seconds:g} s, so this one was left for the next round"
                return QueryFailed(FailureKind.TIMEOUT, message)
            began = self._monotonic()
            answer = asyncio.get_running_loop().run_in_executor(self._threads, self._read, run, asked, in_slow_lane)
            patience = self._settings.patience_seconds if bulk.slow else bulk.prompt_seconds_left
            if not await slot.answered_within(answer, patience) and not bulk.slow:
                self._is_slow(bulk)
            received = await answer
            self._note_time(bulk, run, self._monotonic() - began)
        return self._counted(received)

    def _note_time(self, bulk: _Bulk, run: _Round, took: float) -> None:
        bulk.prompt_seconds_left -= took
        if not bulk.slow:
            return
        run.slow_seconds |= {key: run.slow_seconds.get(key, 0.0) + took for key in bulk.keys}
        if bulk.query.slow and took < self._settings.patience_seconds * _PROMPT_AGAIN:
            for signal in bulk.signals:
                self._slow.pop(signal, None)

    def _counted(self, received: Received) -> RangeAnswer | QueryFailed:
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

    def _read(self, run: _Round, asked: tuple[str, float, float, float], slow: bool) -> Received:
        """In a thread: asks, unless the round has found out that asking is of no use."""
        if run.unreachable is not None:
            return Received(run.unreachable, was_sent=False)
        if self._monotonic() > run.ends_at:
            seconds = self._settings.round_seconds
            message = f"the round took longer than {seconds:g} s, so this query was left for the next"
            return Received(QueryFailed(FailureKind.TIMEOUT, message), was_sent=False)
        received = self._connection.read_range(*asked, slow=slow)
        run.strikes = run.strikes + 1 if received.unconnected else 0
        if run.strikes >= _STRIKES and isinstance(received.outcome, QueryFailed):
            run.unreachable = received.outcome
        return received


async def _result(request: SignalRequest, reading: Sequence[asyncio.Task[list[Share]]]) -> FetchResult:
    """What one request comes to, once all that it needs has been answered."""
    read = [share for task in reading for share in await asyncio.shield(task)]
    own = [share for share in read if share[0].request.key == request.key]
    return results([request], own)[request.key]
