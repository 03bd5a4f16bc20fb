"""Runs the operator until it is told to stop: Kopf's watches, the scheduler, and /healthz."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from trimtab.adapters.store_engine import shown
from trimtab.settings import NO_STORE, Settings
from trimtab.watching import Watches
from trimtab.wiring import Operator, operator

_STALLED_SECONDS: Final = 120.0
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises KubeError when the API server cannot be used at all."""
    if settings.kubeconfig is not None:
        os.environ["KUBECONFIG"] = str(settings.kubeconfig)  # Kopf logs in by itself
    stop = asyncio.Event()
    _stop_on_signals(stop)
    async with AsyncExitStack() as opened:
        running = await opened.enter_async_context(operator(settings))
        watching = Watches(running, stop)
        await opened.enter_async_context(_health(settings.health_port, running, watching))
        if settings.metrics_port:
            running.services.telemetry.serve(settings.metrics_port)
        await running.load()
        _log.info(
            "operator started",
            policies=len(running.world.policies),
            namespaces=list(settings.namespaces) or "all",
            prometheus=settings.prometheus.url,
            switch=running.services.turns.switch.where,
            store=settings.store_url if settings.store_url == NO_STORE else shown(settings.store_url),
        )
        watches = asyncio.create_task(watching.run())
        await asyncio.wait({watches, asyncio.create_task(watching.ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        rounds = asyncio.create_task(running.scheduler.run())
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({watches, rounds, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        rounds.cancel()
        await asyncio.gather(watches, rounds, return_exceptions=True)
        for task in done - {stopped}:
            task.result()


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


@asynccontextmanager
async def _health(port: int, running: Operator, watching: Watches) -> AsyncIterator[None]:
    """/healthz says 503 once no round has ended for two minutes, which leases are held, and what cannot be read.

    The latter with 200: a new process could read no more than this one.
    """

    async def healthz(_: web.Request) -> web.Response:
        age = running.services.clock() - running.scheduler.last_round
        healthy = age < _STALLED_SECONDS
        lines = [f"last round ended {age:.0f} s ago", *running.services.leases.lines()]
        if watching.trouble:
            lines.append(f"nothing is watched: {watching.trouble}")
        switch = running.services.turns.switch
        if switch.trouble:
            lines.append(f"the switch {switch.where} is not read: {switch.trouble}")
        return web.Response(status=200 if healthy else 503, text="".join(f"{line}\n" for line in lines))

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        if port:
            await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - the kubelet probes the pod's address
        yield
    finally:
        await runner.cleanup()
