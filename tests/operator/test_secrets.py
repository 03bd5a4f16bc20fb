"""A secret planted in every way in comes out nowhere: not in logs, status, Events, the store, or a report."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import yaml
from aiohttp import web

from demo.stage import Stage
from tests.operator.acting import play, policy, service

pytestmark = pytest.mark.cluster

CANARY: Final = "canary" + "-7d1f5b2e"


class Telltale:
    """Speaks as a Prometheus that refuses every query, and repeats what it was sent in doing so."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: set[str] = set()

    async def answer(self, request: web.Request) -> web.Response:
        sent = {name: value for name, value in request.headers.items() if name in ("Authorization", "X-Scope-OrgID")}
        self.heard.update(sent.values())
        said = f"refused \x1b[31m: {request.headers!s} {sent}"
        return web.json_response({"status": "error", "errorType": "bad_data", "error": said}, status=400)


@pytest.fixture
async def telltale() -> AsyncIterator[Telltale]:
    made = Telltale()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = "{}:{}".format(*runner.addresses[0][:2])
    yield made
    await runner.cleanup()


async def test_a_secret_that_came_in_comes_out_nowhere(
    stage: Stage, telltale: Telltale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await play(stage, service(namespace=stage.namespace))
    secrets = {name: f"{CANARY}-{name}" for name in ("password", "header", "token", "store", "ended")}
    kubeconfig = yaml.safe_load((stage.operator_kubeconfig or stage.kubeconfig).read_text())
    secrets["kubeconfig"] = kubeconfig["users"][0]["user"]["token"]
    token = tmp_path / "token"
    token.write_text(f"{secrets['token']}\n")
    broken = tmp_path / "broken"
    broken.write_text(f"{secrets['ended']}\nX-Evil: 1")
    monkeypatch.setenv("TRIMTAB_PROMETHEUS_HEADERS", json.dumps({"X-Scope-OrgID": secrets["header"]}))
    secret_store = f"sqlite:///file:{stage.folder}/secret.db?uri=true&password={secrets['store']}"
    told: dict[str, str] = {}
    for name, (login, file) in {
        "password": (f"ann:{secrets['password']}@", None),
        "token": ("", token),
        "broken": ("", broken),
    }.items():
        monkeypatch.setenv("TRIMTAB_STORE_URL", secret_store)
        if file is not None:
            monkeypatch.setenv("TRIMTAB_PROMETHEUS_BEARER_TOKEN_FILE", str(file))
        await stage.apply(policy(name, target="web"))
        operator = stage.operator(name=name, prometheus_url=f"http://{login}{telltale.url}")
        await stage.told(name, "DataAvailable", "False")
        told[f"condition {name}"] = json.dumps(await stage.condition(name, "DataAvailable"))
        operator.stop()
        told[f"log {name}"] = operator.log
        told |= await reports(stage, name, f"http://{login}{telltale.url}", file)
    for body in [
        *(await stage.kube.list(f"/apis/trimtab.dev/v1alpha1/namespaces/{stage.namespace}/performancepolicies"))
    ]:
        told[f"status of {body['metadata']['name']}"] = json.dumps(body, ensure_ascii=False)
    told["events"] = json.dumps(await stage.events(), ensure_ascii=False)
    told["explain"] = await stage.trimtab("explain", "password")
    for file in stage.folder.glob("*.db*"):
        told[f"store {file.name}"] = file.read_bytes().decode("latin-1")

    assert {secrets["header"], f"Bearer {secrets['token']}"} <= telltale.heard
    assert any(one.startswith("Basic ") for one in telltale.heard)
    assert "refused" in told["condition password"], "what the server said is told"
    assert "has a newline" in told["condition broken"]
    assert any(name.startswith("store") for name in told)
    basic = {one.partition(" ")[2] for one in telltale.heard if one.startswith("Basic ")}
    found = {
        (where, secret)
        for where, text in told.items()
        for secret in (*secrets.values(), CANARY, *basic)
        if secret in text
    }
    assert found == set()
    assert [where for where, text in told.items() if "\x1b" in text and not where.startswith("store")] == []


async def reports(stage: Stage, name: str, url: str, token: Path | None) -> dict[str, str]:
    """What `trimtab analyze` writes and says, in two formats."""
    found = {}
    for form in ("html", "json"):
        file = stage.folder / f"{name}.{form}"
        header = json.loads(os.environ["TRIMTAB_PROMETHEUS_HEADERS"])["X-Scope-OrgID"]
        arguments = ["--prometheus-url", url, "--output", str(file), "--header", f"X-Scope-OrgID: {header}"]
        arguments += ["--bearer-token-file", str(token)] if token is not None else []
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trimtab.cli", "analyze", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        found[f"analyze {name} {form}"] = said.decode() + (file.read_text() if file.exists() else "")
    return found
