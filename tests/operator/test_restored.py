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
from tests.operator.test_insights import HISTORY_SECONDS, TIMES, lived
from trimtab.adapters.kube import JsonObject
from trimtab.adapters.resources import POLICIES, path
from trimtab.simulation.arrivals import Diurnal

pytestmark = pytest.mark.cluster

NAME: Final = "web"
PERIOD_SECONDS: Final = 1200.0
"""A model is chosen again after a quarter of it: later than the operator needs to start."""
LOST_SECONDS: Final = 30.0
"""What may be lost by a kill: the pace of the store, a round, and the steps that are read again."""


async def test_what_was_known_before_a_kill_is_known_after_it(
    stage: Stage,
    prometheus_factory: Callable[..., Prometheus],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = stage.folder / "trimtab.db"
    monkeypatch.setenv("TRIMTAB_STORE_URL", f"sqlite:///{file}")
    monkeypatch.setenv("TRIMTAB_STORE_INTERVAL_SECONDS", "1")
    monkeypatch.setenv("TRIMTAB_STORE_STATE_INTERVAL_SECONDS", "2")
    wave = Diurnal(low=40.0, high=160.0, period_seconds=PERIOD_SECONDS, peak_seconds=0.0, noise=0.02)
    config = await lived(
        stage, prometheus_factory, tmp_path, service(NAME, namespace=stage.namespace), lambda _now: wave
    )
    await play(stage, config)
    await stage.apply(policy(NAME, mode="Recommend", **TIMES))
    async with Gate(stage.prometheus_url) as gate:
        operator = stage.operator(prometheus_url=gate.url)
        before = await foreseen(stage)

        first = await restart(stage, gate, operator)
        assert first.read_from >= first.killed_at - LOST_SECONDS, "history was not read again"
        for part in ("model", "reason"):
            assert first.status["forecast"][part] == before["forecast"][part]
        assert '"restored"' in first.operator.log

        without = await restart(stage, gate, first.operator, lambda: delete(file))
        assert without.read_from <= without.started_at - HISTORY_SECONDS + LOST_SECONDS, "from the beginning"
        assert '"restored"' not in without.operator.log

        damaged = await restart(stage, gate, without.operator, lambda: make_garbage(file))
        assert damaged.read_from <= damaged.started_at - HISTORY_SECONDS + LOST_SECONDS, "from the beginning"
        assert "the store's file is damaged; it was set aside" in damaged.operator.log
        assert len(list(file.parent.glob("trimtab.db.damaged-*"))) == 1

        last = await restart(stage, gate, damaged.operator)
        assert last.read_from >= last.killed_at - LOST_SECONDS, "the new file is as good as the old one"


class Restarted:
    """An operator that was killed and started again, and its first word."""

    def __init__(self, operator: Operator, killed_at: float, started_at: float) -> None:
        self.operator = operator
        self.killed_at = killed_at
        self.started_at = started_at
        self.status: JsonObject = {}
        """The first status with a forecast that it wrote."""
        self.read_from = 0.0
        """The earliest time that it asked Prometheus for until then."""


async def restart(
    stage: Stage, gate: Gate, operator: Operator, meanwhile: Callable[[], None] = lambda: None
) -> Restarted:
    """Kill it, take from the status what it had foreseen, and start it again."""
    await rounds(stage, 3)
    operator.kill()
    killed_at = time.time()
    await stage.kube.merge_patch(path(POLICIES, stage.namespace, NAME) + "/status", {"status": {"forecast": None}})
    meanwhile()
    asked = len(gate.seen)
    made = Restarted(stage.operator(prometheus_url=gate.url), killed_at, time.time())
    made.status = await foreseen(stage)
    forms = [form for request in gate.seen[asked:] if "start" in (form := form_of(request))]
    made.read_from = min(float(form["start"]) for form in forms)
    return made


async def foreseen(stage: Stage) -> JsonObject:
    """The status once its forecast knows the season; raises StageError."""
    forecast: JsonObject = {}

    async def look() -> JsonObject | None:
        nonlocal forecast
        status: JsonObject = (await stage.policy(NAME)).get("status") or {}
        forecast = status.get("forecast") or {}
        return status if "repeats every" in forecast.get("reason", "") else None

    try:
        return await stage.until(look, "a forecast that knows the season", 120.0)
    except StageError as error:
        raise StageError(f"{error}; seen {forecast}") from error


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
