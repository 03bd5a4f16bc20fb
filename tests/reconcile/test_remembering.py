"""What one operator knew, the next one knows; and a store that is away or damaged stops neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from tests.adapters_prometheus.test_metrics_cache import answer
from tests.planning.building import policy as built
from tests.planning.building import size
from trimtab.adapters.codec import encode
from trimtab.adapters.metrics_cache import MetricsCache
from trimtab.adapters.store import Store
from trimtab.adapters.store_rows import Stored
from trimtab.adapters.store_telemetry import StoreTelemetry
from trimtab.analytics.anomaly import Anomaly
from trimtab.domain.choices import AnomalyKind, Severity
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objects import Policy
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import Series
from trimtab.domain.status import PolicyStatus
from trimtab.forecasting.supervised import ChangeCause, ModelChange
from trimtab.planning.assessment import assess
from trimtab.planning.findings import AssessInputs, Known, Running
from trimtab.reconcile import stored as stored_module
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.remembering import Remembering
from trimtab.reconcile.services import Services, StorePace
from trimtab.reconcile.stored import restored

START = 1_800_000_000.0
SPEC = PolicySpec.model_validate(
    {
        "targetRef": {"kind": "Deployment", "name": "web"},
        "metrics": {"load": {"query": "sum(hits)"}},
        "objectives": [{"name": "p99", "query": "p99", "max": "250m"}],
        "analysis": {"interval": "60s", "history": "6h"},
    }
)


def history(now: float) -> WorkloadHistory:
    """Six hours of a wave of an hour."""
    times = np.arange(360) * 60.0
    wave = 100 + 60 * np.sin(2 * np.pi * times / 3600)

    def series(values: Any) -> Series:
        return Series(now - times[-1], 60.0, np.broadcast_to(values, times.shape).astype(float))

    replicas = np.ceil(wave / 40)
    latency = 0.02 + 4.6 / (50 - np.minimum(wave / replicas, 45))
    return WorkloadHistory(
        load=series(wave), replicas=series(replicas), cpu_size=series(0.5), objectives={"p99": series(latency)}
    )


def learned() -> Known:
    """What two rounds learned; every part of it."""
    running = Running("deployment/web", 3, 3, (size(),))
    inputs = AssessInputs(spec=SPEC, history=history(START), failures={}, now=START, running=running)
    return assess(replace(inputs, now=START + 60, previous=assess(inputs).known)).known


KNOWN = learned()


@dataclass
class Life:
    """One process: its clock, its memory, and the part under test."""

    services: Any
    memory: dict[str, Remembered]
    remembering: Remembering

    async def round(self, *policies: Policy, wait: bool = True) -> None:
        """Restore, read and learn, store; as the reconciler does."""
        await self.remembering.restore(policies, self.remember)
        for policy in policies:
            assert isinstance(policy.spec, PolicySpec)
            request = self.services.metrics.request(policy.uid, "shop", policy.spec, self.services.now, 240.0)
            self.services.metrics.absorb(request, answer(request))
            self.remember(policy).known = KNOWN
        await self.remembering.save()
        if wait and self.remembering._writing is not None:
            await self.remembering._writing

    def remember(self, policy: Policy) -> Remembered:
        return self.memory.setdefault(policy.uid, Remembered(PolicyStatus()))

    def resumed(self, policy: Policy) -> set[float]:
        """From when on the signals of a policy would be read."""
        assert isinstance(policy.spec, PolicySpec)
        request = self.services.metrics.request(policy.uid, "shop", policy.spec, self.services.now, 240.0)
        return set(request.resumed.values())


class Adapters:
    """The services that are used."""

    def __init__(self, store: Store | None, pace: StorePace) -> None:
        self.now = START
        self.metrics = MetricsCache()
        self.store = store
        self.pace = pace

    def clock(self) -> float:
        return self.now


class World:
    """Starts processes on one database, and ends them."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lives: list[Life] = []

    def start(self, now: float = START, pace: StorePace | None = None, url: str = "") -> Life:
        services = Adapters(None, pace or StorePace(60.0, 300.0))
        services.now = now
        if url != "none":
            store = Store(url or f"sqlite:///{self.file}", StoreTelemetry(CollectorRegistry()), services.clock, 1e7)
            services.store = store
        memory: dict[str, Remembered] = {}
        life = Life(services, memory, Remembering(cast(Services, services), memory))
        services.now += 60.0
        self.lives.append(life)
        return life


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "trimtab.db")
    yield made
    for life in made.lives:
        if life.services.store is not None:
            await life.remembering.stop()


