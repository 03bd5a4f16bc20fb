"""Following a kind of object on the API server: a list, then its watch, again and again."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import structlog

JsonObject = dict[str, Any]

WATCH_SECONDS = 240
"""A watch ends by itself after it, before the HTTP client's own limit of five minutes."""

_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0

log = structlog.get_logger(__name__)


class ListError(Exception):
    """The API server answered a list or a watch with an error."""


async def list_objects(call: Callable[..., Awaitable[Any]]) -> tuple[list[JsonObject], str]:
    """All objects that `call` lists, with the resource version to watch from.

    `call` is one of the client's `list_..._without_preload_content` methods with its fixed arguments bound.
    Raises ListError.
    """
    response = await call()
    body = await response.json()
    if response.status != 200:
        raise ListError(f"{response.status} {body.get('reason')}: {body.get('message')}")
    return body.get("items") or [], body["metadata"]["resourceVersion"]


async def follow(
    what: str,
    call: Callable[..., Awaitable[Any]],
    replace: Callable[[list[JsonObject]], None],
    apply: Callable[[str, JsonObject], None],
) -> None:
    """Keep a picture of what `call` lists (`what`, for the log); runs until cancelled.

    `replace` gets the whole list at the start and whenever the watch was lost, `apply` each event (ADDED,
    MODIFIED or DELETED) with its object. While the API server cannot be reached the last picture stands; it is
    tried again after up to 30 s.
    """
    delay_seconds = _FIRST_DELAY_SECONDS
    while True:
        try:
            items, version = await list_objects(call)
            replace(items)
            delay_seconds = _FIRST_DELAY_SECONDS
            while version:
                version = await _watch(call, version, apply)
        except (aiohttp.ClientError, OSError, TimeoutError, ListError, json.JSONDecodeError) as error:
            log.warning("watch_lost", what=what, error=str(error) or type(error).__name__, retry_seconds=delay_seconds)
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(2 * delay_seconds, _LONGEST_DELAY_SECONDS)


async def _watch(call: Callable[..., Awaitable[Any]], version: str, apply: Callable[[str, JsonObject], None]) -> str:
    """Apply events until the server ends the watch; returns where to go on, or "" if a new list is needed."""
    response = await call(
        watch=True, resource_version=version, allow_watch_bookmarks=True, timeout_seconds=WATCH_SECONDS
    )
    try:
        if response.status == 410:
            return ""
        if response.status != 200:
            raise ListError(f"{response.status}: {(await response.text())[:200]}")
        while line := await response.content.readline():
            event = json.loads(line)
            if event["type"] == "ERROR":
                return ""
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                apply(event["type"], event["object"])
        return version
    finally:
        response.close()
