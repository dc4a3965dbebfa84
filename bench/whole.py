"""An audit of a made-up country, from nothing to verdicts, in a pair of namespaces that lead nowhere else."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "peers")]

from country import Country  # noqa: E402
from net_pairs import ANSWERER, Pair, must, pair  # noqa: E402

from leadapron.model import Run  # noqa: E402
from leadapron.store.store import Store  # noqa: E402

__all__ = ["Audited", "Pair", "audit", "played"]

LOOK_INTERVAL = 0.05
"""Seconds between two looks at the memory of processes."""
LONGEST = 3600
"""Seconds that an audit may take."""
SETTINGS = ("net.core.somaxconn=65535", "net.ipv4.tcp_max_syn_backlog=65535")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """`main`, `sweeper`: MiB at most, of the process of the audit and of the largest that swept for it."""

    seconds: float
    run: Run
    differences: tuple[str, ...]
    """from the truth"""
    main: float
    sweeper: float


@contextlib.contextmanager
def played(country: Country, folder: Path, *, sweep: str) -> Iterator[Pair]:
    """The country in the answerer; `folder` has the scope then."""
    country.write(folder, sweep=sweep)
    networks = list(map(str, country.networks))
    with pair([]) as both:
        for inside, line in ((both.sweeper, "{} via " + ANSWERER), (both.answerer, "local {} dev lo table main")):
            text = "".join(f"route add {line.format(each)}\n" for each in networks)
            subprocess.run(["ip", "-n", inside.name, "-batch", "-"], input=text, text=True, check=True)
        for setting in SETTINGS:
            must(both.answerer, "sysctl", "-qw", setting)
        must(both.answerer, "nft", "-f", folder / "country.nft")
        command = both.answerer.command(sys.executable, HERE / "country.py", *country.arguments)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "listening\n", "the country does not listen"
                yield both
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=60)


def audit(country: Country, both: Pair, folder: Path) -> Audited:
    """`leadapron audit` into a store of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        url = f"sqlite:///{fresh}/store.db"
        environment = {**os.environ, "LEADAPRON_DATA": f"{fresh}/data", "LEADAPRON_STORE": url}
        command = [sys.executable, "-m", "leadapron"]
        begun = time.perf_counter()
        inside = both.sweeper.command(*command, "audit", folder / "scope.toml")
        with Path(fresh, "said").open("w+") as said:
            process = subprocess.Popen(inside, env=environment, cwd=fresh, stdout=said, stderr=said)
            with Watched(process.pid) as watched:
                process.wait(LONGEST)
            seconds = time.perf_counter() - begun
            said.seek(0)
            assert process.returncode in (0, 1), said.read()[-2000:]
        shown = subprocess.run(
            [*command, "show", "--json"], env=environment, check=True, capture_output=True, text=True
        )
        with Store.open(url, create=False) as store:
            run = store.run()
    return Audited(
        seconds=seconds,
        run=run,
        differences=(*country.differences(json.loads(shown.stdout)), *_unfinished(country, run)),
        main=watched.main,
        sweeper=watched.sweeper,
    )


def _unfinished(country: Country, run: Run) -> Iterator[str]:
    if run.endpoints_tried != country.targets:
        yield f"{run.endpoints_tried:,} targets were tried, in truth {country.targets:,}"
    if run.endpoints_reached != country.servers:
        yield f"{run.endpoints_reached:,} endpoints were reached, in truth {country.servers:,}"


class Watched:
    """The most memory (VmHWM, MiB) that a process and its children held, looked at until the end of the context."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over = pid, threading.Event()
        self.main = self.sweeper = 0.0
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_INTERVAL):
            self.main = max(self.main, held(self._pid))
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
                self.sweeper = max([self.sweeper, *(held(int(child)) for child in children)])


def held(pid: int) -> float:
    """0 where there is no such process any more."""
    with contextlib.suppress(OSError):
        if found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()):
            return int(found[1]) / 1024
    return 0.0
