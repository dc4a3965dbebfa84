"""SYN sweeps: Lead Apron's, a loop in C, zmap and masscan over a cable between two namespaces that lead nowhere else.

One address in 1,024 accepts; the rest is silent, or refuses as Linux does. A rate is that of the packets on the cable,
counted by the kernel between the first and the last fiftieth of them: nobody's own figures. Programs may use all cores; the
peer's kernel answers on the core of whoever sends.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "peers")]

from net_pairs import SWEEPER, Pair, must, pair  # noqa: E402

from scope_file import write_scope  # noqa: E402

FIRST, RANGE = "10.0.0.0", "10.0.0.0/11"
SILENT, REFUSING = 104, 11112
"""Ports: what does not accept is silent; it refuses."""
STEP, LIVE = 1024, 7
"""Which addresses accept: those that are LIVE modulo STEP."""
COOLDOWN, TOP_RATE = 1, 1_000_000
"""Seconds; packets a second: more than anybody can."""
SLOWEST, TIMED_OUT, TRIES = 40_000, 124, 5
"""Packets a second, 10 s for the rest: who takes longer is ended; how `timeout` says so; and how often masscan may, which
does not always come to its end."""
LEAST_SENT = 0.98
"""Of the packets of a sweep, or it was none."""
FULL_BITS, SMALL_BITS = 20, 14
"""Addresses: two to the power of these."""

LEAD_APRON, C, ZMAP, MASSCAN = "Lead Apron", "C", "zmap", "masscan"
GOALS = {C: 0.9, ZMAP: 1.0, MASSCAN: 1.0}

RULES = f"""
table ip sweeps {{
  chain in {{
    type filter hook prerouting priority raw
    iifname "cable" tcp dport {SILENT} ip daddr & 0.0.3.255 != 0.0.0.{LIVE} drop
  }}
}}
"""
LISTENERS = f"""
import socket, sys, time
sockets = [socket.create_server(("0.0.0.0", {SILENT}), backlog=65535)]
for number in range(int(sys.argv[1])):
    address = f"10.{{number >> 6}}.{{number % 64 * 4}}.{LIVE}"
    sockets.append(socket.create_server((address, {REFUSING}), backlog=64))
