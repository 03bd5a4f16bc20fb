"""A stage to act on: one namespace with simulated services, operators that can be killed, and eyes on what happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

import aiohttp
import yaml

from cluster.processes import Component, spawn, stop_all
from cluster.tools import find_kubectl
from trimtab.adapters.kube import JsonObject, KubeClient, KubeError
from trimtab.adapters.resources import POLICIES, RUNS, path
from trimtab.simulation.live import live
from trimtab.simulation.scenario import Scenario, manifest

_POLL_SECONDS = 0.2
LEASE: Final = ("5s", "3500ms", "500ms")
"""Duration, renew deadline and retry period: shorter than the default, as operators are killed and started here."""
_LEASE_OPTIONS: Final = ("duration", "renew-deadline", "retry-period")
_T = TypeVar("_T")


class StageError(Exception):
    """What was waited for did not happen; the message says what was seen instead."""


@dataclass(slots=True)
class Simulation:
    """A running simulation; ``process`` is None for one that runs in a thread."""

    address: str
    process: Component | None = None

    async def faults(self, faults: JsonObject) -> None:
        """Put faults in force in place of those before."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{self.address}/faults", json=faults) as answer,
        ):
            if answer.status >= 400:
                raise StageError(f"faults refused: {await answer.text()}")

    async def mend(self) -> None:
        """End all faults."""
        async with aiohttp.ClientSession() as session, session.delete(f"http://{self.address}/faults") as answer:
            answer.raise_for_status()


