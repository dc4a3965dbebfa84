"""Opening the database of a store: its URL, its file for the owner only, its schema."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)

from leadapron.errors import StoreError
from leadapron.store import codec, postgres_store, tables
from leadapron.store.codec import DAMAGED

BACKENDS = ("sqlite", "postgresql")
SQLITE_MAGIC = b"SQLite format 3\0"
EXAMPLE = "example: sqlite:////var/lib/leadapron/leadapron.db"

_OUR_FAULT = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""Errors of statements, not of the database."""


def open_database(url: str, *, create: bool) -> sa.Engine:
    """Open and migrate; if it is not there, create it (mode 0600, sidecars included) or not. Raises StoreError.

    Without `create`, a SQLite file that cannot be written here is opened for reading, if its schema is current.
    """
    parsed = _parse(url)
    file = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
    is_frozen = file is not None and not create and _is_frozen(file)
    if file is not None:
        _make_private(file, create=create, is_frozen=is_frozen)
    engine = _engine(parsed, frozen=file if is_frozen else None)
    try:
        with engine.begin() as connection:
            _migrate(connection, create=create, is_frozen=is_frozen)
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        raise StoreError(f"{_place(parsed)}: {_cause(error, parsed)}") from None
    except StoreError:
        engine.dispose()
        raise
    sa.event.listen(engine, "handle_error", _say_what_failed)
    return engine


def _say_what_failed(context: sa.engine.ExceptionContext) -> None:
    """A full disk, a lock, a damaged file, a server that is gone: no fault of ours, and one line. Neither the statement
    nor its parameters are part of it."""
    error = context.sqlalchemy_exception
    if context.is_pre_ping or not isinstance(error, DatabaseError | InterfaceError) or isinstance(error, _OUR_FAULT):
        return  # a connection that was found lost is made again
    url = context.engine.url if context.engine is not None else sa.URL.create("sqlite")
    raise StoreError(f"{_place(url)}: {postgres_store.said(context.original_exception, url)}{_advice(error)}")


def _advice(error: DBAPIError) -> str:
    """SQLite says of a damaged file, and of one that is none, no more than `DatabaseError`."""
    return f"; {DAMAGED}" if type(error) is DatabaseError else ""


def _parse(url: str) -> sa.URL:
    """The URL is never part of an error: one that is mistyped may hold a password in any place."""
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except SQLAlchemyError:
        raise StoreError(f"--store is no database URL; {EXAMPLE}") from None
    if backend not in BACKENDS:
        raise StoreError(f"--store names a database of another kind; {' and '.join(BACKENDS)} are known")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"--store names a database in memory, of which nothing would be left; {EXAMPLE}")
    if backend == "sqlite" and (parsed.database or "").startswith("file:"):
        raise StoreError(f"--store names a file: URI, where a path is needed; {EXAMPLE}")
    if backend == "postgresql":
        postgres_store.check(parsed)
    return parsed


def server_endpoint(url: str) -> tuple[str, int] | None:
    """Where the server of this store listens (host as in a scope, port); None for a file and for a socket of this
    machine. Raises StoreError."""
    parsed = _parse(url)
    return postgres_store.endpoint(parsed) if parsed.get_backend_name() == "postgresql" else None


def _place(url: sa.URL) -> str:
    """For messages: without a password, and a file as its path."""
    if url.get_backend_name() == "sqlite":
        return url.database or "the store"
    return postgres_store.place(url)


def _engine(url: sa.URL, *, frozen: Path | None) -> sa.Engine:
    """`frozen`: the file, where it is only read."""
    options: dict[str, Any] = {} if frozen is None else {"creator": lambda: _read_only(frozen)}
    if url.get_backend_name() == "postgresql":
        options = postgres_store.engine_options(url)
    try:
        engine = sa.create_engine(url, hide_parameters=True, json_deserializer=codec.parse, **options)
    except (ImportError, SQLAlchemyError):
        raise StoreError(
            f"{_place(url)}: its Python driver is not installed; install leadapron[postgres], or use sqlite"
        ) from None
    if frozen is None and url.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _read_only(path: Path) -> sqlite3.Connection:
    """Where nothing can be written there is no place for the shared memory of WAL: SQLite has to be told that the file
    does not change. Not so where a log lies beside it, whose pages would be missed."""
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?{mode}", uri=True, check_same_thread=False)


def _is_frozen(path: Path) -> bool:
    """Whether the file is there, and cannot be written: read-only media, or the file of somebody else."""
    return path.is_file() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _make_private(path: Path, *, create: bool, is_frozen: bool) -> None:
    """The database file with mode 0600; SQLite gives its sidecars the same. What is no database is left alone."""
    try:
        if create:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with path.open("rb") as file:
            start = file.read(len(SQLITE_MAGIC))
        if start not in (b"", SQLITE_MAGIC):
            raise StoreError(f"{path} is not a store (no SQLite database); choose another with --store")
        if not is_frozen:
            path.chmod(0o600)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not create:
            raise StoreError(
                f"no store at {path}; `leadapron audit scope.toml` makes one, --store names one elsewhere"
            ) from None
        raise StoreError(f"{path}: {error.strerror}; choose another place with --store") from None


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in (
        "busy_timeout=5000",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _migrate(connection: sa.Connection, *, create: bool, is_frozen: bool) -> None:
    """Bring the schema up to date. Raises StoreError when it is from a newer version, or of something else."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(postgres_store.MIGRATION_LOCK)))
    elif not is_frozen:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # all of it or nothing, and one process at a time
    with _migrations() as directory:
        config = Config()
        config.set_main_option("script_location", str(directory))
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        current = MigrationContext.configure(connection).get_current_revision()
        if current == script.get_current_head():
            return
        foreign = set(sa.inspect(connection).get_table_names()) - set(tables.metadata.tables) - {"alembic_version"}
        if current is None and foreign:
            raise StoreError("--store names the database of something else; give it one of its own")
        if current is None and not create and connection.dialect.name == "postgresql":
            raise StoreError(f"no store at {_place(connection.engine.url)}; `leadapron audit scope.toml` makes one")
        if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
            raise StoreError("the store was written by a newer version; update leadapron, or choose another --store")
        if is_frozen:
            raise StoreError("the store is of an earlier version, and cannot be written here; copy it to where it can")
        command.upgrade(config, "head")


@contextlib.contextmanager
def _migrations() -> Iterator[Path]:
    with resources.as_file(resources.files("leadapron.store") / "migrations") as directory:
        yield directory


def _cause(error: Exception, url: sa.URL) -> str:
    text = postgres_store.said(getattr(error, "orig", error), url)
    return f"the store cannot be opened ({text}); choose another with --store"
