"""A secret planted in every way in comes out nowhere: not in logs, status, Events, metrics, the store, or a report."""

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

from cluster.ports import free_port
from demo.stage import Operator, Stage
from tests.operator.acting import play, policy, service
from tests.operator.gate import Gate, Request
from tests.operator.test_one_actor import said
from trimtab.adapters.credentials import HIDDEN

pytestmark = pytest.mark.cluster

CANARY: Final = "canary" + "-7d1f5b2e"
FINDS: Final = "max by (namespace, deployment) (kube_deployment_spec_replicas"
FINDS_NONE: Final = ("max by (namespace, statefulset) (kube_statefulset_replicas", "max by (namespace, workload")
"""How the questions begin by which `trimtab analyze` finds workloads."""


class Telltale:
    """Speaks as a Prometheus that knows of one workload, refuses every other query, and repeats what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: set[str] = set()

    async def answer(self, request: web.Request) -> web.Response:
        sent = {name: value for name, value in request.headers.items() if name in ("Authorization", "X-Scope-OrgID")}
        self.heard.update(sent.values())
        form = await request.post()
        query = str(form.get("query", ""))
        if query.startswith((FINDS, *FINDS_NONE)):
            found = {"metric": {"namespace": "shop", "deployment": "web"}, "values": [[float(str(form["end"])), "4"]]}
            result = [found] if query.startswith(FINDS) else []
            return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": result}})
        told = f"refused \x1b[31m: {request.headers!s} {sent}"
        return web.json_response({"status": "error", "errorType": "bad_data", "error": told}, status=400)


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
    stage: Stage, telltale: Telltale, gate: Gate, gate_kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await play(stage, service(namespace=stage.namespace))
    secrets = {name: f"{CANARY}-{name}" for name in ("password", "header", "token", "store", "ended")}
    secrets["kubeconfig"] = token_in(gate_kubeconfig)
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
        url, health, metrics = f"http://{login}{telltale.url}", free_port(), free_port()
        operator = stage.operator(
            name=name, prometheus_url=url, kubeconfig=gate_kubeconfig, health_port=health, metrics_port=metrics
        )
        await stage.told(name, "DataAvailable", "False")
        told[f"condition {name}"] = json.dumps(await stage.condition(name, "DataAvailable"))
        if name == "password":
            told["/healthz without watches"] = await echoed(stage, gate, operator, health, secrets["kubeconfig"])
        for port, page in ((health, "healthz"), (metrics, "metrics")):
            told[f"/{page} {name}"] = await said(port, "", page) or ""
        operator.stop()
        told[f"log {name}"] = operator.log
        told |= await reports(stage, name, url, file)
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
    assert [where for where, text in told.items() if not text] == []
    basic = {one.partition(" ")[2] for one in telltale.heard if one.startswith("Basic ")}
    found = {
        (where, secret)
        for where, text in told.items()
        for secret in (*secrets.values(), CANARY, secrets["kubeconfig"][:40], *basic)
        if secret in text
    }
    assert found == set()
    assert [where for where, text in told.items() if "\x1b" in text and not where.startswith("store")] == []


def token_in(kubeconfig: Path) -> str:
    """The token that a kubeconfig logs in with."""
    return str(yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"])


def ours(request: Request) -> bool:
    """Requests for our own resources."""
    return request.path.startswith("/apis/trimtab.dev/")


async def echoed(stage: Stage, gate: Gate, operator: Operator, health: int, token: str) -> str:
    """What ``/healthz`` says while the API server repeats the token: in a text that Kopf cuts off, and in a Status."""
    with gate.answering(ours, 500, f"{'no ' * 60}Bearer {token}".encode()):
        await stage.until(lambda: f"Bearer {HIDDEN}..." in operator.log, "Kopf to tell of it, and ask again")
    status = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": f"Bearer {token}"}
    with gate.answering(ours, 410, json.dumps(status).encode()):
        await stage.until(lambda: "watches ended; they begin again" in operator.log, "the watches to end")
        page = await stage.until(lambda: said(health, "nothing is watched: "), "the reason in /healthz")
    assert f"Bearer {HIDDEN}" in page
    return page


async def reports(stage: Stage, name: str, url: str, token: Path | None) -> dict[str, str]:
    """What `trimtab analyze` writes and says, in two formats; without a usable token it only says why not."""
    found = {}
    for form in ("html", "json"):
        file = stage.folder / f"{name}.{form}"
        header = json.loads(os.environ["TRIMTAB_PROMETHEUS_HEADERS"])["X-Scope-OrgID"]
        arguments = ["--prometheus-url", url, "--output", str(file), "--header", f"X-Scope-OrgID: {header}"]
        arguments += ["--bearer-token-file", str(token)] if token is not None else []
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trimtab.cli", "analyze", "--workers", "0", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said_there, _ = await process.communicate()
        found[f"analyze {name} {form}"] = said_there.decode()
        assert file.exists() == (process.returncode == 0) == (name != "broken"), said_there.decode()
        if file.exists():
            found[f"report {name} {form}"] = file.read_text()
            assert "refused" in found[f"report {name} {form}"], "what the server said is told"
    return found
