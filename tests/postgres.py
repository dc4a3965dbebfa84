"""A PostgreSQL server of the tests: its own cluster in a folder of its own, run by an unprivileged user."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

START_TIMEOUT = 30.0
USER, PASSWORD = "auditor", "p@ss/w0rd:made-up"
ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Postgres:
    """A server that runs; each database in it is one store."""

    folder: Path
    port: int
    address: str = ADDRESS
    names: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str, **changes: Any) -> str:
        """By TCP, with a password; it sorts as English does, not byte by byte."""
        parts: dict[str, Any] = {"username": USER, "password": PASSWORD, "host": self.address, "port": self.port}
        url = sa.URL.create("postgresql+psycopg", database=database, **(parts | changes))
        return url.render_as_string(hide_password=False)

    def by_socket(self, database: str) -> str:
        parts = {"host": None, "port": self.port, "query": {"host": str(self.folder)}}
        return self.url(database, **parts)

    def create(self) -> str:
        """The name of a new, empty database."""
        name = f"la{next(self.names)}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return name


def binaries() -> Path:
    """Those of Debian's package, beside its system cluster, which is left alone."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    if (initdb := shutil.which("initdb")) is None:
        pytest.skip("postgresql is not installed (tests/apt-packages.txt)")
    return Path(initdb).parent


def _as_user() -> dict[str, Any]:
    """The server refuses to be root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(address: str = ADDRESS, clients: str = "127.0.0.1/32") -> Iterator[Postgres]:
    """Ended by its own process id; nothing of it is left. `address` is loopback, or one in a namespace without a way out;
    `clients` is the network of those who may come."""
    programs, user = binaries(), _as_user()
    with tempfile.TemporaryDirectory(prefix="leadapron-pg-") as name:
        folder = Path(name)
        if user:
            os.chown(folder, user["user"], user["group"])
        options = {"cwd": folder, "env": {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}, **user}
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        initdb = [programs / "initdb", "--no-sync", "--username", USER, "--pwfile", secret, "--auth", "scram-sha-256"]
        locale = ["--encoding", "UTF8", "--locale-provider", "icu", "--icu-locale", "en"]
        subprocess.run([*initdb, *locale, "--pgdata", folder / "data"], check=True, capture_output=True, **options)
        with (folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {clients} scram-sha-256\n")
        port = _free_port(address)
        settings = {"listen_addresses": address, "port": port, "unix_socket_directories": folder, "fsync": "off"}
        given = [part for setting, value in settings.items() for part in ("-c", f"{setting}={value}")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", *given], stdout=log, stderr=log, **options
            )
        try:
            _wait_for(Postgres(folder, port, address), process)
            yield Postgres(folder, port, address)
        finally:
            process.send_signal(signal.SIGINT)  # "fast": connections that stand are cut
            process.wait(timeout=START_TIMEOUT)


def _wait_for(server: Postgres, process: subprocess.Popen[bytes]) -> None:
    engine = sa.create_engine(server.url("postgres"), poolclass=sa.NullPool)
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        with contextlib.suppress(sa.exc.OperationalError), engine.connect():
            return
        assert process.poll() is None, "the server ended before it listened"
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.1)
