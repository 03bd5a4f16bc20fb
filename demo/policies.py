"""Policies as a person would write them: one way to read load and latency, for every service of the demonstration."""

from __future__ import annotations

from typing import Final

from trimtab.adapters.kube import JsonObject

NAMESPACE: Final = "shop"
THRESHOLD_SECONDS: Final = 0.25
"""What the 99th percentile of the latency must stay within."""
SCRAPES: Final = "4s"
"""The rate window that the operator uses at this pace, and so what is judged by as well."""
_SELECTOR: Final = '{namespace="$namespace",service="$target"}[$window]'


def policy(name: str, strategy: str, history_seconds: float, *, mode: str = "Auto", **spec: JsonObject) -> JsonObject:
    """A policy at the pace of the demonstration; ``spec`` says what may be changed, and overrides."""
    validation = {"settle": "2s", "interval": "4s", "duration": "32s", **spec.pop("validation", {})}
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "PerformancePolicy",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "mode": mode,
            "strategy": strategy,
            "metrics": {
                "load": {
                    "query": f"sum(rate(http_requests_total{_SELECTOR}))",
                    "targetLabel": "service",
                    "unit": "requests/s",
                }
            },
            "objectives": [
                {
                    "name": "latency-p99",
                    "query": "histogram_quantile(0.99,"
                    f" sum by (le) (rate(http_request_duration_seconds_bucket{_SELECTOR})))",
                    "targetLabel": "service",
                    "max": f"{round(THRESHOLD_SECONDS * 1000)}m",
                }
            ],
            **spec,
            "analysis": {"interval": "2s", "history": f"{history_seconds:.0f}s"},
            "validation": validation,
            "guardrails": {
                "minHistory": "1m",
                "minHistoryToShrink": "1m",
                "minHistoryToShrinkMemory": "1m",
                "maxDataAge": "15s",
                "cooldown": "10m",
                "maxStepPercent": 50,
                "maxRolloutsPerDay": 100,
            },
        },
    }


def following(smallest: int, largest: int, stabilization_seconds: int) -> JsonObject:
    """``spec.horizontal`` of a service whose replicas follow the load."""
    return {
        "minReplicas": smallest,
        "maxReplicas": largest,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": stabilization_seconds}},
    }
