"""A store that cannot be used is told by each policy, which is tuned all the same, and taken back by itself."""

from __future__ import annotations

from urllib.request import urlopen

import pytest

from cluster.ports import free_port
from demo.stage import Stage
from tests.operator.acting import play, policy, service
from tests.operator.test_restored import delete, make_garbage

pytestmark = pytest.mark.cluster

STORED = "AnalyticsStored"


async def test_a_store_that_is_away_is_told_and_stops_no_tuning(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    file = stage.folder / "trimtab.db"
    monkeypatch.setenv("TRIMTAB_STORE_URL", f"sqlite:///{file}")
    monkeypatch.setenv("TRIMTAB_STORE_INTERVAL_SECONDS", "1")
    monkeypatch.setenv("TRIMTAB_STORE_STATE_INTERVAL_SECONDS", "2")
    file.mkdir()  # no database can be opened there, not even by root
    await play(stage, service("web", namespace=stage.namespace, replicas=1))
    await stage.apply(policy("web", horizontal={"minReplicas": 3, "maxReplicas": 8}))
    port = free_port()
    operator = stage.operator(metrics_port=port)

    told = await stage.told("web", STORED, "False", "StoreUnusable")
    assert "unable to open database file" in told["message"]
    assert "trimtab_store_up 0.0" in metrics(port)
    assert operator.log.count("store cannot be used") == 1

    async def scaled() -> bool:
        status = (await stage.policy("web"))["status"]
        return bool(status["current"]["replicas"] >= 3)

    await stage.until(scaled, "replicas that follow without a store", 90.0)
    await stage.told("web", "Ready", "True")
    await stage.told("web", STORED, "False", "StoreUnusable")

    file.rmdir()
    await stage.told("web", STORED, "True", "Stored")
    assert "trimtab_store_up 1.0" in metrics(port)

    delete(file)
    file.mkdir()
    await stage.told("web", STORED, "False", "StoreUnusable")
    file.rmdir()
    make_garbage(file)
    await stage.told("web", STORED, "True", "Stored")
    assert list(file.parent.glob("trimtab.db.damaged-*"))
    assert {one["reason"] for one in await stage.events("web")}.isdisjoint({"StoreUnusable", "Stored"})


def metrics(port: int) -> str:
    """What the operator shows Prometheus."""
    page: bytes = urlopen(f"http://127.0.0.1:{port}/metrics").read()
    return page.decode()
