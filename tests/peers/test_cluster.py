"""Three workers in namespaces of their own, one killed, one cut off from the others, the scheduler begun anew: what they
find is what one process finds, no host is spoken to by two at once, and who is cut off falls silent in time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from cluster_world import RANGES, RATE, standing, texts
from net_pairs import check_closed, inside, must
from real_servers import Namespace, require

from leadapron.cluster.certificates import make_certificates
from leadapron.store.leases import LIFE, SWEEP, Leases, partition_of
from leadapron.store.store import Store
from postgres import Postgres, serving

pytestmark = [pytest.mark.peer, pytest.mark.timeout(400), pytest.mark.xdist_group("cluster")]

HUB = "192.0.2.100"
WORKERS = ("one", "two", "three")
SCHEDULER_PORT = 8786
COUNTER = """
table inet sent {
  chain out {
    type filter hook output priority 0;
    ip daddr 198.18.0.0/15 counter
  }
}
"""
CUT = """
table inet cut {
  chain in { type filter hook input priority 0; iifname "hub" drop; }
  chain out { type filter hook output priority 0; oifname "hub" drop; }
}
"""


# -- the net -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Net:
    """The hub has the store, the scheduler and the coordinator; each worker has a cable to it and one to the answerer."""

    hub: Namespace
    answerer: Namespace
    workers: dict[str, Namespace]

    def address(self, name: str) -> str:
        return f"192.0.2.{4 * WORKERS.index(name) + 2}"

    def source(self, name: str) -> str:
        return f"203.0.113.{4 * WORKERS.index(name) + 2}"


@contextlib.contextmanager
def net() -> Iterator[Net]:
    require("ip", "nft")
    name = f"lac{os.getpid()}x{time.monotonic_ns() % 10**6}"
    made = Net(Namespace(f"{name}h"), Namespace(f"{name}a"), {each: Namespace(f"{name}{each}") for each in WORKERS})
    everyone = (made.hub, made.answerer, *made.workers.values())
    with contextlib.ExitStack() as stack:
        for each in everyone:
            subprocess.run(["ip", "netns", "add", each.name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "delete", each.name], check=True)
            must(each, "ip", "link", "set", "lo", "up")
        must(made.hub, "ip", "address", "add", f"{HUB}/32", "dev", "lo")
        for number, (worker, place) in enumerate(made.workers.items()):
            cable(made.hub, f"w{number}", place, "hub", f"192.0.2.{4 * number}")
            cable(made.answerer, f"w{number}", place, "world", f"203.0.113.{4 * number}")
            must(
                place,
                "ip",
                "route",
                "add",
                f"{HUB}/32",
                "via",
                f"192.0.2.{4 * number + 1}",
                "src",
                made.address(worker),
            )
            for network in RANGES:
                must(place, "ip", "route", "add", network, "via", f"203.0.113.{4 * number + 1}")
        for network in RANGES:
            must(made.answerer, "ip", "route", "replace", "local", network, "dev", "lo", "table", "main")
        check_closed(*everyone)
        yield made


def cable(one: Namespace, name: str, other: Namespace, called: str, network: str) -> None:
    """Between two namespaces; the first has .1 of the network, the other .2."""
    base, last = network.rsplit(".", 1)
    ends = ("link", "add", name, "netns", one.name, "type", "veth", "peer", "name", called, "netns", other.name)
    subprocess.run(["ip", *ends], check=True)
    for each, link, at in ((one, name, 1), (other, called, 2)):
        must(each, "ip", "address", "add", f"{base}.{int(last) + at}/30", "dev", link)
        must(each, "ip", "link", "set", link, "up")


# -- who works in it ---------------------------------------------------------------------------------------------------


@dataclass
class Cluster:
    net: Net
    folder: Path
    postgres: Postgres
    url: str
    stack: contextlib.ExitStack
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def begin(self, name: str, place: Namespace, *arguments: object) -> None:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        environment = {**os.environ, "LEADAPRON_DATA": str(folder / "data")}
        command = place.command(sys.executable, "-m", "leadapron", "cluster", *arguments)
        with (self.folder / f"{name}.log").open("a") as log:
            self.running[name] = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, text=True
            )

    def scheduler(self) -> None:
        self.begin("scheduler", self.net.hub, "scheduler", "--host", HUB, "--port", SCHEDULER_PORT, *self.certified)

    def worker(self, name: str) -> None:
        terms = ("--scheduler", f"tls://{HUB}:{SCHEDULER_PORT}", "--host", self.net.address(name))
        here = ("--vantage", "internet", "--name", name)
        self.begin(name, self.net.workers[name], "worker", *terms, *here, *self.certified)

    def audit(self) -> None:
        reach = ("--scheduler", f"tls://{HUB}:{SCHEDULER_PORT}", "--store", self.url, "--workers", len(WORKERS))
        self.begin("audit", self.net.hub, "audit", self.folder / "scope.toml", *reach, *self.certified, "--quiet")

    @property
    def certified(self) -> tuple[object, ...]:
        return "--certificates", self.folder / "certificates"

    def kill(self, name: str) -> None:
        """`kill -9` of everything in the namespace of a worker."""
        for pid in must(self.net.workers[name], "ip", "netns", "pids", self.net.workers[name].name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self.running.pop(name).wait(timeout=20)

    def end(self, name: str) -> int:
        process = self.running.pop(name)
        process.terminate()
        return process.wait(timeout=60)

    def dials(self, name: str) -> int:
        """How often it has spoken to hosts."""
        logs = (self.folder / name / "data" / "runs").glob("*/shifts/*.jsonl")
        return sum(path.read_text().count('"event":"dial"') for path in logs)

    def says(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def ask(self, question: Callable[[Store, Leases], Any]) -> Any:
        """Of the store, from inside the hub."""

        def asked() -> Any:
            with Store.open(self.url) as store:
                runs = store.runs()
                return question(store, Leases(store._engine, runs[0].id)) if runs else None

        return inside(self.net.hub, asked)

    def wait_for(self, question: Callable[[Store, Leases], Any], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not self.ask(question):
            assert self.running["audit"].poll() is None, self.says("audit")
            assert time.monotonic() < deadline, {name: self.says(name)[-800:] for name in ("audit", *WORKERS)}
            time.sleep(0.3)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    with net() as made, contextlib.ExitStack() as stack:
        server = inside(made.hub, lambda: stack.enter_context(serving(HUB, "192.0.2.0/24")))
        url = inside(made.hub, lambda: server.url(server.create()))
        text = texts()
        ours = f'\n[infrastructure]\nallow = ["{HUB}:{server.port}", "{HUB}:{SCHEDULER_PORT}"]\n'
        (folder / "scope.toml").write_text(text["scope"] + ours)
        (folder / "world.nft").write_text(text["nft"])
        must(made.answerer, "nft", "-f", folder / "world.nft")
        make_certificates(folder / "certificates", hosts=[HUB], days=1)
        here = Cluster(made, folder, server, url, stack)
        try:
            yield here
        finally:
            for name in ("audit", *WORKERS, "scheduler"):
                if name in here.running:
                    here.end(name)


@contextlib.contextmanager
def world(place: Namespace) -> Iterator[list[dict[str, Any]]]:
    """Played; filled with who spoke to whom once it is over."""
    command = place.command(sys.executable, Path(__file__).with_name("cluster_world.py"))
    notes: list[dict[str, Any]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"ready": True}
        try:
            yield notes
        finally:
            process.terminate()
            notes += json.loads(process.stdout.readline())


def sent(place: Namespace) -> int:
    """Packets to the world so far."""
    listed = json.loads(must(place, "nft", "-j", "list", "table", "inet", "sent"))
    (rule,) = [each["rule"] for each in listed["nftables"] if "rule" in each]
    return next(int(part["counter"]["packets"]) for part in rule["expr"] if "counter" in part)


# -- what happens ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    report: dict[str, Any]
    alone: dict[str, Any]
    shifts: list[Any]
    notes: list[dict[str, Any]]
    cut_at: float
    sent_when_silent: tuple[int, int]
    seconds: float
    log: str


def report(command: list[str], folder: Path, url: str, data: Path) -> dict[str, Any]:
    environment = {**os.environ, "LEADAPRON_DATA": str(data), "LEADAPRON_STORE": url}
    shown = subprocess.run(
        [*command, "show", "--json"],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("cluster")
    ourselves = [sys.executable, "-m", "leadapron"]
    with cluster(folder) as here:
        with world(here.net.answerer) as notes:
            here.scheduler()
            for name in WORKERS:
                here.worker(name)
            began = time.monotonic()
            here.audit()
            here.wait_for(lambda _, leases: leases.seated() == len(WORKERS))
            here.wait_for(lambda *_: all(here.dials(name) for name in WORKERS))
            here.kill("one")
            cut = here.net.workers["two"]
            (folder / "cut.nft").write_text(CUT)
            (folder / "sent.nft").write_text(COUNTER)
            must(cut, "nft", "-f", folder / "sent.nft")
            must(cut, "nft", "-f", folder / "cut.nft")
            cut_at = time.monotonic()
            here.end("scheduler")
            here.scheduler()
            time.sleep(max(cut_at + LIFE - 2 - time.monotonic(), 0))
            before = sent(cut)
            time.sleep(6)
            silent = before, sent(cut)
            must(cut, "nft", "delete", "table", "inet", "cut")
            here.running["audit"].wait(timeout=200)
            seconds = time.monotonic() - began
            assert here.running.pop("audit").returncode in (0, 1), here.says("audit")
            shifts = here.ask(lambda _, leases: leases.shifts())
            assert all(each.is_done for each in here.ask(lambda _, leases: leases.all(SWEEP)))
            log = "\n".join(here.says(name) for name in ("audit", "scheduler", *WORKERS))
            together = report(here.net.hub.command(*ourselves), folder, here.url, folder / "audit" / "data")
        with world(here.net.answerer):
            environment = {
                **os.environ,
                "LEADAPRON_DATA": str(folder / "alone"),
                "LEADAPRON_STORE": "sqlite:///alone.db",
            }
            scope = folder / "scope.toml"
            rate = re.sub(rf"= {RATE}\b", "= 4000", scope.read_text())
            (folder / "alone.toml").write_text(rate)
            one = here.net.workers["three"]
            done = one.run(*ourselves, "audit", "alone.toml", "--quiet", "--json", cwd=folder, env=environment)
            assert done.returncode in (0, 1), done.stderr
    return Told(together, json.loads(done.stdout), shifts, notes, cut_at, silent, seconds, log)


def seen(shown: dict[str, Any]) -> dict[str, Any]:
    services = {}
    for each in shown["services"]:
        census = each["census"] and {name: value for name, value in each["census"].items() if name != "present"}
        services[str(each["endpoint"]), each["protocol"], each["resource"]] = {**each, "census": census}
    unknowns = sorted(json.dumps(each, sort_keys=True) for each in shown["unknowns"])
    findings = sorted((each["key"], each["control"], each["severity"]) for each in shown["findings"])
    return {"services": services, "unknowns": unknowns, "findings": findings, "totals": shown["totals"]}


def test_they_find_what_one_process_finds(told: Told) -> None:
    together, alone = seen(told.report), seen(told.alone)
    assert told.report["run"]["status"] == told.alone["run"]["status"] == "complete"
    assert len(together["services"]) > 50
    for part in ("totals", "findings", "unknowns", "services"):
        assert together[part] == alone[part], part


def test_boxes_that_reach_over_networks_are_boxes(told: Told) -> None:
    """Whoever asks which of their hosts: they are told by what all know."""
    boxes = {each["endpoint"] for each in told.report["unknowns"] if each["reason"] == "middlebox"}
    assert partition_of(ip_address("198.18.26.0")) != partition_of(ip_address("198.18.27.0"))
    assert len([each for each in boxes if each.startswith("198.18.26.0-198.18.27.255 port")]) == 4


def test_the_killed_say_nothing_and_the_cut_off_come_back(told: Told) -> None:
    over = {name: [shift.is_over for shift in told.shifts if shift.worker == name] for name in WORKERS}
    assert over["one"] == [False]
    assert len(over["two"]) >= 2, "it came back"
    assert all(over["three"])


def test_who_is_cut_off_falls_silent_before_its_seat_is_lost(told: Told) -> None:
    """It could still reach the targets, and others ask its hosts by then."""
    before, after = told.sent_when_silent
    assert before == after
    assert before > 0, "until then it went on"


def test_no_server_is_spoken_to_by_two_at_once(told: Told) -> None:
    """But for connections that a dead worker left open: their servers do not know yet."""
    by_address: dict[str, list[dict[str, Any]]] = {}
    servers = standing()
    for note in told.notes:
        if note["address"] in servers:
            by_address.setdefault(note["address"], []).append(note)
    assert len(by_address) > 40
    twice = [
        (one, other)
        for notes in by_address.values()
        for one, other in combinations(notes, 2)
        if one["begun"] < other["ended"] and other["begun"] < one["ended"]
    ]
    assert twice == []
    assert len({note["source"] for note in told.notes}) == len(WORKERS), "each of them asked"


def test_no_password_is_said(told: Told) -> None:
    from postgres import PASSWORD

    assert PASSWORD not in told.log
