"""Which gaps are one: a host of two zones is a host of each, so a connection to it counts for both.

Zones with a gap whose networks overlap share a lane. The next connection to any of them waits until the gap of the last
one is over, the longest around its address. So no gap is shorter than its zone wants, and some are longer.
"""

from __future__ import annotations

from collections.abc import Iterable

from leadapron.scope.grant import Zone
from leadapron.scope.policy import span


def lanes(zones: Iterable[Zone]) -> dict[str, str]:
    """The lane of each zone that has a gap: the name of one of those that share it."""
    heads: dict[str, str] = {}
    blocks = [
        (network.version, *span(network), zone.name) for zone in zones if zone.gap_seconds for network in zone.networks
    ]
    outermost, first = (0, 0), ""
    for version, start, end, name in sorted(blocks, key=lambda block: (block[0], block[1], -block[2])):
        if (version, start) > outermost:
            outermost, first = (version, end), name
        heads[_head(heads, name)] = _head(heads, first)
    return {name: _head(heads, name) for name in heads}


def _head(heads: dict[str, str], name: str) -> str:
    while heads.setdefault(name, name) != name:
        name = heads[name]
    return name
