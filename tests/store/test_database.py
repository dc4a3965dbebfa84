"""Opening a store: where it may lie, what becomes of a damaged one, and of one that cannot be written."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import sqlalchemy as sa

from leadapron.errors import StoreError
from leadapron.model import Access, Endpoint, Observation, Owner, Run, Service, Vantage, VantageKind
from leadapron.settings import sqlite_url
from leadapron.store import database, tables
from leadapron.store.chunk import SweepChunk
from leadapron.store.store import Store

SERVICE = Service(endpoint=Endpoint(address=ip_address("198.18.0.9"), port=104), protocol="dicom")
RUN = Run(
    id="run-1",
    kind="audit",
    scope_id="s",
    scope_sha256="0" * 64,
    vantage=Vantage(kind=VantageKind.INTERNET, name="here"),
    version="0",
    started_at=dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store of one run, closed."""
    path = tmp_path / "s.db"
    fill(sqlite_url(path))
    return path


@pytest.fixture
def filled(store_url: str) -> str:
    """The same, of each kind in turn."""
    fill(store_url)
    return store_url


def fill(url: str) -> None:
    with Store.open(url) as store:
        store.create_run(RUN, "00")
        store.record_observations("run-1", [Observation(service=SERVICE, access=Access(), owner=Owner(grant="g"))])
        store.record_attempt("run-1", SERVICE.endpoint, "dicom", "hello", {"failed": {}})
        waiting = bytes([1, 0])
        store.record_chunks(
            "run-1", [SweepChunk(start=0, stop=2, outcomes={}, hits=[SERVICE.endpoint], waiting=waiting)]
        )


def change(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    connection.execute(statement)
    connection.commit()
    connection.close()


def is_one_line_without_sql(error: StoreError) -> bool:
    text = str(error)
    return "\n" not in text and not any(
        word in text for word in ("SELECT", "INSERT", "parameters", "run-1", "sqlalche")
    )


@pytest.mark.parametrize(
    "name", ["sp ace", "x#y", "100%", "%41", "a?b=c", "ü@[:]", "quo'te\"", "new\nline", ":memory:"]
)
def test_a_store_may_lie_in_any_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "s.db"

    with Store.open(sqlite_url(path)) as store:
        store.create_run(RUN, "00")
    with Store.open(sqlite_url(path), create=False) as store:
        assert store.run() == RUN

    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert [each.name for each in path.parent.iterdir()] == ["s.db"]


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x", "sqlite:///file:/x?uri=true"]
)
def test_what_would_keep_nothing_or_is_no_path_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match=r"^--store names [^\n]+; example: sqlite:////var/lib/leadapron/leadapron.db$"):
        Store.open(url)


Read = Callable[[Store], object]


@pytest.mark.parametrize(
    ("statement", "read"),
    [
        ("UPDATE runs SET data = '{\"id\": ' WHERE id = 'run-1'", Store.run),
        ("UPDATE runs SET data = '[]'", Store.runs),
        ("UPDATE runs SET data = '{}'", Store.run),
        ("UPDATE runs SET data = 'null'", Store.runs),
        ("UPDATE runs SET data = json_set(data, '$.status', 'fine')", Store.run),
        ("UPDATE runs SET data = json_set(data, '$.started_at', 'today')", Store.run),
        ("UPDATE runs SET data = json_set(data, '$.ports', 1)", Store.run),
        ("UPDATE runs SET data = json_set(data, '$.ports', json('[\"104\"]'))", Store.run),
        ("UPDATE runs SET data = json_set(data, '$.status', null)", Store.run),
        ("UPDATE observations SET data = '{\"service\": {}}'", lambda store: store.observations("run-1")),
        ("UPDATE observations SET data = x'00'", lambda store: store.observations("run-1")),
        ("UPDATE attempts SET payload = 'x'", lambda store: store.attempts("run-1")),
        ("UPDATE attempts SET address = 'here'", lambda store: store.attempts("run-1")),
        ("UPDATE endpoints SET address = 'here'", lambda store: store.hits("run-1")),
        ("UPDATE sweep_chunks SET waiting = x'00'", lambda store: store.chunks_in_part("run-1")),
    ],
)
def test_a_row_that_is_not_what_was_written_is_one_line(file: Path, statement: str, read: Read) -> None:
    change(file, statement)

    with Store.open(sqlite_url(file)) as store, pytest.raises(StoreError, match="a row of the store is not") as caught:
        read(store)

    assert is_one_line_without_sql(caught.value)


