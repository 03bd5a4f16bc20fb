"""Opening the store's database: settings of SQLite, migrations, and what to do with a damaged file."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from trimtab.adapters.credentials import Redactor

VERSION_TABLE: Final = "trimtab_schema_version"
_BUSY_SECONDS: Final = 5.0
_LARGEST_WAL_BYTES: Final = 64 * 2**20
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_KEPT_ASIDE: Final = 2
_SUFFIXES: Final = ("", "-wal", "-shm")
"""Files of one SQLite database."""


class NewerSchemaError(Exception):
    """The database was written by a newer version of Trimtab."""


def check_url(url: str) -> None:
    """Raise ValueError when nothing could ever be opened at ``url``: not a URL, or no driver for it is installed."""
    remedy = "write it as sqlite:////var/lib/trimtab/trimtab.db, or none"
    try:
        made = make_url(url)
    except (SQLAlchemyError, ValueError) as error:  # of a number that is none, it shows what may be half a password
        raise ValueError(f"it is no URL; {remedy}") from error
    try:
        create_engine(made).dispose()
    except (SQLAlchemyError, ImportError, ValueError, TypeError) as error:
        reason = redactor(url).text(str(error).partition("\n")[0])
        raise ValueError(f"{reason}; {remedy}") from error


def shown(url: str) -> str:
    """The URL without its password, and without what stands behind a ``?``, where one may be too.

    >>> shown("postgresql://me:secret@db/trimtab?sslpassword=secret")
    'postgresql://me:***@db/trimtab'
    """
    return make_url(url).set(query={}).render_as_string(hide_password=True)


def redactor(url: str) -> Redactor:
    """Hides what is secret in a URL wherever a driver repeats it."""
    made = make_url(url)
    named = [value for name, value in made.query.items() if "pass" in name.lower() and isinstance(value, str)]
    return Redactor([made.password or "", *named])


def file_of(url: str) -> Path | None:
    """The file of an SQLite database; None for others, and for one in memory."""
    made = make_url(url)
    name = made.database or ""
    if "uri" in made.query and name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    in_memory = name in ("", ":memory:") or made.query.get("mode") == "memory"
    return None if in_memory or made.get_backend_name() != "sqlite" else Path(name)


def open_engine(url: str) -> Engine:
    """An engine whose database has the newest schema. Raises NewerSchemaError, OSError or SQLAlchemyError."""
    file = file_of(url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        with engine.begin() as connection:
            _migrate(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def is_damage(error: BaseException) -> bool:
    """Whether an error says that the file is not a database, or a damaged one."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, sqlite3.Error) and (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED


def set_aside(file: Path, now: float) -> Path:
    """Rename a damaged database, so that a new one can be begun; the newest two are kept. Raises OSError."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = file.with_name(f"{file.name}.damaged-{stamp}")
    for suffix in _SUFFIXES:
        part = Path(f"{file}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    earlier = sorted(file.parent.glob(f"{file.name}.damaged-*Z"))
    for old in earlier[:-_KEPT_ASIDE]:
        for suffix in _SUFFIXES:
            Path(f"{old}{suffix}").unlink(missing_ok=True)
    return aside


def identity(file: Path | None) -> tuple[int, int] | None:
    """What tells a file from another one of the same name; None when it is not there."""
    try:
        found = os.stat(file) if file is not None else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found is not None else None


def size_bytes(file: Path | None) -> int:
    """Bytes on disk, with the log that was not yet taken over; 0 where there is no file."""
    parts = [Path(f"{file}{suffix}") for suffix in _SUFFIXES] if file is not None else []
    return sum(part.stat().st_size for part in parts if part.exists())


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    """Readers beside the writer, few waits for the disk, and transactions that we begin ourselves."""
    connection.isolation_level = None  # Python's own would end a transaction at each change of the schema
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={int(_BUSY_SECONDS * 1000)}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"journal_size_limit={_LARGEST_WAL_BYTES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """With the right to write from the start: two processes then wait for each other instead of failing halfway."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    """Bring the schema to the newest version, in the caller's transaction. Raises NewerSchemaError."""
    from alembic import command  # it costs a tenth of a second, which only the operator needs to spend
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    location = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", location.replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads()
    known = {script.revision for script in scripts.walk_revisions()}
    for revision in present:
        if revision not in known:
            raise NewerSchemaError(
                f"the database has schema {revision}, which this version does not know (its newest is "
                f"{scripts.get_current_head()}); run the newer version, or name another database"
            )
    if set(present) != set(scripts.get_heads()):
        command.upgrade(config, "head")
