"""Setting the stage: a control plane, the chart's rights, workloads, days of history, and a Prometheus with them."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from cluster.build import ensure
from cluster.control_plane import ControlPlane
from cluster.errors import ClusterError
from cluster.prometheus import Prometheus
from demo.stage import Stage
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.arrivals import Pause, Paused
from trimtab.simulation.backfill import LivePods, backfill
from trimtab.simulation.cluster import ClusterPicture, look
from trimtab.simulation.live import connect
from trimtab.simulation.plans import fixed
from trimtab.simulation.scenario import Scenario

Step = Callable[[str], AbstractContextManager[None]]
"""Shows a step of the preparation while it lasts."""

_CHART: Final = Path(__file__).parents[1] / "helm" / "trimtab"
_SYSTEM_NAMESPACE, _SERVICE_ACCOUNT = "trimtab-system", "trimtab"
_INSTALLED: Final = ("CustomResourceDefinition", "ServiceAccount", "Role", "RoleBinding")
OPERATOR_USER: Final = f"system:serviceaccount:{_SYSTEM_NAMESPACE}:{_SERVICE_ACCOUNT}"
"""Who the operator is to the API server: the account of its Helm chart, with the rights that the chart gives it."""

_AHEAD_SECONDS, _AHEAD_SHARE = 10.0, 2.2
"""History reaches this far ahead of the moment at which it is written, so that what is scraped follows without a gap:
by what the machine needed so far, times a share, and no less than the seconds."""
_STEP_SECONDS: Final = 1.0
_OPERATOR_STARTS_SECONDS: Final = 4.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What the story is played on."""

    stage: Stage
    audit_log: Path
    scenario: Scenario
    begins_at: float
    """Unix time at which the history ends and life begins."""
    history_samples: int


@asynccontextmanager
async def setting(
    folder: Path,
    namespace: str,
    history_seconds: float,
    make_scenario: Callable[[float], Scenario],
    policies: Sequence[JsonObject],
    step: Step,
) -> AsyncIterator[Setting]:
    """A stage with services under load and their policies, all but the operator; every process ends with it.

    ``make_scenario`` gets the time at which life begins. Raises ClusterError or StageError when something does not
    come up.
    """
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        with step("etcd, API server, controllers, three simulated nodes"):
            ensure()
            plane = stack.enter_context(ControlPlane(nodes=3, startup_seconds=1.0))
        prometheus_folder = plane.state_dir / "prometheus"
        stage = Stage(folder, plane.kubeconfig, namespace, "", prometheus_folder / "targets")
        await stack.enter_async_context(stage)
        with step("CRDs and rights from the Helm chart, workloads, policies"):
            await stage.kubectl("create", "namespace", namespace)
            await stage.kubectl("create", "namespace", _SYSTEM_NAMESPACE)
            for place, objects in _chart_objects(namespace).items():
                await stage.kubectl("apply", "-n", place, "-f", "-", given=yaml.safe_dump_all(objects))
            stage.switch_namespace = _SYSTEM_NAMESPACE
            stage.operator_kubeconfig = plane.service_account_kubeconfig(_SYSTEM_NAMESPACE, _SERVICE_ACCOUNT)
            await stage.deploy(make_scenario(0.0))
            await stage.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
            await stage.apply(*policies)
        with step("days of history, backfilled by promtool"):
            begins_at = math.ceil(time.time() + max(_AHEAD_SECONDS, _AHEAD_SHARE * (time.monotonic() - started)))
            scenario = make_scenario(float(begins_at))
            history = plane.state_dir / "history.om"
            samples = await _write_history(history, scenario, plane.kubeconfig, begins_at - history_seconds, begins_at)
            prometheus = Prometheus(prometheus_folder, lookback_delta="10s", backfilled=[history])
            stack.enter_context(prometheus)
            history.unlink()
            stage.prometheus_url = prometheus.url
        with step("services under load, from where the history ends"):
            await stage.simulate(_silent_until(scenario, begins_at))
            await stage.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s")
            await asyncio.sleep(max(0.0, begins_at - _OPERATOR_STARTS_SECONDS - time.time()))
        yield Setting(stage, plane.audit_log, scenario, begins_at, samples)


def _silent_until(scenario: Scenario, begins_at: float) -> Scenario:
    """The same without any load before life begins, so that no request is counted that history has already."""
    services = []
    for service in scenario.services:
        pause = Pause(begin_seconds=0.0, duration_seconds=begins_at - scenario.origin)
        services.append(service.model_copy(update={"arrivals": Paused(of=service.arrivals, pauses=[pause])}))
    return scenario.model_copy(update={"services": services})


def _chart_objects(namespace: str) -> dict[str, list[JsonObject]]:
    """Definitions and rights that the operator's chart installs to look after one namespace, by where they belong."""
    helm = ensure(["helm"])["helm"]
    values = yaml.safe_dump({"watchNamespaces": [namespace]})
    command = [str(helm), "template", "trimtab", str(_CHART), "--namespace", _SYSTEM_NAMESPACE, "--values", "-"]
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode != 0:
        raise ClusterError(f"helm could not render {_CHART.name}: {done.stderr.strip()}")
    found: dict[str, list[JsonObject]] = {}
    for body in yaml.safe_load_all(done.stdout):
        if body and body["kind"] in _INSTALLED:
            found.setdefault(body["metadata"].get("namespace", _SYSTEM_NAMESPACE), []).append(body)
    return found


async def _write_history(file: Path, scenario: Scenario, kubeconfig: Path, start: float, end: float) -> int:
    """Write what would have been scraped until ``end`` of the pods that are there now; how many samples."""
    pods = await _pods(scenario, kubeconfig)
    with file.open("w") as out:
        return backfill(scenario, start, end, _STEP_SECONDS, out, lambda _: fixed, pods).samples


async def _pods(scenario: Scenario, kubeconfig: Path) -> LivePods:
    """The pods of each service, once all of them exist."""
    picture = ClusterPicture(scenario)
    api = await connect(kubeconfig)
    try:
        while True:
            await look(picture, api, time.time())
            found = {service.key: picture.of_service(service.key) for service in scenario.services}
            if all(len(found[service.key]) == service.replicas for service in scenario.services):
                return found
            await asyncio.sleep(0.1)
    finally:
        await api.close()