@pytest.mark.parametrize(
    ("table", "column", "value", "read"),
    [
        ("runs", "data", [], Store.runs),
        ("runs", "data", {}, Store.run),
        ("observations", "data", {"service": {}}, lambda store: store.observations("run-1")),
        ("attempts", "address", "here", lambda store: store.attempts("run-1")),
        ("endpoints", "address", "here", lambda store: store.hits("run-1")),
        ("sweep_chunks", "waiting", b"\0", lambda store: store.chunks_in_part("run-1")),
    ],
)
def test_in_every_database_it_is_one_line(filled: str, table: str, column: str, value: object, read: Read) -> None:
    with Store.open(filled) as store:
        with store._engine.begin() as connection:
            connection.execute(sa.update(tables.metadata.tables[table]).values({column: value}))
        with pytest.raises(StoreError, match="a row of the store is not") as caught:
            read(store)

    assert is_one_line_without_sql(caught.value)


def test_a_damaged_file_is_one_line(file: Path) -> None:
    size = file.stat().st_size
    with file.open("r+b") as content:
        content.seek(4096)
        content.write(b"\xff" * (size - 4096))

    with pytest.raises(StoreError) as caught, Store.open(sqlite_url(file)) as store:
        store.runs()

    assert is_one_line_without_sql(caught.value)


def test_damage_that_shows_only_later_is_one_line_with_what_to_do(file: Path) -> None:
    with Store.open(sqlite_url(file)) as store:
        with store._engine.connect() as connection:
            page = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'observations'").scalar()
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        store.close()
        assert isinstance(page, int)
        with file.open("r+b") as content:
            content.seek((page - 1) * 4096)
            content.write(b"\xff" * 4096)
        with pytest.raises(StoreError, match="malformed; restore the store from a backup") as caught:
            store.observations("run-1")
    assert is_one_line_without_sql(caught.value)


def test_a_mistake_of_ours_is_no_fault_of_the_store_and_shows_no_parameters(filled: str) -> None:
    row = {"run_id": "none", "address": "secret", "port": 1, "name": ""}
    with Store.open(filled) as store, store._engine.connect() as connection:
        insert = sa.insert(tables.endpoints)
        with pytest.raises(sa.exc.IntegrityError) as caught:
            connection.execute(insert, row)
    assert "secret" not in str(caught.value)


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only medium; the superuser, whom mode bits do not stop, runs tests too."""
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))


@pytest.mark.usefixtures("frozen")
def test_what_cannot_be_written_is_read_and_left_as_it_is(file: Path) -> None:
    file.chmod(0o444)
    before = file.read_bytes()

    with Store.open(sqlite_url(file), create=False) as store:
        assert store.run() == RUN
        assert len(store.observations("run-1")) == 1
        with pytest.raises(StoreError, match="readonly") as caught:
            store.create_run(RUN, "00")

    assert is_one_line_without_sql(caught.value)
    assert file.read_bytes() == before
    assert file.stat().st_mode & 0o777 == 0o444
    assert list(file.parent.iterdir()) == [file]


def test_what_was_written_but_not_checkpointed_is_read_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(sqlite_url(file)) as writer:
        writer.create_run(replace(RUN, id="run-2"), "00")
        assert file.with_name("s.db-wal").stat().st_size
        monkeypatch.setattr(database, "_is_frozen", lambda _path: True)
        with Store.open(sqlite_url(file), create=False) as store:
            assert len(store.runs()) == 2


@pytest.mark.usefixtures("frozen")
def test_an_earlier_version_that_cannot_be_written_is_one_line(file: Path) -> None:
    change(file, "UPDATE alembic_version SET version_num = '0001'")

    with pytest.raises(StoreError, match=r"^the store is of an earlier version[^\n]*$"):
        Store.open(sqlite_url(file), create=False)
