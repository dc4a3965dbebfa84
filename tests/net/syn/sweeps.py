"""Sweeps in a pair of namespaces: a space of addresses, a sink that holds the engine to its word, an answering peer."""

from __future__ import annotations

import contextlib
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path

import numpy as np
import numpy.typing as npt
from net_pairs import Pair, inside, must
from real_servers import Namespace

from leadapron.net.syn import Closed, Piece, SynEngine, SynSettings, SynStats
from leadapron.net.target import Outcome

FIRST, PORT = int(IPv4Address("198.18.0.0")), 104
KEY = bytes(range(16))

Addresses = npt.NDArray[np.uint32]
Ports = npt.NDArray[np.uint16]


def everybody(addresses: Addresses, _ports: Ports) -> npt.NDArray[np.bool_]:
    return np.ones(len(addresses), dtype=bool)


class Space:
    """`count` addresses from FIRST on, in pieces. Index i is the address FIRST + i: order does not matter here."""

    def __init__(self, count: int, *, size: int = 4096) -> None:
        self.count, self.size, self.next = count, size, 0

    def piece(self) -> Piece | None:
        start, stop = self.next, min(self.next + self.size, self.count)
        if start == stop:
            return None
        self.next = stop
        places = np.arange(stop - start, dtype=np.uint32)
        return Piece(
            start=start,
            stop=stop,
            addresses=places + np.uint32(FIRST + start),
            ports=np.full(len(places), PORT, dtype=np.uint16),
            places=places,
        )

    def index_of(self, addresses: Addresses, ports: Ports) -> npt.NDArray[np.int64]:
        indices = addresses.astype(np.int64) - FIRST
        return np.where((indices >= 0) & (indices < self.count) & (ports == PORT), indices, -1)


class Book:
    """A sink: every hit once, every piece closed once, every place either counted or waiting."""

    def __init__(self) -> None:
        self.hits: set[int] = set()
        self.outcomes: Counter[Outcome] = Counter()
        self.waiting: list[int] = []
        self.closed_pieces: list[tuple[int, int]] = []

    def answered(self, start: int, hits: Sequence[tuple[int, int, int]]) -> None:
        for place, address, port in hits:
            assert (FIRST + start + place, PORT) == (address, port)
            assert start + place not in self.hits
            self.hits.add(start + place)

    def closed(self, closed: Closed) -> None:
        assert (closed.start, closed.stop) not in self.closed_pieces
        self.closed_pieces.append((closed.start, closed.stop))
        assert sum(closed.outcomes.values()) + len(closed.waiting) == closed.stop - closed.start
        assert all(number > 0 for number in closed.outcomes.values())
        assert len(closed.refused) == closed.outcomes.get(Outcome.REFUSED, 0)
        self.outcomes.update(closed.outcomes)
        self.waiting += (closed.waiting.astype(np.int64) + closed.start).tolist()


def sweep(
    both: Pair,
    space: Space,
    settings: SynSettings,
    *,
    permits: Callable[[Addresses, Ports], npt.NDArray[np.bool_]] = everybody,
    book: Book | None = None,
    **options: Callable[[], bool],
) -> tuple[Book, SynStats]:
    """From the sweeper, over the cable."""
    book = book or Book()

    def run() -> SynStats:
        engine = SynEngine(settings, key=KEY, index_of=space.index_of, permits=permits)
        return engine.run(space.piece, book, **options)

    stats = both.sweeping(run)
    assert len(book.hits) == book.outcomes[Outcome.CONNECTED]
    return book, stats


@contextlib.contextmanager
def listening(on: Namespace) -> Iterator[None]:
    """On PORT of every address of the namespace."""
    with inside(on, lambda: socket.create_server(("0.0.0.0", PORT), backlog=4096)):
        yield


RULES = """
table ip answers {{
  chain {hook} {{
    type filter hook {hook} priority 0
{rules}
  }}
}}
"""


def rules(both: Pair, folder: Path, *lines: str, on: Namespace | None = None, hook: str = "input") -> None:
    """Rules for what arrives at the answerer; or for another hook."""
    text = RULES.format(hook=hook, rules="\n".join(f"    {line}" for line in lines))
    both.load(folder, text, on=on or both.answerer)


def counted(on: Namespace) -> list[int]:
    """Packets, by each counter of the rules in turn."""
    listed = json.loads(must(on, "nft", "-j", "list", "table", "ip", "answers"))["nftables"]
    parts = [part for entry in listed if "rule" in entry for part in entry["rule"]["expr"]]
    return [part["counter"]["packets"] for part in parts if "counter" in part]
