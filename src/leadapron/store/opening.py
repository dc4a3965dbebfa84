"""What is done to a database when it is opened: private files, settings of SQLite, migrations."""

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

from leadapron.errors import StoreError


def make_private(path: Path) -> None:
    """The database file with mode 0600; SQLite gives its sidecars the same."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        path.chmod(0o600)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; choose another place with --store") from None


def prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in (
        "busy_timeout=5000",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def migrate(connection: sa.Connection) -> None:
    """Bring the schema up to date. Raises StoreError when it is from a newer version."""
    with _migrations() as directory:
        config = Config()
        config.set_main_option("script_location", str(directory))
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        current = MigrationContext.configure(connection).get_current_revision()
        if current == script.get_current_head():
            return
        if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
            raise StoreError("the store was written by a newer version; update leadapron, or choose another --store")
        command.upgrade(config, "head")


@contextlib.contextmanager
def _migrations() -> Iterator[Path]:
    with resources.as_file(resources.files("leadapron.store") / "migrations") as directory:
        yield directory


def cause(error: Exception) -> str:
    text = str(getattr(error, "orig", error)).splitlines()[0]
    return f"the store cannot be opened ({text}); choose another with --store"
