"""The live simulation against a real API server and a real Prometheus."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes import client, config

from trimtab.simulation.backfill import backfill
from trimtab.simulation.cluster import ClusterPicture, look
from trimtab.simulation.live import LiveSimulation, connect, live
from trimtab.simulation.plans import fixed
from trimtab.simulation.scenario import Scenario, manifest

pytestmark = pytest.mark.cluster

TEXT = """
services:
- name: shop
  namespace: NAMESPACE
  replicas: 3
  cpu: 500m
  arrivals: {kind: Constant, rate_per_second: 60}
  model: {startup_seconds: 1, requests_per_core: 100, idle_cpu_cores: 10m}
- name: stock
  namespace: NAMESPACE
  kind: StatefulSet
  replicas: 1
  arrivals: {kind: Constant, rate_per_second: 10}
  model: {startup_seconds: 1}
"""


@pytest.fixture
def scenario_file(tmp_path: Path, namespace: str) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(TEXT.replace("NAMESPACE", namespace))
    return path


@pytest.fixture
def apps(control_plane: Any) -> Iterator[Any]:
    with config.new_client_from_config(str(control_plane.kubeconfig)) as api:
        yield client.AppsV1Api(api)


def create(apps: Any, scenario: Scenario) -> None:
    for service in scenario.services:
        kinds = {"Deployment": apps.create_namespaced_deployment, "StatefulSet": apps.create_namespaced_stateful_set}
        kinds[service.kind](service.namespace, manifest(service))


async def eventually(holds: Callable[[], bool | Awaitable[bool]], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.1)


def serving(simulation: LiveSimulation, key: tuple[str, str]) -> int:
    return sum(pod.serving for pod in simulation.picture.services[key].pods.values())


def sizes(simulation: LiveSimulation, key: tuple[str, str]) -> set[float]:
    return {pod.cpu_limit_cores for pod in simulation.picture.services[key].pods.values() if pod.serving}


async def test_it_follows_real_workloads(control_plane: Any, namespace: str, apps: Any, scenario_file: Path) -> None:
    scenario = Scenario.read(scenario_file)
    shop, stock = (service.key for service in scenario.services)
    async with live(scenario, control_plane.kubeconfig) as simulation:
        create(apps, scenario)
        await eventually(lambda: (serving(simulation, shop), serving(simulation, stock)) == (3, 1))
        apps.patch_namespaced_deployment_scale("shop", namespace, {"spec": {"replicas": 1}})
        await eventually(lambda: serving(simulation, shop) == 1)
        resources = {"requests": {"cpu": "250m"}, "limits": {"cpu": "250m"}}
        template = {"spec": {"containers": [{"name": "app", "resources": resources}]}}
        apps.patch_namespaced_deployment("shop", namespace, {"spec": {"template": template}})
        await eventually(lambda: sizes(simulation, shop) == {0.25})
        apps.delete_namespaced_stateful_set("stock", namespace)
        await eventually(lambda: not simulation.picture.services[stock].pods)
        async with aiohttp.ClientSession() as http, http.get(f"http://{simulation.address}/metrics") as answer:
            text = await answer.text()
    assert f'kube_deployment_spec_replicas{{namespace="{namespace}",deployment="shop"}} 1' in text
    assert "kube_statefulset_replicas" not in text


async def test_it_ends_cleanly_and_is_discovered(
    control_plane: Any, apps: Any, scenario_file: Path, tmp_path: Path
) -> None:
    targets = tmp_path / "targets"
    targets.mkdir()
    create(apps, Scenario.read(scenario_file))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "trimtab.simulation", str(scenario_file), "--port", "0", "--targets-dir", str(targets)),
        *("--kubeconfig", str(control_plane.kubeconfig)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        address = (await asyncio.wait_for(process.stdout.readline(), 120)).decode().strip()
        (target,) = targets.glob("*.json")
        assert json.loads(target.read_text())[0]["targets"] == [address]
        async with aiohttp.ClientSession() as http, http.get(f"http://{address}/healthz") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
    assert list(targets.iterdir()) == []


class Prom:
    """A few instant queries."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url, self._http = url, http

    async def values(self, query: str, at: float | None = None) -> list[float]:
        parameters = {"query": query} | ({} if at is None else {"time": str(at)})
        async with self._http.get(f"{self._url}/api/v1/query", params=parameters) as answer:
            found = await answer.json()
        assert found["status"] == "success", found
        return [float(series["value"][1]) for series in found["data"]["result"]]

    async def value(self, query: str, at: float | None = None) -> float:
        (found,) = await self.values(query, at)
        return found


@asynccontextmanager
async def prometheus_queries(url: str) -> AsyncIterator[Prom]:
    async with aiohttp.ClientSession() as http:
        yield Prom(url, http)


async def test_history_and_live_metrics_join_in_prometheus(
    control_plane: Any,
    namespace: str,
    apps: Any,
    scenario_file: Path,
    tmp_path: Path,
    prometheus_factory: Callable[..., Any],
) -> None:
    scenario = Scenario.read(scenario_file)
    create(apps, scenario)
    picture = ClusterPicture(scenario)
    api = await connect(control_plane.kubeconfig)
    try:

        async def ready() -> bool:
            await look(picture, api, time.time())
            return all(
                [view.ready_at is not None for view in picture.of_service(service.key)] == [True] * service.replicas
                for service in scenario.services
            )

        await eventually(ready)
    finally:
        await api.close()
    pods = {service.key: picture.of_service(service.key) for service in scenario.services}
    file, now = tmp_path / "history.om", float(int(time.time()))
    with file.open("w") as out:
        backfill(scenario, now - 600, now, 5, out, lambda _: fixed, pods)
    prometheus = prometheus_factory(scrape_interval="1s", backfilled=[file])

    async with (
        live(scenario, control_plane.kubeconfig, targets_dir=prometheus.targets_dir),
        prometheus_queries(prometheus.url) as prom,
    ):
        of_shop = f'namespace="{namespace}",service="shop"'
        rate = f"sum(rate(http_requests_total{{{of_shop}}}[1m]))"
        p99 = f"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{{{of_shop}}}[1m])))"
        assert await prom.value(rate, now - 60) == pytest.approx(60, rel=0.01)
        expected = await prom.value(p99, now - 60)
        assert expected > 0.05

        async def live_is_seen() -> bool:
            return await prom.values(f"http_requests_total{{{of_shop}}} offset 10s < 1000 > 0") != []

        await eventually(live_is_seen)
        assert await prom.value(rate.replace("1m", "10s")) == pytest.approx(60, rel=0.1)
        assert await prom.value(p99.replace("1m", "10s")) == pytest.approx(expected, rel=0.1)
        cpu = f'rate(container_cpu_usage_seconds_total{{namespace="{namespace}",pod=~"shop-.*"}}[10s])'
        per_pod = f"{cpu} * on (namespace, pod) group_left (owner_name) kube_pod_owner"
        for moment in (now - 60, time.time()):
            assert await prom.values(per_pod, moment) == pytest.approx([0.01 + 60 / 3 / 100] * 3, rel=0.1)
