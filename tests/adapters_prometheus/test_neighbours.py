"""What one policy's queries cost the others: slow ones, broken connections, answers that are too much or are none."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from typing import Any

import pytest
import structlog

from tests.adapters_prometheus.prom_support import CUT, CUT_SHORT, request, serving, span_of, spec
from trimtab.adapters.prometheus import PrometheusSource
from trimtab.adapters.prometheus_connection import PrometheusSettings
from trimtab.adapters.prometheus_wire import FailureKind, QueryFailed, parse_answer, parse_failure
from trimtab.adapters.signals_results import FetchResult

ONLY = frozenset(("load",))
Answer = tuple[int, bytes, float]


def answered(form: dict[str, str], value: str = "7") -> bytes:
    """One series with a value at each step, for each target that the query names."""
    start, end, step = span_of(form)
    values = [[start + step * i, value] for i in range(round((end - start) / step) + 1)]
    series = [{"metric": {"svc": name}, "values": values} for name in ("good", "bad", "worse") if name in form["query"]]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}}).encode()


def asking(name: str, label: str | None = None, until: float = 600, **fields: Any) -> Any:
    """A request for the load of one target, by a query of its own, or of one with the others of its label."""
    load = {"load": {"query": f'sum(hits{{svc="{"$target" if label else name}"}})', "targetLabel": label}}
    return request(name, spec(name, metrics=load), 0, until, only=ONLY, **fields)


def value(result: FetchResult) -> float | FailureKind:
    """The load, or why there is none."""
    failure = result.failures.get("load")
    return failure.kind if failure is not None else float(result.history.load.values[-1])


class Sent:
    """Answers, and counts which queries were sent."""

    def __init__(self, slow: str = "bad", seconds: float = 1.0) -> None:
        self.queries: list[str] = []
        self.slow, self.seconds = slow, seconds

    def __call__(self, form: dict[str, str]) -> Answer:
        self.queries.append(form["query"])
        return 200, answered(form), self.seconds if self.slow in form["query"] else 0.0


async def test_a_round_does_not_wait_for_a_slow_query() -> None:
    with serving(Sent()) as server:
        source = PrometheusSource(PrometheusSettings(server.url, patience_seconds=0.2))
        fetched = await source.fetch([asking("good"), asking("bad")])
        assert {key: value(found) for key, found in fetched.prompt.items()} == {"good": 7.0}
        assert {key: value(await found) for key, found in fetched.late.items()} == {"bad": 7.0}
        await source.close()


async def test_what_waits_for_its_turn_ends_quietly_with_the_source() -> None:
    """No query is sent, and nothing is logged, for what was queued as the source was closed."""
    sent, begun = Sent(slow="", seconds=0.5), threading.Event()

    def reply(form: dict[str, str]) -> Answer:
        begun.set()
        return sent(form)

    with serving(reply) as server, structlog.testing.capture_logs() as logged:
        source = PrometheusSource(PrometheusSettings(server.url, patience_seconds=0.1, concurrency=1))
        asked = [asking(name) for name in ("good", "bad", "worse")]
        fetching = asyncio.create_task(source.fetch(asked))
        await asyncio.to_thread(begun.wait)
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
        await source.close()
        await asyncio.sleep(0)
        assert logged == []
        assert len(sent.queries) < len(asked)


async def test_slow_queries_take_no_slot_of_the_others() -> None:
    """More slow queries than there are slots: those that are asked for after them are answered all the same."""
    with serving(Sent(seconds=3.0)) as server:
        source = PrometheusSource(PrometheusSettings(server.url, concurrency=1, patience_seconds=0.2))
        slow = [asking(f"bad-{number}") for number in range(4)]
        fetched = await source.fetch([*slow, asking("good")])
        assert {key: value(found) for key, found in fetched.prompt.items()} == {"good": 7.0}
        assert not any(task.done() for task in fetched.late.values())
        await asyncio.gather(*fetched.late.values())
        await source.close()


async def test_a_slow_signal_is_remembered_and_forgiven() -> None:
    sent = Sent()
    with serving(sent) as server:
        source = PrometheusSource(PrometheusSettings(server.url, patience_seconds=0.2))
        wanted = [asking("good", "svc"), asking("bad", "svc")]
        first = await source.fetch(wanted)
        assert first.prompt == {}, "both are in one query"
        assert {key: value(await found) for key, found in first.late.items()} == {"good": 7.0, "bad": 7.0}
        third = [*wanted, asking("worse", "svc")]
        second = await source.fetch(third)
        assert set(second.prompt) == {"worse"}, "a newcomer does not share a query with the slow"
        await asyncio.gather(*second.late.values())
        sent.seconds = 0.0
        await asyncio.gather(*(await source.fetch(third)).late.values())
        assert set((await source.fetch(third)).prompt) == {"good", "bad", "worse"}
        await source.close()


async def test_a_target_that_makes_a_shared_query_too_slow_is_found() -> None:
    with serving(Sent(seconds=5.0)) as server:
        source = PrometheusSource(PrometheusSettings(server.url, patience_seconds=0.1, timeout_seconds=0.3))
        wanted = [asking("good", "svc"), asking("bad", "svc")]
        first = await source.fetch_round(wanted)
        assert {key: value(found) for key, found in first.items()} == dict.fromkeys(first, FailureKind.TIMEOUT)
        second = await source.fetch_round(wanted)
        assert {key: value(found) for key, found in second.items()} == {"good": 7.0, "bad": FailureKind.TIMEOUT}
        await source.close()


async def test_histories_that_hang_are_asked_for_in_the_slow_lane_from_then_on() -> None:
    """More than there are slots, lent ones too: the second time they keep none of them."""
    with serving(Sent(seconds=1.5)) as server:
        settings = PrometheusSettings(server.url, concurrency=2, patience_seconds=0.1, timeout_seconds=0.4)
        source = PrometheusSource(settings)
        hanging = [asking(f"bad-{number}", until=6000) for number in range(14)]
        first = await source.fetch_round(hanging)
        assert {value(found) for found in first.values()} == {FailureKind.TIMEOUT}
        second = await source.fetch([*hanging, asking("good")])
        assert {key: value(found) for key, found in second.prompt.items()} == {"good": 7.0}
        assert not any(task.done() for task in second.late.values())
        await asyncio.gather(*second.late.values())
        await source.close()


async def test_slow_queries_of_one_policy_have_a_budget() -> None:
    """The second slow query of the one is left for the next round; the other policy's is asked."""
    objectives = [{"name": f"o{n}", "query": f'max(hits{{svc="bad",o="{n}"}})', "max": "1"} for n in range(4)]
    many = request(
        "many", spec("many", objectives=objectives), 0, 600, only=frozenset(f"objective/o{n}" for n in range(4))
    )
    sent = Sent(seconds=0.4)
    with serving(sent) as server:
        settings = PrometheusSettings(server.url, slow_concurrency=1, patience_seconds=0.1, policy_seconds=0.5)
        source = PrometheusSource(settings)
        await source.fetch_round([many, asking("bad")])
        sent.queries.clear()
        found = await source.fetch_round([many, asking("bad")])
        await source.close()
    kinds = [failure.kind for failure in found["many"].failures.values()]
    assert kinds == [FailureKind.TIMEOUT] * 2
    assert "was left for the next round" in next(iter(found["many"].failures.values())).message
    assert value(found["bad"]) == 7.0
    assert len(sent.queries) == 3


