"""A verdict needs a change that took place: what cannot roll out is undone with the API server's reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    CPU,
    GOOD_CPU,
    GOOD_REPLICAS,
    REPLICAS,
    learned,
    own_run,
    phases,
    play,
    policy,
    replicas,
    resources,
    service,
    to_cpu,
    to_replicas,
    verdict,
)
from trimtab.adapters.kube import JsonObject
from trimtab.domain.status_types import format_time, parse_time
from trimtab.simulation.scenario import SimulatedService, manifest

pytestmark = pytest.mark.cluster

DEADLINE: Any = {"progressDeadlineSeconds": 8}
"""Seconds that a rollout may stand still, where nothing says sooner that it cannot go on."""
SETTLE = {"settle": "4s"}
LARGER, HUGE = "1400m", "100"
NODES = 3


async def deploy(stage: Stage, made: SimulatedService, pod: JsonObject | None = None, **spec: Any) -> None:
    """A service whose workload has more in its spec, and in its pods', than others."""
    body = manifest(made)
    body["spec"].update(spec)
    body["spec"]["template"]["spec"].update(pod or {})
    await stage.apply(body)


def why(run: JsonObject) -> str:
    """What the verdict says."""
    return str((run["status"].get("verdict") or {}).get("message", ""))


def assert_undone(run: JsonObject, result: str = "Fail", *, remedy: str = "") -> None:
    """The run failed, was taken back, and was never measured; with a remedy the spec was taken back, not the pods."""
    status = run["status"]
    rollback = status["rollback"]
    assert (status["phase"], verdict(run), rollback["restored"]) == ("RolledBack", result, not remedy), why(run)
    if remedy:
        assert rollback["reason"].startswith(f"{why(run)}; ")
        assert remedy in rollback["notRestored"][0]
    else:
        assert rollback["reason"] == why(run)
    assert not status.get("measurements")
    assert "completeAt" not in status["applied"]


async def test_a_size_that_quota_or_limit_range_forbid_is_undone(stage: Stage) -> None:
    """The quota has room for all pods of one core and a fifth more, which is less than a pod of the new size needs.

    The other workload gives up none of its pods before it has new ones, so that its rollout makes no room.
    """
    made = [service(name, namespace=stage.namespace) for name in ("quota", "limited")]
    await deploy(stage, made[0])
    await deploy(stage, made[1], strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}})
    await play(stage, *made, deploy=False)
    for one in made:
        await all_ready(stage, one.name)
    hard = {"limits.cpu": "8200m"}
    await stage.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": hard}},
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "small"},
            "spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]},
        },
        *(policy(one.name, validation=SETTLE) for one in made),
    )
    stage.operator()
    await learned(stage, "quota", "limited")
    await stage.create_run("quota", "quota", changes=to_cpu(LARGER))
    await stage.create_run("limited", "limited", changes=to_cpu("2500m"))
    quota, limited = await stage.settled("quota"), await stage.settled("limited")

    assert_undone(quota)
    assert "0 of 4 pods run the change" in why(quota)
    assert "FailedCreate" in why(quota)
    assert "exceeded quota: full" in why(quota)
    assert_undone(limited)
    assert "maximum cpu usage per Container is 2" in why(limited)
    for name in ("quota", "limited"):
        assert (await resources(stage, name))["limits"]["cpu"] == CPU
        await all_ready(stage, name)
    told = [event for event in await stage.events("quota") if event["reason"] == "RolledBack"]
    assert "exceeded quota" in told[0]["message"]


async def test_what_no_node_takes_is_undone(stage: Stage) -> None:
    """A size that no node has, and a count for which there are not enough nodes."""
    made = [service("big", namespace=stage.namespace), service("apart", replicas=NODES, namespace=stage.namespace)]
    await deploy(stage, made[0], **DEADLINE)
    labels = {"matchLabels": {"app.kubernetes.io/name": "apart"}}
    apart = [{"labelSelector": labels, "topologyKey": "kubernetes.io/hostname"}]
    affinity: JsonObject = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}}}
    await deploy(stage, made[1], affinity, **DEADLINE)
    await play(stage, *made, deploy=False)
    await stage.apply(*(policy(one.name, validation=SETTLE) for one in made))
    stage.operator()
    await learned(stage, "big", "apart")
    await stage.create_run("big", "big", changes=to_cpu(HUGE))
    await stage.create_run("apart", "apart", changes=to_replicas(NODES + 2))
    big, few = await stage.settled("big"), await stage.settled("apart")

    assert_undone(big)
    assert "Unschedulable" in why(big)
    assert "Insufficient cpu" in why(big)
    assert (await resources(stage, "big"))["limits"]["cpu"] == CPU
    assert_undone(few)
    assert "5 pods of 5 are there, 3 are ready" in why(few)
    assert "anti-affinity" in why(few)
    assert await replicas(stage, "apart") == NODES


