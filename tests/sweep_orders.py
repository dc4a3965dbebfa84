"""Orders of a sweep for tests: over places on loopback, by connections, or by packets that a test takes the place of."""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from leadapron.discover.space import Intervals, TargetSpace
from leadapron.net.syn import SynSettings
from leadapron.pipeline_wire import Order
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from scope_file import write_scope

KEY = b"2." + bytes(14)
PORT = 50_104
NET, NEXT = (f"127.{64 + os.getpid() % 128}.{os.getpid() // 128 % 128 * 2 + each}" for each in range(2))
"""Beginnings of two /24 in a row, which this process has for itself: others may run the same tests at the same time."""
FIRST = int(IPv4Address(f"{NET}.0"))


def order(folder: Path, networks: list[str], **changes: object) -> Order:
    """Over PORT of these networks, by connections; the scope lies in the folder."""
    scope = load_scope(write_scope(folder / "scope.toml", networks=networks, ports=[PORT]))
    intervals = Gate(scope).intervals(4)
    plain = Order(
        scope=scope.path,
        digests=scope.digests,
        exclusions=len(scope.exclusions),
        pins={},
        stop_file=folder / "stop",
        intervals=intervals,
        ports=(PORT,),
        pairs=None,
        key=KEY,
        in_part=(),
        missing=[(0, len(space_of(intervals)))],
        size=64,
        per_network=5000.0,
        wanted=frozenset(),
        syn=None,
        cookie_key=bytes(16),
        connections_per_second=5000.0,
        concurrency=256,
        timeout=1.0,
        level=30,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def by_packets(folder: Path, networks: list[str], **changes: object) -> Order:
    return order(folder, networks, **{"syn": SynSettings(packets_per_second=1000, cooldown=1)} | changes)


def space_of(intervals: Intervals) -> TargetSpace:
    return TargetSpace(intervals, [], (PORT,), KEY)
