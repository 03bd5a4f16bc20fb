"""Another cluster's workload of the same name in one Prometheus (gocrane/crane#628); queries of other namespaces."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

from cluster.prometheus import Prometheus
from demo.stage import Stage
from tests.operator.acting import learned, policy, replicas, rounds, service
from tests.operator.audit import Audit
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.scenario import Scenario, manifest

pytestmark = pytest.mark.cluster

REPLICAS: Final = 6
FOREIGN_CORES: Final = 8.0
FOREIGN_PODS: Final = ("web-7c9f8d6b5-bcdfg", "web-7c9f8d6b5-hjklm", "web-7c9f8d6b5-nqrst")
BOUNDS: JsonObject = {"minReplicas": 2, "maxReplicas": 12, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}


def foreign_metrics(namespace: str, began: float) -> str:
    """What cAdvisor and kube-state-metrics of another cluster say of its own ``web``."""
    used = (time.time() - began) * FOREIGN_CORES / len(FOREIGN_PODS)
    lines = []
    for pod in FOREIGN_PODS:
        name = f'namespace="{namespace}",pod="{pod}"'
        told, app = f'{name},uid="u-{pod}"', f'{name},container="app",image="r/app"'
        lines += [
            f"container_cpu_usage_seconds_total{{{app}}} {used}",
            f"container_memory_working_set_bytes{{{app}}} 2e8",
            f'kube_pod_owner{{{told},owner_kind="ReplicaSet",owner_name="web-7c9f8d6b5"}} 1',
            f'kube_pod_status_ready{{{told},condition="true"}} 1',
            f'kube_pod_container_resource_limits{{{told},container="app",resource="cpu",unit="core"}} 4',
        ]
    owner = 'owner_kind="Deployment",owner_name="web"'
    deployment = f'namespace="{namespace}",deployment="web"'
    lines += [
        f'kube_replicaset_owner{{namespace="{namespace}",replicaset="web-7c9f8d6b5",{owner}}} 1',
        f"kube_deployment_spec_replicas{{{deployment}}} 3",
        f"kube_deployment_status_replicas_ready{{{deployment}}} 3",
    ]
    return "\n".join(lines) + "\n"


@contextmanager
def another_cluster(namespace: str, targets_dir: Path) -> Iterator[None]:
    """Its metrics, scraped by the same Prometheus under a label of its own."""
    began = time.time()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = foreign_metrics(namespace, began).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Stays silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    target = targets_dir / f"other-{namespace}.json"
    address = f"127.0.0.1:{server.server_port}"
    target.write_text(json.dumps([{"targets": [address], "labels": {"cluster": "us-1"}}]))
    try:
        yield
    finally:
        target.unlink()
        server.shutdown()
        server.server_close()
        thread.join()


def label_targets(targets_dir: Path, address: str, cluster: str) -> None:
    """Have Prometheus add a label to what it scrapes at an address."""
    for file in targets_dir.glob("*.json"):
        groups = json.loads(file.read_text())
        if any(address in group["targets"] for group in groups):
            labelled = [{**group, "labels": {**group["labels"], "cluster": cluster}} for group in groups]
            file.write_text(json.dumps(labelled))


async def test_another_cluster_is_not_added_up(
    stage: Stage, audit: Audit, prometheus_factory: Callable[..., Prometheus]
) -> None:
    """Without a label nothing is done, and it is named; with the label our own cluster alone counts."""
    prometheus = prometheus_factory(lookback_delta="5s")
    stage.prometheus_url, stage.targets_dir = prometheus.url, prometheus.targets_dir
    web = service("web", rate=330.0, replicas=REPLICAS, namespace=stage.namespace)
    await stage.apply(manifest(web))
    simulation = await stage.simulate(Scenario(services=[web]), in_thread=True)
    label_targets(prometheus.targets_dir, simulation.address, "eu-1")
    with another_cluster(stage.namespace, prometheus.targets_dir):
        await stage.apply(policy(metrics=None, objectives=None, vertical=None, horizontal=BOUNDS))
        operator = stage.operator()
        told = await stage.told("web", "DataAvailable", "False", "SeveralClusters")
        assert "told apart by the label cluster: eu-1, us-1" in told["message"]
        assert "--metric-label cluster=eu-1" in told["message"]
        await rounds(stage, 3)
        report = json.loads(await _analyzed(stage))
        (entry,) = report["workloads"]
        assert entry["state"] == "NoData"
        assert "told apart by the label cluster: eu-1, us-1" in entry["message"]
        assert audit.writes() == []
        operator.stop()

        stage.operator(options=("--metric-label", "cluster=eu-1"))
        await learned(stage, "web")
        await rounds(stage, 5)
        assert await replicas(stage) == REPLICAS
        report = json.loads(await _analyzed(stage, "--metric-label", "cluster=eu-1"))
        (entry,) = report["workloads"]
        assert entry["replicas"] == REPLICAS
        assert entry["demand"]["now"] == pytest.approx(3.3, rel=0.3)
    assert audit.writes() == []


async def test_a_query_of_another_namespace_needs_leave(stage: Stage, audit: Audit) -> None:
    """Metrics of an ingress stand in its own namespace: the operator says which may be named."""
    load = {"query": f'sum(rate(http_requests_total{{namespace="{stage.namespace}-x",service="$target"}}[$window]))'}
    web = service("web", namespace=f"{stage.namespace}-x")
    own = service("web", namespace=stage.namespace)
    await stage.apply(manifest(own))
    await stage.simulate(Scenario(services=[web, own]), in_thread=True)
    await stage.apply(policy(metrics={"load": load}))
    operator = stage.operator()
    told = await stage.told("web", "Ready", "False", "InvalidSpec")
    assert told["message"] == (
        f'spec.metrics.load.query: reads namespace="{stage.namespace}-x", and the policy is in {stage.namespace};'
        f' write namespace="$namespace", or have the operator run with --allow-foreign-namespaces {stage.namespace}-x'
    )
    operator.stop()
    stage.operator(options=("--allow-foreign-namespaces", f"{stage.namespace}-x"))
    await stage.until(lambda: _not_invalid(stage), "a policy whose query may be sent")
    assert audit.writes() == []


async def _not_invalid(stage: Stage) -> bool | None:
    ready = await stage.condition("web", "Ready")
    return True if ready is not None and ready["reason"] != "InvalidSpec" else None


async def _analyzed(stage: Stage, *options: str) -> str:
    """The report of `trimtab analyze` on this namespace."""
    span = ("--history", "10m", "--step", "2s", "--horizon", "1m", "--scrape-interval", "1s", "--workers", "0")
    return await stage.trimtab("analyze", "--prometheus-url", stage.prometheus_url, "--format", "json", *span, *options)
