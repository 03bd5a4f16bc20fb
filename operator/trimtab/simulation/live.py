"""The live simulation: real workloads on an API server, the model at wall-clock, and `/metrics` for Prometheus."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import web
from kubernetes.aio import client, config
from pydantic import ValidationError

from trimtab.simulation.cluster import ClusterPicture, followers
from trimtab.simulation.exposition import CONTENT_TYPE, render
from trimtab.simulation.faults import Faults
from trimtab.simulation.running import run
from trimtab.simulation.scenario import Scenario

TICK_SECONDS = 0.25

_LONGEST_STEP_SECONDS = 1.0
_SHUTDOWN_SECONDS = 1.0
_LONGEST_CATCH_UP_SECONDS = 300.0

log = structlog.get_logger(__name__)


class LiveSimulation:
    """One running simulation; made by `live`, which also starts and ends what it needs."""

    def __init__(self, scenario: Scenario, clock: Callable[[], float]) -> None:
        self.picture = ClusterPicture(scenario)
        self.faults = Faults()
        self.address = ""
        self._clock = clock
        self._then = clock()

    def tick(self) -> None:
        """Run the model from the last tick to now, in steps of a second at most."""
        now = self._clock()
        elapsed = min(now - self._then, _LONGEST_CATCH_UP_SECONDS)
        if elapsed <= 0:
            return
        self._then = now
        if not self.picture.complete:
            return
        self.picture.sync(now)
        steps = max(1, round(elapsed / _LONGEST_STEP_SECONDS))
        for _ in run(self.picture.open_services, now - elapsed, steps, elapsed / steps):
            pass

    def set_faults(self, faults: Faults) -> None:
        """Put these faults in force, and no others."""
        self.faults = faults
        for (namespace, name), service in self.picture.services.items():
            service.latency_factor = faults.latency_factor(namespace, name)

    def exposition(self) -> str:
        """All metrics as of now, in Prometheus's text format."""
        self.tick()
        samples = self.picture.samples(self._clock())
        return render(self.faults.spoil(samples) if self.faults.faults else samples)

    def application(self) -> web.Application:
        """`GET /metrics`; `GET`, `POST` and `DELETE /faults`; `GET /healthz`."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/metrics", self._get_metrics),
                web.get("/healthz", self._get_health),
                web.get("/faults", self._get_faults),
                web.post("/faults", self._post_faults),
                web.delete("/faults", self._delete_faults),
            ]
        )
        return application

    async def _get_metrics(self, _: web.Request) -> web.Response:
        if self.faults.stale:
            return web.Response(status=503, text="stale: a fault is on\n")
        return web.Response(body=self.exposition().encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _get_health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _get_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self.faults.model_dump(mode="json"))

    async def _post_faults(self, request: web.Request) -> web.Response:
        try:
            faults = Faults.model_validate_json(await request.read())
        except ValidationError as error:
            found = [f"{'.'.join(map(str, it['loc'])) or 'body'}: {it['msg']}" for it in error.errors()]
            return web.json_response({"errors": found}, status=400)
        unknown = faults.unknown_services(self.picture.services)
        if unknown:
            return web.json_response({"errors": [f"no service {name}" for name in unknown]}, status=400)
        self.set_faults(faults)
        return await self._get_faults(request)

    async def _delete_faults(self, request: web.Request) -> web.Response:
        self.set_faults(Faults())
        return await self._get_faults(request)


@asynccontextmanager
async def live(
    scenario: Scenario,
    kubeconfig: Path | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    targets_dir: Path | None = None,
    tick_seconds: float = TICK_SECONDS,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[LiveSimulation]:
    """Run a simulation for as long as the context is open; port 0 takes any that is free (see `address`).

    With `targets_dir` it stands there for Prometheus (`file_sd_configs`) until it ends. Raises OSError for a
    port that is taken or a folder that cannot be written, and kubernetes.aio.config.ConfigException without a
    usable kubeconfig.
    """
    simulation = LiveSimulation(scenario, clock)
    api = await connect(kubeconfig)
    runner = web.AppRunner(simulation.application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    target = None
    try:
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        simulation.address = "{}:{}".format(*runner.addresses[0][:2])
        target = _register(targets_dir, simulation.address, scenario.target_labels) if targets_dir else None
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(follower()) for follower in followers(simulation.picture, api)]
            running.append(tasks.create_task(_tick_for_ever(simulation, tick_seconds)))
            try:
                yield simulation
            finally:
                for task in running:
                    task.cancel()
    finally:
        if target is not None:
            target.unlink(missing_ok=True)
        await runner.cleanup()
        await api.close()


async def run_live(
    scenario: Scenario,
    kubeconfig: Path | None = None,
    port: int = 0,
    targets_dir: Path | None = None,
    *,
    host: str = "127.0.0.1",
    announce: Callable[[str], None] = print,
    clock: Callable[[], float] = time.time,
) -> None:
    """Run a simulation until SIGTERM or SIGINT; `announce` gets its address (`host:port`) once it is served."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with live(scenario, kubeconfig, host=host, port=port, targets_dir=targets_dir, clock=clock) as simulation:
        announce(simulation.address)
        await stopped.wait()


async def connect(kubeconfig: Path | None) -> client.ApiClient:
    """A client from a kubeconfig, from the default one, or from a pod's service account."""
    if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        configuration = client.Configuration()
        config.load_incluster_config(client_configuration=configuration)
        return client.ApiClient(configuration)
    api: client.ApiClient = await config.new_client_from_config(None if kubeconfig is None else str(kubeconfig))
    return api


async def _tick_for_ever(simulation: LiveSimulation, tick_seconds: float) -> None:
    while True:
        await asyncio.sleep(tick_seconds)
        simulation.tick()


def _register(folder: Path, address: str, labels: dict[str, str]) -> Path:
    """Write the file that Prometheus discovers targets from, renamed into place so that it is never seen in part."""
    path = folder / f"trimtab-simulation-{address.rpartition(':')[2]}.json"
    content = [{"targets": [address], "labels": labels}]
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(content))
    draft.rename(path)
    return path
