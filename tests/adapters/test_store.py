"""The store: what is written is read, what is wrong with the database stops nothing, and it mends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import math
import multiprocessing
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from prometheus_client import CollectorRegistry

from trimtab.adapters import store as store_module
from trimtab.adapters.store import Store, StoreError
from trimtab.adapters.store_engine import VERSION_TABLE, check_url, file_of, open_engine
from trimtab.adapters.store_rows import Batch, ModelChange, PolicyRef, Samples, State, Stored
from trimtab.adapters.store_samples import series_of
from trimtab.adapters.store_schema import metadata
from trimtab.adapters.store_telemetry import StoreTelemetry
from trimtab.analytics.anomaly import Anomaly
from trimtab.domain.choices import AnomalyKind, Severity
from trimtab.domain.series import Series

DAY = 86_400.0
STEP = 60.0
WEB, API = PolicyRef("uid-web", "shop", "web"), PolicyRef("uid-api", "shop", "api")
STATE = State("f", 1_000_000.0, b"state")


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "down" / "trimtab.db"


Open = Callable[..., Store]


@pytest.fixture
async def opened(file: Path, clock: Clock) -> AsyncIterator[Open]:
    """Makes stores on the file; each is closed at the end."""
    made: list[Store] = []

    def make(url: str = f"sqlite:///{file}", registry: CollectorRegistry | None = None) -> Store:
        store = Store(url, StoreTelemetry(registry or CollectorRegistry()), clock, 90 * DAY)
        made.append(store)
        return store

    yield make
    for store in made:
        with contextlib.suppress(RuntimeError):  # closed by the test
            await store.close()


def series(first: int, count: int, value: float = 1.0) -> Series:
    return Series(first * STEP, STEP, np.full(count, value), "requests/s")


def samples(held: dict[str, Series], *, since: float | None = None, whole: bool = False, oldest: float = 0) -> Samples:
    """Samples of which those from ``since`` on are new."""
    return Samples(held, dict.fromkeys(held, -math.inf if since is None else since), whole, oldest, STEP)


async def read(store: Store, uid: str) -> Stored:
    return (await store.load([uid], lambda _, found: found))[uid]


async def read_series(store: Store, uid: str) -> dict[str, Series]:
    return series_of((await read(store, uid)).chunks, STEP, -1e12, 1e12)


async def test_what_is_written_is_there_for_the_next_process(opened: Open) -> None:
    first = opened()
    load = samples({"load//load": series(5, 700)})
    await first.save(Batch(samples={WEB.uid: load}, states={WEB.uid: {"known": STATE}}, seen=(WEB,)))
    second = opened()
    assert (await read_series(second, WEB.uid))["load//load"].values.tolist() == [1.0] * 700
    assert (await read(second, WEB.uid)).states == {"known": STATE}
    assert await read(second, API.uid) == Stored()


async def test_only_what_changed_is_written_again(opened: Open) -> None:
    store = opened()
    await store.save(Batch(samples={WEB.uid: samples({"a": series(0, 1000)})}))
    newer = {"a": series(0, 1001, 2.0)}
    await store.save(Batch(samples={WEB.uid: samples(newer, since=1000 * STEP)}))
    values = (await read_series(store, WEB.uid))["a"].values
    assert values[:960].tolist() == [1.0] * 960, "chunks before that time stay as they were"
    assert values[960:].tolist() == [2.0] * 41


async def test_series_that_are_gone_and_samples_that_are_too_old_go(opened: Open) -> None:
    store = opened()
    await store.save(Batch(samples={WEB.uid: samples({"a": series(0, 1000), "b": series(0, 1000)})}))
    gone = Samples({"a": series(0, 1001)}, {"a": 1000 * STEP, "b": -math.inf}, False, 500 * STEP, STEP)
    await store.save(Batch(samples={WEB.uid: gone}))
    left = await read_series(store, WEB.uid)
    assert left.keys() == {"a"}
    assert left["a"].start == 480 * STEP, "by whole chunks"
    await store.save(Batch(samples={WEB.uid: samples({"c": series(0, 10)}, whole=True)}))
    assert (await read_series(store, WEB.uid)).keys() == {"c"}


async def test_old_chunks_of_a_series_that_ended_go_too(opened: Open) -> None:
    store = opened()
    await store.save(Batch(samples={WEB.uid: samples({"a": series(0, 300), "ended": series(0, 300)})}))
    await store.save(
        Batch(samples={WEB.uid: Samples({"a": series(0, 900)}, {"a": 800 * STEP}, False, 700 * STEP, STEP)})
    )
    assert (await read_series(store, WEB.uid)).keys() == {"a"}


async def test_a_batch_is_written_whole_or_not_at_all(opened: Open, file: Path) -> None:
    store = opened()
    await store.save(Batch(states={WEB.uid: {"known": STATE}}))
    bad = State("f", 2.0, None)  # type: ignore[arg-type]  # what the database refuses
    with pytest.raises(StoreError, match="NOT NULL"):
        await store.save(Batch(samples={WEB.uid: samples({"a": series(0, 9)})}, states={WEB.uid: {"known": bad}}))
    assert await read(store, WEB.uid) == Stored((), {"known": STATE})


async def test_policies_that_are_gone_are_forgotten_after_a_week_and_not_before(opened: Open, clock: Clock) -> None:
    store = opened()
    both = {one.uid: {"known": State("f", clock.now, b"state")} for one in (WEB, API)}
    await store.save(Batch(states=both, samples={API.uid: samples({"a": series(0, 9)})}, seen=(WEB, API)))
    clock.now += 6 * DAY
    await store.save(Batch(seen=(WEB,)))
    assert (await read(store, API.uid)).states
    clock.now += 2 * DAY
    written = State("f", clock.now, b"state")
    await store.save(Batch(states={WEB.uid: {"known": written}}, seen=(WEB,)))
    assert await read(store, API.uid) == Stored()
    assert (await read(store, WEB.uid)).states == {"known": written}


def anomaly(start: float, end: float | None = None, value: float = 9.0) -> Anomaly:
    return Anomaly("load", AnomalyKind.SPIKE, Severity.WARNING, start, end, value, 1.0, 0.999, "9 where 1 was due")


async def test_the_last_word_on_an_anomaly_stands(opened: Open, clock: Clock) -> None:
    store = opened()
    await store.save(Batch(anomalies=((WEB, anomaly(clock.now)), (API, anomaly(clock.now, value=math.nan)))))
    await store.save(Batch(anomalies=((WEB, anomaly(clock.now, clock.now + 60)),)))
    assert await store.anomalies(0.0, WEB.uid) == [(WEB, anomaly(clock.now, clock.now + 60))]
    assert math.isnan((await store.anomalies(0.0))[0][1].value)
    assert await store.anomalies(clock.now + 1) == []
    clock.now += 91 * DAY
    await store.save(Batch())
    assert await store.anomalies(0.0) == []


async def test_changes_of_models_are_kept_for_their_time(opened: Open, clock: Clock) -> None:
    store = opened()
    change = ModelChange(clock.now, "SeasonalNaive", "SeasonalLinear", "it errs 9 % less")
    await store.save(Batch(model_changes=((WEB, change),)))
    await store.save(Batch(model_changes=((WEB, change),)))
    assert await store.model_changes(0.0, WEB.uid) == [(WEB, change)]
    assert await store.model_changes(0.0, API.uid) == []
    clock.now += 91 * DAY
    await store.save(Batch())
    assert await store.model_changes(0.0) == []


def make_garbage(file: Path) -> None:
    """A file that never was a database, and nothing beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    file.write_bytes(b"this is no database" * 1000)


