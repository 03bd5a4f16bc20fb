"""How many replicas a workload has in the course of a virtual run: what a fixed number, an HPA or chance would set."""

import math
from collections import deque
from collections.abc import Callable

from trimtab.simulation.noise import uniform
from trimtab.simulation.virtual import VirtualWorkload

Plan = Callable[[VirtualWorkload], int]
"""Replicas to ask for now; called at the start of each control interval."""

HPA_TOLERANCE = 0.1
HPA_STABILISATION_SECONDS = 300.0

_CPU_WINDOW_SECONDS = 30.0


def fixed(workload: VirtualWorkload) -> int:
    """What was asked for before."""
    return workload.replicas


def hpa(target_utilisation: float = 0.6, min_replicas: int = 1, max_replicas: int = 20) -> Plan:
    """What a HorizontalPodAutoscaler on CPU would ask for.

    The CPU used over the target of a pod, rounded up; within 10 % of what is ready nothing, and down only to
    the largest of the last five minutes (kubernetes.io, "Horizontal Pod Autoscaling", algorithm details).
    """
    recent: deque[tuple[float, int]] = deque()

    def plan(workload: VirtualWorkload) -> int:
        signals = workload.signals()
        window = signals.seconds > workload.now - _CPU_WINDOW_SECONDS
        ready = workload.ready_replicas
        if not window.any() or not ready:
            return workload.replicas
        pods = float(signals.cpu_cores[window].mean()) / workload.cpu_limit_cores / target_utilisation
        wanted = workload.replicas if abs(pods / ready - 1) <= HPA_TOLERANCE else math.ceil(pods - 1e-6)
        recent.append((workload.now, wanted))
        while recent[0][0] <= workload.now - HPA_STABILISATION_SECONDS:
            recent.popleft()
        highest = max(count for _, count in recent)
        stable = wanted if wanted >= workload.replicas else min(workload.replicas, highest)
        return min(max(stable, min_replicas), max_replicas)

    return plan


def wandering(low: int, high: int, every_seconds: float = 300.0, seed: int = 0) -> Plan:
    """Any number in [low, high], another one `every_seconds`, by a hash of the time."""

    def plan(workload: VirtualWorkload) -> int:
        drawn = uniform(seed, math.floor(workload.now / every_seconds))[0]
        return low + int(drawn * (high - low + 1))

    return plan
