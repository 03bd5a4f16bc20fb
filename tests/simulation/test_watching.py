"""Following objects: a list, its watch, and going on after everything that can end one."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from trimtab.simulation import watching
from trimtab.simulation.watching import ListError, follow, list_objects


class Response:
    """What the client's methods return, as far as it is used; doubles as its own `content`."""

    def __init__(self, status: int, *lines: object) -> None:
        self.status = status
        self.content = self
        self.closed = False
        self._lines: Iterator[object] = iter(lines)

    async def json(self) -> object:
        return next(self._lines)

    async def text(self) -> str:
        return str(next(self._lines))

    async def readline(self) -> bytes:
        line = next(self._lines, None)
        if isinstance(line, Exception):
            raise line
        return b"" if line is None else json.dumps(line).encode() + b"\n"

    def close(self) -> None:
        self.closed = True


def listing(version: str, *names: str) -> Response:
    return Response(200, {"items": list(names), "metadata": {"resourceVersion": version}})


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": {"name": name, "metadata": {"resourceVersion": version}}}


async def followed(*responses: Response | Exception) -> tuple[list[object], list[str | None]]:
    """What was passed on, and the resource version of each call (None for a list)."""
    waiting = list(responses)
    seen: list[object] = []
    versions: list[str | None] = []

    async def call(**options: Any) -> Response:
        versions.append(options.get("resource_version"))
        if not waiting:
            await asyncio.Event().wait()
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    task = asyncio.create_task(
        follow("test/pods", call, lambda items: seen.append(items), lambda kind, raw: seen.append((kind, raw["name"])))
    )
    while waiting or len(versions) <= len(responses):
        await asyncio.sleep(0)
        assert not task.done()
    task.cancel()
    return seen, versions


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_FIRST_DELAY_SECONDS", 0.0)


async def test_events_follow_the_list_and_a_watch_goes_on_where_it_ended() -> None:
    watch = Response(200, event("ADDED", "b", "6"), event("BOOKMARK", "", "8"))
    seen, versions = await followed(listing("5", "a"), watch, Response(200, event("DELETED", "a", "9")))
    assert seen == [["a"], ("ADDED", "b"), ("DELETED", "a")]
    assert versions == [None, "5", "8", "9"]
    assert watch.closed


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param(Response(410), id="gone-at-once"),
        pytest.param(Response(200, {"type": "ERROR", "object": {"code": 410}}), id="gone-later"),
        pytest.param(Response(500, "overloaded"), id="server-error"),
        pytest.param(Response(200, aiohttp.ClientPayloadError("cut")), id="connection-cut"),
        pytest.param(aiohttp.ClientConnectionError("refused"), id="connection-refused"),
        pytest.param(TimeoutError(), id="timeout"),
    ],
)
async def test_a_lost_watch_is_followed_by_a_new_list(ending: Response | Exception) -> None:
    seen, versions = await followed(listing("5", "a"), ending, listing("7", "b"))
    assert seen == [["a"], ["b"]]
    assert versions == [None, "5", None, "7"]


async def test_a_refused_list_says_why() -> None:
    async def call() -> Response:
        return Response(403, {"reason": "Forbidden", "message": "not for you"})

    with pytest.raises(ListError, match="403 Forbidden: not for you"):
        await list_objects(call)
