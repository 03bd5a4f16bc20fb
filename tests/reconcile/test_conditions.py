"""What conditions say of the store, in the words of a real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from trimtab.adapters.store import Store, StoreError
from trimtab.adapters.store_rows import Batch
from trimtab.adapters.store_telemetry import StoreTelemetry
from trimtab.reconcile.conditions import stored


async def test_the_store_is_told_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "trimtab.db"
    store = Store(f"sqlite:///{file}", StoreTelemetry(CollectorRegistry()), lambda: 1e6, 1e7)
    assert stored(None)[:2] == ("Unknown", "NoStore")
    await store.save(Batch())
    assert stored(store.problem)[:2] == ("True", "Stored")
    for part in tmp_path.glob("trimtab.db*"):  # noqa: ASYNC240 - a file of this test
        part.unlink()
    file.mkdir()
    with pytest.raises(StoreError):
        await store.save(Batch())
    status, reason, message = stored(store.problem)
    assert (status, reason) == ("False", "StoreUnusable")
    assert message.endswith("unable to open database file")
    file.rmdir()
    await store.save(Batch())
    assert stored(store.problem)[:2] == ("True", "Stored")
    await store.close()
