"""What the coordinator gives to a worker."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from leadapron.cluster.luggage import Luggage
from leadapron.pipeline_control import Options
from leadapron.scope.grant import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """It holds the key of the run and may hold a password: it travels inside TLS, and no representation shows either."""

    run: str
    store: str = field(repr=False)
    """the URL"""
    key: bytes = field(repr=False)
    luggage: Luggage = field(repr=False)
    options: Options
    seats: int
    version: str
    """of the coordinator: all are of one"""
    level: int
    """of the log"""


def share_of(scope: Scope, seats: int) -> Scope:
    """The scope at the pace of one seat: all of them together keep that of the scope, but for one connection each that
    may fall into the same moment."""
    pace, sweep = scope.pace, scope.sweep
    return replace(
        scope,
        pace=replace(
            pace,
            connections_per_second=pace.connections_per_second / seats,
            per_network=pace.per_network / seats,
        ),
        sweep=replace(
            sweep,
            packets_per_second=scope.packets_per_second / seats,
            bits_per_second=None if sweep.bits_per_second is None else sweep.bits_per_second / seats,
        ),
    )
