"""A gate before a server: it passes everything on, remembers what was written, and can hold a request at the door."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import yaml
from aiohttp import web

_OWN_TO_A_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length", "accept-encoding"}
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came in."""

    method: str
    path: str
    query: str
    body: bytes

    @property
    def watches(self) -> bool:
        """Whether it asks to be told of changes from now on."""
        return "watch=true" in self.query.lower()

    @property
    def writes_workload(self) -> bool:
        """Whether it is a write of a Deployment or StatefulSet, its scale included."""
        return self.method != "GET" and "/apis/apps/v1/" in self.path


@dataclass(slots=True)
class Hold:
    """Stops the first request that matches; what happens to it is the test's to say."""

    matches: Callable[[Request], bool]
    answers: bool = False
    """Whether the request is passed on, and its answer stopped instead."""
    _caught: asyncio.Future[Request] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _fate: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _done: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _answer: asyncio.Future[bytes] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def has_caught(self) -> bool:
        """Whether a request stands at the gate, or stood there."""
        return self._caught.done()

    async def caught(self, seconds: float = 120.0) -> Request:
        """The request, once it stands at the gate; raises TimeoutError."""
        return await asyncio.wait_for(asyncio.shield(self._caught), seconds)

    async def answer(self, seconds: float = 120.0) -> bytes:
        """What the server has answered, while it stands at the gate; raises TimeoutError."""
        return await asyncio.wait_for(asyncio.shield(self._answer), seconds)

    async def let_go(self) -> int:
        """Pass the request on now; the status that the server answered with, whether or not anybody still listens."""
        self.release()
        return await asyncio.wait_for(self._done, 60.0)

    def release(self) -> None:
        """Pass the request on now, whatever becomes of it."""
        self._fate.set_result(True)

    async def settle(self, done: bool) -> None:
        """Pass it on, or let it never arrive."""
        if done:
            assert 200 <= await self.let_go() < 300
        else:
            self.drop()

    def drop(self) -> None:
        """The request never arrives."""
        self._fate.set_result(False)


class Gate:
    """A reverse proxy on 127.0.0.1, as an async context manager. TLS ends at its far side."""

    def __init__(self, upstream: str, ca_file: Path | None = None) -> None:
        self._upstream = upstream.rstrip("/")
        self._tls = ssl.create_default_context(cafile=str(ca_file)) if ca_file else None
        self._holds: list[Hold] = []
        self._answers: list[tuple[Callable[[Request], bool], int, bytes]] = []
        self._under_way: dict[asyncio.Task[Any], Request] = {}
        self.seen: list[Request] = []
        """Every request that is not a watch, in the order in which they came."""
        self.url = ""

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls if self._tls else True)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        )
        application = web.Application(client_max_size=64 * 2**20)
        application.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hold in self._holds:
            if not hold._fate.done():
                hold.drop()
        await self._runner.cleanup()  # who still waits here asks with the session
        await self._session.close()

    def hold(self, matches: Callable[[Request], bool], *, answers: bool = False) -> Hold:
        """Stop the first request from now on that matches, or the answer to it."""
        made = Hold(matches, answers)
        self._holds.append(made)
        return made

    @contextlib.contextmanager
    def answering(self, matches: Callable[[Request], bool], status: int, body: bytes = b"") -> Iterator[None]:
        """Answer what matches in the server's place; connections of it that are open are cut."""
        answer = (matches, status, body)
        self._answers.append(answer)
        for task in [task for task, request in self._under_way.items() if matches(request)]:
            task.cancel()
        try:
            yield
        finally:
            self._answers.remove(answer)

    def kubeconfig(self, like: Path, folder: Path) -> Path:
        """A kubeconfig as another one, but through the gate."""
        config: dict[str, Any] = yaml.safe_load(like.read_text())
        config["clusters"][0]["cluster"] = {"server": self.url}
        file = folder / "through-the-gate.yaml"
        file.write_text(yaml.safe_dump(config))
        return file

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen = Request(request.method, request.path, request.query_string, body)
        if not seen.watches:
            self.seen.append(seen)
        for matches, status, text in self._answers:
            if matches(seen):
                return web.Response(status=status, body=text, content_type="application/json")
        hold = next((hold for hold in self._holds if not hold._caught.done() and hold.matches(seen)), None)
        if hold is None:
            for other in self._holds:
                if other.matches(seen) and other.has_caught:
                    await asyncio.shield(other._fate)  # who gave up waiting and asks again waits as well
            return await self._forward(request, body)
        hold._caught.set_result(seen)
        if hold.answers:
            return await self._forward(request, body, hold._done, hold)
        if not await hold._fate:
            raise web.HTTPBadGateway(text="dropped at the gate")
        return await self._forward(request, body, hold._done)

    def asked(self, request: web.Request, body: bytes) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """The server's answer to a request that came in."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OWN_TO_A_CONNECTION}
        headers["Accept-Encoding"] = "identity"  # who rewrites an answer reads it
        url = f"{self._upstream}{request.raw_path}"
        return self._session.request(request.method, url, headers=headers, data=body or None, allow_redirects=False)

    async def _forward(
        self,
        request: web.Request,
        body: bytes,
        answered: asyncio.Future[int] | None = None,
        keeps: Hold | None = None,
    ) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None, "a request has a task"
        self._under_way[task] = Request(request.method, request.path, request.query_string, body)
        task.add_done_callback(lambda ended: self._under_way.pop(ended, None))
        async with self.asked(request, body) as answer:
            if answered is not None:
                answered.set_result(answer.status)
            if keeps is not None:
                keeps._answer.set_result(await answer.read())
                await keeps._fate
            kept = {n: v for n, v in answer.headers.items() if n.lower() not in _OWN_TO_A_CONNECTION}
            response = web.StreamResponse(status=answer.status, headers=kept)
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):  # one of the two may go at any time
                await response.prepare(request)
                if keeps is not None:
                    await response.write(await keeps.answer())
                async for part in answer.content.iter_any():
                    await response.write(part)
                await response.write_eof()
            return response


def to_scale(request: Request) -> bool:
    """A write of replicas."""
    return request.method == "PATCH" and request.path.endswith("/scale")


def to_template(request: Request) -> bool:
    """A write of a workload itself, which is how sizes are set."""
    return request.method == "PATCH" and "/apis/apps/v1/" in request.path and not request.path.endswith("/scale")


def to_run_status(request: Request) -> bool:
    """A write of a run's status."""
    return request.method == "PATCH" and "/optimizationruns/" in request.path and request.path.endswith("/status")


def writes_to(name: str) -> Callable[[Request], bool]:
    """Writes of one workload, its scale included."""
    return lambda request: request.writes_workload and name in request.path.split("/")
