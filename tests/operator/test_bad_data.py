"""Missing, empty, stale, NaN or absurd metrics start no change and end a trial as the policy says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cluster.prometheus import Prometheus
from demo.stage import Simulation, Stage
from tests.operator.acting import (
    BAD_REPLICAS,
    GOOD_REPLICAS,
    LOAD,
    REPLICAS,
    SELECTOR,
    learned,
    play,
    policy,
    replicas,
    rounds,
    service,
    to_replicas,
    verdict,
)
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.scenario import SimulatedService

pytestmark = pytest.mark.cluster

FEW, MANY = 2, 6
"""Too few replicas for 150 requests/s, and too many for 50."""
BOUNDS: JsonObject = {"minReplicas": 1, "maxReplicas": 10}
RESTARTS = 'max(kube_pod_container_status_restarts_total{namespace="$namespace",pod=~"$pods"})'


def following(name: str, namespace: str) -> SimulatedService:
    """A service whose replicas must be raised at once."""
    return service(name, rate=150.0, replicas=FEW, namespace=namespace)


def planning(name: str, namespace: str) -> SimulatedService:
    """A service that a run makes cheaper."""
    return service(name, rate=50.0, replicas=MANY, namespace=namespace)


def acting_policy(name: str, *, follow: bool, **spec: Any) -> JsonObject:
    """A policy that acts as soon as it sees what the service needs."""
    return policy(name, horizontal=BOUNDS | {"follow": follow}, vertical=None, **spec)


async def test_no_prometheus_no_change(
    stage: Stage, audit: Audit, prometheus_factory: Callable[..., Prometheus]
) -> None:
    """It is not there when the operator starts and does not come."""
    nowhere = prometheus_factory()
    nowhere.stop()
    await play(stage, following("follows", stage.namespace), planning("plans", stage.namespace))
    await stage.apply(acting_policy("follows", follow=True), acting_policy("plans", follow=False))
    stage.operator(prometheus_url=nowhere.url)
    for name in ("follows", "plans"):
        told = await stage.told(name, "DataAvailable", "False", "NoData")
        assert f"load: Prometheus at {nowhere.url.removeprefix('http://')} cannot be reached: " in told["message"]
        ready = await stage.told(name, "Ready", "True", "Auto")
        assert ready["message"] == f"nothing is changed: {told['message']}"
        assert (await stage.policy(name))["status"]["summary"]["status"] == "NoData"
        events = {event["reason"]: event["message"] for event in await stage.events(name)}
        assert events["NoUsableData"] == told["message"]
    await stage.create_run("asked", "plans", changes=to_replicas(FEW))
    asked = await stage.settled("asked")
    assert asked["status"]["phase"] == "Rejected"
    assert "data: load: Prometheus at" in asked["status"]["timeline"][-1]["reason"]
    await rounds(stage, 5)

    assert [run["metadata"]["name"] for run in await stage.runs()] == ["asked"]
    assert audit.writes() == []


SOUND = "sound"
"""Nothing is wrong with it: shows that the others would act."""
LOAD_FAULTS = {"empty": "Stale", "nan": "Stale", "absurd": "Absurd"}
"""Reason that each fault of the load is told by in the end."""


@pytest.mark.parametrize(
    "reasons", [pytest.param(LOAD_FAULTS, id="empty-nan-absurd"), pytest.param({"stale": "Stale"}, id="stale")]
)
async def test_bad_metrics_start_no_change(stage: Stage, audit: Audit, reasons: dict[str, str]) -> None:
    """Each fault on services of their own; all act once it is mended."""
    kinds = [*reasons, *([SOUND] if "stale" not in reasons else [])]
    simulation = await play(
        stage,
        *(following(f"{kind}-follows", stage.namespace) for kind in kinds),
        *(planning(f"{kind}-plans", stage.namespace) for kind in kinds),
    )
    await stage.apply(*_policies(kinds, paused=True))
    stage.operator()
    names = [f"{kind}-{what}" for kind in kinds for what in ("follows", "plans")]
    await learned(stage, *names)
    await simulation.faults({"faults": [fault for kind in reasons for fault in _faults(kind, stage.namespace)]})
    spoiled = {name: reasons[name.split("-")[0]] for name in names if not name.startswith(SOUND)}
    for name, reason in spoiled.items():
        await stage.told(name, "DataAvailable", "False", reason)
    await stage.apply(*_policies(kinds, paused=False))
    for name in spoiled:
        await stage.in_state(name, "NoData")
    if SOUND in kinds:
        await _all_act(stage, [SOUND])
    await rounds(stage, 3)
    for name, reason in spoiled.items():
        told = await stage.told(name, "DataAvailable", "False", reason)
        assert "1e+18" in told["message"] if reason == "Absurd" else "old; the limit is 10s" in told["message"]
    assert {name for name, _ in audit.done()} == {name for name in names if name.startswith(SOUND)}
    assert {run["spec"]["policyRef"]["name"] for run in await stage.runs()} <= {f"{SOUND}-plans"}

    await simulation.mend()
    await _all_act(stage, kinds)


def _policies(kinds: list[str], *, paused: bool) -> list[JsonObject]:
    return [_policy(kind, what, paused) for kind in kinds for what in ("follows", "plans")]


def _policy(kind: str, what: str, paused: bool) -> JsonObject:
    load = {"query": LOAD, "targetLabel": "service", "unit": "requests/s"}
    if kind == "absurd":  # a counter that stands still at an absurd value shows a rate of 0
        load = {"query": f"sum(rate(http_requests_total{SELECTOR}[$window])) + {RESTARTS}"}
    return acting_policy(
        f"{kind}-{what}",
        follow=what == "follows",
        paused=paused,
        guardrails={"maxDataAge": "10s"},
        metrics={"load": load},
        validation={"duration": "300s"},
    )


def _faults(kind: str, namespace: str) -> list[JsonObject]:
    if kind == "stale":
        return [{"kind": kind}]
    if kind == "absurd":
        metric = "kube_pod_container_status_restarts_total"
        return [{"kind": kind, "metric": metric, "labels": {"namespace": namespace}}]
    return [
        {"kind": kind, "metric": "http_requests_total", "labels": {"namespace": namespace, "service": f"{kind}-{what}"}}
        for what in ("follows", "plans")
    ]


async def _all_act(stage: Stage, kinds: list[str]) -> None:
    """Wait until the followed have more replicas and the planned fewer, in measure."""

    async def look(kind: str) -> tuple[int, int] | None:
        raised, lowered = await replicas(stage, f"{kind}-follows"), await replicas(stage, f"{kind}-plans")
        return (raised, lowered) if raised != FEW and lowered != MANY else None

    for kind in kinds:
        raised, lowered = await stage.until(lambda kind=kind: look(kind), f"changes for {kind}", 90.0)  # type: ignore[misc]  # the name of the loop, bound now
        assert (raised, lowered) == (3, 3), kind


async def metrics_gone(simulation: Simulation, prometheus: Prometheus) -> None:
    """Prometheus answers, and has nothing new to say."""
    await simulation.faults({"faults": [{"kind": "stale"}]})


async def prometheus_gone(simulation: Simulation, prometheus: Prometheus) -> None:
    """Nobody answers."""
    prometheus.kill()


@pytest.mark.parametrize(
    "gone", [pytest.param(metrics_gone, id="metrics-gone"), pytest.param(prometheus_gone, id="prometheus-gone")]
)
async def test_a_trial_without_data_ends_as_the_policy_says(
    stage: Stage,
    audit: Audit,
    prometheus_factory: Callable[..., Prometheus],
    gone: Callable[[Simulation, Prometheus], Awaitable[None]],
) -> None:
    """A good change each; what is done without evidence is the policy's to say."""
    prometheus = _own_prometheus(stage, prometheus_factory)
    ends = {"rollback": ("Rollback", "RolledBack", REPLICAS), "keep": ("Keep", "Succeeded", GOOD_REPLICAS)}
    simulation = await play(stage, *(service(name, namespace=stage.namespace) for name in ends))
    trial = {"duration": "24s", "consecutiveErrorLimit": 1}
    await stage.apply(
        *(policy(name, validation=trial | {"onInconclusive": choice}) for name, (choice, *_) in ends.items())
    )
    stage.operator()
    await learned(stage, *ends)
    for name in ends:
        await stage.create_run(name, name, changes=to_replicas(GOOD_REPLICAS))
    for name in ends:
        await stage.in_phase(name, ["Validating"])
    await gone(simulation, prometheus)

    for name, (_, phase, count) in ends.items():
        run = await stage.settled(name)
        assert (run["status"]["phase"], verdict(run)) == (phase, "Inconclusive")
        assert "latency-p99: " in run["status"]["verdict"]["message"]
        assert (run["status"].get("rollback") or {}).get("restored", False) == (phase == "RolledBack")
        assert await replicas(stage, name) == count
        await stage.told(name, "DataAvailable", "False")
    assert audit.done() == Counter({("rollback", "deployments/scale"): 2, ("keep", "deployments/scale"): 1})