print("listening", flush=True)
time.sleep(3600)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Medians of the rounds."""

    rate: float
    """packets a second"""
    found: float
    """of those that accept, from 0 to 1"""


Results = dict[str, dict[str, Swept]]
"""By contest and program."""


class SweepPlace:
    """Two namespaces, the built program, a scope for Lead Apron."""

    def __init__(self, both: Pair, folder: Path, bits: int, holder: int) -> None:
        self.both, self.folder, self.bits, self._counters = both, folder, bits, Path(f"/proc/{holder}/net/dev")
        self.live = (1 << bits) // STEP
        link = json.loads(must(both.answerer, "ip", "-json", "link", "show", "cable"))
        self.mac: str = link[0]["address"]

    def sweep(self, *command: object) -> tuple[float, str]:
        """Packets a second that a program puts on the cable, and what it says. Raises TimeoutError."""
        samples: list[tuple[float, int]] = []
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                samples.append((time.perf_counter(), self._sent()))
                time.sleep(0.003)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            done = self.both.sweeper.run("timeout", "-k", 1, 10 + (1 << self.bits) / SLOWEST, *command)
        finally:
            over.set()
            watcher.join()
        if done.returncode == TIMED_OUT:
            raise TimeoutError(command)
        assert done.returncode == 0, (command, done.stderr[-2000:])
        before, packets = samples[0][1], samples[-1][1] - samples[0][1]
        assert packets >= LEAST_SENT * (1 << self.bits), (command, packets)
        begun, ended = (next(at for at, sent in samples if sent - before >= packets * part) for part in (0.02, 0.98))
        return 0.96 * packets / max(ended - begun, 1e-6), done.stdout

    def _sent(self) -> int:
        line = next(line for line in self._counters.read_text().splitlines() if line.lstrip().startswith("cable:"))
        return int(line.split(":")[1].split()[9])

    def programs(self, port: int) -> dict[str, Callable[[], tuple[float, int]]]:
        """Packets a second and addresses found, of each."""

        def leadapron() -> tuple[float, int]:
            arguments = (FIRST, self.bits, port, TOP_RATE, COOLDOWN, "--armed", self.folder / "scope.toml")
            rate, said = self.sweep(sys.executable, HERE / "leadapron_syn.py", *arguments)
            return rate, int(json.loads(said)["accepted"])

        def c() -> tuple[float, int]:
            rate, said = self.sweep(self.folder / "syn_loop", FIRST, self.bits, port, COOLDOWN * 1000)
            return rate, int(json.loads(said)["accepted"])

        def zmap() -> tuple[float, int]:
            found = self.folder / "zmap.txt"
            there = ("-i", "cable", "-S", SWEEPER, "-G", self.mac, "-b", "/dev/null", f"{FIRST}/{32 - self.bits}")
            options = ("-q", "--disable-syslog", "-r", TOP_RATE, "-c", COOLDOWN, "-p", port, "-o", found)
            rate, _ = self.sweep("zmap", *options, *there)
            return rate, len(set(found.read_text().split()))

        def masscan() -> tuple[float, int]:
            found = self.folder / "masscan.txt"
            there = ("--adapter", "cable", "--adapter-ip", SWEEPER, "--router-mac", self.mac.replace(":", "-"))
            options = ("--rate", TOP_RATE, "--wait", COOLDOWN, "-p", port, "-oL", found)
            for _ in range(TRIES):
                with contextlib.suppress(TimeoutError):
                    rate, _ = self.sweep("masscan", f"{FIRST}/{32 - self.bits}", *options, *there)
                    lines = [line.split() for line in found.read_text().splitlines()]
                    return rate, len({line[3] for line in lines if line[:1] == ["open"]})
            raise TimeoutError("masscan does not end")

        return {LEAD_APRON: leadapron, C: c, ZMAP: zmap, MASSCAN: masscan}


@contextlib.contextmanager
def sweep_place(bits: int) -> Iterator[SweepPlace]:
    with tempfile.TemporaryDirectory() as name, pair([RANGE]) as both:
        folder = Path(name)
        build = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(folder / "syn_loop")]
        subprocess.run([*build, str(HERE / "c" / "syn_loop.c")], check=True)
        write_scope(folder / "scope.toml", networks=[RANGE], ports=[SILENT, REFUSING])
        both.load(folder, RULES, on=both.answerer)
        for setting in ("net.core.somaxconn=65535", "net.ipv4.tcp_max_syn_backlog=65535"):
            must(both.answerer, "sysctl", "-qw", setting)
        listeners = both.answerer.command(sys.executable, "-c", LISTENERS, (1 << bits) // STEP)
        holder = both.sweeper.command("sleep", 3600)
        with running(listeners) as listening, running(holder) as held:
            assert listening.stdout is not None
            assert listening.stdout.readline() == b"listening\n"
            yield SweepPlace(both, folder, bits, held.pid)


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def measure_sweeps(place: SweepPlace, rounds: int, say: Callable[[str], None]) -> Results:
    """One round more than asked: the first warms up and is thrown away."""
    rates: dict[str, dict[str, list[float]]] = {}
    finds: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds + 1):
        for name, port in (("silent", SILENT), ("refused", REFUSING)):
            programs = list(place.programs(port).items())
            turn = number % len(programs)
            for program, run in programs[turn:] + programs[:turn]:
                rate, found = run()
                assert found == place.live or program not in (LEAD_APRON, C), (name, program, found)
                if number:
                    rates.setdefault(name, {}).setdefault(program, []).append(rate)
                    finds.setdefault(name, {}).setdefault(program, []).append(found / place.live)
                    say(f"{number}/{rounds}  SYN sweep, {name}: {program} {rate:,.0f}/s, {found} found")
    return {
        name: {
            program: Swept(rate=statistics.median(of), found=statistics.median(finds[name][program]))
            for program, of in programs.items()
        }
        for name, programs in rates.items()
    }


def sweep_table(results: Results) -> list[str]:
    """The figures as lines of Markdown."""
    order = [LEAD_APRON, *GOALS]
    lines = [f"| SYN sweep, packets a second | {' | '.join(order)} |", "|---" + "|---:" * len(order) + "|"]
    for name, of in results.items():
        ours = of[LEAD_APRON].rate
        cells = [
            f"{of[program].rate:,.0f}" + ("" if program == LEAD_APRON else f" ({ours / of[program].rate:.2f})")
            for program in order
        ]
        lines.append(f"| 1 in {STEP:,} accepts, the rest: {name} | {' | '.join(cells)} |")
    found = ", ".join(
        f"{program} {' and '.join(f'{of[program].found:.1%}' for of in results.values())}" for program in order
    )
    return [*lines, "", f"- Found of what accepts in a SYN sweep ({' and '.join(results)}): {found}."]


def sweep_goals(results: Results) -> list[tuple[str, bool, float]]:
    """What was aimed at: text, whether it is met, the goal."""
    return [
        (f"SYN sweep, {name}: {ratio:.2f} times {program}", ratio >= goal, goal)
        for name, of in results.items()
        for program, goal in GOALS.items()
        for ratio in (of[LEAD_APRON].rate / of[program].rate,)
    ]
