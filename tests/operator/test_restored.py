"""Killed and started again, the operator goes on from its store; without one, it begins from Prometheus as before."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import pytest

from cluster.prometheus import Prometheus
from demo.stage import Operator, Stage, StageError
from tests.operator.acting import play, policy, rounds, service
from tests.operator.gate import Gate, Request
from trimtab.adapters.kube import JsonObject
from trimtab.adapters.resources import POLICIES, path
from trimtab.simulation.arrivals import Diurnal

pytestmark = pytest.mark.cluster

NAME: Final = "web"
PERIOD_SECONDS: Final = 40.0
HISTORY_SECONDS: Final = 600.0
STEP_SECONDS: Final = 2.0
LOST_SECONDS: Final = 10.0
"""What may be lost by a kill: the pace of the store, a round, and the steps that are read again."""


async def test_what_was_known_before_a_kill_is_known_after_it(
    stage: Stage,
    prometheus_factory: Callable[..., Prometheus],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = stage.folder / "trimtab.db"
    monkeypatch.setenv("TRIMTAB_STORE_URL", f"sqlite:///{file}")
    monkeypatch.setenv("TRIMTAB_STORE_INTERVAL_SECONDS", "1")
    monkeypatch.setenv("TRIMTAB_STORE_STATE_INTERVAL_SECONDS", "2")
    prometheus = prometheus_factory(lookback_delta="5s")
    stage.targets_dir = prometheus.targets_dir
    wave = Diurnal(low=40.0, high=160.0, period_seconds=PERIOD_SECONDS, peak_seconds=0.0)
    async with Gate(prometheus.url) as gate:
        operator = stage.operator(prometheus_url=gate.url)
        await play(stage, service(NAME, namespace=stage.namespace).model_copy(update={"arrivals": wave}))
        await stage.apply(policy(NAME, mode="Recommend", forecast={"model": "Auto"}, analysis={"history": "10m"}))
        learned = await foreseen(stage, 240.0)
        await rounds(stage, 3)

        restarted = await restart(stage, gate, operator)
        assert restarted.read_from >= restarted.killed_at - LOST_SECONDS, "history was not read again"
        assert periods(restarted.status) == periods(learned)
        assert '"restored"' in restarted.operator.log

        restarted = await restart(stage, gate, restarted.operator, lambda: delete(file))
        assert restarted.read_from <= restarted.started_at - HISTORY_SECONDS + 2 * STEP_SECONDS, "from the beginning"
        assert file.exists()

        restarted = await restart(stage, gate, restarted.operator, lambda: make_garbage(file))
        assert restarted.read_from <= restarted.started_at - HISTORY_SECONDS + 2 * STEP_SECONDS
        assert "the store's file is damaged; it was set aside" in restarted.operator.log
        assert len(list(file.parent.glob("trimtab.db.damaged-*"))) == 1
        assert periods(restarted.status) == periods(learned), "it goes on, from Prometheus"

        restarted = await restart(stage, gate, restarted.operator)
        assert restarted.read_from >= restarted.killed_at - LOST_SECONDS, "the new file is as good as the old one"


class Restarted:
    """An operator that was killed and started again, and its first word."""

    def __init__(self, operator: Operator, killed_at: float, started_at: float) -> None:
        self.operator = operator
        self.killed_at = killed_at
        self.started_at = started_at
        self.status: JsonObject = {}
        """The first status that it wrote."""
        self.read_from = 0.0
        """The earliest time that it asked Prometheus for until then."""


async def restart(
    stage: Stage, gate: Gate, operator: Operator, meanwhile: Callable[[], None] = lambda: None
) -> Restarted:
    """Kill it, take from the status what it had foreseen, and start it again."""
    await rounds(stage, 3)
    operator.kill()
    killed_at = time.time()
    await stage.kube.merge_patch(
        path(POLICIES, stage.namespace, NAME) + "/status", {"status": {"forecast": None, "seasonality": None}}
    )
    meanwhile()
    asked = len(gate.seen)
    made = Restarted(stage.operator(prometheus_url=gate.url), killed_at, time.time())
    made.status = await foreseen(stage, 120.0)
    forms = [form for request in gate.seen[asked:] if "start" in (form := form_of(request))]
    made.read_from = min(float(form["start"]) for form in forms)
    return made


async def foreseen(stage: Stage, seconds: float) -> JsonObject:
    """The status once it tells a season and a forecast that knows it; raises StageError."""
    seen: JsonObject = {}

    async def look() -> JsonObject | None:
        nonlocal seen
        seen = (await stage.policy(NAME)).get("status") or {}
        seasonal = str((seen.get("forecast") or {}).get("model", "LastValue")) != "LastValue"
        return seen if seen.get("seasonality") and seasonal else None

    try:
        return await stage.until(look, "a season and a forecast that knows it", seconds)
    except StageError as error:
        told = {name: seen.get(name) for name in ("seasonality", "forecast", "conditions")}
        raise StageError(f"{error}; seen {told}") from error


def periods(status: JsonObject) -> list[str]:
    """The seasons that a status tells of."""
    return [season["period"] for season in status["seasonality"]]


def form_of(request: Request) -> dict[str, str]:
    """The fields of a query."""
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def delete(file: Path) -> None:
    """The store with all its files."""
    for part in file.parent.glob(f"{file.name}*"):
        part.unlink()


def make_garbage(file: Path) -> None:
    """Something that is no database, under the name of one."""
    delete(file)
    file.write_bytes(b"this is no database" * 1000)