async def test_a_prometheus_that_comes_back(
    stage: Stage, audit: Audit, prometheus_factory: Callable[..., Prometheus]
) -> None:
    """The verdict is reached on the samples that there are; none is made up for the time without."""
    prometheus = _own_prometheus(stage, prometheus_factory)
    await play(stage, *(service(name, namespace=stage.namespace) for name in ("good", "bad")))
    trial = {"duration": "48s", "consecutiveErrorLimit": 8}
    await stage.apply(*(policy(name, validation=trial) for name in ("good", "bad")))
    stage.operator()
    await learned(stage, "good", "bad")
    for name, count in {"good": GOOD_REPLICAS, "bad": BAD_REPLICAS}.items():
        await stage.create_run(name, name, changes=to_replicas(count))
    for name in ("good", "bad"):
        await stage.in_phase(name, ["Settling"])
    prometheus.kill()
    for name in ("good", "bad"):
        await stage.in_phase(name, ["Validating"])
        await stage.told(name, "DataAvailable", "False")
    await rounds(stage, 3)
    assert {name: verdict(await stage.run(name)) for name in ("good", "bad")} == {"good": "", "bad": ""}
    prometheus.start()
    good, bad = await stage.settled("good"), await stage.settled("bad")

    results = Counter(_results(good))
    assert (good["status"]["phase"], verdict(good)) == ("Succeeded", "Pass")
    assert set(results) == {"Pass", "Error"}
    assert results.total() == 12
    assert (bad["status"]["phase"], verdict(bad)) == ("RolledBack", "Fail")
    assert bad["status"]["rollback"]["restored"]
    assert await replicas(stage, "good") == GOOD_REPLICAS
    assert await replicas(stage, "bad") == REPLICAS
    assert audit.done() == Counter({("good", "deployments/scale"): 1, ("bad", "deployments/scale"): 2})


def _own_prometheus(stage: Stage, factory: Callable[..., Prometheus]) -> Prometheus:
    """One for this test alone, which scrapes its simulation and answers its operator."""
    made = factory(lookback_delta="5s")
    stage.prometheus_url, stage.targets_dir = made.url, made.targets_dir
    return made


def _results(run: JsonObject) -> list[str]:
    """What each measurement of the objective came to."""
    return [one["result"] for one in run["status"]["measurements"]]