def move(database: Path, to: Path) -> None:
    """Move a database with all its files."""
    for suffix in ("", "-wal", "-shm"):
        if Path(f"{database}{suffix}").exists():
            Path(f"{database}{suffix}").rename(f"{to}{suffix}")


def policy(uid: str = "uid-web") -> Policy:
    return built(SPEC, uid=uid, name=uid)


async def test_a_killed_process_is_gone_on_from(world: World) -> None:
    first = world.start()
    await first.round(policy())
    second = world.start(START + 600)
    await second.remembering.restore([policy()], second.remember)
    assert second.resumed(policy()) == {START + 60 - 120}
    known = second.memory["uid-web"].known
    assert known is not None
    assert encode(known, Known) == encode(KNOWN, Known)
    missing = {part.name for part in fields(Known) if getattr(known, part.name) is None}
    assert not missing, "each part of it was there to come back"


async def test_samples_are_stored_each_minute_and_what_was_learned_each_five(world: World) -> None:
    life = world.start()
    await life.round(policy())
    stored = await read(life)
    life.services.now += 30
    await life.round(policy())
    assert await read(life) == stored
    life.services.now += 30
    await life.round(policy())
    newer = await read(life)
    assert {name for name in newer.states if newer.states[name] != stored.states[name]} == {"readings"}
    life.services.now += 240
    await life.round(policy())
    assert (await read(life)).states["known.learned"].at == life.services.now


async def test_what_one_batch_cannot_hold_is_in_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_module, "_STATE_BYTES_A_BATCH", 100)
    life = world.start()
    both = [policy("uid-web"), policy("uid-api")]
    learned = []
    for _ in range(2):
        await life.round(*both)
        found = await life.services.store.load([one.uid for one in both], lambda _, stored: stored)
        learned.append(sum("known.learned" in one.states for one in found.values()))
        assert all("readings" in one.states for one in found.values())
        life.services.now += 60
    assert learned == [1, 2]


async def test_a_clean_stop_stores_all(world: World) -> None:
    life = world.start()
    await life.round(policy())
    life.services.now += 30
    await life.round(policy())
    await life.remembering.stop()
    world.lives.clear()
    second = world.start(START + 600)
    await second.remembering.restore([policy()], second.remember)
    assert second.resumed(policy()) == {START + 60 - 120}, "the last whole step"
    stored = await read(second)
    assert stored.states["known.learned"].at == START + 90


async def test_a_store_that_is_away_stops_nothing_and_is_not_written_over(world: World, tmp_path: Path) -> None:
    first = world.start()
    await first.round(policy())
    away = tmp_path / "elsewhere.db"
    move(world.file, away)
    world.file.mkdir()
    second = world.start(START + 600)
    await second.round(policy())
    assert second.memory["uid-web"].known is KNOWN
    assert second.services.store.problem
    world.file.rmdir()
    move(away, world.file)
    second.services.now += 61
    await second.round(policy())
    assert second.services.store.problem == ""
    third = world.start(START + 1200)
    await third.remembering.restore([policy()], third.remember)
    assert third.resumed(policy()) == {START + 720 - 120}


async def test_all_is_stored_anew_when_the_file_vanishes(world: World) -> None:
    life = world.start()
    await life.round(policy())
    for part in world.file.parent.glob("trimtab.db*"):
        part.unlink()
    for _ in range(2):
        life.services.now += 60
        await life.round(policy())
    stored = await read(life)
    assert stored.states.keys() == {"readings", *(f"known.{part.name}" for part in fields(Known))}
    assert restored(stored, life.services.now).series.keys() == {*life.services.metrics._entries["uid-web"].series}
    again = restored(stored, life.services.now)
    assert {len(series) for series in again.series.values()} == {361}


