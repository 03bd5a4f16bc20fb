"""A scene for each case, with the operator behind harmful proxies."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import yaml

from demo.stage import Stage
from tests.conftest import Metrics
from tests.faults.mutants import MUTANT
from tests.faults.promises import BROKEN_PROMISE, BrokenPromiseError
from tests.faults.proxies import HarmfulGate
from tests.faults.scene import Scene
from tests.operator.audit import Audit
from tests.operator.conftest import Account, access, account, admin_config, audit, rights, stage

__all__ = ["access", "account", "admin_config", "audit", "bare_scene", "rights", "scene", "stage"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, object, object]:
    """A case's report says whether a promise was broken, as distinct from anything else that fails it."""
    if call.when == "call" and call.excinfo is not None and call.excinfo.errisinstance(BrokenPromiseError):
        item.user_properties.append(BROKEN_PROMISE)
    return (yield)


@pytest.fixture
async def bare_scene(
    stage: Stage, audit: Audit, account: Account, metrics: Metrics, tmp_path: Path
) -> AsyncIterator[Scene]:
    """The gates, and nobody there yet."""
    cluster = yaml.safe_load(account.kubeconfig.read_text())["clusters"][0]["cluster"]
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    async with HarmfulGate(cluster["server"], ca_file) as api, HarmfulGate(metrics.url) as prometheus:
        if mutant := os.environ.get(MUTANT):
            stage.entry = ("-m", "tests.faults.mutants", mutant)
        yield Scene(stage, api, prometheus, api.kubeconfig(account.kubeconfig, tmp_path), audit)
        stage.end_processes()


@pytest.fixture
async def scene(bare_scene: Scene) -> Scene:
    """Players that have learned enough to act."""
    await bare_scene.open()
    return bare_scene
