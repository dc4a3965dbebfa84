"""A store on a PostgreSQL server: what is said of it, and connections that are made again under an armed gate."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from leadapron.errors import StoreError
from leadapron.scope.decision import Denied
from leadapron.scope.hook import armed
from leadapron.store import postgres_store, tables
from leadapron.store.database import server_endpoint
from leadapron.store.store import Store
from postgres import ADDRESS, PASSWORD, Postgres

SECRET = "s3cret-made-up"


@pytest.fixture
def database(postgres: Postgres) -> str:
    return postgres.create()


def is_one_line_without_secrets(error: StoreError) -> bool:
    text = str(error)
    return "\n" not in text and not any(word in text for word in (SECRET, PASSWORD, "SELECT", "sqlalche"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"postgresql+asyncpg://u:{SECRET}@db.example/x", "another driver"),
        (f"postgresql+psycopg2://u:{SECRET}@db.example/x", "another driver"),
        (f"postgresql://u:{SECRET}@db.example", "no database"),
        (f"postgresql://u:{SECRET}@db.example/x?host=198.18.0.1", "more than one place"),
        (f"postgresql://u:{SECRET}@db.example/x?hostaddr=198.18.0.1", "more than one place"),
        (f"postgresql://u:{SECRET}@a.example,b.example/x", "more than one place"),
        (f"postgresql://u:{SECRET}@/x?service=other", "more than one place"),
        (f"postgresql://u:{SECRET}@/x?host=a.example&host=b.example", "more than one place"),
        (f"postgresql://u:{SECRET}@store.invalid/x?password={SECRET}", "store.invalid has no address"),
    ],
)
def test_a_url_that_does_not_show_where_it_leads_is_one_line(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadapron.net.resolve.socket.getaddrinfo", lambda *_, **__: [])

    with pytest.raises(StoreError, match=said) as caught:
        Store.open(url)

    assert is_one_line_without_secrets(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": SECRET}, "password authentication failed"),
        ({"password": None, "query": {"password": SECRET}}, "password authentication failed"),
        ({"query": {"sslmode": SECRET, "password": SECRET}}, r"invalid sslmode value: \"\*\*\*\""),
        ({"query": {SECRET: SECRET, "password": SECRET}}, r"invalid connection option \"\*\*\*\""),
        ({"database": "absent"}, 'database "absent" does not exist'),
        ({"port": 1}, "refused"),
    ],
)
def test_what_a_server_refuses_is_one_line_without_the_password(
    postgres: Postgres, database: str, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        Store.open(postgres.url(**{"database": database, **changes}))

    assert is_one_line_without_secrets(caught.value)
    assert str(caught.value).startswith("postgresql+psycopg://auditor")


def test_it_needs_the_extra(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(StoreError, match=r"install leadapron\[postgres\]") as caught:
        Store.open(postgres.url("x"))

    assert is_one_line_without_secrets(caught.value)


def test_where_it_listens_has_the_form_of_a_scope(tmp_path: Path) -> None:
    assert server_endpoint("postgresql://u@Store.Example./x") == ("store.example", 5432)
    assert server_endpoint("postgresql+psycopg://u@[2001:DB8:0::1]:6432/x") == ("2001:db8::1", 6432)
    assert server_endpoint("postgresql://u@198.18.0.5:5433/x") == ("198.18.0.5", 5433)
    assert server_endpoint("postgresql://u@/x?host=/run/postgresql") is None
    assert server_endpoint(f"sqlite:///{tmp_path}/s.db") is None


def test_nothing_is_made_where_nothing_is_asked_for(postgres: Postgres, database: str) -> None:
    with pytest.raises(StoreError, match=r"^no store at postgresql\+psycopg://auditor:\*\*\*@[^\n]+ makes one$"):
        Store.open(postgres.url(database), create=False)

    engine = sa.create_engine(postgres.url(database))
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_socket_of_this_machine_is_a_place_too(postgres: Postgres, database: str) -> None:
    with Store.open(postgres.by_socket(database)) as store:
        assert store.runs() == []


def test_those_who_open_it_at_once_migrate_it_once(postgres: Postgres, database: str) -> None:
    failed: list[Exception] = []

    def opening() -> None:
        try:
            Store.open(postgres.url(database)).close()
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=opening) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []


class Closed:
    """A gate that lets nothing through."""

    def dial_allowed(self, host: str, port: int) -> Denied:
        return Denied.NO_GRANT


@pytest.mark.parametrize("host", [ADDRESS, "localhost"])
def test_a_connection_that_was_lost_is_made_again_also_by_name_when_the_gate_is_armed(
    postgres: Postgres, database: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_ipv4 = [(2, 1, 6, "", (ADDRESS, 0))]
    monkeypatch.setattr("leadapron.net.resolve.socket.getaddrinfo", lambda *_, **__: only_ipv4)
    denied: list[object] = []
    with Store.open(postgres.url(database, host=host)) as store, Store.open(postgres.url(database)) as other:
        monkeypatch.undo()
        assert store.runs() == []
        with other._engine.connect() as connection:
            ended = connection.exec_driver_sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                f"WHERE datname = '{database}' AND pid <> pg_backend_pid()"
            ).scalar()
            assert ended == 1
        with armed(Closed(), on_denied=lambda *told: denied.append(told)):
            assert store.runs() == []

    assert denied == []


def test_a_server_that_goes_away_in_the_middle_is_one_line(postgres: Postgres, database: str) -> None:
    with Store.open(postgres.url(database)) as store, store._engine.connect() as connection:
        with Store.open(postgres.url(database)) as other, other._engine.connect() as beside:
            beside.exec_driver_sql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{database}' AND pid <> pg_backend_pid()"
            )
        with pytest.raises(StoreError, match="terminating connection") as caught:
            connection.execute(sa.select(tables.runs))

    assert is_one_line_without_secrets(caught.value)


def test_what_is_given_in_the_url_stands(postgres: Postgres) -> None:
    url = sa.make_url(postgres.url("x", query={"connect_timeout": "3"}))

    arguments = postgres_store.engine_options(url)["connect_args"]
    assert {name: arguments[name] for name in ("application_name", "client_encoding")} == {
        "application_name": "leadapron",
        "client_encoding": "utf8",
    }
    assert "connect_timeout" not in arguments


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE"])
@pytest.mark.parametrize("url", ["postgresql+psycopg://127.0.0.1/db", "postgresql+psycopg:///db"])
def test_the_environment_leads_nowhere_else(name: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "127.0.0.2")
    with pytest.raises(StoreError, match=f"unset {name}"):
        postgres_store.check(sa.make_url(url))


def test_libpq_is_told_every_address_and_gives_up_a_server_that_vanished() -> None:
    arguments = postgres_store.engine_options(sa.make_url("postgresql+psycopg://127.0.0.1/db"))["connect_args"]
    assert (arguments["host"], arguments["hostaddr"]) == ("127.0.0.1", "127.0.0.1")
    assert postgres_store.LOST.items() <= arguments.items()
