"""`kill -9` at ten random moments: the run goes on, finds the same, and asks nothing twice that it knows."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from leadapron.lab import estate
from leadapron.lab.__main__ import free_port
from leadapron.report.json import document
from leadapron.report.load import load_view
from leadapron.store.store import Store
from listening import listening

DRIVER = """
import sys
from pathlib import Path
from leadapron.pipeline_control import Options
from leadapron.pipeline_run import audit_scope

class Told:
    def begin(self, phase, total, done):
        pass
    def more(self, phase, amount):
        pass
    def advance(self, phase, amount, **figures):
        print(phase, flush=True)
    def end(self, phase):
        pass

scope, store, how = sys.argv[1:]
options = Options(hello_timeout=1.0)
run, _ = audit_scope(Path(scope), url=store, resume=how == "resume", options=options, progress=Told())
print(run.status.value)
"""
KILLS = {"discover": 4, "identify": 3, "assess": 3}
SEED = 20

HELD = 4
"""The host that leaves its questions unanswered while processes are still to be killed: none is over too early."""

Tally = dict[tuple[str, str], int]
"""(address, what): how often."""


class Reader:
    """Counts the connections of a host on which something was said. Behind an association it waits for `may_go_on`."""

    def __init__(self, reader: asyncio.StreamReader, asked: Counter[str], may_go_on: Callable[[], bool]) -> None:
        self._reader, self._asked, self._may_go_on, self._is_silent = reader, asked, may_go_on, True

    async def read(self, most: int) -> bytes:
        data = await self._reader.read(most)
        if data and self._is_silent:
            self._is_silent = False
            self._asked["spoken"] += 1
            return data
        while data and not self._may_go_on():  # noqa: ASYNC110 - another thread says when
            await asyncio.sleep(0.01)
        return data


class Estate:
    """The DICOM servers of the demo estate, and what each of them was asked."""

    def __init__(self) -> None:
        self.hosts = {str(estate.address(host)): host for host in estate.hosts(7) if host.door == "dicom"}
        self.asked = {address: Counter[str]() for address in self.hosts}
        self.ports = [free_port([*self.hosts]), free_port([*self.hosts])]
        self.is_held = False

    @property
    def places(self) -> list[tuple[str, int]]:
        return [(address, self.ports[0]) for address in self.hosts]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        asked = self.asked[address]
        asked["connections"] += 1
        host = self.hosts[address]
        heard = Reader(reader, asked, lambda: not (self.is_held and host.number == HELD))
        await host.serve(heard, writer)  # type: ignore[arg-type]

    def tally(self) -> Tally:
        """Once nothing changes any more: what a killed process sent last is still being read."""
        seen: Tally = {}
        for _ in range(100):
            time.sleep(0.05)
            before, seen = seen, self._tally()
            if before == seen:
                break
        return seen

    def _tally(self) -> Tally:
        counts = {(address, what): count for address, asked in self.asked.items() for what, count in asked.items()}
        finds = {(address, "find"): host.asked["find"] for address, host in self.hosts.items()}
        return {**counts, **finds}


@dataclass
class Known:
    """What the store knows of a run."""

    left: int
    reached: set[str]
    attempts: Counter[str]
    """by address"""


def known(url: str) -> Known:
    with Store.open(url) as store:
        run = store.run().id
        attempts = Counter(str(endpoint.address) for (endpoint, _), jobs in store.attempts(run).items() for _ in jobs)
        tried = sum(store.outcomes(run).values())
        return Known(left=-tried, reached={str(hit.address) for hit in store.hits(run)}, attempts=attempts)


@dataclass
class Drive:
    """Runs the audit in processes of its own, until it is over or killed."""

    folder: Path
    scope: Path
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"sqlite:///{self.folder / 'store.db'}"

    def run(self, how: str, until: Callable[[str, int], bool] = lambda *_: False, pause: float = 0.0) -> str:
        """The last line of the process; "killed" when `until(phase, events in it)` ended it."""
        environment = {**os.environ, "LEADAPRON_DATA": str(self.folder / "data")}
        command = [sys.executable, "-c", DRIVER, str(self.scope), self.url, how]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout
            events, line = Counter[str](), ""
            for line in map(str.strip, process.stdout):
                events[line] += 1
                if until(line, events[line]):
                    time.sleep(pause)
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    return "killed"
        return line

    def findings(self) -> dict[str, Any]:
        report = json.loads(json.dumps(document(load_view(self.url, None))))
        return {
            "findings": sorted((each["key"], each["severity"], each["evidence"]) for each in report["findings"]),
            "services": [(each["endpoint"], each["access"], each["counts"]) for each in report["services"]],
            "unknowns": sorted((each["endpoint"], each["stage"], each["reason"]) for each in report["unknowns"]),
            "totals": report["totals"],
        }


@pytest.fixture
def made() -> Iterator[Estate]:
    made = Estate()
    with listening(made.serve, places=made.places):
        yield made


def scope_of(made: Estate, path: Path) -> Path:
    """At a pace at which the sweep of the estate takes a few seconds."""
    import datetime as dt

    today = dt.datetime.now(dt.UTC).date()
    text = estate.scope(
        {"dicom": made.ports, "buckets": [9]}, today.isoformat(), (today + dt.timedelta(days=1)).isoformat()
    )
    path.write_text(text.replace("connections_per_second = 2000", "connections_per_second = 60"))
    return path


def moments() -> list[tuple[str, int, float]]:
    """When to kill: in which phase, after how many of its events, and how much later."""
    chance = random.Random(SEED)
    range_of = {"discover": (1, 30), "identify": (0, 9), "assess": (4, 11)}
    order = [phase for phase, count in KILLS.items() for _ in range(count)]
    return [(phase, chance.randint(*range_of[phase]), chance.uniform(0, 0.15)) for phase in order]


def check_asked(asked: Mapping[tuple[str, str], int], before: Known, after: Known, *, was_killed: bool) -> None:
    """What one process asked: what the store did not know before it, and knows now; a killed one once more a host."""
    for address in {address for address, _ in asked}:
        spoken = asked[address, "spoken"]
        learned = after.attempts[address] - before.attempts[address]
        assert learned <= spoken <= learned + was_killed, (
            f"{address} was spoken to {spoken} times for {learned} results"
        )
        probes = asked[address, "connections"] - spoken
        most = was_killed if address in before.reached else 1 + was_killed
        assert probes <= most, f"{address} was probed {probes} times"


def test_killed_at_ten_random_moments_it_finds_the_same_and_asks_nothing_twice(made: Estate, tmp_path: Path) -> None:
    scope = scope_of(made, tmp_path / "scope.toml")
    (tmp_path / "whole").mkdir()
    whole, cut = Drive(tmp_path / "whole", scope), Drive(tmp_path, scope)
    assert whole.run("new") == "complete"
    once = count_before = made.tally()

    before, how, phases = Known(left=0, reached=set(), attempts=Counter()), "new", Counter[str]()
    for phase, events, pause in [*moments(), ("", 0, 0.0)]:
        made.is_held = bool(phase)
        ended = cut.run(how, lambda at, seen, phase=phase, events=events: at == phase and seen >= events, pause)
        after, count = known(cut.url), made.tally()
        asked = Counter({key: number - count_before.get(key, 0) for key, number in count.items()})
        check_asked(asked, before, after, was_killed=ended == "killed")
        assert after.left <= before.left
        phases[phase] += ended == "killed"
        before, count_before, how = after, count, "resume"

    assert ended == "complete"
    assert +phases == Counter(KILLS)
    assert cut.findings() == whole.findings()
    undisturbed = {address for address in made.hosts if count[address, "spoken"] == 2 * once[address, "spoken"]}
    assert len(undisturbed) > len(made.hosts) // 2
    for address in undisturbed:
        assert count[address, "find"] == 2 * once[address, "find"], address
