"""What a virtual run recorded, as arrays over time."""

from dataclasses import dataclass

import numpy as np

from trimtab.domain.series import FloatArray, Series

UNITS = {
    "load": "requests/s",
    "p50": "s",
    "p99": "s",
    "error_ratio": "1",
    "cpu_cores": "cores",
    "memory_bytes": "bytes",
    "throttled_ratio": "1",
    "ready_replicas": "pods",
    "replicas": "pods",
    "cpu_limit_cores": "cores",
    "memory_limit_bytes": "bytes",
}


@dataclass(frozen=True)
class Signals:
    """What was recorded of a workload, one value a step; every array has shape (steps,) and must not be written to.

    `seconds` are the ends of the steps, Unix time. `p50` and `p99` are the latency of the requests that ended
    in the step (NaN without any); `error_ratio` counts 5xx of all that ended; `cpu_cores` and `memory_bytes`
    are sums over the pods; `throttled_ratio` is a mean over them; `replicas`, `cpu_limit_cores` and
    `memory_limit_bytes` are what was asked for.
    """

    seconds: FloatArray
    load: FloatArray
    p50: FloatArray
    p99: FloatArray
    error_ratio: FloatArray
    cpu_cores: FloatArray
    memory_bytes: FloatArray
    throttled_ratio: FloatArray
    ready_replicas: FloatArray
    replicas: FloatArray
    cpu_limit_cores: FloatArray
    memory_limit_bytes: FloatArray

    def series(self, name: str, step_seconds: float) -> Series:
        """One signal as a Series; the mean over each `step_seconds`, NaN where a step had none.

        A part at the end that does not fill a step is left out. Raises KeyError for a name that is not in
        UNITS, ValueError if the step is not a whole multiple of the recorded one.
        """
        unit, values = UNITS[name], getattr(self, name)
        recorded = float(self.seconds[1] - self.seconds[0]) if len(self.seconds) > 1 else step_seconds
        every = round(step_seconds / recorded)
        if every < 1 or abs(every * recorded - step_seconds) > 1e-9:
            raise ValueError(f"step {step_seconds} s is no multiple of the recorded {recorded} s")
        rows = values[: len(values) // every * every].reshape(-1, every)
        present = np.isfinite(rows)
        count = present.sum(axis=1)
        means = np.where(present, rows, 0.0).sum(axis=1) / np.where(count, count, 1)
        first = float(self.seconds[0]) + step_seconds - recorded
        return Series(first, step_seconds, np.where(count, means, np.nan), unit)
