"""Every write of a fenced client asks its fences, and again when its connection stands; reading asks nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client as aio_client

from trimtab.adapters.fence import Admission, Outgoing, Purpose
from trimtab.adapters.kube import FencedError, KubeClient, KubeError, _CheckedRequest

PATH = "/apis/apps/v1/namespaces/shop/deployments/web"


class Server:
    """Takes what comes, and remembers it; answers late when told to."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.delay_seconds = 0.0
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(request.method)
        await asyncio.sleep(self.delay_seconds)
        return web.json_response({})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield made
    await runner.cleanup()


class Scripted:
    """A fence that admits for so long, and whose last check is the test's."""

    def __init__(self, seconds: float = 30.0, check: Callable[[], None] = lambda: None) -> None:
        self.asked: list[Outgoing] = []
        self._admission = Admission(seconds, check)

    async def admit(self, write: Outgoing) -> Admission:
        self.asked.append(write)
        return self._admission


class Shut:
    """Lets nothing pass."""

    async def admit(self, write: Outgoing) -> Admission:
        raise FencedError("shut")


def client_of(server: Server, *fences: Any) -> KubeClient:
    configuration = type.__call__(aio_client.Configuration)
    configuration.host = server.url
    configuration.client_session_kwargs = {"request_class": _CheckedRequest}
    return KubeClient(aio_client.ApiClient(configuration=configuration), fences)


WRITES: dict[str, Callable[[KubeClient], Any]] = {
    "create": lambda kube: kube.create(PATH, {}),
    "json_patch": lambda kube: kube.json_patch(PATH, []),
    "merge_patch": lambda kube: kube.merge_patch(PATH, {}),
    "delete": lambda kube: kube.delete(PATH),
    "put": lambda kube: kube.request("PUT", PATH, body={}),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_one_fence_that_is_shut_lets_no_write_pass(server: Server, write: Callable[[KubeClient], Any]) -> None:
    async with client_of(server, Scripted(), Shut()) as kube:
        with pytest.raises(FencedError, match="shut"):
            await write(kube)
        await kube.get(PATH)
    assert server.seen == ["GET"]


async def test_the_last_check_comes_when_the_connection_stands(server: Server) -> None:
    checks = 0

    def lost_meanwhile() -> None:
        nonlocal checks
        checks += 1
        if checks > 1:
            raise FencedError("lost while it waited for a connection")

    async with client_of(server, Scripted(check=lost_meanwhile)) as kube:
        with pytest.raises(FencedError, match="lost while"):
            await kube.json_patch(PATH, [])
        await kube.get(PATH)
    assert (checks, server.seen) == (2, ["GET"])


async def test_a_write_waits_no_longer_than_it_is_admitted_for(server: Server) -> None:
    server.delay_seconds = 5.0
    async with client_of(server, Scripted(20.0), Scripted(0.3)) as kube:
        started = time.monotonic()
        with pytest.raises(KubeError, match="not reached"):
            await kube.json_patch(PATH, [])
        assert time.monotonic() - started < 4.0


async def test_a_fence_is_told_what_the_write_is_for(server: Server) -> None:
    fence = Scripted()
    async with client_of(server, fence) as kube:
        await kube.json_patch(PATH, [], Purpose.UNDO)
        await kube.create("/api/v1/namespaces/shop/events", {})
    assert fence.asked == [
        Outgoing("PATCH", PATH, Purpose.UNDO),
        Outgoing("POST", "/api/v1/namespaces/shop/events", Purpose.RECORD),
    ]
    assert [one.namespace for one in fence.asked] == ["shop", "shop"]
    assert Outgoing("POST", "/api/v1/namespaces", Purpose.RECORD).namespace == ""
