"""Valid manifests for tests to change."""

from __future__ import annotations

import copy
from typing import Any

ABSENT = object()
"""Stands for: take the field away."""


def policy() -> dict[str, Any]:
    """A PerformancePolicy that uses every part of the spec."""
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "PerformancePolicy",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "mode": "Auto",
            "strategy": "Balanced",
            "metrics": {"load": {"query": 'sum(rate(hits{svc="$target"}[$window]))', "targetLabel": "svc"}},
            "objectives": [
                {"name": "latency", "query": 'latency{svc="$target"}', "targetLabel": "svc", "max": "250m"},
                {"name": "availability", "query": "availability", "min": "0.999"},
            ],
            "horizontal": {
                "minReplicas": 2,
                "maxReplicas": 10,
                "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
            },
            "vertical": {
                "containerPolicies": [
                    {
                        "containerName": "app",
                        "minAllowed": {"cpu": "50m", "memory": "64Mi"},
                        "maxAllowed": {"cpu": 2, "memory": "4Gi"},
                        "controlledResources": ["cpu", "memory"],
                    }
                ]
            },
            "analysis": {"interval": "60s", "history": "168h", "timeZone": "Europe/Berlin"},
            "forecast": {"horizon": "1h"},
            "validation": {"settle": "60s", "interval": "30s", "duration": "20m"},
            "guardrails": {"cooldown": "10m", "minHistory": "1h"},
            "cost": {"cpuCoreHour": "0.03"},
        },
    }


def run() -> dict[str, Any]:
    """An OptimizationRun that uses every part of the spec."""
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "OptimizationRun",
        "metadata": {"name": "web-1", "namespace": "default"},
        "spec": {
            "policyRef": {"name": "web"},
            "strategy": "CostEfficiency",
            "trigger": "Manual",
            "changes": [
                {"path": "spec.replicas", "to": 4},
                {"path": "resources.requests.cpu", "container": "app", "to": "750m"},
            ],
            "objectives": [{"name": "latency", "max": "400m"}],
        },
    }


def changed(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of ``manifest`` with ``value`` at ``path``, such as ``spec.objectives.0.max``; ABSENT takes it away."""
    result = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    place: Any = result
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
    key_or_index: Any = int(last) if isinstance(place, list) else last
    if value is ABSENT:
        del place[key_or_index]
    else:
        place[key_or_index] = value
    return result
