"""The live simulation's endpoints and clock, without an API server."""

import json

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.simulation.simulation_support import NOW, raw_pod, raw_replica_set, scenario
from trimtab.simulation.live import LiveSimulation


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def simulation(clock: Clock, load: float = 60.0) -> LiveSimulation:
    made = LiveSimulation(scenario(load), clock)
    made.picture.pods.replace("test", [raw_pod("shop-abc-1"), raw_pod("shop-abc-2")])
    made.picture.replica_sets.replace("test", [raw_replica_set()])
    made.picture.deployments.replace("test", [])
    made.picture.stateful_sets.replace("test", [])
    return made


def line(text: str, start: str) -> str:
    (found,) = [it for it in text.splitlines() if it.startswith(start)]
    return found.rpartition(" ")[2]


REQUESTS = 'http_requests_total{namespace="test",service="shop",code="200"}'
CPU = 'container_cpu_usage_seconds_total{namespace="test",pod="shop-abc-1"'


def test_the_model_follows_the_clock() -> None:
    clock = Clock()
    made = simulation(clock)
    clock.now += 0.25
    made.tick()
    clock.now += 100
    text = made.exposition()
    assert float(line(text, REQUESTS)) == pytest.approx(60 * 100.25, abs=1)


def test_nothing_happens_before_the_cluster_is_known() -> None:
    clock = Clock()
    made = LiveSimulation(scenario(), clock)
    clock.now += 100
    assert float(line(made.exposition(), REQUESTS)) == 0


def test_a_clock_that_steps_back_does_no_harm() -> None:
    clock = Clock()
    made = simulation(clock)
    clock.now += 10
    before = made.exposition()
    clock.now -= 5
    assert line(made.exposition(), REQUESTS) == line(before, REQUESTS)


@pytest.mark.parametrize(
    ("fault", "series", "expected"),
    [
        pytest.param({"kind": "nan", "metric": "http_requests_total"}, REQUESTS, "NaN", id="nan"),
        pytest.param(
            {"kind": "absurd", "metric": "container_cpu_usage_seconds_total", "labels": {"pod": "shop-abc-1"}},
            CPU,
            "1e+18",
            id="absurd-for-one-pod",
        ),
        pytest.param(
            {"kind": "absurd", "metric": "http_requests_total", "value": -5}, REQUESTS, "-5.0", id="absurd-as-asked"
        ),
    ],
)
async def test_faults_of_values(fault: dict[str, object], series: str, expected: str) -> None:
    clock = Clock()
    async with TestClient(TestServer(simulation(clock).application())) as client:
        clock.now += 10
        answer = await client.post("/faults", json={"faults": [fault]})
        assert answer.status == 200
        text = await (await client.get("/metrics")).text()
        assert line(text, series) == expected
        assert line(text, CPU.replace("shop-abc-1", "shop-abc-2")) not in ("NaN", "1e+18")
        await client.delete("/faults")
        assert line(await (await client.get("/metrics")).text(), series) != expected


async def test_an_empty_metric_and_a_stale_exposition() -> None:
    clock = Clock()
    async with TestClient(TestServer(simulation(clock).application())) as client:
        clock.now += 10
        await client.post("/faults", json={"faults": [{"kind": "empty", "metric": "http_requests_total"}]})
        text = await (await client.get("/metrics")).text()
        assert "http_requests_total" not in text
        assert "http_request_duration_seconds" in text
        await client.post("/faults", json={"faults": [{"kind": "stale"}]})
        assert (await client.get("/metrics")).status == 503
        assert await (await client.get("/faults")).json() == {"faults": [{"kind": "stale"}]}
        await client.post("/faults", json={"faults": []})
        answer = await client.get("/metrics")
        assert (answer.status, answer.content_type) == (200, "text/plain")


async def test_a_slow_service() -> None:
    clock = Clock()
    async with TestClient(TestServer(simulation(clock).application())) as client:

        async def mean_of_ten_seconds() -> float:
            found = []
            for seconds in (0, 10):
                clock.now += seconds
                text = await (await client.get("/metrics")).text()
                name = "http_request_duration_seconds"
                found.append([float(line(text, f"{name}_{part}{{")) for part in ("sum", "count")])
            return (found[1][0] - found[0][0]) / (found[1][1] - found[0][1])

        clock.now += 10
        normal = await mean_of_ten_seconds()
        await client.post("/faults", json={"faults": [{"kind": "slow", "service": "shop", "factor": 3}]})
        assert await mean_of_ten_seconds() == pytest.approx(3 * normal, rel=0.02)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param("{", "Invalid JSON", id="no-json"),
        pytest.param('{"faults": [{"kind": "fire"}]}', "fire", id="unknown-kind"),
        pytest.param(
            '{"faults": [{"kind": "nan", "metric": "cpu"}]}', "no metric 'cpu'; there are", id="unknown-metric"
        ),
        pytest.param('{"faults": [{"kind": "nan"}]}', "metric: Field required", id="missing-field"),
        pytest.param('{"faults": [{"kind": "slow", "service": "cart"}]}', "no service */cart", id="unknown-service"),
        pytest.param(
            '{"faults": [{"kind": "slow", "service": "shop", "namespace": "prod"}]}',
            "no service prod/shop",
            id="other-namespace",
        ),
        pytest.param(
            '{"faults": [{"kind": "slow", "service": "shop", "factor": 0}]}', "greater than 0", id="no-factor"
        ),
        pytest.param('{"fault": []}', "Extra inputs", id="misspelt"),
    ],
)
async def test_bad_faults_are_refused_and_change_nothing(body: str, message: str) -> None:
    made = simulation(Clock())
    async with TestClient(TestServer(made.application())) as client:
        answer = await client.post("/faults", data=body)
        assert answer.status == 400
        assert message in json.dumps(await answer.json())
    assert made.faults.faults == []