@pytest.mark.parametrize("cut", [CUT, CUT_SHORT], ids=["before the answer", "in its midst"])
async def test_one_cut_connection_is_tried_again(cut: int) -> None:
    tries = itertools.count()
    with serving(lambda form: (cut if next(tries) == 0 else 200, answered(form), 0.0)) as server:
        source = PrometheusSource(PrometheusSettings(server.url, concurrency=1))
        found = await source.fetch_round([asking("good"), asking("bad")])
        await source.close()
    assert [value(one) for one in found.values()] == [7.0, 7.0]


async def test_a_query_whose_connection_is_always_cut_fails_alone() -> None:
    def reply(form: dict[str, str]) -> Answer:
        return CUT if "bad" in form["query"] else 200, answered(form), 0.0

    with serving(reply) as server:
        source = PrometheusSource(PrometheusSettings(server.url, concurrency=1, retries=1))
        names = ["bad", *(f"good-{number}" for number in range(18))]
        found = await source.fetch_round([asking(name) for name in names])
        await source.close()
    assert [value(one) for one in found.values()] == [FailureKind.UNREACHABLE, *[7.0] * 18]


async def test_a_server_that_is_not_there_is_not_asked_by_everybody() -> None:
    source = PrometheusSource(PrometheusSettings("http://127.0.0.1:1", concurrency=1, retries=0))
    found = await source.fetch_round([asking(f"p{number}") for number in range(20)])
    await source.close()
    assert {value(one) for one in found.values()} == {FailureKind.UNREACHABLE}
    assert source.counters.requests == 3, "as many as it takes to believe it"


ODD = {
    "nested": b"[" * 200_000,
    "nested objects": b'{"a":' * 200_000,
    "html": b"<html><body>Please log in</body></html>",
    "list": b"[]",
    "number": b"1",
    "not text": b"\xff\xfe\x00",
    "data is a list": b'{"status":"success","data":[]}',
    "result is a number": b'{"status":"success","data":{"resultType":"matrix","result":1}}',
    "labels are a list": b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":[1]}]}}',
    "a label is a list": b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"svc":[1]}}]}}',
    "stats are a list": b'{"status":"success","data":{"resultType":"matrix","result":[],"stats":[1]}}',
    "warnings are a number": b'{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":1}',
    "truncated": b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],',
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
async def test_an_odd_answer_fails_by_itself(body: bytes) -> None:
    def reply(form: dict[str, str]) -> Answer:
        return 200, body if "bad" in form["query"] else answered(form), 0.0

    with serving(reply) as server:
        source = PrometheusSource(PrometheusSettings(server.url))
        found = await source.fetch_round([asking("bad"), asking("good")])
        await source.close()
    assert {key: value(one) for key, one in found.items()} == {"bad": FailureKind.UNREACHABLE, "good": 7.0}
    assert found["bad"].failures["load"].message.startswith("not an answer of the Prometheus API (")
    assert len(found["bad"].failures["load"].message) < 500
    assert isinstance(parse_failure(500, body), QueryFailed)


def test_an_answer_of_labels_alone_is_too_large_before_it_is_parsed() -> None:
    series = [{"metric": {"path": "x" * 200 + str(number)}, "values": [[0, "1"]]} for number in range(45_000)]
    failure = parse_answer(
        json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}}).encode()
    )
    assert isinstance(failure, QueryFailed)
    assert (failure.kind, failure.divisible) == (FailureKind.TOO_LARGE, True)
