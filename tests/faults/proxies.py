"""Proxies before the API server and before Prometheus that do harm while they are told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from tests.operator.gate import Gate, Hold, Request

_SLOW_SECONDS: Final = 6.0
_NEVER_SECONDS: Final = 60.0
_HUGE_BYTES: Final = 600 << 20
_CHUNK: Final = b"9" * (1 << 20)
_HTML: Final = "<!doctype html><html><body><h1>Sign in to go on</h1></body></html>"
_NESTED: Final = "[" * 200_000


@dataclass(frozen=True, slots=True)
class Upstream:
    """The server itself, for one request."""

    passed: Callable[[], Awaitable[web.StreamResponse]]
    """Its answer, passed on as it comes."""
    read: Callable[[], Awaitable[tuple[int, bytes]]]
    """Status and body of its answer, for oneself."""


Harm = Callable[[web.Request, Upstream], Awaitable[web.StreamResponse]]
"""What is answered in place of the server's own answer."""


class HarmfulGate(Gate):
    """A gate that answers by ``harm`` what ``endangers`` chooses, while there is harm. Watches pass."""

    harm: Harm | None = None

    def __init__(self, upstream: str, ca_file: Path | None = None) -> None:
        super().__init__(upstream, ca_file)
        self.endangers: Callable[[Request], bool] = every
        self.harmed: list[Request] = []
        """Requests that met with harm, in the order in which they did."""

    async def _forward(
        self,
        request: web.Request,
        body: bytes,
        answered: asyncio.Future[int] | None = None,
        keeps: Hold | None = None,
    ) -> web.StreamResponse:
        forward = super()._forward
        seen = Request(request.method, request.path, request.query_string, body)
        if self.harm is None or seen.watches or not self.endangers(seen):
            return await forward(request, body, answered, keeps)
        self.harmed.append(seen)

        async def read() -> tuple[int, bytes]:
            async with self.asked(request, body) as answer:
                return answer.status, await answer.read()

        return await self.harm(request, Upstream(lambda: forward(request, body, answered, keeps), read))


def every(_request: Request) -> bool:
    """Reads, writes and leases alike."""
    return True


def changes(request: Request) -> bool:
    """Writes of workloads and new runs alone: leases, reads and records pass."""
    return request.writes_workload or makes_run(request)


def makes_run(request: Request) -> bool:
    """A new run."""
    return request.method == "POST" and request.path.endswith("/optimizationruns")


def _broken(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def refused(code: int, reason: str) -> Harm:
    """The API server's own way to say no."""

    async def harm(_request: web.Request, _upstream: Upstream) -> web.StreamResponse:
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
        return web.json_response({**body, "message": f"{reason}, says the fault"}, status=code)

    return harm


async def cut(request: web.Request, _upstream: Upstream) -> web.StreamResponse:
    """The connection breaks, and the request never arrived."""
    return _broken(request)


async def cut_after(request: web.Request, upstream: Upstream) -> web.StreamResponse:
    """The request arrived and was carried out; its answer is lost."""
    await upstream.read()
    return _broken(request)


async def slow(_request: web.Request, upstream: Upstream) -> web.StreamResponse:
    """Each answer takes seconds."""
    await asyncio.sleep(_SLOW_SECONDS)
    return await upstream.passed()


async def never(request: web.Request, _upstream: Upstream) -> web.StreamResponse:
    """No answer comes for longer than anybody waits."""
    await asyncio.sleep(_NEVER_SECONDS)
    return _broken(request)


def answered(text: str, code: int = 200, content_type: str = "application/json") -> Harm:
    """Something else than was asked for."""

    async def harm(_request: web.Request, _upstream: Upstream) -> web.StreamResponse:
        return web.Response(text=text, status=code, content_type=content_type)

    return harm


html = answered(_HTML, content_type="text/html")
nested = answered(_NESTED)


async def redirected(_request: web.Request, _upstream: Upstream) -> web.StreamResponse:
    """Somebody else is to be asked."""
    raise web.HTTPFound("http://127.0.0.1:9/login")


async def huge(request: web.Request, _upstream: Upstream) -> web.StreamResponse:
    """More bytes than anybody wants to hold."""
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    await answer.write(b'{"status":"success","data":{"resultType":"matrix","result":["')
    for _ in range(_HUGE_BYTES // len(_CHUNK)):
        await answer.write(_CHUNK)
    return answer


async def truncated(_request: web.Request, upstream: Upstream) -> web.StreamResponse:
    """Half of an answer, as if it were all."""
    code, body = await upstream.read()
    return web.Response(status=code, body=body[: len(body) // 2], content_type="application/json")


def values(replaced: str) -> Harm:
    """Every value of every series is this one."""

    def change(answer: dict[str, Any]) -> None:
        for series in answer["data"]["result"]:
            series["values"] = [[at, replaced] for at, _ in series["values"]]

    return rewritten(change)


def negated(answer: dict[str, Any]) -> None:
    """Every value has the other sign."""
    for series in answer["data"]["result"]:
        series["values"] = [[at, f"-{value}"] for at, value in series["values"]]


def shifted(seconds: float) -> Harm:
    """The server's clock is wrong: all samples are of another time."""

    def change(answer: dict[str, Any]) -> None:
        for series in answer["data"]["result"]:
            series["values"] = [[at + seconds, value] for at, value in series["values"]]

    return rewritten(change)


def partial(answer: dict[str, Any]) -> None:
    """A store behind the endpoint did not answer, and every second series is missing."""
    answer["warnings"] = ["store 10.0.0.7:10901 did not answer"]
    answer["data"]["result"] = answer["data"]["result"][::2]


def rewritten(change: Callable[[dict[str, Any]], None]) -> Harm:
    """The server's own answer to a range query, changed."""

    async def harm(_request: web.Request, upstream: Upstream) -> web.StreamResponse:
        code, body = await upstream.read()
        answer = json.loads(body)
        if code == 200 and answer.get("data", {}).get("resultType") == "matrix":
            change(answer)
        return web.json_response(answer, status=code)

    return harm
