"""The analytics store: what the operator knows, in a database, so that a restart forgets nothing.

All access is in one thread of its own, never in the event loop. Nothing here stops a round: what fails raises
`StoreError`, is told in the log, in ``trimtab_store_up`` and in `Store.problem`, and is tried again next time.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from trimtab.adapters import store_rows
from trimtab.adapters.store_engine import (
    NewerSchemaError,
    file_of,
    identity,
    is_damage,
    open_engine,
    redactor,
    set_aside,
    shown,
    size_bytes,
)
from trimtab.adapters.store_rows import Batch, ModelChange, PolicyRef, Stored
from trimtab.adapters.store_telemetry import StoreTelemetry
from trimtab.analytics.anomaly import Anomaly

_TIDY_SECONDS: Final = 3600.0
_PATIENCE_SECONDS: Final = 30.0
"""A database that has not answered by then counts as away; what was asked of it goes on."""
_T = TypeVar("_T")
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class StoreError(Exception):
    """The store could not be used; the message says why."""


class Store:
    """A database at an SQLAlchemy URL. It is opened, and its schema made or brought up to date, at the first use."""

    def __init__(
        self, url: str, telemetry: StoreTelemetry, clock: Callable[[], float], retention_seconds: float
    ) -> None:
        self._url, self._file = url, file_of(url)
        self._telemetry = telemetry
        self._clock = clock
        self._retention_seconds = retention_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._engine: Engine | None = None
        self._identity: tuple[int, int] | None = None
        self._tidied_at: float | None = None
        self.problem = ""
        """Why it cannot be used; empty while it can."""
        self.beginnings = 0
        """How often a database was begun in place of one that was damaged or vanished: what was stored is gone."""

    async def load(self, uids: Sequence[str], use: Callable[[str, Stored], _T]) -> dict[str, _T]:
        """What ``use`` makes, in the store's thread, of what there is of each policy. Raises StoreError."""
        return await self._run(
            "read", lambda connection: {uid: use(uid, found) for uid, found in store_rows.read(connection, uids)}
        )

    async def save(self, batch: Batch) -> None:
        """Write a batch in one transaction, and once an hour forget what is too old. Raises StoreError."""
        now = self._clock()

        def write(connection: Connection) -> None:
            store_rows.write(connection, batch, now)
            if self._tidied_at is None or not 0 <= now - self._tidied_at < _TIDY_SECONDS:
                store_rows.tidy(connection, now, self._retention_seconds)
                self._tidied_at = now

        await self._run("write", write)

    async def anomalies(self, since: float, uid: str | None = None) -> list[tuple[PolicyRef, Anomaly]]:
        """Anomalies that began at ``since`` or later, oldest first. Raises StoreError."""
        return await self._run("read", lambda connection: store_rows.read_anomalies(connection, uid, since))

    async def model_changes(self, since: float, uid: str | None = None) -> list[tuple[PolicyRef, ModelChange]]:
        """Changes of models at ``since`` or later, oldest first. Raises StoreError."""
        return await self._run("read", lambda connection: store_rows.read_model_changes(connection, uid, since))

    async def close(self) -> None:
        """End its connections and its thread, after what it is at."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._dispose)
        self._thread.shutdown(wait=False)

    async def _run(self, operation: str, job: Callable[[Connection], _T]) -> _T:
        started, loop = perf_counter(), asyncio.get_running_loop()
        late = loop.call_later(_PATIENCE_SECONDS, self._cannot_be_used, f"no answer for {_PATIENCE_SECONDS:g} s")
        try:
            done = await loop.run_in_executor(self._thread, self._guarded, job)
        except StoreError as error:
            self._telemetry.failed()
            self._cannot_be_used(str(error))
            raise
        finally:
            late.cancel()
        if self.problem:
            _log.info("store can be used again", store=shown(self._url))
        self.problem = ""
        self._telemetry.worked(operation, perf_counter() - started, size_bytes(self._file))
        return done

    def _cannot_be_used(self, why: str) -> None:
        self._telemetry.away()
        if why != self.problem:
            _log.warning("store cannot be used; going on in memory", store=shown(self._url), error=why)
        self.problem = why

    def _guarded(self, job: Callable[[Connection], _T]) -> _T:
        """A job in a transaction, in the store's thread; once more on a new database if the old one is damaged."""
        try:
            try:
                return self._transaction(job)
            except (SQLAlchemyError, sqlite3.Error) as error:
                if not is_damage(error) or self._file is None:
                    raise
                self._begin_anew(error)
                return self._transaction(job)
        except (SQLAlchemyError, sqlite3.Error, OSError, NewerSchemaError) as error:
            self._dispose()
            raise StoreError(redactor(self._url).text(_reason(error))) from error

    def _transaction(self, job: Callable[[Connection], _T]) -> _T:
        vanished = self._engine is not None and identity(self._file) != self._identity
        if vanished:
            self._dispose()
        if self._engine is None:
            self._engine = open_engine(self._url)
            before, self._identity = self._identity, identity(self._file)
            if vanished or before not in (None, self._identity):  # a new file may get the number of the old one
                self.beginnings += 1
                _log.warning("the store's file is another one; all is stored anew", file=str(self._file))
        with self._engine.begin() as connection:
            return job(connection)

    def _begin_anew(self, error: Exception) -> None:
        assert self._file is not None, "only a file is set aside"
        self._dispose()
        aside = set_aside(self._file, self._clock())
        self._identity = None
        self.beginnings += 1
        _log.error(
            "the store's file is damaged; it was set aside and a new one is begun",
            file=str(self._file),
            set_aside=str(aside),
            error=_reason(error),
        )

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _reason(error: Exception) -> str:
    """The database's own words, without the statement."""
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
