"""A cluster on loopback: scheduler and workers as processes of their own, over mutual TLS, and what its commands say."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli.command_line import leadapron, start
from leadapron.cli.demo import _estate
from leadapron.cluster.certificates import certificate_file, key_file, make_certificates
from leadapron.lab.compare import compare
from leadapron.store.leases import Leases
from leadapron.store.store import Store
from postgres import ADDRESS, PASSWORD, Postgres

HOST = "127.0.0.1"


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Cluster:
    folder: Path
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"tls://{HOST}:{self.port}"

    @property
    def certificates(self) -> Path:
        return self.folder / "certificates"

    def begin(self, name: str, *arguments: object) -> None:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = start(folder, "cluster", *arguments, stdout=log, stderr=log)

    def scheduler(self) -> None:
        self.begin("scheduler", "scheduler", "--host", HOST, "--port", self.port, *self._certified())

    def worker(self, name: str) -> None:
        terms = ("--scheduler", self.url, "--host", HOST, "--vantage", "internet", "--name", name)
        self.begin(name, "worker", *terms, *self._certified())

    def _certified(self) -> tuple[object, ...]:
        return "--certificates", self.certificates

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(timeout=40)

    def says(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def wait_until(self, name: str, text: str, times: int = 1) -> None:
        deadline = time.monotonic() + 30
        while self.says(name).count(text) < times:
            assert time.monotonic() < deadline, self.says(name)[-2000:]
            time.sleep(0.1)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    make_certificates(made.certificates, hosts=[HOST], days=1)
    yield made
    for name in list(made.processes):
        made.end(name)


@pytest.fixture
def audited(tmp_path: Path, postgres: Postgres, cluster: Cluster) -> Iterator[dict[str, Any]]:
    """The estate, with its scope and an empty store."""
    with _estate(2020) as estate:
        ours = f'[infrastructure]\nallow = ["{ADDRESS}:{postgres.port}", "{HOST}:{cluster.port}"]\n'
        (tmp_path / "scope.toml").write_text(f"{estate['scope']}\n{ours}")
        yield {**estate, "url": postgres.url(postgres.create())}


def audit(cluster: Cluster, url: str, *options: object) -> tuple[object, ...]:
    reach = ("--scheduler", cluster.url, "--certificates", cluster.certificates, "--store", url)
    return ("cluster", "audit", cluster.folder / "scope.toml", *reach, *options)


def handshake(cluster: Cluster, certificates: Path | None) -> bytes:
    """The first bytes that the scheduler says. Raises ssl.SSLError, or ConnectionError, where it refuses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificates is not None:
        context.load_cert_chain(certificate_file(certificates, "client"), key_file(certificates, "client"))
    with (
        socket.create_connection((HOST, cluster.port), timeout=10) as raw,
        context.wrap_socket(raw) as secured,
    ):
        return secured.recv(1)


def test_who_has_no_certificate_of_ours_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    cluster.scheduler()
    cluster.wait_until("scheduler", "the scheduler listens")
    others = tmp_path / "others"
    make_certificates(others, days=1)
    for certificates in (None, others):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(cluster, certificates)
    assert len(handshake(cluster, cluster.certificates)) == 1
    assert cluster.end("scheduler") == 0


def test_nothing_else_listens(cluster: Cluster) -> None:
    """No dashboard, which Dask opens in clear."""
    cluster.scheduler()
    cluster.wait_until("scheduler", "the scheduler listens")
    cluster.worker("one")
    cluster.wait_until("one", "one is at work")
    for name, most in (("scheduler", {cluster.port}), ("one", None)):
        ports = listening(cluster.processes[name].pid)
        assert len(ports) == 1
        assert most is None or ports == most


def listening(pid: int) -> set[int]:
    """TCP ports on which a process listens."""
    mine = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            mine.add(str(link.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            parts = line.split()
            if parts[3] == "0A" and f"socket:[{parts[9]}]" in mine:
                found.add(int(parts[1].rsplit(":", 1)[1], 16))
    return found


def test_a_run_outlives_its_scheduler(cluster: Cluster, audited: dict[str, Any]) -> None:
    """The scheduler is killed while two workers work, and begun again: the same shifts bring the run to its end."""
    cluster.scheduler()
    for name in ("one", "two"):
        cluster.worker(name)
        cluster.wait_until(name, f"{name} is at work")
    running = start(cluster.folder, *audit(cluster, audited["url"], "--json", "--shards", 24))
    with Store.open(audited["url"]) as store:
        wait_for(lambda: bool(store.runs()) and Leases(store._engine, store.runs()[0].id).seated() == 2)
        cluster.end("scheduler", signal.SIGKILL)
        cluster.scheduler()
        out, err = running.communicate(timeout=90)
        shifts = Leases(store._engine, store.runs()[0].id).shifts()
    assert running.returncode == 1, err
    assert compare(audited["truth"], json.loads(out)) == []
    assert {shift.worker for shift in shifts} == {"one", "two"}
    assert all(shift.is_over and not shift.why for shift in shifts)
    said = out + err + "".join(cluster.says(name) for name in ("one", "two", "scheduler"))
    assert PASSWORD not in said
    for name in ("one", "two"):
        assert cluster.end(name) == 0
        assert "The worker has ended" in cluster.says(name)


def wait_for(condition: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def test_without_workers_or_scheduler_nothing_begins(cluster: Cluster, audited: dict[str, Any]) -> None:
    ended = leadapron(cluster.folder, *audit(cluster, audited["url"]))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no scheduler answers at" in ended.stderr
    cluster.scheduler()
    cluster.wait_until("scheduler", "the scheduler listens")
    ended = leadapron(cluster.folder, *audit(cluster, audited["url"]))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no worker of this vantage is there" in ended.stderr
    with Store.open(audited["url"]) as store:
        assert store.runs() == []


def test_certificates_are_made_by_one_command(tmp_path: Path) -> None:
    ended = leadapron(tmp_path, "cluster", "certificates", "--out", "c", "--host", "192.0.2.1", "--days", "30")
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == 8
    again = leadapron(tmp_path, "cluster", "certificates", "--out", "c")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
