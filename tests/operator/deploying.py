"""Deploys as people and pipelines make them, by kubectl and Helm, beside an operator that acts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import yaml

from cluster.build import ensure
from demo.stage import Stage
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.scenario import SimulatedService, manifest

Deed = Callable[[Stage, SimulatedService], Awaitable[object]]
"""Deploys a new version of a service."""
NEW_IMAGE: Final = "sim:2"


def next_version(
    service: SimulatedService, *, replicas: int | None = None, cpu: str = "", image: str = NEW_IMAGE
) -> JsonObject:
    """The manifest of another version, which states replicas and sizes as before or as given."""
    body = manifest(service, replicas=replicas)
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["image"] = image
    if cpu:
        for amounts in container["resources"].values():
            amounts["cpu"] = cpu
    return body


async def first_version(stage: Stage, *services: SimulatedService) -> None:
    """Services as a client-side apply makes them, the first of two revisions."""
    await stage.apply(*(next_version(service, image="sim:0") for service in services))
    await stage.apply(*map(manifest, services))


def client_apply(*, replicas: int | None = None, cpu: str = "", image: str = NEW_IMAGE) -> Deed:
    """kubectl apply."""

    async def deed(stage: Stage, service: SimulatedService) -> None:
        await stage.apply(next_version(service, replicas=replicas, cpu=cpu, image=image))

    return deed


def server_apply(*, replicas: int | None = None, cpu: str = "", image: str = NEW_IMAGE) -> Deed:
    """kubectl apply --server-side, as a pipeline does that wants its way."""

    async def deed(stage: Stage, service: SimulatedService) -> None:
        body = next_version(service, replicas=replicas, cpu=cpu, image=image)
        arguments = ("apply", "--server-side", "--force-conflicts", "--field-manager=ci", "-f", "-")
        await stage.kubectl(*arguments, given=yaml.safe_dump(body))

    return deed


async def set_image(stage: Stage, service: SimulatedService) -> None:
    """kubectl set image."""
    await stage.kubectl("set", "image", f"deployment/{service.name}", f"{service.container}={NEW_IMAGE}")


async def restart(stage: Stage, service: SimulatedService) -> None:
    """kubectl rollout restart."""
    await stage.kubectl("rollout", "restart", f"deployment/{service.name}")


async def undo(stage: Stage, service: SimulatedService) -> None:
    """kubectl rollout undo: the template of the revision before comes back."""
    await stage.kubectl("rollout", "undo", f"deployment/{service.name}")


def helm_upgrade(*, replicas: int | None = None, cpu: str = "", image: str = NEW_IMAGE) -> Deed:
    """helm upgrade --install with Helm 4, which applies on the server side."""

    async def deed(stage: Stage, service: SimulatedService) -> None:
        chart = stage.folder / f"chart-{service.name}"
        (chart / "templates").mkdir(parents=True, exist_ok=True)
        (chart / "Chart.yaml").write_text(
            yaml.safe_dump({"apiVersion": "v2", "name": service.name, "version": "1.0.0"})
        )
        body = next_version(service, replicas=replicas, cpu=cpu, image=image)
        (chart / "templates" / "workload.yaml").write_text(yaml.safe_dump(body))
        await _helm(
            stage.kubeconfig, "upgrade", "--install", service.name, str(chart), "--namespace", stage.namespace,
            "--server-side=true", "--force-conflicts", "--take-ownership",
        )  # fmt: skip

    return deed


async def _helm(kubeconfig: Path, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        str(ensure(["helm"])["helm"]), "--kubeconfig", str(kubeconfig), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
