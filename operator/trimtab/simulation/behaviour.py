"""How a service behaves: what its pods need, what they can do, and what goes wrong."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trimtab.domain.units import Quantity

MIN_USABLE_CORES = 0.001
"""What is left to a pod whose limit does not even cover its idle CPU."""


class Cliff(BaseModel):
    """Below a CPU limit a pod becomes slower than its share of CPU explains (fewer GC threads, throttled locks)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    below_cpu_cores: Quantity = Field(gt=0)
    slowdown: float = Field(gt=1, description="times as much CPU and time for each request")


class ColdStart(BaseModel):
    """A pod that just became ready is slower (caches, JIT), and warms up on a line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float = Field(gt=0)
    slowdown: float = Field(gt=1, description="times as much CPU and time for each request, at the start")


class ServiceModel(BaseModel):
    """How one pod of a service turns CPU and memory into answers. Everything is for one pod.

    Capacity in requests/s is (min(CPU limit, workers) - idle CPU) x requests_per_core.

    >>> ServiceModel(requests_per_core=100, idle_cpu_cores=0.1, workers=4).capacity(0.6)
    50.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_core: float = Field(100.0, gt=0, description="requests/s that one core can serve")
    cpu_seconds_per_request: float | None = Field(
        None, gt=0, description="CPU time of a request; default 1 / requests_per_core, less if not CPU-bound"
    )
    base_service_seconds: float = Field(0.005, ge=0, description="time off the CPU (network, disk)")
    idle_cpu_cores: Quantity = Field(0.01, ge=0)
    workers: float = Field(16, ge=1, description="requests that run at once; no use for more cores")
    queue_limit: float = Field(500, ge=0, description="requests that may wait; more are turned away with 503")
    timeout_seconds: float = Field(10.0, gt=0, description="clients give up after it: 504")
    error_ratio: float = Field(0.0, ge=0, le=1, description="share of the served requests that end with 500")
    memory_base_bytes: Quantity = Field(128 * 2**20, ge=0)
    memory_per_request_bytes: Quantity = Field(2**18, ge=0, description="for each request in the pod")
    memory_per_rate_bytes: Quantity = Field(0, ge=0, description="for each request/s served (caches, sessions)")
    startup_seconds: float = Field(10.0, ge=0, description="from creation, or a kill for memory, to ready")
    cold_start: ColdStart | None = None
    cliff: Cliff | None = None
    noise: float = Field(0.0, ge=0, le=0.5, description="log-normal sigma of the cost of requests, by second")
    seed: int = 0

    @model_validator(mode="after")
    def _cpu_fits(self) -> Self:
        if self.cpu_seconds * self.requests_per_core > 1 + 1e-9:
            wanted = f"cpu_seconds_per_request {self.cpu_seconds} x requests_per_core {self.requests_per_core}"
            raise ValueError(f"{wanted} exceeds one core")
        return self

    @property
    def cpu_seconds(self) -> float:
        """CPU time of a request, seconds."""
        return self.cpu_seconds_per_request or 1 / self.requests_per_core

    def capacity(self, cpu_limit_cores: float) -> float:
        """Requests/s that a warm pod with this CPU limit can serve, without noise."""
        slowdown = self.cliff.slowdown if self.cliff and cpu_limit_cores < self.cliff.below_cpu_cores else 1.0
        usable = max(min(cpu_limit_cores, self.workers) - self.idle_cpu_cores, MIN_USABLE_CORES)
        return usable * self.requests_per_core / slowdown

    @property
    def row(self) -> tuple[float, ...]:
        """The fields as `Parameters` wants them."""
        cliff, cold = self.cliff, self.cold_start
        return (
            self.requests_per_core, self.cpu_seconds, self.base_service_seconds, self.idle_cpu_cores, self.workers,
            self.queue_limit, self.timeout_seconds, self.error_ratio,
            self.memory_base_bytes, self.memory_per_request_bytes, self.memory_per_rate_bytes,
            cold.seconds if cold else 1.0, cold.slowdown if cold else 1.0,
            cliff.below_cpu_cores if cliff else 0.0, cliff.slowdown if cliff else 1.0,
            self.noise, self.seed,
        )  # fmt: skip
