"""Answers that an API server never gives, and those that a proxy before it does: each fails the one request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from trimtab.adapters.kube import KubeClient, KubeError
from trimtab.adapters.workloads import Workloads
from trimtab.domain.choices import TargetKind

TOKEN = "eyJhbGciOiJub25lIn0"


@asynccontextmanager
async def client_of(
    folder: Path, reply: Callable[[web.Request], web.Response], **options: Any
) -> AsyncIterator[KubeClient]:
    """A client of a server that gives these answers."""

    async def answer(request: web.Request) -> web.Response:
        return reply(request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = {"server": "http://{}:{}".format(*runner.addresses[0][:2])}
    config = {
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file = folder / "kubeconfig.yaml"
    file.write_text(yaml.safe_dump(config))
    try:
        async with await KubeClient.connect(file, **options) as kube:
            yield kube
    finally:
        await runner.cleanup()


ODD = {
    "nested": b"[" * 200_000,
    "html": b"<html>Please log in</html>",
    "list": b"[]",
    "truncated": b'{"items": [',
    "not text": b"\xff\xfe",
}


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
async def test_an_answer_that_is_no_object_is_an_error_of_the_request(tmp_path: Path, body: bytes, status: int) -> None:
    async with client_of(tmp_path, lambda _: web.Response(status=status, body=body)) as kube:
        with pytest.raises(KubeError) as raised:
            await kube.get("/api/v1/namespaces/shop")
    assert raised.value.status == (0 if status == 200 else 500)
    assert len(str(raised.value)) < 1000
    assert not raised.value.not_found


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("<p>Bearer {}</p>", 200),
        ("<p>Bearer {}</p>", 500),
        ("{{Bearer {}", 200),
        ('{{"reason": "Odd", "message": "not {}"}}', 401),
        ('{{"reason": "Odd", "message": "not {}"}}', 500),
    ],
)
async def test_an_answer_that_shows_our_token_is_not_shown(tmp_path: Path, form: str, status: int) -> None:
    body = form.format(TOKEN).encode()
    async with client_of(tmp_path, lambda _: web.Response(status=status, body=body)) as kube:
        with pytest.raises(KubeError) as raised:
            await kube.get("/api/v1/namespaces/shop")
    assert TOKEN not in str(raised.value)
    assert "[hidden]" in str(raised.value)


@pytest.mark.parametrize("body", [{"items": 3}, {"items": ["x"]}, {"items": [], "metadata": ["x"]}], ids=str)
async def test_a_list_that_is_none(tmp_path: Path, body: dict[str, Any]) -> None:
    async with client_of(tmp_path, lambda _: web.json_response(body)) as kube:
        with pytest.raises(KubeError, match="not a list of the API server"):
            await kube.list("/api/v1/pods")


async def test_an_answer_has_a_limit_and_pages_become_smaller(tmp_path: Path) -> None:
    pages: list[int] = []

    def reply(request: web.Request) -> web.Response:
        size, start = int(request.query["limit"]), int(request.query.get("continue", 0))
        pages.append(size)
        items = [{"number": number, "filler": "x" * 1000} for number in range(start, min(start + size, 200))]
        more = str(start + size) if start + size < 200 else ""
        return web.json_response({"items": items, "metadata": {"continue": more}})

    async with client_of(tmp_path, reply, max_answer_bytes=100_000) as kube:
        items = await kube.list("/api/v1/pods")
    assert [item["number"] for item in items] == list(range(200))
    assert pages == [500, 62, 62, 62, 62]


async def test_one_object_that_is_too_large(tmp_path: Path) -> None:
    async with client_of(tmp_path, lambda _: web.Response(body=b" " * 200_000), max_answer_bytes=100_000) as kube:
        with pytest.raises(KubeError, match="the answer has more than 100000 bytes"):
            await kube.get("/api/v1/namespaces/shop")


async def test_a_workload_that_cannot_be_read_harms_no_other(tmp_path: Path) -> None:
    whole = {
        "metadata": {"namespace": "shop", "name": "good", "uid": "u"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": []}}},
    }
    bent = {"metadata": {"namespace": "shop", "name": "bent"}, "spec": []}

    def reply(request: web.Request) -> web.Response:
        if request.path.endswith("/bent"):
            return web.json_response(bent)
        return web.json_response({"items": [whole, bent] if request.path.endswith("/deployments") else []})

    async with client_of(tmp_path, reply) as kube:
        seen = await Workloads(kube).seen(["shop"])
        with pytest.raises(KubeError, match="Deployment bent cannot be read"):
            await Workloads(kube).read(TargetKind.DEPLOYMENT, "shop", "bent")
    assert [name for _, _, name in seen.workloads] == ["good"]
    assert {name: why.split(":")[0] for (_, _, name), why in seen.unreadable.items()} == {
        "bent": "Deployment bent cannot be read"
    }
    assert seen.failed == {}
