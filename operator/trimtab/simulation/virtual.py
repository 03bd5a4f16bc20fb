"""A cluster in virtual time: pods that start, roll and scale under the same model; only `advance` moves its clock."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.simulation.arrivals import Arrivals
from trimtab.simulation.rollout import Member, plan_deployment, plan_statefulset
from trimtab.simulation.running import run
from trimtab.simulation.scenario import SimulatedService
from trimtab.simulation.service import CODES, Observation, Pod, Service
from trimtab.simulation.signals import UNITS, Signals

_SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_LONG_AGO_SECONDS = 86_400.0


@dataclass(eq=False)
class VirtualPod:
    """A pod with what its controller needs to know; `pod` is the part that the model runs."""

    pod: Pod
    ordinal: int
    revision: int
    created_at: float
    ready_at: float


class VirtualWorkload:
    """A Deployment or StatefulSet of one service in virtual time.

    It starts at `start` (Unix seconds) with warm, ready pods. `origin` is the time that the arrivals call 0;
    `max_surge` and `max_unavailable` are shares of the replicas. `arrivals` replaces those of the config (a
    `csvtrace.Playback` of a recorded array, for instance).

    >>> from trimtab.simulation.arrivals import Constant
    >>> workload = VirtualWorkload(SimulatedService(name="shop", arrivals=Constant(rate_per_second=40)), start=0.0)
    >>> workload.scale(3)
    >>> workload.advance(60)
    >>> workload.ready_replicas, len(workload.signals().p99)
    (3, 60)
    """

    def __init__(
        self,
        config: SimulatedService,
        start: float,
        step_seconds: float = 1.0,
        origin: float = 0.0,
        max_surge: float = 0.25,
        max_unavailable: float = 0.25,
        arrivals: Arrivals | None = None,
    ) -> None:
        self.config = config
        self.service = Service(config.name, config.namespace, config.model, arrivals or config.arrivals, origin)
        self.pods: dict[str, VirtualPod] = {}
        self.replicas = config.replicas
        self.cpu_limit_cores = config.cpu
        self.memory_limit_bytes = config.memory
        self.revision = 1
        self.max_surge = max_surge
        self.max_unavailable = max_unavailable
        self._start = start
        self.step_seconds = step_seconds
        self._steps = 0
        self._next_ordinal = 0
        self._recorded = np.empty((1024, len(UNITS) + 1))
        for ordinal in range(config.replicas):
            self._create(ordinal, start - _LONG_AGO_SECONDS)

    @property
    def now(self) -> float:
        """Virtual Unix seconds."""
        return self._start + self._steps * self.step_seconds

    @property
    def ready_replicas(self) -> int:
        """Pods that serve."""
        return sum(member.pod.serves_at(self.now) for member in self.pods.values())

    @property
    def restarts(self) -> int:
        """Kills for memory of the pods that are there."""
        return sum(member.pod.restarts for member in self.pods.values())

    @property
    def updated(self) -> bool:
        """Whether every pod has the size asked for, is ready, and there are as many as asked for."""
        ready = self.ready_replicas == self.replicas == len(self.pods)
        return ready and all(member.revision == self.revision for member in self.pods.values())

    @property
    def replica_set(self) -> str:
        """Name of the ReplicaSet of the present revision of a Deployment."""
        return f"{self.config.name}-{letters(f'{self.config.namespace}/{self.config.name}/{self.revision}', 10)}"

    def scale(self, replicas: int) -> None:
        """Ask for another number of pods. Raises ValueError below 0."""
        if replicas < 0:
            raise ValueError(f"replicas must be 0 or more, not {replicas}")
        self.replicas = replicas

    def resize(
        self, cpu_cores: float | None = None, memory_bytes: float | None = None, *, in_place: bool = False
    ) -> None:
        """Ask for another size of each pod (None leaves a value): by a rolling update, or in place without a restart.

        Raises ValueError for a size that is not above 0.
        """
        cpu = self.cpu_limit_cores if cpu_cores is None else cpu_cores
        memory = self.memory_limit_bytes if memory_bytes is None else memory_bytes
        if cpu <= 0 or memory <= 0:
            raise ValueError(f"a size must be above 0, not {cpu} cores and {memory} bytes")
        if (cpu, memory) == (self.cpu_limit_cores, self.memory_limit_bytes):
            return
        self.cpu_limit_cores, self.memory_limit_bytes = cpu, memory
        if not in_place:
            self.revision += 1
            return
        for member in self.pods.values():
            member.pod.cpu_limit_cores, member.pod.memory_limit_bytes = cpu, memory

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises ValueError if `seconds` is not a whole number of steps."""
        for _ in self.stretches(seconds):
            pass

    def stretches(self, seconds: float) -> Iterator[Observation]:
        """As `advance`, stopping after each stretch with the same serving pods, for a look at them."""
        steps = round(seconds / self.step_seconds)
        if steps < 0 or abs(steps * self.step_seconds - seconds) > 1e-6:
            raise ValueError(f"{seconds} s is not a whole number of steps of {self.step_seconds} s")
        end = self._steps + steps
        while self._steps < end:
            self._control()
            waiting = [member.ready_at for member in self.pods.values() if not member.pod.serving]
            until = min((self._step_at(moment) for moment in waiting), default=end)
            for (observation,) in run([self.service], self.now, min(end, until) - self._steps, self.step_seconds):
                self._steps += len(observation.seconds)
                self._record(observation)
                yield observation
        self._control()

    def signals(self) -> Signals:
        """Everything recorded so far, as views."""
        return Signals(*self._recorded[: self._steps].T)

    def _step_at(self, moment: float) -> int:
        """The first step that starts at `moment` or later, and after the present one."""
        return max(self._steps + 1, int(np.ceil((moment - self._start) / self.step_seconds - 1e-9)))

    def _control(self) -> None:
        """What kubelets and controllers do at this moment, until nothing is left to do."""
        for member in self.pods.values():
            if not member.pod.serving and member.ready_at <= self.now + 1e-9:
                member.pod.serving, member.pod.ready_since = True, member.ready_at
        while True:
            members = [
                Member(name, it.ordinal, it.revision == self.revision, it.pod.serves_at(self.now))
                for name, it in self.pods.items()
            ]
            if self.config.kind == "StatefulSet":
                plan = plan_statefulset(members, self.replicas)
            else:
                plan = plan_deployment(members, self.replicas, self._next_ordinal, self.max_surge, self.max_unavailable)
            if not plan.delete and not plan.create:
                return
            for name in plan.delete:
                del self.pods[name]
                self.service.remove(name, self.now)
            for ordinal in plan.create:
                self._create(ordinal, self.now)

    def _create(self, ordinal: int, created_at: float) -> None:
        name = f"{self.config.name}-{ordinal}"
        if self.config.kind == "Deployment":
            name = f"{self.replica_set}-{letters(f'{self.replica_set}/{ordinal}', 5)}"
            self._next_ordinal = ordinal + 1
        ready_at = created_at + self.config.model.startup_seconds
        pod = Pod(name, self.cpu_limit_cores, self.memory_limit_bytes, self.config.container)
        pod.serving, pod.ready_since = ready_at <= self.now, ready_at
        self.service.pods[name] = pod
        self.pods[name] = VirtualPod(pod, ordinal, self.revision, created_at, ready_at)

    def _record(self, observation: Observation) -> None:
        steps, outcome = len(observation.seconds), observation.outcome
        if self._steps > len(self._recorded):
            more = np.empty((max(self._steps, 2 * len(self._recorded)), len(UNITS) + 1))
            more[: len(self._recorded)] = self._recorded
            self._recorded = more
        requests = observation.requests()
        ended = requests.sum(axis=0)
        errors = ended - requests[CODES.index("200")]
        ready = sum(map(len, observation.pods))
        nothing = np.zeros(steps)
        self._recorded[self._steps - steps : self._steps] = np.column_stack([
            observation.seconds,
            observation.offered_rate,
            *observation.percentiles(0.5, 0.99),
            errors / np.where(ended > 0, ended, 1.0),
            observation.total(outcome.cpu_cores) if outcome else nothing,
            observation.total(outcome.memory_bytes) if outcome else nothing,
            observation.total(outcome.throttled_share) / ready if outcome else nothing,
            nothing + ready,
            nothing + self.replicas,
            nothing + self.cpu_limit_cores,
            nothing + self.memory_limit_bytes,
        ])  # fmt: skip


def letters(text: str, count: int) -> str:
    """A name's random-looking part, as Kubernetes writes it, from a hash of `text`."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(_SAFE_LETTERS[byte % len(_SAFE_LETTERS)] for byte in digest[:count])


class VirtualCluster:
    """Workloads that share a virtual clock."""

    def __init__(
        self, services: Sequence[SimulatedService], start: float, step_seconds: float = 1.0, origin: float = 0.0
    ) -> None:
        self.workloads = {service.key: VirtualWorkload(service, start, step_seconds, origin) for service in services}

    def __getitem__(self, key: tuple[str, str]) -> VirtualWorkload:
        """The workload of (namespace, name)."""
        return self.workloads[key]

    def advance(self, seconds: float) -> None:
        """Let time pass for all of them."""
        for workload in self.workloads.values():
            workload.advance(seconds)
