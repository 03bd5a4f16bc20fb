"""Requests to Prometheus grow with namespaces and signals, not with policies."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mode
from urllib.parse import parse_qs

import aiohttp
import pytest

from cluster.prometheus import Prometheus
from demo.stage import Stage
from tests.adapters_prometheus.prom_support import span_of
from tests.operator.acting import P99, learned, play, policy, service
from tests.operator.gate import Gate, Request
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

FEW, MANY = 5, 50
SIGNALS = 9
"""Load, two objectives, CPU, memory, replicas, CPU size, start-up time and the count of pods."""
ERRORS = (
    'sum by (service) (rate(http_requests_total{namespace="$namespace",service="$target",code=~"5.."}[$window]))'
    " / sum by (service) (rate(http_requests_total"
    '{namespace="$namespace",service="$target"}[$window]))'
)
ROUNDS = 3
ROOM = 1.1
"""Scrapes and rounds do not go in step."""


@dataclass(frozen=True)
class Cost:
    """What some rounds asked of Prometheus."""

    requests: list[int]
    """How many requests each round made."""
    texts: list[str]
    """The queries of the last whole round."""
    samples_a_point: float
    """Samples that Prometheus read for each point in time of each query."""


async def test_queries_grow_with_signals_and_not_with_policies(
    stage: Stage, prometheus_factory: Callable[..., Prometheus]
) -> None:
    """Five policies of one namespace and fifty, all with a load and two objectives of their own."""
    prometheus = prometheus_factory(lookback_delta="5s")
    stage.targets_dir = prometheus.targets_dir
    names = [f"tiny-{number:02}" for number in range(MANY)]
    async with Gate(prometheus.url) as gate:
        await play(stage, *(service(name, rate=20.0, replicas=1, namespace=stage.namespace) for name in names))
        stage.operator(prometheus_url=gate.url)
        await stage.apply(*map(_policy, names[:FEW]))
        await learned(stage, *names[:FEW])
        few = await _cost(gate, prometheus, names[:FEW])
        await stage.apply(*map(_policy, names[FEW:]))
        await learned(stage, *names)
        many = await _cost(gate, prometheus, names)

    assert mode(few.requests) == mode(many.requests) == SIGNALS, (few.requests, many.requests)
    assert many.samples_a_point <= ROOM * MANY / FEW * few.samples_a_point
    assert sorted(map(_parts, many.texts)) == sorted(map(_parts, few.texts)), "the same queries with more names in them"


def _policy(name: str) -> JsonObject:
    return policy(
        name,
        mode="Recommend",
        objectives=[
            {"name": "latency-p99", "query": P99, "targetLabel": "service", "max": "250m"},
            {"name": "errors", "query": ERRORS, "targetLabel": "service", "max": "10m"},
        ],
        analysis={"interval": "4s"},
    )


async def _cost(gate: Gate, prometheus: Prometheus, names: list[str]) -> Cost:
    """What it costs to look at these targets once they are all known."""
    await _one_more_round(gate, names)
    begun, read = len(gate.seen), await _samples(prometheus)
    for _ in range(ROUNDS):
        await _one_more_round(gate, names)
    forms = [_form(request) for request in gate.seen[begun:]]
    read = await _samples(prometheus) - read
    rounds: dict[str, list[str]] = defaultdict(list)
    for form in forms:
        rounds[form["end"]].append(form["query"])
    return Cost([len(texts) for texts in rounds.values()], rounds[forms[-1]["end"]], read / sum(map(_points, forms)))


async def _one_more_round(gate: Gate, names: list[str]) -> None:
    """Wait until a round that reads the load of these targets, and no others, has come to its end."""
    begun = len(gate.seen)
    async with asyncio.timeout(120.0):
        while True:
            before = len(gate.seen)
            await asyncio.sleep(1.0)
            texts = [_form(request)["query"] for request in gate.seen[begun:]]
            if before == len(gate.seen) and any(_targets(text) == set(names) for text in texts):
                return


def _form(request: Request) -> dict[str, str]:
    assert (request.method, request.path) == ("POST", "/api/v1/query_range")
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def _points(form: dict[str, str]) -> float:
    start, end, step = span_of(form)
    return round((end - start) / step) + 1


def _targets(text: str) -> set[str]:
    """The targets that a query names."""
    return set(re.findall(r"tiny-\d\d", text))


def _parts(text: str) -> tuple[int, int, int]:
    """Selectors, unions, and how often a target is named."""
    return text.count("{"), len(re.findall(r"\bor\b", text)), text.count("tiny-00")


async def _samples(prometheus: Prometheus) -> float:
    """Samples that all queries so far have read."""
    async with aiohttp.ClientSession() as session, session.get(f"{prometheus.url}/metrics") as answer:
        found = re.search(r"^prometheus_engine_query_samples_total (\S+)$", await answer.text(), re.MULTILINE)
    assert found is not None, "Prometheus counts them"
    return float(found[1])
