"""How long a request takes in a pod: the M/M/c queue in closed form, behind what is already waiting.

A request first spends a fixed time (`shift`: time off the CPU, and the wait behind a backlog), then queues and
is served:

    P(T > t) = 1                                                        t < shift
             = a exp(-v (t - shift)) + b exp(-h (t - shift))            t >= shift

where v is the rate of one server, h = c v - arrivals the rate at which the queue is worked off, and a + b = 1.
That is the sum of an exponential service and a wait that is zero but for a share `w`, and exponential with rate
h otherwise (Kleinrock, "Queueing Systems" vol. 1, 1975, section 3.5; Harchol-Balter, "Performance Modeling and
Design of Computer Systems", 2013, chapter 14):

    a = 1 - w + w h / (h - v),    b = -w v / (h - v)

The share that waits is Sakasegawa's w = u^(sqrt(2 (c + 1)) - 1) at utilisation u ("An approximation formula Lq
= a u^b / (1 - u)", Annals of the Institute of Statistical Mathematics 29, 1977), which is exact for c = 1 and
defined for a fraction of a server. With c = 1 the whole reduces to M/M/1: P(T > t) = exp(-(mu - lambda) t), so
its p99 is ln(100) / (mu - lambda).
"""

from dataclasses import dataclass
from types import EllipsisType

import numpy as np

from trimtab.domain.series import FloatArray

_NEARLY_EQUAL = 1e-5
_BISECTIONS = 22


@dataclass(frozen=True)
class Latency:
    """Distribution of the time of a request. All fields have one shape (groups, steps); seconds and 1/seconds."""

    shift_seconds: FloatArray
    a: FloatArray
    b: FloatArray
    service_rate: FloatArray
    queue_rate: FloatArray

    def tail(self, seconds: FloatArray) -> FloatArray:
        """P(T > seconds); `seconds` broadcasts against the fields."""
        after = np.maximum(seconds - self.shift_seconds, 0.0)
        tail = self.a * np.exp(-self.service_rate * after) + self.b * np.exp(-self.queue_rate * after)
        return np.clip(tail, 0.0, 1.0)

    def mean(self) -> FloatArray:
        """E[T], seconds."""
        return self.shift_seconds + self.a / self.service_rate + self.b / self.queue_rate

    def mean_until(self, limit_seconds: FloatArray) -> FloatArray:
        """E[min(T, limit)], seconds."""
        after = np.maximum(limit_seconds - self.shift_seconds, 0.0)
        served = self.a * -np.expm1(-self.service_rate * after) / self.service_rate
        queued = self.b * -np.expm1(-self.queue_rate * after) / self.queue_rate
        return np.minimum(self.shift_seconds, limit_seconds) + served + queued

    def part(self, *index: EllipsisType | slice | None) -> "Latency":
        """The distributions at a numpy index."""
        return Latency(**{name: value[index] for name, value in vars(self).items()})

    def stretched(self, factor: FloatArray) -> "Latency":
        """The distribution of `factor` times T."""
        return Latency(
            self.shift_seconds * factor, self.a, self.b, self.service_rate / factor, self.queue_rate / factor
        )


def sojourn(arrivals: FloatArray, capacity: FloatArray, servers: FloatArray, shift: FloatArray) -> Latency:
    """Time in an M/M/c queue after a fixed `shift`.

    `arrivals` and `capacity` are requests/s with arrivals < capacity; `servers` is c >= 1, not necessarily
    whole; `shift` seconds.

    >>> latency = sojourn(np.array([[60.0]]), np.array([[100.0]]), np.array([[1.0]]), np.array([[0.0]]))
    >>> round(float(latency.tail(np.log(100) / 40)[0, 0]), 6)
    0.01
    """
    service_rate = capacity / servers
    queue_rate = capacity - arrivals
    # At equal rates the two exponentials merge (an Erlang-2); a nudge keeps the form and moves nothing measurable.
    gap = queue_rate - service_rate
    gap = np.where(np.abs(gap) < _NEARLY_EQUAL * service_rate, -_NEARLY_EQUAL * service_rate, gap)
    queue_rate = service_rate + gap
    waiting = (arrivals / capacity) ** (np.sqrt(2 * (servers + 1)) - 1)
    b = -waiting * service_rate / gap
    return Latency(shift + np.zeros_like(b), 1 - b, b, service_rate + np.zeros_like(b), queue_rate)


@dataclass(frozen=True)
class Answers:
    """The requests answered in each step of one service: a mixture over its groups of pods, cut off at the timeout.

    `latency` has shape (groups, steps); `answered` (served, whether in time or not) and `abandoned` (given up
    while waiting) are requests, same shape; `timeout_seconds` is where clients give up. Requests turned away at
    once are not among them.
    """

    latency: Latency
    answered: FloatArray
    abandoned: FloatArray
    timeout_seconds: FloatArray

    def quantiles(self, *probabilities: float) -> FloatArray:
        """The times within which those shares of the requests of each step end: seconds, shape (probabilities, steps).

        NaN in steps without requests.
        """
        ended = (self.answered + self.abandoned).sum(axis=0)
        shares = 1 - np.array(probabilities)[:, None]
        high = self._ceiling(shares)
        low = np.zeros_like(high)
        given_up = self.abandoned.sum(axis=0)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            slower = (self.answered * self.latency.tail(middle[:, None])).sum(axis=1) + given_up > shares * ended
            low, high = np.where(slower, middle, low), np.where(slower, high, middle)
        return np.where(ended > 0, high, np.nan)

    def _ceiling(self, shares: FloatArray) -> FloatArray:
        """A bound that at most `shares` exceed: wait and service each exceed their part with half of it at most."""
        rates = 1 / self.latency.service_rate + 1 / self.latency.queue_rate
        bounds: FloatArray = self.latency.shift_seconds + np.log(2 / shares)[:, None] * rates
        timeout = float(self.timeout_seconds.max())
        return np.where(self.abandoned.any(axis=0), timeout, np.minimum(bounds.max(axis=1), timeout))

    def within(self, edges_seconds: FloatArray) -> FloatArray:
        """Requests that ended within each edge: shape (groups, steps, edges), never falling from edge to edge."""
        tails = self.latency.part(..., None).tail(edges_seconds)
        total = (self.answered + self.abandoned)[..., None]
        cut = edges_seconds >= self.timeout_seconds[..., None]
        counts: FloatArray = np.where(cut, total, self.answered[..., None] * (1 - tails))
        return np.maximum.accumulate(counts, axis=-1)

    def seconds(self) -> FloatArray:
        """Sum of the times of the requests, seconds, shape (groups, steps)."""
        return self.answered * self.latency.mean_until(self.timeout_seconds) + self.abandoned * self.timeout_seconds
