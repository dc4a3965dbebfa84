"""A /16 on five ports with 300 DICOM servers, from nothing to verdicts: `leadapron audit`, which counts and takes a census
of each, beside nmap, whose script asks each for an association.

Wall time of the whole command, its start and the writing of its store included. A round in which Lead Apron differs from
the truth in one verdict, count or census ends the run; how many servers nmap found is shown.
"""

from __future__ import annotations

import functools
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from country import Country
from whole import Pair, audit, played

PORTS = (104, 2345, 2761, 4242, 11112)
"""All of those that the script of nmap asks, but for 2762 (TLS)."""
FULL_NETWORK, SMALL_NETWORK = IPv4Network("198.18.0.0/16"), IPv4Network("198.18.0.0/23")
FULL_SERVERS, SMALL_SERVERS = 300, 40
RATE = 500_000
"""Packets a second, at most."""
SWEEP = f'[sweep]\nmethod = "syn"\npackets_per_second = {RATE}\ncooldown_seconds = 1\n'
"""The least that a scope may wait for answers; nmap waits for 0.3 s at most with -T5."""
LONGEST = 300
"""Seconds, after which nmap is ended: where nobody answers it slows down until it hardly sends."""

LEAD_APRON, NMAP, NMAP_RATE = "Lead Apron", "nmap -T5", "nmap -T5 --min-rate"
OPTIONS = {NMAP: (), NMAP_RATE: ("--min-rate", "100000")}
"""With a rate it sends as fast as it can, whatever is lost."""
ROUNDS_OF = {NMAP: 1}
"""Fewer than of the others, since it takes long."""
GOAL = 5.0
DISCOVERED = b"DICOM Service Provider discovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`seconds`: the median of the rounds; `found`: the fewest servers that a round found."""

    seconds: float
    found: int
    servers: int


Verdicts = dict[str, dict[str, Judged]]
"""By what the rest of the space does, and program."""


class Measuring:
    """One country that is played."""

    def __init__(self, country: Country, both: Pair, folder: Path) -> None:
        self._country, self._both, self._folder = country, both, folder
        self.programs: dict[str, Callable[[], tuple[float, int]]] = {
            LEAD_APRON: self._leadapron,
            **{name: functools.partial(self._nmap, options) for name, options in OPTIONS.items()},
        }
        """seconds, and servers found, of each"""

    def _leadapron(self) -> tuple[float, int]:
        audited = audit(self._country, self._both, self._folder)
        assert not audited.differences, audited.differences[:5]
        return audited.seconds, self._country.servers

    def _nmap(self, options: Sequence[str]) -> tuple[float, int]:
        ports, network = ",".join(map(str, self._country.ports)), self._country.networks[0]
        how = ("-n", "-Pn", "-sS", "-T5", "--max-retries", 0, "--min-hostgroup", 4096, *options)
        command = self._both.sweeper.command("nmap", *how, "-p", ports, "--open", "--script", "dicom-ping", network)
        begun = time.perf_counter()
        try:
            said = subprocess.run(command, check=True, capture_output=True, timeout=LONGEST).stdout
        except subprocess.TimeoutExpired as over:
            return LONGEST, (over.stdout or b"").count(DISCOVERED)
        return time.perf_counter() - begun, said.count(DISCOVERED)


def measure_verdicts(network: IPv4Network, servers: int, rounds: int, say: Callable[[str], None]) -> Verdicts:
    """One round more than asked: the first warms up and is thrown away."""
    return {name: _measured(name, country, rounds, say) for name, country in _countries(network, servers)}


def _countries(network: IPv4Network, servers: int) -> Iterator[tuple[str, Country]]:
    for name in ("silent", "refused"):
        yield name, Country(networks=(network,), ports=PORTS, servers=servers, refuses=name == "refused")


def _measured(name: str, country: Country, rounds: int, say: Callable[[str], None]) -> dict[str, Judged]:
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    found: defaultdict[str, list[int]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, played(country, Path(folder), sweep=SWEEP) as both:
        programs = list(Measuring(country, both, Path(folder)).programs.items())
        for number in range(rounds + 1):
            turn = number % len(programs)
            for program, run in programs[turn:] + programs[:turn]:
                if ROUNDS_OF.get(program, number) < number or (number == 0 and program in ROUNDS_OF):
                    continue
                took, servers = run()
                if number:
                    seconds[program].append(took)
                    found[program].append(servers)
                    say(f"{number}/{rounds}  verdicts, {name}: {program} {took:.1f} s, {servers} found")
    return {
        program: Judged(seconds=statistics.median(of), found=min(found[program]), servers=country.servers)
        for program, of in seconds.items()
    }


def verdicts_table(results: Verdicts) -> list[str]:
    """The figures as lines of Markdown."""
    order = [LEAD_APRON, *OPTIONS]
    lines = [f"| from nothing to verdicts, seconds | {' | '.join(order)} |", "|---" + "|---:" * len(order) + "|"]
    for name, of in results.items():
        ours = of[LEAD_APRON].seconds
        cells = [
            _cell(of[program])
            + ("" if program == LEAD_APRON else f" ({of[program].seconds / ours:.1f} x, {of[program].found} found)")
            for program in order
        ]
        lines.append(f"| {of[LEAD_APRON].servers} servers, the rest of the network: {name} | {' | '.join(cells)} |")
    return lines


def _cell(of: Judged) -> str:
    return f"{of.seconds:.1f}" if of.seconds < LONGEST else f"ended at {LONGEST}"


def verdicts_goals(results: Verdicts) -> list[tuple[str, bool, float]]:
    """What was aimed at: text, whether it is met, the goal."""
    return [
        (f"from nothing to verdicts, {name}: {ratio:.1f} times as fast as {program}", ratio >= GOAL, GOAL)
        for name, of in results.items()
        for program in OPTIONS
        for ratio in (of[program].seconds / of[LEAD_APRON].seconds,)
    ]
