"""`bench/run.py --memory`: the memory of an audit and the processor time of its stages, while what it sweeps grows a
hundredfold.

The same servers stand in each space, so that what is to be kept of them is the same; all else is silent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from country import Country
from whole import Audited, audit, played

SERVERS, PORT = 100, 11112
HOME = IPv4Network("16.0.0.0/12")
"""2 ** 20 addresses; spaces are 1, 10 and 96 of these."""
FULL_SPACES, SMALL_SPACES = (1, 10, 96), (1, 2)
SMALL_HOME = IPv4Network("16.0.0.0/20")
RATE = 500_000
"""Packets a second."""
SWEEP = f'[sweep]\nmethod = "syn"\npackets_per_second = {RATE}\ncooldown_seconds = 2\n'
MOST_GROWTH = 50
"""MiB, from the smallest space to the largest, of either process."""

Sized = list[tuple[int, Audited]]
"""Addresses of a space, and what came of it."""


def spaces(home: IPv4Network, parts: Sequence[int]) -> list[Country]:
    """So many networks of the size of `home`, beginning with it."""
    first, size = int(home.network_address), home.num_addresses
    return [
        Country(
            networks=tuple(IPv4Network((first + size * part, home.prefixlen)) for part in range(count)),
            ports=(PORT,),
            servers=SERVERS,
        )
        for count in parts
    ]


def measure_memory(countries: Sequence[Country], say: Callable[[str], None]) -> Sized:
    """Raises AssertionError where an audit does not say what the servers are."""
    found: Sized = []
    for country in countries:
        with tempfile.TemporaryDirectory() as name, played(country, Path(name), sweep=SWEEP) as both:
            audited = audit(country, both, Path(name))
        assert not audited.differences, audited.differences[:5]
        found.append((country.targets, audited))
        say(f"{country.targets:,} addresses: {audited.seconds:.0f} s, {audited.main:.0f} and {audited.sweeper:.0f} MiB")
    return found


def memory_table(sized: Sized) -> list[str]:
    """The figures as lines of Markdown."""
    stages = ("discover", "identify", "assess")
    parts = ("building", "sending", "receiving")
    titles = [
        "addresses",
        "wall time, s",
        "MiB at most: audit",
        "its sweeper",
        *(f"processor, s: {stage}" for stage in stages),
        *(f"of the sweeper: {part}" for part in parts),
    ]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---:|" * len(titles)]
    for addresses, audited in sized:
        cpu, figures = audited.run.cpu, audited.run.sweep
        assert figures is not None
        cells = [
            f"{addresses:,}",
            f"{audited.seconds:,.0f}",
            f"{audited.main:.0f}",
            f"{audited.sweeper:.0f}",
            *(f"{cpu[stage]:.1f}" for stage in stages),
            *(f"{getattr(figures, part):.1f}" for part in parts),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def memory_goals(sized: Sized) -> list[tuple[str, bool, float]]:
    """What was aimed at: text, whether it is met, the goal."""
    (fewest, least), (most, largest) = sized[0], sized[-1]
    growth = max(largest.main - least.main, largest.sweeper - least.sweeper)
    text = f"from {fewest:,} to {most:,} addresses, {growth:+.0f} MiB"
    return [(text, growth <= MOST_GROWTH, MOST_GROWTH)]
