"""After nights at zero (kubernetes/kubernetes#28603), without Prometheus on a ramp, and with values that cannot be."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from cluster.prometheus import Prometheus
from demo.stage import Stage
from tests.operator.acting import counted, learned, play, policy, replicas, rounds, service
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.arrivals import Diurnal
from trimtab.simulation.backfill import backfill
from trimtab.simulation.plans import fixed
from trimtab.simulation.scenario import Scenario

pytestmark = pytest.mark.cluster

BOUNDS: JsonObject = {"minReplicas": 1, "maxReplicas": 12, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}
RESTARTS = 'max(kube_pod_container_status_restarts_total{namespace="$namespace",pod=~"$pods"})'
HISTORY_SECONDS: Final = 600.0
PERIOD_SECONDS: Final = 60.0
LOW, HIGH = 50.0, 330.0
FEW: Final = 3
"""More replicas than are needed near the trough."""


async def test_woken_from_zero_it_follows_at_once(stage: Stage, audit: Audit) -> None:
    """Most of the history that a run would need is missing, and what is seen now is enough to follow."""
    await play(stage, service(rate=150.0, replicas=3, namespace=stage.namespace))
    await stage.apply(
        policy(
            metrics=None,
            objectives=None,
            vertical=None,
            horizontal=BOUNDS,
            guardrails={"minHistory": "40s", "maxDataAge": "10s"},
        )
    )
    stage.operator()
    await stage.told("web", "DataAvailable", "False", "ShortHistory")
    await rounds(stage, 4)
    await stage.kubectl("scale", "deployment/web", "--replicas=0")
    await stage.told("web", "DataAvailable", "False", "Stale")
    await rounds(stage, 15)
    await stage.kubectl("scale", "deployment/web", "--replicas=1")
    await counted(stage, "web", 3)
    await stage.until(lambda: _waits_for_history(stage), "runs still wait for history")


async def test_after_an_outage_of_scraping_it_follows_at_once(stage: Stage, audit: Audit) -> None:
    """Nothing is changed while nothing is seen; the first samples that come again are enough to follow."""
    simulation = await play(stage, service(rate=150.0, replicas=1, namespace=stage.namespace))
    spec: JsonObject = {"metrics": None, "objectives": None, "vertical": None, "horizontal": BOUNDS}
    guards = {"minHistory": "5m", "maxDataAge": "10s"}
    await stage.apply(policy(**spec, mode="Observe", guardrails=guards))
    stage.operator()
    await stage.told("web", "DataAvailable", "False", "ShortHistory")
    await rounds(stage, 4)
    await simulation.faults({"faults": [{"kind": "stale"}]})
    await stage.told("web", "DataAvailable", "False", "Stale")
    await stage.apply(policy(**spec, guardrails=guards))
    await rounds(stage, 10)
    assert await replicas(stage) == 1
    await simulation.mend()
    await stage.until(lambda: _more(stage, "web", 1), "more replicas")
    await stage.until(lambda: _waits_for_history(stage), "runs still wait for history")


async def test_without_prometheus_the_forecast_is_flown_by(
    stage: Stage, audit: Audit, prometheus_factory: Callable[..., Prometheus], tmp_path: Path
) -> None:
    """Before a peak that comes each minute: up by the forecast where asked for, through a restart; never down."""
    now = float(int(time.time()))
    load = Diurnal(low=LOW, high=HIGH, period_seconds=PERIOD_SECONDS, peak_seconds=(now + 60.0) % PERIOD_SECONDS)
    services = [
        service(name, replicas=FEW, namespace=stage.namespace).model_copy(update={"arrivals": load})
        for name in ("flies", "holds")
    ]
    file = tmp_path / "history.om"
    with file.open("w") as out:
        backfill(Scenario(services=services), now - HISTORY_SECONDS, now - 1.0, 1.0, out, lambda _: fixed)
    prometheus = prometheus_factory(lookback_delta="10s", backfilled=[file])
    stage.prometheus_url, stage.targets_dir = prometheus.url, prometheus.targets_dir
    await play(stage, *services)
    await stage.apply(*(_flying(name, choice) for name, choice in (("flies", "FollowForecast"), ("holds", "Hold"))))
    operator = stage.operator()
    for name in ("flies", "holds"):
        await stage.told(name, "ForecastReliable", "True")
        await stage.until(lambda name=name: _at_most(stage, name, FEW), f"few replicas of {name}", 120.0)  # type: ignore[misc]  # the name of the loop, bound now
    prometheus.kill()
    operator.stop()
    before = {name: await replicas(stage, name) for name in ("flies", "holds")}
    stage.operator()

    async def blind() -> bool:
        told = await stage.condition("flies", "DataAvailable") or {"message": ""}
        return "Replicas fly blind, upwards only, by the last forecast until " in told["message"]

    await stage.until(blind, "the word that replicas fly blind", 90.0)
    await stage.until(lambda: _more(stage, "flies", before["flies"]), "more replicas by the forecast")
    events = [event for event in await stage.events("flies") if event["reason"] == "ScaledUpBlind"]
    assert "flies blind, as " in events[0]["message"]
    await stage.until(lambda: _landed(stage), "the end of what was foreseen", 120.0)
    held = await replicas(stage, "flies")
    await rounds(stage, 3)
    assert await replicas(stage, "flies") == held > before["flies"]
    assert await replicas(stage, "holds") == before["holds"]
    assert not [event for event in await stage.events("holds") if event["reason"] == "ScaledUpBlind"]


async def test_an_objective_that_cannot_be_scales_nothing(stage: Stage, audit: Audit) -> None:
    """A value of 1e12 is not known; one that is bad and can be is rescued from."""
    simulation = await play(stage, service(namespace=stage.namespace))
    objective = {"name": "restarts", "query": RESTARTS, "max": 5}
    await stage.apply(policy(objectives=[objective], horizontal=BOUNDS, vertical=None))
    stage.operator()
    await learned(stage, "web")
    await stage.told("web", "ObjectivesMet", "True")
    count = await replicas(stage)
    fault = {"kind": "absurd", "metric": "kube_pod_container_status_restarts_total"}
    fault["labels"] = {"namespace": stage.namespace}  # type: ignore[assignment]  # a fault is JSON
    await simulation.faults({"faults": [fault | {"value": 1e12}]})
    told = await stage.told("web", "ObjectivesMet", "Unknown")
    assert told["message"].startswith("restarts reads 1000000000000, which cannot be: ")
    await rounds(stage, 5)
    assert await replicas(stage) == count
    await simulation.faults({"faults": [fault | {"value": 100.0}]})
    await stage.told("web", "ObjectivesMet", "False", "Violated")
    await stage.until(lambda: _more(stage, "web", count), "replicas to the rescue")


async def _waits_for_history(stage: Stage) -> bool:
    told = await stage.condition("web", "DataAvailable")
    return told is not None and told["reason"] in ("Gaps", "ShortHistory")


def _flying(name: str, choice: str) -> JsonObject:
    return policy(
        name,
        objectives=None,
        vertical=None,
        horizontal=BOUNDS,
        analysis={"interval": "2s", "history": "10m"},
        forecast={"model": "Auto", "horizon": "80s"},
        guardrails={"onStaleData": choice},
    )


async def _at_most(stage: Stage, name: str, count: int) -> bool:
    return await replicas(stage, name) <= count


async def _more(stage: Stage, name: str, count: int) -> bool:
    return await replicas(stage, name) > count


async def _landed(stage: Stage) -> bool:
    told = await stage.condition("flies", "DataAvailable")
    return told is not None and "fly blind" not in told["message"]