class _SimulationThread:
    """A simulation with a thread and an event loop of its own."""

    def __init__(self, scenario: Scenario, kubeconfig: Path, targets_dir: Path) -> None:
        self._started: Future[str] = Future()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(scenario, kubeconfig, targets_dir), name="simulation", daemon=True
        )
        self._thread.start()

    def find_address(self) -> str | None:
        """Where it is served (``host:port``), once it is; raises what went wrong."""
        return self._started.result() if self._started.done() else None

    def stop(self) -> None:
        """End it; returns when nothing of it is left."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def _run(self, scenario: Scenario, kubeconfig: Path, targets_dir: Path) -> None:
        async def serve() -> None:
            async with live(scenario, kubeconfig, targets_dir=targets_dir) as simulation:
                self._started.set_result(simulation.address)
                await self._stop.wait()

        try:
            self._loop.run_until_complete(serve())
        except Exception as error:
            if self._started.done():
                raise
            self._started.set_exception(error)


@dataclass(slots=True)
class Operator:
    """A running operator process."""

    process: Component
    ended: bool = False
    """On purpose."""

    def kill(self) -> None:
        """SIGKILL: no time to say anything."""
        self.ended = True
        self.process.send(signal.SIGKILL)
        while self.process.alive():
            time.sleep(0.01)

    def suspend(self) -> None:
        """SIGSTOP, and wait until it stands still."""
        self.process.suspend()

    def resume(self) -> None:
        """SIGCONT."""
        self.process.resume()

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self.ended = True
        stop_all([self.process])

    @property
    def log(self) -> str:
        """Everything that it logged."""
        return self.process.log.read_text(errors="replace") if self.process.log.exists() else ""


@dataclass(slots=True)
class Stage:
    """One namespace of a cluster, and the processes that act in it; all end with it."""

    folder: Path
    kubeconfig: Path
    namespace: str
    prometheus_url: str
    targets_dir: Path
    operator_kubeconfig: Path | None = None
    """What operators use; default as everybody else."""
    person_kubeconfig: Path | None = None
    """What kubectl and the command line use; default as everybody else."""
    entry: tuple[str, ...] = ("-m", "trimtab.cli")
    """What Python runs as the operator."""
    switch_namespace: str | None = None
    """Where operators look for their switch; default this namespace."""
    kube: KubeClient = field(init=False)
    _processes: list[Component] = field(default_factory=list)
    _operators: list[Operator] = field(default_factory=list)
    _threads: list[_SimulationThread] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kube = await KubeClient.connect(self.kubeconfig)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_processes()
        await self.kube.close()

    def end_processes(self) -> None:
        """End everything that acts here."""
        for process in self._processes:
            process.resume()
        stop_all(self._processes)
        self._processes.clear()
        for thread in self._threads:
            thread.stop()
        self._threads.clear()

    async def kubectl(self, *arguments: str, given: str | None = None, kubeconfig: Path | None = None) -> str:
        """What kubectl prints; raises StageError with what it complains of."""
        command = [str(find_kubectl()), "--kubeconfig", str(kubeconfig or self._person), "-n", self.namespace]
        process = await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, complaint = await process.communicate(given.encode() if given else None)
        if process.returncode != 0:
            raise StageError(f"kubectl {' '.join(arguments)}: {complaint.decode().strip()}")
        return out.decode()

    async def apply(self, *bodies: JsonObject) -> None:
        """kubectl apply, as people do."""
        await self.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(bodies))

    async def deploy(self, scenario: Scenario) -> None:
        """Create the workloads of a scenario."""
        await self.apply(*(manifest(service) for service in scenario.services))

    async def simulate(self, scenario: Scenario, *, in_thread: bool = False) -> Simulation:
        """Run a scenario live against the cluster's pods, scraped by Prometheus.

        In a thread it starts at once, and takes its turns with everything else that this process does.
        """
        if in_thread:
            thread = _SimulationThread(scenario, self.kubeconfig, self.targets_dir)
            self._threads.append(thread)
            return Simulation(await self.until(thread.find_address, "the simulation's address", 60.0))
        file = self.folder / "scenario.yaml"
        file.write_text(yaml.safe_dump(scenario.model_dump(mode="json", exclude_none=True)))
        log = self.folder / "simulation.log"
        log.unlink(missing_ok=True)
        arguments = [str(file), "--targets-dir", str(self.targets_dir), "--kubeconfig", str(self.kubeconfig)]
        process = self._spawn("simulation", [sys.executable, "-m", "trimtab.simulation", *arguments], log)
        address = await self.until(lambda: _first_line(process), "the simulation's address", 60.0)
        return Simulation(address, process)

    def operator(
        self,
        *,
        kubeconfig: Path | None = None,
        prometheus_url: str | None = None,
        workers: int = 0,
        scrape_interval_seconds: float = 1.0,
        log_level: str = "DEBUG",
        metrics_port: int = 0,
        max_open_runs: str = "100%",
        options: Iterable[str] = (),
        health_port: int = 0,
        name: str = "operator",
        lease: tuple[str, str, str] = LEASE,
        scope: Sequence[str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Operator:
        """Start an operator that looks after this namespace, or what ``scope`` says instead.

        ``settings`` are environment variables of its own.
        """
        command = ["env", *(f"{key}={value}" for key, value in (settings or {}).items()), sys.executable, *self.entry]
        command += ["operator", *(scope or ("--namespace", self.namespace))]
        command += [f"--lease-{what}={value}" for what, value in zip(_LEASE_OPTIONS, lease, strict=True)]
        command += ["--prometheus-url", prometheus_url or self.prometheus_url]
        command += ["--switch-namespace", self.switch_namespace or self.namespace]
        command += ["--scrape-interval", f"{scrape_interval_seconds:g}", "--workers", str(workers)]
        command += [
            "--kubeconfig",
            str(kubeconfig or self.operator_kubeconfig or self.kubeconfig),
            "--metrics-port",
            str(metrics_port),
            "--health-port",
            str(health_port),
        ]
        command += ["--log-level", log_level, "--max-open-runs", max_open_runs, *options]
        command += ["--store-url", os.environ.get("TRIMTAB_STORE_URL", f"sqlite:///{self.folder / 'trimtab.db'}")]
        number = sum(operator.process.name == name for operator in self._operators)
        log = self.folder / f"{name}-{number}.log"
        started = Operator(self._spawn(name, command, log))
        self._operators.append(started)
        return started

    @property
    def rounds(self) -> int:
        """Rounds that the operators have gone through so far, as they log them."""
        return sum(operator.log.count('"round ended"') for operator in self._operators)

    async def trimtab(self, *arguments: str) -> str:
        """What the command line prints for this namespace; raises StageError with what it complains of."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trimtab.cli",
            *arguments,
            "--namespace",
            self.namespace,
            env={**os.environ, "KUBECONFIG": str(self._person)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, complaint = await process.communicate()
        if process.returncode != 0:
            raise StageError(f"trimtab {' '.join(arguments)}: {complaint.decode().strip()}")
        return out.decode()

    async def policy(self, name: str) -> JsonObject:
        """A policy as the API server has it."""
        return await self.kube.get(path(POLICIES, self.namespace, name))

    async def run(self, name: str) -> JsonObject:
        """A run as the API server has it."""
        return await self.kube.get(path(RUNS, self.namespace, name))

    async def runs(self, policy: str | None = None) -> list[JsonObject]:
        """Runs, oldest first."""
        found = await self.kube.list(path(RUNS, self.namespace))
        mine = [run for run in found if policy in (None, run["spec"]["policyRef"]["name"])]
        return sorted(mine, key=lambda run: (run["metadata"]["creationTimestamp"], run["metadata"]["name"]))

    async def create_run(self, name: str, policy: str, **spec: Any) -> JsonObject:
        """A person's own run."""
        body = {
            "apiVersion": "trimtab.dev/v1alpha1",
            "kind": "OptimizationRun",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"policyRef": {"name": policy}, **spec},
        }
        await self.kubectl("create", "-f", "-", given=yaml.safe_dump(body))
        return await self.run(name)

    async def workload(self, name: str, plural: str = "deployments") -> JsonObject:
        """A workload as the API server has it."""
        return await self.kube.get(f"/apis/apps/v1/namespaces/{self.namespace}/{plural}/{name}")

    async def events(self, about: str | None = None) -> list[JsonObject]:
        """Events of our own, oldest first."""
        found = await self.kube.list(f"/api/v1/namespaces/{self.namespace}/events")
        ours = [event for event in found if (event.get("source") or {}).get("component") == "trimtab"]
        asked = [event for event in ours if about in (None, event["involvedObject"]["name"])]
        return sorted(asked, key=lambda event: str(event["firstTimestamp"]))

    async def in_phase(self, run: str, phases: Iterable[str], seconds: float = 120.0) -> JsonObject:
        """The run once it is in one of these phases; raises StageError when it ends in another."""
        wanted = set(phases)

        async def look() -> JsonObject | None:
            seen = await self.run(run)
            phase = (seen.get("status") or {}).get("phase", "Pending")
            if phase in wanted:
                return seen
            if phase in FINAL_PHASES:
                entries = json.dumps((seen.get("status") or {}).get("timeline"), indent=1)
                raise StageError(f"run {run} ended {phase}, not {' or '.join(sorted(wanted))}: {entries}")
            return None

        return await self.until(look, f"run {run} in phase {' or '.join(sorted(wanted))}", seconds)

    async def ended(self, run: str, seconds: float = 180.0) -> JsonObject:
        """The run once nothing more happens to it by itself, however it ended."""
        return await self.in_phase(run, FINAL_PHASES, seconds)

    async def settled(self, run: str, seconds: float = 180.0) -> JsonObject:
        """The run once it has ended and our finalizer is off it."""

        async def look() -> JsonObject | None:
            seen = await self.run(run)
            return None if seen["metadata"].get("finalizers") else seen

        await self.ended(run, seconds)
        return await self.until(look, f"run {run} without finalizer")

    async def condition(self, policy: str, kind: str) -> JsonObject | None:
        """A condition of a policy, or None while it is not told."""
        conditions = ((await self.policy(policy)).get("status") or {}).get("conditions") or []
        return next((condition for condition in conditions if condition["type"] == kind), None)

    async def told(
        self, policy: str, kind: str, status: str, reason: str | None = None, seconds: float = 90.0
    ) -> JsonObject:
        """The condition of a policy once it has this status (and reason)."""
        seen: JsonObject | None = None

        async def look() -> JsonObject | None:
            nonlocal seen
            seen = await self.condition(policy, kind)
            fits = seen is not None and seen["status"] == status and reason in (None, seen["reason"])
            return seen if fits else None

        try:
            return await self.until(look, f"{policy} {kind}={status} {reason or ''}", seconds)
        except StageError as error:
            raise StageError(f"{error}; seen {seen}") from error

    async def in_state(self, policy: str, state: str, seconds: float = 90.0) -> JsonObject:
        """The policy once its column STATUS says so."""
        seen = ""

        async def look() -> JsonObject | None:
            nonlocal seen
            body = await self.policy(policy)
            seen = str(((body.get("status") or {}).get("summary") or {}).get("status", ""))
            return body if seen == state else None

        try:
            return await self.until(look, f"{policy} to be {state}", seconds)
        except StageError as error:
            raise StageError(f"{error}; it is {seen or 'not told'}") from error

    @overload
    async def until(self, look: Callable[[], Awaitable[_T | None]], what: str, seconds: float = ...) -> _T: ...

    @overload
    async def until(self, look: Callable[[], _T | None], what: str, seconds: float = ...) -> _T: ...

    async def until(self, look: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """The first value of ``look`` that is not None (or False); raises StageError after so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                value = look()
                seen = await value if isinstance(value, Awaitable) else value
            except KubeError as error:
                if not error.not_found:
                    raise
                seen = None
            if seen is not None and seen is not False:
                return seen
            if time.monotonic() > deadline:
                raise StageError(f"waited {seconds:.0f} s for {what}")
            self._check_processes()
            await asyncio.sleep(_POLL_SECONDS)

    def _check_processes(self) -> None:
        """Raise ComponentDiedError when one is dead that nobody ended."""
        ended = [operator.process for operator in self._operators if operator.ended]
        for process in self._processes:
            if process not in ended and not process.alive():
                raise process.died()

    @property
    def _person(self) -> Path:
        return self.person_kubeconfig or self.kubeconfig

    def _spawn(self, name: str, command: list[str], log: Path) -> Component:
        process = spawn(name, command, log, die_with_parent=True)
        self._processes.append(process)
        return process


FINAL_PHASES = frozenset({"Succeeded", "RolledBack", "Failed", "Rejected", "Superseded", "Cancelled"})


def _first_line(process: Component) -> str | None:
    if not process.alive():
        raise process.died()
    lines = process.log.read_text(errors="replace").splitlines() if process.log.exists() else []
    return next((line for line in lines if line.count(":") == 1 and line.rpartition(":")[2].isdigit()), None)
