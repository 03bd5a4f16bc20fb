"""The loop that feeds services to the model's step, and the one place from which both clocks run it.

The live simulation calls `run` for all of its services a few times a second, the virtual one for many steps at once.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.simulation.latency import Answers
from trimtab.simulation.model import CFS_PERIOD_SECONDS, Outcome, Parameters, PodGroups, answers, step
from trimtab.simulation.service import BUCKETS_SECONDS, UNAVAILABLE, Observation, Pod, Service, by_code

_MAX_STEPS = 3600


def run(services: Sequence[Service], start: float, steps: int, step_seconds: float) -> Iterator[list[Observation]]:
    """Advance the services by `steps` steps from `start` (Unix seconds), and update their pods and counters.

    Yields one observation a service for each stretch in which no pod was killed for memory or came back, so
    that a caller may look at the pods between stretches. Must be exhausted for all steps to take place.
    """
    done = 0
    while done < steps:
        now = start + done * step_seconds
        returns = [pod.down_until for service in services for pod in service.pods.values() if pod.down_until > now]
        until_return = math.ceil((min(returns) - now) / step_seconds - 1e-9) if returns else steps
        observations = _stretch(services, now, min(steps - done, max(1, until_return), _MAX_STEPS), step_seconds)
        done += len(observations[0].seconds) if observations else steps
        yield observations


@dataclass(frozen=True)
class _Group:
    service: Service
    pods: list[Pod]
    ready_for_seconds: float
    share: float


def _groups(service: Service, now: float) -> list[_Group]:
    """The serving pods by what tells them apart. A pod past its cold start has no age."""
    cold_seconds = service.model.cold_start.seconds if service.model.cold_start else 0.0
    found: dict[tuple[float, ...], list[Pod]] = {}
    for pod in service.pods.values():
        if pod.serves_at(now):
            age = min(now - pod.ready_since, cold_seconds)
            key = (pod.cpu_limit_cores, pod.memory_limit_bytes, pod.backlog_requests, age)
            found.setdefault(key, []).append(pod)
    share = 1 / max(1, sum(map(len, found.values())))
    return [_Group(service, pods, key[3], share) for key, pods in found.items()]


def _stretch(services: Sequence[Service], now: float, steps: int, step_seconds: float) -> list[Observation]:
    starts = now + np.arange(steps, dtype=np.float64) * step_seconds
    offered = [service.arrivals.rate(starts - service.origin) for service in services]
    found = [_groups(service, now) for service in services]
    flat = [group for groups in found for group in groups]
    outcome = None
    if flat:
        parameters = Parameters.of([group.service.model for group in flat])
        rates = np.array([rate * group.share for rate, groups in zip(offered, found, strict=True) for group in groups])
        outcome = step(parameters, _columns(flat), rates, starts, step_seconds)
        steps = outcome.steps
        _account(flat, answers(parameters, outcome), outcome, step_seconds)
    observations, row = [], 0
    for service, rate, groups in zip(services, offered, found, strict=True):
        part = outcome.part(slice(row, row + len(groups))) if outcome and groups else None
        row += len(groups)
        lost = np.zeros(steps) if groups else rate[:steps] * step_seconds
        lost[0] += service.lost_requests
        service.lost_requests = 0.0
        service.requests[UNAVAILABLE] += lost.sum()
        pods = [group.pods for group in groups]
        ends = starts[:steps] + step_seconds
        observations.append(Observation(service, ends, step_seconds, rate[:steps], lost, pods, part))
    _restart_killed(flat, outcome, now + steps * step_seconds)
    return observations


def _columns(groups: Sequence[_Group]) -> PodGroups:
    rows = [
        (
            group.pods[0].cpu_limit_cores,
            group.pods[0].memory_limit_bytes,
            group.pods[0].backlog_requests,
            group.ready_for_seconds,
            group.service.latency_factor,
        )
        for group in groups
    ]
    return PodGroups(*np.array(rows).T[:, :, None])


def _account(groups: Sequence[_Group], answered: Answers, outcome: Outcome, step_seconds: float) -> None:
    """Add what happened to the counters of the services and of their pods."""
    counts = np.array([[float(len(group.pods))] for group in groups])
    codes = counts * by_code(outcome).sum(axis=2).T
    buckets = counts * answered.within(BUCKETS_SECONDS).sum(axis=1)
    seconds = counts[:, 0] * answered.seconds().sum(axis=1)
    periods = outcome.steps * step_seconds / CFS_PERIOD_SECONDS
    per_pod = np.array(
        [
            outcome.cpu_cores.sum(axis=1) * step_seconds,
            outcome.throttled_share.mean(axis=1) * periods,
            outcome.memory_bytes[:, -1],
            outcome.backlog_requests[:, -1],
        ]
    ).T.tolist()
    for index, group in enumerate(groups):
        service = group.service
        service.requests += codes[index]
        service.buckets += buckets[index]
        service.latency_seconds += float(seconds[index])
        cpu_seconds, throttled, memory_bytes, backlog = per_pod[index]
        for pod in group.pods:
            pod.cpu_seconds += cpu_seconds
            pod.cfs_periods += periods
            pod.cfs_throttled_periods += throttled
            pod.memory_bytes = memory_bytes
            pod.backlog_requests = backlog


def _restart_killed(groups: Sequence[_Group], outcome: Outcome | None, now: float) -> None:
    """Containers that exceeded their memory lose what waits in them, and start again."""
    if outcome is None or not outcome.killed.any():
        return
    for group, killed in zip(groups, outcome.killed, strict=True):
        for pod in group.pods if killed else ():
            group.service.lost_requests += pod.backlog_requests
            pod.backlog_requests = 0.0
            pod.restarts += 1
            pod.down_until = pod.ready_since = now + group.service.model.startup_seconds
            pod.memory_bytes = group.service.model.memory_base_bytes
