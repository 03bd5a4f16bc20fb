"""What a pod of a service does with the requests it is sent: one pure step, for the live and the virtual clock alike.

`step` works on arrays of shape (groups, steps). A group stands for pods that are alike (same service, limits,
backlog, age); the values are those of one pod of it. The formulas, and where each comes from, are in
`docs/simulation.md`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from trimtab.domain.series import FloatArray
from trimtab.simulation.behaviour import MIN_USABLE_CORES, ServiceModel
from trimtab.simulation.latency import Answers, Latency, sojourn
from trimtab.simulation.noise import normal

CFS_PERIOD_SECONDS = 0.1
"""Length of a bandwidth period of the Linux scheduler (`cpu.cfs_period_us`, 100 ms unless set)."""

STEADY_UTILISATION = 0.98
"""Above it a queue takes longer to become steady than load stays the same; the backlog carries the rest."""


class Parameters(NamedTuple):
    """Service models as columns, each of shape (groups, 1)."""

    requests_per_core: FloatArray
    cpu_seconds: FloatArray
    base_service_seconds: FloatArray
    idle_cpu_cores: FloatArray
    workers: FloatArray
    queue_limit: FloatArray
    timeout_seconds: FloatArray
    error_ratio: FloatArray
    memory_base_bytes: FloatArray
    memory_per_request_bytes: FloatArray
    memory_per_rate_bytes: FloatArray
    cold_seconds: FloatArray
    cold_slowdown: FloatArray
    cliff_below_cores: FloatArray
    cliff_slowdown: FloatArray
    noise: FloatArray
    seed: FloatArray

    @classmethod
    def of(cls, models: list[ServiceModel]) -> "Parameters":
        """One row a group."""
        return cls(*np.array([model.row for model in models], dtype=np.float64).T[:, :, None])


class PodGroups(NamedTuple):
    """Groups of like pods at the start of a step; each field has shape (groups, 1) and is meant for one pod."""

    cpu_limit_cores: FloatArray
    memory_limit_bytes: FloatArray  # infinite where there is no limit
    backlog_requests: FloatArray
    ready_for_seconds: FloatArray
    latency_factor: FloatArray  # stretches all times; 1 unless a fault is wanted


@dataclass(frozen=True)
class Outcome:
    """What happened in each step to one pod of each group. Fields have shape (groups, steps) unless said.

    Requests are conserved: arrived = served + abandoned + dropped + change of the backlog. `late` of the served
    took longer than the timeout, `failed` ended with an error. `killed`, shape (groups,), says which groups
    exceeded their memory limit in the last step.
    """

    served: FloatArray
    late: FloatArray
    failed: FloatArray
    abandoned: FloatArray
    dropped: FloatArray
    backlog_requests: FloatArray
    cpu_cores: FloatArray
    memory_bytes: FloatArray
    throttled_share: FloatArray
    latency: Latency
    killed: NDArray[np.bool_]

    @property
    def steps(self) -> int:
        """How many steps took place."""
        return len(self.served[0])

    def part(self, groups: slice, steps: slice = slice(None)) -> "Outcome":
        """Some of the groups, for some of the steps."""
        arrays = {name: value[groups, steps] for name, value in vars(self).items() if name not in ("latency", "killed")}
        return Outcome(**arrays, latency=self.latency.part(groups, steps), killed=self.killed[groups])


def step(
    parameters: Parameters, pods: PodGroups, offered: FloatArray, seconds: FloatArray, step_seconds: float
) -> Outcome:
    """Run `steps` steps of `step_seconds` with an unchanging set of pods.

    `offered` is the rate sent to one pod of each group, requests/s, shape (groups, steps); `seconds` the time
    at which each step starts, shape (steps,), which only the noise looks at. Stops after the step in which a
    group first exceeds its memory.
    """
    slowdown = _slowdown(parameters, pods, seconds, step_seconds)
    limit = pods.cpu_limit_cores
    usable = np.maximum(np.minimum(limit, parameters.workers) - parameters.idle_cpu_cores, MIN_USABLE_CORES)
    capacity = usable * parameters.requests_per_core / slowdown
    flow = _drain(parameters, pods.backlog_requests, offered * step_seconds, capacity * step_seconds, capacity)
    served_rate = flow.served / step_seconds

    waited = np.minimum((flow.before + flow.after) / 2 / capacity, parameters.timeout_seconds)
    shift = parameters.base_service_seconds * slowdown + waited
    servers = np.clip(limit, 1.0, parameters.workers)
    utilisation = np.minimum(STEADY_UTILISATION, (flow.room + servers) / (flow.room + servers + 1))
    latency = sojourn(np.minimum(offered, utilisation * capacity), capacity, servers, shift)
    running = served_rate * (latency.mean() - waited)
    latency = latency.stretched(pods.latency_factor)
    late = flow.served * latency.tail(parameters.timeout_seconds)

    cpu_per_request = parameters.cpu_seconds * slowdown
    cpu = np.minimum(parameters.idle_cpu_cores + served_rate * cpu_per_request, limit)
    memory = (
        parameters.memory_base_bytes
        + parameters.memory_per_request_bytes * (running + flow.after)
        + parameters.memory_per_rate_bytes * served_rate
    )
    exceeded = memory > pods.memory_limit_bytes
    last = int(np.argmax(exceeded.any(axis=0))) if exceeded.any() else len(seconds) - 1
    outcome = Outcome(
        served=flow.served,
        late=late,
        failed=(flow.served - late) * parameters.error_ratio,
        abandoned=flow.abandoned,
        dropped=flow.dropped,
        backlog_requests=flow.after,
        cpu_cores=cpu,
        memory_bytes=memory,
        throttled_share=_throttled_share(cpu, limit, served_rate, cpu_per_request),
        latency=latency,
        killed=exceeded[:, last],
    )
    return outcome.part(slice(None), slice(last + 1)) if exceeded.any() else outcome


def answers(parameters: Parameters, outcome: Outcome) -> Answers:
    """The requests of each step with the distribution of their times, as clients see them (up to the timeout)."""
    return Answers(outcome.latency, outcome.served, outcome.abandoned, parameters.timeout_seconds)


def _slowdown(parameters: Parameters, pods: PodGroups, seconds: FloatArray, step_seconds: float) -> FloatArray:
    """Cost of a request relative to a warm pod above the cliff: cliff x cold start x noise. Shape (groups, steps)."""
    age = pods.ready_for_seconds + np.arange(len(seconds)) * step_seconds
    cold = 1 + (parameters.cold_slowdown - 1) * np.clip(1 - age / parameters.cold_seconds, 0.0, 1.0)
    cliff = np.where(pods.cpu_limit_cores < parameters.cliff_below_cores, parameters.cliff_slowdown, 1.0)
    if not parameters.noise.any():
        return cold * cliff
    scatter = parameters.noise * normal(parameters.seed, np.floor(seconds)[None, :])
    return cold * cliff * np.exp(scatter - parameters.noise**2 / 2)


class _Flow(NamedTuple):
    served: FloatArray
    abandoned: FloatArray
    dropped: FloatArray
    before: FloatArray
    after: FloatArray
    room: FloatArray


def _drain(
    parameters: Parameters, backlog: FloatArray, arrived: FloatArray, servable: FloatArray, capacity: FloatArray
) -> _Flow:
    """The fluid queue: what cannot be served in a step waits for the next, as far as there is room and patience."""
    room = np.minimum(parameters.queue_limit, capacity * parameters.timeout_seconds)
    before, after = np.zeros_like(servable), np.zeros_like(servable)
    for row in np.flatnonzero((backlog[:, 0] > 0) | (arrived > servable).any(axis=1)):
        levels = [float(backlog[row, 0])]
        for more, less, limit in zip(arrived[row].tolist(), servable[row].tolist(), room[row].tolist(), strict=True):
            levels.append(min(max(levels[-1] + more - less, 0.0), limit))
        before[row], after[row] = levels[:-1], levels[1:]
    served = np.minimum(before + arrived, servable)
    left = before + arrived - served
    dropped = np.maximum(left - parameters.queue_limit, 0.0)
    abandoned = np.maximum(np.minimum(left, parameters.queue_limit) - after, 0.0)
    return _Flow(served, abandoned, dropped, before, after, room)


def _throttled_share(cpu: FloatArray, limit: FloatArray, rate: FloatArray, cpu_per_request: FloatArray) -> FloatArray:
    """Share of the CFS periods in which the pod wants more CPU than its quota.

    The CPU time wanted in a period is compound Poisson (exponential request costs), taken as normal; a pod at
    its limit is throttled in every period.
    """
    deviation = np.sqrt(2 * rate * CFS_PERIOD_SECONDS) * cpu_per_request
    spare = (limit - cpu) * CFS_PERIOD_SECONDS
    share = 0.5 * erfc(spare / np.maximum(deviation, 1e-12) / np.sqrt(2))
    return np.where(cpu >= limit * (1 - 1e-9), 1.0, share)
