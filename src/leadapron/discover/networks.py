"""The networks of a target space, by what they are made of: addresses that all have all ports, or single pairs of an
address and a port; IPv4 in numpy columns, IPv6, of which there are few, in plain numbers.

A network that is not whole is a cell: `sizes[i]` targets, numbered from `bases[i]` among all targets of its kind.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from leadapron.discover.ranks import Numbers, Ranks
from leadapron.net.pace import NETWORK_BITS

Intervals = Sequence[tuple[int, int]]
Addresses = npt.NDArray[np.uint32]
PortNumbers = npt.NDArray[np.uint16]
Found = npt.NDArray[np.int64]
"""-1: not there"""
Spots = Sequence[tuple[int, int, int]]
"""IP version, address, port."""

NETWORK4, NETWORK6 = NETWORK_BITS[4], NETWORK_BITS[6]
"""Bits of an address within its network."""
_SIZE4 = np.uint64(1 << NETWORK4)


class Networks4:
    """All ports of merged intervals of IPv4. Whole /24s are none of the cells: they are all alike, and `whole` counts
    them by rank."""

    def __init__(self, merged: Intervals, ports: Sequence[int]) -> None:
        self.ports = np.array(ports, dtype=np.uint16)
        self._count = np.uint64(max(len(ports), 1))
        self._column = np.full(1 << 16, -1, dtype=np.int64)
        self._column[self.ports] = np.arange(len(ports))
        firsts = np.array([first for first, _ in merged] if ports else [], dtype=np.uint64)
        lasts = np.array([last for _, last in merged] if ports else [], dtype=np.uint64)
        self.whole, self._pieces = _cut(firsts, lasts)
        self.whole_size = (1 << NETWORK4) * len(ports)
        networks, starts = np.unique(self._pieces.firsts >> np.uint64(NETWORK4), return_index=True)
        self._networks = networks
        lengths = self._pieces.lasts - self._pieces.firsts + np.uint64(1)
        sizes = np.add.reduceat(lengths, starts) if len(starts) else lengths
        self.sizes: Numbers = sizes * self._count
        self.bases: Numbers = (self._pieces.ends - lengths)[starts] * self._count

    def in_whole(self, networks: npt.NDArray[np.uint32], places: Numbers) -> tuple[Addresses, PortNumbers]:
        """The targets at these places of whole networks."""
        offsets, columns = np.divmod(places.astype(np.uint32), np.uint32(self._count))
        return (networks << np.uint32(NETWORK4)) | offsets, self.ports.take(columns)

    def places_in_whole(self, addresses: Addresses, ports: PortNumbers) -> tuple[Found, Found]:
        """The inverse: the rank of the network, and the place in it, -1 where it is not whole or the port not ours."""
        ranks, columns = self.whole.of(addresses.astype(np.uint64) >> np.uint64(NETWORK4)), self._column[ports]
        places = (addresses & np.uint32(_SIZE4 - np.uint64(1))).astype(np.int64) * int(self._count) + columns
        return ranks, np.where((ranks >= 0) & (columns >= 0), places, -1)

    def at(self, members: Numbers) -> tuple[Addresses, PortNumbers]:
        """Of the cells."""
        ranks, columns = np.divmod(members, self._count)
        return self._pieces.at(ranks).astype(np.uint32), self.ports[columns.astype(np.intp)]

    def cells_of(self, addresses: Addresses, ports: PortNumbers) -> tuple[Found, Found]:
        """Of each target its cell, and its place there."""
        wide = addresses.astype(np.uint64)
        ranks, columns = self._pieces.of(wide), self._column[ports]
        cells = np.searchsorted(self._networks, wide >> np.uint64(NETWORK4)).astype(np.int64)
        is_inside = (ranks >= 0) & (columns >= 0)
        cells = np.where(is_inside, cells, -1)
        bases = self.bases[cells].astype(np.int64) if len(self.bases) else cells
        return cells, ranks * int(self._count) + columns - bases

    def has(self, addresses: Addresses, ports: PortNumbers) -> npt.NDArray[np.bool_]:
        return (self.places_in_whole(addresses, ports)[1] >= 0) | (self.cells_of(addresses, ports)[0] >= 0)


def _cut(firsts: Numbers, lasts: Numbers) -> tuple[Ranks, Ranks]:
    """The numbers of the whole /24s, and what is left of the intervals at their ends."""
    one, bits = np.uint64(1), np.uint64(NETWORK4)
    begins, ends = (firsts + _SIZE4 - one) >> bits, (lasts + one) >> bits
    has_whole, has_head = begins < ends, firsts < begins << bits
    heads = firsts[has_head], np.minimum(lasts, (begins << bits) - one)[has_head]
    has_tail = (begins <= ends) & (ends << bits <= lasts)
    tails = (ends << bits)[has_tail], lasts[has_tail]
    left = np.concatenate([heads[0], tails[0]]), np.concatenate([heads[1], tails[1]])
    order = np.argsort(left[0])
    return Ranks(begins[has_whole], (ends - one)[has_whole]), Ranks(left[0][order], left[1][order])


class Pairs4:
    """Single pairs of IPv4, different ones, in any order."""

    def __init__(self, addresses: Addresses, ports: PortNumbers) -> None:
        keys = addresses.astype(np.uint64) << np.uint64(16) | ports
        self._keys = np.unique(keys)
        of_network = self._keys >> np.uint64(16 + NETWORK4)
        self._networks, starts, counts = np.unique(of_network, return_index=True, return_counts=True)
        self.sizes: Numbers = counts.astype(np.uint64)
        self.bases: Numbers = starts.astype(np.uint64)

    @classmethod
    def of(cls, spots: Spots, pairs: tuple[Addresses, PortNumbers] | None, beside: Networks4) -> Pairs4:
        """Without those that are in `beside`."""
        four = [(address, port) for version, address, port in spots if version == 4]
        addresses = np.array([address for address, _ in four], dtype=np.uint32)
        ports = np.array([port for _, port in four], dtype=np.uint16)
        if pairs is not None:
            addresses, ports = np.concatenate([addresses, pairs[0]]), np.concatenate([ports, pairs[1]])
        is_new = ~beside.has(addresses, ports)
        return cls(addresses[is_new], ports[is_new])

    def at(self, members: Numbers) -> tuple[Addresses, PortNumbers]:
        keys = self._keys[members.astype(np.intp)]
        return (keys >> np.uint64(16)).astype(np.uint32), keys.astype(np.uint16)

    def cells_of(self, addresses: Addresses, ports: PortNumbers) -> tuple[Found, Found]:
        if not len(self._keys):
            return np.full(len(addresses), -1, dtype=np.int64), np.zeros(len(addresses), dtype=np.int64)
        keys = addresses.astype(np.uint64) << np.uint64(16) | ports
        at = np.searchsorted(self._keys, keys)
        is_known = self._keys[np.minimum(at, len(self._keys) - 1)] == keys
        cells = np.searchsorted(self._networks, keys >> np.uint64(16 + NETWORK4)).astype(np.int64)
        cells = np.where(is_known, cells, -1)
        return cells, at - self.bases[cells].astype(np.int64)


class Networks6:
    """All ports of merged intervals of IPv6. They are swept up to /112, which keeps them few."""

    def __init__(self, merged: Intervals, ports: Sequence[int]) -> None:
        self._ports, self._merged = list(ports), list(merged) if ports else []
        self._before = [0]
        sizes: Counter[int] = Counter()
        for first, last in self._merged:
            self._before.append(self._before[-1] + last - first + 1)
            for network in range(first >> NETWORK6, (last >> NETWORK6) + 1):
                start = max(first, network << NETWORK6)
                sizes[network] += min(last, (network + 1 << NETWORK6) - 1) - start + 1
        self.sizes: Numbers = np.array([size * len(self._ports) for size in sizes.values()], dtype=np.uint64)
        self.bases: Numbers = np.cumsum(self.sizes, dtype=np.uint64) - self.sizes

    def at(self, members: Sequence[int]) -> list[tuple[int, int]]:
        return [self._at(member) for member in members]

    def _at(self, member: int) -> tuple[int, int]:
        rank, column = divmod(member, len(self._ports))
        which = bisect_right(self._before, rank) - 1
        return self._merged[which][0] + rank - self._before[which], self._ports[column]

    def has(self, address: int, port: int) -> bool:
        which = bisect_right(self._merged, (address, 1 << 128)) - 1
        return port in self._ports and which >= 0 and address <= self._merged[which][1]


class Pairs6:
    """Single pairs of IPv6."""

    def __init__(self, pairs: Sequence[tuple[int, int]]) -> None:
        self._pairs = sorted(set(pairs))
        sizes = Counter(address >> NETWORK6 for address, _ in self._pairs)
        self.sizes: Numbers = np.array(list(sizes.values()), dtype=np.uint64)
        self.bases: Numbers = np.cumsum(self.sizes, dtype=np.uint64) - self.sizes

    @classmethod
    def of(cls, spots: Spots, beside: Networks6) -> Pairs6:
        """Without those that are in `beside`."""
        return cls(
            [(address, port) for version, address, port in spots if version == 6 and not beside.has(address, port)]
        )

    def at(self, members: Sequence[int]) -> list[tuple[int, int]]:
        return [self._pairs[member] for member in members]
