"""Lead Apron's SYN sweep, as an audit uses it: pieces in a scattered order, each batch through the gate.

The order is that of the C program: index i is address `first + i * STRIDE % count`.
"""

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

import numpy as np
import numpy.typing as npt

from leadapron.net.syn import Closed, Piece, SynEngine, SynSettings
from leadapron.net.target import Outcome
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import arm

STRIDE = 0x9E3779B1
PIECE = 1 << 16


class Space:
    """A power of two of addresses on one port."""

    def __init__(self, first: int, bits: int, port: int) -> None:
        self.first, self.count, self.port = first, 1 << bits, port
        self.mask, self.inverse = np.uint64(self.count - 1), np.uint64(pow(STRIDE, -1, self.count))
        self.next = 0

    def piece(self) -> Piece | None:
        start, stop = self.next, min(self.next + PIECE, self.count)
        if start == stop:
            return None
        self.next = stop
        indices = np.arange(start, stop, dtype=np.uint64)
        addresses = (indices * np.uint64(STRIDE) & self.mask).astype(np.uint32) + np.uint32(self.first)
        return Piece(
            start=start,
            stop=stop,
            addresses=addresses,
            ports=np.full(stop - start, self.port, dtype=np.uint16),
            places=np.arange(stop - start, dtype=np.uint32),
        )

    def index_of(self, addresses: npt.NDArray[np.uint32], ports: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
        offsets = addresses.astype(np.uint64) - np.uint64(self.first)
        indices = (offsets * self.inverse & self.mask).astype(np.int64)
        return np.where((offsets < self.count) & (ports == self.port), indices, -1)


class Counting:
    """A sink."""

    def __init__(self) -> None:
        self.hits: set[tuple[int, int]] = set()
        self.outcomes = dict.fromkeys(Outcome, 0)
        self.waiting = 0

    def answered(self, _start: int, hits: Sequence[tuple[int, int, int]]) -> None:
        self.hits.update((address, port) for _, address, port in hits)

    def closed(self, closed: Closed) -> None:
        self.waiting += len(closed.waiting)
        for outcome, number in closed.outcomes.items():
            self.outcomes[outcome] += number


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=IPv4Address)
    for name in ("bits", "port", "rate"):
        parser.add_argument(name, type=int)
    parser.add_argument("cooldown", type=float)
    parser.add_argument("--armed", type=Path, metavar="SCOPE")
    given = parser.parse_args()
    gate = Gate(load_scope(given.armed)) if given.armed else None
    if gate is not None:
        arm(gate)

    def permits(addresses: npt.NDArray[np.uint32], ports: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
        return np.ones(len(addresses), dtype=bool) if gate is None else gate.denials4(addresses, ports) == 0

    space, sink = Space(int(given.first), given.bits, given.port), Counting()
    settings = SynSettings(packets_per_second=given.rate, cooldown=given.cooldown)
    engine = SynEngine(settings, key=secrets.token_bytes(16), index_of=space.index_of, permits=permits)
    stats = engine.run(space.piece, sink)
    print(
        json.dumps(
            {
                "done": stats.sent,
                "seconds": stats.asking,
                "accepted": len(sink.hits),
                "outcomes": {str(outcome): number for outcome, number in sink.outcomes.items() if number},
                "waiting": sink.waiting,
                "stats": {name: getattr(stats, name) for name in type(stats).__slots__},
            }
        )
    )


if __name__ == "__main__":
    main()