async def test_what_would_not_roll_out_is_not_started(stage: Stage) -> None:
    made = [
        service("paused", namespace=stage.namespace),
        service("ondelete", kind="StatefulSet", namespace=stage.namespace),
        service("parted", kind="StatefulSet", namespace=stage.namespace),
    ]
    await deploy(stage, made[0])
    await deploy(stage, made[1], updateStrategy={"type": "OnDelete"})
    await deploy(stage, made[2], updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
    await play(stage, *made, deploy=False)
    await all_ready(stage, "paused")
    await stage.kubectl("rollout", "pause", "deployment/paused")
    await stage.apply(*(policy(one.name, kind=one.kind) for one in made))
    stage.operator()
    await learned(stage, *(one.name for one in made))
    for one in made:
        await stage.create_run(f"{one.name}-cpu", one.name, changes=to_cpu(GOOD_CPU))
    await stage.create_run("paused-replicas", "paused", changes=to_replicas(GOOD_REPLICAS))
    for name, said in {
        "paused-cpu": "kubectl rollout resume deployment/paused",
        "paused-replicas": "kubectl rollout resume deployment/paused",
        "ondelete-cpu": "updateStrategy OnDelete",
        "parted-cpu": "partition of 2",
    }.items():
        run = await stage.settled(name)
        assert run["status"]["phase"] == "Rejected", name
        assert said in run["status"]["timeline"][-1]["reason"]
        assert "applied" not in run["status"]

    await stage.create_run("ondelete-replicas", "ondelete", changes=to_replicas(GOOD_REPLICAS))
    run = await stage.settled("ondelete-replicas")
    assert (run["status"]["phase"], verdict(run)) == ("Succeeded", "Pass"), "a count changes whatever the strategy"


async def test_paused_in_mid_trial_it_is_inconclusive_and_undone(stage: Stage) -> None:
    """Kept or not where a trial is inconclusive: what did not take place is not kept."""
    made = service(namespace=stage.namespace, startup_seconds=20.0)
    await play(stage, made)
    await stage.apply(policy(validation={"onInconclusive": "Keep"}))
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("try", "web", changes=to_cpu(GOOD_CPU))
    await stage.in_phase("try", ["Settling"])
    await stage.kubectl("rollout", "pause", "deployment/web")
    run = await stage.settled("try")
    assert_undone(run, "Inconclusive", remedy="kubectl rollout resume deployment/web")
    assert "is paused" in why(run)
    assert (await resources(stage))["limits"]["cpu"] == CPU


async def all_pods_die(stage: Stage, name: str) -> None:
    """All pods are gone, and none may be made again."""
    hard = {"count/pods": "0"}
    await stage.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no"}, "spec": {"hard": hard}})
    await stage.kubectl("delete", "pods", "-l", f"app.kubernetes.io/name={name}", "--wait=false")


async def one_pod_is_lost(stage: Stage, name: str) -> None:
    """One pod is gone, and none may be made in its place."""
    hard = {"count/pods": str(REPLICAS - 1)}
    await stage.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no"}, "spec": {"hard": hard}})
    selector = f"app.kubernetes.io/name={name}"
    pods = await stage.kube.list(f"/api/v1/namespaces/{stage.namespace}/pods", labelSelector=selector)
    await stage.kubectl("delete", "pod", pods[0]["metadata"]["name"], "--wait=false")


def container_ends(reason: str, exit_code: int, run: str = "try") -> Callable[[Stage, str], Awaitable[None]]:
    """One container of one pod ends, and is started again."""

    async def end(stage: Stage, name: str) -> None:
        path = f"/api/v1/namespaces/{stage.namespace}/pods"
        pod = (await stage.kube.list(path, labelSelector=f"app.kubernetes.io/name={name}"))[0]
        applied = (await stage.run(run))["status"]["applied"]
        at = format_time(parse_time(applied["completeAt"]))
        ended = {"reason": reason, "exitCode": exit_code, "startedAt": at, "finishedAt": at}
        statuses = [{**pod["status"]["containerStatuses"][0], "restartCount": 1, "lastState": {"terminated": ended}}]
        await stage.kube.merge_patch(
            f"{path}/{pod['metadata']['name']}/status", {"status": {"containerStatuses": statuses}}
        )

    return end


@pytest.mark.parametrize(
    ("happens", "guard", "said"),
    [
        pytest.param(all_pods_die, "readyReplicas", "none of 4 replicas is ready", id="all-pods-die"),
        pytest.param(one_pod_is_lost, "readyReplicas", "3 of 4 replicas are ready, for ", id="one-pod-is-lost"),
        pytest.param(container_ends("OOMKilled", 137), "restarts", "killed for memory (OOMKilled)", id="oom"),
        pytest.param(container_ends("Error", 3), "restarts", "exit code 3", id="restart"),
    ],
)
async def test_what_befalls_the_pods_in_mid_trial_fails_it(
    stage: Stage, happens: Callable[[Stage, str], Awaitable[None]], guard: str, said: str
) -> None:
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(validation={"duration": "120s"}))
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("try", "web", changes=to_cpu(GOOD_CPU))
    await stage.in_phase("try", ["Validating"])
    await happens(stage, "web")
    run = await stage.settled("try")
    assert (run["status"]["phase"], verdict(run)) == ("RolledBack", "Fail")
    assert why(run).startswith(f"guard {guard}: ")
    assert said in why(run)
    assert run["status"]["rollback"]["restored"]
    assert (await resources(stage))["limits"]["cpu"] == CPU


