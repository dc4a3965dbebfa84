"""All networks of an MMDB file whose records say something, level by level over the search tree (MaxMind DB 2.0).

The reader that answers for one address walks the whole tree in Python at tens of thousands of networks a second, and for
ever in one that leads back into itself. Here each node is visited once, a level at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

from leadapron.model import Address
from leadapron.scope.mmdb import Database, NotADatabase
from leadapron.scope.spans import Span

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Halves = npt.NDArray[np.uint64]
    Nodes = npt.NDArray[np.uint32]

MOST_RECORDS = 4 << 20
"""Different records that are looked at."""

_V4 = 96
"""Depth below which an IPv6 tree holds IPv4."""


def spans_of(path: Path, database: Database, says: Callable[[Address], bool]) -> dict[int, list[Span]]:
    """The networks, by IP version and in no order, of whose addresses the database `says` so; asked once for each record.
    Raises NotADatabase."""
    import numpy as np

    leaves = _Tree.open(path, database).leaves()
    pointers, first, which = np.unique(leaves.pointers, return_index=True, return_inverse=True)
    if len(pointers) > MOST_RECORDS:
        raise NotADatabase("has too many different records")
    wanted = np.fromiter((says(leaves.address(place)) for place in first.tolist()), dtype=bool, count=len(pointers))
    found: dict[int, list[Span]] = {4: [], 6: []}
    for place in np.flatnonzero(wanted[which]).tolist():
        version, span = leaves.span(place)
        found[version].append(span)
    return found


@dataclass(slots=True, kw_only=True)
class _Leaves:
    """Networks with a record: the upper and the lower half of the first address, the length of the prefix in 128 bits, and
    where in the file the record stands."""

    upper: Halves
    lower: Halves
    lengths: npt.NDArray[np.uint8]
    pointers: Nodes

    def address(self, place: int) -> Address:
        """One of the network."""
        version, (first, _) = self.span(place)
        return IPv4Address(first) if version == 4 else IPv6Address(first)

    def span(self, place: int) -> tuple[int, Span]:
        first = int(self.upper[place]) << 64 | int(self.lower[place])
        length = int(self.lengths[place])
        last = first + (1 << 128 - length) - 1
        return (4 if length >= _V4 and last < 1 << 32 else 6), (first, last)


@dataclass(slots=True, kw_only=True)
class _Tree:
    left: Nodes
    right: Nodes
    depth: int
    """of the root: an IPv4 tree hangs where IPv4 is in an IPv6 tree"""

    @classmethod
    def open(cls, path: Path, database: Database) -> _Tree:
        import numpy as np

        about = database.reader.metadata()
        count, size = about.node_count, about.record_size
        if size not in (24, 28, 32) or about.ip_version not in (4, 6) or not 0 < count < 1 << 28:
            raise NotADatabase("is not an MMDB file")
        width = size // 4
        try:
            raw = np.fromfile(path, dtype=np.uint8, count=count * width)
        except OSError:
            raise NotADatabase("cannot be read") from None
        if len(raw) != count * width:
            raise NotADatabase("is not an MMDB file")
        left, right = _records(raw.reshape(count, width), size)
        return cls(left=left, right=right, depth=_V4 if about.ip_version == 4 else 0)

    def leaves(self) -> _Leaves:
        import numpy as np

        parts = list(self._levels())
        upper, lower, lengths, pointers = (np.concatenate(column) for column in zip(*parts, strict=True))
        return _Leaves(upper=upper, lower=lower, lengths=lengths, pointers=pointers)

    def _levels(self) -> Iterator[tuple[Halves, Halves, npt.NDArray[np.uint8], Nodes]]:
        """The leaves of each level. Other networks that lead to IPv4 (6to4 and the like) are left out: they are the same."""
        import numpy as np

        count, ipv4 = len(self.left), self._ipv4()
        nodes, seen = np.zeros(1, dtype=np.uint32), np.zeros(count, dtype=bool)
        upper, lower = np.zeros(1, dtype=np.uint64), np.zeros(1, dtype=np.uint64)
        for depth in range(self.depth, 128):
            seen[nodes] = True
            high, low = (np.uint64((1 << 127 - depth) >> shift & 0xFFFFFFFFFFFFFFFF) for shift in (64, 0))
            children = np.concatenate([self.left[nodes], self.right[nodes]])
            upper, lower = np.concatenate([upper, upper | high]), np.concatenate([lower, lower | low])
            leaf = children > count
            lengths = np.full(np.count_nonzero(leaf), depth + 1, dtype=np.uint8)
            yield upper[leaf], lower[leaf], lengths, children[leaf]
            inner = (children < count) & ~((children == ipv4) & ((upper | lower) != 0))
            nodes, upper, lower = children[inner], upper[inner], lower[inner]
            if seen[nodes].any() or len(np.unique(nodes)) != len(nodes):
                raise NotADatabase("has a search tree that leads back into itself")
        if len(nodes):
            raise NotADatabase("has a search tree that is too deep")

    def _ipv4(self) -> int:
        """The node below which IPv4 is; the number of nodes, which is none, where the tree ends before."""
        node = 0
        for _ in range(self.depth, _V4):
            if node >= len(self.left):
                return len(self.left)
            node = int(self.left[node])
        return node if self.depth == 0 else len(self.left)


def _records(raw: npt.NDArray[np.uint8], size: int) -> tuple[Nodes, Nodes]:
    """The left and right record of each node. With 28 bits, the byte in the middle has the highest four of both."""
    import numpy as np

    def number(at: int) -> Nodes:
        value = np.zeros(len(raw), dtype=np.uint32)
        for place in range(at, at + size // 8):
            value = value << np.uint32(8) | raw[:, place]
        return value

    left, right = number(0), number(raw.shape[1] - size // 8)
    if size == 28:
        left |= (raw[:, 3] >> 4).astype(np.uint32) << np.uint32(24)
        right |= (raw[:, 3] & 15).astype(np.uint32) << np.uint32(24)
    return left, right
