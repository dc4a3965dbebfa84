"""Opening the database of a store: its URL, its file for the owner only, its schema."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from leadapron.errors import StoreError
from leadapron.store import tables

BACKENDS = ("sqlite", "postgresql")
SQLITE_MAGIC = b"SQLite format 3\0"


def open_database(url: str, *, create: bool) -> sa.Engine:
    """Open and migrate; if it is not there, create it (mode 0600, sidecars included) or not. Raises StoreError."""
    parsed = _parse(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and parsed.database:
        _make_private(Path(parsed.database), create=create)
    engine = _engine(parsed)
    if is_sqlite:
        sa.event.listen(engine, "connect", _prepare_sqlite)
    try:
        with engine.begin() as connection:
            _migrate(connection)
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        raise StoreError(f"{parsed.render_as_string()}: {_cause(error)}") from None
    except StoreError:
        engine.dispose()
        raise
    sa.event.listen(engine, "handle_error", _say_what_failed)
    return engine


def _say_what_failed(context: sa.engine.ExceptionContext) -> None:
    """A full disk, a lock, a server that is gone: no fault of ours, and one line. The statement is not part of it."""
    if isinstance(context.sqlalchemy_exception, OperationalError):
        url = context.engine.url.render_as_string() if context.engine is not None else "the store"
        text = str(context.original_exception).splitlines()[0]
        raise StoreError(f"{url}: {text}; what was written before is kept: `leadapron audit --resume` goes on with it")


def _parse(url: str) -> sa.URL:
    """The URL is never part of an error: one that is mistyped may hold a password in any place."""
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except SQLAlchemyError:
        raise StoreError("--store is no database URL; example: sqlite:////var/lib/leadapron/leadapron.db") from None
    if backend not in BACKENDS:
        raise StoreError(f"--store names a database of another kind; {' and '.join(BACKENDS)} are known")
    return parsed


def _engine(url: sa.URL) -> sa.Engine:
    try:
        return sa.create_engine(url)
    except (ImportError, SQLAlchemyError):
        raise StoreError(
            f"{url.render_as_string()}: the Python driver for it is not installed; install it, or use sqlite"
        ) from None


def _make_private(path: Path, *, create: bool) -> None:
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


def _migrate(connection: sa.Connection) -> None:
    """Bring the schema up to date. Raises StoreError when it is from a newer version, or of something else."""
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
        if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
            raise StoreError("the store was written by a newer version; update leadapron, or choose another --store")
        command.upgrade(config, "head")


@contextlib.contextmanager
def _migrations() -> Iterator[Path]:
    with resources.as_file(resources.files("leadapron.store") / "migrations") as directory:
        yield directory


def _cause(error: Exception) -> str:
    text = str(getattr(error, "orig", error)).splitlines()[0]
    return f"the store cannot be opened ({text}); choose another with --store"
