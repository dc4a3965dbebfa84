"""Whole audits by the command line over a cable between two namespaces, and what leaves for each part of the range."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from net_pairs import Pair, check_closed, must
from watched import load, packets

from leadapron.store.store import Store
from scope_file import write_scope

PORT = 104
NETWORK, LOWER, UPPER = "198.18.0.0/20", "198.18.0.0/21", "198.18.8.0/21"
TARGETS = 4096
SERVERS = TARGETS // 128
"""Those whose address ends in 9 or 137: too few of a network to be one middlebox."""
SILENT = TARGETS // 4

ARCHIVES = """
import asyncio, sys
from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server

async def serve():
    server = Server(Behaviour(archives={"": made_up(7, 5)}, pause=float(sys.argv[1])))
    listening = await asyncio.start_server(server.serve, "0.0.0.0", 104, backlog=4096)
    print("ready", flush=True)
    await listening.serve_forever()

asyncio.run(serve())
"""
"""An archive behind port 104 of every address of its namespace."""

SYN = f"tcp dport {PORT} tcp flags & (syn|ack|rst) == syn"
ANSWERS = f"""
table ip answers {{
  chain input {{
    type filter hook input priority 0
    {SYN} ip daddr & 0.0.0.127 == 0.0.0.9 accept
    {SYN} ip daddr & 0.0.0.3 == 0.0.0.2 drop
    {SYN} reject with tcp reset
  }}
}}
"""
COUNTERS = f"""
table inet watch {{
  set seen {{ type ipv4_addr; size 65536; flags dynamic; }}
  chain out {{
    type filter hook output priority 0;
    {SYN} ip daddr {LOWER} counter comment "lower"
    {SYN} ip daddr {UPPER} counter comment "upper"
    {SYN} ip daddr & 0.0.0.127 == 0.0.0.9 counter comment "servers"
    {SYN} ip daddr & 0.0.0.3 == 0.0.0.2 counter comment "silent"
    {SYN} ip daddr & 0.0.0.127 != 0.0.0.9 ip daddr & 0.0.0.3 != 0.0.0.2 counter comment "refusing"
    {SYN} ip daddr != @seen add @seen {{ ip daddr }} counter comment "addresses"
    tcp flags & (syn|ack|rst) == syn tcp dport != {PORT} counter comment "elsewhere"
    ip daddr != {NETWORK} counter comment "elsewhere"
  }}
}}
"""


@contextlib.contextmanager
def answering(both: Pair, folder: Path, *, pause: float = 0.0) -> Iterator[None]:
    """Of 128 addresses one is an archive, a quarter is silent, the others refuse. `pause`: seconds before each answer."""
    both.load(folder, ANSWERS, on=both.answerer)
    command = both.answerer.command(sys.executable, "-c", ARCHIVES, pause)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


SYN_PACKETS = "syn"
CONNECTIONS = "connect"
OF_UPPER = """
[[grant]]
id = "upper"
owner = "Example Clinic"
basis = "partner"
granted_by = "CISO"
reference = "TEST 2"
valid_from = {first}
valid_until = {last}
country = "DE"
depth = "count"
networks = ["{network}"]
"""
SURVEY = """
[survey]
opt_out = "no@cert.example"
page = "page.txt"
exclusions = "exclusions.txt"
"""


@dataclass
class Survey:
    """A scope of two grants, of the lower and of the upper half of the range, and audits of it. `rate`: packets, or
    connections, a second."""

    both: Pair
    folder: Path
    method: str = SYN_PACKETS
    processes: int = 1
    rate: int = 4000
    scope: Path = field(init=False)

    def __post_init__(self) -> None:
        (self.folder / "page.txt").write_text("What this is.")
        (self.folder / "exclusions.txt").touch()
        today = dt.datetime.now(dt.UTC).date()
        sweep = f'[sweep]\nmethod = "{self.method}"\nprocesses = {self.processes}\ncooldown_seconds = 1\n'
        upper = OF_UPPER.format(network=UPPER, first=today - dt.timedelta(days=2), last=self.tomorrow)
        self.scope = self.folder / "scope.toml"
        write_scope(self.scope, networks=[LOWER], ports=[PORT], extra=sweep + SURVEY + upper)
        self.edit("connections_per_second = 5000", f"connections_per_second = {self.rate}")
        load(self.both.sweeper, self.folder, COUNTERS)

    @property
    def tomorrow(self) -> dt.date:
        return dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)

    def edit(self, old: str, new: str) -> None:
        """The last `old` of the scope file, in one step."""
        head, found, tail = self.scope.read_text().rpartition(old)
        assert found
        edited = self.folder / "edited.toml"
        edited.write_text(head + new + tail)
        edited.replace(self.scope)

    @property
    def environment(self) -> dict[str, str]:
        store = f"sqlite:///{self.folder}/s.db"
        return {**os.environ, "LEADAPRON_DATA": str(self.folder / "data"), "LEADAPRON_STORE": store}

    def command(self, *arguments: object, prefix: Sequence[object] = ("-m", "leadapron")) -> list[str]:
        check_closed(self.both.sweeper, self.both.answerer)
        return self.both.sweeper.command(sys.executable, *prefix, *arguments)

    def run(self, *arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`path`: a folder before all others where modules are looked for."""
        environment = self.environment
        if path is not None:
            environment["PYTHONPATH"] = os.pathsep.join([str(path), *filter(None, [environment.get("PYTHONPATH")])])
        return subprocess.run(
            self.command(*arguments), check=False, capture_output=True, text=True, timeout=120, env=environment
        )

    def audit(self, *options: object, path: Path | None = None) -> Audited:
        done = self.run("audit", self.scope, "--json", "--quiet", *options, path=path)
        return Audited(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def auditing(self, *options: object, prefix: Sequence[object] = ("-m", "leadapron")) -> Iterator[Running]:
        """An audit that goes on while the test changes the world. At the end it, and what it began, is gone."""
        command = self.command("audit", self.scope, "--json", "--quiet", *options, prefix=prefix)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=self.environment) as process:
            running = Running(process)
            try:
                yield running
            finally:
                process.kill()

    def sent(self) -> dict[str, int]:
        """Packets that ask for a connection, by what they are sent to."""
        return packets(self.both.sweeper)

    def greeted(self) -> Counter[str]:
        """How often a first word was said to whom, by the audit logs."""
        return Counter(str(fact["address"]) for fact in self.logged("dial") if fact["job"] == "hello")

    def denied_in_sweep(self) -> int:
        """Targets."""
        facts = [*self.logged("denied_in_sweep"), *self.logged("withheld_in_sweep")]
        return sum(count for fact in facts for count in fact["reasons"].values())

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = (json.loads(line) for log in self.folder.rglob("audit.jsonl") for line in log.read_text().splitlines())
        return [line["facts"] for line in lines if line["event"] == event]

    def known(self) -> Known:
        with Store.open(f"sqlite:///{self.folder}/s.db") as store:
            run = store.run().id
            reached = {str(hit.address) for hit in store.hits(run)}
            attempts = {str(endpoint.address) for endpoint, _ in store.attempts(run)}
            return Known(run, reached, attempts, sum(store.outcomes(run).values()))


