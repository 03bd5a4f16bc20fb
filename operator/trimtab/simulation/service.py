"""Services as they run: pods that come and go, cumulative counters, and what was observed of them."""

import math
from dataclasses import dataclass, field

import numpy as np

from trimtab.domain.series import FloatArray
from trimtab.simulation.arrivals import Arrivals
from trimtab.simulation.behaviour import ServiceModel
from trimtab.simulation.latency import Answers
from trimtab.simulation.model import Outcome, Parameters, answers

BUCKETS_SECONDS = np.array([float(f"{0.005 * 1.3**power:.4g}") for power in range(34)] + [math.inf])
"""Upper bounds of the latency histogram, 5 ms to 29 s, each 1.3 times the one before, then infinity."""

CODES = ("200", "500", "503", "504")
"""Served; failed; turned away for want of room or pods; given up at the timeout."""

UNAVAILABLE = CODES.index("503")


def by_code(outcome: Outcome) -> FloatArray:
    """Requests that ended, shape (len(CODES), groups, steps), for one pod of each group."""
    good = outcome.served - outcome.late - outcome.failed
    return np.array([good, outcome.failed, outcome.dropped, outcome.late + outcome.abandoned])


@dataclass(slots=True, eq=False)
class Pod:
    """One pod: what it may use, what waits in it, and its counters since it started.

    `container` is the one that serves. Without a quota no bandwidth periods are counted, and `cpu_limit_cores`
    is its request.
    """

    name: str
    cpu_limit_cores: float
    memory_limit_bytes: float = math.inf
    container: str = "app"
    has_quota: bool = True
    serving: bool = False
    ready_since: float = 0.0
    down_until: float = -math.inf
    backlog_requests: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: float = 0.0
    cfs_periods: float = 0.0
    cfs_throttled_periods: float = 0.0
    restarts: int = 0

    def serves_at(self, now: float) -> bool:
        """Whether requests are sent to it: ready, and not restarting after a kill."""
        return self.serving and self.down_until <= now


@dataclass(eq=False)
class Service:
    """A service with its pods and its counters. `origin` is the time that `arrivals` call 0, Unix seconds."""

    name: str
    namespace: str
    model: ServiceModel
    arrivals: Arrivals
    origin: float = 0.0
    latency_factor: float = 1.0
    pods: dict[str, Pod] = field(default_factory=dict)
    requests: FloatArray = field(default_factory=lambda: np.zeros(len(CODES)))
    buckets: FloatArray = field(default_factory=lambda: np.zeros(len(BUCKETS_SECONDS)))
    latency_seconds: float = 0.0
    lost_requests: float = 0.0

    def remove(self, name: str, now: float) -> None:
        """Take a pod out. What waits in it goes to the pods that serve; without any it is lost."""
        pod = self.pods.pop(name)
        self.hand_over(pod, now)

    def hand_over(self, pod: Pod, now: float) -> None:
        """Send what waits in `pod` to the other pods that serve, in equal parts; without any it is lost (503)."""
        others = [other for other in self.pods.values() if other is not pod and other.serves_at(now)]
        for other in others:
            other.backlog_requests += pod.backlog_requests / len(others)
        if not others:
            self.lost_requests += pod.backlog_requests
        pod.backlog_requests = 0.0


@dataclass(frozen=True)
class Observation:
    """What one service did in some steps during which its set of serving pods stayed the same.

    `seconds` are the times at which the steps end, `offered_rate` requests/s, `lost` requests that no pod took,
    all of shape (steps,). `pods` lists the pods of each group, and `outcome` (None without a serving pod) has a
    row a group.
    """

    service: Service
    seconds: FloatArray
    step_seconds: float
    offered_rate: FloatArray
    lost: FloatArray
    pods: list[list[Pod]]
    outcome: Outcome | None

    def counts(self) -> FloatArray:
        """How many pods each group has, shape (groups, 1)."""
        return np.array([[float(len(group))] for group in self.pods])

    def total(self, per_pod: FloatArray) -> FloatArray:
        """A sum over all pods, shape (steps,), of values for one pod of each group."""
        total: FloatArray = (self.counts() * per_pod).sum(axis=0)
        return total

    def requests(self) -> FloatArray:
        """Requests that ended in each step by code, shape (len(CODES), steps)."""
        ended = np.zeros((len(CODES), len(self.lost)))
        if self.outcome is not None:
            ended += (self.counts() * by_code(self.outcome)).sum(axis=1)
        ended[UNAVAILABLE] += self.lost
        return ended

    def answers(self) -> Answers | None:
        """The latency of the requests that were answered or given up, over all pods; None without a serving pod."""
        if self.outcome is None:
            return None
        one = answers(Parameters.of([self.service.model]), self.outcome)
        return Answers(one.latency, one.answered * self.counts(), one.abandoned * self.counts(), one.timeout_seconds)

    def percentiles(self, *probabilities: float) -> FloatArray:
        """Latency that those shares of the requests of each step stay within: seconds, shape (probabilities, steps).

        NaN in steps without requests.
        """
        found = self.answers()
        if found is None:
            return np.full((len(probabilities), len(self.seconds)), np.nan)
        return found.quantiles(*probabilities)