async def test_without_a_store_nothing_is_stored(world: World) -> None:
    life = world.start(url="none")
    await life.round(policy())
    assert life.services.metrics.take_unsaved("uid-web") is not None
    await life.remembering.stop()


async def test_policies_that_one_operator_does_not_see_stay(world: World) -> None:
    await world.start().round(policy("uid-a"), policy("uid-b"))
    narrow = world.start(START + 600)
    await narrow.round(policy("uid-a"))
    await narrow.remembering.stop()
    wide = world.start(START + 1200)
    await wide.remembering.restore([policy("uid-a"), policy("uid-b")], wide.remember)
    assert wide.memory["uid-b"].known is not None


async def test_anomalies_and_changes_wait_for_a_store_that_is_away(world: World) -> None:
    world.file.mkdir()
    life = world.start()
    spike = Anomaly("load", AnomalyKind.SPIKE, Severity.WARNING, START, None, 9.0, 1.0, 0.99, "9 where 1 was due")
    life.remembering.anomalies_seen(policy(), [spike])
    replaced = ModelChange(START, "LastValue", "SeasonalNaive", "a season shows", ChangeCause.SELECTION)
    life.remembering.models_changed(policy(), [replaced])
    await life.round(policy())
    ended = replace(spike, end=START + 60)
    life.remembering.anomalies_seen(policy(), [ended])
    world.file.rmdir()
    life.services.now += 61
    await life.round(policy())
    assert [one for _, one in await life.services.store.anomalies(0.0)] == [ended]
    ((whose, change),) = await life.services.store.model_changes(0.0)
    assert (whose.name, change.to) == ("uid-web", "SeasonalNaive")


async def read(life: Life) -> Stored:
    found: dict[str, Stored] = await life.services.store.load(["uid-web"], lambda _, stored: stored)
    return found["uid-web"]


@pytest.mark.parametrize(
    ("now", "there"), [(START, True), (START + 1e6, True), (START - 1, False)], ids=["now", "later", "clock moved back"]
)
async def test_what_was_learned_in_the_future_is_learned_again(world: World, now: float, there: bool) -> None:
    life = world.start(START - 60)
    await life.round(policy())
    assert (restored(await read(life), now).known is not None) is there


@pytest.mark.parametrize("name", ["known.supervised", "known.learned", "readings"])
@pytest.mark.parametrize("other_version", [False, True], ids=["damaged", "of another version"])
async def test_what_cannot_be_used_is_learned_again_alone(world: World, name: str, other_version: bool) -> None:
    life = world.start()
    await life.round(policy())
    stored = await read(life)
    good = stored.states[name]
    bad = replace(good, fingerprint="0" * 16) if other_version else replace(good, data=b"\x01\x02")
    found = restored(Stored(stored.chunks, stored.states | {name: bad}), START + 600)
    assert (found.readings is None) == (name == "readings")
    assert (found.known is None) == (name == "known.learned"), "there is no Known without it"
    if found.known is not None and name == "known.supervised":
        assert found.known.supervised is None


async def test_damaged_samples_are_read_again(world: World) -> None:
    life = world.start()
    await life.round(policy())
    stored = await read(life)
    chunks = (stored.chunks[0]._replace(data=b"\x01\x02"), *stored.chunks[1:])
    found = restored(Stored(chunks, stored.states), START + 600)
    assert (found.readings, found.series) == (None, {})
    assert found.known is not None


async def test_samples_after_now_are_left_out(world: World) -> None:
    life = world.start()
    await life.round(policy())
    found = restored(await read(life), START - 3600)
    assert found.readings is None, "it was stored after now"
    assert not any(series.end > START - 3600 for series in found.series.values())


async def test_a_round_does_not_wait_for_a_slow_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    life = world.start()
    leave = asyncio.Event()
    batches = []

    async def slow(batch: object) -> None:
        batches.append(batch)
        await leave.wait()

    monkeypatch.setattr(life.services.store, "save", slow)
    for _ in range(3):
        await life.round(policy(), wait=False)
        await asyncio.sleep(0)
        life.services.now += 60
    assert len(batches) == 1, "one at a time; what comes meanwhile is in the next"
    leave.set()