async def test_restarted_between_completion_and_first_sample_it_measures_at_the_same_times(stage: Stage) -> None:
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(validation={"settle": "10s"}))
    operator = stage.operator()
    await learned(stage, "web")
    await stage.create_run("try", "web", changes=to_cpu(GOOD_CPU))

    async def complete() -> JsonObject | None:
        applied = ((await stage.run("try")).get("status") or {}).get("applied") or {}
        return applied if "completeAt" in applied else None

    recorded = await stage.until(complete, "the change to be complete")
    operator.kill()
    assert (await stage.run("try"))["status"]["phase"] == "Settling"
    body = await stage.workload("web")
    assert body["status"]["updatedReplicas"] == body["status"]["availableReplicas"] == REPLICAS
    stage.operator()
    run = await stage.settled("try")
    assert (run["status"]["phase"], verdict(run)) == ("Succeeded", "Pass")
    assert run["status"]["applied"] == recorded, "times are fixed once"
    first, step = parse_time(recorded["validateFrom"]), recorded["validateIntervalSeconds"]
    assert first >= parse_time(recorded["completeAt"]) + 10, "settled"
    times = [first + index * step for index in range(recorded["measurements"])]
    assert [parse_time(one["at"]) for one in run["status"]["measurements"]] == times
    assert phases(run) == ["Applying", "Settling", "Validating", "Succeeded"]


async def test_no_traffic_is_no_proof_where_the_forecast_expects_some(stage: Stage) -> None:
    """Requests stop when the change is complete, and every pod is ready."""
    simulation = await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(forecast={"model": "Auto"}))
    stage.operator()
    await learned(stage, "web")
    await stage.told("web", "ForecastReliable", "True")
    await stage.create_run("try", "web", changes=to_cpu(GOOD_CPU))
    await stage.in_phase("try", ["Settling"])
    families = ("http_requests_total", "http_request_duration_seconds")
    stopped = [{"kind": "absurd", "metric": family, "labels": {"service": "web"}, "value": 1.0} for family in families]
    await simulation.faults({"faults": stopped})
    run = await stage.settled("try")
    assert float(run["status"]["plan"]["predicted"]["leastLoad"]) > 50
    assert (run["status"]["phase"], verdict(run)) == ("RolledBack", "Inconclusive")
    assert "no traffic in" in why(run)
    assert "where the forecast made before the change expects some" in why(run)
    assert (await resources(stage))["limits"]["cpu"] == CPU


async def test_without_objectives_nothing_is_tried_but_under_guards(stage: Stage) -> None:
    """Both services run on four times the CPU that they need; a person's run is judged by guards, and says so."""
    made = [service(name, rate=40.0, cliff=None, namespace=stage.namespace) for name in ("none", "guards")]
    await play(stage, *made)
    free: Any = {"objectives": None, "vertical": {}}
    guarded: Any = {"validation": {"withoutObjectives": "GuardsOnly"}}
    await stage.apply(policy("none", **free), policy("guards", **free, **guarded))
    stage.operator()
    await learned(stage, "none", "guards")
    own = await stage.settled(await own_run(stage, "guards"))
    only_guards = "no objectives were asked, only the guards (readyReplicas, restarts, cpuThrottling), and none failed"
    assert (own["status"]["phase"], verdict(own), why(own)) == ("Succeeded", "Pass", only_guards)
    told = await stage.told("none", "Progressing", "False", "NoObjectives")
    assert "withoutObjectives" in told["message"]
    assert not await stage.runs("none")
    await stage.create_run("try", "none", changes=to_cpu(GOOD_CPU))
    run = await stage.settled("try")
    assert (run["status"]["phase"], verdict(run), why(run)) == ("Succeeded", "Pass", only_guards)


async def all_ready(stage: Stage, name: str) -> None:
    """Wait until all pods of a Deployment are ready."""

    async def look() -> bool:
        return bool((await stage.workload(name))["status"].get("readyReplicas", 0) == REPLICAS)

    await stage.until(look, f"{REPLICAS} ready pods of {name}")