def damage(file: Path) -> None:
    """Overwrite all but the first pages."""
    content = bytearray(file.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    file.write_bytes(content)


def up(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("trimtab_store_up")


async def test_a_damaged_file_is_set_aside_and_a_new_one_begun(opened: Open, file: Path) -> None:
    make_garbage(file)
    registry = CollectorRegistry()
    store = opened(registry=registry)
    await store.save(Batch(states={WEB.uid: {"known": STATE}}))
    assert (await read(store, WEB.uid)).states == {"known": STATE}
    assert (store.problem, store.beginnings, up(registry)) == ("", 1, 1)
    (aside,) = file.parent.glob("*.damaged-*")
    assert aside.read_bytes().startswith(b"this is no database")


async def test_damage_inside_is_found_when_it_is_met(opened: Open, file: Path) -> None:
    store = opened()
    for number in range(40):
        await store.save(Batch(samples={f"uid-{number}": samples({"a": series(0, 2000)})}))
    await store.close()
    damage(file)
    again = opened()
    found = await again.load([f"uid-{number}" for number in range(40)], lambda _, one: one)
    assert all(one == Stored() for one in found.values())
    assert again.beginnings == 1


async def test_only_two_damaged_files_are_kept(opened: Open, file: Path, clock: Clock) -> None:
    for _ in range(4):
        make_garbage(file)
        await opened().save(Batch())
        clock.now += 10
    assert len(list(file.parent.glob("*.damaged-*"))) == 2


async def test_a_file_that_vanishes_is_begun_anew(opened: Open, file: Path) -> None:
    store = opened()
    await store.save(Batch(states={WEB.uid: {"known": STATE}}))
    shutil.rmtree(file.parent)
    await store.save(Batch(states={API.uid: {"known": STATE}}))
    assert store.beginnings == 1
    assert await read(store, WEB.uid) == Stored()


async def test_a_folder_that_cannot_be_made_is_a_problem_until_it_can(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("a file in the way")
    registry = CollectorRegistry()
    store = opened(registry=registry)
    for _ in range(2):
        with pytest.raises(StoreError):
            await store.save(Batch(seen=(WEB,)))
    assert "deep" in store.problem
    assert up(registry) == 0
    (tmp_path / "deep").unlink()
    await store.save(Batch(seen=(WEB,)))
    assert (store.problem, up(registry)) == ("", 1)


async def test_a_full_database_is_a_problem_until_there_is_room(opened: Open, file: Path) -> None:
    store = opened()
    await store.save(Batch(seen=(WEB,)))
    assert store._engine is not None
    with store._engine.connect() as connection:
        (pages,) = connection.exec_driver_sql("PRAGMA page_count").one()
    connections = store._engine.pool
    raw = connections.connect()
    raw.cursor().execute(f"PRAGMA max_page_count={pages}")
    raw.close()
    big = Batch(states={WEB.uid: {"known": State("f", 1.0, b"x" * 100_000)}})
    with pytest.raises(StoreError, match="full"):
        await store.save(big)
    await store.save(big)
    assert store.problem == "", "it was opened anew, without the limit"


async def test_a_database_that_cannot_be_written_is_a_problem(
    opened: Open, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await opened().save(Batch(seen=(WEB,)))
    monkeypatch.chdir(tmp_path)
    reading = opened(f"sqlite:///file:{file}?mode=ro&uri=true")
    with pytest.raises(StoreError, match="readonly"):
        await reading.save(Batch(seen=(WEB,)))
    made = [one.name for one in tmp_path.iterdir()]  # noqa: ASYNC240 - a folder of this test
    assert made == ["deep"], "no folder is made of its address"


async def test_a_database_that_does_not_answer_is_a_problem_until_it_does(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_PATIENCE_SECONDS", 0.01)
    registry = CollectorRegistry()
    store = opened(registry=registry)
    answer = threading.Event()
    asked = asyncio.create_task(store.load([WEB.uid], lambda _uid, _found: answer.wait(30)))
    await asyncio.sleep(0.1)
    assert (store.problem, up(registry)) == ("no answer for 0.01 s", 0)
    answer.set()
    assert await asked == {WEB.uid: True}
    assert (store.problem, up(registry)) == ("", 1)
    assert registry.get_sample_value("trimtab_store_failures_total") == 0


async def test_a_newer_schema_is_refused_and_left_alone(opened: Open, file: Path) -> None:
    first = opened()
    await first.save(Batch(states={WEB.uid: {"known": STATE}}))
    await first.close()
    with sqlite3.connect(file) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    store = opened()
    with pytest.raises(StoreError, match="schema 9999, which this version does not know"):
        await store.save(Batch(states={WEB.uid: {"other": STATE}}))
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT name FROM states").fetchall() == [("known",)]


def open_once(url: str) -> None:
    """Open and close a database, in a process of its own."""
    open_engine(url).dispose()


def test_two_processes_may_begin_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=open_once, args=(url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]


def test_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'trimtab.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////data/trimtab.db", "/data/trimtab.db"),
        ("sqlite:///trimtab.db", "trimtab.db"),
        ("sqlite:///file:/data/a%20b.db?mode=ro&uri=true", "/data/a b.db"),
        ("sqlite:///file:///data/trimtab.db?uri=true", "/data/trimtab.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///file::memory:?uri=true", None),
        ("sqlite:///file:any?mode=memory&uri=true", None),
        ("postgresql://db/trimtab", None),
    ],
)
def test_the_file_behind_an_address(url: str, path: str | None) -> None:
    assert file_of(url) == (None if path is None else Path(path))


@pytest.mark.parametrize("url", ["trimtab.db", "oracle+none://x", "sqlite+pigeon:///x"], ids=["path", "driver", "kind"])
def test_an_address_of_nothing_is_told_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="or none"):
        check_url(url)