@dataclass(frozen=True)
class Known:
    """What the store has of a run."""

    run: str
    reached: set[str]
    spoken: set[str]
    tried: int


@dataclass(frozen=True)
class Audited:
    exit_code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        assert self.out, self.err
        loaded: dict[str, Any] = json.loads(self.out)
        return loaded

    @property
    def status(self) -> str:
        return str(self.report["run"]["status"])

    @property
    def why(self) -> str:
        return str(self.report["run"]["why"])

    def seen(self) -> dict[str, Any]:
        """What is the same whenever, and however, one looks."""
        report = self.report
        return {
            "findings": sorted((each["key"], each["severity"]) for each in report["findings"]),
            "services": [(each["endpoint"], each["access"], each["counts"]) for each in report["services"]],
            "totals": report["totals"],
        }


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]

    def sweepers(self) -> list[int]:
        """Process ids of the sweep's own processes."""
        return [pid for pid in children(self.process.pid) if b"leadapron.cli.sweeper" in command_of(pid)]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def finish(self, within: float = 60.0) -> Audited:
        out, err = self.process.communicate(timeout=within)
        return Audited(self.process.returncode, out, err)


def children(parent: int) -> list[int]:
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            after_name = each.read_text().rpartition(")")[2].split()
            if int(after_name[1]) == parent:
                found.append(int(each.parent.name))
    return found


def command_of(pid: int) -> bytes:
    """Empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to pass"
        time.sleep(0.05)


def stands_still(sent: Callable[[], Mapping[str, int]], place: str, *, since: float) -> int:
    """Five seconds after the moment `since` of the monotonic clock it has stopped; two seconds later it still has. Returns
    how many packets were sent there."""
    time.sleep(max(0.0, since + 5 - time.monotonic()))
    then = sent()[place]
    time.sleep(2)
    assert sent()[place] == then
    return then


__all__ = ["must"]
