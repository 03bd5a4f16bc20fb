"""What the analysis tells while a service does well, and when it turns bad: status, conditions, Events, metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest

from cluster.ports import free_port
from cluster.prometheus import Prometheus
from demo.stage import Stage
from tests.operator.acting import learned, play, policy, service
from trimtab.adapters.kube import JsonObject
from trimtab.domain.status_types import parse_time
from trimtab.simulation.arrivals import Constant, Ramp, Shape
from trimtab.simulation.backfill import backfill
from trimtab.simulation.plans import fixed
from trimtab.simulation.scenario import Scenario, SimulatedService

pytestmark = pytest.mark.cluster

HISTORY_SECONDS: Final = 7200.0
NOISE: Final = 0.05
TIMES: Final[JsonObject] = {
    "analysis": {"interval": "5s", "history": "2h"},
    "guardrails": {"maxDataAge": "60s", "minHistory": "1m"},
    "forecast": {"model": "Auto", "horizon": "15m"},
}


async def lived(
    stage: Stage,
    make: Callable[..., Prometheus],
    folder: Path,
    config: SimulatedService,
    load: Callable[[float], Shape],
) -> SimulatedService:
    """The service with two hours of history in a Prometheus of its own; ``load`` makes its arrivals of the present."""
    now = float(int(time.time()))
    config = config.model_copy(update={"arrivals": load(now)})
    file = folder / "history.om"
    with file.open("w") as out:
        scenario = Scenario(services=[config])
        backfill(scenario, now - HISTORY_SECONDS, now - 1.0, 1.0, out, lambda _: fixed)
    prometheus = make(lookback_delta="10s", backfilled=[file])
    stage.prometheus_url, stage.targets_dir = prometheus.url, prometheus.targets_dir
    return config


async def test_a_service_that_turns_bad_is_told_in_every_way(
    stage: Stage, prometheus_factory: Callable[..., Prometheus], tmp_path: Path
) -> None:
    """Slow answers: an anomaly of the objective, bad health, a budget that burns; all on a service that did well."""
    config = service("web", namespace=stage.namespace, noise=NOISE)
    config = await lived(stage, prometheus_factory, tmp_path, config, lambda _: Constant(rate_per_second=100.0))
    simulation = await play(stage, config)
    spec = policy("web", mode="Recommend", horizontal={"minReplicas": 2, "maxReplicas": 8}, vertical=None, **TIMES)
    spec["spec"]["objectives"][0]["slo"] = {"targetPercent": "99", "window": "1h"}
    await stage.apply(spec)
    port = free_port()
    stage.operator(metrics_port=port)
    await learned(stage, "web")
    await stage.told("web", "Healthy", "True", "Healthy")

    async def steady() -> JsonObject | None:
        status: JsonObject = (await stage.policy("web"))["status"]
        return status if status.get("trend", {}).get("direction") == "Steady" else None

    # Where chance looks like a change of the level there is no trend until some minutes have passed.
    well = await stage.until(steady, "a steady trend", 240.0)
    assert well["health"]["score"] >= 70
    assert {factor["name"] for factor in well["health"]["factors"]} >= {"latency-p99", "headroom", "error-budget"}
    assert well["reliability"]["scorePercent"] >= 90
    assert "alert" not in well["budgets"][0]
    assert "days" in well["capacityPlan"]["message"], "two hours say nothing about days"
    assert all(one["title"] and one["how"] for one in well["advice"])

    await simulation.faults({"faults": [{"kind": "slow", "service": "web", "factor": 60}]})

    async def odd() -> JsonObject | None:
        status: JsonObject = (await stage.policy("web"))["status"]
        latest = status["anomalies"].get("latest", {})
        return status if latest.get("signal") == "objective/latency-p99" and "until" not in latest else None

    bad = await stage.until(odd, "an anomaly of the objective", 120.0)
    assert bad["anomalies"]["latest"]["kind"] in ("LevelShift", "Spike")
    assert bad["anomalies"]["latest"]["severity"] in ("Warning", "Critical")
    await stage.apply(policy("late", target="web", mode="Observe", vertical=None, **TIMES))

    async def told_at_first_sight() -> bool:
        said = [event["message"] for event in await stage.events("late") if event["reason"] == "Anomaly"]
        return any("latency-p99" in message for message in said)

    await stage.until(told_at_first_sight, "an Event of what went on before a policy came", 60.0)
    await stage.told("web", "Anomaly", "True")
    await stage.told("web", "Healthy", "False", "Unhealthy", seconds=120.0)
    bad = (await stage.policy("web"))["status"]
    assert bad["health"]["factors"][0]["score"] < 50

    async def burning() -> bool:
        return bool((await stage.policy("web"))["status"]["budgets"][0].get("alert") == "Page")

    await stage.until(burning, "a budget that burns", 120.0)
    events = {event["reason"]: event for event in await stage.events("web")}
    for reason in ("Anomaly", "Unhealthy", "ErrorBudgetPage", "ObjectiveViolated"):
        assert events[reason]["type"] == "Warning", reason
    page = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()  # noqa: ASYNC210 - our own process, at once
    for figure, label in (
        ("trimtab_health_score", "policy"),
        ("trimtab_error_budget_remaining_percent", "objective"),
        ("trimtab_anomalies_total", "severity"),
    ):
        assert re.search(rf'^{figure}\{{.*{label}="[^"]+".*\}} ', page, re.MULTILINE), figure
    explained = await stage.trimtab("explain", "web")
    for title in ("Health ", "Anomalies", "Error budgets", "Advice, the most worthwhile first"):
        assert title in explained
    columns = await stage.kubectl("get", "perf", "web", "-o", "wide")
    assert "HEALTH" in columns
    assert "objective/latency-p99" in columns


async def test_a_breach_is_told_of_before_it_comes(
    stage: Stage, prometheus_factory: Callable[..., Prometheus], tmp_path: Path
) -> None:
    """A load that climbs to what four pods cannot carry; replicas may not follow."""
    config = service("web", namespace=stage.namespace, noise=NOISE)

    def climb(now: float) -> Shape:
        return Ramp(start=100.0, end=400.0, begin_seconds=now - 3400.0, duration_seconds=5400.0)

    config = await lived(stage, prometheus_factory, tmp_path, config, climb)
    await play(stage, config)
    await stage.apply(policy("web", mode="Observe", vertical=None, **TIMES | {"forecast": {"horizon": "20m"}}))
    stage.operator()
    told = await stage.told("web", "EarlyWarning", "True", seconds=450.0)
    assert "latency-p99" in told["message"]
    status: JsonObject = (await stage.policy("web"))["status"]
    assert parse_time(status["warnings"][0]["at"]) > time.time()
    assert status["warnings"][0]["confidencePercent"] >= 50
    assert [event["type"] for event in await stage.events("web") if event["reason"] == "EarlyWarning"] == ["Warning"]
