"""What the tests of the cluster share that is no fixture."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from cluster.prometheus import Prometheus


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> float:
    """Waits until `holds`, and returns the seconds that it took; fails the test after `seconds`."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, f"not so within {seconds:.0f} s"
        time.sleep(0.05)
    return time.monotonic() - started


def query(prometheus: Prometheus, promql: str, **range_: float) -> list[dict[str, Any]]:
    """The series that answer an instant query, or a range query with `start`, `end` and `step`; no warnings allowed."""
    path = "query_range" if range_ else "query"
    with urlopen(f"{prometheus.url}/api/v1/{path}?{urlencode({'query': promql, **range_})}", timeout=10) as response:
        answer = json.load(response)
    assert answer["status"] == "success"
    assert not answer.get("warnings")
    series: list[dict[str, Any]] = answer["data"]["result"]
    return series


def deployment(name: str, replicas: int, startup_seconds: float) -> dict[str, Any]:
    """A Deployment of a pod with requests, which becomes ready after `startup_seconds` on a simulated node."""
    labels = {"app": name}
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
    pod = {
        "metadata": {"labels": labels, "annotations": {"trimtab.dev/startup-seconds": str(startup_seconds)}},
        "spec": {"containers": [{"name": "app", "image": "app", "resources": resources}]},
    }
    return {
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod},
    }
