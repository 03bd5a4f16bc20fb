"""Simulated nodes: what kwok is told, and the nodes that it looks after.

The stages under `cluster/stages/` are kwok's own, save that a pod becomes ready only after its start-up time: the value
of its annotation `trimtab.dev/startup-seconds`, or else the cluster's default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_STAGES = Path(__file__).parent / "stages"
_NODE_ANNOTATION = "kwok.x-k8s.io/node"
_NODE_SIZE = {"cpu": "64", "memory": "256Gi", "pods": "1000"}

#: Chooses the nodes that kwok looks after, so that it leaves real ones alone.
NODE_SELECTOR = f"{_NODE_ANNOTATION}=fake"


def configuration(startup_seconds: float) -> str:
    """The text of kwok's configuration file, where a pod's start-up time is `startup_seconds` by default."""
    stages: list[dict[str, Any]] = [yaml.safe_load(path.read_text()) for path in sorted(_STAGES.glob("*.yaml"))]
    for stage in stages:
        if stage["metadata"]["name"] == "pod-ready":
            stage["spec"]["delay"]["durationMilliseconds"] = round(startup_seconds * 1000)
    return yaml.safe_dump_all(stages, sort_keys=False)


def node(index: int) -> dict[str, Any]:
    """The node of that number, from 0 on: 64 CPUs, 256 GiB and 1000 pods, with addresses of its own for them."""
    name = f"node-{index}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {_NODE_ANNOTATION: "fake"},
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "type": "kwok",
            },
        },
        "spec": {"podCIDR": f"10.{128 + index // 64}.{index % 64 * 4}.0/22"},
        "status": {"allocatable": dict(_NODE_SIZE), "capacity": dict(_NODE_SIZE)},
    }


def is_usable(live_node: dict[str, Any]) -> bool:
    """Whether a node is ready and the scheduler may place pods on it."""
    conditions = {c["type"]: c["status"] for c in live_node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not live_node["spec"].get("taints")
