"""Records: what happened, read back from Prometheus, the audit log, runs and Deployments once the story is over."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp
import numpy as np

from demo.judging import Patch, Track, Trial
from demo.watching import ask, p99_query
from trimtab.adapters.kube import JsonObject
from trimtab.domain.series import FloatArray
from trimtab.domain.status_types import parse_time
from trimtab.domain.units import parse_quantity
from trimtab.simulation.model import Parameters, PodGroups, answers, step
from trimtab.simulation.scenario import Scenario, SimulatedService

_MOST_POINTS: Final = 10_000
_BISECTIONS: Final = 40


async def tracks(url: str, scenario: Scenario, start: float, end: float) -> dict[str, Track]:
    """What was measured of each service, every second in [start, end]. Raises aiohttp.ClientError."""
    namespace = scenario.namespaces[0]
    times = np.arange(math.ceil(start), math.floor(end) + 1, dtype=np.float64)[:_MOST_POINTS]
    selector = f'{{namespace="{namespace}"}}'
    queries = {
        "p99": p99_query(namespace),
        "ready": f"label_replace(kube_deployment_status_replicas_ready{selector},"
        ' "service", "$1", "deployment", "(.+)")',
        "cpu": "avg by (service) (label_replace("
        f'kube_pod_container_resource_limits{{namespace="{namespace}",resource="cpu"}},'
        ' "service", "$1", "pod", "(.+)-[a-z0-9]+-[a-z0-9]+"))',
    }
    async with aiohttp.ClientSession() as session:
        found = {name: await _range(session, url, query, times) for name, query in queries.items()}
    nothing = np.full(times.size, np.nan)
    return {
        service.name: Track(
            times=times,
            demand=service.arrivals.rate(times - scenario.origin),
            p99_seconds=found["p99"].get(service.name, nothing),
            ready=found["ready"].get(service.name, nothing),
            cpu_cores=found["cpu"].get(service.name, nothing),
        )
        for service in scenario.services
    }


async def _range(session: aiohttp.ClientSession, url: str, query: str, times: FloatArray) -> dict[str, FloatArray]:
    """Values of a query at each of the times, by the label ``service``; NaN where there is none."""
    asked = {"query": query, "start": f"{times[0]:.3f}", "end": f"{times[-1]:.3f}", "step": "1"}
    found: dict[str, FloatArray] = {}
    for series in await ask(session, url, "query_range", asked):
        values = np.full(times.size, np.nan)
        for at, value in series["values"]:
            values[round(float(at) - times[0])] = float(value)
        found[series["metric"].get("service", "")] = values
    return found


def patches(audit_log: Path, namespace: str, deployment: str, user: str) -> list[Patch]:
    """The replica counts that a user wrote, in order of time, as the API server's audit log has them."""
    found = []
    for line in audit_log.read_text().splitlines():
        entry = json.loads(line)
        about = entry.get("objectRef", {})
        wanted = (namespace, deployment, "scale")
        if (about.get("namespace"), about.get("name"), about.get("subresource")) != wanted:
            continue
        if entry["user"]["username"] != user or entry.get("responseStatus", {}).get("code") != 200:
            continue
        patch = _patch(entry)
        if patch is not None:
            found.append(patch)
    return sorted(found, key=lambda patch: patch.at)


def keep_audit(audit_log: Path, namespace: str, target: Path) -> None:
    """Copy what the audit log says of one namespace's workloads and of our own resources there."""
    lines = audit_log.read_text().splitlines()
    kept = [line for line in lines if json.loads(line).get("objectRef", {}).get("namespace") == namespace]
    target.write_text("\n".join([*kept, ""]))


def _patch(entry: JsonObject) -> Patch | None:
    """A JSON Patch of a scale: its test is the count before, its replacement the count after."""
    written: list[JsonObject] = entry.get("requestObject", [])
    operations = {one["op"]: one for one in written if one["path"] == "/spec/replicas"}
    if "replace" not in operations or "test" not in operations:
        return None
    at = parse_time(entry["requestReceivedTimestamp"])
    return Patch(at, int(operations["test"]["value"]), int(operations["replace"]["value"]))


def trial(run: JsonObject) -> Trial | None:
    """What became of a run; None for one that never touched its workload."""
    status = run.get("status") or {}
    applied, verdict = status.get("applied"), status.get("verdict") or {}
    if applied is None:
        return None
    objective: JsonObject = next(iter(verdict.get("objectives", [])), {})
    measured = status.get("measurements", [])
    values = [parse_quantity(one["value"]) for one in measured if one.get("value")]
    return Trial(
        name=run["metadata"]["name"],
        trigger=run["spec"]["trigger"],
        phase=status.get("phase", "Pending"),
        change=status.get("summary", {}).get("change", ""),
        reason=status.get("plan", {}).get("reason", ""),
        applied_at=parse_time(applied["at"]),
        validate_from=parse_time(applied["validateFrom"]) if "validateFrom" in applied else math.nan,
        interval_seconds=float(applied["validateIntervalSeconds"]),
        planned=int(applied["measurements"]),
        effect_percent=objective.get("effectPercent", ""),
        lower_percent=objective.get("lowerPercent", ""),
        upper_percent=objective.get("upperPercent", ""),
        message=verdict.get("message", ""),
        restored=(status.get("rollback") or {}).get("restored"),
        undone_at=parse_time(status["rollback"]["at"]) if status.get("rollback") else math.nan,
        measured_at=tuple(parse_time(one["at"]) for one in measured),
        worst_seconds=max(values, default=math.nan),
    )


def trial_of(runs: Sequence[JsonObject], policy: str) -> Trial | None:
    """The first run of a policy that touched its workload."""
    mine = (trial(run) for run in runs if run["spec"]["policyRef"]["name"] == policy)
    return next((one for one in mine if one is not None), None)


def capacity_within(service: SimulatedService, threshold_seconds: float, cpu_cores: float | None = None) -> float:
    """Requests/s at which the p99 of one warm pod reaches the threshold, by the simulation's model without noise."""
    parameters = Parameters.of([service.model.model_copy(update={"noise": 0.0})])
    limit = service.cpu if cpu_cores is None else cpu_cores
    pods = PodGroups(*(np.array([[value]]) for value in (limit, math.inf, 0.0, 86_400.0, 1.0)))
    low, high = 0.0, service.model.capacity(limit)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        outcome = step(parameters, pods, np.array([[middle]]), np.array([0.0]), 1.0)
        p99 = float(answers(parameters, outcome).quantiles(0.99)[0, 0])
        low, high = (middle, high) if p99 <= threshold_seconds else (low, middle)
    return low


def spec_text(deployment: JsonObject) -> str:
    """A Deployment's spec as JSON, its keys sorted: equal texts are equal specs."""
    return json.dumps(deployment["spec"], sort_keys=True)
